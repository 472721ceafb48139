//! Whether input and output lie apart, so that a run neither reads its own results nor writes
//! among the originals.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use fonds_core::{Code, Error, Result};

/// Whether one of the two folders is, or lies inside, the other, links resolved.
///
/// `output` need not exist yet. Fails with [`Code::Unreadable`] when `input` does not.
pub fn roots_overlap(input: &Path, output: &Path) -> Result<bool> {
    let input = real(input)?;
    let output = real_or_future(output)?;
    Ok(input.starts_with(&output) || output.starts_with(&input))
}

fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| {
        Error::from_io(error, Code::Unreadable, "the folder cannot be reached").at_path(path)
    })
}

/// Resolves the part of a path that exists and puts the rest behind it.
fn real_or_future(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|error| {
        Error::from_io(error, Code::Unreadable, "the path has no absolute form").at_path(path)
    })?;
    let mut existing = absolute.as_path();
    let mut missing: Vec<OsString> = Vec::new();
    loop {
        if let Ok(mut resolved) = existing.canonicalize() {
            for part in missing.iter().rev() {
                append(&mut resolved, part);
            }
            return Ok(resolved);
        }
        let Some(parent) = existing.parent() else {
            return Ok(absolute);
        };
        let last = existing.components().next_back();
        missing.extend(last.map(|part| part.as_os_str().to_owned()));
        existing = parent;
    }
}

fn append(path: &mut PathBuf, part: &OsString) {
    match Path::new(part).components().next() {
        Some(Component::ParentDir) => {
            path.pop();
        }
        Some(Component::Normal(name)) => path.push(name),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_equal_and_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("in/deep")).unwrap();
        std::fs::create_dir_all(root.join("out")).unwrap();
        let cases = [
            ("in", "out", false),
            ("in", "in", true),
            ("in", "in/new/er", true),
            ("in/deep", "in", true),
            ("in", ".", true),
            ("in", "in2", false),
            ("in", "new/../in/x", true),
            ("in", "in/../out2", false),
            ("in", "in/none/../../out2", false),
        ];
        for (input, output, expected) in cases {
            let found = roots_overlap(&root.join(input), &root.join(output)).unwrap();
            assert_eq!(found, expected, "{input} and {output}");
        }
        let error = roots_overlap(&root.join("nowhere"), root).unwrap_err();
        assert_eq!(error.code(), Code::Unreadable);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_seen_through() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("in")).unwrap();
        std::os::unix::fs::symlink(root.join("in"), root.join("alias")).unwrap();
        assert!(roots_overlap(&root.join("in"), &root.join("alias/out")).unwrap());
        assert!(roots_overlap(&root.join("alias"), &root.join("in")).unwrap());
    }
}
