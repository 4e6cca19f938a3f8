//! The progress bar of the commands that run many problems.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` of something, such as `runs`; the message follows.
pub fn progress_bar(length: u64, of: &str) -> ProgressBar {
    let style = format!("{{bar:40}} {{pos}}/{{len}} {of}, {{eta}} left  {{msg}}");
    let style = ProgressStyle::with_template(&style);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}
