//! One cell of a table: a typed value as the text that a CSV file or a journal holds for it.

use std::fmt::Write as _;

use fonds_core::{Code, Digest, Flag, Flags};

use crate::column::{Column, ColumnKind};

/// A value that is written to, and read from, one cell.
///
/// What [`Cell::put`] writes, [`Cell::set`] reads back as the same value, as long as the value is
/// one that the column can hold: text without control characters, numbers of no more decimals
/// than the column has, list items without `;`.
pub trait Cell {
    /// Whether the cell holds nothing and may be left out.
    fn is_empty(&self) -> bool;

    /// Appends the text, without CSV quoting.
    fn put(&self, column: &Column, out: &mut String);

    /// Replaces the value by what the text says; empty text empties the cell.
    ///
    /// Fails with what was expected.
    fn set(&mut self, text: &str, column: &Column) -> Result<(), &'static str>;
}

impl Cell for String {
    fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }

    fn put(&self, column: &Column, out: &mut String) {
        match column.kind {
            // A name is what it is on disk, control characters and all.
            ColumnKind::Path => out.push_str(self),
            ColumnKind::Line => put_line(self, out),
            _ => put_text(self, out),
        }
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        self.clear();
        self.push_str(text);
        Ok(())
    }
}

impl Cell for Vec<String> {
    fn is_empty(&self) -> bool {
        self.iter().all(|item| item.trim().is_empty())
    }

    fn put(&self, _: &Column, out: &mut String) {
        let start = out.len();
        for item in self {
            let item = item.trim();
            if item.is_empty() {
                continue;
            }
            if out.len() > start {
                out.push(';');
            }
            if item.contains(';') {
                put_line(&item.replace(';', ","), out);
            } else {
                put_line(item, out);
            }
        }
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        self.clear();
        let items = text.split(';').map(str::trim);
        self.extend(items.filter(|item| !item.is_empty()).map(ToOwned::to_owned));
        Ok(())
    }
}

macro_rules! integer_cell {
    ($($type:ty),*) => {$(
        impl Cell for Option<$type> {
            fn is_empty(&self) -> bool {
                self.is_none()
            }

            fn put(&self, _: &Column, out: &mut String) {
                if let Some(value) = self {
                    put_integer(u64::from(*value), out);
                }
            }

            fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
                *self = if text.is_empty() {
                    None
                } else {
                    Some(text.parse().map_err(|_| "a whole number in range")?)
                };
                Ok(())
            }
        }
    )*};
}

integer_cell!(u8, u16, u32, u64);

impl Cell for Option<f64> {
    fn is_empty(&self) -> bool {
        !self.is_some_and(f64::is_finite)
    }

    fn put(&self, column: &Column, out: &mut String) {
        let Some(value) = self.filter(|value| value.is_finite()) else {
            return;
        };
        let decimals = match column.kind {
            ColumnKind::Number { decimals, .. } => usize::from(decimals),
            _ => 6,
        };
        put_number(value, decimals, out);
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        *self = if text.is_empty() {
            None
        } else {
            let value: f64 = text.parse().map_err(|_| "a decimal number")?;
            Some(value).filter(|value| value.is_finite())
        };
        if self.is_none() && !text.is_empty() {
            return Err("a decimal number");
        }
        Ok(())
    }
}

impl Cell for Option<Digest> {
    fn is_empty(&self) -> bool {
        self.is_none()
    }

    fn put(&self, _: &Column, out: &mut String) {
        if let Some(digest) = self {
            put_hex(digest.as_bytes(), out);
        }
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        *self = if text.is_empty() {
            None
        } else {
            Some(text.parse().map_err(|_| "64 hexadecimal digits")?)
        };
        Ok(())
    }
}

/// Sixty-four bits as sixteen hexadecimal digits: a perceptual hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash64(pub u64);

impl Cell for Option<Hash64> {
    fn is_empty(&self) -> bool {
        self.is_none()
    }

    fn put(&self, _: &Column, out: &mut String) {
        if let Some(hash) = self {
            put_hex(&hash.0.to_be_bytes(), out);
        }
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        let expected = "16 hexadecimal digits";
        *self = if text.is_empty() {
            None
        } else if text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Some(Hash64(u64::from_str_radix(text, 16).map_err(|_| expected)?))
        } else {
            return Err(expected);
        };
        Ok(())
    }
}

impl Cell for bool {
    fn is_empty(&self) -> bool {
        false
    }

    fn put(&self, _: &Column, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        *self = match text {
            "true" => true,
            "false" | "" => false,
            _ => return Err("`true` or `false`"),
        };
        Ok(())
    }
}

impl Cell for Flags {
    fn is_empty(&self) -> bool {
        Flags::is_empty(self)
    }

    fn put(&self, _: &Column, out: &mut String) {
        for (i, flag) in self.iter().enumerate() {
            if i > 0 {
                out.push(';');
            }
            out.push_str(flag.as_str());
        }
    }

