//! The reference engine: the oracle of every kernel, and the page's engine without WebGPU.

mod attention;
mod forward;
mod ops;
mod products;
#[cfg(feature = "threads")]
mod team;

use std::{pin::Pin, sync::Arc};

pub use forward::{Forward, KvCache, Stretch};
pub use ops::{Frequencies, Precision, Rotation, add, gelu, sigmoid, silu, softmax};

use crate::{
    checkpoint::{WeightFormat, Weights},
    config::ModelConfig,
    engine::{
        Engine, EngineError, LaneCursor, LaneSpec, Patch, WatchedStep,
        checks::{Limits, check_cursors, check_lanes, check_patches, check_peek, check_records},
        owners_first, shared_prefixes,
    },
    input::{Input, NextInput, Tap},
    program::Adapter,
    record::StepRecord,
    select::{LaneState, StepOutput, select},
    turns::{Breathe, at_once},
};

/// The largest number of lanes in a run. A limit of good sense: every lane takes its time.
pub const MAX_LANES: usize = 64;

/// Positions of a prompt that go through a layer together: as many rows as the caches hold, and
/// few enough that a page which shares the thread is not kept waiting.
const PREFILL: usize = 8;

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

    /// Fills the cache with inputs that follow what it holds.
    async fn prefill(&self, cache: &mut KvCache, inputs: &[Input]) {
        let (config, weights, forward) = (&self.config, &*self.weights, &self.forward);
        let held = cache.n_positions(config);
        for (first, inputs) in (held..).step_by(PREFILL).zip(inputs.chunks(PREFILL)) {
            let positions = (first..).zip(inputs);
            let embed = |(position, input)| forward.embed(weights, input, position);
            let stretch = Stretch::new(cache, first, positions.map(embed).collect());
            let under = (weights, Adapter::Base);
            forward.fill_in_turns(config, under, vec![stretch]).await;
        }
    }

    /// Every lane's cache after all inputs but the last, which is fed at the lane's first step.
    async fn prefilled(&self, lanes: &[LaneSpec]) -> Vec<KvCache> {
        let prefixes = shared_prefixes(lanes);
        let mut caches = vec![KvCache::new(self.config.n_layers); lanes.len()];
        for lane in owners_first(&prefixes) {
            let prefix = prefixes[lane];
            let first = prefix.first_own(lane);
            let mut cache = caches[prefix.owner].clone();
            cache.truncate(&self.config, first);
            let own = &lanes[lane].prefilled()[first..];
            self.prefill(&mut cache, own).await;
            caches[lane] = cache;
        }
        caches
    }

    /// Feeds every lane that has an input, those under the same weights side by side, and lets each
    /// choose what follows. Where somebody watches, the states are kept, with `patches` among them.
    /// Boxed, so that its code is there once for both ways to ask for it.
    fn step<'a>(
        &'a mut self,
        patches: Option<&'a [Patch]>,
    ) -> Pin<Box<dyn Future<Output = Result<WatchedStep, EngineError>> + 'a>> {
        Box::pin(self.stepped(patches))
    }

    async fn stepped(&mut self, patches: Option<&[Patch]>) -> Result<WatchedStep, EngineError> {
        let lanes = self.lanes.as_mut().ok_or(EngineError::NotBegun)?;
        let model = (&self.config, &*self.weights, &self.forward);
        // What a lane is fed next may run under other weights: its turn is settled before.
        let due: Vec<Option<Adapter>> = lanes
            .iter()
            .map(|lane| lane.input.as_ref().map(|_| lane.state.adapter))
            .collect();
        let mut seen = Vec::new();
        for adapter in Adapter::ALL {
            let lanes = lanes.iter_mut().zip(&due);
            let under = lanes.filter(|(_, due)| **due == Some(adapter));
            let lanes: Vec<&mut Lane> = under.map(|(lane, _)| lane).collect();
            if !lanes.is_empty() {
                seen.extend(step_under(model, adapter, lanes, patches).await);
            }
        }
        seen.sort_by_key(|(record, _): &(StepRecord, _)| record.lane);
        let (records, states) = seen.into_iter().unzip();
        Ok(WatchedStep { records, states })
    }
}

