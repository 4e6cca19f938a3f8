//! The reference engine: the oracle of every kernel, and the page's engine without WebGPU.

mod forward;
mod ops;

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

pub use forward::{Breathe, Forward, KvCache};
pub use ops::{Frequencies, Precision, Rotation, add, gelu, sigmoid, silu, softmax};

use crate::{
    checkpoint::{WeightFormat, Weights},
    config::ModelConfig,
    engine::{
        Engine, EngineError, LaneCursor, LaneSpec,
        checks::{Limits, check_cursors, check_lanes, check_peek, check_records},
    },
    input::{Input, NextInput, Tap},
    program::Adapter,
    record::StepRecord,
    select::{LaneState, StepOutput, select},
};

/// The largest number of lanes in a run. A limit of good sense: lanes run one after another.
pub const MAX_LANES: usize = 64;

/// Models of up to this many parameters are widened to f32 when an engine opens. Their weights
/// stay in the processor's caches, where decoding each row for each product makes a step more than
/// twice as long (d = 128: 0.54 against 0.26 ns a product). Larger models wait for their memory,
/// and reading half of it is no slower (d = 1,024: 0.40 against 0.57 ns).
const MAX_WIDENED: usize = 16 << 20;

/// Runs programs on the CPU, one lane after another.
pub struct ReferenceEngine {
    config: ModelConfig,
    weights: Arc<Weights>,
    forward: Forward,
    precision: Precision,
    lanes: Option<Vec<Lane>>,
}

struct Lane {
    spec: LaneSpec,
    state: LaneState,
    cache: KvCache,
    /// What is fed at `state.position`; `None` where the lane is done.
    input: Option<Input>,
    /// Its residual stream, where that is watched.
    watched: Option<Watched>,
}

/// What is put into a lane's residual stream, and what was in it.
#[derive(Default)]
struct Watched {
    patches: Vec<Patch>,
    /// Per step, per layer: the residual stream after the layer, (d).
    states: Vec<Vec<Vec<f32>>>,
}

/// A state of the residual stream that is put in the place of a lane's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The lane's step.
    pub step: u32,
    /// The layer, counted from 0, after which it stands.
    pub layer: usize,
    /// (d)
    pub state: Vec<f32>,
}

impl ReferenceEngine {
    /// An engine on loaded weights.
    pub fn new(config: &ModelConfig, weights: Arc<Weights>, precision: Precision) -> Self {
        let forward = Forward::new(config, precision);
        let weights = match weights.n_parameters() <= MAX_WIDENED {
            true => Arc::new(weights.converted(WeightFormat::F32)),
            false => weights,
        };
        Self {
            config: config.clone(),
            weights,
            forward,
            precision,
            lanes: None,
        }
    }

    /// The same engine on a thread that others use, too: they get their turn between the parts of
    /// a pass, and what it computes is the same.
    pub fn with_breaks(self, breathe: Breathe) -> Self {
        Self {
            forward: self.forward.with_breaks(Some(breathe)),
            ..self
        }
    }

    /// The cache after all inputs but the last, which is fed at every lane's first step.
    async fn prefill(&self, inputs: &[Input]) -> KvCache {
        let mut cache = KvCache::new(self.config.n_layers);
        for (position, input) in inputs[..inputs.len() - 1].iter().enumerate() {
            let (config, weights) = (&self.config, &*self.weights);
            let x = self.forward.embed(weights, input, position);
            let under = (weights, Adapter::Base);
            self.forward
                .position(config, under, &mut cache, position, x, |_, _| {})
                .await;
        }
        cache
    }

    /// Keeps the residual stream of a lane that has begun, from its next step on, and puts
    /// `patches` into it. The states of other lanes and what this one is otherwise fed stay as
    /// they are.
    ///
    /// # Errors
    /// If no run has begun, or a patch does not fit the model.
    ///
    /// # Panics
    /// If there is no such lane.
    pub fn watch(&mut self, lane: usize, patches: Vec<Patch>) -> Result<(), EngineError> {
        let lanes = self.lanes.as_mut().ok_or(EngineError::NotBegun)?;
        let (n_layers, d) = (self.config.n_layers, self.config.hidden_size);
        for patch in &patches {
            let is_finite = patch.state.iter().all(|x| x.is_finite());
            if patch.layer >= n_layers || patch.state.len() != d || !is_finite {
                let finite = if is_finite {
                    "finite"
                } else {
                    "not all finite"
                };
                return Err(EngineError::BadPatch {
                    lane,
                    expected: format!("{d} finite numbers after one of {n_layers} layers"),
                    found: format!("{} {finite} after layer {}", patch.state.len(), patch.layer),
                });
            }
        }
        lanes[lane].watched = Some(Watched {
            patches,
            states: Vec::new(),
        });
        Ok(())
    }

