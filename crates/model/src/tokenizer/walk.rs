//! JSON one value after the other: what is too large to be read in one go.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Deserializer, Error, error::Category};

use super::TokenizerError;

/// What opens and closes an object.
pub(super) const OBJECT: [char; 2] = ['{', '}'];
/// The same of an array.
pub(super) const ARRAY: [char; 2] = ['[', ']'];

/// What an object or an array still holds.
pub(super) struct Walk<'a> {
    rest: &'a str,
    close: char,
    has_begun: bool,
}

impl<'a> Walk<'a> {
    /// Before the first value of an object or an array.
    ///
    /// # Errors
    /// If the text is none.
    pub fn new(json: &'a str, [open, close]: [char; 2]) -> Result<Self, TokenizerError> {
        let inside = trimmed(json).strip_prefix(open);
        Ok(Self {
            rest: inside.ok_or_else(|| expected(open))?,
            close,
            has_begun: false,
        })
    }

    /// Goes to the next value; whether there is one.
    ///
    /// # Errors
    /// If neither a value follows nor the end.
    pub fn advance(&mut self) -> Result<bool, TokenizerError> {
        let rest = trimmed(self.rest);
        if let Some(after) = rest.strip_prefix(self.close) {
            let is_end = trimmed(after).is_empty();
            return is_end.then_some(false).ok_or_else(|| expected("the end"));
        }
        self.rest = match std::mem::replace(&mut self.has_begun, true) {
            false => rest,
            true => rest.strip_prefix(',').ok_or_else(|| expected(','))?,
        };
        Ok(true)
    }

    /// The name of the member that follows, of an object.
    ///
    /// # Errors
    /// If there is none.
    pub fn name(&mut self) -> Result<String, TokenizerError> {
        let name = self.value()?;
        let after = trimmed(self.rest).strip_prefix(':');
        self.rest = after.ok_or_else(|| expected(':'))?;
        Ok(name)
    }

    /// The value that follows.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn value<T: Deserialize<'a>>(&mut self) -> Result<T, TokenizerError> {
        let mut values = Deserializer::from_str(self.rest).into_iter();
        let value = values.next().ok_or_else(|| expected("a value"))?;
        let value = value.map_err(wrong)?;
        self.rest = &self.rest[values.byte_offset()..];
        Ok(value)
    }

    /// The text of the value that follows.
    ///
    /// # Errors
    /// If it is none.
    pub fn text(&mut self) -> Result<&'a str, TokenizerError> {
        let before = self.rest;
        self.value::<IgnoredAny>()?;
        Ok(trimmed(&before[..before.len() - self.rest.len()]))
    }
}

fn trimmed(json: &str) -> &str {
    json.trim_start_matches([' ', '\n', '\r', '\t'])
}

fn expected(what: impl std::fmt::Display) -> TokenizerError {
    TokenizerError::Format(format!("expected {what}, found something else or nothing"))
}

/// Lines and columns would be those of a part.
fn wrong(error: Error) -> TokenizerError {
    let text = error.to_string();
    let told = match error.classify() {
        Category::Eof => "the file ends too early",
        _ => text
            .rsplit_once(" at line ")
            .map_or(&*text, |(told, _)| told),
    };
    TokenizerError::Format(told.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(json: &str) -> Result<Vec<&str>, TokenizerError> {
        let mut walk = Walk::new(json, ARRAY)?;
        let mut found = Vec::new();
        while walk.advance()? {
            found.push(walk.text()?);
        }
        Ok(found)
    }

    #[test]
    fn values_come_one_after_the_other_and_what_is_no_json_is_refused() {
        let found = items(" [1 ,\"a,]\", [2, {}],\n{\"b\": \"}\"}] ").expect("JSON");
        assert_eq!(found, ["1", "\"a,]\"", "[2, {}]", "{\"b\": \"}\"}"]);
        assert!(items("[]").expect("JSON").is_empty());
        for wrong in [
            "", "{}", "[", "[1", "[1,]", "[,1]", "[1 2]", "[1]2", "[\"a]",
        ] {
            assert!(items(wrong).is_err(), "{wrong}");
        }
        let mut walk = Walk::new("{\"a\" : 1, \"b\"}", OBJECT).expect("an object");
        assert!(walk.advance().expect("a member"));
        assert_eq!(walk.name().expect("a name"), "a");
        assert_eq!(walk.value::<u32>().expect("a number"), 1);
        assert!(walk.advance().expect("a member"));
        assert!(walk.name().is_err(), "nothing stands behind it");
    }
}
