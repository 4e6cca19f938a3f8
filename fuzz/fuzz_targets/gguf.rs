//! `cargo +nightly fuzz run gguf`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| latent_fuzz::gguf(bytes));
