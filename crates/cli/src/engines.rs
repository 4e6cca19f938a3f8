//! The choice of an engine on the command line.

use anyhow::{Context, Result};
use clap::ValueEnum;
use latent_gpu::{AnyEngine, GpuContext};
use latent_model::model::Model;

/// Where a run is computed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum EngineKind {
    /// Handwritten WGSL on the machine's GPU (or on a software adapter such as lavapipe).
    Gpu,
    /// Plain Rust on the CPU.
    Reference,
}

/// Opens the engine that was asked for; there is no silent fallback.
pub async fn open_engine(kind: EngineKind, model: &Model) -> Result<AnyEngine> {
    let context = match kind {
        EngineKind::Reference => None,
        EngineKind::Gpu => Some(
            GpuContext::request()
                .await
                .context("`--engine reference` would run on the CPU")?,
        ),
    };
    Ok(AnyEngine::open(model, context.as_ref()).await?)
}
