//! `cargo +nightly fuzz run address`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| latent_fuzz::address(bytes));
