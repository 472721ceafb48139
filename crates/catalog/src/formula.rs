//! Cells that a spreadsheet program would run as formulas, made harmless and read back.
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab, a line break or one of their full-width forms
//! is evaluated when the file is opened (OWASP, *CSV Injection*). A single quote before it makes
//! it text. A program that takes `;` or a tab for the separator, as half of Europe's do, does not
//! heed our quotes and begins a cell inside of ours: so the same holds after each `;`, tab and line
//! break. So that reading back is exact, where quotes and then such a character stand, one more
//! quote is put; plain negative numbers are left alone, because they are themselves.

use std::borrow::Cow;

/// The characters with which a formula begins.
const STARTS: [char; 8] = [
    '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// What may separate cells, or lines; at the start of a cell some programs skip the last three.
const BREAKS: [char; 4] = [';', '\t', '\n', '\r'];

/// The text as a cell that no spreadsheet program evaluates.
///
/// ```
/// use fonds_catalog::{escape_formula, unescape_formula};
///
/// assert_eq!(escape_formula("=1+1"), "'=1+1");
/// assert_eq!(escape_formula("rivers;@home"), "rivers;'@home");
/// assert_eq!(escape_formula("-33.9"), "-33.9");
/// assert_eq!(unescape_formula("'=1+1"), "=1+1");
/// ```
pub fn escape_formula(text: &str) -> Cow<'_, str> {
    let dangerous = |part: &str, first: bool| {
        let bare = part.trim_start_matches('\'');
        begins_formula(bare, first) && (bare.len() < part.len() || !is_numbers(until_break(part)))
    };
    if !parts(text).any(|(part, first)| dangerous(part, first)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 2);
    let mut before = 0;
    for (part, first) in parts(text) {
        if dangerous(part, first) {
            let start = text.len() - part.len();
            out.push_str(&text[before..start]);
            out.push('\'');
            before = start;
        }
    }
    out.push_str(&text[before..]);
    Cow::Owned(out)
}

/// The text that [`escape_formula`] was given; cells that were never escaped stay as they are.
pub fn unescape_formula(text: &str) -> Cow<'_, str> {
    let escaped = |part: &str, first: bool| {
        let bare = part.trim_start_matches('\'');
        bare.len() < part.len() && begins_formula(bare, first)
    };
    if !parts(text).any(|(part, first)| escaped(part, first)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut before = 0;
    for (part, first) in parts(text) {
        if escaped(part, first) {
            let start = text.len() - part.len();
            out.push_str(&text[before..start]);
            before = start + 1;
        }
    }
    out.push_str(&text[before..]);
    Cow::Owned(out)
}

/// The rests of a text at which a program may begin a cell: the whole, and what follows each break.
fn parts(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let breaks = text.match_indices(BREAKS);
    let after = breaks.map(|(i, found)| (&text[i + found.len()..], false));
    std::iter::once((text, true)).chain(after)
}

/// Whether a formula begins here; at the start of a cell also behind white space.
fn begins_formula(text: &str, first: bool) -> bool {
    text.starts_with(STARTS) || (first && text.starts_with(['\t', '\n', '\r']))
}

fn until_break(text: &str) -> &str {
    text.split(BREAKS).next().unwrap_or_default()
}

/// Whether a text is a number, or several joined by commas as in coordinates.
fn is_numbers(text: &str) -> bool {
    let all_digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split(',').all(|number| {
        let digits = number.strip_prefix('-').unwrap_or(number);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        all_digits(whole) && all_digits(fraction)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_spreadsheets_evaluate_is_quoted() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+49 1", "'+49 1"),
            ("-1+1", "'-1+1"),
            ("-0044-03", "'-0044-03"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "'\t'=1"),
            ("\r1", "'\r1"),
            ("a;@b; -c;-1;'=d", "a;'@b; -c;-1;''=d"),
            ("list\n- one\n-2", "list\n'- one\n-2"),
            ("-33.9,18.4", "-33.9,18.4"),
            ("-1,=2", "'-1,=2"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("-33.9", "-33.9"),
            ("-0044", "-0044"),
            ("-", "'-"),
            ("-.5", "'-.5"),
            ("'=1", "''=1"),
            ("'quoted'", "'quoted'"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(escape_formula(text), expected, "{text:?}");
            assert_eq!(unescape_formula(expected), text, "{expected:?}");
        }
        // What a person typed without a quote stays what it is.
        assert_eq!(unescape_formula("=1"), "=1");
    }

    proptest! {
        #[test]
        fn escaping_is_undone(text in "['=+@\\-\t\r\n;,a0.\u{ff1d}]{0,8}") {
            let escaped = escape_formula(&text);
            prop_assert_eq!(unescape_formula(&escaped), text.as_str());
            for part in escaped.split(BREAKS) {
                prop_assert!(!part.starts_with(STARTS) || is_numbers(part), "{escaped:?}");
            }
            prop_assert!(!escaped.starts_with(['\t', '\n', '\r']));
        }
    }
}
