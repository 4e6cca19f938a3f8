//! `cargo +nightly fuzz run tokenizer`: whatever the text is, it is a tokenizer that reads and
//! writes, or an error.
#![no_main]

use latent_model::{chat::ChatTemplate, tokenizer::Tokenizer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(tokenizer) = Tokenizer::from_json(text) {
        if let Ok(ids) = tokenizer.encode_prompt("Tom is a lempus – 7 🦀\n") {
            tokenizer.decode(&ids);
        }
    }
    if let Ok(Some(template)) = ChatTemplate::from_files(Some(text), None) {
        let _ = template.render(&[]);
    }
});
