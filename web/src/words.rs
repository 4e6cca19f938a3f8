//! Every text of the page in one table, a row for each with its English and its German.

pub mod glossary;
mod table;
pub mod tables;

use std::cell::Cell;

use latent_model::address::Language;
pub use table::Words;

thread_local! {
    /// A page has one thread and one language at a time; the components are made anew for another.
    static CURRENT: Cell<Language> = const { Cell::new(Language::English) };
}

/// The texts in the page's language.
pub fn words() -> &'static Words {
    Words::of(CURRENT.get())
}

/// The page's language.
pub fn current_language() -> Language {
    CURRENT.get()
}

/// The page's language from now on.
pub fn speak(language: Language) {
    CURRENT.set(language);
}

/// The language that HTML names so.
pub fn of_tag(html: &str) -> Language {
    match html == tag(Language::German) {
        true => Language::German,
        false => Language::English,
    }
}

/// As HTML names it.
pub fn tag(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::German => "de",
    }
}

/// A text with its places `{name}` filled.
///
/// # Panics
/// In a build with debug assertions, if the text lacks a place that is to be filled.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = text.to_string();
    for (name, value) in values {
        let place = format!("{{{name}}}");
        debug_assert!(text.contains(&place), "{text:?} has no place {place}");
        filled = filled.replace(&place, value);
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The places of a text.
    fn places(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1);
        parts
            .filter_map(|part| Some(part.split_once('}')?.0))
            .collect()
    }

    /// The page's script speaks before its program has come, from a table of its own.
    #[test]
    fn every_text_of_the_starting_script_has_the_same_places_in_both_languages() {
        let script = include_str!("../start.js");
        let table = |name: &str| {
            let start = format!("  {name}: {{\n");
            let (_, table) = script.split_once(&start).expect(name);
            let (table, _) = table.split_once("\n  },").expect(name);
            let rows = table
                .split("\n    ")
                .map(|row| row.trim_start().split_once(':'));
            let rows = rows.flatten().map(|(row, text)| (row, text, places(text)));
            rows.collect::<Vec<_>>()
        };
        let (english, german) = (table("en"), table("de"));
        assert!(english.len() > 5, "{english:?}");
        assert_eq!(english.len(), german.len());
        for ((row, text, places), (same, other, there)) in english.iter().zip(&german) {
            assert_eq!((row, places), (same, there));
            assert_ne!(text, other, "{row}");
        }
    }

    #[test]
    fn every_text_has_the_same_places_in_both_languages() {
        for (name, english, german) in table::ROWS {
            assert!(!english.is_empty() && !german.is_empty(), "{name}");
            assert_eq!(places(english), places(german), "{name}");
        }
    }

    #[test]
    fn places_are_filled_and_a_language_is_that_of_its_tag() {
        let filled = fill("{n} of {total}", &[("n", "3"), ("total", "20")]);
        assert_eq!(filled, "3 of 20");
        for language in [Language::English, Language::German] {
            assert_eq!(of_tag(tag(language)), language);
        }
        assert_eq!(of_tag(""), Language::English);
    }
}
