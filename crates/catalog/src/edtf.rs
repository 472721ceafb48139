//! Dates of originals: the Extended Date/Time Format (EDTF, ISO 8601-2:2019), levels 0 and 1.
//!
//! Level 0: `1931`, `1931-05`, `1931-05-09`, `1931-05-09T10:00:00Z`, `1931/1935`. Level 1 adds
//! `1931?` (uncertain), `1931~` (approximate), `1931%` (both), `193X` and `1931-XX` (unspecified
//! digits), `1931-21` (seasons), `1931/..` and `/1931` (open and unknown ends), `-0044` and
//! `Y17000` (years before 0 and of more than four digits).

use std::fmt;

/// A date or an interval, with the years that it can lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edtf {
    /// The earliest year; `None` for an open or unknown start.
    pub from: Option<i64>,
    /// The latest year; `None` for an open or unknown end.
    pub to: Option<i64>,
    /// Whether the text says that it is uncertain or approximate.
    pub qualified: bool,
}

/// Why a text is not EDTF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdtfError {
    /// What is wrong: lower case, no final stop.
    pub message: String,
    /// How the same date is written in EDTF, when that can be guessed.
    pub suggestion: Option<String>,
}

impl fmt::Display for EdtfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EdtfError {}

/// Reads a date or interval of EDTF level 0 or 1.
///
/// ```
/// use fonds_catalog::edtf;
///
/// assert_eq!(edtf::parse("193X").unwrap().from, Some(1930));
/// let error = edtf::parse("ca. 1931").unwrap_err();
/// assert_eq!(error.suggestion.as_deref(), Some("1931~"));
/// ```
pub fn parse(text: &str) -> Result<Edtf, EdtfError> {
    parse_inner(text).map_err(|message| EdtfError {
        message: format!("`{text}` is not an EDTF date: {message}"),
        suggestion: suggest(text),
    })
}

/// A day as (year, month, day).
pub(crate) type Day = (i64, u8, u8);

/// The first and last day that a date or interval can mean; `None` for an open or unknown end.
pub(crate) fn days(text: &str) -> Option<(Option<Day>, Option<Day>)> {
    if !text.is_ascii() || parse_inner(text).is_err() {
        return None;
    }
    match text.split_once('/') {
        None => {
            let span = date(text).ok()?;
            Some((Some(span.first), Some(span.last)))
        }
        Some((start, end)) => {
            let start = interval_end(start).ok()?.map(|span| span.first);
            let end = interval_end(end).ok()?.map(|span| span.last);
            Some((start, end))
        }
    }
}

/// The first and last day that a date can mean, as (year, month, day).
#[derive(Clone, Copy)]
struct Span {
    first: (i64, u8, u8),
    last: (i64, u8, u8),
    qualified: bool,
}

fn parse_inner(text: &str) -> Result<Edtf, &'static str> {
    if !text.is_ascii() {
        return Err("it has letters that no date has");
    }
    let Some((start, end)) = text.split_once('/') else {
        let span = date(text)?;
        return Ok(Edtf {
            from: Some(span.first.0),
            to: Some(span.last.0),
            qualified: span.qualified,
        });
    };
    if start.contains('T') || end.contains('T') {
        return Err("an interval is of dates without times");
    }
    let (start, end) = (interval_end(start)?, interval_end(end)?);
    if let (Some(start), Some(end)) = (start, end)
        && start.first > end.last
    {
        return Err("the interval ends before it begins");
    }
    if start.is_none() && end.is_none() {
        return Err("the interval has no date");
    }
    Ok(Edtf {
        from: start.map(|span| span.first.0),
        to: end.map(|span| span.last.0),
        qualified: start.is_some_and(|span| span.qualified)
            || end.is_some_and(|span| span.qualified),
    })
}

fn interval_end(text: &str) -> Result<Option<Span>, &'static str> {
    match text {
        "" | ".." => Ok(None),
        _ => date(text).map(Some),
    }
}

fn date(text: &str) -> Result<Span, &'static str> {
    let (text, qualified) = match text.strip_suffix(['?', '~', '%']) {
        Some(text) => (text, true),
        None => (text, false),
    };
    if let Some(year) = text.strip_prefix('Y') {
        return long_year(year, qualified);
    }
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let (sign, day) = match day.strip_prefix('-') {
        Some(day) => (-1, day),
        None => (1, day),
    };
    let mut parts = day.split('-');
    let year = parts.next().unwrap_or_default();
    let (month, day) = (parts.next(), parts.next());
    if parts.next().is_some() {
        return Err("a date has at most year, month and day");
    }
    let mut span = calendar(sign, year, month, day)?;
    span.qualified = qualified;
    if let Some(time) = time {
        if qualified || day.is_none_or(|day| day.contains('X')) {
            return Err("a time needs a full date");
        }
        clock(time)?;
    }
    Ok(span)
}

/// `Y` and more than four digits.
fn long_year(text: &str, qualified: bool) -> Result<Span, &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() < 5 || digits.len() > 15 || digits.starts_with('0') || !all_digits(digits) {
        return Err("after `Y` stands a year of more than four digits");
    }
    let year = text.parse().map_err(|_| "the year is out of range")?;
    Ok(Span {
        first: (year, 1, 1),
        last: (year, 12, 31),
        qualified,
    })
}

