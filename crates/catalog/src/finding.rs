//! A remark on a file of the catalog: where, what, and what to do about it.

use std::fmt;

/// Something that a person should look at in a CSV file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, as the caller named it or relative to the output root.
    pub file: String,
    /// The line, counted from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// The column's name.
    pub column: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What was found: lower case, no final stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The catalog is wrong, or a program that reads it will be misled.
    Error,
    /// It may be meant.
    Warning,
}

impl Finding {
    /// A finding in a line of a file.
    pub fn new(
        severity: Severity,
        file: impl Into<String>,
        line: u32,
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line,
            column: None,
            severity,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds the column.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: ")?;
        if let Some(column) = &self.column {
            write!(f, "{column}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_severity_message_hint() {
        let finding = Finding::new(Severity::Error, "catalog.csv", 3, "`x` is not a date")
            .in_column("date")
            .hint("write `1931~`");
        assert_eq!(
            finding.to_string(),
            "catalog.csv:3: error: date: `x` is not a date (write `1931~`)"
        );
        let whole = Finding::new(Severity::Warning, "failed.csv", 0, "is missing");
        assert_eq!(whole.to_string(), "failed.csv: warning: is missing");
    }
}
