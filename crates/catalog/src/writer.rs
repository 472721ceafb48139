//! Writing tables as CSV: UTF-8 without a byte order mark, line feeds, RFC 4180 quoting.

use std::path::Path;

use fonds_core::Result;

use crate::atomic::AtomicFile;
use crate::row::Row;

/// Appends the header line of a table.
pub fn put_header<T: Row>(out: &mut String) {
    for (i, column) in T::COLUMNS.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(column.name);
    }
    out.push('\n');
}

/// Appends one row with its line feed.
///
/// Cells are quoted only where they must be; equal rows are equal bytes.
pub fn put_row<T: Row>(row: &T, out: &mut String) {
    row.with_cells(|cells| {
        for (i, (cell, column)) in cells.iter().zip(T::COLUMNS).enumerate() {
            if i > 0 {
                out.push(',');
            }
            let start = out.len();
            cell.put(column, out);
            quote_from(start, out);
        }
    });
    out.push('\n');
}

/// Appends cells as a line of CSV.
pub fn put_csv_line<T: AsRef<str>>(cells: &[T], out: &mut String) {
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        let start = out.len();
        out.push_str(cell.as_ref());
        quote_from(start, out);
    }
    out.push('\n');
}

/// A table being written row by row in bounded memory, under a temporary name until it is
/// committed.
#[derive(Debug)]
pub struct TableWriter {
    file: AtomicFile,
    line: String,
}

impl TableWriter {
    /// Starts a table of rows `T` at `path` with its header.
    pub fn create<T: Row>(path: &Path) -> Result<Self> {
        let mut writer = Self {
            file: AtomicFile::create(path)?,
            line: String::new(),
        };
        put_header::<T>(&mut writer.line);
        writer.file.write(writer.line.as_bytes())?;
        Ok(writer)
    }

    /// Adds a row.
    pub fn push<T: Row>(&mut self, row: &T) -> Result<()> {
        self.line.clear();
        put_row(row, &mut self.line);
        self.file.write(self.line.as_bytes())
    }

    /// Brings the table to the disk, still under its temporary name.
    pub fn sync(&mut self) -> Result<()> {
        self.file.sync()
    }

    /// Gives the table its name.
    pub fn commit(self) -> Result<()> {
        self.file.commit()
    }
}

/// Quotes what was appended since `start`, if RFC 4180 asks for it.
pub(crate) fn quote_from(start: usize, out: &mut String) {
    let special = |byte: u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !out.as_bytes()[start..].iter().any(|byte| special(*byte)) {
        return;
    }
    let cell = out[start..].replace('"', "\"\"");
    out.truncate(start);
    out.push('"');
    out.push_str(&cell);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FailureRecord, Record};

    #[test]
    fn an_empty_table_is_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failed.csv");
        let table = TableWriter::create::<FailureRecord>(&path).unwrap();
        assert!(!path.exists());
        table.commit().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("filename,page,stage,") && text.ends_with(",last_attempt\n"));
    }

    #[test]
    fn quoting() {
        let mut row = FailureRecord {
            filename: "a,\"b\"\r\n.tif".into(),
            error_message: "two\nlines".into(),
            ..Default::default()
        };
        row.page = Some(3);
        let mut line = String::new();
        put_row(&row, &mut line);
        assert_eq!(line, "\"a,\"\"b\"\"\r\n.tif\",3,,,two lines,false,,,,,\n");
    }

    #[test]
    fn the_header_has_as_many_cells_as_a_row() {
        let (mut header, mut row) = (String::new(), String::new());
        put_header::<Record>(&mut header);
        put_row(&Record::default(), &mut row);
        assert_eq!(header.matches(',').count(), row.matches(',').count());
    }
}
