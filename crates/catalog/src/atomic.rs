//! Files that appear under their name whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

/// A file being written under a temporary name in its own folder.
///
/// Dropping it removes the temporary file; [`AtomicFile::commit`] syncs it and gives it its name.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    writer: BufWriter<File>,
    renamed: bool,
}

impl AtomicFile {
    /// Starts writing; the folder must exist. What had the name before stays until the commit.
    pub fn create(target: &Path) -> Result<Self> {
        let name = target.file_name().ok_or_else(|| {
            let message = format!("`{}` is not the name of a file", target.display());
            Error::new(Code::InvalidRequest, message)
        })?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".part-{}", std::process::id()));
        let temporary = target.with_file_name(temporary);
        let file = File::create(&temporary).map_err(|error| failed(error, target))?;
        Ok(Self {
            target: target.to_owned(),
            temporary,
            writer: BufWriter::with_capacity(1 << 17, file),
            renamed: false,
        })
    }

    /// Takes more bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer
            .write_all(bytes)
            .map_err(|error| failed(error, &self.target))
    }

    /// Brings everything to the disk, still under the temporary name, so that renaming several
    /// files one after the other takes no time.
    pub fn sync(&mut self) -> Result<()> {
        self.writer
            .flush()
            .and_then(|()| self.writer.get_ref().sync_all())
            .map_err(|error| failed(error, &self.target))
    }

    /// Gives the file its name, in the place of what had it before.
    pub fn commit(self) -> Result<()> {
        let folder = folder_of(&self.target).to_owned();
        self.rename()?;
        sync_folder(&folder)
    }

    /// Like [`AtomicFile::commit`], but leaves it to the caller to call [`sync_folder`] once for
    /// many files: after a crash a file may be missing, never be half there.
    pub(crate) fn rename(mut self) -> Result<()> {
        self.sync()?;
        fs::rename(&self.temporary, &self.target).map_err(|error| failed(error, &self.target))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing can be done about a temporary file that cannot be removed.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a whole file in one go.
pub fn write_file(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(target)?;
    file.write(bytes)?;
    file.commit()
}

/// Makes the renames in a folder durable.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| failed(error, folder))
}

/// Folders cannot be opened for syncing here; the file system orders renames itself.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(path);
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

fn failed(error: std::io::Error, target: &Path) -> Error {
    Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_old_content_stays_until_the_commit() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        write_file(&target, b"old").unwrap();
        let mut file = AtomicFile::create(&target).unwrap();
        file.write(b"new").unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn an_abandoned_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(AtomicFile::create(&folder.path().join("a.csv")).unwrap());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_missing_folder_is_an_error_with_the_path() {
        let error = AtomicFile::create(Path::new("/nowhere/at/all.csv")).unwrap_err();
        assert_eq!(error.code(), Code::WriteFailed);
        assert!(error.to_string().starts_with("/nowhere/at/all.csv: "));
    }

    #[test]
    fn a_failed_rename_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("taken");
        fs::create_dir(&target).unwrap();
        assert!(write_file(&target, b"x").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }
}
