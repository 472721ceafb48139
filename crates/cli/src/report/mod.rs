//! What the user sees: the only place that writes to the terminal.

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod training;

use std::io::Write;

use fonds_core::Error;

/// Writes a line to standard output. A reader that has gone away is no error of ours.
pub(crate) fn line(text: &str) {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    drop(written);
}

/// Writes text as it is to standard output.
pub(crate) fn raw(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    drop(written);
}

/// Writes a line to standard error.
pub(crate) fn error_line(text: &str) {
    let written = writeln!(std::io::stderr().lock(), "{text}");
    drop(written);
}

/// Writes errors with their hints to standard error.
pub(crate) fn errors(errors: &[Error]) {
    for error in errors {
        error_line(&error.to_string());
        let mut cause = std::error::Error::source(error);
        while let Some(source) = cause {
            error_line(&format!("  because: {source}"));
            cause = source.source();
        }
        for hint in error.hints() {
            error_line(&format!("  hint: {hint}"));
        }
    }
}
