//! Pictures that belong together: two files of one name.

use std::collections::BTreeMap;
use std::path::Path;

use fonds_core::{Code, Error, Result};
use fonds_image::decode::Document;
use rayon::prelude::*;

use super::picture::Picture;
use super::{Entry, Listing, Options, Skipped, Unequal, folder};
use crate::source::read_source;

/// Names that an error lists.
const NAMED: usize = 10;

/// Pairs the pictures of two folders by their paths without the extension.
pub(super) fn list(a: &Path, b: &Path, options: &Options) -> Result<Listing> {
    let (of_a, mut skipped) = folder::entries(a, options)?;
    let (of_b, more) = folder::entries(b, options)?;
    skipped.extend(more);
    let mut unequal = Vec::new();
    let sources = by_stem(of_a, &mut unequal);
    let mut targets = by_stem(of_b, &mut unequal);
    let mut entries = Vec::new();
    for (stem, mut entry) in sources {
        if let Some(target) = targets.remove(&stem) {
            entry.files.extend(target.files);
            entries.push(entry);
        } else {
            unequal.push(skip(entry.name, "it has no partner among the targets"));
        }
    }
    for entry in targets.into_values() {
        unequal.push(skip(entry.name, "it has no partner among the sources"));
    }
    let entries = with_equal_sizes(entries, options, &mut unequal);
    if options.unequal == Unequal::Refuse && !unequal.is_empty() {
        return Err(refusal(&unequal).at_path(a));
    }
    skipped.extend(unequal);
    Ok(Listing {
        sides: vec![entries],
        classes: Vec::new(),
        skipped,
    })
}

/// Fails when the pictures of a sample do not have the sizes of a pair.
pub(super) fn check_sizes(pictures: &[Picture], options: &Options) -> Result<()> {
    let [source, target] = pictures else {
        return Ok(());
    };
    let sizes = (source.size(), target.size());
    match mismatch(sizes.0, sizes.1, options.pair_scale) {
        None => Ok(()),
        Some(message) => Err(Error::new(Code::Corrupt, message)),
    }
}

fn skip(name: String, why: &str) -> Skipped {
    let why = why.to_owned();
    Skipped { name, why }
}

fn by_stem(entries: Vec<Entry>, unequal: &mut Vec<Skipped>) -> BTreeMap<String, Entry> {
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in entries {
        let stem = stem(&entry.name).to_owned();
        if let Some(first) = found.get(&stem) {
            let why = format!("`{}` has the same name but for the extension", first.name);
            unequal.push(Skipped {
                name: entry.name,
                why,
            });
        } else {
            found.insert(stem, entry);
        }
    }
    found
}

/// The path without its extension.
fn stem(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].rfind('.') {
        Some(dot) if dot > 0 => &name[..file + dot],
        _ => name,
    }
}

/// Leaves out the pairs whose headers show that they do not match. A file whose header cannot be
/// read stays: it is left out, and listed, when its turn comes.
fn with_equal_sizes(
    entries: Vec<Entry>,
    options: &Options,
    unequal: &mut Vec<Skipped>,
) -> Vec<Entry> {
    let problem = |entry: &Entry| {
        let sizes: Vec<_> = entry
            .files
            .iter()
            .filter_map(|file| size(file, options).ok())
            .collect();
        match sizes[..] {
            [a, b] => mismatch(a, b, options.pair_scale),
            _ => None,
        }
    };
    let problems: Vec<Option<String>> = entries.par_iter().map(problem).collect();
    let mut kept = Vec::with_capacity(entries.len());
    for (entry, problem) in entries.into_iter().zip(problems) {
        match problem {
            Some(why) => unequal.push(Skipped {
                name: entry.name,
                why,
            }),
            None => kept.push(entry),
        }
    }
    kept
}

/// Width and height of the first page, upright.
fn size(path: &Path, options: &Options) -> Result<(usize, usize)> {
    let source = read_source(path, &options.limits)?;
    let facts = Document::open(&source.bytes, &options.limits)?.probe(0)?;
    Ok((facts.width as usize, facts.height as usize))
}

fn mismatch(a: (usize, usize), b: (usize, usize), scale: usize) -> Option<String> {
    if (a.0 * scale, a.1 * scale) == b {
        return None;
    }
    let times = match scale {
        1 => String::new(),
        n => format!(", not {n} times as large"),
    };
    Some(format!(
        "the source has {} × {} pixels and the target {} × {}{times}",
        a.0, a.1, b.0, b.1
    ))
}

fn refusal(unequal: &[Skipped]) -> Error {
    let named = unequal
        .iter()
        .take(NAMED)
        .map(|skipped| format!("`{}`: {}", skipped.name, skipped.why));
    let mut message = format!(
        "{} of the pictures make no pairs: {}",
        unequal.len(),
        named.collect::<Vec<_>>().join("; ")
    );
    if unequal.len() > NAMED {
        message.push_str(&format!("; and {} more", unequal.len() - NAMED));
    }
    Error::new(Code::Corrupt, message).hint("set `unequal = \"skip\"` to train without them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems() {
        for (name, expected) in [("a/b.c.jpg", "a/b.c"), ("a.b/c", "a.b/c"), (".x", ".x")] {
            assert_eq!(stem(name), expected);
        }
    }

    #[test]
    fn sizes_are_compared_at_their_scale() {
        assert_eq!(mismatch((3, 4), (3, 4), 1), None);
        assert_eq!(mismatch((3, 4), (6, 8), 2), None);
        let why = mismatch((3, 4), (6, 7), 2).unwrap();
        assert!(why.contains("6 × 7, not 2 times as large"), "{why}");
    }
}
