//! Checking `derivatives.csv` and `failed.csv` against the catalog, and the files on the disk.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use fonds_core::{Code, Digest, Error, Hasher, Result};

use super::catalog::Known;
use super::{FileCheck, Findings, each_row};
use crate::record::{DerivativeRecord, FailureRecord, Record};
use crate::row::Row;
use crate::status::Status;

/// Every derivative belongs to a row of the catalog, is there once, and is on the disk.
pub(super) fn derivatives(
    path: &Path,
    root: &Path,
    files: FileCheck,
    known: &Known,
    findings: &mut Findings,
) -> Result<()> {
    const FILE: &str = DerivativeRecord::FILE;
    let mut seen: HashMap<String, (u32, Option<Digest>)> = HashMap::new();
    each_row(path, findings, |line, row: DerivativeRecord, findings| {
        if !known.has(&row.filename, row.page) {
            findings.error(
                FILE,
                line,
                "filename",
                not_in_catalog(&row.filename, row.page),
            );
        }
        if !matches!(row.status, Status::Ok | Status::Warning) {
            findings.error(FILE, line, "status", "is neither `ok` nor `warning`");
        }
        if is_inside(&row.path)
            && let Some(message) = on_disk(&root.join(&row.path), row.sha256, files)?
        {
            findings.error(FILE, line, "path", format!("`{}` {message}", row.path));
        }
        if let Some((first, _)) = seen.insert(row.path, (line, row.sha256)) {
            let message = format!("is there before, on line {first}");
            findings.error(FILE, line, "path", message);
        }
        Ok(())
    })?;
    let mut rows: Vec<_> = known.rows.values().collect();
    rows.sort_by_key(|row| row.line);
    for row in rows {
        let Some((path, digest)) = &row.derivative else {
            continue;
        };
        let message = match seen.get(path) {
            None => format!("`{path}` is not in {FILE}"),
            Some((line, other)) if other != digest => {
                format!("`{path}` has another digest in {FILE}, line {line}")
            }
            Some(_) => continue,
        };
        findings.error(Record::FILE, row.line, "derivative_path", message);
    }
    Ok(())
}

/// Every failure belongs to a row of the catalog, and every failed file has one.
pub(super) fn failures(path: &Path, known: &Known, findings: &mut Findings) -> Result<()> {
    const FILE: &str = FailureRecord::FILE;
    let mut failed: HashSet<String> = HashSet::new();
    each_row(path, findings, |line, row: FailureRecord, findings| {
        let file = known.rows.get(&(row.filename.clone(), 0));
        match file {
            None => {
                let message = not_in_catalog(&row.filename, None);
                findings.error(FILE, line, "filename", message);
            }
            Some(file) if matches!(file.status, Status::Ok | Status::Unchanged) => {
                let message = format!("the catalog calls this file `{}`", file.status.as_str());
                findings.error(FILE, line, "filename", message);
            }
            Some(_) => {}
        }
        if let Some(code) = row.error_code
            && code.is_retryable() != row.retryable
        {
            let message = format!("is not what `{code}` means");
            findings.warning(FILE, line, "retryable", message);
        }
        failed.insert(row.filename);
        Ok(())
    })?;
    let rows = known
        .rows
        .iter()
        .filter(|((_, page), row)| *page == 0 && row.status == Status::Failed);
    let mut missing: Vec<_> = rows
        .filter(|((filename, _), _)| !failed.contains(filename))
        .map(|(_, row)| row.line)
        .collect();
    missing.sort_unstable();
    for line in missing {
        findings.error(
            Record::FILE,
            line,
            "status",
            format!("is `failed`, and {FILE} has no line"),
        );
    }
    Ok(())
}

impl Known {
    /// Whether the catalog has the page, or the file when no page is named.
    fn has(&self, filename: &str, page: Option<u32>) -> bool {
        let key = (filename.to_owned(), page.unwrap_or(0));
        self.rows.contains_key(&key)
    }
}

fn not_in_catalog(filename: &str, page: Option<u32>) -> String {
    match page {
        Some(page) => format!("page {page} of `{filename}` is not in the catalog"),
        None => format!("`{filename}` is not in the catalog"),
    }
}

/// Only paths inside the root are looked at; others have their finding already.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

fn on_disk(path: &Path, digest: Option<Digest>, check: FileCheck) -> Result<Option<String>> {
    if check == FileCheck::None {
        return Ok(None);
    }
    if !path.is_file() {
        return Ok(Some("is not on the disk".to_owned()));
    }
    if check == FileCheck::Exist {
        return Ok(None);
    }
    let found = digest_file(path)?;
    let changed = digest.is_some_and(|digest| digest != found);
    Ok(changed.then(|| format!("has the digest {found} on the disk")))
}

fn digest_file(path: &Path) -> Result<Digest> {
    let unread = |error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path);
    let mut file = File::open(path).map_err(unread)?;
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; 1 << 17];
    loop {
        match file.read(&mut chunk).map_err(unread)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&chunk[..n]),
        }
    }
}
