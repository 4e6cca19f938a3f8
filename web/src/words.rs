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

/// The language of a browser that asks for these, as it names them (`de-CH`).
pub fn preferred(browser: Option<&str>) -> Language {
    match browser {
        Some(tag) if tag.split('-').next() == Some("de") => Language::German,
        _ => Language::English,
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
        assert_eq!(preferred(Some("de-CH")), Language::German);
        assert_eq!(preferred(Some("den")), Language::English);
        assert_eq!(preferred(None), Language::English);
    }
}
