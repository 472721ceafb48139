//! Reading tables back: row by row, with the line in every error.

use std::fs::File;
use std::io::{BufReader, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

use crate::record::{DerivativeRecord, FailureRecord, Item, Record};
use crate::row::Row;

/// A table being read row by row in bounded memory.
///
/// A byte order mark and `\r\n` line ends are accepted. The header must have the table's columns
/// in their order; a table of an earlier version may lack the last ones, one of a later version
/// may have more, which [`TableReader::unknown_columns`] names and rows do not hold.
pub struct TableReader<T, R = BufReader<File>> {
    path: PathBuf,
    reader: csv::Reader<R>,
    cells: csv::StringRecord,
    unknown: Vec<String>,
    row: PhantomData<fn() -> T>,
}

impl<T: Row> TableReader<T> {
    /// Opens the table at `path` and reads its header.
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(BufReader::with_capacity(1 << 17, open(path)?), path)
    }

    /// Opens the table in the output root, under its usual name.
    pub fn open_in(root: &Path) -> Result<Self> {
        Self::open(&root.join(T::FILE))
    }
}

impl<T: Row, R: Read> TableReader<T, R> {
    /// Reads a table from `source`; `path` is named in errors.
    pub fn new(source: R, path: &Path) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().from_reader(source);
        let header = reader.headers().map_err(|error| failed(error, path))?;
        let unknown = check_header::<T>(header, path)?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            cells: csv::StringRecord::new(),
            unknown,
            row: PhantomData,
        })
    }

    /// Reads the next row into `row`, whose memory is used again; `false` at the end.
    pub fn read(&mut self, row: &mut T) -> Result<bool> {
        let more = self.reader.read_record(&mut self.cells);
        if !more.map_err(|error| failed(error, &self.path))? {
            return Ok(false);
        }
        let texts = &self.cells;
        row.with_cells_mut(|cells| {
            for (i, (cell, column)) in cells.iter_mut().zip(T::COLUMNS).enumerate() {
                // What an earlier version lacks is empty, and empty statuses are the default.
                let Some(text) = texts.get(i) else {
                    continue;
                };
                cell.set(text, column).map_err(|expected| {
                    let message = format!("column `{}` does not hold {expected}", column.name);
                    Error::new(Code::Corrupt, message)
                })?;
            }
            Ok(())
        })
        .map_err(|error: Error| error.at_path(&self.path).on_line(line_of(texts)))?;
        Ok(true)
    }

    /// The line on which the last row began, counted from 1.
    pub fn line(&self) -> u32 {
        line_of(&self.cells)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Columns that this version does not know.
    pub fn unknown_columns(&self) -> &[String] {
        &self.unknown
    }
}

impl<T: Row, R: Read> Iterator for TableReader<T, R> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let mut row = T::default();
        match self.read(&mut row) {
            Ok(true) => Some(Ok(row)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The three tables of an output root read together, file by file.
///
/// Fails when a table is not sorted by path, or tells of a file that the catalog does not have.
pub struct ItemReader {
    records: Peeked<Record>,
    derivatives: Peeked<DerivativeRecord>,
    failures: Peeked<FailureRecord>,
    last: String,
}

impl ItemReader {
    /// Opens `catalog.csv`, `derivatives.csv` and `failed.csv` in an output root.
    pub fn open(root: &Path) -> Result<Self> {
        Ok(Self {
            records: Peeked::open(root)?,
            derivatives: Peeked::open(root)?,
            failures: Peeked::open(root)?,
            last: String::new(),
        })
    }

    /// Columns of the catalog that this version does not know.
    pub fn unknown_columns(&self) -> &[String] {
        self.records.reader.unknown_columns()
    }

    /// The next file; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Item>> {
        let Some(record) = self.records.take()? else {
            self.derivatives.expect_end()?;
            self.failures.expect_end()?;
            return Ok(None);
        };
        let path = record.filename.clone();
        if record.page().is_some() || path <= self.last {
            return Err(self.records.error(format!(
                "`{path}` is out of order in a table that is sorted by path"
            )));
        }
        let item = Item {
            record,
            pages: self.records.take_of(&path)?,
            derivatives: self.derivatives.take_of(&path)?,
            failures: self.failures.take_of(&path)?,
        };
        self.last = path;
        Ok(Some(item))
    }
}

impl Iterator for ItemReader {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Result<Item>> {
        self.read().transpose()
    }
}

/// The path that a row is about.
trait OfFile: Row {
    fn filename(&self) -> &str;
}

macro_rules! of_file {
    ($($row:ty),*) => {$(
        impl OfFile for $row {
            fn filename(&self) -> &str {
                &self.filename
            }
        }
    )*};
}

of_file!(Record, DerivativeRecord, FailureRecord);

struct Peeked<T> {
    reader: TableReader<T>,
    next: Option<T>,
}

impl<T: OfFile> Peeked<T> {
    fn open(root: &Path) -> Result<Self> {
        let mut reader = TableReader::open_in(root)?;
        let next = reader.next().transpose()?;
        Ok(Self { reader, next })
    }

    fn take(&mut self) -> Result<Option<T>> {
        let row = self.next.take();
        if row.is_some() {
            self.next = self.reader.next().transpose()?;
        }
        Ok(row)
    }

    fn take_of(&mut self, path: &str) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        while let Some(row) = &self.next {
            match row.filename() {
                found if found == path => rows.extend(self.take()?),
                found if found < path => {
                    let message = format!("`{found}` is out of order, or not in the catalog");
                    return Err(self.error(message));
                }
                _ => break,
            }
        }
        Ok(rows)
    }

    fn expect_end(&self) -> Result<()> {
        let Some(row) = &self.next else {
            return Ok(());
        };
        Err(self.error(format!("`{}` is not in the catalog", row.filename())))
    }

    fn error(&self, message: String) -> Error {
        Error::new(Code::Corrupt, message).at_path(self.reader.path())
    }
}