    fn set(&mut self, text: &str, _: &Column) -> Result<(), &'static str> {
        self.clear();
        for word in text.split(';').filter(|word| !word.is_empty()) {
            self.insert(Flag::from_text(word).ok_or("a known quality flag")?);
        }
        Ok(())
    }
}

/// A cell of one word from a closed list, for types with `as_str` and `from_text`.
macro_rules! word_cell {
    ($type:ty, $expected:literal) => {
        impl $crate::cell::Cell for Option<$type> {
            fn is_empty(&self) -> bool {
                self.is_none()
            }

            fn put(&self, _: &$crate::column::Column, out: &mut String) {
                if let Some(word) = self {
                    out.push_str(word.as_str());
                }
            }

            fn set(&mut self, text: &str, _: &$crate::column::Column) -> Result<(), &'static str> {
                *self = if text.is_empty() {
                    None
                } else {
                    Some(<$type>::from_text(text).ok_or($expected)?)
                };
                Ok(())
            }
        }
    };
}

pub(crate) use word_cell;

word_cell!(Code, "a known error code");

/// Text without control characters other than line feed and tab; every line break is one `\n`.
fn put_text(text: &str, out: &mut String) {
    if !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        out.push_str(text);
        return;
    }
    let mut after_return = false;
    for c in text.chars() {
        match c {
            '\r' => out.push('\n'),
            '\n' if after_return => {}
            '\n' | '\t' => out.push(c),
            c if c.is_ascii_control() => {}
            c => out.push(c),
        }
        after_return = c == '\r';
    }
}

/// Text on one line: every run of white space and control characters is one space.
fn put_line(text: &str, out: &mut String) {
    if !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        out.push_str(text);
        return;
    }
    let words = text.split(|c: char| c.is_whitespace() || c.is_ascii_control());
    for (i, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

fn put_integer(mut value: u64, out: &mut String) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[start..]).expect("digits are ASCII"));
}

/// At most this many decimals, rounded half to even on the exact binary value, no trailing zeros,
/// no negative zero, never an exponent.
pub(crate) fn put_number(value: f64, decimals: usize, out: &mut String) {
    let start = out.len();
    write!(out, "{value:.decimals$}").expect("writing to a string cannot fail");
    if decimals > 0 {
        let end = out.trim_end_matches('0').trim_end_matches('.').len();
        out.truncate(end);
    }
    if &out[start..] == "-0" {
        out.truncate(start);
        out.push('0');
    }
}

fn put_hex(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)] as char);
        out.push(HEX[usize::from(byte & 15)] as char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(cell: &dyn Cell, kind: ColumnKind) -> String {
        let mut out = String::from("x");
        cell.put(&Column::new("c", kind, ""), &mut out);
        out.split_off(1)
    }

    #[test]
    fn numbers_are_short_and_plain() {
        let kind = ColumnKind::number(3, f64::MIN, f64::MAX);
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-0.000_4, "0"),
            (300.0, "300"),
            (72.009, "72.009"),
            (1.0 / 3.0, "0.333"),
            (1e21, "1000000000000000000000"),
            (f64::NAN, ""),
            (f64::INFINITY, ""),
        ] {
            assert_eq!(text_of(&Some(value), kind), expected, "{value}");
        }
        let whole = ColumnKind::number(0, f64::MIN, f64::MAX);
        assert_eq!(text_of(&Some(100.0), whole), "100");
    }

    #[test]
    fn integers_equal_the_formatter() {
        for value in [0, 1, 9, 10, 99, 12_345, u64::MAX] {
            assert_eq!(text_of(&Some(value), ColumnKind::Text), value.to_string());
        }
    }

    #[test]
    fn text_keeps_lines_and_drops_controls() {
        let text = "a\r\nb\rc\0\u{7}\td".to_owned();
        assert_eq!(text_of(&text, ColumnKind::Text), "a\nb\nc\td");
        assert_eq!(text_of(&text, ColumnKind::Line), "a b c d");
        assert_eq!(text_of(&text, ColumnKind::Path), text);
    }

    #[test]
    fn lists_drop_what_would_split_them() {
        let list = vec![" a ".to_owned(), String::new(), "b;c".to_owned()];
        assert_eq!(text_of(&list, ColumnKind::List), "a;b,c");
        let mut back = Vec::new();
        let column = Column::new("c", ColumnKind::List, "");
        back.set("a; b,c ;;", &column).unwrap();
        assert_eq!(back, ["a", "b,c"]);
        assert!(Cell::is_empty(&vec![" ".to_owned()]));
    }

    #[test]
    fn bad_text_is_refused_with_what_was_expected() {
        let column = Column::new("c", ColumnKind::Text, "");
        for text in ["-1", "1.5", "256", "x"] {
            assert!(Some(1_u8).set(text, &column).is_err(), "{text}");
        }
        for text in ["inf", "NaN", "1,5", "x"] {
            assert!(Some(1.0).set(text, &column).is_err(), "{text}");
        }
        assert!(Some(Hash64(0)).set("+123456789abcdef", &column).is_err());
        assert!(Flags::new().set("blurred;nonsense", &column).is_err());
    }
}
