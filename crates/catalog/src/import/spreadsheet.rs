//! What spreadsheet programs do to cells on their own: dates in other clothes, lost zeros, rounded
//! numbers.

use crate::column::{Column, ColumnKind};
use crate::edtf;

/// What a program made of a cell that nobody edited.
pub(super) enum Mangled {
    /// It means the same as before, which stays.
    Same(String),
    /// What it was cannot be said any more.
    Lost(String),
}

/// Whether two lists have the same items.
pub(super) fn same_items(one: &str, other: &str) -> bool {
    items(one).eq(items(other))
}

/// Whether two texts say the same in a column: numbers as numbers, lists item by item.
pub(super) fn same(one: &str, other: &str, column: &Column) -> bool {
    let (one, other) = (one.trim(), other.trim());
    if one == other {
        return true;
    }
    match column.kind {
        ColumnKind::Number { .. } | ColumnKind::Integer { .. } => {
            match (number(one), number(other)) {
                (Some(one), Some(other)) => one == other,
                _ => false,
            }
        }
        ColumnKind::List => same_items(one, other),
        // Control characters and line ends differ by what wrote the file.
        ColumnKind::Text => words(one).eq(words(other)) && lines(one) == lines(other),
        _ => false,
    }
}

/// Whether a cell that differs from `current` is what a spreadsheet program makes of it.
pub(super) fn mangled(cell: &str, current: &str, column: &Column) -> Option<Mangled> {
    if is_rounded(cell) {
        let message = format!("`{cell}` is a number that a spreadsheet program has rounded");
        return Some(if current.is_empty() || !is_long_number(current) {
            Mangled::Lost(message)
        } else {
            Mangled::Same(format!("{message}; `{current}` stays"))
        });
    }
    let kept = |what: &str| {
        Some(Mangled::Same(format!(
            "`{cell}` is `{current}` {what}; nothing is changed"
        )))
    };
    let zeros = current.trim_start_matches('0');
    if zeros.len() < current.len() && cell == zeros && is_digits(cell) {
        return kept("without its zeros");
    }
    let is_date = matches!(column.kind, ColumnKind::Edtf | ColumnKind::DateTime);
    if is_date && edtf::parse(cell).is_err() && is_same_day(cell, current) {
        return kept("as a spreadsheet program writes it");
    }
    None
}

fn number(text: &str) -> Option<f64> {
    text.replacen(',', ".", 1).parse().ok()
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == '\n' || c == '\r' || c.is_ascii_control())
        .filter(|part| !part.is_empty())
}

fn lines(text: &str) -> usize {
    text.trim()
        .replace("\r\n", "\n")
        .matches(['\n', '\r'])
        .count()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_long_number(text: &str) -> bool {
    text.len() >= 12 && is_digits(text)
}

/// `1.23457E+15`, with either decimal sign.
fn is_rounded(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once("E+") else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    is_digits(whole) && is_digits(fraction) && is_digits(exponent)
}

/// Whether a text names the day or month of an ISO date: `9.5.1931`, `5/9/31`, `May-31`.
fn is_same_day(cell: &str, current: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    let is_iso = current
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let (found, wanted) = (numbers(cell), numbers(current));
    let is_year = |number: u32| number == wanted[0] || number == wanted[0] % 100;
    match (is_iso, current.len(), found.as_slice()) {
        (true, 10, &[first, second, third]) => {
            let mut rest = [wanted[1], wanted[2]];
            rest.sort_unstable();
            [[third, first, second], [first, second, third]]
                .iter()
                .any(|&[year, one, two]| {
                    let mut parts = [one, two];
                    parts.sort_unstable();
                    is_year(year) && parts == rest
                })
        }
        // The name of a month, in whatever language.
        (true, 7, &[year]) => {
            is_year(year) && cell.chars().filter(|c| c.is_alphabetic()).count() >= 3
        }
        (true, 7, &[first, second]) => {
            (is_year(second) && first == wanted[1]) || (is_year(first) && second == wanted[1])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::row::Row;

    fn column(name: &str) -> &'static Column {
        let mut columns = Record::COLUMNS.iter();
        columns.find(|column| column.name == name).unwrap()
    }

    #[test]
    fn the_same_in_other_clothes() {
        for (name, one, other, expected) in [
            ("latitude", "48,50", "48.5", true),
            ("latitude", "48,5", "48.6", false),
            ("subject", "a; b;", "a;b", true),
            ("subject", "b;a", "a;b", false),
            ("description", "a\r\nb ", "a\nb", true),
            ("description", "a\n\nb", "a\nb", false),
            ("description", "ab", "a\nb", false),
            ("title", "", "a", false),
        ] {
            assert_eq!(same(one, other, column(name)), expected, "{name} {one:?}");
        }
    }

    #[test]
    fn what_programs_do_on_their_own() {
        for (name, cell, current, same) in [
            ("date", "9.5.1931", "1931-05-09", Some(true)),
            ("date", "5/9/31", "1931-05-09", Some(true)),
            ("date", "1931/05/09", "1931-05-09", Some(true)),
            ("date", "May-31", "1931-05", Some(true)),
            ("date", "Mai 31", "1931-05", Some(true)),
            ("date", "05/1931", "1931-05", Some(true)),
            ("date", "10.5.1931", "1931-05-09", None),
            ("date", "1931-05-10", "1931-05-09", None),
            ("date", "ca. 1931", "1931-05", None),
            ("identifier", "7", "007", Some(true)),
            ("identifier", "8", "007", None),
            ("identifier", "1.23457E+15", "1234567890123456", Some(true)),
            ("identifier", "1,23457E+15", "", Some(false)),
            ("title", "E+", "x", None),
        ] {
            let found = mangled(cell, current, column(name));
            let found = found.map(|found| matches!(found, Mangled::Same(_)));
            assert_eq!(found, same, "{name} {cell} {current}");
        }
    }
}
