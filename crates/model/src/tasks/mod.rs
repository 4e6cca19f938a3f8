//! Tasks: problems that can be generated, read, solved, graded and learned from. A task is a row
//! of [`TASKS`].

pub mod arithmetic;
mod file;
mod fingerprint;
pub mod free_text;
mod graph;
mod markers;
mod problem;
pub mod prontoqa;
pub mod prosqa;
pub mod random;
pub mod sketch;
mod statements;
pub mod supervision;
mod tokenizer_json;

use std::{fmt, ops::Deref, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{text, tokenizer::Tokenizer};
use random::SplitMix64;
use sketch::Sketch;
use supervision::{BatchSize, Extent, StatementGraph, SupervisedText};

pub use file::{FileError, Format, Loaded, Skipped};
pub use fingerprint::Fingerprint;
pub use graph::{Adjacency, Graph, Node};
pub use markers::{MARKERS, Markers};
pub use problem::{Grade, Problem, TextError, UnknownWord};

/// Every task that can be named, in the order in which they are offered.
pub const NAMED: &[Task] = &[
    prosqa::TASK,
    prontoqa::TASK,
    arithmetic::TASK,
    free_text::TASK,
];

/// The tasks with a vocabulary, on which checkpoints of ours are trained, in the order in which
/// they are offered. The first one is meant where none is named. What is left is for models that
/// people bring.
pub const TASKS: &[Task] = NAMED.split_at(NAMED.len() - 1).0;

/// What a task brings: all that anybody asks of it, in its own folder.
pub trait TaskSpec: Sync {
    /// Its name in commands, files and addresses.
    fn name(&self) -> &'static str;
    /// Its name for people.
    fn title(&self) -> &'static str;
    /// Its name for people who read German; a proper name stays.
    fn german_title(&self) -> &'static str {
        self.title()
    }

    /// All tokens in the order of their ids; the [`MARKERS`] come last.
    fn vocabulary(&self) -> Vec<String>;
    /// The ids of the markers in [`TaskSpec::vocabulary`].
    fn markers(&self) -> Markers;
    /// What its tokenizer replaces before it splits at spaces, in this order: a regular
    /// expression and what comes in its place.
    fn normalizer(&self) -> Vec<(String, &'static str)>;
    /// Tokens, as they stand in the vocabulary, as the task's text.
    fn render_tokens(&self, tokens: &[&str]) -> String;
    /// A completion, as the model's tokenizer decodes it, as the task's text.
    fn render_text(&self, text: &str) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        self.render_tokens(&words)
    }

    /// Draws a problem; the same seed gives the same problem on every machine.
    fn generate(&self, seed: u64, difficulty: Difficulty) -> Problem;
    /// Parses what [`Task::read`] reads.
    fn parse(&self, text: &str) -> Result<Problem, TextError>;
    /// The files of problems that can be read, with the reader of each. Like all that draws texts to
    /// learn from, it is there with the feature `studies`.
    fn formats(&self) -> &'static [Format];
    /// The graph of a text whose statements need not decide its question: the first option stands
    /// for the target then, and there are no ways. Edges stand in the order of the text.
    ///
    /// # Errors
    /// If the text is no statements and a question, or the task has no graphs.
    fn sketch(&self, _text: &str) -> Result<Graph, TextError> {
        Err(TextError(format!("{} has no graph", self.title())))
    }
    /// The graph of a text that need not ask anything yet.
    ///
    /// # Errors
    /// If a sentence of it is no statement, or the task has no graphs.
    fn statements_graph(&self, _text: &str) -> Result<Graph, TextError> {
        Err(TextError(format!("{} has no graph", self.title())))
    }
    /// A sketch as the task's text.
    ///
    /// # Errors
    /// If the task has no such sentence, or no graphs.
    fn write_sketch(&self, _sketch: &Sketch) -> Result<String, TextError> {
        Err(TextError(format!("{} has no graph", self.title())))
    }
    /// A word that a graph does not have and that statements can lead to.
    fn fresh_word(&self, _graph: &Graph) -> Option<String> {
        None
    }
    /// Prompts that are offered where no text is a problem by itself.
    fn prompts(&self) -> &'static [free_text::Example] {
        &[]
    }
    /// The name of the file, among the official data, that the task's checkpoints are measured
    /// on; without it, generated problems of official size take its place.
    fn official_file(&self) -> Option<&'static str> {
        None
    }

    /// The part of a completion that holds the answer: what stands behind the last `###`.
    fn answer_part<'a>(&self, completion: &'a str) -> Option<&'a str> {
        let (_, text) = completion.rsplit_once("###")?;
        Some(text.trim())
    }
    /// What the [`TaskSpec::answer_part`] of a completion says, in the form of [`Problem::answer`]; `None` where it is no
    /// answer to this problem at all, right or wrong.
    fn answer_said(&self, problem: &Problem, text: &str) -> Option<String>;
    /// The words, by index, of a chain of thought in words that choose one of several ways on.
    fn branch_points(&self, _problem: &Problem, _words: &[&str]) -> Vec<usize> {
        Vec::new()
    }

    /// How early each token of a step of the chain is kept where only some are (0 first): what
    /// the rest of the chain and the answer need most of it. Here all alike.
    fn kept_ranks(&self, step: &[u32]) -> Vec<u8> {
        vec![0; step.len()]
    }

    /// What a page shows of a problem beside its text.
    fn picture(&self) -> Picture;
    /// Takes the words of a sentence, if the newest word has completed one, out of the words that
    /// were said before. Words that can no longer begin a sentence go.
    fn complete_sentence(&self, pending: &mut Vec<String>) -> Option<Vec<String>>;
    /// Whether a sentence of a chain of thought holds; `None` where nobody can tell.
    fn judge_sentence(&self, words: &[&str], problem: Option<&Problem>) -> Option<Judgement>;

    /// Draws texts with questions to learn from, none of them withheld.
    fn draw_texts(
        &self,
        random: &mut SplitMix64,
        extent: &Extent,
        size: &BatchSize,
        is_withheld: &dyn Fn(&Fingerprint) -> bool,
    ) -> Vec<SupervisedText>;
    /// Draws graphs of statements for a warm-up that asks about the statements alone; `None` for
    /// a task without them.
    fn draw_graphs(
        &self,
        _random: &mut SplitMix64,
        _extent: &Extent,
        _size: &BatchSize,
        _is_withheld: &dyn Fn(&Fingerprint) -> bool,
    ) -> Option<Vec<StatementGraph>> {
        None
    }
    /// Which kinds of supervision its texts can have.
    fn can_teach(&self) -> CanTeach;
}