fn calendar(
    sign: i64,
    year: &str,
    month: Option<&str>,
    day: Option<&str>,
) -> Result<Span, &'static str> {
    let (low, high) = year_range(year)?;
    if sign < 0 && high == 0 {
        return Err("there is no year minus zero");
    }
    let (early, late) = if sign < 0 { (-high, -low) } else { (low, high) };
    let whole_years = Span {
        first: (early, 1, 1),
        last: (late, 12, 31),
        qualified: false,
    };
    let Some(month) = month else {
        return Ok(whole_years);
    };
    if month == "XX" {
        return match day {
            None | Some("XX") => Ok(whole_years),
            Some(_) => Err("a day needs its month"),
        };
    }
    if low != high {
        return Err("a month needs a full year (only `XX` may follow `X`)");
    }
    let month = two_digits(month).ok_or("the month is not two digits")?;
    if (21..=24).contains(&month) && day.is_none() {
        return Ok(whole_years);
    }
    if !(1..=12).contains(&month) {
        return Err("the month is not 01 to 12 (or a season, 21 to 24)");
    }
    let last_day = days_in(early, month);
    let (first, last) = match day {
        None | Some("XX") => (1, last_day),
        Some(day) => {
            let day = two_digits(day).ok_or("the day is not two digits")?;
            if day < 1 || day > last_day {
                return Err("the month has no such day");
            }
            (day, day)
        }
    };
    Ok(Span {
        first: (early, month, first),
        last: (early, month, last),
        qualified: false,
    })
}

/// The years that four characters can mean: digits, the last of them possibly `X`.
fn year_range(text: &str) -> Result<(i64, i64), &'static str> {
    let known = text.trim_end_matches('X');
    if text.len() != 4 || known.is_empty() || !all_digits(known) {
        return Err("a year has four digits, the last of which may be `X`");
    }
    let parse = |text: String| text.parse::<i64>().map_err(|_| "the year is not a number");
    let low = parse(text.replace('X', "0"))?;
    let high = parse(text.replace('X', "9"))?;
    Ok((low, high))
}

/// `hh:mm:ss` and `Z`, an offset `±hh`, `±hh:mm`, or nothing.
fn clock(text: &str) -> Result<(), &'static str> {
    let wrong = "a time is hh:mm:ss, with `Z` or an offset";
    let (time, rest) = text.split_at_checked(8).ok_or(wrong)?;
    let part = |range: std::ops::Range<usize>| two_digits(&time[range]);
    let colons = &time[2..3] == ":" && &time[5..6] == ":";
    let (Some(hour), Some(minute), Some(second)) = (part(0..2), part(3..5), part(6..8)) else {
        return Err(wrong);
    };
    if !colons || hour > 23 || minute > 59 || second > 59 {
        return Err(wrong);
    }
    let offset = match rest {
        "" | "Z" => return Ok(()),
        _ => rest.strip_prefix(['+', '-']).ok_or(wrong)?,
    };
    let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "00"));
    match (two_digits(hours), two_digits(minutes)) {
        (Some(0..=14), Some(0..=59)) => Ok(()),
        _ => Err(wrong),
    }
}

fn days_in(year: i64, month: u8) -> u8 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn two_digits(text: &str) -> Option<u8> {
    (text.len() == 2 && all_digits(text))
        .then(|| text.parse().ok())
        .flatten()
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How people write dates otherwise, and what they mean by it; only where there is no doubt.
fn suggest(text: &str) -> Option<String> {
    let text = text.trim();
    let guesses = [
        approximate(text),
        two_years(text),
        decade(text),
        day_month_year(text),
        Some(text.replace([':', '.', '/'], "-")),
        Some(text.to_owned()),
    ];
    let mut guesses = guesses.into_iter().flatten();
    guesses.find(|guess| parse_inner(guess).is_ok())
}

/// `ca. 1931`, `circa 1931`, `um 1931`, `[1931]`.
fn approximate(text: &str) -> Option<String> {
    if let Some(inner) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let inner = inner.trim();
        return Some(if inner.ends_with('?') {
            inner.to_owned()
        } else {
            format!("{inner}~")
        });
    }
    let lower = text.to_lowercase();
    let words = ["circa", "ca.", "ca", "c.", "c", "about", "um", "vers", "~"];
    let rest = words.iter().find_map(|word| lower.strip_prefix(word))?;
    Some(format!("{}~", rest.trim()))
}

/// `1931-1935`, `1931 - 1935`, with any dash.
fn two_years(text: &str) -> Option<String> {
    let (start, end) = text.split_once(['-', '–', '—'])?;
    let (start, end) = (start.trim(), end.trim());
    (start.len() == 4 && end.len() == 4).then(|| format!("{start}/{end}"))
}

