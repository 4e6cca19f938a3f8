//! The select stage: from logits and a lane's state to a record and the lane's next input.
//!
//! The CPU twin of `shaders/select.wgsl`. The order is that of the released Soft Thinking
//! sampler (papers.md A2): temperature, entropy, top-k, top-p, min-p, Dirichlet, max_concepts,
//! Gumbel-Softmax, re-sort; then the Cold Stop counter and the phase change. The end classifier
//! and the cap come before all of it: a phase that is over chooses nothing.

use crate::{
    engine::LaneSpec,
    program::{EndClassifier, Feed, MAX_KEPT, Noise, Phase, Program, Role, Sampler},
    record::{InputKind, StepRecord, flag},
    rng::{DRAW_TOKEN, DrawKey, gumbel, ln_gamma_draw, uniform},
};

/// Where a lane is in its program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneState {
    /// Index of the lane in the run.
    pub lane: u32,
    /// Seed of its random draws.
    pub seed: u32,
    /// Second word of their key.
    pub stream: u32,
    /// Steps so far.
    pub step: u32,
    /// Position of the input that is being fed.
    pub position: u32,
    /// Index of the phase.
    pub phase: u32,
    /// Inputs that the phase has fed.
    pub phase_step: u32,
    /// Consecutive steps below the Cold Stop threshold.
    pub cold_count: u32,
    /// A marker still to be fed before the first phase.
    pub pending: Option<u32>,
    /// Whether the lane has ended.
    pub done: bool,
}

/// What is fed at the lane's next position.
#[derive(Clone, Debug, PartialEq)]
pub enum NextInput {
    /// Nothing: the lane is done.
    None,
    /// A row of the embedding table.
    Token(u32),
    /// `Σ wᵢ·E[idᵢ]`; weights sum to 1.
    Concept(Vec<(u32, f32)>),
    /// The hidden state of this step.
    Thought,
}

/// What the forward pass gave at one step.
#[derive(Clone, Copy, Debug)]
pub struct StepOutput<'a> {
    /// (V); `None` where the LM head was skipped.
    pub logits: Option<&'a [f32]>,
    /// Norm of the hidden state after the final norm.
    pub hidden_norm: f32,
    /// What the end classifier says of that state; `None` where the checkpoint has none.
    pub end_probability: Option<f32>,
}

/// A token with its probability before, and its weight after, truncation and noise.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    prob: f32,
    weight: f32,
}

/// The distribution of one step.
struct Distribution {
    /// Entropy in nats of the full distribution after temperature.
    entropy: f32,
    /// At most [`MAX_KEPT`] tokens by falling probability, weights not yet set.
    top: Vec<Candidate>,
}

impl LaneState {
    /// Lane number `lane` of a run, whose prompt's last token is fed first.
    pub fn new(lane: u32, spec: &LaneSpec) -> Self {
        Self {
            lane,
            seed: spec.seed,
            stream: spec.stream,
            step: 0,
            position: spec.prompt.len() as u32 - 1,
            phase: 0,
            phase_step: 0,
            cold_count: 0,
            pending: spec.program.start,
            done: false,
        }
    }

    /// Whether this step's choice reads the logits; where it does not, the LM head is skipped.
    pub fn needs_logits(&self, program: &Program) -> bool {
        if self.pending.is_some() {
            return false;
        }
        let phase = &program.phases[self.phase as usize];
        let capped = self.phase_step >= phase.until.max_steps;
        let may_end = capped || self.asked_classifier(phase).is_some();
        match phase.feed {
            Feed::Token | Feed::Concept => true,
            Feed::Thought | Feed::Pause(_) => may_end && phase.then_force.is_none(),
        }
    }

    /// Whether the LM head runs at this step: for the choice, or to decode a thought.
    pub fn wants_logits(&self, program: &Program, decode_thoughts: bool) -> bool {
        let phase = &program.phases[self.phase as usize];
        let is_thought = phase.feed == Feed::Thought && self.pending.is_none();
        self.needs_logits(program) || (decode_thoughts && is_thought)
    }

    /// The end classifier that is asked at this step: of a phase that has fed something.
    fn asked_classifier(&self, phase: &Phase) -> Option<EndClassifier> {
        phase.until.end_classifier.filter(|_| self.phase_step > 0)
    }

