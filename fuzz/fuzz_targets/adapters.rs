//! `cargo +nightly fuzz run adapters`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| latent_fuzz::adapters(bytes));
