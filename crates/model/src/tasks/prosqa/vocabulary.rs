//! The words of ProsQA and the 64 token ids that the checkpoints give them.

use std::fmt;

use crate::tasks::{MARKERS, Markers};

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

/// Ids of the markers, which come after the names and the concepts.
pub const MARKER: Markers = Markers::after(PEOPLE.len() + CONCEPTS.len());

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
        Symbol::find(|known| known == name)
    }

    /// The same for a name or concept in small or capital letters.
    pub(super) fn from_name_in_any_case(name: &str) -> Option<Symbol> {
        Symbol::find(|known| known.eq_ignore_ascii_case(name))
    }

    fn find(is_it: impl Fn(&str) -> bool) -> Option<Symbol> {
        let mut names = PEOPLE.iter().chain(CONCEPTS.iter());
        let id = names.position(|known| is_it(known))?;
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
