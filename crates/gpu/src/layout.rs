//! The structs that host and kernels share; `tests/shaders.rs` compares them with prelude.wgsl.

use latent_model::{
    engine::LaneSpec,
    input::{Feed, Input, InputKind, Tap},
    program::{self, MAX_KEPT, MAX_PHASES, MAX_STOP_TOKENS, MAX_TEXT, Noise, Program, Role},
    record::flag,
    rng,
    select::{ForcedText, Forcing, LaneState},
};

/// Where there is no token (`NO_TOKEN` in prelude.wgsl).
pub const NO_TOKEN: u32 = u32::MAX;

/// `Phase::feed`: a chosen token.
pub const FEED_TOKEN: u32 = 0;
/// `Phase::feed`: a mixture.
pub const FEED_CONCEPT: u32 = 1;
/// `Phase::feed`: a hidden state.
pub const FEED_HIDDEN: u32 = 2;
/// `Phase::feed`: a fixed token.
pub const FEED_PAUSE: u32 = 3;

/// `Phase::noise`: none.
pub const NOISE_NONE: u32 = 0;
/// `Phase::noise`: Gumbel-Softmax.
pub const NOISE_GUMBEL: u32 = 1;
/// `Phase::noise`: Dirichlet.
pub const NOISE_DIRICHLET: u32 = 2;

/// Rows of a lane in the phase table: its phases, and one whose text is forced before them.
pub const PHASE_ROWS: usize = MAX_PHASES + 1;
/// The row whose text is forced before the first phase.
pub const START_ROW: u32 = MAX_PHASES as u32;

/// Every whole-number constant of prelude.wgsl, with the Rust value that it must have.
pub const PRELUDE_CONSTANTS: [(&str, u32); 28] = [
    ("NO_TOKEN", NO_TOKEN),
    ("MAX_KEPT", MAX_KEPT as u32),
    ("MAX_PHASES", MAX_PHASES as u32),
    ("MAX_STOP_TOKENS", MAX_STOP_TOKENS as u32),
    ("PHASE_ROWS", PHASE_ROWS as u32),
    ("START_ROW", START_ROW),
    ("FEED_TOKEN", FEED_TOKEN),
    ("FEED_CONCEPT", FEED_CONCEPT),
    ("FEED_HIDDEN", FEED_HIDDEN),
    ("FEED_PAUSE", FEED_PAUSE),
    ("NOISE_NONE", NOISE_NONE),
    ("NOISE_GUMBEL", NOISE_GUMBEL),
    ("NOISE_DIRICHLET", NOISE_DIRICHLET),
    ("INPUT_NONE", InputKind::None as u32),
    ("INPUT_TOKEN", InputKind::Token as u32),
    ("INPUT_CONCEPT", InputKind::Concept as u32),
    ("INPUT_HIDDEN", InputKind::Hidden as u32),
    ("FLAG_FORCED", flag::FORCED),
    ("FLAG_STOP", flag::STOP),
    ("FLAG_COLD_STOP", flag::COLD_STOP),
    ("FLAG_CAP", flag::CAP),
    ("FLAG_DONE", flag::DONE),
    ("FLAG_NON_FINITE", flag::NON_FINITE),
    ("FLAG_END_CLASSIFIER", flag::END_CLASSIFIER),
    ("FLAG_END_TESTED", flag::END_TESTED),
    ("DRAW_TOKEN", rng::DRAW_TOKEN),
    ("ATTEMPT_SHIFT", rng::ATTEMPT_SHIFT),
    ("TOKENS_PER_THREAD", TOKENS_PER_THREAD),
];

/// Tokens of the vocabulary that one thread of the distribution's kernel reads.
pub const TOKENS_PER_THREAD: u32 = 16;

/// One row of the batch: a lane's newest input, or one position of a prompt.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Row {
    /// The lane that it belongs to.
    pub lane: u32,
    /// Position of the input.
    pub position: u32,
    /// Row of the KV cache where its own key and value go.
    pub write_row: u32,
    /// Row of the KV cache where the lane's own positions begin (position 0's row).
    pub base: u32,
    /// Row where the shared prompt's positions begin.
    pub prefix_base: u32,
    /// Positions below this one are read from the shared prompt.
    pub n_prefix: u32,
    /// 0: kernels skip this row.
    pub live: u32,
    /// 0: the lane does not move on, whatever comes out of this row.
    pub commits: u32,
    /// 0: the LM head may be skipped.
    pub wants_logits: u32,
    /// The [`Adapter`](program::Adapter) that it runs under.
    pub adapter: u32,
    /// Positions below this one lie in the same rows of the cache for all rows of its tile.
    pub n_shared: u32,
}

/// What enters the first layer at a row.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct RowInput {
    /// An [`InputKind`].
    pub kind: u32,
    /// The token.
    pub token: u32,
    /// Which block of the hidden states is fed.
    pub tap: u32,
    /// Tokens of the mixture.
    pub n_kept: u32,
    /// The mixture's tokens.
    pub ids: [u32; MAX_KEPT],
    /// Their weights.
    pub weights: [f32; MAX_KEPT],
}

