//! `cargo +nightly fuzz run program`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| latent_fuzz::program(bytes));
