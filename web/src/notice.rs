//! What the page has to tell when something went wrong, and what can be done about it.

use std::fmt::Display;

use leptos::prelude::*;

/// A message with advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened, in a few words.
    pub title: String,
    /// The error's own text: expected and found.
    pub detail: String,
    /// What to do.
    pub advice: String,
    /// Whether going on with the reference engine would help.
    pub offers_reference: bool,
}

impl Notice {
    /// A message about an error.
    pub fn new(title: &str, error: &dyn Display) -> Self {
        Self {
            title: title.into(),
            detail: error.to_string(),
            advice: String::new(),
            offers_reference: false,
        }
    }

    /// The same with advice.
    pub fn advice(mut self, advice: &str) -> Self {
        self.advice = advice.into();
        self
    }

    /// The GPU was lost or refused its work.
    pub fn gpu_failed(error: &dyn Display) -> Self {
        Self {
            offers_reference: true,
            ..Self::new("The GPU stopped working", error).advice(
                "Reload the page to try the GPU again, or go on with the reference engine, \
                 which computes the same on the CPU. Nothing that you set or typed is lost.",
            )
        }
    }

    /// The self-test found a difference.
    pub fn gpu_disagrees(verdict: &str) -> Self {
        Self {
            offers_reference: true,
            ..Self::new("The GPU computes something else than the CPU", &verdict).advice(
                "Do not trust runs on this GPU; go on with the reference engine, and please \
                 report the adapter's name.",
            )
        }
    }
}

/// The message that is shown, if any.
#[derive(Clone, Copy)]
pub struct Notices(RwSignal<Option<Notice>>);

impl Notices {
    /// Nothing to tell.
    pub fn new() -> Self {
        Self(RwSignal::new(None))
    }

    /// Shows a message in place of the last one.
    pub fn show(&self, notice: Notice) {
        self.0.set(Some(notice));
    }

    /// Takes the message away.
    pub fn clear(&self) {
        self.0.set(None);
    }

    /// The message.
    pub fn get(&self) -> Option<Notice> {
        self.0.get()
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self::new()
    }
}
