//! Picking rows of the catalog by an expression: `quality_flags has blurred and date < 1920`.
//!
//! The catalog is read row by row, so that a million rows take no memory, and dates are compared as
//! EDTF: a date that may lie on either side is on neither.

mod parse;

use std::cmp::Ordering;
use std::path::Path;

use fonds_core::{Code, Error, Result};

use crate::column::{Column, ColumnKind};
use crate::edtf::{self, Day};
use crate::near::nearest;
use crate::profiles::cell_text;
use crate::reader::TableReader;
use crate::record::Record;
use crate::row::{Cells, Row};

/// An expression over the columns of the catalog.
///
/// ```
/// use fonds_catalog::{Query, Record};
///
/// # fn main() -> fonds_core::Result<()> {
/// let query = Query::parse("date < 1920 and not title ~ bridge")?;
/// let mut record = Record::default();
/// record.date = "191X".into();
/// assert!(query.matches(&record));
/// record.date = "1915/1925".into();
/// assert!(!query.matches(&record), "it may be later");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Query(Expression);

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Empty(usize),
    Compare(usize, Operator, Value),
}

/// How a cell is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// One of the values in the cell is this one.
    Has,
    /// The text is part of the cell, whatever the case.
    Contains,
}

/// What a cell is compared with.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Days(Option<Day>, Option<Day>),
}

impl Query {
    /// Reads an expression.
    ///
    /// Fails with [`fonds_core::Code::InvalidRequest`] and the place in the text.
    pub fn parse(text: &str) -> Result<Self> {
        parse::expression(text).map(Self)
    }

    /// Whether a row is meant.
    pub fn matches(&self, record: &Record) -> bool {
        self.0.matches(record)
    }
}

/// Hands each row that is meant to `visit`, in the order of the catalog; says how many rows were
/// looked at. `visit` returns `false` when it has seen enough.
pub fn query(output: &Path, query: &Query, mut visit: impl FnMut(&Record) -> bool) -> Result<u64> {
    let mut reader = TableReader::<Record>::open_in(output)?;
    let mut record = Record::default();
    let mut rows = 0;
    while reader.read(&mut record)? {
        rows += 1;
        if query.matches(&record) && !visit(&record) {
            break;
        }
    }
    Ok(rows)
}

impl Expression {
    fn matches(&self, record: &Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Not(part) => !part.matches(record),
            Self::Empty(index) => record.with_cells(|cells| cells[*index].is_empty()),
            Self::Compare(index, operator, value) => {
                let text = cell_text(record, *index);
                // An empty cell says nothing, so that it is neither equal nor less nor more.
                !text.is_empty() && operator.holds(&text, value)
            }
        }
    }
}

impl Operator {
    fn holds(self, text: &str, value: &Value) -> bool {
        match value {
            Value::Text(value) => self.holds_text(text, value),
            Value::Number(value) => text
                .parse()
                .is_ok_and(|found: f64| self.holds_order(&found, value)),
            Value::Days(first, last) => {
                edtf::days(text).is_some_and(|found| self.holds_days(found, (*first, *last)))
            }
        }
    }

    fn holds_text(self, text: &str, value: &str) -> bool {
        match self {
            Self::Has => text.split(';').any(|part| part.trim() == value),
            Self::Contains => text.to_lowercase().contains(value),
            _ => self.holds_order(&text, &value),
        }
    }

    fn holds_order<T: PartialOrd>(self, found: &T, value: &T) -> bool {
        match self {
            Self::Equal => found == value,
            Self::Less => found < value,
            Self::LessOrEqual => found <= value,
            Self::Greater => found > value,
            Self::GreaterOrEqual => found >= value,
            Self::Has | Self::Contains => false,
        }
    }

    /// Only what is certain holds: all days that the cell can mean are on the right side.
    fn holds_days(
        self,
        (first, last): (Option<Day>, Option<Day>),
        (from, to): (Option<Day>, Option<Day>),
    ) -> bool {
        let before = |one: Option<Day>, other: Option<Day>| matches!((one, other), (Some(one), Some(other)) if one < other);
        let not_after = |one: Option<Day>, other: Option<Day>| matches!((one, other), (Some(one), Some(other)) if one <= other);
        match self {
            Self::Equal => {
                (from.is_none() || not_after(from, first)) && (to.is_none() || not_after(last, to))
            }
            Self::Less => before(last, from),
            Self::LessOrEqual => not_after(last, to),
            Self::Greater => before(to, first),
            Self::GreaterOrEqual => not_after(from, first),
            Self::Has | Self::Contains => false,
        }
    }
}

/// What a value is compared as in a column.
fn value_of(column: &Column, operator: Operator, text: &str) -> std::result::Result<Value, String> {
    match (column.kind, operator) {
        (_, Operator::Contains) => Ok(Value::Text(text.to_lowercase())),
        (_, Operator::Has) => Ok(Value::Text(text.to_owned())),
        (ColumnKind::Integer { .. } | ColumnKind::Number { .. }, _) => {
            let value: Option<f64> = text.parse().ok();
            let value = value.filter(|value| value.is_finite());
            value
                .map(Value::Number)
                .ok_or_else(|| format!("`{}` is a number and `{text}` is none", column.name))
        }
        (ColumnKind::Edtf, _) => edtf::days(text)
            .map(|(first, last)| Value::Days(first, last))
            .ok_or_else(|| format!("`{}` is a date and `{text}` is not EDTF", column.name)),
        (ColumnKind::Word(words) | ColumnKind::Words(words), Operator::Equal)
            if !text.contains(';') && !words().contains(&text) =>
        {
            let words = words().join(", ");
            Err(format!(
                "`{}` has no word `{text}`; it has {words}",
                column.name
            ))
        }
        _ => Ok(Value::Text(text.to_owned())),
    }
}