/// Opens a file of the catalog to be read.
pub(crate) fn open(path: &Path) -> Result<File> {
    File::open(path)
        .map_err(|error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path))
}

/// The error of the CSV layer, with its line.
pub(crate) fn failed(error: csv::Error, path: &Path) -> Error {
    let line = error.position().map(|position| position.line() as u32);
    let error = match error.into_kind() {
        csv::ErrorKind::Io(error) => Error::from_io(error, Code::Unreadable, "cannot be read"),
        csv::ErrorKind::Utf8 { err, .. } => {
            let message = format!("cell {} is not UTF-8", err.field() + 1);
            Error::new(Code::Corrupt, message)
        }
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            let message = format!("has {len} cells where the header has {expected_len}");
            Error::new(Code::Corrupt, message)
        }
        kind => Error::new(Code::Corrupt, format!("is not CSV: {kind:?}")),
    };
    let error = error.at_path(path);
    match line {
        Some(line) => error.on_line(line),
        None => error,
    }
}

/// The line on which a row began.
pub(crate) fn line_of(cells: &csv::StringRecord) -> u32 {
    cells
        .position()
        .map_or(0, |position| position.line() as u32)
}

/// The number of columns that every version of a table has.
pub(crate) fn least_columns<T: Row>() -> usize {
    match T::FILE {
        Record::FILE => crate::record::FIXED_COLUMNS,
        DerivativeRecord::FILE => crate::record::FIXED_DERIVATIVE_COLUMNS,
        _ => T::COLUMNS.len(),
    }
}

fn check_header<T: Row>(header: &csv::StringRecord, path: &Path) -> Result<Vec<String>> {
    let columns = T::COLUMNS.iter().map(|column| column.name);
    for (i, (found, expected)) in header.iter().zip(columns).enumerate() {
        if found != expected {
            let message = format!("column {} is `{found}`, not `{expected}`", i + 1);
            return Err(Error::new(Code::Corrupt, message).at_path(path).on_line(1));
        }
    }
    if header.len() < least_columns::<T>() {
        let (found, least) = (header.len(), least_columns::<T>());
        let message = format!("has {found} columns where {} has {least}", T::FILE);
        return Err(Error::new(Code::Corrupt, message).at_path(path).on_line(1));
    }
    let unknown = header.iter().skip(T::COLUMNS.len());
    Ok(unknown.map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::{put_header, put_row};

    fn failures(text: &str) -> Result<Vec<FailureRecord>> {
        TableReader::new(text.as_bytes(), Path::new("failed.csv"))?.collect()
    }

    fn header() -> String {
        let mut text = String::new();
        put_header::<FailureRecord>(&mut text);
        text
    }

    #[test]
    fn marks_and_line_ends_of_other_systems_are_accepted() {
        let mut text = header();
        let row = FailureRecord {
            filename: "ä\n\".tif".into(),
            stage: "decode".into(),
            error_code: Some(Code::Corrupt),
            ..Default::default()
        };
        put_row(&row, &mut text);
        assert_eq!(failures(&text).unwrap(), [row]);
        let foreign = format!(
            "\u{feff}{}\r\na,,s,panic,m,true,,,,,\r\n",
            header().trim_end()
        );
        assert_eq!(failures(&foreign).unwrap()[0].error_code, Some(Code::Panic));
    }

    #[test]
    fn errors_name_the_line() {
        let row = "a,,s,panic,m,true,,,,,\n";
        for (rest, expected) in [
            ("a,b\n", "line 3: has 2 cells where the header has 11"),
            (
                "a,,s,nonsense,m,true,,,,,\n",
                "line 3: column `error_code` does not hold a known error code",
            ),
            (
                "a,-1,s,panic,m,true,,,,,\n",
                "line 3: column `page` does not hold a whole number in range",
            ),
        ] {
            let error = failures(&format!("{}{row}{rest}", header())).unwrap_err();
            assert_eq!(error.to_string(), format!("failed.csv: {expected}"));
            assert_eq!(error.code(), Code::Corrupt);
        }
    }

    #[test]
    fn headers_follow_the_prefix_rule() {
        let mut newer = header();
        newer.insert_str(newer.len() - 1, ",extra");
        let reader =
            TableReader::<FailureRecord, _>::new(newer.as_bytes(), Path::new("f")).unwrap();
        assert_eq!(reader.unknown_columns(), ["extra"]);
        for bad in ["", "filename\n", "page,filename\n"] {
            assert!(failures(bad).is_err(), "{bad:?}");
        }
        assert!(failures(&header().replacen("stage", "Stage", 1)).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        let mut bytes = header().into_bytes();
        bytes.extend(b"a\xff,,s,panic,m,true,,,,,\n");
        let mut reader = TableReader::<FailureRecord, _>::new(&bytes[..], Path::new("f")).unwrap();
        let error = reader.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "f: line 2: cell 1 is not UTF-8");
    }
}