    fn enter_next_phase(&mut self) {
        self.phase += 1;
        self.phase_step = 0;
        self.cold_count = 0;
    }
}

/// Decides one step and moves the lane to its next position.
pub fn select(
    state: &mut LaneState,
    program: &Program,
    output: StepOutput<'_>,
) -> (StepRecord, NextInput) {
    let mut record = blank_record(state, output.hidden_norm);
    let logits = output.logits;
    let finite = logits.is_none_or(|logits| logits.iter().all(|z| z.is_finite()));
    let next = if finite && output.hidden_norm.is_finite() {
        decide(state, program, output, &mut record)
    } else {
        record.flags = flag::NON_FINITE;
        NextInput::None
    };
    record.input = match next {
        NextInput::None => InputKind::None,
        NextInput::Token(_) => InputKind::Token,
        NextInput::Concept(_) => InputKind::Concept,
        NextInput::Thought => InputKind::Thought,
    } as u32;
    if next == NextInput::None {
        record.flags |= flag::DONE;
        state.done = true;
    }
    state.step += 1;
    state.position += 1;
    (record, next)
}

fn decide(
    state: &mut LaneState,
    program: &Program,
    output: StepOutput<'_>,
    record: &mut StepRecord,
) -> NextInput {
    if let Some(marker) = state.pending.take() {
        return force(record, marker);
    }
    let logits = output.logits;
    // A phase that is over and forces no marker hands this very step to the next one.
    let mut phase = &program.phases[state.phase as usize];
    while let Some(why) = end_before_feeding(state, phase, output, record) {
        record.flags |= why;
        if let Some(marker) = phase.then_force {
            record.phase = state.phase;
            record.phase_step = state.phase_step;
            if let Some(logits) = logits {
                write_distribution(record, &distribution(logits, &phase.sampler));
            }
            state.enter_next_phase();
            return force(record, marker);
        }
        state.enter_next_phase();
        phase = &program.phases[state.phase as usize];
    }
    record.phase = state.phase;
    record.phase_step = state.phase_step;
    state.phase_step += 1;
    match phase.feed {
        Feed::Pause(token) => force(record, token),
        Feed::Thought => {
            if let Some(logits) = logits {
                let distribution = distribution(logits, &phase.sampler);
                write_distribution(record, &distribution);
                record.token = distribution.top[0].id;
            }
            NextInput::Thought
        }
        Feed::Token | Feed::Concept => {
            let logits = logits.expect("needs_logits holds in token and concept phases");
            choose(state, program, logits, record)
        }
    }
}

/// The flag of what ends a phase before it feeds anything at this step.
fn end_before_feeding(
    state: &LaneState,
    phase: &Phase,
    output: StepOutput<'_>,
    record: &mut StepRecord,
) -> Option<u32> {
    if let Some(end_classifier) = state.asked_classifier(phase) {
        let probability = output.end_probability;
        record.end_probability = probability.expect("check_lanes asks for a classifier");
        record.flags |= flag::END_TESTED;
        if record.end_probability >= end_classifier.threshold {
            return Some(flag::END_CLASSIFIER);
        }
    }
    (state.phase_step >= phase.until.max_steps).then_some(flag::CAP)
}

