"""Bytes of each crate in the built page's program, by the names that wasm-bindgen leaves.

    cargo xtask dist
    python crates/xtask/crate_bytes.py target/split

A function counts for the crate that its path begins with: code that is generic counts where it is
written, not where it is used. The first table is what a visitor starts with, the second what comes
later, both before compression. Standard library only.
"""

import collections
import pathlib
import re
import sys

CODE, DATA, IMPORT, CUSTOM = 10, 11, 2, 0
FUNCTION_NAMES = 1
# What comes later has mangled names: `_ZN` and parts with their lengths, or `_R` with crates' names.
LEGACY, PART = "_ZN", re.compile(r"(\d+)")
ESCAPES = {"$LT$": "<", "$GT$": ">", "$RF$": "&", "$u20$": " ", "..": "::"}
V0_CRATE = re.compile(r"C(?:s\w*?_)?(\d+)_?([a-z]\w*)")
# `<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop` and `core[0123abcd]::fmt::write` alike.
CRATE = re.compile(r"([A-Za-z_]\w*)(?:\[[0-9a-f]+\])?::")


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def bytes(self):
        length = self.number()
        self.at += length
        return self.data[self.at - length : self.at]

    def text(self):
        return self.bytes().decode()


def sections(module):
    reader = Reader(module)
    reader.at = 8
    while reader.at < len(module):
        yield reader.byte(), Reader(reader.bytes())


def imported_functions(section):
    n_functions = 0
    for _ in range(section.number()):
        section.bytes(), section.bytes()
        kind = section.byte()
        if kind == 0:
            section.number()
            n_functions += 1
        elif kind in (1, 2):
            if kind == 1:
                section.byte()
            flags = section.byte()
            section.number()
            if flags & 1:
                section.number()
        elif kind == 3:
            section.byte(), section.byte()
        else:
            sys.exit(f"expected an import of kind 0 to 3, found {kind}")
    return n_functions


def function_names(section):
    while section.at < len(section.data):
        kind, names = section.byte(), Reader(section.bytes())
        if kind == FUNCTION_NAMES:
            return {names.number(): names.text() for _ in range(names.number())}
    return {}


def readable(name):
    """The path that a mangled name has, as far as its crate is told by it."""
    if name.startswith("_R") and (found := V0_CRATE.search(name)):
        return found[2][: int(found[1])] + "::"
    parts, at = [], len(LEGACY)
    while name.startswith(LEGACY) and (length := PART.match(name, at)):
        at = length.end() + int(length[1])
        parts.append(name[length.end() : at])
    path = "::".join(parts) if parts else name
    for written, meant in ESCAPES.items():
        path = path.replace(written, meant)
    return path


def crate_of(name):
    found = CRATE.search(readable(name))
    return found[1] if found else "(no path)"


def bytes_by_crate(path):
    counted, first, names, code = collections.Counter(), 0, {}, None
    for kind, section in sections(path.read_bytes()):
        if kind == IMPORT:
            first = imported_functions(section)
        elif kind == CODE:
            code = [len(section.bytes()) for _ in range(section.number())]
        elif kind == DATA:
            counted["(data: texts, tables, shaders)"] += len(section.data)
        elif kind == CUSTOM and section.text() == "name":
            names = function_names(section)
    if not names or code is None:
        sys.exit(f"expected code and names in {path}, found {len(names)} names")
    for index, n_bytes in enumerate(code, first):
        counted[crate_of(names.get(index, ""))] += n_bytes
    return counted


def print_table(paths):
    counted = collections.Counter()
    for path in paths:
        counted.update(bytes_by_crate(path))
    print("| crate | bytes |\n|---|---|")
    for crate, n_bytes in counted.most_common():
        print(f"| {crate} | {n_bytes:,} |")
    print(f"| all | {counted.total():,} |")


def main():
    folder = pathlib.Path(sys.argv[1])
    starts = list(folder.glob("*_bg.wasm"))
    later = sorted(set(folder.glob("split_*.wasm")) | set(folder.glob("chunk_*.wasm")))
    if not starts or not later:
        sys.exit(
            f"expected a program *_bg.wasm and its chunks in {folder}, "
            f"found {len(starts)} and {len(later)}"
        )
    print_table(starts)
    print()
    print_table(later)


main()
