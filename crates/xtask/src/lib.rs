//! What the command `cargo xtask` and the browser tests share: set-up, page build, file server.

pub mod bench;
pub mod brought_model;
pub mod deny;
pub mod offline;
pub mod page;
pub mod progress;
pub mod python;
pub mod requirement;
pub mod server;
pub mod setup;
pub mod size;
pub mod split;
pub mod suite;
pub mod wasm;
pub mod workspace;
