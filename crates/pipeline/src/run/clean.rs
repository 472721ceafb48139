//! Removing what nobody needs any more: orphaned derivatives when asked, unfinished files always.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

use crate::run::journal::Journal;
use crate::run::lock::Lock;
use crate::run::state_folder;

/// What a cleaning found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanReport {
    /// Files below `derivatives/` and `objects/` that no row of the catalog names, relative to the
    /// output folder, sorted.
    pub orphans: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
}

/// Lists, and with `remove` deletes, the files below `derivatives/` and `objects/` of an output
/// folder that `derivatives.csv` does not name: made from sources that are gone or by settings
/// that no longer apply.
///
/// # Errors
/// When the folder holds no catalog, another run is writing to it, or a file cannot be removed.
pub fn clean(output: &Path, remove: bool) -> Result<CleanReport> {
    let state = state_folder(output);
    if !state.is_dir() {
        return Err(Error::new(Code::InvalidRequest, "is not the output of a fonds run")
            .at_path(output)
            .hint("give the folder that `fonds run` wrote to with --out"));
    }
    let _lock = Lock::take(&state)?;
    let wanted = wanted(output)?;
    let mut report = CleanReport::default();
    for folder in ["derivatives", "objects"] {
        for path in files(&output.join(folder))? {
            let relative = relative(output, &path);
            if wanted.contains(&relative) {
                continue;
            }
            let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            report.bytes += size;
            report.orphans.push(relative);
            if remove {
                remove_file(&path)?;
            }
        }
    }
    report.orphans.sort_unstable();
    Ok(report)
}

/// The files that the catalog names, with their sidecars.
fn wanted(output: &Path) -> Result<HashSet<String>> {
    let rows = fonds_catalog::read_derivatives(output)?;
    // Items that --only or a stop left without a row keep what the journal says they have.
    let journal = Journal::open(output)?;
    let catalogued: HashSet<String> = fonds_catalog::read_filenames(output)?.into_iter().collect();
    let mut wanted = HashSet::new();
    for row in rows {
        wanted.insert(super::names::sidecar(&row));
        wanted.insert(row);
    }
    let mut lines = Journal::reader_of(output)?;
    for item in journal.items().filter(|item| catalogued.contains(*item)) {
        if let Some(known) = journal.known(item).filter(|known| known.has_files) {
            wanted.extend(lines.line(known)?.files.into_iter().map(|mark| mark.path));
        }
    }
    Ok(wanted)
}

/// Removes temporary files below a folder; says how many there were.
pub(super) fn remove_parts(folder: &Path, prefix: &str) -> Result<u64> {
    let mut removed = 0;
    for path in files(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(prefix) {
            remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes the temporary files of tables directly in the output folder.
pub(super) fn remove_parts_here(output: &Path) -> Result<u64> {
    let Ok(entries) = std::fs::read_dir(output) else { return Ok(0) };
    let mut removed = 0;
    for entry in entries.filter_map(std::result::Result::ok) {
        let name = entry.file_name();
        if name.to_str().is_some_and(fonds_catalog::is_part_name) {
            remove_file(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                let error = Error::from_io(error, Code::Unreadable, "cannot be listed");
                return Err(error.at_path(&folder));
            }
        };
        for entry in entries.filter_map(std::result::Result::ok) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    Ok(found)
}

fn relative(output: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(output).unwrap_or(path);
    relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn remove_file(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "cannot be removed").at_path(path)
    })
}
