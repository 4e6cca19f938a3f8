//! `cargo +nightly fuzz run gguf`: whatever the bytes are, they are a model or an error.
#![no_main]

use latent_model::model::{Model, ModelFiles};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(files) = ModelFiles::from_gguf("fuzz.gguf", data.to_vec().into()) {
        let _ = Model::from_files(&files);
    }
});