/// Feeds lanes that run under the same weights; each one's record and, where somebody watches, its
/// states after every layer.
async fn step_under(
    (config, weights, forward): (&ModelConfig, &Weights, &Forward),
    adapter: Adapter,
    mut lanes: Vec<&mut Lane>,
    patches: Option<&[Patch]>,
) -> Vec<(StepRecord, Vec<Vec<f32>>)> {
    let under = (weights, adapter);
    let mut stretches = Vec::new();
    let mut on_layers = Vec::new();
    for lane in &mut lanes {
        let (cache, input, on_layer) = lane.fed(weights, patches);
        let position = on_layer.position;
        let x = forward.embed(weights, &input, position);
        stretches.push(Stretch::new(cache, position, vec![x]));
        on_layers.push(on_layer);
    }
    let see = |row: usize, layer: usize, x: &mut [f32]| on_layers[row].see(layer, x);
    let hidden = forward.stretches_in_turns(config, under, stretches, see);
    let hidden = hidden.await;
    let wants_logits = |lane: &Lane| {
        let LaneSpec {
            program,
            decode_thoughts,
            ..
        } = &lane.spec;
        lane.state.wants_logits(program, *decode_thoughts)
    };
    let read = lanes
        .iter()
        .zip(&hidden)
        .filter(|(lane, _)| wants_logits(lane));
    let read: Vec<Vec<f32>> = read.map(|(_, hidden)| hidden.clone()).collect();
    let logits = forward.logits_in_turns(weights, &read).await;
    let mut logits = logits.into_iter();
    let mut seen = Vec::new();
    for ((lane, hidden), on_layer) in lanes.into_iter().zip(hidden).zip(on_layers) {
        let logits = wants_logits(lane).then(|| logits.next()).flatten();
        let output = StepOutput {
            logits: logits.as_deref(),
            hidden_norm: Precision::Oracle.dot(&hidden, &hidden).sqrt(),
            end_probability: forward.end_probability(under, &hidden),
        };
        let (record, next) = select(&mut lane.state, &lane.spec.program, output);
        seen.push((record, on_layer.states));
        forward.breathe().await;
        lane.input = match next {
            NextInput::None => None,
            NextInput::Token(id) => Some(Input::Token(id)),
            NextInput::Mixture(mixture) => Some(Input::Mixture(mixture)),
            NextInput::Hidden(Tap::FinalNorm) => Some(Input::Vector(hidden)),
            NextInput::Hidden(tap) => {
                let layer = weights.tapped_layer(tap);
                let mut tapped = on_layer.tapped.into_iter();
                let state = tapped.find(|(known, _)| Some(*known) == layer);
                let fed = state.map(|(_, state)| match tap {
                    Tap::Contemplation => forward.contemplation(config, weights, state),
                    Tap::FinalNorm | Tap::Layer(_) => state,
                });
                fed.map(Input::Vector)
            }
        };
    }
    seen
}

/// What happens between the layers of a lane that is being fed.
struct OnLayer<'a> {
    lane: usize,
    position: usize,
    /// What is put into its residual stream, where somebody watches that.
    patches: Option<&'a [Patch]>,
    /// Per layer so far: the residual stream, where somebody watches it.
    states: Vec<Vec<f32>>,
    /// Layers whose states the program may feed back.
    taps: Vec<usize>,
    /// Those states.
    tapped: Vec<(usize, Vec<f32>)>,
}

impl OnLayer<'_> {
    fn see(&mut self, layer: usize, x: &mut [f32]) {
        if let Some(patches) = self.patches {
            let here = |patch: &&Patch| (patch.lane, patch.layer) == (self.lane, layer);
            if let Some(patch) = patches.iter().find(here) {
                x.copy_from_slice(&patch.state);
            }
            self.states.push(x.to_vec());
        }
        if self.taps.contains(&layer) {
            self.tapped.push((layer, x.to_vec()));
        }
    }
}

