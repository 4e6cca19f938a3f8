//! The choice of an engine on the command line.

use anyhow::{Context, Result};
use clap::ValueEnum;
use latent_gpu::{AnyEngine, GpuContext};
use latent_model::{
    engine::{Engine, EngineError, Renew, Renewable},
    model::Model,
};

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
    Ok(AnyEngine::open(model, context.as_ref(), None).await?)
}

/// The same for a measurement that takes long: where the device is lost, what is wrong is printed,
/// and the run goes on once on a new device of the same adapter; a second loss ends it.
pub async fn open_lasting_engine(kind: EngineKind, model: &Model) -> Result<Renewable<AnyEngine>> {
    let engine = open_engine(kind, model).await?;
    let name = engine.description();
    let mut model = Some(model.clone());
    let renew: Renew<AnyEngine> = Box::new(move |lost| {
        let (model, name) = (model.take(), name.clone());
        Box::pin(async move {
            let Some(model) = model else {
                return Err(lost);
            };
            eprintln!("{lost}; the run goes on, once, on a new device");
            let context = GpuContext::request().await?;
            let engine = AnyEngine::open(&model, Some(&context), None).await?;
            match engine.description() == name {
                true => Ok(engine),
                // What was measured would be another engine's from here on.
                false => Err(EngineError::DeviceLost(format!(
                    "{lost}; expected {name} again, found {}",
                    engine.description()
                ))),
            }
        })
    });
    Ok(Renewable::new(engine, renew))
}
