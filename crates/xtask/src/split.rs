//! Splits the page's program: what it starts with, and chunks that come when they are asked for.
//!
//! `Trunk.toml` calls this as a hook, so that every build of the page is split, whoever began it.
//! Functions with `#[wasm_split(CHUNK)]` and whatever they alone need go into chunks, which share the
//! program's memory and table. That takes the relocations that the linker leaves where it is asked
//! to (`.cargo/config.toml`), and wasm-bindgen drops them: so the program is split as cargo wrote it,
//! and what wasm-bindgen makes of its first part takes the place of what trunk has put there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha384};

use crate::wasm::TARGET;
use crate::workspace;

/// The page's program, as cargo calls it.
const PROGRAM: &str = "latent-web";

/// Where chunks are in the built page; in it a folder for each build, so that no two programs ever
/// share one.
pub const CHUNKS: &str = "chunks";

/// What loads them.
const LOADER: &str = "load.js";

/// Splits the program of the page that trunk builds, which calls this and says where it is.
///
/// # Errors
/// If trunk did not call, or as [`run`].
pub fn hook() -> Result<()> {
    let told = |name| std::env::var_os(name).with_context(|| format!("expected trunk's {name}"));
    run(
        Path::new(&told("TRUNK_STAGING_DIR")?),
        told("TRUNK_PROFILE")? == "release",
    )
}

/// Splits the program of the page that trunk has put into `staging`.
///
/// # Errors
/// If the page has no program, it cannot be split, or wasm-bindgen refuses its first part.
pub fn run(staging: &Path, is_release: bool) -> Result<()> {
    let built = built_program(is_release)?;
    let name = staged_name(staging)?;
    let work = target_folder()?.join("split");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot empty {}", work.display()))?;
    }
    let folder = format!(
        "{CHUNKS}/{}",
        name.trim_start_matches(PROGRAM).trim_matches('-')
    );
    let chunks = work.join(&folder);
    make_folder(&chunks)?;
    let program = read(&built)?;
    let main = work.join("main.wasm");
    let mut options = wasm_split_cli_support::Options::new(&program);
    let loader = format!("./{folder}/{LOADER}");
    let main_script = format!("../../{name}.js");
    options.output_dir = &work;
    options.main_out_path = &main;
    options.link_name = &loader;
    options.main_module = &main_script;
    let split = wasm_split_cli_support::transform(options);
    let split = split.map_err(|error| anyhow!("cannot split {}: {error:#}", built.display()))?;
    let script = chunks.join(LOADER);
    write(
        &script,
        with_own_instantiation(&read_text(&script)?)?.as_bytes(),
    )?;
    bind(&main, &work, &name)?;
    for chunk in &split.split_modules {
        let file = chunk.file_name().context("expected a chunk's file name")?;
        let stripped = match is_release {
            true => without_custom_sections(&read(chunk)?)?,
            false => read(chunk)?,
        };
        write(&chunks.join(file), &stripped)?;
    }
    let [script, wasm] = [format!("{name}.js"), format!("{name}_bg.wasm")];
    let bound = read(&work.join(&wasm))?;
    let bound = match is_release {
        true => without_custom_sections(&bound)?,
        false => bound,
    };
    write(&staging.join(&wasm), &bound)?;
    copy(&work.join(&script), &staging.join(&script))?;
    let page = staging.join("index.html");
    let html = with_integrity(&read_text(&page)?, &script, &read(&staging.join(&script))?)?;
    let html = with_integrity(&html, &wasm, &bound)?;
    let html = with_preload(&html, &loader, &read(&chunks.join(LOADER))?)?;
    write(&page, html.as_bytes())?;
    let staged = staging.join(&folder);
    make_folder(&staged)?;
    for entry in fs::read_dir(&chunks).with_context(|| format!("in {}", chunks.display()))? {
        let entry = entry?;
        copy(&entry.path(), &staged.join(entry.file_name()))?;
    }
    Ok(())
}

/// The program as cargo wrote it.
fn built_program(is_release: bool) -> Result<PathBuf> {
    let profile = if is_release { "page" } else { "debug" };
    let folder = target_folder()?.join(TARGET).join(profile);
    Ok(folder.join(format!("{PROGRAM}.wasm")))
}

fn target_folder() -> Result<PathBuf> {
    let output = workspace::cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let folder = metadata["target_directory"].as_str();
    Ok(folder.context("expected cargo's target_directory")?.into())
}

