//! The engine's contract: begin a run of lanes, then advance it and read its records.

pub mod checks;
pub mod pace;
mod prefix;
mod renewal;

pub use self::{
    prefix::{SharedPrefix, owners_first, shared_prefixes},
    renewal::{Renew, Renewable},
};

use crate::{
    config::ModelConfig,
    contemplation::ContemplationSpec,
    input::Input,
    program::{Program, ProgramError},
    record::StepRecord,
    reference::LayerStates,
    select::LaneState,
};

/// One lane of a run: what it is given, and the program that continues it.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneSpec {
    /// What is fed before the program begins, at least one input: a prompt of tokens, or a prompt
    /// and somebody's thinking up to a step.
    pub inputs: Vec<Input>,
    /// The strategy.
    pub program: Program,
    /// Seed of the lane's random draws.
    pub seed: u32,
    /// Tells lanes with the same seed apart: the second word of their draws' key. Not the lane's
    /// index, so that a lane's run does not change with what runs beside it.
    pub stream: u32,
    /// Whether thoughts are decoded through the LM head for their records, which costs a head
    /// per thought and changes nothing else.
    pub decode_thoughts: bool,
}

/// Where a lane stands between two steps: enough to go on from there.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneCursor {
    /// Where it is in its program.
    pub state: LaneState,
    /// What is fed at `state.position`; `None` where the lane is done.
    pub input: Option<Input>,
}

/// A state that is put in the place of a lane's residual stream at the lane's next step.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The lane's index.
    pub lane: usize,
    /// The layer, counted from 0, after which it stands.
    pub layer: usize,
    /// (d)
    pub state: Vec<f32>,
}

/// One step of a run whose residual streams were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchedStep {
    /// One for each lane that was not done, ordered by lane.
    pub records: Vec<StepRecord>,
    /// Per record, per layer: the residual stream after the layer, (d); a patch where there was one.
    pub states: Vec<Vec<Vec<f32>>>,
}

