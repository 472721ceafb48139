//! What people decided, followed: rejected derivatives are set aside, and come back when they are no
//! longer rejected. Nothing is deleted.

use std::fs;
use std::path::{Path, PathBuf};

use fonds_catalog::provenance::SIDECAR_SUFFIX;
use fonds_catalog::{Item, Review, place_aside};
use fonds_core::{Code, Digest, Error, RelPath, Result};
use fonds_ingest::digest_file;

/// What became of the decisions.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Derivatives that were set aside now.
    pub(super) set_aside: u64,
    /// Those that were brought back.
    pub(super) brought_back: u64,
    /// What could not be followed.
    pub(super) remarks: Vec<String>,
}

/// Puts the decisions about an item into its rows and its files where they belong.
///
/// The item's derivatives are named as they were made. It is called by the run's one writer, after
/// everything of the item is on the disk, and can be called again at any time: each file is moved on
/// its own, and only when it is not yet where it should be.
pub(super) fn follow(
    output: &Path,
    review: &Review,
    item: &mut Item,
    followed: &mut Followed,
) -> Result<()> {
    let outdated = review.outdated(item);
    followed
        .remarks
        .extend(outdated.iter().map(ToString::to_string));
    let made: Vec<_> = item
        .derivatives
        .iter()
        .map(|row| row.path.clone())
        .collect();
    review.apply(item, |path| {
        let aside = place_aside(path).map(|aside| in_output(output, &aside));
        !in_output(output, path).exists() && aside.is_some_and(|aside| aside.exists())
    });
    for (row, made) in item.derivatives.iter_mut().zip(made) {
        let Some(aside) = place_aside(&made) else {
            continue;
        };
        let (from, to) = if row.is_set_aside() {
            (&made, &aside)
        } else {
            (&aside, &made)
        };
        // What lies aside may be an earlier version of a picture that was made anew since.
        if !row.is_set_aside() && in_output(output, to).exists() {
            continue;
        }
        let moved = u64::from(put(output, from, to, row.sha256)?);
        if row.is_set_aside() {
            followed.set_aside += moved;
        } else {
            followed.brought_back += moved;
        }
    }
    Ok(())
}

/// Moves a derivative and its sidecar, when they are there; says whether the derivative was.
fn put(output: &Path, from: &str, to: &str, expected: Option<Digest>) -> Result<bool> {
    let (source, target) = (in_output(output, from), in_output(output, to));
    let moves = |source: &Path, target: &Path| {
        fs::rename(source, target).map_err(|error| {
            Error::from_io(
                error,
                Code::WriteFailed,
                "cannot be moved to its place by review.csv",
            )
            .at_path(source)
        })
    };
    // A run that died between the two has moved the picture and not its sidecar.
    let sidecar = |path: &Path| with_suffix(path, SIDECAR_SUFFIX);
    let found = source.exists();
    if found {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|error| {
                Error::from_io(error, Code::WriteFailed, "the folder cannot be made")
                    .at_path(folder)
            })?;
        }
        if target.exists() {
            keep_older(&target, expected)?;
        }
        moves(&source, &target)?;
    }
    if sidecar(&source).exists() && target.exists() && !sidecar(&target).exists() {
        moves(&sidecar(&source), &sidecar(&target))?;
    }
    Ok(found)
}

/// Makes room for a picture where an earlier version of it lies, which keeps its name with the first
/// digits of its digest added.
fn keep_older(place: &Path, expected: Option<Digest>) -> Result<()> {
    let found = digest_file(place)?.digest;
    let mark = if expected == Some(found) {
        // The same picture twice: one of the two names is enough, but nothing is deleted here.
        format!(".{}.again", found.prefix(8))
    } else {
        format!(".{}", found.prefix(8))
    };
    for file in [place.to_owned(), with_suffix(place, SIDECAR_SUFFIX)] {
        if file.exists() {
            let kept = with_suffix(&file, &mark);
            fs::rename(&file, &kept).map_err(|error| {
                Error::from_io(error, Code::WriteFailed, "cannot be renamed").at_path(&file)
            })?;
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn in_output(output: &Path, path: &str) -> PathBuf {
    match RelPath::new(Path::new(path)) {
        Ok(path) => output.join(path.to_path()),
        Err(_) => output.join(path),
    }
}
