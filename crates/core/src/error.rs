//! One error type for all library crates: what happened, where, whose move it is, and what to try.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything in fonds that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as it is written to `failed.csv` and to the catalog's `error_code` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The file has no bytes.
    EmptyFile,
    /// The file cannot be opened or read (permissions, a broken link, a failing disk).
    Unreadable,
    /// The file ends before its content does.
    Truncated,
    /// The file breaks the rules of its format.
    Corrupt,
    /// The file's name promises another format than its content has (a warning).
    ExtensionMismatch,
    /// The content is of a kind that fonds does not decode.
    UnsupportedFormat,
    /// The format is known, this variant of it is not decoded.
    UnsupportedVariant,
    /// The picture is larger than the configured limits allow.
    LimitsExceeded,
    /// Memory ran out.
    Oom,
    /// The file took longer than `timeout_per_file`.
    Timeout,
    /// Code panicked on this file; a bug in fonds or in a decoder.
    Panic,
    /// The process died on this file (stack overflow, failed allocation, a crash in C code).
    Crash,
    /// A network could not be run.
    ModelError,
    /// A step produced something that is no picture (NaN, constant, wrong size).
    OutputInvalid,
    /// A derivative could not be written.
    WriteFailed,
    /// The disk is full.
    DiskFull,
    /// A digest is not the one on record.
    ChecksumMismatch,
    /// The source changed while it was being processed.
    SourceChanged,
    /// Two files would be catalogued or written under one name.
    NameCollision,
    /// The run stopped before this file's turn.
    Cancelled,
    /// A configuration or an argument is wrong.
    InvalidRequest,
    /// The feature was not compiled into this binary.
    NotBuiltIn,
    /// A broken promise inside fonds.
    Internal,
}

impl Code {
    /// All codes, in the order of their declaration.
    pub const ALL: [Self; 23] = [
        Self::EmptyFile,
        Self::Unreadable,
        Self::Truncated,
        Self::Corrupt,
        Self::ExtensionMismatch,
        Self::UnsupportedFormat,
        Self::UnsupportedVariant,
        Self::LimitsExceeded,
        Self::Oom,
        Self::Timeout,
        Self::Panic,
        Self::Crash,
        Self::ModelError,
        Self::OutputInvalid,
        Self::WriteFailed,
        Self::DiskFull,
        Self::ChecksumMismatch,
        Self::SourceChanged,
        Self::NameCollision,
        Self::Cancelled,
        Self::InvalidRequest,
        Self::NotBuiltIn,
        Self::Internal,
    ];

    /// The code as it is written to files: lower case, words joined by `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyFile => "empty_file",
            Self::Unreadable => "unreadable",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::ExtensionMismatch => "extension_mismatch",
            Self::UnsupportedFormat => "unsupported_format",
            Self::UnsupportedVariant => "unsupported_variant",
            Self::LimitsExceeded => "limits_exceeded",
            Self::Oom => "oom",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Crash => "crash",
            Self::ModelError => "model_error",
            Self::OutputInvalid => "output_invalid",
            Self::WriteFailed => "write_failed",
            Self::DiskFull => "disk_full",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::SourceChanged => "source_changed",
            Self::NameCollision => "name_collision",
            Self::Cancelled => "cancelled",
            Self::InvalidRequest => "invalid_request",
            Self::NotBuiltIn => "not_built_in",
            Self::Internal => "internal",
        }
    }

    /// The code with this text.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// Whose move it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::EmptyFile
            | Self::Unreadable
            | Self::Truncated
            | Self::Corrupt
            | Self::ExtensionMismatch
            | Self::UnsupportedFormat
            | Self::UnsupportedVariant
            | Self::ChecksumMismatch
            | Self::SourceChanged
            | Self::NameCollision => Kind::BadInput,
            Self::InvalidRequest | Self::Cancelled => Kind::BadRequest,
            Self::LimitsExceeded | Self::Oom | Self::Timeout => Kind::TooLarge,
            Self::NotBuiltIn => Kind::NotBuiltIn,
            Self::WriteFailed | Self::DiskFull | Self::ModelError => Kind::Environment,
            Self::Panic | Self::Crash | Self::OutputInvalid | Self::Internal => Kind::Bug,
        }
    }

    /// Whether the same file may well succeed in a later run, with nothing about it changed.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Unreadable
                | Self::Oom
                | Self::Timeout
                | Self::ModelError
                | Self::WriteFailed
                | Self::DiskFull
                | Self::SourceChanged
                | Self::Cancelled
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who has to act before it can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The file is at fault.
    BadInput,
    /// The configuration or the call is at fault.
    BadRequest,
    /// More memory, pixels or time than was granted.
    TooLarge,
    /// Another build of fonds is needed.
    NotBuiltIn,
    /// Disk, permissions, device, network file system.
    Environment,
    /// A defect in fonds.
    Bug,
}