/// Token and concept phases: the sampler, Cold Stop, and the stop token.
fn choose(
    state: &mut LaneState,
    program: &Program,
    logits: &[f32],
    record: &mut StepRecord,
) -> NextInput {
    let phase = &program.phases[state.phase as usize];
    let is_last = state.phase as usize + 1 == program.phases.len();
    let key = DrawKey {
        seed: state.seed,
        stream: state.stream,
        step: state.step,
    };
    let distribution = distribution(logits, &phase.sampler);
    if let Some(cold_stop) = phase.until.cold_stop {
        let is_cold = distribution.entropy < cold_stop.entropy;
        state.cold_count = if is_cold { state.cold_count + 1 } else { 0 };
        record.cold_count = state.cold_count;
        if state.cold_count >= cold_stop.patience {
            record.flags |= flag::COLD_STOP;
            write_distribution(record, &distribution);
            return end_by_cold_stop(state, phase, is_last, record);
        }
    }
    let entropy = distribution.entropy;
    let mut kept = truncated(distribution.top, &phase.sampler);
    let emitted = match phase.feed {
        Feed::Concept => {
            mix(&mut kept, phase, key);
            kept[0].id
        }
        _ => {
            let index = if phase.sampler.greedy {
                0
            } else {
                draw_token(&kept, key)
            };
            let id = kept[index].id;
            make_one_hot(&mut kept, id);
            id
        }
    };
    record.token = emitted;
    let stops = phase.until.stop_token == Some(emitted);
    if stops {
        make_one_hot(&mut kept, emitted);
        record.flags |= flag::STOP;
    }
    write_candidates(record, entropy, &kept);
    if stops && is_last {
        return NextInput::None;
    }
    if is_last && state.phase_step >= phase.until.max_steps {
        record.flags |= flag::CAP;
        return NextInput::None;
    }
    if stops {
        state.enter_next_phase();
        return NextInput::Token(emitted);
    }
    match phase.feed {
        Feed::Concept => NextInput::Concept(kept.iter().map(|c| (c.id, c.weight)).collect()),
        _ => NextInput::Token(emitted),
    }
}

fn end_by_cold_stop(
    state: &mut LaneState,
    phase: &Phase,
    is_last: bool,
    record: &mut StepRecord,
) -> NextInput {
    match phase.then_force {
        // In the answer, Cold Stop guards against loops: the lane ends (papers.md A2).
        _ if is_last => NextInput::None,
        Some(marker) => {
            state.enter_next_phase();
            force(record, marker)
        }
        None => {
            // Nothing to force: the most probable token is fed, and the next phase begins.
            state.enter_next_phase();
            record.token = record.ids[0];
            NextInput::Token(record.token)
        }
    }
}

fn force(record: &mut StepRecord, token: u32) -> NextInput {
    record.token = token;
    record.flags |= flag::FORCED;
    NextInput::Token(token)
}

/// Steps 1 and 2 of A2: temperature, entropy of the full distribution, and the top tokens.
fn distribution(logits: &[f32], sampler: &Sampler) -> Distribution {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_falling_logit = |a: &u32, b: &u32| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(a.cmp(b))
    };
    let n_top = MAX_KEPT.min(order.len());
    if n_top < order.len() {
        order.select_nth_unstable_by(n_top, by_falling_logit);
        order.truncate(n_top);
    }
    order.sort_unstable_by(by_falling_logit);
    if sampler.temperature == 0.0 {
        let top = vec![Candidate {
            id: order[0],
            prob: 1.0,
            weight: 0.0,
        }];
        return Distribution { entropy: 0.0, top };
    }
    let scaled = |z: f32| (z - max) / sampler.temperature;
    // H = ln S − U / S with S = Σ e^x, U = Σ x·e^x: one pass, no logarithm of a tiny p.
    let (mut sum, mut weighted) = (0.0_f64, 0.0_f64);
    for &z in logits {
        let x = scaled(z);
        let e = f64::from(x.exp());
        sum += e;
        weighted += f64::from(x) * e;
    }
    let entropy = (sum.ln() - weighted / sum).max(0.0) as f32;
    let prob = |id: u32| scaled(logits[id as usize]).exp() / sum as f32;
    let top = order
        .into_iter()
        .map(|id| Candidate {
            id,
            prob: prob(id),
            weight: 0.0,
        })
        .collect();
    Distribution { entropy, top }
}

/// Steps 3 to 5 of A2: top-k, top-p on its result, min-p on that; weights sum to 1.
fn truncated(mut kept: Vec<Candidate>, sampler: &Sampler) -> Vec<Candidate> {
    kept.truncate((sampler.top_k as usize).clamp(1, MAX_KEPT));
    for candidate in &mut kept {
        candidate.weight = candidate.prob;
    }
    normalise(&mut kept);
    let mut mass = 0.0;
    let reaches = |candidate: &Candidate| {
        mass += candidate.weight;
        // At 1 nothing is cut: where a sum of f32 reaches 1 is a matter of rounding.
        mass >= sampler.top_p && sampler.top_p < 1.0
    };
    let n_prefix = kept
        .iter()
        .position(reaches)
        .map_or(kept.len(), |last| last + 1);
    kept.truncate(n_prefix);
    normalise(&mut kept);
    if sampler.min_p > 0.0 {
        let floor = sampler.min_p * kept[0].weight;
        kept.retain(|candidate| candidate.weight >= floor);
        normalise(&mut kept);
    }
    kept
}

