//! The page in a real browser. These tests need `dist/`: `cargo xtask test` builds it first.

mod chromium;
mod in_chromium;
mod reference_run;
