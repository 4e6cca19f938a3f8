//! Trains small Llama checkpoints on generated problems and exports them.

pub mod batch;
pub mod ccot;
pub mod config;
pub mod custom_op;
pub mod driver;
pub mod end_classifier;
pub mod evaluation;
pub mod example;
pub mod export;
pub mod fused;
mod hub_tensors;
pub mod llama;
pub mod logistic;
pub mod method;
pub mod objective;
pub mod optimizer;
pub mod parameters;
pub mod peer;
pub mod progress;
pub mod random;
pub mod recall;
pub mod reference_ops;
pub mod source;
pub mod stages;
pub mod state;
pub mod tensor_ops;
pub mod token_loss;
pub mod trainer;

use std::{path::Path, str::FromStr};

use burn::tensor::Device;

/// What computes a training run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// One thread of the CPU, burn's `flex`.
    #[default]
    Flex,
    /// A GPU, burn's `wgpu`; built with the feature `wgpu`.
    Wgpu,
}

impl Backend {
    #[cfg(feature = "wgpu")]
    fn device(self) -> anyhow::Result<Device> {
        Ok(match self {
            Backend::Flex => Device::flex(),
            Backend::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        })
    }

    #[cfg(not(feature = "wgpu"))]
    fn device(self) -> anyhow::Result<Device> {
        match self {
            Backend::Flex => Ok(Device::flex()),
            Backend::Wgpu => anyhow::bail!(
                "this program was built without burn's wgpu backend; build it with `--features wgpu`"
            ),
        }
    }
}

impl FromStr for Backend {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Backend> {
        match name {
            "flex" => Ok(Backend::Flex),
            "wgpu" => Ok(Backend::Wgpu),
            _ => anyhow::bail!("there is no backend {name:?}; there are: flex, wgpu"),
        }
    }
}

/// Trains what a TOML file describes; state, log and the latest export are in `runs/NAME/`.
///
/// With `resume` the run goes on from its saved state, else it starts afresh.
///
/// # Errors
/// If the config, what it starts from or the saved state cannot be used, the backend is not built
/// in, a file cannot be written, or the run diverges.
pub fn run(config_path: &Path, resume: bool, backend: Backend) -> anyhow::Result<()> {
    let config = driver::load_config(config_path)?;
    if !resume {
        driver::check_start(&config, config_path)?;
    }
    let folder = Path::new("runs").join(&config.name);
    driver::Run::new(config, &folder, &backend.device()?, resume)?.train()
}
