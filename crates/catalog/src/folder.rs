//! The files of a folder, in the order of their paths.

use std::fs;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, RelPath, Result};

/// A file or link found in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    /// Its path in the folder, `/` between the parts.
    pub(crate) path: String,
    /// Where it is.
    pub(crate) place: PathBuf,
    /// Whether it is neither a link nor anything else that is no file.
    pub(crate) is_file: bool,
}

/// Every file below a folder, sorted by the bytes of the paths; links are found, not followed.
///
/// A folder that is not there has none.
pub(crate) fn files(root: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    if root.is_dir() {
        enter(root, root, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn enter(root: &Path, folder: &Path, found: &mut Vec<Found>) -> Result<()> {
    let unread = |error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(folder);
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let kind = entry.file_type().map_err(unread)?;
        let place = entry.path();
        if kind.is_dir() {
            enter(root, &place, found)?;
            continue;
        }
        let relative = place.strip_prefix(root).unwrap_or(&place);
        found.push(Found {
            path: RelPath::new(relative)?.as_str().to_owned(),
            is_file: kind.is_file(),
            place,
        });
    }
    Ok(())
}

/// Whether fonds or another program left a file unfinished, or it is of use to a run only.
pub(crate) fn is_passing(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let hidden_top = path.starts_with('.');
    hidden_top
        || name.starts_with(".fonds-part-")
        || (name.starts_with('.') && name.contains(".part-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_files() {
        for (path, expected) in [
            (".fonds/lock", true),
            (".catalog.csv.part-12", true),
            ("derivatives/a/.fonds-part-3", true),
            ("derivatives/.hidden/a.png", false),
            ("catalog.csv", false),
        ] {
            assert_eq!(is_passing(path), expected, "{path}");
        }
    }
}
