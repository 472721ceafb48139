//! Checking a catalog: everything that a program which reads it may rely on.

mod catalog;
pub(crate) mod cells;
mod others;

pub use cells::is_rights_statement;

use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

use crate::finding::{Finding, Severity};
use crate::reader::{failed, least_columns, line_of, open};
use crate::record::{DerivativeRecord, FailureRecord, Record};
use crate::row::Row;

/// How thoroughly to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidateOptions {
    /// What to check of the derivatives on the disk.
    pub files: FileCheck,
    /// How many findings to return at most; a last one says how many more there are.
    pub limit: usize,
}

/// What to check of the files that the tables name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileCheck {
    /// Nothing: only the tables are at hand.
    None,
    /// That they are there.
    Exist,
    /// That they have the digest on record; reads every derivative.
    Digest,
}

impl Default for ValidateOptions {
    fn default() -> Self {
        Self {
            files: FileCheck::Exist,
            limit: 1000,
        }
    }
}

/// Checks the tables in an output root, or a `catalog.csv` and what lies beside it.
///
/// Returns what was found in the order of the tables and their lines, nothing when all is well.
/// In an output root all three tables must be there; beside a catalog that is named itself, those
/// that are there are checked.
///
/// Fails only when the catalog cannot be read at all.
pub fn validate(path: &Path, options: &ValidateOptions) -> Result<Vec<Finding>> {
    let is_root = path.is_dir();
    let root = if is_root {
        path.to_owned()
    } else {
        path.parent().unwrap_or(Path::new("")).to_owned()
    };
    let catalog = if is_root {
        root.join(Record::FILE)
    } else {
        path.to_owned()
    };
    let mut findings = Findings::new(options.limit);
    let known = catalog::check(&catalog, &mut findings)?;
    let derivatives = table::<DerivativeRecord>(&root, is_root, &mut findings);
    if let Some(table) = derivatives {
        others::derivatives(&table, &root, options.files, &known, &mut findings)?;
    }
    if let Some(table) = table::<FailureRecord>(&root, is_root, &mut findings) {
        others::failures(&table, &known, &mut findings)?;
    }
    Ok(findings.finish())
}

/// The path of another table, when it is there; in an output root it must be.
fn table<T: Row>(root: &Path, required: bool, findings: &mut Findings) -> Option<PathBuf> {
    let path = root.join(T::FILE);
    if path.is_file() {
        return Some(path);
    }
    if required {
        findings.add(Finding::new(Severity::Error, T::FILE, 0, "is missing"));
    }
    None
}

/// Findings, up to a limit.
struct Findings {
    list: Vec<Finding>,
    limit: usize,
    more: usize,
}

impl Findings {
    fn new(limit: usize) -> Self {
        Self {
            list: Vec::new(),
            limit,
            more: 0,
        }
    }

    fn add(&mut self, finding: Finding) {
        if self.list.len() < self.limit {
            self.list.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn error(&mut self, file: &str, line: u32, column: &str, message: impl Into<String>) {
        self.add(Finding::new(Severity::Error, file, line, message).in_column(column));
    }

    fn warning(&mut self, file: &str, line: u32, column: &str, message: impl Into<String>) {
        self.add(Finding::new(Severity::Warning, file, line, message).in_column(column));
    }

    fn finish(mut self) -> Vec<Finding> {
        if self.more > 0 {
            let message = format!("there are {} more findings", self.more);
            self.list
                .push(Finding::new(Severity::Error, Record::FILE, 0, message));
        }
        self.list
    }
}

/// Reads a table cell by cell, checks each against its column, and hands on the rows that could
/// be read, with their lines.
fn each_row<T: Row>(
    path: &Path,
    findings: &mut Findings,
    mut visit: impl FnMut(u32, T, &mut Findings) -> Result<()>,
) -> Result<()> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(open(path)?);
    let bad_csv = |error| failed(error, path);
    let header = reader.headers().map_err(bad_csv)?.clone();
    let width = header.len();
    if !check_header::<T>(&header, findings) {
        return Ok(());
    }
    let mut cells = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut cells).map_err(bad_csv) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) if error.code() == Code::Corrupt => {
                findings.add(from_error::<T>(&error));
                continue;
            }
            Err(error) => return Err(error),
        }
        let line = line_of(&cells);
        if cells.len() != width {
            let message = format!("has {} cells where the header has {width}", cells.len());
            findings.add(Finding::new(Severity::Error, T::FILE, line, message));
            continue;
        }
        let mut row = T::default();
        if check_cells(&mut row, &cells, line, findings) {
            visit(line, row, findings)?;
        }
    }
}

/// Whether the rest of the table can be read by its columns.
fn check_header<T: Row>(header: &csv::StringRecord, findings: &mut Findings) -> bool {
    let mut fits = true;
    for (i, column) in T::COLUMNS.iter().enumerate() {
        let message = match header.get(i) {
            Some(found) if found == column.name => continue,
            Some(found) => format!("column {} is `{found}`, not `{}`", i + 1, column.name),
            None if i >= least_columns::<T>() => continue,
            None => format!("column {} is missing: `{}`", i + 1, column.name),
        };
        fits = false;
        findings.add(Finding::new(Severity::Error, T::FILE, 1, message));
        // One column too many or too few shifts all that follow; the first says it.
        break;
    }
    for (i, extra) in header.iter().enumerate().skip(T::COLUMNS.len()) {
        let message = format!("column {} is not one of this version: `{extra}`", i + 1);
        findings.add(Finding::new(Severity::Warning, T::FILE, 1, message));
    }
    fits
}

/// Fills the row; `false` when a cell could not be read, so that what follows from it is unknown.
fn check_cells<T: Row>(
    row: &mut T,
    texts: &csv::StringRecord,
    line: u32,
    findings: &mut Findings,
) -> bool {
    let mut readable = true;
    row.with_cells_mut(|cells| {
        for ((cell, column), text) in cells.iter_mut().zip(T::COLUMNS).zip(texts) {
            if let Some(remark) = cells::check(column, text) {
                let finding = Finding::new(remark.severity, T::FILE, line, remark.message);
                let finding = finding.in_column(column.name);
                findings.add(match remark.hint {
                    Some(hint) => finding.hint(hint),
                    None => finding,
                });
            }
            if cell.set(text, column).is_err() {
                readable = false;
            }
        }
    });
    readable
}

fn from_error<T: Row>(error: &Error) -> Finding {
    let line = error.place().line.unwrap_or(0);
    Finding::new(Severity::Error, T::FILE, line, error.message())
}
