//! Free text: whatever people ask a language model that they bring, graded where somebody knows
//! the answer.
//!
//! It has no vocabulary of its own, nothing is trained on it, and its files are those of GSM8K
//! (arXiv 2110.14168) and MATH-500 (arXiv 2305.20050).

mod answer;
mod official;
mod task;

use super::Problem;
pub use answer::{Answer, said};
pub use task::TASK;

/// A prompt that shows something, with its answer where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub title: &'static str,
    /// What is typed.
    pub prompt: &'static str,
    /// Whether it is said to the model, or is a text that the model goes on with.
    pub chat: bool,
    /// The right answer.
    pub answer: Option<&'static str>,
}

impl Example {
    /// The prompt as a problem, where its answer is known.
    pub fn problem(&self) -> Option<Problem> {
        let answer = self.answer?;
        Some(task::problem(self.prompt, answer, Vec::new()))
    }
}

/// Prompts that are offered, in this order.
pub const EXAMPLES: &[Example] = &[
    Example {
        title: "A sum",
        prompt: "Tom has 8 pens and buys 7 more. He gives 5 of them away. How many pens does he have now?",
        chat: true,
        answer: Some("10"),
    },
    Example {
        title: "A riddle",
        prompt: "I have keys but open no locks, and people play me. What am I?",
        chat: true,
        answer: Some("piano"),
    },
    Example {
        title: "A fact",
        prompt: "What is the capital of France?",
        chat: true,
        answer: Some("Paris"),
    },
    Example {
        title: "A sentence to go on with",
        prompt: "Once upon a time, in a small town by the sea, there was a",
        chat: false,
        answer: None,
    },
];