    /// Per step since it is watched, per layer: the residual stream, (d), of a lane.
    pub fn watched(&self, lane: usize) -> &[Vec<Vec<f32>>] {
        let lane = self.lanes.as_ref().and_then(|lanes| lanes.get(lane));
        let watched = lane.and_then(|lane| lane.watched.as_ref());
        watched.map_or(&[], |watched| &watched.states)
    }

    async fn step(
        config: &ModelConfig,
        weights: &Weights,
        forward: &Forward,
        lane: &mut Lane,
        input: &Input,
    ) -> StepRecord {
        let position = lane.state.position as usize;
        let x = forward.embed(weights, input, position);
        let under = (weights, lane.state.adapter);
        let mut layers = Vec::new();
        let program = &lane.spec.program;
        let tapped = |(_, tap)| weights.tapped_layer(tap);
        let tapped: Vec<usize> = program.taps().filter_map(tapped).collect();
        let step = lane.state.step;
        let mut watched = lane.watched.as_mut();
        if let Some(watched) = &mut watched {
            watched.states.push(Vec::new());
        }
        let keep = |layer: usize, x: &mut [f32]| {
            if let Some(Watched { patches, states }) = &mut watched {
                let here = |patch: &&Patch| (patch.step, patch.layer) == (step, layer);
                if let Some(patch) = patches.iter().find(here) {
                    x.copy_from_slice(&patch.state);
                }
                states.last_mut().expect("this step's").push(x.to_vec());
            }
            if tapped.contains(&layer) {
                layers.push((layer, x.to_vec()));
            }
        };
        let hidden = forward
            .position(config, under, &mut lane.cache, position, x, keep)
            .await;
        let logits = match lane.state.wants_logits(program, lane.spec.decode_thoughts) {
            true => Some(forward.logits_in_turns(weights, &hidden).await),
            false => None,
        };
        let output = StepOutput {
            logits: logits.as_deref(),
            hidden_norm: Precision::Oracle.dot(&hidden, &hidden).sqrt(),
            end_probability: forward.end_probability(under, &hidden),
        };
        let (record, next) = select(&mut lane.state, program, output);
        lane.input = match next {
            NextInput::None => None,
            NextInput::Token(id) => Some(Input::Token(id)),
            NextInput::Mixture(mixture) => Some(Input::Mixture(mixture)),
            NextInput::Hidden(Tap::FinalNorm) => Some(Input::Vector(hidden)),
            NextInput::Hidden(tap) => {
                let tapped = weights.tapped_layer(tap);
                let state = layers.into_iter().find(|(layer, _)| Some(*layer) == tapped);
                let fed = state.map(|(_, state)| match tap {
                    Tap::Contemplation => forward.contemplation(config, weights, state),
                    Tap::FinalNorm | Tap::Layer(_) => state,
                });
                fed.map(Input::Vector)
            }
        };
        record
    }
}

impl Engine for ReferenceEngine {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn description(&self) -> String {
        match self.precision {
            Precision::Oracle => "Reference engine on the CPU (f64 sums)".into(),
            Precision::Fast => "Reference engine on the CPU".into(),
        }
    }

    async fn begin(&mut self, lanes: &[LaneSpec]) -> Result<(), EngineError> {
        let limits = Limits {
            config: &self.config,
            capabilities: self.weights.capabilities(),
            max_lanes: MAX_LANES,
        };
        check_lanes(lanes, &limits)?;
        let mut prefilled: Vec<(&[Input], KvCache)> = Vec::new();
        let mut begun = Vec::new();
        for (index, spec) in lanes.iter().enumerate() {
            let known = prefilled.iter().find(|(inputs, _)| *inputs == spec.inputs);
            let cache = match known {
                Some((_, cache)) => cache.clone(),
                None => {
                    let cache = self.prefill(&spec.inputs).await;
                    prefilled.push((&spec.inputs, cache.clone()));
                    cache
                }
            };
            begun.push(Lane {
                spec: spec.clone(),
                state: LaneState::new(index as u32, spec),
                cache,
                input: spec.inputs.last().cloned(),
                watched: None,
            });
        }
        self.lanes = Some(begun);
        Ok(())
    }

    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError> {
        let lanes = self.lanes.as_mut().ok_or(EngineError::NotBegun)?;
        let (config, weights, forward) = (&self.config, &self.weights, &self.forward);
        let mut records = Vec::new();
        for _ in 0..n_steps {
            for lane in lanes.iter_mut() {
                if let Some(input) = lane.input.take() {
                    let record = Self::step(config, weights, forward, lane, &input).await;
                    records.push(record);
                }
            }
        }
        check_records(records, config.vocab_size, || self.description())
    }

