//! A strategy that somebody has put together: the thinking phases of the table's rows, one after
//! the other.

use std::{fmt, str::FromStr};

use super::{Settings, Strategy, StrategyError};
use crate::{
    engine::ModelCapabilities,
    input::Feed,
    program::{Adapter, MAX_PHASES, Phase, Program, Role, Sampler, Until},
    tokenizer::Tokenizer,
};

/// The row of the table that a composed lane has in place of one: what it does is in its
/// [`Composition`].
pub static COMPOSED: Strategy = Strategy {
    name: "compose",
    title: "Composed",
    summary: "Phases that somebody has put together, and then the answer.",
    paper: "",
    start: None,
    think: None,
    settings: &[],
};

/// Most parts: with the markers between them they are a program's phases.
pub const MAX_PARTS: usize = 4;
/// Most steps of a part.
pub const MAX_STEPS: u32 = 72;

/// Parts, by the name that somebody gave to the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composition {
    /// Its name; may be empty.
    pub name: String,
    /// What is fed, in order; without any it answers at once.
    pub parts: Vec<Part>,
}

/// So many steps of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What its steps are.
    pub kind: PartKind,
    /// How many, at most: a part in words or mixtures may end itself by its own marker, and then
    /// the next one follows.
    pub steps: u32,
}

/// The thinking phase of a row of the table, with that row's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// The most probable word.
    Words,
    /// A word drawn at random.
    Sampled,
    /// A mixture of words.
    Mixtures,
    /// A mixture with noise.
    Noisy,
    /// The last hidden state.
    Thoughts,
    /// A pause.
    Pauses,
}

/// A composition that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompositionError {
    /// A part of another form.
    #[error(
        "a part is written KIND-STEPS with 1 to {MAX_STEPS} steps and one of the kinds {}, found \
         {found:?}",
        PartKind::ALL.map(PartKind::name).join(", ")
    )]
    Part {
        /// The text.
        found: String,
    },
    /// More than a program holds.
    #[error("a composition has at most {MAX_PARTS} parts, found {found}")]
    Count {
        /// How many.
        found: usize,
    },
}

impl PartKind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Self; 6] = [
        Self::Words,
        Self::Sampled,
        Self::Mixtures,
        Self::Noisy,
        Self::Thoughts,
        Self::Pauses,
    ];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Sampled => "sampled",
            Self::Mixtures => "mixtures",
            Self::Noisy => "noisy",
            Self::Thoughts => "thoughts",
            Self::Pauses => "pauses",
        }
    }

    /// The row whose thinking it is.
    fn row(self) -> &'static str {
        match self {
            Self::Words => "token-cot",
            Self::Sampled => "token-cot-sampled",
            Self::Mixtures => "soft",
            Self::Noisy => "soft-gumbel",
            Self::Thoughts => "coconut",
            Self::Pauses => "pause",
        }
    }
}

impl Composition {
    /// The program on a checkpoint. Between parts of different brackets, `<think>` and `<bot>`, the
    /// one is closed and the other opened; parts of one bracket follow each other without a marker.
    ///
    /// # Errors
    /// If the checkpoint lacks a marker.
    pub fn program(
        &self,
        tokenizer: &Tokenizer,
        capabilities: ModelCapabilities,
    ) -> Result<Program, StrategyError> {
        let of_row = |name: &str| {
            let row = Strategy::by_name(name)?;
            row.program(&Settings::default(), tokenizer, capabilities)
        };
        let mut phases: Vec<Phase> = Vec::new();
        let mut start = Vec::new();
        let mut opened = Vec::new();
        for part in &self.parts {
            let row = of_row(part.kind.row())?;
            let Some(think) = row
                .phases
                .into_iter()
                .find(|phase| phase.role == Role::Think)
            else {
                continue;
            };
            match phases.last_mut() {
                None => start = row.start.clone(),
                // Inside one bracket nothing is said between two parts.
                Some(last) if opened == row.start => last.then_force.clear(),
                Some(_) if row.start.is_empty() => {}
                Some(_) => phases.push(marker_phase(row.start.clone())),
            }
            opened = row.start;
            phases.push(Phase {
                until: Until {
                    max_steps: part.steps,
                    ..think.until.clone()
                },
                ..think
            });
        }
        phases.extend(of_row("no-cot")?.phases);
        Ok(Program { start, phases })
    }
}

/// A phase that says a marker and is over.
fn marker_phase(marker: Vec<u32>) -> Phase {
    Phase {
        role: Role::Think,
        feed: Feed::Token,
        sampler: Sampler::GREEDY,
        until: Until::steps(0),
        then_force: marker,
        adapter: Adapter::Base,
    }
}

