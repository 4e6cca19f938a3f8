//! Tasks: problems that can be generated, rendered, solved and graded.

pub mod arithmetic;
mod fingerprint;
pub mod markers;
pub mod prontoqa;
pub mod prosqa;
pub mod random;
mod tokenizer_json;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{program::Program, record::StepRecord, tokenizer::Tokenizer};

pub use fingerprint::Fingerprint;
pub use markers::Markers;

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Search in a graph of fictional concepts (Coconut, arXiv 2412.06769).
    ProsQa,
    /// Deduction in an ontology of fictional concepts (Saparov & He, arXiv 2210.01240).
    ProntoQa,
    /// Word problems with a computation for each step (after GSM8K, arXiv 2110.14168).
    Arithmetic,
}

/// One problem of any task.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// ProsQA.
    ProsQa(prosqa::Problem),
    /// ProntoQA.
    ProntoQa(prontoqa::Problem),
    /// Arithmetic.
    Arithmetic(arithmetic::Problem),
}

/// The problems of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The problems in the file's order.
    pub problems: Vec<Problem>,
    /// Problems of the file that this project has no use for (see [`arithmetic::Loaded`]).
    pub n_skipped: usize,
}

/// How thoughts replace steps of reasoning in Coconut's training (arXiv 2412.06769, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Curriculum {
    /// Thoughts in place of one step: the paper's c.
    pub thoughts_per_step: usize,
    /// Stages with one more step replaced than in the stage before.
    pub n_stages: usize,
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
    /// A bad ProntoQA file.
    #[error(transparent)]
    ProntoQa(#[from] prontoqa::OfficialError),
    /// A bad GSM8K file.
    #[error(transparent)]
    Arithmetic(#[from] arithmetic::OfficialError),
}

impl Task {
    /// Every task with its name.
    pub const ALL: [(&str, Self); 3] = [
        ("prosqa", Self::ProsQa),
        ("prontoqa", Self::ProntoQa),
        ("arithmetic", Self::Arithmetic),
    ];

    /// Its name in the CLI, in `index.json` and in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProsQa => "prosqa",
            Self::ProntoQa => "prontoqa",
            Self::Arithmetic => "arithmetic",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::ProsQa => "ProsQA",
            Self::ProntoQa => "ProntoQA",
            Self::Arithmetic => "Word problems",
        }
    }

    /// The task that a problem belongs to.
    pub fn of(problem: &Problem) -> Self {
        match problem {
            Problem::ProsQa(_) => Self::ProsQa,
            Problem::ProntoQa(_) => Self::ProntoQa,
            Problem::Arithmetic(_) => Self::Arithmetic,
        }
    }

    /// Draws a problem; the same seed gives the same problem on every machine.
    pub fn generate(self, seed: u64, difficulty: Difficulty) -> Problem {
        match self {
            Self::ProsQa => {
                use prosqa::Difficulty;
                let preset = difficulty.pick(Difficulty::CLASS, Difficulty::OFFICIAL);
                Problem::ProsQa(prosqa::Problem::generate(seed, &preset))
            }
            Self::ProntoQa => {
                use prontoqa::Difficulty;
                let preset = difficulty.pick(Difficulty::CLASS, Difficulty::OFFICIAL);
                Problem::ProntoQa(prontoqa::Problem::generate(seed, &preset))
            }
            Self::Arithmetic => {
                use arithmetic::Difficulty;
                let preset = difficulty.pick(Difficulty::CLASS, Difficulty::OFFICIAL);
                Problem::Arithmetic(arithmetic::Problem::generate(seed, &preset))
            }
        }
    }

    /// Reads a file in the task's official format.
    pub fn load(self, text: &str) -> Result<Loaded, TaskError> {
        let (problems, n_skipped) = match self {
            Self::ProsQa => {
                let problems = prosqa::load(text)?;
                (problems.into_iter().map(Problem::ProsQa).collect(), 0)
            }
            Self::ProntoQa => {
                let problems = prontoqa::load(text)?;
                (problems.into_iter().map(Problem::ProntoQa).collect(), 0)
            }
            Self::Arithmetic => {
                let loaded = arithmetic::load(text)?;
                let problems = loaded.problems.into_iter().map(Problem::Arithmetic);
                (problems.collect(), loaded.n_skipped)
            }
        };
        Ok(Loaded {
            problems,
            n_skipped,
        })
    }

    /// Tokens of a completion as the task's text.
    pub fn render(self, tokenizer: &Tokenizer, ids: &[u32]) -> String {
        let text = tokenizer.decode(ids);
        let words: Vec<&str> = text.split_whitespace().collect();
        self.render_tokens(&words)
    }

    /// Tokens, as they stand in the vocabulary, as the task's text.
    pub fn render_tokens(self, tokens: &[&str]) -> String {
        match self {
            Self::ProsQa => prosqa::render(tokens),
            Self::ProntoQa => prontoqa::render(tokens),
            Self::Arithmetic => arithmetic::render(tokens),
        }
    }

    /// All tokens in the order of their ids; the markers come last.
    pub fn vocabulary(self) -> Vec<String> {
        match self {
            Self::ProsQa => prosqa::vocabulary().map(String::from).collect(),
            Self::ProntoQa => prontoqa::vocabulary().collect(),
            Self::Arithmetic => arithmetic::vocabulary().map(String::from).collect(),
        }
    }

    /// The ids of the markers in [`Task::vocabulary`].
    pub fn markers(self) -> Markers {
        match self {
            Self::ProsQa => prosqa::marker::IDS,
            Self::ProntoQa => prontoqa::MARKER,
            Self::Arithmetic => arithmetic::MARKER,
        }
    }

    /// What its tokenizer replaces before it splits at spaces, in this order: a regular
    /// expression and what comes in its place.
    pub fn normalizer(self) -> Vec<(String, &'static str)> {
        match self {
            Self::ProsQa => prosqa::text::normalizer(),
            Self::ProntoQa => prontoqa::normalizer(),
            Self::Arithmetic => arithmetic::normalizer(),
        }
    }

    /// The paper's numbers for this task.
    pub fn curriculum(self) -> Curriculum {
        let (thoughts_per_step, n_stages) = match self {
            Self::ProsQa | Self::ProntoQa => (1, 6),
            Self::Arithmetic => (2, 3),
        };
        Curriculum {
            thoughts_per_step,
            n_stages,
        }
    }
}

