//! What a run means, in plain Rust: models, programs, traces, tasks, metrics, the engine's
//! contract, and the reference engine.
//!
//! No I/O, no GPU, no browser, no clock: callers bring bytes and take records.

pub mod address;
pub mod analysis;
pub mod catalogue;
pub mod chat;
pub mod checkpoint;
pub mod compare;
pub mod config;
pub mod contemplation;
pub mod engine;
pub mod evaluation;
pub mod evidence;
pub mod gguf;
pub mod hub;
pub mod input;
mod matrix;
pub mod metrics;
pub mod model;
pub mod parity;
pub mod program;
pub mod record;
pub mod recording;
pub mod reference;
pub mod rng;
pub mod select;
pub mod strategy;
pub mod tasks;
pub mod text;
pub mod tokenizer;
pub mod trace;
pub mod training_record;
pub mod turns;