// A marker before every part but the first, and the answer.
const _: () = assert!(2 * MAX_PARTS <= MAX_PHASES);

/// `mixtures-4.words-60`; the name stands elsewhere.
impl fmt::Display for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Part| format!("{}-{}", part.kind.name(), part.steps);
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        f.write_str(&parts.join("."))
    }
}

impl FromStr for Composition {
    type Err = CompositionError;

    fn from_str(text: &str) -> Result<Self, CompositionError> {
        let parts = text.split('.').filter(|part| !part.is_empty());
        let parts: Vec<Part> = parts.map(Part::from_str).collect::<Result<_, _>>()?;
        match parts.len() {
            found if found > MAX_PARTS => Err(CompositionError::Count { found }),
            _ => Ok(Self {
                name: String::new(),
                parts,
            }),
        }
    }
}

impl FromStr for Part {
    type Err = CompositionError;

    fn from_str(text: &str) -> Result<Self, CompositionError> {
        let read = || {
            let (kind, steps) = text.split_once('-')?;
            let kind = PartKind::ALL
                .into_iter()
                .find(|known| known.name() == kind)?;
            let steps = steps.parse().ok()?;
            (1..=MAX_STEPS)
                .contains(&steps)
                .then_some(Self { kind, steps })
        };
        read().ok_or_else(|| CompositionError::Part { found: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        tasks::{TASKS, Task},
        tokenizer::Marker,
    };

    fn program(text: &str) -> (Program, Tokenizer) {
        let json = Task::first().tokenizer_json().to_string();
        let tokenizer = Tokenizer::from_json(&json).expect("the task's own");
        let composition: Composition = text.parse().expect(text);
        let program = composition.program(&tokenizer, ModelCapabilities::default());
        let program = program.expect("it has all markers");
        let n_words = TASKS[0].vocabulary().len();
        program.validate(n_words).expect("it can run");
        (program, tokenizer)
    }

    /// Feed and length of each phase, and the marker that follows it.
    fn phases(program: &Program) -> Vec<(Feed, u32, Vec<u32>)> {
        let of = |phase: &Phase| (phase.feed, phase.until.max_steps, phase.then_force.clone());
        program.phases.iter().map(of).collect()
    }

    #[test]
    fn parts_of_one_bracket_follow_each_other_and_others_change_it() {
        let (program, tokenizer) = program("mixtures-4.words-9.thoughts-3");
        let marker = |marker| tokenizer.marker(marker).expect("there is one");
        let answer = program.phases[4].until.max_steps;
        assert_eq!(program.start, [marker(Marker::ThinkStart)]);
        assert_eq!(
            phases(&program),
            [
                (Feed::Concept, 4, vec![]),
                (Feed::Token, 9, vec![marker(Marker::ThinkEnd)]),
                (Feed::Token, 0, vec![marker(Marker::Bot)]),
                (Feed::THOUGHT, 3, vec![marker(Marker::Eot)]),
                (Feed::Token, answer, vec![]),
            ]
        );
    }

    #[test]
    fn one_part_alone_is_the_row_of_the_table() {
        let (composed, tokenizer) = program("thoughts-6");
        let row = Strategy::by_name("coconut").expect("in the table");
        let row = row.program(&Settings::default(), &tokenizer, Default::default());
        assert_eq!(composed, row.expect("it has all markers"));
        let (composed, _) = program("");
        assert_eq!((composed.start, composed.phases.len()), (vec![], 1));
    }

    #[test]
    fn the_longest_composition_is_a_program() {
        let (program, _) = program("words-72.thoughts-72.words-72.thoughts-72");
        assert_eq!(program.phases.len(), MAX_PHASES);
    }

    #[test]
    fn what_is_written_is_read_again_and_what_is_none_is_refused() {
        for text in ["", "words-3", "mixtures-4.words-60.thoughts-2.pauses-1"] {
            let composition: Composition = text.parse().expect(text);
            assert_eq!(composition.to_string(), text);
        }
        for text in ["words", "words-0", "words-73", "hopes-3", "words-3-4"] {
            let error = text.parse::<Composition>().expect_err(text);
            assert!(error.to_string().contains("KIND-STEPS"), "{error}");
        }
        let error = "words-1.words-1.words-1.words-1.words-1".parse::<Composition>();
        assert!(error.is_err_and(|error| error.to_string().contains("at most 4")));
    }
}
