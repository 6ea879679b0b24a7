//! What a command prints, to whoever reads it as long as they read.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Prints a line. Who reads no further, as `head` does, gets no more, and the
/// command goes on to its exit code; what cannot be printed otherwise ends it.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

pub(crate) fn line(text: Arguments<'_>) {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error[output]: could not print: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}
