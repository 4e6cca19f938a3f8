//! `cargo +nightly fuzz run config`: whatever the text is, it is a config or an error.
#![no_main]

use latent_model::config::{ModelConfig, end_tokens};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = ModelConfig::from_json(text);
    let _ = end_tokens(text, Some(text));
});
