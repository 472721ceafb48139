//! The table of an export: CSV that importers and spreadsheet programs read alike.

use std::path::Path;

use fonds_core::Result;

use super::Exported;
use super::columns::{Field, Key, Source, column_index};
use crate::atomic::AtomicFile;
use crate::formula::escape_formula;
use crate::record::Record;
use crate::row::{Cells, Row};

/// A table being written.
pub(super) struct Sheet<'a> {
    file: AtomicFile,
    fields: &'a [Field],
    widths: &'a [usize],
    keep_formulas: bool,
    line: String,
    escaped: u64,
}

impl<'a> Sheet<'a> {
    /// Starts a table with its header; `widths` says how many columns each field takes.
    pub(super) fn create(
        path: &Path,
        fields: &'a [Field],
        widths: &'a [usize],
        keep_formulas: bool,
    ) -> Result<Self> {
        let mut sheet = Self {
            file: AtomicFile::create(path)?,
            fields,
            widths,
            keep_formulas,
            line: String::new(),
            escaped: 0,
        };
        for (field, width) in fields.iter().zip(widths) {
            for _ in 0..*width {
                sheet.cell(field.header);
            }
        }
        sheet.end_line()?;
        Ok(sheet)
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &Exported<'_>) -> Result<()> {
        for (field, width) in self.fields.iter().zip(self.widths) {
            let text = text_of(field, row);
            if !field.repeated {
                self.cell(&text);
                continue;
            }
            let mut values = values(&text);
            for _ in 0..*width {
                self.cell(values.next().unwrap_or_default());
            }
        }
        self.end_line()
    }

    /// Gives the table its name; says how many cells were escaped.
    pub(super) fn commit(self) -> Result<u64> {
        self.file.commit()?;
        Ok(self.escaped)
    }

    fn cell(&mut self, text: &str) {
        let escaped = escape_formula(text);
        let text = if self.keep_formulas {
            text
        } else {
            self.escaped += u64::from(escaped.len() != text.len());
            &escaped
        };
        put_cell(text, &mut self.line);
        self.line.push(',');
    }

    fn end_line(&mut self) -> Result<()> {
        self.line.pop();
        self.line.push('\n');
        self.file.write(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

/// The text of a field's cell, before it is escaped and quoted.
fn text_of(field: &Field, row: &Exported<'_>) -> String {
    match &field.source {
        Source::Key(Key::Id) => row.record.objectid.clone(),
        Source::Key(Key::Path(prefix)) => format!("{prefix}{}", row.record.filename),
        Source::Column { column, put, .. } => put(&cell_text(row.record, column_index(column))),
        Source::Made(make) => make(row),
    }
}

/// The text of a cell of the catalog.
pub(crate) fn cell_text(record: &Record, column: usize) -> String {
    let mut text = String::new();
    record.with_cells(|cells| cells[column].put(&Record::COLUMNS[column], &mut text));
    text
}

/// The values that are joined in a cell.
pub(super) fn values(text: &str) -> impl Iterator<Item = &str> {
    text.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// Appends a cell, quoted where RFC 4180 asks for it, and where a program that takes `;` or a tab
/// for the separator would otherwise split the cell and evaluate its second half.
fn put_cell(text: &str, out: &mut String) {
    let special = |byte: u8| matches!(byte, b',' | b'"' | b'\n' | b'\r' | b';' | b'\t');
    if text.bytes().any(special) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}
