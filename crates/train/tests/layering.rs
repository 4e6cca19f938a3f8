//! What the parts of the crate may know of one another and of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every source file of the crate with its code, without comments and the tests inside.
fn sources() -> BTreeMap<PathBuf, String> {
    fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                let text = std::fs::read_to_string(&path).expect("a source file");
                let (code, _tests) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
                let code = code.lines().filter(|line| !line.trim().starts_with("//"));
                files.insert(path.clone(), code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    assert!(files.len() > 10, "found {files:?}");
    files
}

/// `optimizer` for `src/optimizer.rs`, `driver` for everything in `src/driver/`.
fn module(path: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let path = path.strip_prefix(source).expect("a source file");
    let first = path.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

#[test]
fn only_the_driver_knows_files_clocks_and_terminals() {
    let host = [
        "std::fs",
        "std::time",
        "indicatif",
        "println!",
        "block_on",
        "/proc",
    ];
    for (path, text) in sources() {
        if module(&path) == "driver" {
            continue;
        }
        for word in host {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn the_device_is_read_in_one_place() {
    let reads = ["into_data", "to_data", "into_scalar", ".execute"];
    for (path, text) in sources() {
        if module(&path) == "tensor_ops" {
            continue;
        }
        for word in reads {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn modules_do_not_import_one_another_in_a_circle() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        let names = text.split("crate::").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            rest[..end.unwrap_or(rest.len())].to_string()
        });
        let of_module = imports.entry(module(&path)).or_default();
        of_module.extend(names.filter(|name| *name != module(&path)));
    }
    // Modules that import nothing that is left go, until none is left or all that is left circles.
    while let Some(leaf) = imports
        .iter()
        .find(|(_, names)| names.iter().all(|name| !imports.contains_key(name)))
        .map(|(name, _)| name.clone())
    {
        imports.remove(&leaf);
    }
    assert!(imports.is_empty(), "{imports:#?}");
}
