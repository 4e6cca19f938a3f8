//! The engine's contract: begin a run of lanes, then advance it and read its records.

use crate::{
    config::ModelConfig,
    program::{Program, ProgramError},
    record::{StepRecord, flag},
};

/// One lane of a run: a prompt and the program that continues it.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneSpec {
    /// Token ids of the prompt, at least one.
    pub prompt: Vec<u32>,
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
    /// A lane without a prompt.
    #[error("lane {lane}: the prompt is empty")]
    EmptyPrompt {
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
    /// A prompt and program that do not fit the context.
    #[error(
        "lane {lane}: the prompt's {prompt} tokens and up to {continuation} more \
         do not fit the model's context of {context} positions"
    )]
    ContextTooShort {
        /// The lane's index.
        lane: usize,
        /// Prompt length in tokens.
        prompt: usize,
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
    /// The device cannot run this model, was lost, or refused a command.
    #[error("{0}")]
    Device(String),
}

impl EngineError {
    /// The same error with `number` in place of its lane's index, for callers whose lanes are
    /// counted otherwise than the engine's.
    pub fn with_lane(mut self, number: impl FnOnce(usize) -> usize) -> Self {
        match &mut self {
            Self::EmptyPrompt { lane }
            | Self::UnknownToken { lane, .. }
            | Self::ContextTooShort { lane, .. }
            | Self::Program { lane, .. }
            | Self::NoEndClassifier { lane, .. } => *lane = number(*lane),
            Self::NonFinite { lane, .. } => *lane = number(*lane as usize) as u32,
            Self::LaneCount { .. } | Self::NotBegun | Self::Device(_) => {}
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

    /// Prefills every lane's prompt and loads its program. Lanes that share a prompt share
    /// the prefill. A run that was under way is dropped.
    async fn begin(&mut self, lanes: &[LaneSpec]) -> Result<(), EngineError>;

    /// Runs up to `n_steps` positions on every live lane and reads all their records back once,
    /// ordered by step, then lane. Empty when every lane is done.
    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError>;
}

/// What an engine and its model can run.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The model's shape.
    pub config: &'a ModelConfig,
    /// Whether the checkpoint has an end classifier.
    pub has_end_classifier: bool,
    /// Lanes of one run.
    pub max_lanes: usize,
}

/// What every engine checks before it touches a device.
pub fn check_lanes(lanes: &[LaneSpec], limits: &Limits<'_>) -> Result<(), EngineError> {
    let (config, max) = (limits.config, limits.max_lanes);
    if lanes.is_empty() || lanes.len() > max {
        let found = lanes.len();
        return Err(EngineError::LaneCount { max, found });
    }
    for (lane, spec) in lanes.iter().enumerate() {
        spec.program
            .validate(config.vocab_size)
            .map_err(|reason| EngineError::Program { lane, reason })?;
        if let Some(phase) = spec.program.end_classifier_phase()
            && !limits.has_end_classifier
        {
            return Err(EngineError::NoEndClassifier { lane, phase });
        }
        if spec.prompt.is_empty() {
            return Err(EngineError::EmptyPrompt { lane });
        }
        let vocab_size = config.vocab_size;
        if let Some(&token) = spec.prompt.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(EngineError::UnknownToken {
                lane,
                token,
                vocab_size,
            });
        }
        let (prompt, continuation) = (spec.prompt.len(), spec.program.max_positions());
        let context = config.max_position_embeddings;
        if prompt + continuation > context {
            return Err(EngineError::ContextTooShort {
                lane,
                prompt,
                continuation,
                context,
            });
        }
    }
    Ok(())
}

/// Turns records that report bad numbers into an error.
pub fn check_records(records: Vec<StepRecord>) -> Result<Vec<StepRecord>, EngineError> {
    match records.iter().find(|record| record.has(flag::NON_FINITE)) {
        Some(bad) => Err(EngineError::NonFinite {
            lane: bad.lane,
            step: bad.step,
        }),
        None => Ok(records),
    }
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
        let error = EngineError::EmptyPrompt { lane: 1 }.with_lane(|lane| members[lane]);
        assert_eq!(error, EngineError::EmptyPrompt { lane: 5 });
        let error = EngineError::NonFinite { lane: 0, step: 7 }.with_lane(|lane| members[lane]);
        assert_eq!(error, EngineError::NonFinite { lane: 2, step: 7 });
    }
}
