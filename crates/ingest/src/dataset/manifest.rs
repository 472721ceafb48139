//! Pictures that a table names.

use std::collections::BTreeSet;
use std::path::Path;

use fonds_core::{Code, Error, RelPath, Result};

use super::folder::number_by_name;
use super::{Entry, Label, Listing, Options, Skipped};
use crate::select::{Selection, WalkOptions};

/// Reads the pictures of a CSV file with a header. Rows without a path and rows that name a picture
/// again (the pages of a file) are passed over.
pub(super) fn list(
    catalog: &Path,
    (path_column, label_column): (&str, Option<&str>),
    root: Option<&Path>,
    options: &Options,
) -> Result<Listing> {
    let selection = Selection::new(&WalkOptions {
        include: options.include.clone(),
        exclude: options.exclude.clone(),
        follow_links: true,
    })?;
    let root = root.or_else(|| catalog.parent()).unwrap_or(Path::new(""));
    let failed = |error: csv::Error| failed(error, catalog);
    let mut reader = csv::Reader::from_path(catalog).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let column = |name: &str| column(&header, name).map_err(|error| error.at_path(catalog));
    let path_at = column(path_column)?;
    let label_at = label_column.map(column).transpose()?;
    let mut listing = Rows::default();
    for row in reader.records() {
        let row = row.map_err(failed)?;
        let path = row.get(path_at).unwrap_or("");
        let label = label_at.map(|at| row.get(at).unwrap_or(""));
        listing.take(path, label, root, &selection);
    }
    let Rows {
        mut entries,
        mut classes,
        skipped,
        ..
    } = listing;
    number_by_name(&mut classes, &mut entries);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing {
        sides: vec![entries],
        classes,
        skipped,
    })
}

#[derive(Default)]
struct Rows {
    seen: BTreeSet<String>,
    entries: Vec<Entry>,
    classes: Vec<String>,
    skipped: Vec<Skipped>,
}

impl Rows {
    fn take(&mut self, path: &str, label: Option<&str>, root: &Path, selection: &Selection) {
        if path.is_empty() || !self.seen.insert(path.to_owned()) {
            return;
        }
        let name = path.to_owned();
        let relative = match RelPath::new(Path::new(path)) {
            Ok(relative) => relative,
            Err(error) => {
                let why = error.message().to_owned();
                self.skipped.push(Skipped { name, why });
                return;
            }
        };
        if selection.skips(&relative).is_some() {
            return;
        }
        let file = root.join(path);
        if !file.is_file() {
            let why = "there is no such file".to_owned();
            self.skipped.push(Skipped { name, why });
            return;
        }
        let label = match label {
            Some("") => {
                let why = "it has no label".to_owned();
                self.skipped.push(Skipped { name, why });
                return;
            }
            Some(class) => Some(Label::Class(self.class(class))),
            None => None,
        };
        self.entries.push(Entry {
            name,
            files: vec![file],
            label,
            held_out: None,
        });
    }

    fn class(&mut self, name: &str) -> usize {
        self.classes
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                self.classes.push(name.to_owned());
                self.classes.len() - 1
            })
    }
}

fn failed(error: csv::Error, catalog: &Path) -> Error {
    let line = error.position().map(|at| at.line() as u32);
    let code = if error.is_io_error() {
        Code::Unreadable
    } else {
        Code::Corrupt
    };
    let failed = Error::new(code, "the table cannot be read").at_path(catalog);
    let failed = match line {
        Some(line) => failed.on_line(line),
        None => failed,
    };
    failed.caused_by(error)
}

fn column(header: &csv::StringRecord, name: &str) -> Result<usize> {
    header
        .iter()
        .position(|known| known == name)
        .ok_or_else(|| {
            let known: Vec<&str> = header.iter().collect();
            Error::new(
                Code::InvalidRequest,
                format!("the table has no column `{name}`"),
            )
            .hint(format!("its columns are {}", known.join(", ")))
        })
}
