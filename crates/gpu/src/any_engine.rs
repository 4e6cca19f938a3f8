//! Either engine behind one type, for callers that choose at run time.

use latent_model::{
    config::ModelConfig,
    engine::{Engine, EngineError, LaneCursor, LaneSpec, Patch, WatchedStep},
    model::Model,
    record::StepRecord,
    reference::{LayerStates, Precision, ReferenceEngine},
    turns::Breathe,
};

use crate::{GpuContext, GpuEngine, GpuError};

/// The GPU engine or the reference. The choice is the caller's: nothing falls back by itself.
pub enum AnyEngine {
    /// Handwritten WGSL.
    Gpu(Box<GpuEngine>),
    /// Plain Rust on the CPU.
    Reference(Box<ReferenceEngine>),
}

impl AnyEngine {
    /// An engine for a model: on the GPU where a context is given, else the reference. It takes
    /// turns with others where there are any, while it is made, too.
    ///
    /// # Errors
    /// If the device has no room for the model, cannot run it, or is lost.
    pub async fn open(
        model: &Model,
        context: Option<&GpuContext>,
        breathe: Option<Breathe>,
    ) -> Result<Self, GpuError> {
        let Some(context) = context else {
            let reference = Self::reference(model);
            return Ok(match breathe {
                Some(breathe) => reference.with_breaks(breathe),
                None => reference,
            });
        };
        let (config, weights) = (&model.config, &model.weights);
        let engine = GpuEngine::new_in_turns(config, weights, context, breathe).await?;
        Ok(Self::Gpu(Box::new(engine)))
    }

    /// The same engine on a thread that others use, too
    /// ([`ReferenceEngine::with_breaks`]); a GPU computes beside it anyway.
    pub fn with_breaks(self, breathe: Breathe) -> Self {
        match self {
            Self::Gpu(engine) => Self::Gpu(engine),
            Self::Reference(engine) => Self::Reference(Box::new(engine.with_breaks(breathe))),
        }
    }

    /// The reference engine, as fast as it goes.
    pub fn reference(model: &Model) -> Self {
        let weights = model.weights.clone();
        let engine = ReferenceEngine::new(&model.config, weights, Precision::Fast);
        Self::Reference(Box::new(engine))
    }
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

    async fn advance_watched(&mut self, patches: &[Patch]) -> Result<WatchedStep, EngineError> {
        match self {
            Self::Gpu(engine) => engine.advance_watched(patches).await,
            Self::Reference(engine) => engine.advance_watched(patches).await,
        }
    }

    fn set_cursors(&mut self, cursors: &[LaneCursor]) -> Result<(), EngineError> {
        match self {
            Self::Gpu(engine) => engine.set_cursors(cursors),
            Self::Reference(engine) => engine.set_cursors(cursors),
        }
    }

    async fn cursors(&mut self) -> Result<Vec<LaneCursor>, EngineError> {
        match self {
            Self::Gpu(engine) => engine.cursors().await,
            Self::Reference(engine) => engine.cursors().await,
        }
    }

    async fn peek(&mut self, cursors: &[LaneCursor]) -> Result<LayerStates, EngineError> {
        match self {
            Self::Gpu(engine) => engine.peek(cursors).await,
            Self::Reference(engine) => engine.peek(cursors).await,
        }
    }
}
