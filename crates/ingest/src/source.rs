//! Taking a file into memory, read-only, with its digest, and noticing when it changes.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;
use std::time::UNIX_EPOCH;

use fonds_core::{Code, Digest, Error, Hasher, Limits, Result};

/// What a file system says of a file's content without reading it: when this is the same, a rerun
/// takes the content to be the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 at the last change of the content; negative before.
    pub mtime_ns: i64,
    /// The file's number in its file system; 0 where there is none.
    pub inode: u64,
}

impl Stamp {
    /// The stamp in what the file system returned.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime_ns: mtime_ns(metadata),
            inode: inode(metadata),
        }
    }
}

/// What a source was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The file system's word.
    pub stamp: Stamp,
    /// SHA-256 of all bytes.
    pub digest: Digest,
}

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// All of its bytes; at least one.
    pub bytes: Vec<u8>,
    /// What they were when they were read.
    pub fingerprint: Fingerprint,
}

/// How to prove, after the work, that a source was not changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum VerifySources {
    /// Read it again and compare the digests.
    Always,
    /// Compare size, time of change and inode.
    #[default]
    Stat,
}

/// Reads a file, with its digest taken on the way.
///
/// Fails with [`Code::Unreadable`] (missing, no permission, not a regular file),
/// [`Code::EmptyFile`], [`Code::LimitsExceeded`] before anything is read, [`Code::Oom`], and
/// [`Code::SourceChanged`] when somebody wrote to the file meanwhile.
pub fn read_source(path: &Path, limits: &Limits) -> Result<Source> {
    read(path, limits).map_err(|error| error.at_path(path))
}

/// The digest of a file that need not fit into memory, and its stamp.
///
/// Fails like [`read_source`], except that an empty file has a digest.
pub fn digest_file(path: &Path) -> Result<Fingerprint> {
    digest(path).map_err(|error| error.at_path(path))
}

/// Proves that a file still is what it was; fails with [`Code::SourceChanged`] when it is not and
/// with [`Code::Unreadable`] when it is gone.
pub fn verify_unchanged(path: &Path, before: &Fingerprint, how: VerifySources) -> Result<()> {
    let now = match how {
        VerifySources::Always => digest_file(path)?,
        VerifySources::Stat => Fingerprint {
            stamp: Stamp::of(&std::fs::metadata(path).map_err(|error| cannot_open(error, path))?),
            digest: before.digest,
        },
    };
    if now == *before {
        return Ok(());
    }
    Err(changed(before.stamp, now.stamp).at_path(path))
}

/// A piece that stays in the processor's cache between reading and digesting.
const PIECE: usize = 256 << 10;

fn read(path: &Path, limits: &Limits) -> Result<Source> {
    let (mut file, before) = open(path)?;
    check_size(before.size, limits)?;
    let mut bytes = room_for(before.size)?;
    let mut hasher = Hasher::new();
    loop {
        let start = bytes.len();
        // One byte more than the file had: a file that has grown is noticed, not followed.
        let left = (before.size + 1).saturating_sub(start as u64);
        let piece = left.min(PIECE as u64);
        (&mut file)
            .take(piece)
            .read_to_end(&mut bytes)
            .map_err(cannot_read)?;
        hasher.update(&bytes[start..]);
        if bytes.len() == start || bytes.len() as u64 > before.size {
            break;
        }
    }
    confirm(&file, before, bytes.len() as u64)?;
    let digest = hasher.finish();
    let fingerprint = Fingerprint {
        stamp: before,
        digest,
    };
    Ok(Source { bytes, fingerprint })
}

fn digest(path: &Path) -> Result<Fingerprint> {
    let (mut file, before) = open(path)?;
    let mut hasher = Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut total = 0_u64;
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&piece[..n]);
                total += n as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot_read(error)),
        }
    }
    confirm(&file, before, total)?;
    Ok(Fingerprint {
        stamp: before,
        digest: hasher.finish(),
    })
}

/// Opens a regular file. The kind is asked for first, because opening a pipe waits for its writer.
fn open(path: &Path) -> Result<(File, Stamp)> {
    let metadata = std::fs::metadata(path).map_err(|error| cannot_open(error, path))?;
    if !metadata.is_file() {
        return Err(Error::new(Code::Unreadable, "this is not a regular file"));
    }
    let file = File::open(path).map_err(|error| cannot_open(error, path))?;
    let metadata = file.metadata().map_err(cannot_read)?;
    Ok((file, Stamp::of(&metadata)))
}

