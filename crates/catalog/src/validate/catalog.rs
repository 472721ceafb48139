//! Checking `catalog.csv`: its rows, and how they refer to each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use fonds_core::{Code, Digest, Result};

use super::{Findings, each_row};
use crate::record::Record;
use crate::row::Row;
use crate::status::{Reason, Status};

const FILE: &str = Record::FILE;

/// What the other tables are compared with.
#[derive(Default)]
pub(super) struct Known {
    /// Each row by its path and page (0 for the file itself).
    pub(super) rows: HashMap<(String, u32), KnownRow>,
    /// The line and digest of each id.
    ids: HashMap<String, (u32, Option<Digest>)>,
}

/// What is remembered of a row.
pub(super) struct KnownRow {
    pub(super) line: u32,
    pub(super) status: Status,
    pub(super) derivative: Option<(String, Option<Digest>)>,
}

/// References to other rows, to be looked up when all rows are known.
#[derive(Default)]
struct References {
    parents: Vec<(u32, String)>,
    pages: Vec<(u32, String)>,
    duplicates: Vec<(u32, String, Option<Digest>)>,
}

/// Checks the table and returns what it says.
pub(super) fn check(path: &Path, findings: &mut Findings) -> Result<Known> {
    let mut known = Known::default();
    let mut references = References::default();
    let mut last: Option<(String, u32)> = None;
    each_row(path, findings, |line, record: Record, findings| {
        let (filename, page) = record.sort_key();
        let key = (filename.to_owned(), page);
        if last.as_ref().is_some_and(|last| *last > key) {
            findings.warning(
                FILE,
                line,
                "filename",
                "is out of order: rows are sorted by path",
            );
        }
        references.note(line, &record);
        identity(line, &record, &key, &mut known, findings);
        state(line, &record, findings);
        values(line, &record, findings);
        last = Some(key);
        Ok(())
    })?;
    references.resolve(&known, findings);
    Ok(known)
}

/// Ids and paths are there once.
fn identity(
    line: u32,
    record: &Record,
    key: &(String, u32),
    known: &mut Known,
    findings: &mut Findings,
) {
    match known.ids.entry(record.objectid.clone()) {
        Entry::Vacant(place) => {
            place.insert((line, record.sha256));
        }
        Entry::Occupied(first) => {
            let message = format!(
                "`{}` is there before, on line {}",
                first.key(),
                first.get().0
            );
            findings.error(FILE, line, "objectid", message);
        }
    }
    if !record.pid.is_empty() && record.pid != record.objectid {
        findings.error(FILE, line, "pid", "is not the object id");
    }
    let derivative = (!record.derivative_path.is_empty())
        .then(|| (record.derivative_path.clone(), record.derivative_sha256));
    match known.rows.entry(key.clone()) {
        Entry::Vacant(place) => {
            place.insert(KnownRow {
                line,
                status: record.status,
                derivative,
            });
        }
        Entry::Occupied(first) => {
            let message = format!("is there before, on line {}", first.get().line);
            findings.error(FILE, line, "filename", message);
        }
    }
}

/// Status, code and what was written fit together.
fn state(line: u32, record: &Record, findings: &mut Findings) {
    let status = record.status;
    let wrong = match (status, record.error_code) {
        (Status::Ok | Status::Unchanged, Some(_)) => Some("has a code, though nothing went wrong"),
        (Status::Failed, None) => Some("does not say why the file failed"),
        (Status::Failed | Status::Warning, Some(reason)) if reason.is_skip() => {
            Some("is a reason to skip a file, not an error")
        }
        (Status::Skipped, None) => Some("does not say why the file was skipped"),
        (Status::Skipped, Some(Reason::Error(_))) => Some("is an error, not a reason to skip"),
        (Status::Cancelled, Some(reason)) if reason != Reason::Error(Code::Cancelled) => {
            Some("is not `cancelled`")
        }
        _ => None,
    };
    if let Some(message) = wrong {
        findings.error(FILE, line, "error_code", message);
    }
    let writes = matches!(status, Status::Ok | Status::Warning);
    if !writes && !record.derivative_path.is_empty() && record.page_count.is_none_or(|n| n < 2) {
        let message = format!("is there, though the status is `{}`", status.as_str());
        findings.error(FILE, line, "derivative_path", message);
    }
}

/// Cells that say nothing without each other.
fn values(line: u32, record: &Record, findings: &mut Findings) {
    if record.derivative_path.is_empty() != record.derivative_sha256.is_none() {
        let message = "path and digest of a derivative go together";
        findings.error(FILE, line, "derivative_sha256", message);
    }
    for (one, other, column) in [
        (
            record.latitude.is_some(),
            record.longitude.is_some(),
            "longitude",
        ),
        (
            record.image_width.is_some(),
            record.image_height.is_some(),
            "image_height",
        ),
        (record.ppi_x.is_some(), record.ppi_y.is_some(), "ppi_y"),
    ] {
        if one != other {
            findings.warning(
                FILE,
                line,
                column,
                "is half of a pair, and the other half is empty",
            );
        }
    }
}

impl References {
    fn note(&mut self, line: u32, record: &Record) {
        if !record.parentid.is_empty() {
            self.parents.push((line, record.parentid.clone()));
        }
        if record.page().is_some() {
            self.pages.push((line, record.filename.clone()));
        }
        if !record.duplicate_of.is_empty() {
            let duplicate = (line, record.duplicate_of.clone(), record.sha256);
            self.duplicates.push(duplicate);
        }
    }

    fn resolve(self, known: &Known, findings: &mut Findings) {
        for (line, parent) in self.parents {
            match known.ids.get(&parent) {
                None => {
                    let message = format!("there is no object `{parent}`");
                    findings.error(FILE, line, "parentid", message);
                }
                Some((own, _)) if *own == line => {
                    findings.error(FILE, line, "parentid", "is the object itself");
                }
                Some(_) => {}
            }
        }
        for (line, filename) in self.pages {
            if !known.rows.contains_key(&(filename, 0)) {
                findings.error(
                    FILE,
                    line,
                    "filename",
                    "is a page of a file that has no row",
                );
            }
        }
        for (line, id, digest) in self.duplicates {
            let message = match known.ids.get(&id) {
                None => format!("there is no object `{id}`"),
                Some((first, _)) if *first >= line => format!("`{id}` is not before this row"),
                Some((_, other)) if *other != digest || digest.is_none() => {
                    format!("`{id}` has another digest")
                }
                Some(_) => continue,
            };
            findings.error(FILE, line, "duplicate_of", message);
        }
    }
}