/// The number of a column of the catalog, counted from 0.
///
/// Fails with the name that was probably meant.
pub fn column_number(name: &str) -> Result<usize> {
    column_of(name).ok_or_else(|| {
        let message = format!("there is no column `{name}`");
        let error = Error::new(Code::InvalidRequest, message);
        let names = Record::COLUMNS.iter().map(|column| column.name);
        match nearest(name, names) {
            Some(near) => error.hint(format!("is `{near}` meant?")),
            None => error,
        }
    })
}

/// The text of a cell by its column's number, as in the catalog.
pub fn column_text(record: &Record, column: usize) -> String {
    cell_text(record, column)
}

/// The order of two cells of a column: numbers by value, dates by their first and then their last
/// day, everything else by its bytes; cells that say nothing come last.
pub fn compare_cells(column: usize, one: &str, other: &str) -> Ordering {
    let empty = one.is_empty().cmp(&other.is_empty());
    let typed = || match Record::COLUMNS[column].kind {
        ColumnKind::Integer { .. } | ColumnKind::Number { .. } => {
            let number = |text: &str| text.parse().unwrap_or(f64::INFINITY);
            number(one).total_cmp(&number(other))
        }
        ColumnKind::Edtf => {
            // An open start is early, an open end late, and what is no date comes after dates.
            let days = |text: &str| {
                let days = edtf::days(text);
                let last = days.and_then(|(_, last)| last).unwrap_or((i64::MAX, 0, 0));
                let first = days.and_then(|(first, _)| first);
                (days.is_none(), first, last)
            };
            days(one).cmp(&days(other))
        }
        _ => Ordering::Equal,
    };
    empty.then_with(typed).then_with(|| one.cmp(other))
}

/// The number of a column by its name.
fn column_of(name: &str) -> Option<usize> {
    Record::COLUMNS
        .iter()
        .position(|column| column.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{Flag, ObjectId};

    fn record() -> Record {
        Record {
            title: "The old Bridge".into(),
            date: "1915-05~".into(),
            subject: vec!["bridges".into(), "rivers".into()],
            latitude: Some(-33.9),
            image_width: Some(800),
            quality_flags: [Flag::Blurred, Flag::LowPpi].into_iter().collect(),
            ..Record::new("a/bridge.tif", &ObjectId::parse("a-bridge").unwrap())
        }
    }

    #[test]
    fn rows_are_meant_or_not() {
        for (text, expected) in [
            ("quality_flags has 'blurred' and date < 1920", true),
            ("quality_flags has blurred and date < 1915", false),
            ("quality_flags has blur", false),
            ("title = 'The old Bridge'", true),
            ("title = \"the old bridge\"", false),
            ("title ~ bridge", true),
            ("title ~ 'OLD BRI'", true),
            ("title != bridge", true),
            ("subject has rivers", true),
            ("subject has river", false),
            ("subject ~ river", true),
            ("image_width >= 800", true),
            ("image_width > 800", false),
            ("image_width < 1e3", true),
            ("latitude < -33", true),
            ("longitude < 0", false),
            ("longitude != 0", true),
            ("longitude is empty", true),
            ("title is not empty", true),
            ("creator is empty and title is not empty", true),
            ("not title ~ bridge", false),
            ("not (title ~ bridge and image_width > 1)", false),
            ("title ~ x or title ~ y or title ~ old", true),
            ("title ~ x and title ~ old or image_width = 800", true),
            ("title ~ old and (title ~ x or image_width = 801)", false),
            ("status = ok", true),
            ("status in (failed, warning)", false),
            ("status in (failed, ok)", true),
            ("image_width in (799, 800)", true),
            ("filename ~ .tif", true),
        ] {
            let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(query.matches(&record()), expected, "{text}");
        }
    }

    #[test]
    fn cells_have_an_order() {
        for (name, sorted) in [
            ("image_width", vec!["2", "10", "300", ""]),
            (
                "date",
                vec![
                    "../1900", "-0044", "1909", "191X", "1915", "1915/..", "1920", "unknown", "",
                ],
            ),
            ("title", vec!["A", "a", "ä", ""]),
        ] {
            let column = column_number(name).unwrap();
            let mut shuffled: Vec<_> = sorted.iter().rev().copied().collect();
            shuffled.sort_by(|one, other| compare_cells(column, one, other));
            assert_eq!(shuffled, sorted, "{name}");
        }
        assert_eq!(
            column_number("titel").unwrap_err().hints(),
            ["is `title` meant?"]
        );
    }

    #[test]
    fn dates_are_compared_by_what_is_certain() {
        for (date, text, expected) in [
            ("1915-05-09", "date = 1915", true),
            ("1915-05-09", "date = 1915-05", true),
            ("1915", "date = 1915-05", false),
            ("191X", "date = 191X", true),
            ("191X", "date < 1920", true),
            ("191X", "date < 1919", false),
            ("191X", "date <= 1919", true),
            ("191X", "date > 1909", true),
            ("191X", "date >= 1911", false),
            ("1915/1925", "date < 1920", false),
            ("1915/1925", "date > 1920", false),
            ("1915/1925", "date = 1910/1930", true),
            ("1915/..", "date > 1914", true),
            ("1915/..", "date < 2000", false),
            ("../1915", "date < 1920", true),
            ("1915/..", "date = 1910/..", true),
            ("-0044", "date < 0000", true),
            ("Y17000", "date > 9999", true),
            ("some time", "date < 1920", false),
            ("some time", "date != 1920", true),
            ("", "date < 1920", false),
            ("", "date != 1920", true),
        ] {
            let record = Record {
                date: date.into(),
                ..Record::default()
            };
            let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(query.matches(&record), expected, "{date} {text}");
        }
    }
}
