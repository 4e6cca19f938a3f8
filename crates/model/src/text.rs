//! Text files as other systems write them.

/// `text` without the byte order mark that some editors put in front of it.
///
/// The line ends of Windows need no such step: JSON and TOML count `\r` as a space, and
/// [`str::lines`] takes it away.
pub fn strip_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
