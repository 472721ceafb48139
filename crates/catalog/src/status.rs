//! How it went with a file: the closed lists of words in the catalog's state columns.

use fonds_core::Code;

use crate::cell::{Cell, word_cell};
use crate::column::Column;

/// How it went with a file, as written to the `status` column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Everything asked for was done.
    #[default]
    Ok,
    /// Everything was done, with remarks: see the flags, the code and the message.
    Warning,
    /// No step found anything to do, and nothing was written.
    Unchanged,
    /// The file was not to be processed; the reason stands in `error_code`.
    Skipped,
    /// The file could not be processed; the reason stands in `error_code`.
    Failed,
    /// The run stopped before the file's turn.
    Cancelled,
}

impl Status {
    /// All statuses, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Warning,
        Self::Unchanged,
        Self::Skipped,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this word.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// All words, for the schema.
    pub(crate) fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).to_vec()
    }
}

impl Cell for Status {
    fn is_empty(&self) -> bool {
        false
    }

    fn put(&self, _: &Column, out: &mut String) {
        out.push_str(self.as_str());
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        *self = Self::from_text(text).ok_or("a known status")?;
        Ok(())
    }
}

/// Why a row is not simply `ok`, as written to the `error_code` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Something went wrong.
    Error(Code),
    /// The include and exclude patterns do not select the file.
    NotSelected,
    /// The file is what systems leave behind: `Thumbs.db`, `.DS_Store`, `._*`, other dot files.
    Clutter,
}

impl Reason {
    /// The word in files: the error code, `not_selected` or `clutter`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error(code) => code.as_str(),
            Self::NotSelected => "not_selected",
            Self::Clutter => "clutter",
        }
    }

    /// The reason with this word.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "not_selected" => Some(Self::NotSelected),
            "clutter" => Some(Self::Clutter),
            _ => Code::from_text(text).map(Self::Error),
        }
    }

    /// Whether it says why a file was skipped, not what went wrong.
    pub fn is_skip(self) -> bool {
        !matches!(self, Self::Error(_))
    }

    /// All words, for the schema.
    pub(crate) fn words() -> Vec<&'static str> {
        let codes = Code::ALL.map(Self::Error);
        let skips = [Self::NotSelected, Self::Clutter];
        codes.into_iter().chain(skips).map(Self::as_str).collect()
    }
}

impl From<Code> for Reason {
    fn from(code: Code) -> Self {
        Self::Error(code)
    }
}

word_cell!(Reason, "a known error code or reason");

/// Whether a file keeps the rules of its format, in JHOVE's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WellFormed {
    /// Decoded fully, with nothing to remark.
    Valid,
    /// Decoded fully, with remarks on its structure.
    WellFormed,
    /// Not decoded, or not fully.
    NotWellFormed,
}

impl WellFormed {
    /// All words, best first.
    pub const ALL: [Self; 3] = [Self::Valid, Self::WellFormed, Self::NotWellFormed];

    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::WellFormed => "well-formed",
            Self::NotWellFormed => "not-well-formed",
        }
    }

    /// The value with this word.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }

    /// All words, for the schema.
    pub(crate) fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).to_vec()
    }
}

word_cell!(WellFormed, "`valid`, `well-formed` or `not-well-formed`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for word in Status::words() {
            assert_eq!(Status::from_text(word).unwrap().as_str(), word);
        }
        for word in Reason::words() {
            assert_eq!(Reason::from_text(word).unwrap().as_str(), word);
        }
        for word in WellFormed::words() {
            assert_eq!(WellFormed::from_text(word).unwrap().as_str(), word);
        }
        assert!(Reason::Clutter.is_skip() && !Reason::from(Code::Corrupt).is_skip());
    }
}
