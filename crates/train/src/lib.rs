//! Trains small Llama checkpoints on generated problems and exports them.

pub mod asked;
pub mod config;
pub mod end_classifier;
pub mod evaluation;
pub mod export;
pub mod fused;
pub mod hand_gradient;
pub mod lesson;
pub mod llama;
pub mod method;
pub mod objective;
pub mod optimizer;
pub mod parameters;
pub mod primitive;
pub mod progress;
pub mod random;
pub mod recall;
pub mod run;
pub mod samples;
pub mod source;
pub mod targets;

use std::path::Path;

use burn::tensor::Device;

/// What computes a training run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// One thread of the CPU, burn's `flex`.
    #[default]
    Flex,
    /// A GPU, burn's `wgpu`.
    #[cfg(feature = "wgpu")]
    Wgpu,
}

impl Backend {
    fn device(self) -> Device {
        match self {
            Backend::Flex => Device::flex(),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        }
    }
}

/// Trains what a TOML file describes; state, log and the latest export are in `runs/NAME/`.
///
/// With `resume` the run goes on from its saved state, else it starts afresh.
///
/// # Errors
/// If the config or the saved state cannot be used, a file cannot be written, or a loss is not a
/// finite number.
pub fn run(config_path: &Path, resume: bool) -> anyhow::Result<()> {
    run_on(config_path, resume, Backend::default())
}

/// [`run()`] on a backend of choice.
///
/// # Errors
/// As [`run()`].
pub fn run_on(config_path: &Path, resume: bool, backend: Backend) -> anyhow::Result<()> {
    let config = config::RunConfig::load(config_path)?;
    let folder = Path::new("runs").join(&config.name);
    run::Run::new(config, &folder, &backend.device(), resume)?.train()
}
