//! Puts a pretrained model into the built page, in parts that static hosts accept.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::progress::command_text;
use crate::workspace;

/// The folder of the site that holds models which people bring.
pub const FOLDER: &str = "brought";
/// The file in it that lists them.
pub const INDEX: &str = "index.json";
/// Bytes of a part at most: hosts take files of up to 25 MiB, some of them of 25 MB.
pub const PART_BYTES: u64 = 24_000_000;

/// A model that comes with the page.
#[derive(Args, Clone, Debug, Default)]
pub struct BroughtModel {
    /// Ships a pretrained model with the page: one that `latent fetch` knows, or a GGUF file.
    #[arg(long)]
    pub model: Option<String>,
}

impl BroughtModel {
    /// Puts the model, if one is named, into the site in `dist`; whether one was.
    pub fn place(&self, dist: &Path) -> Result<bool> {
        let Some(model) = &self.model else {
            return Ok(false);
        };
        let path = match Path::new(model).is_file() {
            true => PathBuf::from(model),
            false => fetched(model)?,
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        place(&path, &name, dist)?;
        Ok(true)
    }
}

/// Has `latent fetch` load a model, and gives its path.
fn fetched(name: &str) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    command
        .args(["run", "--quiet", "--package", "latent-cli", "--"])
        .args(["fetch", name, "--json"])
        .stderr(std::process::Stdio::inherit());
    let shown = command_text(&command);
    let output = command.output();
    let output = output.with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(
        output.status.success(),
        "`{shown}` failed ({})",
        output.status
    );
    let told: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("expected JSON from `{shown}`"))?;
    let path = told["path"].as_str();
    let path = path.with_context(|| format!("expected a path from `{shown}`, found {told}"))?;
    Ok(path.into())
}

/// Writes a file's parts, and the list of one model that says how they make the file again.
pub fn place(path: &Path, name: &str, dist: &Path) -> Result<()> {
    let reading = || format!("cannot read {}", path.display());
    let folder = dist.join(FOLDER);
    let writing = || format!("cannot write to {}", folder.display());
    let mut file = File::open(path).with_context(reading)?;
    let bytes = file.metadata().with_context(reading)?.len();
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(writing)?;
    }
    fs::create_dir_all(&folder).with_context(writing)?;
    let mut digest = Sha256::new();
    let mut parts = Vec::new();
    let mut part = Vec::new();
    loop {
        part.clear();
        let mut rest = (&mut file).take(PART_BYTES);
        if rest.read_to_end(&mut part).with_context(reading)? == 0 {
            break;
        }
        let part_name = format!("{name}-{:03}.part", parts.len());
        let mut to = File::create(folder.join(&part_name)).with_context(writing)?;
        to.write_all(&part).with_context(writing)?;
        digest.update(&part);
        parts.push(part_name);
    }
    let digest: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let index = json!({"models": [{
        "name": name,
        "file": format!("{name}.gguf"),
        "bytes": bytes,
        "sha256": digest,
        "parts": parts,
    }]});
    fs::write(folder.join(INDEX), format!("{index}\n")).with_context(writing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_the_file_again() {
        let folder = std::env::temp_dir().join(format!("xtask-brought-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("small.gguf");
        // A part and the beginning of another.
        let contents: Vec<u8> = (0..PART_BYTES + 10).map(|at| (at % 251) as u8).collect();
        fs::write(&path, &contents).expect("it can be written");
        place(&path, "small", &folder).expect("it can be placed");
        let index = fs::read(folder.join(FOLDER).join(INDEX)).expect("an index");
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        let model = &index["models"][0];
        assert_eq!(model["bytes"], contents.len());
        let parts = model["parts"].as_array().expect("a list");
        let parts = parts.iter().map(|part| part.as_str().expect("a name"));
        let parts: Vec<Vec<u8>> = parts
            .map(|part| fs::read(folder.join(FOLDER).join(part)).expect("a part"))
            .collect();
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|part| part.len() as u64 <= PART_BYTES));
        assert!(parts.concat() == contents);
        fs::remove_dir_all(&folder).expect("it can be removed");
    }
}
