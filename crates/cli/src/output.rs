//! Standard output, which a reader such as `head` may close before everything is printed.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write},
    process::exit,
};

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