/// The name under which trunk has put the program: cargo's, and a checksum of the whole.
fn staged_name(staging: &Path) -> Result<String> {
    let entries = fs::read_dir(staging).with_context(|| format!("in {}", staging.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut programs = names.filter_map(|name| Some(name.strip_suffix("_bg.wasm")?.to_owned()));
    programs
        .find(|name| name.starts_with(PROGRAM))
        .with_context(|| format!("expected the page's program in {}", staging.display()))
}

/// Has wasm-bindgen write the first part and its script.
fn bind(main: &Path, folder: &Path, name: &str) -> Result<()> {
    let status = workspace::command("wasm-bindgen")
        // Chunks import what the linker exports.
        .args(["--target", "web", "--no-typescript", "--keep-lld-exports"])
        .args(["--out-name", name])
        .arg("--out-dir")
        .args([folder, main])
        .status()
        .context("cannot run wasm-bindgen")?;
    ensure!(status.success(), "wasm-bindgen failed ({status})");
    Ok(())
}

/// The loader for any host: as it is written it wants modules under a MIME type of their own, which
/// not every host knows.
fn with_own_instantiation(script: &str) -> Result<String> {
    const STREAMED: &str = "WebAssembly.instantiateStreaming(src, imports)";
    const OWN: &str = "instantiate(await src, imports)";
    ensure!(
        script.contains(STREAMED),
        "expected {STREAMED} in the loader"
    );
    Ok(format!(
        "async function instantiate(answer, imports) {{
    if (!answer.ok) {{
        throw new Error(`${{answer.url}}: the host answered with status ${{answer.status}}`);
    }}
    return WebAssembly.instantiate(await answer.arrayBuffer(), imports);
}}
{}",
        script.replace(STREAMED, OWN)
    ))
}

/// A module without names and whatever else is no part of the program.
fn without_custom_sections(module: &[u8]) -> Result<Vec<u8>> {
    const HEADER: usize = 8;
    const CUSTOM: u8 = 0;
    let mut kept = module.get(..HEADER).context("expected a module")?.to_vec();
    let mut rest = &module[HEADER..];
    while let Some((&kind, after)) = rest.split_first() {
        let (n_bytes, n_digits) = leb128(after).context("expected a section's length")?;
        let end = 1 + n_digits + n_bytes;
        let section = rest.get(..end).context("expected a whole section")?;
        if kind != CUSTOM {
            kept.extend_from_slice(section);
        }
        rest = &rest[end..];
    }
    Ok(kept)
}

/// A number of seven bits a byte, lowest first, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}

/// The page with another checksum of a file, as browsers hold files to it.
fn with_integrity(html: &str, file: &str, bytes: &[u8]) -> Result<String> {
    const MARK: &str = "integrity=\"";
    let place = html.find(&format!("{file}\""));
    let from = place.and_then(|place| Some(place + html[place..].find(MARK)? + MARK.len()));
    let to = from.and_then(|from| Some(from + html[from..].find('"')?));
    let (Some(from), Some(to)) = (from, to) else {
        return Err(anyhow!("expected {file} with its checksum in index.html"));
    };
    Ok(format!(
        "{}{}{}",
        &html[..from],
        integrity(bytes),
        &html[to..]
    ))
}

/// The page that fetches what loads chunks along with its program.
fn with_preload(html: &str, loader: &str, bytes: &[u8]) -> Result<String> {
    let (head, body) = html
        .split_once("</head>")
        .context("expected a head in index.html")?;
    let checksum = integrity(bytes);
    Ok(format!(
        "{head}<link rel=\"modulepreload\" href=\"{loader}\" crossorigin=\"anonymous\" \
         integrity=\"{checksum}\"></head>{body}"
    ))
}

/// A file's checksum, as pages state it.
fn integrity(bytes: &[u8]) -> String {
    format!("sha384-{}", BASE64_STANDARD.encode(Sha384::digest(bytes)))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is not UTF-8", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    write(to, &read(from)?)
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn names_go_and_the_program_stays() {
        let types = [1, 4, 1, 0x60, 0, 0];
        let name = [0, 6, 4, b'n', b'a', b'm', b'e', 9];
        let with_names = [MODULE, &name, &types, &name].concat();
        let found = without_custom_sections(&with_names).unwrap();
        assert_eq!(found, [MODULE, &types].concat());
        let cut = &with_names[..with_names.len() - 1];
        assert!(without_custom_sections(cut).is_err());
    }

    #[test]
    fn lengths_of_several_bytes_are_read() {
        assert_eq!(leb128(&[0x7F, 1]), Some((127, 1)));
        assert_eq!(leb128(&[0x80, 1]), Some((128, 2)));
        assert_eq!(leb128(&[0x80]), None);
    }

    /// As `openssl dgst -sha384 -binary | base64` has it.
    #[test]
    fn a_checksum_is_what_browsers_compute() {
        let expected = "sha384-ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn";
        assert_eq!(integrity(b"abc"), expected);
    }

    #[test]
    fn a_file_s_checksum_is_replaced_and_no_other_one() {
        let html = "<head><link href=\"./a.js\" integrity=\"1\"><link href=\"./b.js\" \
                    integrity=\"2\"></head>";
        let found = with_integrity(html, "b.js", b"abc").unwrap();
        let expected = html.replace("\"2\"", &format!("{:?}", integrity(b"abc")));
        assert_eq!(found, expected);
        assert!(with_integrity(html, "c.js", b"abc").is_err());
    }
}
