//! Makes the built page one that works without a network: the list of files that its service worker
//! keeps, and the version that the list is of.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// What stands in `web/sw.js` until the list is known.
const UNFILLED: &str = "{ version: \"unpackaged\", files: [] }; // PRECACHE";

/// The service worker itself: a browser asks for it anew whenever the page is opened.
const WORKER: &str = "sw.js";

/// What is kept only once it is used, or never: checkpoints, models of others, and pictures of the README.
const LATER: [&str; 3] = ["models/", "images/", "brought/"];
/// What is kept at once all the same.
const AT_ONCE: [&str; 2] = ["models/index.json", "brought/index.json"];

/// Writes the service worker of the page built in `dist`, from its source `template`.
///
/// # Errors
/// If a file cannot be read or written, or the source has no place for the list.
pub fn write_worker(dist: &Path, template: &str) -> Result<()> {
    let mut files = Vec::new();
    collect(dist, "", &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    for name in &files {
        let bytes = fs::read(dist.join(name)).with_context(|| format!("cannot read {name}"))?;
        digest.update(name.as_bytes());
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
    }
    // A worker that behaves otherwise is another version, too.
    digest.update(template.as_bytes());
    let version: String = digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let kept = files.iter().filter(|name| is_kept_at_once(name));
    let listed: String = kept
        .map(|name| format!("\n  {:?},", format!("./{name}")))
        .collect();
    let filled = format!("{{ version: \"{version}\", files: [\n  \"./\",{listed}\n] }};");
    ensure!(
        template.matches(UNFILLED).count() == 1,
        "expected {UNFILLED:?} once in {WORKER}"
    );
    let worker = template.replace(UNFILLED, &filled);
    let path = dist.join(WORKER);
    fs::write(&path, worker).with_context(|| format!("cannot write {}", path.display()))
}

/// The names of all files but the worker, with `/` between folders whatever the machine.
fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("in {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .with_context(|| format!("{name:?} is no name for the web"))?;
        let name = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), names)?;
        } else if name != WORKER {
            names.push(name);
        }
    }
    Ok(())
}

fn is_kept_at_once(name: &str) -> bool {
    AT_ONCE.contains(&name) || !LATER.iter().any(|folder| name.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str =
        "const { version, files } = { version: \"unpackaged\", files: [] }; // PRECACHE\n";

    fn site(name: &str, weights: &[u8]) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("latent-{name}-{}", std::process::id()));
        let model = folder.join("models/a");
        fs::create_dir_all(&model).expect("a folder");
        fs::write(folder.join("index.html"), "page").expect("a file");
        fs::write(folder.join("models/index.json"), "{}").expect("a file");
        fs::write(model.join("model.safetensors"), weights).expect("a file");
        folder
    }

    fn worker(folder: &Path) -> String {
        write_worker(folder, TEMPLATE).expect("a place for the list");
        fs::read_to_string(folder.join(WORKER)).expect("it was written")
    }

    #[test]
    fn the_list_has_the_page_and_no_checkpoint_and_its_version_all_of_them() {
        let folder = site("worker", b"weights");
        let first = worker(&folder);
        for kept in ["\"./\",", "\"./index.html\",", "\"./models/index.json\","] {
            assert!(first.contains(kept), "{kept} in {first}");
        }
        assert!(
            !first.contains("safetensors") && !first.contains(WORKER),
            "{first}"
        );
        assert_eq!(
            worker(&folder),
            first,
            "the worker itself is no part of its version"
        );
        site("worker", b"other weights");
        assert_ne!(worker(&folder), first, "other weights are another version");
        fs::remove_dir_all(folder).expect("it was made here");
    }

    #[test]
    fn a_worker_without_a_place_for_the_list_is_refused() {
        let folder = site("no-place", b"weights");
        let error = write_worker(&folder, "const files = [];").expect_err("no place");
        assert!(error.to_string().contains("PRECACHE"), "{error}");
        fs::remove_dir_all(folder).expect("it was made here");
    }

    #[test]
    fn the_page_s_own_worker_has_the_place() {
        let source = include_str!("../../../web/sw.js");
        assert_eq!(source.matches(UNFILLED).count(), 1);
    }
}
