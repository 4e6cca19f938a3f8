//! What a visitor downloads before the page runs, held to what it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::split::CHUNKS;
use crate::workspace;

/// The sizes of the built page's program and of the JavaScript that loads it, in kB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// As they lie there.
    pub raw_kb: u64,
    /// As hosts send them.
    pub gzip_kb: u64,
}

/// What a visitor downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Before the page runs.
    pub first: Size,
    /// Whoever opens everything.
    pub all: Size,
}

/// Measures the page in `dist`, and compares it with the file that also tells how it became so.
///
/// # Errors
/// If the page has no program, or is larger than the file says.
pub fn check(dist: &Path) -> Result<Sizes> {
    let path = workspace::root().join("crates/cli/bench/page.json");
    let reading = || format!("cannot read {}", path.display());
    let known: Value = serde_json::from_slice(&fs::read(&path).with_context(reading)?)
        .with_context(|| format!("in {}", path.display()))?;
    let found = measure(dist)?;
    for (name, what, size) in [
        ("most_gzip_kb", "of what the page starts with", found.first),
        ("most_gzip_kb_of_all", "of program and glue", found.all),
    ] {
        let most = known[name].as_u64();
        let most = most.with_context(|| format!("expected {name} in {}", path.display()))?;
        ensure!(
            size.gzip_kb <= most,
            "expected at most {most} kB (gzip) {what}, as {} says, found {} kB",
            path.display(),
            size.gzip_kb
        );
    }
    Ok(found)
}

fn measure(dist: &Path) -> Result<Sizes> {
    let mut files = Vec::new();
    collect(dist, &mut files)?;
    let (mut first, mut all) = ([0; 2], [0; 2]);
    let mut has_program = false;
    for path in files {
        let is_program = path.extension().is_some_and(|kind| kind == "wasm");
        let is_later = is_program && path.starts_with(dist.join(CHUNKS));
        has_program |= is_program && !is_later;
        let of_file = || format!("cannot read {}", path.display());
        let raw = fs::metadata(&path).with_context(of_file)?.len();
        let output = Command::new("gzip").arg("-9nc").arg(&path).output();
        let output = output.context("cannot run gzip")?;
        ensure!(output.status.success(), "gzip failed on {}", path.display());
        let sums = if is_later {
            vec![&mut all]
        } else {
            vec![&mut first, &mut all]
        };
        for sum in sums {
            sum[0] += raw;
            sum[1] += output.stdout.len() as u64;
        }
    }
    ensure!(
        has_program,
        "expected a program in {}, found none",
        dist.display()
    );
    let size = |sum: [u64; 2]| {
        let [raw_kb, gzip_kb] = sum.map(|bytes| bytes.div_ceil(1000));
        Size { raw_kb, gzip_kb }
    };
    Ok(Sizes {
        first: size(first),
        all: size(all),
    })
}

/// Programs and scripts, but for the service worker, which is fetched once the page runs.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("in {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
            continue;
        }
        let extension = path.extension().unwrap_or_default();
        if (extension == "wasm" || extension == "js") && !path.ends_with("sw.js") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_and_glue_are_measured_and_nothing_else() {
        let dist = std::env::temp_dir().join(format!("latent-size-{}", std::process::id()));
        fs::create_dir_all(dist.join("chunks/1")).unwrap();
        fs::write(dist.join("chunks/1/split_a.wasm"), vec![0; 3_000]).unwrap();
        assert!(
            measure(&dist)
                .unwrap_err()
                .to_string()
                .contains("found none")
        );
        for (name, bytes) in [
            ("a_bg.wasm", vec![0; 5_000]),
            ("a.js", vec![0; 5_000]),
            ("sw.js", vec![0; 70_000]),
            ("model.safetensors", vec![0; 70_000]),
        ] {
            fs::write(dist.join(name), bytes).unwrap();
        }
        let size = |raw_kb| Size { raw_kb, gzip_kb: 1 };
        let [first, all] = [10, 13].map(size);
        assert_eq!(measure(&dist).unwrap(), Sizes { first, all });
        fs::remove_dir_all(&dist).unwrap();
    }
}
