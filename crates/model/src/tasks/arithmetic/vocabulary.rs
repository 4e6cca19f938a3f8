//! The tokens of arithmetic: digits, operators, and the words of the templates.

use crate::tasks::{MARKERS, Markers};

/// Digits first, so that a digit is its own id.
const SIGNS: [&str; 20] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "-", "*", "/", "=", "(", ")", "<<",
    ">>", ".",
];

/// People, in token order.
pub(super) const NAMES: [&str; 8] = ["Anna", "Ben", "Bob", "Eva", "Leo", "Mia", "Sara", "Tom"];

/// Things that can be counted, in token order.
pub(super) const THINGS: [&str; 8] = [
    "apples", "books", "cards", "coins", "eggs", "pens", "shells", "stamps",
];

/// What things are put into: many and one.
pub(super) const CONTAINERS: [[&str; 2]; 3] =
    [["bags", "bag"], ["baskets", "basket"], ["boxes", "box"]];

/// Every other word of the templates, in token order.
const WORDS: [&str; 52] = [
    "How", "Then", "a", "all", "among", "and", "as", "boys", "buys", "chair", "day", "days",
    "does", "dollars", "each", "earns", "equally", "fewer", "finds", "for", "friend", "friends",
    "get", "gets", "girls", "give", "gives", "half", "has", "have", "hour", "hours", "in", "loses",
    "many", "more", "need", "now", "of", "on", "puts", "rows", "sells", "shares", "table", "than",
    "the", "times", "to", "wants", "with", "works",
];

const N_WORDS: usize =
    SIGNS.len() + NAMES.len() + THINGS.len() + 2 * CONTAINERS.len() + WORDS.len();

/// Ids of the markers. `?` ends a question here, as it does in English.
pub const MARKER: Markers = Markers::after(N_WORDS);
/// How many tokens there are.
pub const VOCABULARY_SIZE: usize = N_WORDS + MARKERS.len();

/// All tokens in the order of their ids: digits and signs, names, things, containers, other
/// words, markers.
pub fn vocabulary() -> impl Iterator<Item = &'static str> {
    let nouns = THINGS.into_iter().chain(CONTAINERS.into_iter().flatten());
    SIGNS
        .into_iter()
        .chain(NAMES)
        .chain(nouns)
        .chain(WORDS)
        .chain(MARKERS)
}

/// The id of a token, or `None` if there is none of this name.
pub fn token_id(token: &str) -> Option<u32> {
    let id = vocabulary().position(|known| known == token)?;
    Some(id as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_the_id_of_its_place() {
        assert_eq!(vocabulary().count(), VOCABULARY_SIZE);
        for (id, token) in vocabulary().enumerate() {
            assert_eq!(token_id(token), Some(id as u32), "{token}");
        }
        assert_eq!(token_id("7"), Some(7));
        assert_eq!(token_id("?"), Some(MARKER.question));
        assert_eq!(token_id("<pad>"), Some(MARKER.pad));
        assert_eq!(token_id("dog"), None);
    }
}
