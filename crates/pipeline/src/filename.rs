//! What the names of files say: patterns whose named groups fill columns of the catalog.

use fonds_catalog::{ColumnKind, Record, Row, edtf};
use fonds_core::{Code, Error, RelPath, Result};
use regex::Regex;

use crate::reader::near_miss;

/// The columns that a name may fill: those that describe the original in words.
const COLUMNS: [&str; 9] = [
    "title",
    "creator",
    "date",
    "description",
    "subject",
    "location",
    "source",
    "identifier",
    "language",
];

/// A regular expression over paths, whose named groups are columns of the catalog.
#[derive(Debug, Clone)]
pub struct FilenamePattern {
    regex: Regex,
    /// The group's name and the number of its column.
    groups: Vec<(String, usize)>,
}

impl PartialEq for FilenamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for FilenamePattern {}

impl FilenamePattern {
    /// Reads a pattern; it is matched against the whole path without its ending.
    ///
    /// Fails when it is no regular expression, or has no group or one that is no column that a
    /// name may fill.
    pub fn new(text: &str) -> Result<Self> {
        let bad = |message: String| Error::new(Code::InvalidRequest, message);
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|error| {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default();
            let last = last.trim_start_matches("error: ");
            bad(format!("`{text}` is not a regular expression: {last}"))
        })?;
        let mut groups = Vec::new();
        for name in regex.capture_names().flatten() {
            let column = Record::COLUMNS
                .iter()
                .position(|column| column.name == name);
            let Some(column) = column.filter(|_| COLUMNS.contains(&name)) else {
                let message = format!("the group `{name}` is no column that a name may fill");
                return Err(bad(message).hint(near_miss(name, COLUMNS.into_iter())));
            };
            groups.push((name.to_owned(), column));
        }
        if groups.is_empty() {
            return Err(bad(format!("`{text}` has no named group"))
                .hint("name what is to be taken: `(?P<date>[0-9]{4})`"));
        }
        Ok(Self { regex, groups })
    }

    /// The expression, with what makes it match the whole path.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Fills the columns of a record from the path of its file; `false` when it does not match.
    ///
    /// A date is brought to EDTF where there is no doubt what is meant (`19110314`, `14.3.1911`).
    pub fn fill(&self, path: &RelPath, record: &mut Record) -> bool {
        let path = path.as_str();
        let name = path.rfind('/').map_or(0, |slash| slash + 1);
        let stem = match path[name..].rfind('.') {
            Some(dot) if dot > 0 => &path[..name + dot],
            _ => path,
        };
        let Some(found) = self.regex.captures(stem) else {
            return false;
        };
        for (group, column) in &self.groups {
            let text = found.name(group).map_or("", |found| found.as_str().trim());
            if text.is_empty() {
                continue;
            }
            let kind = Record::COLUMNS[*column].kind;
            let text = match kind {
                ColumnKind::Edtf => date(text),
                _ => text.to_owned(),
            };
            fonds_catalog::Cells::with_cells_mut(record, |cells| {
                let set = cells[*column].set(&text, &Record::COLUMNS[*column]);
                debug_assert!(set.is_ok(), "columns of words take any text");
            });
        }
        true
    }
}

/// A date as EDTF, where there is no doubt; else as it is, for `catalog validate` to name.
fn date(text: &str) -> String {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let spelled = if digits {
        format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..])
    } else {
        text.replace('_', "-")
    };
    match edtf::parse(&spelled) {
        Ok(_) => spelled,
        Err(error) => error.suggestion.unwrap_or_else(|| text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn filled(pattern: &str, path: &str) -> Option<Record> {
        let pattern = FilenamePattern::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        let mut record = Record::default();
        let path = RelPath::new(Path::new(path)).unwrap();
        pattern.fill(&path, &mut record).then_some(record)
    }

    #[test]
    fn names_are_taken_apart() {
        let pattern = r"(?P<source>[^/]+)/(?P<date>\d{4}-\d{2}-\d{2}) (?P<title>.+)";
        let record = filled(pattern, "letters/1911-03-14 Marie to Anna.jpg").unwrap();
        assert_eq!(record.source, "letters");
        assert_eq!(record.date, "1911-03-14");
        assert_eq!(record.title, "Marie to Anna");
        assert!(
            filled(pattern, "letters/old/1911-03-14 x.jpg").is_none(),
            "the whole path"
        );
        let record = filled(
            r"(?:.*/)?(?P<identifier>[A-Z]+-\d+)(?:_.*)?",
            "a/b/PH-007_x.y.tif",
        );
        assert_eq!(record.unwrap().identifier, "PH-007");
        let record = filled(r"(?P<subject>.+)", "a;b").unwrap();
        assert_eq!(record.subject, ["a", "b"]);
    }

    #[test]
    fn dates_become_edtf_where_there_is_no_doubt() {
        for (name, expected) in [
            ("19110314", "1911-03-14"),
            ("1911_03_14", "1911-03-14"),
            ("1911", "1911"),
            ("1930s", "193X"),
            ("14.3.1911", "1911-03-14"),
            ("19111314", "19111314"),
            ("soon", "soon"),
        ] {
            let record = filled("(?P<date>.+)", &format!("{name}.tif")).unwrap();
            assert_eq!(record.date, expected, "{name}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (pattern, expected) in [
            ("(", "`(` is not a regular expression: "),
            ("x", "`x` has no named group"),
            (
                "(?P<titel>x)",
                "the group `titel` is no column that a name may fill",
            ),
            (
                "(?P<sha256>x)",
                "the group `sha256` is no column that a name may fill",
            ),
        ] {
            let error = FilenamePattern::new(pattern).unwrap_err();
            assert!(error.message().starts_with(expected), "{pattern}: {error}");
        }
    }
}
