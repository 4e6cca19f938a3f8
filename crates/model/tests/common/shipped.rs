//! Checkpoints that ship, for the tests of any crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use latent_model::model::ModelFiles;

/// The folder of the repository that the page serves.
pub fn public() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = here.ancestors().map(|folder| folder.join("public"));
    let found = folders.find(|folder| folder.join("models/index.json").exists());
    found.expect("the repository has it")
}

/// The files of a checkpoint, but for adapters.
pub fn shipped_files(name: &str) -> ModelFiles {
    let folder = public().join("models").join(name);
    let read = |file: &str| {
        let path = folder.join(file);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let text = |file: &str| String::from_utf8(read(file)).expect("text");
    ModelFiles {
        config: text("config.json"),
        generation_config: Some(text("generation_config.json")),
        tokenizer: text("tokenizer.json"),
        tokenizer_config: None,
        chat_template: None,
        weights: vec![("model.safetensors".into(), read("model.safetensors").into())],
        contemplation: None,
    }
}
