//! Files of problems: which formats there are, and what is said where none fits.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Problem;
use crate::text;

/// A way in which problems of a task are written in files.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// What a file looks like and where it comes from.
    pub name: &'static str,
    /// Whether a text begins like such a file. The formats of a task are asked in turn.
    pub fits: fn(&str) -> bool,
    /// Takes a file that fits apart.
    pub entries: fn(&str) -> Result<Entries, String>,
    /// Reads one entry; an error says what was expected and what was found.
    pub problem: fn(Value) -> Result<Entry, String>,
}

/// Where an entry stands: `line 3`, `problem 0` or a name in the file.
pub type Place = String;

/// The entries of a file in its order, as JSON or with the reason why one is none.
pub type Entries = Vec<(Place, Result<Value, String>)>;

/// What an entry of a file is.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A problem.
    Problem(Box<Problem>),
    /// A problem that this project has no use for, with the reason, which completes the sentence
    /// "left out: …".
    Skipped(&'static str),
}

/// The problems of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The problems in the file's order.
    pub problems: Vec<Problem>,
    /// Entries that were left out, in the file's order.
    pub skipped: Vec<Skipped>,
}

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub reason: &'static str,
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// None of the task's formats.
    #[error(
        "not a file of {task} problems: {reason}. Formats that can be read: {}",
        formats.join("; ")
    )]
    Format {
        /// The task's title.
        task: &'static str,
        /// What was found.
        reason: String,
        /// The names of the formats.
        formats: Vec<&'static str>,
    },
    /// An entry is not a problem, or contradicts itself.
    #[error("{place}: {reason}")]
    Entry {
        /// Where it stands.
        place: Place,
        /// What was expected and what was found.
        reason: String,
    },
}

impl Loaded {
    /// How many entries were left out for each reason, in the order of the first of each:
    /// `2 without an annotation (line 3, line 7)`.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for Skipped { place, reason } in &self.skipped {
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, places)) => places.push(place),
                None => reasons.push((reason, vec![place])),
            }
        }
        let told = |(reason, places): (&str, Vec<&str>)| {
            let shown = places.iter().take(N_SHOWN).copied().collect::<Vec<_>>();
            let more = if places.len() > N_SHOWN { ", …" } else { "" };
            format!("{} {reason} ({}{more})", places.len(), shown.join(", "))
        };
        reasons.into_iter().map(told).collect()
    }
}

/// Places that are told of each reason.
const N_SHOWN: usize = 5;
/// Characters of a file that an error repeats.
const N_REPEATED: usize = 40;

/// Reads a file of a task's problems.
pub(super) fn load(
    task: &'static str,
    formats: &[Format],
    text: &str,
) -> Result<Loaded, FileError> {
    let text = text::clean(text);
    let error = |reason| FileError::Format {
        task,
        reason,
        formats: formats.iter().map(|format| format.name).collect(),
    };
    let start = text.trim_start();
    let Some(format) = formats.iter().find(|format| (format.fits)(start)) else {
        return Err(error(match start.is_empty() {
            true => "it is empty".into(),
            false => {
                let beginning: String = start.chars().take(N_REPEATED).collect();
                format!("it begins with {beginning:?}")
            }
        }));
    };
    let entries = (format.entries)(&text).map_err(error)?;
    let mut loaded = Loaded::default();
    for (place, value) in entries {
        match value.and_then(format.problem) {
            Ok(Entry::Problem(problem)) => loaded.problems.push(*problem),
            Ok(Entry::Skipped(reason)) => loaded.skipped.push(Skipped { place, reason }),
            Err(reason) => return Err(FileError::Entry { place, reason }),
        }
    }
    Ok(loaded)
}

/// The entries of a JSON array.
pub(super) fn json_array(text: &str) -> Result<Entries, String> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let places = (0..).map(|index| format!("problem {index}"));
    Ok(places.zip(values.into_iter().map(Ok)).collect())
}

/// The entries of a file with a JSON value a line; empty lines are passed over.
pub(super) fn json_lines(text: &str) -> Result<Entries, String> {
    let value = |line: &str| serde_json::from_str(line).map_err(|error| error.to_string());
    Ok(lines(text)
        .map(|(place, line)| (place, value(line)))
        .collect())
}

/// The lines of a text that hold anything. What ends a line in Unicode alone, such as U+2028,
/// does not here: it may stand inside of a problem.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (Place, &str)> {
    let places = (1..).map(|line: usize| format!("line {line}"));
    let lines = places.zip(text.lines());
    lines.filter(|(_, line)| !line.trim().is_empty())
}

/// An entry's fields.
pub(super) fn fields<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}
