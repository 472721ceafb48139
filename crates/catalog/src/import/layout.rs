//! Which column of a file belongs to which column of the catalog.

use fonds_core::{Code, Error, Result};

use super::plain;
use crate::finding::{Finding, Severity};
use crate::human::header::{DESCRIBED, plain_name};
use crate::near::nearest;
use crate::profiles::{Field, Key, Profile, Source, column_index};
use crate::record::Record;
use crate::row::Row;

/// The columns of a file.
pub(super) struct Layout {
    /// What the file was taken for.
    pub(super) name: &'static str,
    /// The header of the column that names the object.
    pub(super) key: String,
    /// Whether objects are named by the paths of their files.
    pub(super) by_path: bool,
    /// The columns that are compared.
    pub(super) uses: Vec<Use>,
    key_at: usize,
    prefix: &'static str,
    /// For each column of the file its place in `uses`.
    places: Vec<Option<usize>>,
}

/// What a column of the file is compared with.
pub(super) enum Use {
    /// A column of the catalog under its own name.
    Own(usize),
    /// A column of a profile.
    Of(&'static Field),
}

impl Use {
    /// The number of the catalog's column; `None` for what is made and never read back.
    pub(super) fn column(&self) -> Option<usize> {
        match self {
            Self::Own(index) => Some(*index),
            Self::Of(field) => match &field.source {
                Source::Column { column, .. } => Some(column_index(column)),
                _ => None,
            },
        }
    }

    /// Whether the cell holds several values.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self, Self::Of(field) if field.repeated)
    }

    /// Whether people may fill it.
    pub(super) fn is_described(&self) -> bool {
        self.column()
            .is_some_and(|index| DESCRIBED.contains(&Record::COLUMNS[index].name))
    }

    /// The catalog's text as the file would show it.
    pub(super) fn put(&self, text: &str) -> String {
        match self {
            Self::Of(Field {
                source: Source::Column { put, .. },
                ..
            }) => put(text),
            _ => text.to_owned(),
        }
    }

    /// The file's text as the catalog would hold it.
    pub(super) fn take(&self, text: &str) -> String {
        match self {
            Self::Of(Field {
                source: Source::Column { take, .. },
                ..
            }) => take(text),
            _ => text.to_owned(),
        }
    }
}

impl Layout {
    /// Finds out what the columns are for, with remarks on those that are not used.
    ///
    /// Without a profile the one is taken that knows the most headers, and the catalog's own names
    /// before any.
    pub(super) fn find(
        header: &csv::StringRecord,
        profile: Option<Profile>,
        file: &str,
    ) -> Result<(Self, Vec<Finding>)> {
        let names: Vec<String> = header.iter().map(plain).collect();
        let candidates = match profile {
            Some(profile) => vec![Self::of_profile(profile, &names)],
            None => std::iter::once(Self::own(&names))
                .chain(Profile::ALL.map(|profile| Self::of_profile(profile, &names)))
                .collect(),
        };
        // `max_by_key` keeps the last of equals.
        let best = candidates.into_iter().rev().flatten();
        let best = best.max_by_key(|layout| layout.places.iter().flatten().count());
        let layout = best.ok_or_else(|| no_key(profile))?;
        layout.check_twice(&names)?;
        let findings = layout.unknown(&names, file);
        Ok((layout, findings))
    }

    /// The key of a row and the cells that are compared; several cells of one column are joined.
    pub(super) fn row(&self, cells: &csv::StringRecord) -> (String, Vec<(usize, String)>) {
        let key = plain(cells.get(self.key_at).unwrap_or_default());
        let key = key.strip_prefix(self.prefix).unwrap_or(&key).to_owned();
        let mut texts: Vec<Option<String>> = vec![None; self.uses.len()];
        for (cell, place) in cells.iter().zip(&self.places) {
            let Some(place) = *place else {
                continue;
            };
            let text = plain(cell);
            match &mut texts[place] {
                Some(_) if text.is_empty() => {}
                Some(before) if !before.is_empty() => {
                    before.push(';');
                    before.push_str(&text);
                }
                slot => *slot = Some(text),
            }
        }
        let found = texts.into_iter().enumerate();
        let found = found.filter_map(|(i, text)| text.map(|text| (i, text)));
        (key, found.collect())
    }

