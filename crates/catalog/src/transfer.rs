//! Copying files with proof: what arrives has the digest on record.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Digest, Error, Hasher, RelPath, Result};

use crate::atomic::AtomicFile;
use crate::reader::open;

/// The path of a file of a folder by what a table says of it.
///
/// Fails when it leads out of the folder. Names that are not UTF-8 are found under the bytes that
/// stand in the catalog as `%XX`, when nothing lies under the text itself.
pub(crate) fn inside(folder: &Path, path: &str) -> Result<PathBuf> {
    let relative = RelPath::new(Path::new(path)).map_err(|error| error.at_path(folder))?;
    let plain = folder.join(relative.to_path());
    if plain.exists() {
        return Ok(plain);
    }
    Ok(exact_bytes(path).map_or(plain, |exact| folder.join(exact)))
}

/// The path with those of its parts as bytes whose `%XX` stand for bytes that are not UTF-8, as the
/// catalog spells such names; `None` when it has no such part.
#[cfg(unix)]
fn exact_bytes(path: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;

    let mut foreign = false;
    let parts = path.split('/').map(|part| {
        let bytes = decode(part);
        let is_text = std::str::from_utf8(&bytes).is_ok();
        foreign |= !is_text;
        if is_text {
            std::ffi::OsString::from(part)
        } else {
            std::ffi::OsString::from_vec(bytes)
        }
    });
    let exact: PathBuf = parts.collect();
    foreign.then_some(exact)
}

/// The bytes that `%XX` stand for.
#[cfg(unix)]
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

/// Names are UTF-16 here, and always in the catalog as they are.
#[cfg(not(unix))]
fn exact_bytes(_: &str) -> Option<PathBuf> {
    None
}

/// Fails when a folder that is to be written lies in `other`, or is it.
pub(crate) fn outside(target: &Path, other: &Path) -> Result<()> {
    let mut there = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
    // What is not there yet lies where the nearest folder above it is.
    while !there.exists() && there.pop() {}
    let (Ok(there), Ok(other_place)) = (there.canonicalize(), other.canonicalize()) else {
        return Ok(());
    };
    if !there.starts_with(&other_place) {
        return Ok(());
    }
    let message = format!("lies in `{}`", other.display());
    Err(Error::new(Code::InvalidRequest, message)
        .at_path(target)
        .hint("name a folder outside of it"))
}

/// Copies a file; fails with [`Code::ChecksumMismatch`] when it has not the digest that is
/// expected, and then leaves nothing.
pub(crate) fn copy(source: &Path, target: &Path, expected: Option<Digest>) -> Result<()> {
    let mut writer = AtomicFile::create(target)?;
    let mut hasher = Hasher::new();
    each_chunk(source, |chunk| {
        hasher.update(chunk);
        writer.write(chunk)
    })?;
    let found = hasher.finish();
    match expected {
        Some(expected) if expected != found => {
            let message = format!("has the digest {found} where {expected} is on record");
            Err(Error::new(Code::ChecksumMismatch, message).at_path(source))
        }
        _ => writer.rename(),
    }
}

/// Reads a file piece by piece; says how many bytes it has.
pub(crate) fn each_chunk(path: &Path, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let mut file: File = open(path)?;
    let mut chunk = vec![0; 1 << 17];
    let mut size = 0;
    loop {
        let read = file.read(&mut chunk).map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path)
        })?;
        if read == 0 {
            return Ok(size);
        }
        size += read as u64;
        visit(&chunk[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_with_another_digest_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&source, b"content").unwrap();
        let error = copy(&source, &target, Some(Digest::of(b"other"))).unwrap_err();
        assert_eq!(error.code(), Code::ChecksumMismatch);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        copy(&source, &target, Some(Digest::of(b"content"))).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"content");
    }

    #[test]
    fn paths_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        assert!(inside(folder.path(), "../x").is_err());
        assert!(inside(folder.path(), "/etc/passwd").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_text_are_found() {
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"a\xff.tif");
        if std::fs::write(folder.path().join(name), b"x").is_err() {
            return; // A file system of text only.
        }
        let found = inside(folder.path(), "a%FF.tif").unwrap();
        assert_eq!(found, folder.path().join(name));
        // `%` in a name of text is itself.
        let plain = inside(folder.path(), "50%25.tif").unwrap();
        assert_eq!(plain, folder.path().join("50%25.tif"));
    }
}
