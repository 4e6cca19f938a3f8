//! The select stage: from logits and a lane's state to a record and the lane's next input.
//!
//! The CPU twin of `shaders/select.wgsl`, with its seams: the distribution is what many workgroups
//! share, the rest is one lane's. The order is that of the sampler released with Soft Thinking
//! (arXiv 2505.15778): temperature, entropy, top-k, top-p, min-p, Dirichlet, max_concepts,
//! Gumbel-Softmax, re-sort; then the Cold Stop counter and the phase change. The end classifier
//! and the cap come before all of it: a phase that is over chooses nothing.

mod distribution;
mod sampler;

pub use sampler::{clean_mixture, mixed_tokens, noised_mixture};

use distribution::{Candidate, Distribution};
use sampler::{draw_token, make_one_hot, mix, truncated};

use crate::{
    engine::LaneSpec,
    input::{Feed, InputKind, NextInput},
    program::{Adapter, EndClassifier, Phase, Program},
    record::{StepRecord, flag},
    rng::DrawKey,
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
    /// What of a text is still to be forced.
    pub forcing: Option<Forcing>,
    /// How many of the newest chosen tokens are the beginning of the phase's stop text.
    pub n_matched: u32,
    /// The weights under which the input at `position` runs: the base for what the lane is given
    /// and its start marker, then those of the phase that the lane is in. So the marker that a
    /// phase forces at its end runs under the next phase's.
    pub adapter: Adapter,
    /// Whether the lane has ended.
    pub done: bool,
}

/// A text of a program that is being fed, token by token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forcing {
    /// Which text.
    pub text: ForcedText,
    /// Which of its tokens comes next.
    pub next: u32,
}

/// A text that a program forces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedText {
    /// [`Program::start`]
    Start,
    /// [`Phase::then_force`] of the phase of this index.
    EndOf(u32),
}

impl ForcedText {
    /// Its tokens; none where the program has no such phase.
    pub fn tokens(self, program: &Program) -> &[u32] {
        match self {
            Self::Start => &program.start,
            Self::EndOf(phase) => {
                let phase = program.phases.get(phase as usize);
                phase.map_or(&[], |phase| &phase.then_force)
            }
        }
    }
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

impl LaneState {
    /// Lane number `lane` of a run, whose last given input is fed first.
    pub fn new(lane: u32, spec: &LaneSpec) -> Self {
        Self {
            lane,
            seed: spec.seed,
            stream: spec.stream,
            step: 0,
            position: spec.inputs.len() as u32 - 1,
            phase: 0,
            phase_step: 0,
            cold_count: 0,
            forcing: (!spec.program.start.is_empty()).then_some(Forcing {
                text: ForcedText::Start,
                next: 0,
            }),
            n_matched: 0,
            adapter: Adapter::Base,
            done: false,
        }
    }

    /// Whether this step's choice reads the logits; where it does not, the LM head is skipped.
    pub fn needs_logits(&self, program: &Program) -> bool {
        if self.forcing.is_some() {
            return false;
        }
        let phase = &program.phases[self.phase as usize];
        let capped = self.phase_step >= phase.until.max_steps;
        let may_end = capped || self.asked_classifier(phase).is_some();
        phase.feed.needs_logits() || (may_end && phase.then_force.is_empty())
    }

    /// Whether the LM head runs at this step: for the choice, or to decode a thought.
    pub fn wants_logits(&self, program: &Program, decode_thoughts: bool) -> bool {
        let phase = &program.phases[self.phase as usize];
        let is_thought = phase.feed.kind() == InputKind::Hidden && self.forcing.is_none();
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
        self.n_matched = 0;
    }

    /// Feeds the next token of a text.
    fn force(&mut self, program: &Program, forcing: Forcing, record: &mut StepRecord) -> NextInput {
        let tokens = forcing.text.tokens(program);
        let token = tokens[forcing.next as usize];
        let next = forcing.next + 1;
        let goes_on = (next as usize) < tokens.len();
        self.forcing = goes_on.then_some(Forcing { next, ..forcing });
        force(record, token)
    }

    /// Ends the phase with its text, which it has.
    fn force_end(&mut self, program: &Program, record: &mut StepRecord) -> NextInput {
        let text = ForcedText::EndOf(self.phase);
        self.enter_next_phase();
        self.force(program, Forcing { text, next: 0 }, record)
    }