impl Lane {
    /// Takes its input, which must be there, with what feeding it needs.
    fn fed<'a>(
        &mut self,
        weights: &Weights,
        patches: Option<&'a [Patch]>,
    ) -> (&mut KvCache, Input, OnLayer<'a>) {
        let taps = self.spec.program.taps();
        let on_layer = OnLayer {
            lane: self.state.lane as usize,
            position: self.state.position as usize,
            patches,
            states: Vec::new(),
            taps: taps
                .filter_map(|(_, tap)| weights.tapped_layer(tap))
                .collect(),
            tapped: Vec::new(),
        };
        let input = self.input.take().expect("the lane has an input");
        (&mut self.cache, input, on_layer)
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
        let caches = self.prefilled(lanes).await;
        let begin = |(index, (spec, cache)): (u32, (&LaneSpec, KvCache))| Lane {
            spec: spec.clone(),
            state: LaneState::new(index, spec),
            cache,
            input: spec.inputs.last().cloned(),
        };
        let begun = (0..).zip(lanes.iter().zip(caches)).map(begin).collect();
        self.lanes = Some(begun);
        Ok(())
    }

    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError> {
        let mut records = Vec::new();
        for _ in 0..n_steps {
            records.extend(self.step(None).await?.records);
        }
        check_records(records, self.config.vocab_size, || self.description())
    }

    async fn advance_watched(&mut self, patches: &[Patch]) -> Result<WatchedStep, EngineError> {
        let lanes = self.lanes.as_ref().ok_or(EngineError::NotBegun)?;
        check_patches(patches, lanes.len(), &self.config)?;
        let WatchedStep { records, states } = self.step(Some(patches)).await?;
        let records = check_records(records, self.config.vocab_size, || self.description())?;
        Ok(WatchedStep { records, states })
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
        let rows = cursors
            .iter()
            .zip(inputs)
            .map(|(LaneCursor { state, .. }, input)| {
                let position = state.position as usize;
                let mut cache = lanes[state.lane as usize].cache.clone();
                cache.truncate(&self.config, position);
                Row {
                    cache,
                    position,
                    adapter: state.adapter,
                    input,
                }
            });
        let model = (&self.forward, &self.config, &*self.weights);
        Ok(LayerStates::of(model, rows.collect()).await)
    }
}

/// Lanes with the positions of their next inputs.
fn under_way(lanes: &[Lane]) -> Vec<(&LaneSpec, u32)> {
    let lanes = lanes.iter();
    lanes
        .map(|lane| (&lane.spec, lane.state.position))
        .collect()
}

/// An input that is tried at a position after those of a cache.
struct Row<'a> {
    cache: KvCache,
    position: usize,
    adapter: Adapter,
    input: &'a Input,
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

    /// Runs inputs, each in a cache of its own, those under the same weights side by side, and
    /// keeps everything.
    async fn of(
        (forward, config, weights): (&Forward, &ModelConfig, &Weights),
        mut rows: Vec<Row<'_>>,
    ) -> Self {
        let mut states = Self::new(config.n_layers);
        let embed = |row: &Row<'_>| forward.embed(weights, row.input, row.position);
        states.embedded = rows.iter().map(embed).collect();
        states.hidden = vec![Vec::new(); rows.len()];
        states.layers = vec![vec![Vec::new(); rows.len()]; config.n_layers];
        for adapter in Adapter::ALL {
            let under = rows.iter_mut().enumerate();
            let (indices, stretches): (Vec<usize>, Vec<Stretch<'_>>) = under
                .filter(|(_, row)| row.adapter == adapter)
                .map(|(index, row)| {
                    let x = states.embedded[index].clone();
                    (index, Stretch::new(&mut row.cache, row.position, vec![x]))
                })
                .unzip();
            let layers = &mut states.layers;
            let keep = |row: usize, layer: usize, x: &mut [f32]| {
                layers[layer][indices[row]] = x.to_vec();
            };
            let under = (weights, adapter);
            let pass = forward.stretches_in_turns(config, under, stretches, keep);
            let hidden = pass.await;
            for (&index, hidden) in indices.iter().zip(hidden) {
                states.hidden[index] = hidden;
            }
        }
        states.logits = forward.logits_in_turns(weights, &states.hidden).await;
        states
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
    under: (&Weights, Adapter),
    tokens: &[u32],
) -> LayerStates {
    at_once(layer_states_in_turns(config, under, tokens, None))
}

/// The same on a thread that others use, too, with their turns where there are any.
pub async fn layer_states_in_turns(
    config: &ModelConfig,
    (weights, adapter): (&Weights, Adapter),
    tokens: &[u32],
    breathe: Option<Breathe>,
) -> LayerStates {
    let forward = Forward::new(config, Precision::Oracle).with_breaks(breathe);
    let mut states = LayerStates::new(config.n_layers);
    let embed =
        |(position, &token): (usize, &u32)| forward.embed(weights, &Input::Token(token), position);
    states.embedded = tokens.iter().enumerate().map(embed).collect();
    let mut cache = KvCache::new(config.n_layers);
    for (first, embedded) in (0..).step_by(PREFILL).zip(states.embedded.chunks(PREFILL)) {
        let stretch = Stretch::new(&mut cache, first, embedded.to_vec());
        let layers = &mut states.layers;
        let keep = |_, layer: usize, x: &mut [f32]| layers[layer].push(x.to_vec());
        let pass = forward.stretches_in_turns(config, (weights, adapter), vec![stretch], keep);
        states.hidden.extend(pass.await);
    }
    states.logits = forward.logits_in_turns(weights, &states.hidden).await;
    states
}