/// Which kinds of supervision the texts of a task can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanTeach {
    /// Several questions about one text.
    pub several_questions: bool,
    /// Searches backward from the options of a question.
    pub backward_search: bool,
    /// [`TaskSpec::draw_graphs`].
    pub statement_graphs: bool,
}

/// What a page shows of a problem beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// The problem's [`Graph`], shaded by what the lanes have in mind.
    Graph,
    /// The story, a sentence a line, and what the lanes compute about it.
    Story,
    /// Nothing: any text is a prompt, and what lanes write is text.
    Text,
}

/// Whether a sentence holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// It does.
    pub holds: bool,
    /// Why, or why not.
    pub reason: &'static str,
}

/// A row of [`TASKS`]: a kind of problem, with everything that it brings.
#[derive(Clone, Copy)]
pub struct Task(&'static dyn TaskSpec);

/// How hard generated problems are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Difficulty {
    /// Small enough to follow on a projector.
    #[default]
    Class,
    /// As in the official files.
    Official,
}

/// A name that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} {found:?}; there are: {}", expected.join(", "))]
pub struct UnknownName {
    /// What was asked for.
    pub kind: &'static str,
    /// The name given.
    pub found: String,
    /// The names known.
    pub expected: Vec<&'static str>,
}

impl Task {
    /// The task that is meant where none is named.
    pub fn first() -> Self {
        TASKS[0]
    }

    /// Reads a question that somebody has typed, as generously as it can be meant in one way only.
    /// The problem's own [`Problem::question`] is the official form, which is what models read.
    ///
    /// # Errors
    /// If the text is not a problem of the task, or one whose answer nobody but its writer knows.
    pub fn read(self, text: &str) -> Result<Problem, TextError> {
        self.parse(&text::clean(text))
    }

    /// Reads a file in one of the task's [`TaskSpec::formats`], with any line ends and with or
    /// without a byte order mark.
    ///
    /// # Errors
    /// If the file has none of the formats, or an entry contradicts itself.
    pub fn load(self, text: &str) -> Result<Loaded, FileError> {
        file::load(self.title(), self.formats(), text)
    }

    /// Tokens of a completion as the task's text.
    pub fn render(self, tokenizer: &Tokenizer, ids: &[u32]) -> String {
        self.render_text(&tokenizer.decode(ids))
    }
}

impl Deref for Task {
    type Target = dyn TaskSpec;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Task {}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Task {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

impl FromStr for Task {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name("task", NAMED, |task| task.name(), name)
    }
}

impl Difficulty {
    /// Every difficulty.
    pub const ALL: [Self; 2] = [Self::Class, Self::Official];

    /// Its name in commands, files and addresses.
    pub fn name(self) -> &'static str {
        self.pick("class", "official")
    }

    /// One of a task's two presets.
    pub fn pick<T>(self, class: T, official: T) -> T {
        match self {
            Self::Class => class,
            Self::Official => official,
        }
    }
}

impl FromStr for Difficulty {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name("difficulty", &Self::ALL, |value| value.name(), name)
    }
}

/// The sentences of a text, each with its full stop or question mark.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '?'])
        .map(str::trim)
        .filter(|sentence| sentence.contains(char::is_alphanumeric))
}

/// The last sentence of a text, which in a story is what is asked.
pub fn last_sentence(text: &str) -> &str {
    sentences(text).last().unwrap_or(text)
}

/// Leaves what follows out of programs that are built without the feature `studies`.
///
/// # Panics
/// There.
#[inline(always)]
fn for_studies() {
    if cfg!(not(feature = "studies")) {
        panic!("expected latent-model to be built with its feature `studies`, found it without");
    }
}

fn by_name<T: Copy>(
    kind: &'static str,
    all: &[T],
    name_of: impl Fn(&T) -> &'static str,
    found: &str,
) -> Result<T, UnknownName> {
    let known = all.iter().find(|value| name_of(value) == found).copied();
    known.ok_or_else(|| UnknownName {
        kind,
        found: found.into(),
        expected: all.iter().map(name_of).collect(),
    })
}
