//! Trains small Llama checkpoints on generated problems and exports them.

pub mod coconut;
pub mod config;
pub mod evaluation;
pub mod export;
pub mod fused;
pub mod hand_gradient;
pub mod llama;
pub mod objective;
pub mod optimizer;
pub mod parameters;
pub mod progress;
pub mod random;
pub mod recall;
pub mod run;
pub mod samples;
pub mod targets;
pub mod tokenizer_json;
pub mod words;

use std::path::Path;

use burn::tensor::Device;

/// Trains what a TOML file describes; state, log and the latest export are in `runs/NAME/`.
///
/// With `resume` the run goes on from its saved state, else it starts afresh.
///
/// # Errors
/// If the config or the saved state cannot be used, a file cannot be written, or a loss is not a
/// finite number.
pub fn run(config_path: &Path, resume: bool) -> anyhow::Result<()> {
    let config = config::RunConfig::load(config_path)?;
    let folder = Path::new("runs").join(&config.name);
    run::Run::new(config, &folder, &Device::flex(), resume)?.train()
}
