//! The words of ProntoQA and their token ids.
//!
//! Names, concepts and property families are those of the released generator
//! (github.com/asaparov/prontoqa, `run_experiment.py`). Its 38 concepts are ProsQA's.

use std::fmt;

use super::CONCEPTS;
use crate::tasks::{MARKERS, Markers};

/// The names of entities, in token order.
pub const NAMES: [&str; 9] = [
    "Alex", "Fae", "Max", "Polly", "Rex", "Sally", "Sam", "Stella", "Wren",
];

/// The properties, in token order. Nothing has two properties of one family.
pub const FAMILIES: [&[&str]; 13] = [
    &["blue", "red", "brown", "orange"],
    &["small", "large"],
    &["metallic", "wooden", "luminous", "liquid"],
    &["transparent", "opaque"],
    &["nervous", "happy", "feisty", "shy"],
    &["bright", "dull"],
    &["sweet", "sour", "spicy", "bitter"],
    &["floral", "fruity", "earthy"],
    &["hot", "cold", "temperate"],
    &["kind", "mean", "angry", "amenable", "aggressive"],
    &["melodic", "muffled", "discordant", "loud"],
    &["slow", "moderate", "fast"],
    &["windy", "sunny", "overcast", "rainy", "snowy"],
];

/// What stands in front of a negated property's name: `not-red`.
pub(super) const NOT: &str = "not-";
const TRUTHS: [&str; 2] = ["True", "False"];

const N_PROPERTIES: usize = {
    let mut sum = 0;
    let mut family = 0;
    while family < FAMILIES.len() {
        sum += FAMILIES[family].len();
        family += 1;
    }
    sum
};
const FIRST_PROPERTY: usize = NAMES.len() + CONCEPTS.len();
const FIRST_TRUTH: usize = FIRST_PROPERTY + 2 * N_PROPERTIES;

/// Ids of the markers.
pub const MARKER: Markers = Markers::after(FIRST_TRUTH + TRUTHS.len());
/// How many tokens there are.
pub const VOCABULARY_SIZE: usize = FIRST_TRUTH + TRUTHS.len() + MARKERS.len();

/// All tokens in the order of their ids: names, concepts, each property with its negation,
/// `True` and `False`, markers.
pub fn vocabulary() -> impl Iterator<Item = String> {
    let properties = properties().flat_map(|name| [name.to_string(), format!("{NOT}{name}")]);
    let words = NAMES.into_iter().chain(CONCEPTS).map(String::from);
    let rest = TRUTHS.into_iter().chain(MARKERS).map(String::from);
    words.chain(properties).chain(rest)
}

/// A word that is no marker.
///
/// A negated property is one token. So every statement is two adjacent ids, which is what makes
/// them quick to learn, and a question is right exactly if its own
/// token can be reached: no step has to undo a negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// An entity, as an index into [`NAMES`].
    Name(u8),
    /// A concept, as an index into ProsQA's [`CONCEPTS`].
    Concept(u8),
    /// A property.
    Property {
        /// Its index in [`FAMILIES`], counted through all families.
        index: u8,
        /// Whether it is denied.
        is_negated: bool,
    },
    /// `True` or `False`.
    Truth(bool),
}

impl Word {
    /// The word of a token's name, or `None` for a marker or any other text.
    pub fn from_name(name: &str) -> Option<Word> {
        let index = |words: &[&str]| words.iter().position(|&known| known == name);
        if let Some(index) = index(&NAMES) {
            return Some(Word::Name(index as u8));
        }
        if let Some(index) = index(&CONCEPTS) {
            return Some(Word::Concept(index as u8));
        }
        if let Some(index) = index(&TRUTHS) {
            return Some(Word::Truth(index == 0));
        }
        let (is_negated, property) = match name.strip_prefix(NOT) {
            Some(property) => (true, property),
            None => (false, name),
        };
        let index = properties().position(|known| known == property)? as u8;
        Some(Word::Property { index, is_negated })
    }

    /// The token id.
    pub fn id(self) -> u32 {
        let id = match self {
            Word::Name(index) => usize::from(index),
            Word::Concept(index) => NAMES.len() + usize::from(index),
            Word::Property { index, is_negated } => {
                FIRST_PROPERTY + 2 * usize::from(index) + usize::from(is_negated)
            }
            Word::Truth(is_true) => FIRST_TRUTH + usize::from(!is_true),
        };
        id as u32
    }

    /// The same property with the other sign; `None` for any other word.
    pub fn opposite(self) -> Option<Word> {
        match self {
            Word::Property { index, is_negated } => Some(Word::Property {
                index,
                is_negated: !is_negated,
            }),
            _ => None,
        }
    }

    /// The word without its negation, as it stands in a sentence.
    pub(super) fn bare_name(self) -> &'static str {
        let name = match self {
            Word::Name(index) => NAMES.get(usize::from(index)).copied(),
            Word::Concept(index) => CONCEPTS.get(usize::from(index)).copied(),
            Word::Property { index, .. } => properties().nth(index.into()),
            Word::Truth(is_true) => Some(TRUTHS[usize::from(!is_true)]),
        };
        name.unwrap_or("(no such word)")
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_negated = matches!(
            self,
            Word::Property {
                is_negated: true,
                ..
            }
        );
        f.write_str(if is_negated { NOT } else { "" })?;
        f.write_str(self.bare_name())
    }
}

fn properties() -> impl Iterator<Item = &'static str> {
    FAMILIES.into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_the_id_of_its_place() {
        let tokens: Vec<String> = vocabulary().collect();
        assert_eq!(tokens.len(), VOCABULARY_SIZE);
        for (id, token) in tokens.iter().enumerate() {
            match Word::from_name(token) {
                Some(word) => {
                    assert_eq!(word.id() as usize, id, "{token}");
                    assert_eq!(word.to_string(), *token);
                }
                None => assert!(MARKERS.contains(&token.as_str()), "{token}"),
            }
        }
        assert_eq!(tokens[MARKER.question as usize], "?");
        assert_eq!(tokens[MARKER.pad as usize], "<pad>");
    }
}