/// A failed run. Each text names what was expected and what was found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// No lanes, or too many.
    #[error("a run has 1 to {max} lanes, found {found}")]
    LaneCount {
        /// The engine's limit.
        max: usize,
        /// Lanes given.
        found: usize,
    },
    /// A lane that is given nothing.
    #[error("lane {lane}: the prompt is empty")]
    NoInputs {
        /// The lane's index.
        lane: usize,
    },
    /// A token outside of the vocabulary.
    #[error("lane {lane}: token {token} is outside of the vocabulary of {vocab_size} tokens")]
    UnknownToken {
        /// The lane's index.
        lane: usize,
        /// The token's id.
        token: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// An input that cannot be fed.
    #[error("lane {lane}, input {index}: expected {expected}, found {found}")]
    BadInput {
        /// The lane's index.
        lane: usize,
        /// The input's index.
        index: usize,
        /// What may be fed, in words.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A cursor for a lane that the run does not have.
    #[error(
        "a cursor names lane {lane}; expected one of the run's {n_lanes} lanes, counted from 0"
    )]
    NoLane {
        /// The lane named.
        lane: usize,
        /// Lanes of the run.
        n_lanes: usize,
    },
    /// A cursor that its lane cannot stand at.
    #[error("lane {lane}: a cursor has {expected}, found {found}")]
    BadCursor {
        /// The lane's index.
        lane: usize,
        /// What it may have, in words.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A state that cannot stand in a residual stream of the model.
    #[error("lane {lane}: a patch has {expected}, found {found}")]
    BadPatch {
        /// The lane's index.
        lane: usize,
        /// What it may have, in words.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A prompt and program that do not fit the context.
    #[error(
        "lane {lane}: the prompt's {given} tokens and up to {continuation} more \
         do not fit the model's context of {context} positions"
    )]
    ContextTooShort {
        /// The lane's index.
        lane: usize,
        /// Inputs given.
        given: usize,
        /// Largest number of positions that the program can take.
        continuation: usize,
        /// Positions of the model.
        context: usize,
    },
    /// A program that cannot run.
    #[error("lane {lane}: {reason}")]
    Program {
        /// The lane's index.
        lane: usize,
        /// What is wrong.
        reason: ProgramError,
    },
    /// A program that ends a phase by what the checkpoint lacks.
    #[error(
        "lane {lane}: phase {phase} ends by the end classifier; expected the tensors \
         end_classifier.weight and end_classifier.bias in the checkpoint, found neither"
    )]
    NoEndClassifier {
        /// The lane's index.
        lane: usize,
        /// The phase's index.
        phase: usize,
    },
    /// A program of CCOT on another checkpoint.
    #[error(
        "lane {lane}: phase {phase} contemplates; expected a checkpoint with a folder of adapters, \
         such as ccot/ccot.json, found none"
    )]
    NoContemplation {
        /// The lane's index.
        lane: usize,
        /// The phase's index.
        phase: usize,
    },
    /// A program that feeds the state of a layer that the model lacks.
    #[error(
        "lane {lane}: phase {phase} feeds the state after layer {layer}; the model's layers are 0 to {last}"
    )]
    NoLayer {
        /// The lane's index.
        lane: usize,
        /// The phase's index.
        phase: usize,
        /// The layer asked for.
        layer: u32,
        /// The model's last layer.
        last: usize,
    },
    /// `advance` without `begin`.
    #[error("no run has begun: call begin first")]
    NotBegun,
    /// NaN or infinite logits.
    #[error("lane {lane}, step {step}: the logits are not finite (NaN or infinite weights?)")]
    NonFinite {
        /// The lane's index.
        lane: u32,
        /// The lane's step.
        step: u32,
    },
    /// A record that no right sampler writes.
    #[error("{engine} computes wrong numbers: lane {lane}, step {step}: {what}")]
    Implausible {
        /// Description of the engine, with the adapter's name.
        engine: String,
        /// The lane's index.
        lane: u32,
        /// The lane's step.
        step: u32,
        /// The number, and what it may be.
        what: String,
    },
    /// The device has no room for the model or the run; something smaller would do.
    #[error("{0}")]
    NoRoom(String),
    /// The device cannot be used, or refused a command.
    #[error("{0}")]
    Device(String),
    /// The device is gone; what ran on it can go on elsewhere ([`Renewable`]).
    #[error("{0}")]
    DeviceLost(String),
    /// A run that was taken up on another engine went another way.
    #[error(
        "lane {lane}, step {step}: the engine that took the run up after the device was lost does \
         not come to the recorded step"
    )]
    OtherRun {
        /// The lane's index.
        lane: u32,
        /// The lane's step.
        step: u32,
    },
}

impl EngineError {
    /// The same error with `number` in place of its lane's index, for callers whose lanes are
    /// counted otherwise than the engine's.
    pub fn with_lane(mut self, number: impl FnOnce(usize) -> usize) -> Self {
        match &mut self {
            Self::NoInputs { lane }
            | Self::UnknownToken { lane, .. }
            | Self::BadInput { lane, .. }
            | Self::NoLane { lane, .. }
            | Self::BadCursor { lane, .. }
            | Self::BadPatch { lane, .. }
            | Self::ContextTooShort { lane, .. }
            | Self::Program { lane, .. }
            | Self::NoEndClassifier { lane, .. }
            | Self::NoContemplation { lane, .. }
            | Self::NoLayer { lane, .. } => *lane = number(*lane),
            Self::NonFinite { lane, .. }
            | Self::Implausible { lane, .. }
            | Self::OtherRun { lane, .. } => {
                *lane = number(*lane as usize) as u32;
            }
            Self::LaneCount { .. }
            | Self::NotBegun
            | Self::NoRoom(_)
            | Self::Device(_)
            | Self::DeviceLost(_) => {}
        }
        self
    }
}