    /// Whether a chosen token completes the phase's stop text.
    fn completes_stop_text(&mut self, phase: &Phase, token: u32) -> bool {
        let text = &phase.until.stop_text;
        let Some(&first) = text.first() else {
            return false;
        };
        // The first token does not come again, so what does not go on can only begin anew.
        self.n_matched = match text.get(self.n_matched as usize) == Some(&token) {
            true => self.n_matched + 1,
            false => u32::from(token == first),
        };
        self.n_matched as usize == text.len()
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
    let text = state.forcing.map(|forcing| forcing.text);
    let starts = text == Some(ForcedText::Start);
    let finite = logits.is_none_or(|logits| logits.iter().all(|z| z.is_finite()));
    let next = if finite && output.hidden_norm.is_finite() {
        decide(state, program, output, &mut record)
    } else {
        record.flags = flag::NON_FINITE;
        NextInput::None
    };
    record.input = next.kind() as u32;
    if next == NextInput::None {
        record.flags |= flag::DONE;
        state.done = true;
    }
    state.step += 1;
    state.position += 1;
    state.adapter = match starts {
        true => Adapter::Base,
        false => program.phases[state.phase as usize].adapter,
    };
    (record, next)
}

fn decide(
    state: &mut LaneState,
    program: &Program,
    output: StepOutput<'_>,
    record: &mut StepRecord,
) -> NextInput {
    if let Some(forcing) = state.forcing {
        return state.force(program, forcing, record);
    }
    let logits = output.logits;
    // A phase that is over and forces no marker hands this very step to the next one.
    let mut phase = &program.phases[state.phase as usize];
    while let Some(why) = end_before_feeding(state, phase, output, record) {
        record.flags |= why;
        if !phase.then_force.is_empty() {
            record.phase = state.phase;
            record.phase_step = state.phase_step;
            if let Some(logits) = logits {
                write_distribution(
                    record,
                    &Distribution::new(logits, phase.sampler.temperature),
                );
            }
            return state.force_end(program, record);
        }
        state.enter_next_phase();
        phase = &program.phases[state.phase as usize];
    }
    record.phase = state.phase;
    record.phase_step = state.phase_step;
    state.phase_step += 1;
    match phase.feed {
        Feed::Pause(token) => force(record, token),
        Feed::Hidden { tap } => {
            if let Some(logits) = logits {
                let distribution = Distribution::new(logits, phase.sampler.temperature);
                write_distribution(record, &distribution);
                record.token = distribution.top[0].id;
            }
            NextInput::Hidden(tap)
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

/// Token and concept phases: the sampler, Cold Stop, and the stop tokens.
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
    let distribution = Distribution::new(logits, phase.sampler.temperature);
    if let Some(cold_stop) = phase.until.cold_stop {
        let is_cold = distribution.entropy < cold_stop.entropy;
        state.cold_count = if is_cold { state.cold_count + 1 } else { 0 };
        record.cold_count = state.cold_count;
        if state.cold_count >= cold_stop.patience {
            record.flags |= flag::COLD_STOP;
            write_distribution(record, &distribution);
            return end_by_cold_stop(state, program, record);
        }
    }
    write_entropies(record, &distribution);
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
    let completes = state.completes_stop_text(phase, emitted);
    let stops = completes || phase.until.stop_tokens.contains(&emitted);
    if stops {
        make_one_hot(&mut kept, emitted);
        record.flags |= flag::STOP;
    }
    write_candidates(record, &kept);
    if stops && is_last {
        return NextInput::None;
    }
    if is_last && state.phase_step >= phase.until.max_steps {
        record.flags |= flag::CAP;
        return NextInput::None;
    }
    if stops && !completes && phase.until.drops_stop && !phase.then_force.is_empty() {
        return state.force_end(program, record);
    }
    if stops {
        state.enter_next_phase();
        return NextInput::Token(emitted);
    }
    match phase.feed {
        Feed::Concept => NextInput::Mixture(kept.iter().map(|c| (c.id, c.weight)).collect()),
        _ => NextInput::Token(emitted),
    }
}

fn end_by_cold_stop(
    state: &mut LaneState,
    program: &Program,
    record: &mut StepRecord,
) -> NextInput {
    let index = state.phase as usize;
    // In the answer, Cold Stop guards against loops: the lane ends, as the released sampler aborts
    // the request.
    if index + 1 == program.phases.len() {
        return NextInput::None;
    }
    if !program.phases[index].then_force.is_empty() {
        return state.force_end(program, record);
    }
    // Nothing to force: the most probable token is fed, and the next phase begins.
    state.enter_next_phase();
    record.token = record.ids[0];
    NextInput::Token(record.token)
}

fn force(record: &mut StepRecord, token: u32) -> NextInput {
    record.token = token;
    record.flags |= flag::FORCED;
    NextInput::Token(token)
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
    write_entropies(record, distribution);
    write_candidates(record, &distribution.top);
}

fn write_entropies(record: &mut StepRecord, distribution: &Distribution) {
    record.entropy = distribution.entropy;
    record.raw_entropy = distribution.raw_entropy;
}

fn write_candidates(record: &mut StepRecord, kept: &[Candidate]) {
    record.n_kept = kept.len() as u32;
    for (i, candidate) in kept.iter().enumerate() {
        record.ids[i] = candidate.id;
        record.probs[i] = candidate.prob;
        record.weights[i] = candidate.weight;
    }
}
