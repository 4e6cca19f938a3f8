//! One problem of any task, as data: what is asked, how it is solved, what is drawn of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Graph, Task};

/// One problem of any task, with its solution.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub(super) task: Task,
    pub(super) question: String,
    pub(super) headline: String,
    pub(super) answer: String,
    pub(super) steps: Vec<String>,
    pub(super) question_tokens: Result<Vec<u32>, UnknownWord>,
    pub(super) step_tokens: Vec<Vec<u32>>,
    pub(super) answer_tokens: Vec<u32>,
    pub(super) fingerprint: Fingerprint,
    pub(super) graph: Option<Graph>,
}

/// What a grader says of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// The right answer in the right form.
    Right,
    /// Another answer in the right form.
    Wrong,
    /// Not an answer.
    Malformed,
}

/// A word that the task's vocabulary lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a word of the task's vocabulary")]
pub struct UnknownWord {
    /// The word.
    pub word: String,
}

/// Why a text that somebody has typed is not a problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TextError(pub String);

impl Problem {
    /// The task that it belongs to.
    pub fn task(&self) -> Task {
        self.task
    }

    /// The question in the official form, which is the model's prompt.
    pub fn question(&self) -> &str {
        &self.question
    }

    /// What is asked, without the statements or the story before it.
    pub fn headline(&self) -> &str {
        &self.headline
    }

    /// The right answer as text.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// One way of reasoning as text, step by step; of several shortest ones the first.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// The question's token ids, as [`Task::tokenizer_json`] gives them. Only a problem from a
    /// file can hold a word that the vocabulary lacks.
    pub fn encode(&self) -> Result<&[u32], &UnknownWord> {
        self.question_tokens.as_deref()
    }

    /// The token ids of each of the [`Problem::steps`].
    pub fn step_tokens(&self) -> &[Vec<u32>] {
        &self.step_tokens
    }

    /// The token ids of the right answer: what stands between `###` and `<eos>`.
    pub fn answer_tokens(&self) -> &[u32] {
        &self.answer_tokens
    }

    /// What it has in common with every problem that would give it away: a problem of a training
    /// set must share it with none of an official file.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The statements as a graph, for a task whose picture is one.
    pub fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    /// Grades a completion by what its [answer](super::TaskSpec::answer_part) says.
    pub fn grade(&self, completion: &str) -> Grade {
        match self
            .task
            .answer_part(completion)
            .and_then(|text| self.task.answer_said(self, text))
        {
            Some(said) if said == self.answer => Grade::Right,
            Some(_) => Grade::Wrong,
            None => Grade::Malformed,
        }
    }

    /// See [`TaskSpec::branch_points`](super::TaskSpec::branch_points).
    pub fn branch_points(&self, words: &[&str]) -> Vec<usize> {
        self.task.branch_points(self, words)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Malformed => "malformed",
        })
    }
}
