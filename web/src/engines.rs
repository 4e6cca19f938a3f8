//! The two engines behind one type, and the adapter that the GPU engine runs on.

use latent_gpu::{GpuContext, GpuEngine, GpuError};
use latent_model::{
    config::ModelConfig,
    engine::{Engine, EngineError, LaneSpec},
    model::Model,
    record::StepRecord,
    reference::{Precision, ReferenceEngine},
};

/// Either engine.
pub enum AnyEngine {
    /// Handwritten WGSL.
    Gpu(Box<GpuEngine>),
    /// Plain Rust.
    Reference(Box<ReferenceEngine>),
}

impl AnyEngine {
    /// The engine for a model: on the GPU where there is one.
    pub async fn open(model: &Model, context: Option<&GpuContext>) -> Result<Self, GpuError> {
        match context {
            Some(context) => {
                let engine = GpuEngine::new(&model.config, &model.weights, context).await?;
                Ok(Self::Gpu(Box::new(engine)))
            }
            None => Ok(Self::Reference(Box::new(reference(model)))),
        }
    }
}

/// The reference engine, as fast as it goes.
pub fn reference(model: &Model) -> ReferenceEngine {
    ReferenceEngine::new(&model.config, model.weights.clone(), Precision::Fast)
}

impl Engine for AnyEngine {
    fn config(&self) -> &ModelConfig {
        match self {
            Self::Gpu(engine) => engine.config(),
            Self::Reference(engine) => engine.config(),
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Gpu(engine) => engine.description(),
            Self::Reference(engine) => engine.description(),
        }
    }

    async fn begin(&mut self, lanes: &[LaneSpec]) -> Result<(), EngineError> {
        match self {
            Self::Gpu(engine) => engine.begin(lanes).await,
            Self::Reference(engine) => engine.begin(lanes).await,
        }
    }

    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError> {
        match self {
            Self::Gpu(engine) => engine.advance(n_steps).await,
            Self::Reference(engine) => engine.advance(n_steps).await,
        }
    }
}
