//! Reads a model folder from disk.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use latent_model::{
    checkpoint::shard_names,
    model::{Model, ModelFiles},
    text,
    training_record::TrainingRecord,
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Loads and checks the model in `folder`.
pub fn load_model(folder: &Path) -> Result<Model> {
    ensure!(
        folder.is_dir(),
        "{} is not a model folder",
        folder.display()
    );
    let text = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let weights = weights_paths(folder)?
        .into_iter()
        .map(|path| {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default();
            Ok((name.to_string_lossy().into_owned(), bytes.into()))
        })
        .collect::<Result<_>>()?;
    let files = ModelFiles {
        config: text("config.json")?,
        tokenizer: text("tokenizer.json")?,
        generation_config: optional_text(&folder.join("generation_config.json"))?,
        weights,
    };
    Model::from_files(&files).with_context(|| format!("in {}", folder.display()))
}

/// The text of a file, if there is one.
fn optional_text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// How the model in `folder` was trained, where its `training.json` tells.
pub fn load_training_record<C: DeserializeOwned>(
    folder: &Path,
) -> Result<Option<TrainingRecord<C>>> {
    let path = folder.join("training.json");
    let Some(json) = optional_text(&path)? else {
        return Ok(None);
    };
    let record = serde_json::from_str(&text::clean(&json));
    record
        .with_context(|| format!("in {}", path.display()))
        .map(Some)
}

/// `model.safetensors`, or every shard in the order of their index.
fn weights_paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let path = folder.join("model.safetensors.index.json");
    let index = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))
        .with_context(|| format!("there is no {} either", single.display()))?;
    let names = shard_names(&index)?;
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// SHA-256 of the weights, in hexadecimal; for a single file the same as `sha256sum` prints.
pub fn weights_digest(folder: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    for path in weights_paths(folder)? {
        digest.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(hex(&digest.finalize()))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder's own name, which is the checkpoint's name.
pub fn model_name(folder: &Path) -> String {
    let name = folder.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name);
    name.map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