/// Where it happened; every part is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Option<PathBuf>,
    /// The page of a multi-page file, counted from 1.
    pub page: Option<u32>,
    /// The line in a text file, counted from 1.
    pub line: Option<u32>,
    /// The column in characters, counted from 1.
    pub column: Option<u32>,
    /// The pipeline step's id.
    pub step: Option<String>,
}

/// An error with its place, its hints and its cause.
///
/// `Display` prints place first, lower case, no final stop:
/// `scans/a.tif: page 2: strip 14 is truncated (expected 8192 bytes, found 310)`.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    place: Place,
    message: String,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this code; `message` is a lower-case fragment without a final stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            place: Place::default(),
            message: message.into(),
            hints: Vec::new(),
            source: None,
        }))
    }

    /// An error from the file system, told apart by what it means for a run.
    pub fn from_io(error: std::io::Error, otherwise: Code, message: impl Into<String>) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
            std::io::ErrorKind::OutOfMemory => Code::Oom,
            _ => otherwise,
        };
        Self::new(code, message).caused_by(error)
    }

    /// Adds the file.
    #[must_use]
    pub fn at_path(mut self, path: impl AsRef<Path>) -> Self {
        self.0
            .place
            .path
            .get_or_insert_with(|| path.as_ref().to_owned());
        self
    }

    /// Adds the page, counted from 1.
    #[must_use]
    pub fn at_page(mut self, page: u32) -> Self {
        self.0.place.page.get_or_insert(page);
        self
    }

    /// Adds line and column, both counted from 1.
    #[must_use]
    pub fn at_line(mut self, line: u32, column: u32) -> Self {
        self.0.place.line.get_or_insert(line);
        self.0.place.column.get_or_insert(column);
        self
    }

    /// Adds the line alone, counted from 1, where no column is known.
    #[must_use]
    pub fn on_line(mut self, line: u32) -> Self {
        self.0.place.line.get_or_insert(line);
        self
    }

    /// Adds the pipeline step.
    #[must_use]
    pub fn in_step(mut self, step: impl Into<String>) -> Self {
        self.0.place.step.get_or_insert_with(|| step.into());
        self
    }

    /// Adds something that the user can do; a sentence fragment, lower case, no final stop.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Whose move it is.
    pub fn kind(&self) -> Kind {
        self.0.code.kind()
    }

    /// Where it happened.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The message alone, without place and cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the user can do, most promising first.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// The message with the chain of causes on one line, without the path: what a catalog cell
    /// beside the file's own name needs to say.
    pub fn detail(&self) -> String {
        let mut text = String::new();
        if let Some(page) = self.0.place.page {
            text.push_str(&format!("page {page}: "));
        }
        if let Some(step) = &self.0.place.step {
            text.push_str(&format!("step `{step}`: "));
        }
        text.push_str(&self.0.message);
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.ends_with(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.0.place;
        if let Some(path) = &place.path {
            write!(f, "{}: ", path.display())?;
        }
        if let Some(page) = place.page {
            write!(f, "page {page}: ")?;
        }
        match (place.line, place.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            _ => {}
        }
        if let Some(step) = &place.step {
            write!(f, "step `{step}`: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{}]", self.0.code)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_comes_first() {
        let error = Error::new(Code::Truncated, "strip 14 is truncated")
            .at_path("scans/a.tif")
            .at_page(2);
        assert_eq!(
            error.to_string(),
            "scans/a.tif: page 2: strip 14 is truncated"
        );
        let error = Error::new(Code::InvalidRequest, "unknown key `sze`")
            .at_line(3, 7)
            .in_step("x");
        assert_eq!(
            error.to_string(),
            "line 3, column 7: step `x`: unknown key `sze`"
        );
        let error = Error::new(Code::InvalidRequest, "x").on_line(4);
        assert_eq!(error.to_string(), "line 4: x");
    }

    #[test]
    fn inner_place_wins() {
        let error = Error::new(Code::Corrupt, "x").at_page(2).at_page(9);
        assert_eq!(error.place().page, Some(2));
    }

    #[test]
    fn detail_is_one_line_with_causes_and_without_the_path() {
        let error = Error::new(Code::Corrupt, "cannot decode")
            .at_path("a.png")
            .caused_by(std::io::Error::other("bad\nchunk"));
        assert_eq!(error.detail(), "cannot decode: bad chunk");
    }

    #[test]
    fn codes_round_trip_and_are_unique() {
        for code in Code::ALL {
            assert_eq!(Code::from_text(code.as_str()), Some(code));
        }
        assert_eq!(Code::from_text("nonsense"), None);
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(
            Error::from_io(full, Code::WriteFailed, "x").code(),
            Code::DiskFull
        );
        let other = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert_eq!(
            Error::from_io(other, Code::WriteFailed, "x").code(),
            Code::WriteFailed
        );
    }
}
