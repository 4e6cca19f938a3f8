//! `cargo +nightly fuzz run tokenizer`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| latent_fuzz::tokenizer(bytes));
