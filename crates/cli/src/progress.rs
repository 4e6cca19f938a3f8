//! What commands that take their time show of it.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` of something, such as `runs`; the message follows.
pub fn progress_bar(length: u64, of: &str) -> ProgressBar {
    let style = format!("{{bar:40}} {{pos}}/{{len}} {of}, {{eta}} left  {{msg}}");
    let style = ProgressStyle::with_template(&style);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// What is being done, where nobody knows how long it takes.
pub fn spinner(message: &'static str) -> ProgressBar {
    ProgressBar::new_spinner().with_message(message)
}
