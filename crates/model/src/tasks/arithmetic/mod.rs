//! Arithmetic: word problems in the manner of GSM8K, with a `<<a*b=c>>` for each step.
//!
//! Cobbe et al., "Training Verifiers to Solve Math Word Problems" (arXiv 2110.14168), whose
//! annotations Coconut (arXiv 2412.06769) uses as the steps of reasoning. Our own problems are
//! made from templates, small enough for a small model; the official file loads as the same type.

mod expression;
mod generator;
mod official;
mod story;
mod task;
mod text;
mod training;
mod vocabulary;

use crate::tasks::{Fingerprint, UnknownWord};

pub use expression::{ExpressionError, evaluate};
pub use generator::Difficulty;
pub use task::TASK;
pub use text::pieces;
pub use vocabulary::{MARKER, VOCABULARY_SIZE, token_id, vocabulary};

/// One word problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is told and asked.
    pub question: String,
    /// The steps of the solution.
    pub steps: Vec<Step>,
    /// The right answer.
    pub answer: i64,
}

/// One step of a solution, `<<48/2=24>>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is computed, `48/2`: whole numbers, `+ - * /` and parentheses.
    pub expression: String,
    /// What comes out.
    pub result: i64,
}

impl Problem {
    /// The token ids of the question, or the first word that the vocabulary lacks, which only a
    /// loaded problem can have.
    pub fn encode(&self) -> Result<Vec<u32>, UnknownWord> {
        pieces(&self.question)
            .into_iter()
            .map(|piece| token_id(piece).ok_or_else(|| UnknownWord { word: piece.into() }))
            .collect()
    }

    /// The token ids of each step, digit by digit: `<<`, `4`, `8`, `/`, `2`, `=`, `2`, `4`, `>>`.
    pub fn step_tokens(&self) -> Vec<Vec<u32>> {
        self.steps
            .iter()
            .map(|step| ids(&step.to_string()))
            .collect()
    }

    /// The token ids of the right answer, digit by digit, which follow `###`.
    pub fn answer_tokens(&self) -> Vec<u32> {
        ids(&self.answer.to_string())
    }

    /// What two equal problems have in common: the question's words, whatever their case and the
    /// punctuation between them.
    pub fn fingerprint(&self) -> Fingerprint {
        let is_word = |c: char| c.is_alphanumeric();
        let words = self.question.split(|c| !is_word(c));
        let words = words.filter(|word| !word.is_empty()).map(str::to_lowercase);
        Fingerprint::of_sequence(words)
    }
}

/// Ids of digits, operators and brackets, for all of which there is a token.
fn ids(text: &str) -> Vec<u32> {
    pieces(text).into_iter().filter_map(token_id).collect()
}
