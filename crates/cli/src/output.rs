//! What commands write: files, and standard output, which a reader such as `head` may close before
//! everything is printed.

use std::{
    fmt::Arguments,
    fs,
    io::{ErrorKind, Write},
    path::Path,
    process::exit,
};

use anyhow::{Context, Result};
use serde::Serialize;

/// Prints a line like the macro of the standard library, in whose place all commands find this
/// one: where nobody reads any more, the command ends quietly instead of with a panic.
macro_rules! println {
    ($($text:tt)*) => {
        $crate::output::print_line(format_args!($($text)*))
    };
}

/// Prints a line, or ends the program where that cannot be done.
pub fn print_line(line: Arguments<'_>) {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => {
            eprintln!("latent: cannot write to standard output: {error}");
            exit(1);
        }
    }
}

/// A file's text: JSON with a line end.
pub fn json(document: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// Writes a file and says so.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// A p value for people.
pub fn p_value(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".into()
    } else {
        format!("{p:.3}")
    }
}