    fn set_cursors(&mut self, cursors: &[LaneCursor]) -> Result<(), EngineError> {
        let lanes = self.lanes.as_mut().ok_or(EngineError::NotBegun)?;
        check_cursors(cursors, &under_way(lanes), &self.config)?;
        for cursor in cursors {
            let lane = &mut lanes[cursor.state.lane as usize];
            lane.cache
                .truncate(&self.config, cursor.state.position as usize);
            lane.state = cursor.state;
            lane.input = cursor.input.clone();
        }
        Ok(())
    }

    async fn cursors(&mut self) -> Result<Vec<LaneCursor>, EngineError> {
        let lanes = self.lanes.as_ref().ok_or(EngineError::NotBegun)?;
        let cursor = |lane: &Lane| LaneCursor {
            state: lane.state,
            input: lane.input.clone(),
        };
        Ok(lanes.iter().map(cursor).collect())
    }

    async fn peek(&mut self, cursors: &[LaneCursor]) -> Result<LayerStates, EngineError> {
        let lanes = self.lanes.as_ref().ok_or(EngineError::NotBegun)?;
        let inputs = check_peek(cursors, &under_way(lanes), &self.config)?;
        let mut states = LayerStates::new(self.config.n_layers);
        for (LaneCursor { state, .. }, input) in cursors.iter().zip(inputs) {
            let position = state.position as usize;
            let mut cache = lanes[state.lane as usize].cache.clone();
            cache.truncate(&self.config, position);
            let under = (&*self.weights, state.adapter);
            let model = (&self.forward, &self.config, under);
            states.push(model, &mut cache, position, input).await;
        }
        Ok(states)
    }
}

/// Lanes with the positions of their next inputs.
fn under_way(lanes: &[Lane]) -> Vec<(&LaneSpec, u32)> {
    let lanes = lanes.iter();
    lanes
        .map(|lane| (&lane.spec, lane.state.position))
        .collect()
}

/// What every layer makes of some rows: the positions of a sequence, or inputs that are tried at
/// places of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerStates {
    /// Per row: the input vector, (d).
    pub embedded: Vec<Vec<f32>>,
    /// Per layer, per row: the residual stream after the layer, (d).
    pub layers: Vec<Vec<Vec<f32>>>,
    /// Per row: the hidden state after the final norm, (d).
    pub hidden: Vec<Vec<f32>>,
    /// Per row: the logits, (V).
    pub logits: Vec<Vec<f32>>,
}

impl LayerStates {
    /// No rows yet.
    pub fn new(n_layers: usize) -> Self {
        Self {
            embedded: Vec::new(),
            layers: vec![Vec::new(); n_layers],
            hidden: Vec::new(),
            logits: Vec::new(),
        }
    }

    /// Runs an input at a position after those in the cache and keeps everything.
    async fn push(
        &mut self,
        (forward, config, under): (&Forward, &ModelConfig, (&Weights, Adapter)),
        cache: &mut KvCache,
        position: usize,
        input: &Input,
    ) {
        let x = forward.embed(under.0, input, position);
        self.embedded.push(x.clone());
        let layers = &mut self.layers;
        let keep = |layer: usize, x: &mut [f32]| layers[layer].push(x.to_vec());
        let hidden = forward
            .position(config, under, cache, position, x, keep)
            .await;
        let logits = forward.logits_in_turns(under.0, &hidden).await;
        self.logits.push(logits);
        self.hidden.push(hidden);
    }

    /// Appends the rows of `more`, which is of the same model.
    pub fn extend(&mut self, more: Self) {
        self.embedded.extend(more.embedded);
        for (layer, more) in self.layers.iter_mut().zip(more.layers) {
            layer.extend(more);
        }
        self.hidden.extend(more.hidden);
        self.logits.extend(more.logits);
    }
}

/// Runs `tokens`, at most `max_position_embeddings` of them, through the model, all under one
/// adapter, with f64 sums and keeps everything.
pub fn layer_states(
    config: &ModelConfig,
    (weights, adapter): (&Weights, Adapter),
    tokens: &[u32],
) -> LayerStates {
    let states = pin!(layer_states_in_turns(
        config,
        (weights, adapter),
        tokens,
        None
    ));
    match states.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(states) => states,
        Poll::Pending => unreachable!("nobody is waited for where there are no breaks"),
    }
}

/// The same on a thread that others use, too, with their turns where there are any.
pub async fn layer_states_in_turns(
    config: &ModelConfig,
    (weights, adapter): (&Weights, Adapter),
    tokens: &[u32],
    breathe: Option<Breathe>,
) -> LayerStates {
    let forward = Forward::new(config, Precision::Oracle).with_breaks(breathe);
    let mut cache = KvCache::new(config.n_layers);
    let mut states = LayerStates::new(config.n_layers);
    for (position, &token) in tokens.iter().enumerate() {
        let model = (&forward, config, (weights, adapter));
        let input = Input::Token(token);
        states.push(model, &mut cache, position, &input).await;
    }
    states
}
