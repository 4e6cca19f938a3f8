//! `cargo +nightly fuzz run data`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| latent_fuzz::data(bytes));
