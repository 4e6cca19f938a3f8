//! The words of ProsQA and the 64 token ids that the checkpoints give them.

use std::fmt;

/// The 17 names of people, in token order. A node carries one exactly when nothing points to it.
pub const PEOPLE: [&str; 17] = [
    "Alex", "Bob", "Carol", "Davis", "Eva", "Fae", "Gabriel", "Jack", "Max", "Oliver", "Polly",
    "Rex", "Sally", "Sam", "Stella", "Tom", "Wren",
];

/// The 38 concepts, in token order.
pub const CONCEPTS: [&str; 38] = [
    "bompus", "boompus", "brimpus", "chorpus", "dumpus", "felpus", "fompus", "gerpus", "gorpus",
    "grimpus", "gwompus", "hilpus", "impus", "jelpus", "jompus", "kerpus", "lempus", "lorpus",
    "numpus", "quimpus", "rempus", "rompus", "rorpus", "scrompus", "shumpus", "sterpus", "storpus",
    "terpus", "timpus", "tumpus", "vumpus", "worpus", "wumpus", "yerpus", "yimpus", "yumpus",
    "zhorpus", "zumpus",
];

/// The markers, in token order, after the names and the concepts.
pub const MARKERS: [&str; 9] = [
    "?", "###", "<bot>", "<eot>", "<pause>", "<think>", "</think>", "<eos>", "<pad>",
];

/// Ids of the markers, one constant for each entry of [`MARKERS`].
pub mod marker {
    use super::{CONCEPTS, PEOPLE};

    const FIRST: u32 = (PEOPLE.len() + CONCEPTS.len()) as u32;
    /// `?`, which opens the question after the statements.
    pub const QUESTION: u32 = FIRST;
    /// `###`, which opens the answer.
    pub const ANSWER: u32 = FIRST + 1;
    /// `<bot>`, the beginning of the continuous thoughts.
    pub const BOT: u32 = FIRST + 2;
    /// `<eot>`, the end of the continuous thoughts.
    pub const EOT: u32 = FIRST + 3;
    /// `<pause>`, a filler that carries no content.
    pub const PAUSE: u32 = FIRST + 4;
    /// `<think>`, the beginning of the reasoning in words.
    pub const THINK: u32 = FIRST + 5;
    /// `</think>`, the end of the reasoning in words.
    pub const END_THINK: u32 = FIRST + 6;
    /// `<eos>`, the end of the text.
    pub const EOS: u32 = FIRST + 7;
    /// `<pad>`, never read.
    pub const PAD: u32 = FIRST + 8;
}

/// How many tokens there are: names, concepts and markers.
pub const VOCABULARY_SIZE: usize = PEOPLE.len() + CONCEPTS.len() + MARKERS.len();

/// All tokens in the order of their ids.
pub fn vocabulary() -> impl Iterator<Item = &'static str> {
    PEOPLE.into_iter().chain(CONCEPTS).chain(MARKERS)
}

/// What a node of the graph is called: the name of a person, or a concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u8);

impl Symbol {
    /// The symbol of a name or concept, or `None` for any other word.
    pub fn from_name(name: &str) -> Option<Symbol> {
        let id = PEOPLE
            .iter()
            .chain(CONCEPTS.iter())
            .position(|&known| known == name)?;
        Some(Symbol(id as u8))
    }

    /// The `index`-th of the [`PEOPLE`].
    pub(super) fn person(index: usize) -> Symbol {
        assert!(index < PEOPLE.len(), "there is no person {index}");
        Symbol(index as u8)
    }

    /// The `index`-th of the [`CONCEPTS`].
    pub(super) fn concept(index: usize) -> Symbol {
        assert!(index < CONCEPTS.len(), "there is no concept {index}");
        Symbol((PEOPLE.len() + index) as u8)
    }

    /// The symbol's token id.
    pub fn id(self) -> u32 {
        u32::from(self.0)
    }

    /// The word itself.
    pub fn name(self) -> &'static str {
        let index = usize::from(self.0);
        if self.is_person() {
            PEOPLE[index]
        } else {
            CONCEPTS[index - PEOPLE.len()]
        }
    }

    /// Whether this is the name of a person.
    pub fn is_person(self) -> bool {
        usize::from(self.0) < PEOPLE.len()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