/// Steps 6 to 8 of A2: Dirichlet, max_concepts, Gumbel-Softmax, re-sort.
fn mix(kept: &mut Vec<Candidate>, phase: &Phase, key: DrawKey) {
    let noise = if phase.role == Role::Think {
        phase.sampler.noise
    } else {
        Noise::None
    };
    if let Noise::Dirichlet { alpha } = noise {
        // A Dirichlet draw is Gamma draws, normalised; on the kept support only (A2, defect b).
        softmax_weights(kept, |c| ln_gamma_draw(key, c.id, alpha * c.weight));
        sort(kept);
    }
    limit_concepts(kept, &phase.sampler);
    if let Noise::Gumbel { tau } = noise {
        softmax_weights(kept, |c| (c.weight.ln() + gumbel(key.bits(c.id)[0])) / tau);
        sort(kept);
    }
}

/// Step 7 of A2: at most `max_concepts`, weights that sum to 1.
fn limit_concepts(kept: &mut Vec<Candidate>, sampler: &Sampler) {
    kept.truncate((sampler.max_concepts as usize).clamp(1, MAX_KEPT));
    normalise(kept);
}

/// The tokens that a sampler without noise mixes of logits (V), by falling weight: what a phase
/// that feeds concept tokens feeds. At least one; logits must be finite.
pub fn mixed_tokens(logits: &[f32], sampler: &Sampler) -> Vec<u32> {
    let mut kept = truncated(distribution(logits, sampler).top, sampler);
    limit_concepts(&mut kept, sampler);
    kept.iter().map(|candidate| candidate.id).collect()
}

/// Step 9 of A2: one token from the truncated distribution, by inversion.
fn draw_token(kept: &[Candidate], key: DrawKey) -> usize {
    let u = uniform(key.bits(DRAW_TOKEN)[0]);
    let mut mass = 0.0;
    let reaches = |candidate: &Candidate| {
        mass += candidate.weight;
        mass > u
    };
    kept.iter().position(reaches).unwrap_or(kept.len() - 1)
}

fn make_one_hot(kept: &mut [Candidate], id: u32) {
    for candidate in kept.iter_mut() {
        candidate.weight = if candidate.id == id { 1.0 } else { 0.0 };
    }
}

fn normalise(kept: &mut [Candidate]) {
    let sum: f32 = kept.iter().map(|candidate| candidate.weight).sum();
    for candidate in kept {
        candidate.weight /= sum;
    }
}

/// w ← softmax(score), computed from the largest score down so that nothing overflows.
fn softmax_weights(kept: &mut [Candidate], score: impl Fn(&Candidate) -> f32) {
    let scores: Vec<f32> = kept.iter().map(score).collect();
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (candidate, score) in kept.iter_mut().zip(scores) {
        candidate.weight = (score - max).exp();
    }
    normalise(kept);
}

fn sort(kept: &mut [Candidate]) {
    kept.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id)));
}

fn blank_record(state: &LaneState, hidden_norm: f32) -> StepRecord {
    StepRecord {
        lane: state.lane,
        step: state.step,
        position: state.position,
        phase: state.phase,
        phase_step: state.phase_step,
        cold_count: state.cold_count,
        hidden_norm,
        ..bytemuck::Zeroable::zeroed()
    }
}

fn write_distribution(record: &mut StepRecord, distribution: &Distribution) {
    write_candidates(record, distribution.entropy, &distribution.top);
}

fn write_candidates(record: &mut StepRecord, entropy: f32, kept: &[Candidate]) {
    record.entropy = entropy;
    record.n_kept = kept.len() as u32;
    for (i, candidate) in kept.iter().enumerate() {
        record.ids[i] = candidate.id;
        record.probs[i] = candidate.prob;
        record.weights[i] = candidate.weight;
    }
}