/// Runs programs on one checkpoint. One engine, one run at a time.
#[allow(async_fn_in_trait)] // Engines live on one thread, in the browser too: no `Send` is wanted.
pub trait Engine {
    /// The shape of the model that it runs.
    fn config(&self) -> &ModelConfig;

    /// Name for people: which engine, on which adapter.
    fn description(&self) -> String;

    /// Prefills what every lane is given, but for its last input, which the first step feeds, and
    /// loads the lanes' programs. Lanes that are given the same share the prefill. A run that was
    /// under way is dropped.
    async fn begin(&mut self, lanes: &[LaneSpec]) -> Result<(), EngineError>;

    /// Runs up to `n_steps` positions on every live lane and reads all their records back once,
    /// ordered by step, then lane. Empty when every lane is done.
    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError>;

    /// One step of every live lane, as [`Engine::advance`] runs it, whose residual streams are read
    /// after every layer and replaced where there is a patch. What is above it, what the step
    /// decides, and all later steps are made of the patch. One of a lane that is done does nothing.
    ///
    /// # Errors
    /// If no run has begun, or a patch does not fit it ([`checks::check_patches`]).
    async fn advance_watched(&mut self, patches: &[Patch]) -> Result<WatchedStep, EngineError>;

    /// Puts lanes where `cursors` say, each by its `state.lane`; what they were fed before stays,
    /// and nothing is moved where one of them is refused.
    ///
    /// # Errors
    /// If a cursor is none of the run's lanes', or a lane cannot stand there
    /// ([`checks::check_cursors`]).
    fn set_cursors(&mut self, cursors: &[LaneCursor]) -> Result<(), EngineError>;

    /// Where every lane of the run stands, in their order: what [`Engine::set_cursors`] would
    /// bring it back to.
    async fn cursors(&mut self) -> Result<Vec<LaneCursor>, EngineError>;

    /// What the model makes of each cursor's input at its place, after all that the lane was fed
    /// before; one row of the result for each cursor. All of them share a pass over the weights.
    ///
    /// Rows that do not commit: no key, value, step, counter or draw of the run changes, and a
    /// lane may be asked about several inputs at one place, or about a place it has left behind.
    ///
    /// # Errors
    /// As [`Engine::set_cursors`], and where a cursor has no input.
    async fn peek(&mut self, cursors: &[LaneCursor]) -> Result<LayerStates, EngineError>;
}

/// What a checkpoint brings beside its language model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelCapabilities {
    /// A classifier that says when thinking ends.
    pub end_classifier: bool,
    /// Adapters that contemplate and answer from it (CCOT, arXiv 2412.13171).
    pub contemplation: Option<ContemplationSpec>,
}

/// Runs all lanes to their end, `chunk` steps at a time, and hands each chunk to `on_records`.
pub async fn run_to_end<E: Engine>(
    engine: &mut E,
    lanes: &[LaneSpec],
    chunk: usize,
    mut on_records: impl FnMut(&[StepRecord]),
) -> Result<Vec<Vec<StepRecord>>, EngineError> {
    engine.begin(lanes).await?;
    let mut traces = vec![Vec::new(); lanes.len()];
    loop {
        let records = engine.advance(chunk).await?;
        if records.is_empty() {
            return Ok(traces);
        }
        on_records(&records);
        for record in records {
            traces[record.lane as usize].push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_can_name_its_lane_as_the_caller_counts() {
        let members = [2, 5];
        let error = EngineError::NoInputs { lane: 1 }.with_lane(|lane| members[lane]);
        assert_eq!(error, EngineError::NoInputs { lane: 5 });
        let error = EngineError::NonFinite { lane: 0, step: 7 }.with_lane(|lane| members[lane]);
        assert_eq!(error, EngineError::NonFinite { lane: 2, step: 7 });
    }
}
