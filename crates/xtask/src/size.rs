//! What a visitor downloads before the page runs, held to what it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// The sizes of the built page's program and of the JavaScript that loads it, in kB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// As they lie there.
    pub raw_kb: u64,
    /// As hosts send them.
    pub gzip_kb: u64,
}

/// Measures the page in `dist`, and compares it with the file that also tells how it became so.
///
/// # Errors
/// If the page has no program, or is larger than the file says.
pub fn check(dist: &Path) -> Result<Size> {
    let path = workspace::root().join("crates/cli/bench/page.json");
    let reading = || format!("cannot read {}", path.display());
    let sizes: Value = serde_json::from_slice(&fs::read(&path).with_context(reading)?)
        .with_context(|| format!("in {}", path.display()))?;
    let most = sizes["most_gzip_kb"].as_u64();
    let most = most.with_context(|| format!("expected most_gzip_kb in {}", path.display()))?;
    let found = measure(dist)?;
    ensure!(
        found.gzip_kb <= most,
        "expected at most {most} kB (gzip) of program and glue, as {} says, found {} kB",
        path.display(),
        found.gzip_kb
    );
    Ok(found)
}

fn measure(dist: &Path) -> Result<Size> {
    let reading = || format!("cannot read {}", dist.display());
    let (mut raw, mut gzip) = (0, 0);
    let mut has_program = false;
    for entry in fs::read_dir(dist).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let extension = path.extension().unwrap_or_default();
        // The service worker is fetched once the page runs.
        if extension != "wasm" && extension != "js" || path.ends_with("sw.js") {
            continue;
        }
        has_program |= extension == "wasm";
        let of_file = || format!("cannot read {}", path.display());
        raw += fs::metadata(&path).with_context(of_file)?.len();
        let output = Command::new("gzip").arg("-9nc").arg(&path).output();
        let output = output.context("cannot run gzip")?;
        ensure!(output.status.success(), "gzip failed on {}", path.display());
        gzip += output.stdout.len() as u64;
    }
    ensure!(
        has_program,
        "expected a program in {}, found none",
        dist.display()
    );
    let [raw_kb, gzip_kb] = [raw, gzip].map(|bytes: u64| bytes.div_ceil(1000));
    Ok(Size { raw_kb, gzip_kb })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_and_glue_are_measured_and_nothing_else() {
        let dist = std::env::temp_dir().join(format!("latent-size-{}", std::process::id()));
        fs::create_dir_all(&dist).unwrap();
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
        let (raw_kb, gzip_kb) = (10, 1);
        assert_eq!(measure(&dist).unwrap(), Size { raw_kb, gzip_kb });
        fs::remove_dir_all(&dist).unwrap();
    }
}
