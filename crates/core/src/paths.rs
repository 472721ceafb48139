//! Where a file lies inside the archive, in the one spelling that catalogs and journals use.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Code, Error, Result};

/// A path relative to the archive's root: UTF-8, `/` between parts, no `.` and `..` parts.
///
/// A name that is not UTF-8 is written with `%XX` for each byte that is not (and `%25` for a per
/// cent sign in it); [`RelPath::is_exact`] then says `false`, and only the path on disk, which the
/// walker keeps beside it, opens the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath {
    text: String,
    exact: bool,
}

impl RelPath {
    /// The spelling of a relative path.
    ///
    /// Fails when `path` is absolute, empty, or climbs out of its root.
    pub fn new(path: &Path) -> Result<Self> {
        let mut text = String::with_capacity(path.as_os_str().len());
        let mut exact = true;
        for component in path.components() {
            let Component::Normal(part) = component else {
                if component == Component::CurDir {
                    continue;
                }
                let message = format!("`{}` is not a path inside the archive", path.display());
                return Err(Error::new(Code::InvalidRequest, message));
            };
            if !text.is_empty() {
                text.push('/');
            }
            if let Some(part) = part.to_str() {
                text.push_str(part);
            } else {
                exact = false;
                escape(part.as_encoded_bytes(), &mut text);
            }
        }
        if text.is_empty() {
            return Err(Error::new(
                Code::InvalidRequest,
                "a path inside the archive is empty",
            ));
        }
        Ok(Self { text, exact })
    }

    /// The spelling in catalogs.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the spelling is the name on disk, byte for byte.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// The folder part, empty for a file in the root.
    pub fn parent(&self) -> &str {
        self.text.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The name with its extension.
    pub fn file_name(&self) -> &str {
        self.text
            .rsplit_once('/')
            .map_or(&self.text, |(_, name)| name)
    }

    /// The name without its last extension; a leading dot starts no extension.
    pub fn stem(&self) -> &str {
        split_extension(self.file_name()).0
    }

    /// The last extension without its dot, as written; empty when there is none.
    pub fn extension(&self) -> &str {
        split_extension(self.file_name()).1
    }

    /// The spelling as a relative path, for output trees that mirror the archive.
    pub fn to_path(&self) -> PathBuf {
        self.text.split('/').collect()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split_extension(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (name, ""),
    }
}

fn escape(bytes: &[u8], text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let path = RelPath::new(Path::new("letters/./1902/IMG 1.old.TIF")).unwrap();
        assert_eq!(path.as_str(), "letters/1902/IMG 1.old.TIF");
        assert_eq!(
            (path.parent(), path.stem(), path.extension()),
            ("letters/1902", "IMG 1.old", "TIF")
        );
        assert!(path.is_exact());
        let hidden = RelPath::new(Path::new(".hidden")).unwrap();
        assert_eq!(
            (hidden.parent(), hidden.stem(), hidden.extension()),
            ("", ".hidden", "")
        );
    }

    #[test]
    fn never_outside_the_root() {
        for path in ["", ".", "/etc/passwd", "../a", "a/../../b"] {
            assert!(RelPath::new(Path::new(path)).is_err(), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"foto 100%/stra\xdfe.jpg");
        let path = RelPath::new(Path::new(name)).unwrap();
        assert_eq!(path.as_str(), "foto 100%/stra%DFe.jpg");
        assert!(!path.is_exact());
    }
}