impl RowInput {
    /// The input of a row; a vector is fed from the row's place in block 0 of the hidden states.
    pub fn new(input: &Input) -> Self {
        let mut row: Self = bytemuck::Zeroable::zeroed();
        match input {
            Input::Token(id) => (row.kind, row.token) = (InputKind::Token as u32, *id),
            Input::Mixture(mixture) => {
                row.kind = InputKind::Concept as u32;
                row.n_kept = mixture.len() as u32;
                for (place, &(id, weight)) in mixture.iter().enumerate() {
                    (row.ids[place], row.weights[place]) = (id, weight);
                }
            }
            Input::Vector(_) => row.kind = InputKind::Hidden as u32,
        }
        row
    }

    /// What is fed; `vector` gives the row's place in a block of the hidden states.
    pub fn input(&self, vector: impl FnOnce(u32) -> Vec<f32>) -> Option<Input> {
        let n_kept = (self.n_kept as usize).min(MAX_KEPT);
        match InputKind::of_code(self.kind) {
            InputKind::None => None,
            InputKind::Token => Some(Input::Token(self.token)),
            InputKind::Concept => {
                let mixed = self.ids.into_iter().zip(self.weights);
                Some(Input::Mixture(mixed.take(n_kept).collect()))
            }
            InputKind::Hidden => Some(Input::Vector(vector(self.tap))),
        }
    }
}

/// What the final norm leaves of a row beside the vector itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct RowState {
    /// Norm of the hidden state.
    pub hidden_norm: f32,
    /// What the end classifier says of it.
    pub end_probability: f32,
}

/// The distribution over a part of the vocabulary: of the logits z with their largest m,
/// s = Σ exp((z − m) / T) and u = Σ (z − m) / T · exp((z − m) / T).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Part {
    /// m
    pub largest: f32,
    /// Logits that are not finite.
    pub n_bad: u32,
    /// s
    pub sum: f32,
    /// u
    pub weighted: f32,
    /// s at T = 1
    pub raw_sum: f32,
    /// u at T = 1
    pub raw_weighted: f32,
    /// T: that of the phase that decides this step
    pub temperature: f32,
    /// Tokens of the largest logits, falling; [`NO_TOKEN`] where the part has no more.
    pub ids: [u32; MAX_KEPT],
    /// Their logits.
    pub logits: [f32; MAX_KEPT],
}

/// One phase of a program.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Phase {
    /// 1 in thinking phases, where noise applies.
    pub is_thinking: u32,
    /// `FEED_*`
    pub feed: u32,
    /// Which block of the hidden states a hidden phase feeds.
    pub tap: u32,
    /// What a pause phase feeds.
    pub pause_token: u32,
    /// `Until::max_steps`
    pub max_steps: u32,
    /// `Sampler::temperature`
    pub temperature: f32,
    /// `Sampler::top_k`
    pub top_k: u32,
    /// `Sampler::top_p`
    pub top_p: f32,
    /// `Sampler::min_p`
    pub min_p: f32,
    /// `Sampler::max_concepts`
    pub max_concepts: u32,
    /// `NOISE_*`
    pub noise: u32,
    /// Gumbel's tau or Dirichlet's alpha.
    pub noise_scale: f32,
    /// `Sampler::greedy`
    pub greedy: u32,
    /// `Until::stop_tokens`, the rest [`NO_TOKEN`].
    pub stop_tokens: [u32; MAX_STOP_TOKENS],
    /// `Phase::then_force`, the rest [`NO_TOKEN`].
    pub then_force: [u32; MAX_TEXT],
    /// Its length.
    pub n_force: u32,
    /// `Until::stop_text`, the rest [`NO_TOKEN`].
    pub stop_text: [u32; MAX_TEXT],
    /// Its length.
    pub n_stop_text: u32,
    /// `Until::drops_stop`
    pub drops_stop: u32,
    /// Cold Stop's threshold.
    pub cold_entropy: f32,
    /// Cold Stop's patience; 0 where there is none.
    pub cold_patience: u32,
    /// 1 where the end classifier is asked.
    pub asks_classifier: u32,
    /// The probability at which it ends the phase.
    pub end_threshold: f32,
    /// `Phase::adapter`
    pub adapter: u32,
}

/// Where a lane is in its program.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Lane {
    /// Seed of the lane's draws.
    pub seed: u32,
    /// Second word of their key.
    pub stream: u32,
    /// Steps so far.
    pub step: u32,
    /// Index of the phase.
    pub phase: u32,
    /// Inputs that the phase has fed.
    pub phase_step: u32,
    /// Consecutive steps below the Cold Stop threshold.
    pub cold_count: u32,
    /// The row of the phase table whose text is being forced, or [`NO_TOKEN`].
    pub forced_row: u32,
    /// Which of its tokens comes next.
    pub forced_next: u32,
    /// The newest tokens chosen that begin the phase's stop text.
    pub n_matched: u32,
    /// Phases of the lane's program.
    pub n_phases: u32,
    /// Whether thoughts are decoded for their records.
    pub decode_thoughts: u32,
    /// Steps of the run so far, whatever this lane's own are: its place in the ring of records.
    pub tick: u32,
}

