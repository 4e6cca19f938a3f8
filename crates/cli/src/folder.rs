//! Reads a model from disk: a folder in the Hugging Face layout, or a GGUF file.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use latent_model::{
    checkpoint::{WeightFormat, shard_names},
    contemplation::{self, ContemplationFiles},
    model::{Model, ModelFiles},
    text,
    training_record::TrainingRecord,
    turns::at_once,
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Which checkpoint a command runs.
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// A model folder, or a GGUF file.
    #[arg(long)]
    pub model: PathBuf,
    #[command(flatten)]
    pub loading: LoadingArgs,
}

/// What is loaded of a checkpoint.
#[derive(Args, Clone, Debug)]
pub struct LoadingArgs {
    /// The folder in it that holds the adapters of CCOT [default: ccot, where there is one].
    #[arg(long)]
    pub adapters: Option<String>,
    /// How matrices are kept: f32, f16 or int8 (blocks of 32 with a scale).
    #[arg(long, default_value = "f32", value_parser = str::parse::<WeightFormat>)]
    pub weights: WeightFormat,
}

impl ModelArgs {
    /// Loads and checks the model.
    pub fn load(&self) -> Result<Model> {
        load_in(&self.model, self.adapters(), self.loading.weights)
    }

    /// The folder of adapters, where one is named.
    pub fn adapters(&self) -> Option<&str> {
        self.loading.adapters.as_deref()
    }

    /// As [`weights_digest`].
    pub fn weights_digest(&self) -> Result<String> {
        weights_digest(&self.model, self.adapters())
    }

    /// The checkpoint's name, with that of the adapters where they are named.
    pub fn name(&self) -> String {
        let adapters = self.adapters().map(|adapters| format!("/{adapters}"));
        model_name(&self.model) + &adapters.unwrap_or_default()
    }
}

/// Loads and checks the model at `path`, with CCOT's adapters where they lie in the folder that
/// they lie in by default.
pub fn load_model(folder: &Path) -> Result<Model> {
    load_adapted(folder, None)
}

/// Loads and checks the model at `path`, with the adapters in its folder `adapters`, if given.
pub fn load_adapted(path: &Path, adapters: Option<&str>) -> Result<Model> {
    load_in(path, adapters, WeightFormat::F32)
}

/// The same with its matrices in a format.
pub fn load_in(path: &Path, adapters: Option<&str>, format: WeightFormat) -> Result<Model> {
    let files = match path.is_file() {
        true => gguf_files(path, adapters)?,
        false => folder_files(path, adapters)?,
    };
    let model = Model::from_files(&files).with_context(|| format!("in {}", path.display()))?;
    Ok(at_once(model.with_weights_out_of(files, format, None)))
}

/// What a GGUF file holds; its weights are the file itself.
fn gguf_files(path: &Path, adapters: Option<&str>) -> Result<ModelFiles> {
    if let Some(adapters) = adapters {
        bail!(
            "{}: a file has no folder of adapters {adapters:?}",
            path.display()
        );
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(ModelFiles::from_gguf(
        &path.display().to_string(),
        bytes.into(),
    )?)
}

fn folder_files(folder: &Path, adapters: Option<&str>) -> Result<ModelFiles> {
    ensure!(
        folder.is_dir(),
        "{} is neither a model folder nor a GGUF file",
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
    Ok(ModelFiles {
        config: text("config.json")?,
        tokenizer: text("tokenizer.json")?,
        generation_config: optional_text(&folder.join("generation_config.json"))?,
        tokenizer_config: optional_text(&folder.join("tokenizer_config.json"))?,
        chat_template: optional_text(&folder.join("chat_template.jinja"))?,
        weights,
        contemplation: contemplation_files(folder, adapters)?,
    })
}

/// The files of CCOT's adapters: those that are named, else the default ones where there are any.
fn contemplation_files(
    folder: &Path,
    adapters: Option<&str>,
) -> Result<Option<ContemplationFiles>> {
    let known = adapter_folders(folder)?;
    let name = adapters.unwrap_or(contemplation::FOLDER);
    if !known.iter().any(|known| known == name) {
        return match (adapters, &known[..]) {
            (None, _) => Ok(None),
            (Some(_), []) => bail!("{} has no adapters of CCOT", folder.display()),
            (Some(_), known) => bail!(
                "{} has no adapters {name:?}; it has: {}",
                folder.display(),
                known.join(", ")
            ),
        };
    }
    let mut files = ContemplationFiles {
        folder: name.into(),
        contents: Default::default(),
    };
    for (file, contents) in contemplation::FILES.iter().zip(&mut files.contents) {
        let path = folder.join(name).join(file);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        *contents = bytes.into();
    }
    Ok(Some(files))
}

/// The folders of CCOT's adapters in a model folder, sorted.
pub fn adapter_folders(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.path().join(contemplation::FILES[0]).exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
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

/// `model.safetensors`, or every shard in the order of their index; a GGUF file is its own.
fn weights_paths(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_file() {
        return Ok(vec![folder.into()]);
    }
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

/// SHA-256 of the weights, in hexadecimal; for a single file the same as `sha256sum` prints. With
/// adapters, those of the folder that is named or read by default, it is of their files too.
pub fn weights_digest(folder: &Path, adapters: Option<&str>) -> Result<String> {
    let mut digest = Sha256::new();
    for path in weights_paths(folder)? {
        digest.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    if folder.is_dir() {
        let files = contemplation_files(folder, adapters)?;
        for contents in files.iter().flat_map(|files| &files.contents) {
            digest.update(contents);
        }
    }
    Ok(hex(&digest.finalize()))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder's or file's own name, which is the checkpoint's name.
pub fn model_name(folder: &Path) -> String {
    let name = folder.canonicalize().ok();
    let name = name.as_deref().and_then(|path| match path.is_file() {
        true => path.file_stem(),
        false => path.file_name(),
    });
    name.map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
