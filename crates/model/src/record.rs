//! The trace: one fixed-size record per lane and step, written by the select stage.

pub use crate::input::InputKind;
use crate::program::MAX_KEPT;

/// What the select stage decided at one step of one lane.
///
/// The input of position `position` went in; this record says what came out of it and which
/// input is fed next. 440 bytes, the same layout in `shaders/prelude.wgsl` (struct `Record`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepRecord {
    /// Index of the lane in the run.
    pub lane: u32,
    /// Steps of this lane so far, from 0.
    pub step: u32,
    /// Position whose output this record was made from.
    pub position: u32,
    /// Index of the phase that made the decision.
    pub phase: u32,
    /// Inputs that the phase had fed before this decision.
    pub phase_step: u32,
    /// Kind of the next input, an [`InputKind`].
    pub input: u32,
    /// The emitted token: chosen, forced, or (for a thought) what it would decode to.
    pub token: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Consecutive steps below the Cold Stop threshold, this one included.
    pub cold_count: u32,
    /// How many entries of `ids`, `probs` and `weights` are filled; 0 where the LM head was
    /// skipped, and then `entropy` means nothing.
    pub n_kept: u32,
    /// Entropy in nats: full vocabulary, after temperature, before truncation, as Soft Thinking's
    /// sampler measures it.
    pub entropy: f32,
    /// The same at temperature 1: of the model's own distribution, whatever the sampler.
    pub raw_entropy: f32,
    /// Euclidean norm of the hidden state after the final norm.
    pub hidden_norm: f32,
    /// What the end classifier said of the hidden state, where [`flag::END_TESTED`] is set.
    pub end_probability: f32,
    /// The kept tokens, by falling weight.
    pub ids: [u32; MAX_KEPT],
    /// Their probabilities after temperature, before truncation and noise.
    pub probs: [f32; MAX_KEPT],
    /// Their weights in the next input, after truncation and noise. They sum to 1 where a token
    /// was chosen or a mixture made, and are 0 where the token was forced or a thought is fed.
    pub weights: [f32; MAX_KEPT],
}

/// Bits of [`StepRecord::flags`].
pub mod flag {
    /// The token was forced, not chosen.
    pub const FORCED: u32 = 1;
    /// One of the phase's stop tokens was chosen.
    pub const STOP: u32 = 2;
    /// Cold Stop ended the phase.
    pub const COLD_STOP: u32 = 4;
    /// The phase reached its largest number of steps.
    pub const CAP: u32 = 8;
    /// The lane ends with this record; nothing more is fed.
    pub const DONE: u32 = 16;
    /// The logits held a NaN or an infinity; the lane ends.
    pub const NON_FINITE: u32 = 32;
    /// The end classifier ended the phase.
    pub const END_CLASSIFIER: u32 = 64;
    /// The end classifier was asked at this step, whatever it said.
    pub const END_TESTED: u32 = 128;
}

/// One kept token of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Token id.
    pub id: u32,
    /// Probability before truncation and noise.
    pub prob: f32,
    /// Weight in the next input.
    pub weight: f32,
}

impl StepRecord {
    /// Whether all bits of `flags` are set.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// The end classifier's probability, where it was asked.
    pub fn end_probability(&self) -> Option<f32> {
        self.has(flag::END_TESTED).then_some(self.end_probability)
    }

    /// The kind of the next input.
    pub fn input_kind(&self) -> InputKind {
        InputKind::of_code(self.input)
    }

    /// The share of the probability, after temperature, that the kept tokens hold: what a mixture
    /// of them stands for. `None` where the LM head was skipped.
    pub fn kept_share(&self) -> Option<f32> {
        let share = self.kept().map(|kept| kept.prob).sum();
        (self.n_kept > 0).then_some(share)
    }

    /// The kept tokens, by falling weight.
    pub fn kept(&self) -> impl Iterator<Item = Kept> + '_ {
        (0..(self.n_kept as usize).min(MAX_KEPT)).map(|i| Kept {
            id: self.ids[i],
            prob: self.probs[i],
            weight: self.weights[i],
        })
    }
}