    /// The catalog's own names, as `metadata.csv` has them.
    fn own(names: &[String]) -> Option<Self> {
        let names: Vec<_> = names.iter().map(|name| plain_name(name)).collect();
        let at = |wanted: &str| names.iter().position(|name| name == wanted);
        let (key_at, by_path) = match (at("objectid"), at("filename")) {
            (Some(id), _) => (id, false),
            (None, Some(path)) => (path, true),
            (None, None) => return None,
        };
        let mut uses = Vec::new();
        let places = names.iter().enumerate().map(|(i, name)| {
            let index = Record::COLUMNS
                .iter()
                .position(|column| column.name == name);
            let index = index.filter(|_| i != key_at)?;
            uses.push(Use::Own(index));
            Some(uses.len() - 1)
        });
        let places = places.collect();
        Some(Self {
            name: "catalog",
            key: names[key_at].clone(),
            by_path,
            uses,
            key_at,
            prefix: "",
            places,
        })
    }

    fn of_profile(profile: Profile, names: &[String]) -> Option<Self> {
        let fields = profile.fields();
        let find = |name: &str| {
            let exact = fields.iter().position(|field| field.header == name);
            exact.or_else(|| {
                let mut fields = fields.iter();
                fields.position(|field| field.header.eq_ignore_ascii_case(name))
            })
        };
        let found: Vec<_> = names.iter().map(|name| find(name)).collect();
        let key_at = found.iter().position(|field| {
            field.is_some_and(|field| matches!(fields[field].source, Source::Key(_)))
        })?;
        let field = &fields[found[key_at]?];
        let Source::Key(key) = field.source else {
            return None;
        };
        let places = found
            .iter()
            .map(|found| found.filter(|i| !matches!(fields[*i].source, Source::Key(_))))
            .collect();
        Some(Self {
            name: profile.as_str(),
            key: field.header.to_owned(),
            by_path: key != Key::Id,
            uses: fields.iter().map(Use::Of).collect(),
            key_at,
            prefix: match key {
                Key::Path(prefix) => prefix,
                Key::Id => "",
            },
            places,
        })
    }

    /// A column that is there twice is an error, unless it is one that is repeated for each value.
    fn check_twice(&self, names: &[String]) -> Result<()> {
        for (i, place) in self.places.iter().enumerate() {
            let Some(place) = *place else {
                continue;
            };
            let repeated = self.uses[place].is_repeated();
            let same = |other: &Use| match (other, &self.uses[place]) {
                (Use::Own(one), Use::Own(two)) => one == two,
                (Use::Of(one), Use::Of(two)) => std::ptr::eq(*one, *two),
                _ => false,
            };
            let before = self.places[..i].iter().flatten();
            if !repeated && before.clone().any(|other| same(&self.uses[*other])) {
                let message = format!("column `{}` is there twice, as column {}", names[i], i + 1);
                return Err(Error::new(Code::InvalidRequest, message).on_line(1));
            }
        }
        Ok(())
    }

    fn unknown(&self, names: &[String], file: &str) -> Vec<Finding> {
        let known: Vec<&str> = match self.uses.first() {
            Some(Use::Of(_)) => self
                .uses
                .iter()
                .filter_map(|used| match used {
                    Use::Of(field) => Some(field.header),
                    Use::Own(_) => None,
                })
                .collect(),
            _ => DESCRIBED.to_vec(),
        };
        let unused = names.iter().zip(&self.places).enumerate();
        let unused = unused.filter(|(i, (name, place))| {
            place.is_none() && *i != self.key_at && !name.is_empty() && *name != "filename"
        });
        unused
            .map(|(_, (name, _))| {
                let message = format!("column `{name}` is unknown and not used");
                let finding = Finding::new(Severity::Warning, file, 1, message);
                match nearest(name, known.iter().copied()) {
                    Some(near) => finding.hint(format!("is `{near}` meant?")),
                    None => finding,
                }
            })
            .collect()
    }
}

fn no_key(profile: Option<Profile>) -> Error {
    let (message, hint) = match profile {
        Some(profile) => {
            let keys = profile.fields().iter();
            let key = keys
                .filter(|field| matches!(field.source, Source::Key(_)))
                .map(|field| field.header)
                .next()
                .unwrap_or_default();
            (
                format!("has no column `{key}`, which names the object"),
                format!(
                    "export with --profile {} and edit that file",
                    profile.as_str()
                ),
            )
        }
        None => (
            "no column names the object: `objectid`, `filename`, `pid` or that of another export"
                .to_owned(),
            "keep the first columns of the export".to_owned(),
        ),
    };
    Error::new(Code::InvalidRequest, message)
        .on_line(1)
        .hint(hint)
}