fn check_size(size: u64, limits: &Limits) -> Result<()> {
    if size == 0 {
        return Err(Error::new(Code::EmptyFile, "the file is empty"));
    }
    if size > limits.max_file_bytes {
        let most = limits.max_file_bytes;
        let message = format!("{size} bytes exceed the {most} bytes that a file may have");
        return Err(Error::new(Code::LimitsExceeded, message)
            .hint("raise `max_file_mib` under [limits] if the file is to be trusted"));
    }
    Ok(())
}

fn room_for(size: u64) -> Result<Vec<u8>> {
    let oom = || Error::new(Code::Oom, format!("no memory for a file of {size} bytes"));
    let room = usize::try_from(size).ok().and_then(|n| n.checked_add(1));
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(room.ok_or_else(oom)?)
        .map_err(|error| oom().caused_by(error))?;
    Ok(bytes)
}

fn confirm(file: &File, before: Stamp, read: u64) -> Result<()> {
    let after = Stamp::of(&file.metadata().map_err(cannot_read)?);
    if after == before && read == before.size {
        return Ok(());
    }
    let size = if after == before { read } else { after.size };
    Err(changed(before, Stamp { size, ..after }))
}

fn changed(before: Stamp, after: Stamp) -> Error {
    let message = if before.size == after.size {
        "the file was changed while it was being processed".to_owned()
    } else {
        let (was, is) = (before.size, after.size);
        format!("the file was changed while it was being processed (from {was} to {is} bytes)")
    };
    Error::new(Code::SourceChanged, message).hint("run again once nobody writes to the archive")
}

fn cannot_open(error: std::io::Error, path: &Path) -> Error {
    Error::from_io(error, Code::Unreadable, "the file cannot be opened").at_path(path)
}

fn cannot_read(error: std::io::Error) -> Error {
    Error::from_io(error, Code::Unreadable, "the file cannot be read")
}

fn mtime_ns(metadata: &Metadata) -> i64 {
    let Ok(time) = metadata.modified() else {
        return 0;
    };
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn bytes_digest_and_stamp() {
        // Around the size of a piece, where a read could stop early.
        for len in [1, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let content: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            let (_folder, path) = file(&content);
            let source = read_source(&path, &Limits::DEFAULT).unwrap();
            assert_eq!(source.fingerprint.digest, Digest::of(&content), "{len}");
            assert_eq!(source.fingerprint.stamp.size, len as u64);
            assert!(source.bytes == content);
            assert_eq!(digest_file(&path).unwrap(), source.fingerprint);
        }
    }

    #[test]
    fn every_failure_has_its_code_and_the_path() {
        let (folder, path) = file(b"12345");
        let empty = folder.path().join("empty");
        std::fs::write(&empty, b"").unwrap();
        let small = Limits {
            max_file_bytes: 4,
            ..Limits::DEFAULT
        };
        let cases = [
            (path.clone(), small, Code::LimitsExceeded),
            (empty, Limits::DEFAULT, Code::EmptyFile),
            (
                folder.path().join("gone"),
                Limits::DEFAULT,
                Code::Unreadable,
            ),
            (folder.path().to_owned(), Limits::DEFAULT, Code::Unreadable),
        ];
        for (path, limits, code) in cases {
            let error = read_source(&path, &limits).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert_eq!(error.place().path.as_deref(), Some(&*path));
        }
    }

    #[test]
    fn a_change_of_content_is_noticed() {
        let (_folder, path) = file(b"12345");
        let before = read_source(&path, &Limits::DEFAULT).unwrap().fingerprint;
        for how in [VerifySources::Always, VerifySources::Stat] {
            verify_unchanged(&path, &before, how).unwrap();
        }
        std::fs::write(&path, b"123456").unwrap();
        for how in [VerifySources::Always, VerifySources::Stat] {
            let error = verify_unchanged(&path, &before, how).unwrap_err();
            assert_eq!(error.code(), Code::SourceChanged);
            assert!(error.message().contains("from 5 to 6 bytes"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = verify_unchanged(&path, &before, VerifySources::Stat).unwrap_err();
        assert_eq!(error.code(), Code::Unreadable);
    }

    #[test]
    fn a_change_that_hides_its_time_is_found_by_reading() {
        let (_folder, path) = file(b"12345");
        let before = read_source(&path, &Limits::DEFAULT).unwrap().fingerprint;
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, b"12346").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
        assert!(verify_unchanged(&path, &before, VerifySources::Stat).is_ok());
        assert!(verify_unchanged(&path, &before, VerifySources::Always).is_err());
    }

    #[test]
    fn times_before_1970() {
        let (_folder, path) = file(b"1");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH - Duration::from_millis(1500))
            .unwrap();
        let stamp = Stamp::of(&std::fs::metadata(&path).unwrap());
        assert_eq!(stamp.mtime_ns, -1_500_000_000);
    }
}
