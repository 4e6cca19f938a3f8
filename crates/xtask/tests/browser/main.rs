//! The page in a real browser. These tests need `dist/`: `cargo xtask test` builds it first.

mod chromium;
mod firefox;
mod in_chromium;
mod in_firefox;
mod profile;
mod reference_run;