/// `1930s`, `1930er`.
fn decade(text: &str) -> Option<String> {
    let digits = text
        .strip_suffix("'s")
        .or_else(|| text.strip_suffix('s'))
        .or_else(|| text.strip_suffix("er"))?;
    let head = digits.strip_suffix('0')?;
    // `1900s` may be a century.
    (!head.ends_with('0')).then(|| format!("{head}X"))
}

/// `9.5.1931`; with slashes only where no month can be confused with a day.
fn day_month_year(text: &str) -> Option<String> {
    let separator = if text.contains('.') { '.' } else { '/' };
    let parts: Vec<_> = text.split(separator).map(str::trim).collect();
    let &[first, second, year] = parts.as_slice() else {
        return None;
    };
    let (first, second): (u8, u8) = (first.parse().ok()?, second.parse().ok()?);
    let (day, month) = match separator {
        '.' => (first, second),
        _ if first > 12 => (first, second),
        _ if second > 12 => (second, first),
        _ => return None,
    };
    (year.len() == 4).then(|| format!("{year}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_zero_and_one() {
        for (text, from, to) in [
            ("1931", Some(1931), Some(1931)),
            ("0000", Some(0), Some(0)),
            ("1931-05", Some(1931), Some(1931)),
            ("1932-02-29", Some(1932), Some(1932)),
            ("2000-02-29", Some(2000), Some(2000)),
            ("1931-05-09T10:00:00", Some(1931), Some(1931)),
            ("1931-05-09T23:59:59Z", Some(1931), Some(1931)),
            ("1931-05-09T10:00:00+05:30", Some(1931), Some(1931)),
            ("1931-05-09T10:00:00-04", Some(1931), Some(1931)),
            ("1931/1935", Some(1931), Some(1935)),
            ("1931-05/1931-05-09", Some(1931), Some(1931)),
            ("1931?", Some(1931), Some(1931)),
            ("1931-05~", Some(1931), Some(1931)),
            ("1931-05-09%", Some(1931), Some(1931)),
            ("193X", Some(1930), Some(1939)),
            ("19XX", Some(1900), Some(1999)),
            ("1XXX", Some(1000), Some(1999)),
            ("193X?", Some(1930), Some(1939)),
            ("1931-XX", Some(1931), Some(1931)),
            ("1931-XX-XX", Some(1931), Some(1931)),
            ("1931-05-XX", Some(1931), Some(1931)),
            ("19XX-XX", Some(1900), Some(1999)),
            ("1931-21", Some(1931), Some(1931)),
            ("1931-24~", Some(1931), Some(1931)),
            ("1931/..", Some(1931), None),
            ("../1931", None, Some(1931)),
            ("1931/", Some(1931), None),
            ("/1931", None, Some(1931)),
            ("1931~/1935?", Some(1931), Some(1935)),
            ("-0044", Some(-44), Some(-44)),
            ("-004X", Some(-49), Some(-40)),
            ("Y17000", Some(17_000), Some(17_000)),
            ("Y-170000002", Some(-170_000_002), Some(-170_000_002)),
        ] {
            let date = parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((date.from, date.to), (from, to), "{text}");
            assert_eq!(date.qualified, text.contains(['?', '~', '%']), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            " ",
            "x",
            "31",
            "193",
            "19310",
            "XXXX",
            "1X31",
            "1931-5",
            "1931-13",
            "1931-00",
            "1931-20",
            "1931-25",
            "1931-21-01",
            "1931-02-29",
            "1900-02-29",
            "1931-04-31",
            "1931-05-00",
            "1931-05-09-1",
            "193X-05",
            "1931-XX-09",
            "1931/1930",
            "1931/1931/1932",
            "../..",
            "/",
            "..",
            "1931-05-09T24:00:00",
            "1931-05T10:00:00",
            "1931-05-09T10:00",
            "1931-05-09T10:00:00+25",
            "1931-05-09T10:00:00Z?",
            "1931-05-09T10:00:00/1932",
            "-0000",
            "Y1931",
            "Y0193100",
            "Y",
            "?1931",
            "1931??",
            "{1931,1932}",
            "[1931..1935]",
            "1931–1935",
            "1931-05-09T1é:00:00",
            "１９３１",
            "--",
            "-",
            "1931-",
            "+1931",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_people_write_is_translated_where_there_is_no_doubt() {
        for (text, expected) in [
            ("ca. 1931", Some("1931~")),
            ("Circa 1931", Some("1931~")),
            ("c1931", Some("1931~")),
            ("[1931]", Some("1931~")),
            ("[1931?]", Some("1931?")),
            ("1931-1935", Some("1931/1935")),
            ("1931 – 1935", Some("1931/1935")),
            ("1930s", Some("193X")),
            ("1910's", Some("191X")),
            ("1900s", None),
            ("9.5.1931", Some("1931-05-09")),
            ("25/12/1931", Some("1931-12-25")),
            ("12/25/1931", Some("1931-12-25")),
            ("04/05/1931", None),
            ("1931:05:09", Some("1931-05-09")),
            ("1931.05.09", Some("1931-05-09")),
            (" 1931 ", Some("1931")),
            ("May 1931", None),
            ("unknown", None),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.suggestion.as_deref(), expected, "{text}");
        }
    }
}