impl Problem {
    /// The question as text, which is the model's prompt.
    pub fn question(&self) -> String {
        match self {
            Self::ProsQa(problem) => problem.question(),
            Self::ProntoQa(problem) => problem.question(),
            Self::Arithmetic(problem) => problem.question(),
        }
    }

    /// The right answer as text.
    pub fn answer(&self) -> String {
        match self {
            Self::ProsQa(problem) => problem.answer(),
            Self::ProntoQa(problem) => problem.answer(),
            Self::Arithmetic(problem) => problem.answer(),
        }
    }

    /// One way of reasoning as text, step by step. ProsQA's is the first of the shortest paths.
    pub fn steps(&self) -> Vec<String> {
        match self {
            Self::ProsQa(problem) => problem.steps(&problem.first_path()),
            Self::ProntoQa(problem) => problem.steps(),
            Self::Arithmetic(problem) => problem.steps(),
        }
    }

    /// The question's token ids, as [`Task::tokenizer_json`] gives them. Only a problem from a
    /// file can hold a word that the vocabulary lacks.
    pub fn encode(&self) -> Result<Vec<u32>, arithmetic::UnknownWord> {
        match self {
            Self::ProsQa(problem) => Ok(problem.encode()),
            Self::ProntoQa(problem) => Ok(problem.encode()),
            Self::Arithmetic(problem) => problem.encode(),
        }
    }

    /// The token ids of each of the [`Problem::steps`].
    pub fn step_tokens(&self) -> Vec<Vec<u32>> {
        match self {
            Self::ProsQa(problem) => problem.step_tokens(&problem.first_path()),
            Self::ProntoQa(problem) => problem.step_tokens(),
            Self::Arithmetic(problem) => problem.step_tokens(),
        }
    }

    /// The token ids of the right answer: what stands between `###` and `<eos>`.
    pub fn answer_tokens(&self) -> Vec<u32> {
        match self {
            Self::ProsQa(problem) => problem.answer_tokens(),
            Self::ProntoQa(problem) => problem.answer_tokens(),
            Self::Arithmetic(problem) => problem.answer_tokens(),
        }
    }

    /// Grades a completion.
    pub fn grade(&self, completion: &str) -> Verdict {
        match self {
            Self::ProsQa(problem) => problem.grade(completion),
            Self::ProntoQa(problem) => problem.grade(completion),
            Self::Arithmetic(problem) => problem.grade(completion),
        }
    }

    /// What it has in common with every problem that would give it away: a problem of a training
    /// set must share it with none of an official file.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::ProsQa(problem) => problem.fingerprint(),
            Self::ProntoQa(problem) => problem.fingerprint(),
            Self::Arithmetic(problem) => problem.fingerprint(),
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
            // A branch of an ontology is a dead end or the way, and a solution is one sequence.
            Self::ProntoQa(_) | Self::Arithmetic(_) => Vec::new(),
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

    /// One of a task's two presets.
    pub fn pick<T>(self, class: T, official: T) -> T {
        match self {
            Self::Class => class,
            Self::Official => official,
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