impl Lane {
    /// The lane where `state` says, at a step of the run.
    pub fn new(spec: &LaneSpec, state: &LaneState, tick: u32) -> Self {
        Self {
            seed: state.seed,
            stream: state.stream,
            step: state.step,
            phase: state.phase,
            phase_step: state.phase_step,
            cold_count: state.cold_count,
            forced_row: match state.forcing.map(|forcing| forcing.text) {
                None => NO_TOKEN,
                Some(ForcedText::Start) => START_ROW,
                Some(ForcedText::EndOf(phase)) => phase,
            },
            forced_next: state.forcing.map_or(0, |forcing| forcing.next),
            n_matched: state.n_matched,
            tick,
            n_phases: spec.program.phases.len() as u32,
            decode_thoughts: u32::from(spec.decode_thoughts),
        }
    }

    /// Where the lane is whose own row is `row`.
    pub fn state(&self, row: &Row) -> LaneState {
        LaneState {
            lane: row.lane,
            seed: self.seed,
            stream: self.stream,
            step: self.step,
            position: row.position,
            phase: self.phase,
            phase_step: self.phase_step,
            cold_count: self.cold_count,
            forcing: (self.forced_row != NO_TOKEN).then_some(Forcing {
                text: match self.forced_row {
                    START_ROW => ForcedText::Start,
                    phase => ForcedText::EndOf(phase),
                },
                next: self.forced_next,
            }),
            n_matched: self.n_matched,
            adapter: program::Adapter::ALL[row.adapter as usize],
            done: row.live == 0,
        }
    }
}

/// A program's phases, padded with zeros, and the row of its start. `taps` are the run's blocks
/// of hidden states.
pub fn phase_table(program: &Program, taps: &[Tap]) -> [Phase; PHASE_ROWS] {
    let mut table: [Phase; PHASE_ROWS] = [bytemuck::Zeroable::zeroed(); PHASE_ROWS];
    for (row, phase) in table.iter_mut().zip(&program.phases) {
        *row = Phase::new(phase, taps);
    }
    let start = &mut table[START_ROW as usize];
    (start.then_force, start.n_force) = padded(&program.start);
    table
}

/// A text padded with [`NO_TOKEN`], and its length.
fn padded(text: &[u32]) -> ([u32; MAX_TEXT], u32) {
    let token = |place: usize| text.get(place).copied().unwrap_or(NO_TOKEN);
    (std::array::from_fn(token), text.len() as u32)
}

impl Phase {
    fn new(phase: &program::Phase, taps: &[Tap]) -> Self {
        let sampler = &phase.sampler;
        let block = |tap: Tap| taps.iter().position(|known| *known == tap).unwrap_or(0) as u32;
        let (feed, tap, pause_token) = match phase.feed {
            Feed::Token => (FEED_TOKEN, 0, 0),
            Feed::Concept => (FEED_CONCEPT, 0, 0),
            Feed::Hidden { tap } => (FEED_HIDDEN, block(tap), 0),
            Feed::Pause(token) => (FEED_PAUSE, 0, token),
        };
        let (noise, noise_scale) = match sampler.noise {
            Noise::None => (NOISE_NONE, 0.0),
            Noise::Gumbel { tau } => (NOISE_GUMBEL, tau),
            Noise::Dirichlet { alpha } => (NOISE_DIRICHLET, alpha),
        };
        let (then_force, n_force) = padded(&phase.then_force);
        let (stop_text, n_stop_text) = padded(&phase.until.stop_text);
        let cold_stop = phase.until.cold_stop;
        let end_classifier = phase.until.end_classifier;
        Self {
            is_thinking: u32::from(phase.role == Role::Think),
            feed,
            tap,
            pause_token,
            max_steps: phase.until.max_steps,
            temperature: sampler.temperature,
            top_k: sampler.top_k,
            top_p: sampler.top_p,
            min_p: sampler.min_p,
            max_concepts: sampler.max_concepts,
            noise,
            noise_scale,
            greedy: u32::from(sampler.greedy),
            stop_tokens: std::array::from_fn(|place| {
                let stop_token = phase.until.stop_tokens.get(place);
                stop_token.copied().unwrap_or(NO_TOKEN)
            }),
            then_force,
            n_force,
            stop_text,
            n_stop_text,
            drops_stop: u32::from(phase.until.drops_stop),
            cold_entropy: cold_stop.map_or(0.0, |cold_stop| cold_stop.entropy),
            cold_patience: cold_stop.map_or(0, |cold_stop| cold_stop.patience),
            asks_classifier: u32::from(end_classifier.is_some()),
            end_threshold: end_classifier.map_or(0.0, |end| end.threshold),
            adapter: phase.adapter as u32,
        }
    }
}
