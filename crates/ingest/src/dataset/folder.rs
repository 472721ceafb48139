//! Pictures in folders: one, two kinds of them, or a folder a class.

use std::path::Path;

use fonds_core::Result;

use super::{Entry, Label, Listing, Options, Skipped};
use crate::select::{Selection, WalkOptions};
use crate::walk::{Fate, walk};

pub(super) fn list(path: &Path, options: &Options) -> Result<Listing> {
    let (entries, skipped) = entries(path, options)?;
    Ok(Listing {
        sides: vec![entries],
        classes: Vec::new(),
        skipped,
    })
}

pub(super) fn unpaired(a: &Path, b: &Path, options: &Options) -> Result<Listing> {
    let (of_a, mut skipped) = entries(a, options)?;
    let (of_b, more) = entries(b, options)?;
    skipped.extend(more);
    Ok(Listing {
        sides: vec![of_a, of_b],
        classes: Vec::new(),
        skipped,
    })
}

pub(super) fn classes(path: &Path, options: &Options) -> Result<Listing> {
    let (found, mut skipped) = entries(path, options)?;
    let mut kept = Vec::new();
    let mut classes: Vec<String> = Vec::new();
    for mut entry in found {
        let Some((class, _)) = entry.name.split_once('/') else {
            let why = "it lies in the folder of no class".to_owned();
            skipped.push(Skipped {
                name: entry.name,
                why,
            });
            continue;
        };
        // Sorted paths do not mean sorted folders: `a b/…` comes before `a/…`.
        let number = classes
            .iter()
            .position(|known| known == class)
            .unwrap_or_else(|| {
                classes.push(class.to_owned());
                classes.len() - 1
            });
        entry.label = Some(Label::Class(number));
        kept.push(entry);
    }
    number_by_name(&mut classes, &mut kept);
    Ok(Listing {
        sides: vec![kept],
        classes,
        skipped,
    })
}

/// Sorts the classes, and numbers the labels anew.
pub(super) fn number_by_name(classes: &mut [String], entries: &mut [Entry]) {
    let before = classes.to_vec();
    classes.sort();
    for entry in entries {
        if let Some(Label::Class(number)) = &mut entry.label {
            let position = classes.iter().position(|class| *class == before[*number]);
            *number = position.unwrap_or(*number);
        }
    }
}

/// The pictures below a folder, in the order of their paths, and what could not be reached.
pub(super) fn entries(path: &Path, options: &Options) -> Result<(Vec<Entry>, Vec<Skipped>)> {
    let selection = Selection::new(&WalkOptions {
        include: options.include.clone(),
        exclude: options.exclude.clone(),
        follow_links: true,
    })?;
    let mut entries = Vec::new();
    let mut skipped = Vec::new();
    for found in walk(path, &selection)?.files {
        let name = found.path.as_str().to_owned();
        match &found.fate {
            Fate::Selected => entries.push(Entry {
                files: vec![found.on_disk(path)],
                name,
                label: None,
                held_out: None,
            }),
            Fate::Failed(error) => skipped.push(Skipped {
                name,
                why: error.detail(),
            }),
            Fate::Skipped(_) => {}
        }
    }
    Ok((entries, skipped))
}
