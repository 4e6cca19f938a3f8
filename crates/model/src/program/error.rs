//! What can be wrong with a program.

use super::MAX_PHASES;

/// A program that cannot run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProgramError {
    /// The number of phases is wrong.
    #[error("a program has 1 to {MAX_PHASES} phases, found {found}")]
    PhaseCount {
        /// Phases found.
        found: usize,
    },
    /// The last phase does not answer in tokens.
    #[error("the last phase of a program must be an answer in tokens with at least one step")]
    LastPhase,
    /// The last phase is asked to end by the classifier.
    #[error("phase {phase}: the end classifier ends thinking, and the last phase is the answer")]
    EndClassifierOfAnswer {
        /// The phase's index.
        phase: usize,
    },
    /// A number is outside of what its field allows.
    #[error("phase {phase}: {field} must be {expected}, found {found}")]
    OutOfRange {
        /// The phase's index.
        phase: usize,
        /// The field's name.
        field: &'static str,
        /// The range in words.
        expected: String,
        /// The value found.
        found: f32,
    },
    /// A stop text that cannot be told by its newest tokens alone.
    #[error("phase {phase}: the first token of stop_text, {token}, may not come again in it")]
    RepeatedStart {
        /// The phase's index.
        phase: usize,
        /// The token's id.
        token: u32,
    },
    /// A marker or stop token lies outside of the vocabulary.
    #[error("phase {phase}: token {token} is outside of the vocabulary of {vocab_size} tokens")]
    UnknownToken {
        /// The phase's index.
        phase: usize,
        /// The token's id.
        token: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
}
