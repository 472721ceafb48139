//! Bringing the files that parts wrote into the merged output root.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, RelPath, Result};

use crate::atomic::{AtomicFile, sync_folder};
use crate::provenance::SIDECAR_SUFFIX;
use crate::reader::ItemReader;
use crate::record::{Item, Record};

/// How a file gets into the merged root; the part keeps it in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopt {
    /// A second name for the same file; copied where the file system has no hard links, or the
    /// roots lie on different ones.
    Link,
    /// A copy.
    Copy,
}

/// What became of the files of the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdoptReport {
    /// Files that got a second name.
    pub linked: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Files that a table names and the part does not have, by part and path.
    pub missing: Vec<PathBuf>,
}

/// Brings derivatives, their sidecars, small pictures and thumbnails of all parts into `out`,
/// under the paths that they have in the parts.
///
/// Each file appears under its name whole; calling it again brings everything up to date. Fails
/// when a table names a path outside its root.
pub fn adopt_files(parts: &[PathBuf], out: &Path, how: Adopt) -> Result<AdoptReport> {
    let mut report = AdoptReport::default();
    let mut folders = BTreeSet::new();
    for part in parts {
        let mut items = ItemReader::open(part)?;
        while let Some(item) = items.read()? {
            for file in files(&item) {
                let path = inside(&file).map_err(|error| error.at_path(part))?;
                let target = out.join(&path);
                if adopt(&part.join(&path), &target, how, &mut report)? {
                    folders.extend(target.parent().map(Path::to_owned));
                }
            }
        }
    }
    for folder in &folders {
        sync_folder(folder)?;
    }
    Ok(report)
}

/// The files in the output root that were written for an item.
fn files(item: &Item) -> Vec<String> {
    let mut files = Vec::new();
    for derivative in &item.derivatives {
        files.push(derivative.path.clone());
        // Small pictures and thumbnails for a web site are listed, too, but altered by nobody.
        if !derivative.path.starts_with("objects/") {
            files.push(format!("{}{SIDECAR_SUFFIX}", derivative.path));
        }
    }
    for record in std::iter::once(&item.record).chain(&item.pages) {
        files.extend(site_files(record));
    }
    files.sort();
    files.dedup();
    files
}

/// The pictures for the web site that a run writes, as opposed to URLs and originals.
fn site_files(record: &Record) -> impl Iterator<Item = String> {
    let locations = [&record.image_small, &record.image_thumb];
    locations.into_iter().filter_map(|location| {
        let path = location.strip_prefix('/')?;
        path.starts_with("objects/").then(|| path.to_owned())
    })
}

fn inside(path: &str) -> Result<PathBuf> {
    RelPath::new(Path::new(path)).map(|path| path.to_path())
}

/// Says whether there was something to adopt.
fn adopt(source: &Path, target: &Path, how: Adopt, report: &mut AdoptReport) -> Result<bool> {
    let is_file = fs::symlink_metadata(source).is_ok_and(|found| found.is_file());
    if !is_file {
        report.missing.push(source.to_owned());
        return Ok(false);
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(|error| unwritten(error, folder))?;
    }
    if how == Adopt::Link && link(source, target) {
        report.linked += 1;
    } else {
        copy(source, target)?;
        report.copied += 1;
    }
    Ok(true)
}

/// A second name for `source`, replacing what had the name; `false` when it cannot be had.
fn link(source: &Path, target: &Path) -> bool {
    let Some(name) = target.file_name() else {
        return false;
    };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".part-{}", std::process::id()));
    let temporary = target.with_file_name(temporary);
    let linked =
        fs::hard_link(source, &temporary).is_ok() && fs::rename(&temporary, target).is_ok();
    // Renaming one name of a file to another of the same file leaves both names in place.
    let _ = fs::remove_file(&temporary);
    linked
}

fn copy(source: &Path, target: &Path) -> Result<()> {
    let unread = |error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(source);
    let mut reader = File::open(source).map_err(unread)?;
    let mut writer = AtomicFile::create(target)?;
    let mut chunk = vec![0; 1 << 17];
    loop {
        match reader.read(&mut chunk).map_err(unread)? {
            0 => return writer.rename(),
            n => writer.write(&chunk[..n])?,
        }
    }
}

fn unwritten(error: std::io::Error, path: &Path) -> Error {
    Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
}
