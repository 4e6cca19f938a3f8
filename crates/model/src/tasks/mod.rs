//! Tasks: problems that can be generated, rendered, solved and graded.

pub mod prosqa;

use std::{fmt, str::FromStr};

use crate::{program::Program, record::StepRecord, tokenizer::Tokenizer};

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Search in a graph of fictional concepts (Coconut, arXiv 2412.06769).
    ProsQa,
}

/// One problem of any task.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// ProsQA.
    ProsQa(prosqa::Problem),
}

/// What a grader says of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The right answer in the right form.
    Right,
    /// Another answer in the right form.
    Wrong,
    /// Not an answer.
    Malformed,
}

/// How hard generated problems are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Difficulty {
    /// Small enough to follow on a projector.
    #[default]
    Class,
    /// As in the official files.
    Official,
}

/// A name that stands for nothing, or a file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No such name.
    #[error("there is no {kind} {found:?}; there are: {}", expected.join(", "))]
    UnknownName {
        /// What was asked for.
        kind: &'static str,
        /// The name given.
        found: String,
        /// The names known.
        expected: Vec<&'static str>,
    },
    /// A bad ProsQA file.
    #[error(transparent)]
    ProsQa(#[from] prosqa::OfficialError),
}

impl Task {
    /// Every task with its name.
    pub const ALL: [(&str, Self); 1] = [("prosqa", Self::ProsQa)];

    /// Its name in the CLI, in `index.json` and in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProsQa => "prosqa",
        }
    }

    /// The task that a problem belongs to.
    pub fn of(problem: &Problem) -> Self {
        match problem {
            Problem::ProsQa(_) => Self::ProsQa,
        }
    }

    /// Draws a problem; the same seed gives the same problem on every machine.
    pub fn generate(self, seed: u64, difficulty: Difficulty) -> Problem {
        match self {
            Self::ProsQa => {
                let preset = match difficulty {
                    Difficulty::Class => prosqa::Difficulty::CLASS,
                    Difficulty::Official => prosqa::Difficulty::OFFICIAL,
                };
                Problem::ProsQa(prosqa::Problem::generate(seed, &preset))
            }
        }
    }

    /// Reads a file in the task's official format.
    pub fn load(self, text: &str) -> Result<Vec<Problem>, TaskError> {
        match self {
            Self::ProsQa => Ok(prosqa::load(text)?
                .into_iter()
                .map(Problem::ProsQa)
                .collect()),
        }
    }

    /// Tokens of a completion as the task's text.
    pub fn render(self, tokenizer: &Tokenizer, ids: &[u32]) -> String {
        let tokens: Vec<String> = ids.iter().map(|&id| tokenizer.token(id)).collect();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        match self {
            Self::ProsQa => prosqa::render(&tokens),
        }
    }
}

impl Problem {
    /// The question as text, which is the model's prompt.
    pub fn question(&self) -> String {
        match self {
            Self::ProsQa(problem) => problem.question(),
        }
    }

    /// The right answer as text.
    pub fn answer(&self) -> String {
        match self {
            Self::ProsQa(problem) => problem.answer(),
        }
    }

    /// Grades a completion.
    pub fn grade(&self, completion: &str) -> Verdict {
        match self {
            Self::ProsQa(problem) => problem.grade(completion),
        }
    }

    /// Entropies, in nats, of the thinking steps at which the problem offers more than one way
    /// on; empty for a lane that did not think in words or concept tokens.
    pub fn branch_entropies(
        &self,
        tokenizer: &Tokenizer,
        program: &Program,
        records: &[StepRecord],
    ) -> Vec<f32> {
        match self {
            Self::ProsQa(problem) => problem.branch_entropies(tokenizer, program, records),
        }
    }
}

impl Difficulty {
    /// Every difficulty with its name.
    pub const ALL: [(&str, Self); 2] = [("class", Self::Class), ("official", Self::Official)];

    /// Its name in the CLI and in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Official => "official",
        }
    }
}

impl FromStr for Task {
    type Err = TaskError;

    fn from_str(name: &str) -> Result<Self, TaskError> {
        by_name("task", &Self::ALL, name)
    }
}

impl FromStr for Difficulty {
    type Err = TaskError;

    fn from_str(name: &str) -> Result<Self, TaskError> {
        by_name("difficulty", &Self::ALL, name)
    }
}

fn by_name<T: Copy>(
    kind: &'static str,
    all: &[(&'static str, T)],
    found: &str,
) -> Result<T, TaskError> {
    let known = all.iter().find(|(name, _)| *name == found);
    known
        .map(|(_, value)| *value)
        .ok_or_else(|| TaskError::UnknownName {
            kind,
            found: found.into(),
            expected: all.iter().map(|(name, _)| *name).collect(),
        })
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Malformed => "malformed",
        })
    }
}
