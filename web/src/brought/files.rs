//! A model out of the files that make it, in the number format that fits.

use latent_gpu::WeightMemory;
use latent_model::{
    checkpoint::{WeightFormat, Weights, shard_names},
    config::ModelConfig,
    model::{Model, ModelError, ModelFiles},
};

use crate::{browser::BREATHE, load::LoadError};

/// Weights of up to so many bindings of the device are kept as exactly as they can be.
pub(super) const MOST_BINDINGS: u64 = 2;

/// Bytes of a binding on every device of this page, which asks for WebGPU's default limits.
pub(super) const BINDING: u64 = 128 << 20;

/// The files of a folder beside its weights, and whether a model needs them.
pub(super) const TEXTS: [(&str, bool); 5] = [
    ("config.json", true),
    ("tokenizer.json", true),
    ("generation_config.json", false),
    ("tokenizer_config.json", false),
    ("chat_template.jinja", false),
];

/// Which of some files make a model, by their places, in the order in which they are read: the
/// texts first, which are soon seen to be wrong.
pub(super) fn wanted<'a>(paths: impl Iterator<Item = &'a str>) -> Result<Vec<usize>, LoadError> {
    let names: Vec<&str> = paths.map(last_part).collect();
    if let Some(gguf) = names.iter().position(|name| is_gguf(name)) {
        return Ok(vec![gguf]);
    }
    let place = |wished: &str| names.iter().position(|name| *name == wished);
    let texts = TEXTS.iter().filter_map(|(name, _)| place(name));
    let mut chosen: Vec<usize> = texts.collect();
    let is_needed = |(name, is_needed): &(&str, bool)| *is_needed && place(name).is_none();
    let weights = names.iter().enumerate();
    let is_weights = |(_, name): &(usize, &&str)| name.ends_with(".safetensors");
    let weights: Vec<usize> = weights.filter(is_weights).map(|(at, _)| at).collect();
    if weights.is_empty() || TEXTS.iter().any(is_needed) {
        let found = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        return Err(LoadError::NoModel { found });
    }
    match place("model.safetensors") {
        // Adapters and the like lie beside it.
        Some(single) => chosen.push(single),
        None => chosen.extend(weights),
    }
    Ok(chosen)
}

pub(super) fn shards_of(name: &str, json: &[u8]) -> Result<Vec<String>, LoadError> {
    let json = String::from_utf8_lossy(json);
    shard_names(&json).map_err(|reason| LoadError::Model {
        name: name.into(),
        reason: Box::new(reason.into()),
    })
}

/// Reads a model out of the files that were brought, in the format that `choose` wants for it; the
/// page draws in between.
pub(super) async fn model_in(
    name: &str,
    files: Vec<(String, Vec<u8>)>,
    choose: impl FnOnce(&Model) -> WeightFormat,
) -> Result<Model, LoadError> {
    let files = folder_of(name, files).await?;
    let model = read(name, &files).await?;
    let format = choose(&model);
    Ok(model
        .with_weights_out_of(files, format, Some(BREATHE))
        .await)
}

async fn folder_of(name: &str, files: Vec<(String, Vec<u8>)>) -> Result<ModelFiles, LoadError> {
    let mut folder = ModelFiles {
        config: String::new(),
        generation_config: None,
        tokenizer: String::new(),
        tokenizer_config: None,
        chat_template: None,
        weights: Vec::new(),
        contemplation: None,
    };
    for (file, bytes) in files {
        if is_gguf(&file) {
            return Ok(ModelFiles::from_gguf_in_turns(&file, bytes.into(), Some(BREATHE)).await?);
        }
        if file.ends_with(".safetensors") {
            folder.weights.push((file, bytes.into()));
            continue;
        }
        let url = format!("{name}/{file}");
        let text = String::from_utf8(bytes).map_err(|_| LoadError::Utf8 { url })?;
        match file.as_str() {
            "config.json" => folder.config = text,
            "tokenizer.json" => folder.tokenizer = text,
            "generation_config.json" => folder.generation_config = Some(text),
            "tokenizer_config.json" => folder.tokenizer_config = Some(text),
            "chat_template.jinja" => folder.chat_template = Some(text),
            _ => {}
        }
    }
    Ok(folder)
}

/// Reads a model out of a folder's files; the page draws in between.
pub async fn read(name: &str, files: &ModelFiles) -> Result<Model, LoadError> {
    let read = Model::from_files_in_turns(files, Some(BREATHE)).await;
    read.map_err(|reason: ModelError| LoadError::Model {
        name: name.into(),
        reason: Box::new(reason),
    })
}

/// The most exact format in which the weights take no more than some bindings of the device; the
/// smallest one where none does.
pub(super) fn fitting_format(model: &Model) -> WeightFormat {
    let fits = |format: &WeightFormat| {
        needed(&model.config, *format, &model.weights) <= MOST_BINDINGS * BINDING
    };
    let formats = WeightFormat::ALL;
    formats
        .into_iter()
        .find(fits)
        .unwrap_or(formats[formats.len() - 1])
}

pub(super) fn needed(config: &ModelConfig, format: WeightFormat, weights: &Weights) -> u64 {
    WeightMemory::of(config, format, weights.capabilities(), BINDING).n_bytes
}

/// Whether a file of a model holds weights.
pub(super) fn is_weights(path: &str) -> bool {
    is_gguf(path) || path.ends_with(".safetensors")
}

pub(super) fn is_gguf(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".gguf")
}

pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(paths: &[&str]) -> Result<Vec<String>, String> {
        let wanted = wanted(paths.iter().copied()).map_err(|error| error.to_string())?;
        Ok(wanted.into_iter().map(|at| paths[at].to_string()).collect())
    }

    #[test]
    fn a_folder_is_read_texts_first_and_nothing_beside_it() {
        let folder = [
            "m/README.md",
            "m/model.safetensors",
            "m/tokenizer.json",
            "m/config.json",
            "m/ccot/contemplation.safetensors",
        ];
        let expected = ["m/config.json", "m/tokenizer.json", "m/model.safetensors"];
        assert_eq!(chosen(&folder).expect("a model"), expected);
        assert_eq!(
            chosen(&["a.GGUF", "notes.txt"]).expect("a file"),
            ["a.GGUF"]
        );
        let shards = [
            "b-2.safetensors",
            "b-1.safetensors",
            "config.json",
            "tokenizer.json",
        ];
        assert_eq!(chosen(&shards).expect("shards").len(), 4);
        let error = chosen(&["config.json", "model.safetensors"]).expect_err("no tokenizer");
        assert!(
            error.contains("found config.json, model.safetensors"),
            "{error}"
        );
    }
}
