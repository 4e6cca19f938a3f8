//! How a document was made: the command that makes it again, and the program.

use std::fmt::Display;

use latent_model::analysis::report::Made;

/// The program and its version.
pub const VERSION: &str = concat!("latent ", env!("CARGO_PKG_VERSION"));

/// A command as somebody would type it.
pub struct CommandText(String);

impl CommandText {
    /// `latent NAME`.
    pub fn new(name: &str) -> Self {
        Self(format!("latent {name}"))
    }

    /// Adds `--option value`.
    pub fn say(&mut self, option: &str, value: impl Display) {
        self.0 += &format!(" --{option} {value}");
    }

    /// Adds `--option value` where the value is not the default.
    pub fn say_unless<T: Display + PartialEq>(&mut self, option: &str, value: T, default: T) {
        if value != default {
            self.say(option, value);
        }
    }

    /// Adds `--switch` where it is on.
    pub fn switch(&mut self, name: &str, is_on: bool) {
        if is_on {
            self.0 += &format!(" --{name}");
        }
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }

    /// With the program and the engine that computed it.
    pub fn made(self, engine: impl Into<String>) -> Made {
        Made {
            command: self.0,
            version: VERSION.into(),
            engine: engine.into(),
        }
    }
}
