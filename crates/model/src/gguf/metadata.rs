//! A GGUF file's metadata: keys with values, asked for by name and type.

use std::collections::BTreeMap;

use super::{
    GgufFault,
    reader::{List, Reader, shortened},
};

/// The value of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    List(List<'a>),
}

impl Value<'_> {
    /// What it is, for an error.
    fn describe(&self) -> String {
        match self {
            Self::Unsigned(value) => value.to_string(),
            Self::Signed(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => format!("{:?}", shortened(text)),
            Self::List(list) => format!("a list of {} values", list.n),
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Self::Float(value) => value.is_finite().then_some(value),
            Self::Unsigned(value) => Some(value as f64),
            Self::Signed(value) => Some(value as f64),
            _ => None,
        }
    }

    pub fn as_count(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => value.try_into().ok(),
            _ => None,
        }
    }
}

/// All keys of a file.
#[derive(Debug, Default)]
pub(super) struct Metadata<'a>(BTreeMap<&'a str, Value<'a>>);

impl<'a> Metadata<'a> {
    /// Reads `n` keys with their values.
    pub fn read(reader: &mut Reader<'a>, n: u64) -> Result<Self, GgufFault> {
        let mut metadata = Self::default();
        for index in 0..n {
            let key = reader.text(&|| format!("the name of metadata {index} of {n}"))?;
            let value = reader.value(key)?;
            if metadata.0.insert(key, value).is_some() {
                return Err(GgufFault::Duplicate {
                    what: "metadata keys",
                    name: shortened(key),
                });
            }
        }
        Ok(metadata)
    }

    /// A value of the type that `read` takes, which `expected` names; `None` where there is none.
    fn find<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, GgufFault> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        let wrong = || GgufFault::Value {
            key: key.into(),
            expected: expected.into(),
            found: value.describe(),
        };
        read(value).ok_or_else(wrong).map(Some)
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>, GgufFault> {
        self.find(key, "a text", |value| match value {
            Value::Text(text) => Some(*text),
            _ => None,
        })
    }

    pub fn count(&self, key: &str) -> Result<Option<u64>, GgufFault> {
        self.find(key, "a whole number", Value::as_count)
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, GgufFault> {
        self.find(key, "true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, GgufFault> {
        self.find(key, "a finite number", Value::as_number)
    }

    /// A list whose values `read` takes, which `expected` names.
    pub fn list<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<Vec<T>>, GgufFault> {
        self.find(key, expected, |value| match value {
            Value::List(list) => list.values().map(read).collect(),
            _ => None,
        })
    }

    pub fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>, GgufFault> {
        self.list(key, "a list of texts", |value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }
}

/// What must be there.
pub(super) fn needed<T>(
    found: Option<T>,
    key: &str,
    asked_by: &'static str,
) -> Result<T, GgufFault> {
    let key = key.into();
    found.ok_or(GgufFault::MissingKey { key, asked_by })
}
