//! Reads a model folder from disk.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use latent_model::{
    checkpoint::shard_names,
    model::{Model, ModelFiles},
};

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
    let single = folder.join("model.safetensors");
    let names = if single.exists() {
        vec!["model.safetensors".to_string()]
    } else {
        let index = text("model.safetensors.index.json")
            .with_context(|| format!("there is no {} either", single.display()))?;
        shard_names(&index)?
    };
    let weights = names
        .into_iter()
        .map(|name| {
            let path = folder.join(&name);
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((name, bytes))
        })
        .collect::<Result<_>>()?;
    let files = ModelFiles {
        config: text("config.json")?,
        tokenizer: text("tokenizer.json")?,
        weights,
        training: fs::read_to_string(folder.join("training.json")).ok(),
    };
    Model::from_files(&files).with_context(|| format!("in {}", folder.display()))
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
