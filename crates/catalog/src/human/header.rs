//! The header of `metadata.csv`: which column is used for what, and the rows under it.

use std::sync::OnceLock;

use fonds_core::{Code, Error, Result};

use super::HumanRow;
use crate::column::{Column, ColumnKind};
use crate::finding::{Finding, Severity};
use crate::formula::unescape_formula;
use crate::near::nearest;
use crate::record::Record;
use crate::row::Row;

/// The columns that people may fill: those that describe the original, and how it is shown.
pub(crate) const DESCRIBED: &[&str] = &[
    "parentid",
    "title",
    "creator",
    "date",
    "description",
    "subject",
    "location",
    "latitude",
    "longitude",
    "source",
    "identifier",
    "type",
    "format",
    "language",
    "rights",
    "rightsstatement",
    "display_template",
    "object_location",
    "image_small",
    "image_thumb",
    "image_alt_text",
    "object_transcript",
    "scanner",
    "date_digitized",
];

/// What a column of the human file is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Path,
    Id,
    Value(usize),
    /// A column that fonds fills itself.
    Measured,
    Unknown,
    /// A column without a header.
    Blank,
}

/// The columns of a human file.
#[derive(Debug, Default)]
pub(super) struct Header {
    uses: Vec<Use>,
}

impl Header {
    /// Finds out what each column is for; says what a person should know about it.
    ///
    /// Fails when a column is there twice, or none says which file a row is about.
    pub(super) fn read(cells: &csv::StringRecord, file: &str) -> Result<(Self, Vec<Finding>)> {
        let mut header = Self::default();
        let mut unknown = Vec::new();
        let mut measured = Vec::new();
        for (i, written) in cells.iter().enumerate() {
            let name = plain_name(written);
            let purpose = purpose(&name);
            match purpose {
                Use::Unknown => unknown.push(unknown_column(written.trim(), &name, file)),
                Use::Measured => measured.push(format!("`{name}`")),
                Use::Blank => {}
                _ if header.uses.contains(&purpose) => {
                    let error = bad(format!(
                        "column `{name}` is there twice, as column {}",
                        i + 1
                    ));
                    return Err(error.on_line(1));
                }
                _ => {}
            }
            header.uses.push(purpose);
        }
        if !measured.is_empty() {
            unknown.push(measured_columns(&measured, file));
        }
        if header.uses.contains(&Use::Path) || header.uses.contains(&Use::Id) {
            return Ok((header, unknown));
        }
        let error = bad("has neither a column `filename` nor a column `objectid`".to_owned());
        Err(error
            .on_line(1)
            .hint("add a column `filename` with the paths relative to the archive's root"))
    }

    /// The row in these cells; `None` for a blank line.
    pub(super) fn row(&self, cells: &csv::StringRecord, line: u32) -> Result<Option<HumanRow>> {
        let mut row = HumanRow {
            line,
            path: String::new(),
            id: String::new(),
            values: Vec::new(),
            used: OnceLock::new(),
        };
        let mut blank = true;
        for (i, cell) in cells.iter().enumerate() {
            let cell = unescape_formula(cell);
            let text = cell.trim();
            if text.is_empty() {
                continue;
            }
            blank = false;
            match self.uses.get(i) {
                Some(Use::Path) => row.path = plain_path(&cell),
                Some(Use::Id) => text.clone_into(&mut row.id),
                Some(Use::Value(column)) => {
                    let text = checked(&Record::COLUMNS[*column], text)?;
                    row.values.push((*column, text));
                }
                Some(Use::Measured | Use::Unknown) => {}
                Some(Use::Blank) | None => {
                    let message = format!("cell {} has no header: `{text}`", i + 1);
                    return Err(bad(message).hint("quote cells that contain the separator"));
                }
            }
        }
        if !blank && row.path.is_empty() && row.id.is_empty() {
            return Err(bad("says neither `filename` nor `objectid`".to_owned()));
        }
        row.values.sort_by_key(|(column, _)| *column);
        if row.is_page() {
            // The path of a page is its file's, which has a row of its own.
            row.path.clear();
        }
        Ok((!blank).then_some(row))
    }
}

fn purpose(name: &str) -> Use {
    match name {
        "" => Use::Blank,
        "filename" => Use::Path,
        "objectid" => Use::Id,
        _ => match Record::COLUMNS
            .iter()
            .position(|column| column.name == name)
        {
            Some(index) if DESCRIBED.contains(&name) => Use::Value(index),
            Some(_) => Use::Measured,
            None => Use::Unknown,
        },
    }
}

fn unknown_column(written: &str, name: &str, file: &str) -> Finding {
    let message = format!("column `{written}` is unknown and not used");
    let finding = Finding::new(Severity::Warning, file, 1, message);
    let keys = ["filename", "objectid"];
    match nearest(name, keys.into_iter().chain(DESCRIBED.iter().copied())) {
        Some(known) => finding.hint(format!("is `{known}` meant?")),
        None => finding,
    }
}

fn measured_columns(names: &[String], file: &str) -> Finding {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    let subject = match names.len() {
        1 => format!("{shown} is"),
        2 | 3 => format!("{shown} are"),
        n => format!("{shown} and {} more columns are", n - 3),
    };
    let message = format!("{subject} filled by fonds and not taken from here");
    Finding::new(Severity::Warning, file, 1, message)
}

/// The text of a cell, once it is known that the column can hold it.
pub(crate) fn checked(column: &Column, text: &str) -> Result<String> {
    let refused = |expected: &str| {
        bad(format!(
            "column `{}`: `{text}` is not {expected}",
            column.name
        ))
    };
    match column.kind {
        ColumnKind::Number { min, max, .. } => {
            // A comma is what half of the world's spreadsheets write for the decimal point.
            let plain = text.replacen(',', ".", 1);
            let value: Option<f64> = plain.parse().ok();
            match value {
                Some(value) if (min..=max).contains(&value) => Ok(plain),
                _ => Err(refused(&format!("a number from {min} to {max}"))),
            }
        }
        ColumnKind::Word(words) => {
            let words = words();
            if words.contains(&text) {
                return Ok(text.to_owned());
            }
            let error = refused(&format!("one of {}", words.join(", ")));
            Err(match nearest(text, words) {
                Some(near) => error.hint(format!("is `{near}` meant?")),
                None => error,
            })
        }
        ColumnKind::Id if fonds_core::ObjectId::parse(text).is_none() => {
            let error = refused("an object id (`a-z`, `0-9`, `_` and `-`)");
            Err(error.hint(format!("write `{}`", fonds_core::slug(text))))
        }
        _ => Ok(text.to_owned()),
    }
}

/// The column's name without case, white space and a Dublin Core prefix.
pub(crate) fn plain_name(written: &str) -> String {
    let name = written.trim().to_lowercase();
    let prefixes = ["dcterms:", "dcterms.", "dc:", "dc."];
    let plain = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    plain.unwrap_or(&name).to_owned()
}

/// The path as the catalog spells it, from what a person or a file manager writes.
fn plain_path(written: &str) -> String {
    let path = written.trim();
    let path = if path.contains('/') {
        path.to_owned()
    } else {
        path.replace('\\', "/")
    };
    path.strip_prefix("./").unwrap_or(&path).to_owned()
}

/// The error of a file that a person has to correct.
pub(super) fn bad(message: String) -> Error {
    Error::new(Code::InvalidRequest, message)
}
