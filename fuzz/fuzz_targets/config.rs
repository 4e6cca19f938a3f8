//! `cargo +nightly fuzz run config`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| latent_fuzz::config(bytes));
