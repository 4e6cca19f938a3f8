//! The address of a set-up: what a link to the page holds, written and read.

mod asked;
mod grammar;
mod lane;
mod touched;

pub use asked::{AllExamples, Asked, Example, Examples};
pub use lane::{ChangeChoice, ChangeKind, ForkChoice, LaneChoice};

use crate::{
    strategy::{StrategyError, composition::CompositionError},
    tasks::{Difficulty, TASKS, Task, UnknownName},
};

/// Every key, in the order in which they are written.
pub const KEYS: [&str; 22] = [
    "task", "problem", "lanes", "seed", "speed", "engine", "play", "step", "shade", "paint",
    "chapter", "size", "theme", "lang", "arena", "analysis", "answers", "predict", "controls",
    "screen", "embed", "run",
];

/// The task of an address that names none, as the first addresses did.
pub const DEFAULT_TASK: Task = TASKS[0];

/// The seed of an address that names none.
pub const DEFAULT_SEED: u32 = 1;

/// What an address holds: `task=…&problem=…&lanes=…&seed=…&speed=…&engine=…&play=…`, then what is
/// shown of it, `step=…&shade=…&paint=…&chapter=…&size=…&theme=…&lang=…&arena=…&analysis=…&`
/// `answers=…&predict=…&controls=…&screen=…&embed=…&run=…`; every part optional.
///
/// [`std::fmt::Display`] writes it and [`std::str::FromStr`] reads it. What is written is read again exactly; what
/// a chat, a mail or a wiki has made of it is read too, where it can still be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// The task that the problem and every lane's checkpoint belong to.
    pub task: Task,
    /// The problem.
    pub problem: Option<ProblemChoice>,
    /// The lanes, in order.
    pub lanes: Option<Vec<LaneChoice>>,
    /// Seed of the lanes' random draws.
    pub seed: Option<u32>,
    /// How fast the run is shown.
    pub speed: Option<Speed>,
    /// Which engine runs it.
    pub engine: Option<EngineChoice>,
    /// A recording that is played in place of an engine: a file beside the page.
    pub play: Option<String>,
    /// What is shown of the run.
    pub shown: Shown,
}

/// What is shown of a run, and how; a run is the same whatever this is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The step that is looked at; the newest otherwise.
    pub step: Option<u32>,
    /// The lane that shades the graph, counted from 1; the last otherwise.
    pub shade: Option<usize>,
    /// Whether the graph is coloured by the thought at which each word first came, and not by the
    /// step's shares.
    pub by_arrival: bool,
    /// The chapter of the tour, counted from 1.
    pub chapter: Option<usize>,
    /// Whether letters are large; as the visitor left it otherwise.
    pub is_large: Option<bool>,
    /// Whether the page is dark; as the visitor left it otherwise.
    pub is_dark: Option<bool>,
    /// The page's language; the visitor's own otherwise.
    pub language: Option<Language>,
    /// What the arena is to run, where it is open.
    pub arena: Option<ArenaChoice>,
    /// Whether the analysis drawer is open.
    pub shows_analysis: bool,
    /// Whether answers and verdicts are covered until somebody asks for them.
    pub hides_answers: bool,
    /// Whether the visitor commits to an answer before a run begins.
    pub predicts_first: bool,
    /// Whether all controls but the run's own are hidden.
    pub hides_controls: bool,
    /// Whether the first press on the page fills the screen with it, which browsers allow nobody
    /// but a visitor.
    pub fills_screen: bool,
    /// Only graph, chart and lanes, for a frame in another page.
    pub is_embedded: bool,
    /// Whether the run begins by itself.
    pub runs_at_once: bool,
}

/// What an arena runs every lane on; task and seed are the page's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaChoice {
    /// How large its problems are.
    pub difficulty: Difficulty,
    /// How many of them.
    pub n: usize,
    /// Runs of each.
    pub samples: usize,
    /// Whether lanes that think in thoughts run with every number of them.
    pub sweeps: bool,
}

/// Where the problem comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemChoice {
    /// Drawn by the task's generator.
    Drawn {
        /// How large it is.
        difficulty: Difficulty,
        /// Seed of the generator.
        seed: u64,
    },
    /// One of the task's shipped official problems, counted from 0.
    Example(usize),
    /// Written by the visitor.
    Typed(String),
    /// Written by the visitor, and said to the model in its chat.
    Said(String),
}

/// How fast a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// So many steps a second.
    PerSecond(u32),
    /// As fast as the engine goes.
    #[default]
    Max,
}

/// Which engine runs the lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The faster of the two here, by a short measurement at the start.
    #[default]
    Auto,
    /// The GPU, however fast it is.
    Gpu,
    /// The reference engine, whatever there is.
    Reference,
}

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

/// An address that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// A part that is not `key=value`.
    #[error("the address has a part {0:?}; every part is written key=value")]
    Part(String),
    /// An unknown key.
    #[error("the address has a key {0:?}; there are: {keys}", keys = KEYS.join(", "))]
    Key(String),
    /// A value that does not fit its key.
    #[error("in the address, {key} must be {expected}, found {found:?}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is understood.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A strategy or setting that does not exist.
    #[error("in the address, lane {number}: {reason}")]
    Lane {
        /// The lane's place, counted from 1.
        number: usize,
        /// What is wrong.
        reason: StrategyError,
    },
    /// A composition that is none.
    #[error("in the address, lane {number}: {reason}")]
    Composition {
        /// The lane's place, counted from 1.
        number: usize,
        /// What is wrong.
        reason: CompositionError,
    },
    /// A task or difficulty that does not exist.
    #[error("in the address, {0}")]
    Task(UnknownName),
}

impl Address {
    /// An address that names nothing but its task.
    pub fn of_task(task: Task) -> Self {
        Self {
            task,
            problem: None,
            lanes: None,
            seed: None,
            speed: None,
            engine: None,
            play: None,
            shown: Shown::default(),
        }
    }
}

impl Default for Address {
    fn default() -> Self {
        Self::of_task(DEFAULT_TASK)
    }
}

impl ArenaChoice {
    /// What is offered first.
    pub const FIRST: Self = Self {
        difficulty: Difficulty::Class,
        n: 100,
        samples: 1,
        sweeps: false,
    };
    /// Most problems.
    pub const MOST_PROBLEMS: usize = 10_000;
    /// Most runs of each.
    pub const MOST_SAMPLES: usize = 100;
}

impl ProblemChoice {
    /// The problem that a page begins with: of the first task, one whose search by thoughts is seen
    /// whole, four arrows deep and without leaks.
    pub const FIRST: Self = Self::Drawn {
        difficulty: Difficulty::Class,
        seed: 29,
    };

    /// The problem that a page of the task begins with.
    pub fn first(task: Task) -> Self {
        match task.prompts().is_empty() {
            true => Self::FIRST,
            false => Self::Example(0),
        }
    }
}

impl Speed {
    /// What the page offers.
    pub const OFFERED: [Self; 6] = [
        Self::PerSecond(1),
        Self::PerSecond(2),
        Self::PerSecond(4),
        Self::PerSecond(8),
        Self::PerSecond(16),
        Self::Max,
    ];
}

#[cfg(test)]
mod tests;
