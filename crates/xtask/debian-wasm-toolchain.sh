#!/usr/bin/env bash
# Makes a rustup toolchain that compiles for wasm32 out of Debian's packages, for machines where
# rustup cannot download its own target.
#
#   debian-wasm-toolchain.sh FOLDER NAME     FOLDER must stay: rustup's toolchain NAME points into it
#
# It is a sysroot laid over that of Debian's rustc (nothing under /usr changes), to which is added a
# wasm32 standard library built once from Debian's library sources; only the compiler of the same
# package can compile those. Needs the packages rustc-web, cargo-web and rust-web-src, and a linker
# for wasm: the rust-lld of rustup's own toolchain, else Debian's lld.
set -euo pipefail
folder=${1:?the folder for the toolchain}
name=${2:?the name of the toolchain}
target=wasm32-unknown-unknown
host=$(/usr/bin/rustc -vV | sed -n 's/^host: //p')
debian=$(/usr/bin/rustc --print sysroot)

rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/lib/rustlib/$host/bin" "$folder/lib/rustlib/$target/lib"
folder=$(cd "$folder" && pwd)

# The sysroot.
ln -s "$debian/lib/rustlib/$host/lib" "$folder/lib/rustlib/$host/lib"
ln -s /usr/lib/rustlib/src "$folder/lib/rustlib/src"
lld=$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld
[ -x "$lld" ] || lld=$(command -v lld lld-19 lld-16 lld-14 | head -n 1)
[ -n "$lld" ] || { echo "expected rust-lld or lld, found neither: apt-get install lld" >&2; exit 1; }
ln -s "$lld" "$folder/lib/rustlib/$host/bin/rust-lld"

# Debian's programs, told of the new sysroot.
for program in rustc rustdoc; do
  printf '#!/bin/sh\nexec /usr/bin/%s --sysroot=%s "$@"\n' "$program" "$folder" > "$folder/bin/$program"
  chmod +x "$folder/bin/$program"
done
ln -s /usr/bin/cargo "$folder/bin/cargo"

# The standard library: an empty crate whose only dependency it is. RUSTC_BOOTSTRAP lets a stable
# cargo build it.
crate=$(mktemp -d)
trap 'rm -rf "$crate"' EXIT
mkdir "$crate/src"
: > "$crate/src/lib.rs"
printf '[package]\nname = "empty"\nedition = "2021"\n[profile.release]\nopt-level = 3\n' > "$crate/Cargo.toml"
cd "$crate"
env -u RUSTUP_TOOLCHAIN -u CARGO -u CARGO_BUILD_TARGET \
  RUSTC_BOOTSTRAP=1 RUSTC="$folder/bin/rustc" RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$crate/target" \
  /usr/bin/cargo build --release --target "$target" -Zbuild-std=std,panic_abort,proc_macro,test
cp "$crate/target/$target/release/deps/"lib*.rlib "$folder/lib/rustlib/$target/lib/"
rm -f "$folder/lib/rustlib/$target/lib/"libempty-*.rlib

rustup toolchain link "$name" "$folder"
touch "$folder/complete"
