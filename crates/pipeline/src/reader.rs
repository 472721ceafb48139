//! Reading TOML table by table, so that one pass over a file finds every mistake in it.
//!
//! `toml::from_str` stops at the first error. Here each key is taken by name; a value of the wrong
//! type is noted and the next key is read, and what is left over at the end is an unknown key,
//! reported with the nearest known one.

use std::cell::RefCell;
use std::fmt::Write as _;

use fonds_core::{Code, Error};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A value and the byte offset at which it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands in the file, in bytes from its start.
    pub offset: usize,
}

impl<T> At<T> {
    /// A value at an offset.
    pub fn new(value: T, offset: usize) -> Self {
        Self { value, offset }
    }
}

/// Collects the errors of one file and gives each its line and column.
#[derive(Debug)]
pub(crate) struct Sink<'i> {
    text: &'i str,
    errors: RefCell<Vec<(usize, Error)>>,
}

impl<'i> Sink<'i> {
    pub(crate) fn new(text: &'i str) -> Self {
        Self {
            text,
            errors: RefCell::new(Vec::new()),
        }
    }

    pub(crate) fn report(&self, offset: usize, error: Error) {
        self.errors.borrow_mut().push((offset, error));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    /// The errors in the order of their places, each with line and column.
    pub(crate) fn into_errors(self) -> Vec<Error> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|(offset, _)| *offset);
        let text = self.text;
        errors
            .into_iter()
            .map(|(offset, error)| {
                let (line, column) = line_and_column(text, offset);
                error.at_line(line, column)
            })
            .collect()
    }
}

/// The keys of one TOML table; how a step reads its parameters.
#[derive(Debug)]
pub struct Args<'i, 's> {
    sink: &'s Sink<'i>,
    name: String,
    offset: usize,
    table: DeTable<'i>,
    known: Vec<&'static str>,
    blamed: Option<usize>,
}

impl<'i, 's> Args<'i, 's> {
    pub(crate) fn new(sink: &'s Sink<'i>, name: &str, table: Spanned<DeTable<'i>>) -> Self {
        let offset = table.span().start;
        Self {
            sink,
            name: name.to_owned(),
            offset,
            table: table.into_inner(),
            known: Vec::new(),
            blamed: None,
        }
    }

    /// A table without keys, for a table that the file leaves out.
    pub(crate) fn absent(sink: &'s Sink<'i>, name: &str) -> Self {
        let table = DeTable::new();
        Self {
            sink,
            name: name.to_owned(),
            offset: 0,
            table,
            known: Vec::new(),
            blamed: None,
        }
    }

    /// Where the table begins.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The value under `key`; `None` when it is left out or, after a report, when it is of another
    /// type.
    pub fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<At<T>> {
        let value = self.take_raw(key)?;
        let offset = value.span().start;
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(At::new(value, offset)),
            Err(error) => {
                let at = error.span().map_or(offset, |span| span.start);
                let message = format!("`{key}`: {}", one_line(error.message()));
                self.sink
                    .report(at, Error::new(Code::InvalidRequest, message));
                None
            }
        }
    }

    /// Whether there is a value under `key`, of whatever type, that nobody has taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where the value under `key` stands, when there is one that nobody has taken.
    pub fn place(&self, key: &str) -> Option<usize> {
        self.table.get(key).map(|value| value.span().start)
    }

    /// Like [`Args::take`], for callers that need no place.
    pub fn value<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        self.take(key).map(|at| at.value)
    }

    /// The table under `key`, or an empty one.
    pub(crate) fn table(&mut self, key: &'static str) -> Args<'i, 's> {
        self.optional_table(key)
            .unwrap_or_else(|| Args::absent(self.sink, key))
    }

    /// The table under `key`, when there is one.
    pub(crate) fn optional_table(&mut self, key: &'static str) -> Option<Args<'i, 's>> {
        let value = self.take_raw(key)?;
        self.as_table(key, value)
    }

    /// The tables of an array of tables (`[[key]]`).
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Args<'i, 's>> {
        let Some(value) = self.take_raw(key) else {
            return Vec::new();
        };
        let offset = value.span().start;
        match value.into_inner() {
            DeValue::Array(array) => array
                .into_iter()
                .filter_map(|value| self.as_table(key, value))
                .collect(),
            other => {
                let message = format!(
                    "`{key}` is a list of tables, found {}",
                    article(other.type_str())
                );
                let hint = format!("write each one under a heading of its own: [[{key}]]");
                self.sink
                    .report(offset, Error::new(Code::InvalidRequest, message).hint(hint));
                Vec::new()
            }
        }
    }

    /// The remaining keys with their values, for tables whose keys are not fixed.
    pub(crate) fn drain(&mut self) -> Vec<(At<String>, Spanned<DeValue<'i>>)> {
        let table = std::mem::take(&mut self.table);
        let mut entries: Vec<_> = table
            .into_iter()
            .map(|(key, value)| (At::new(key.get_ref().to_string(), key.span().start), value))
            .collect();
        entries.sort_by_key(|(key, _)| key.offset);
        entries
    }

    /// This value as a table.
    pub(crate) fn as_table(&self, name: &str, value: Spanned<DeValue<'i>>) -> Option<Args<'i, 's>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Args::new(self.sink, name, Spanned::new(span, table))),
            other => {
                let message = format!("`{name}` is a table, found {}", article(other.type_str()));
                self.sink
                    .report(span.start, Error::new(Code::InvalidRequest, message));
                None
            }
        }
    }

    /// Notes an error at an offset.
    pub fn report(&self, offset: usize, error: Error) {
        self.sink.report(offset, error);
    }

    /// Says which place is at fault if building from these arguments ends in an error: that of the
    /// value that is being looked at. Without it the table's place is reported.
    pub fn blame(&mut self, offset: usize) {
        self.blamed = Some(offset);
    }

    /// Leaves all keys alone that nobody took: they are not to be reported as unknown.
    #[cfg(not(feature = "restore"))]
    pub(crate) fn ignore(&mut self) {
        self.drain();
    }

    pub(crate) fn blamed(&self) -> Option<usize> {
        self.blamed
    }

    /// Reports every key that nobody took, with the nearest one that exists.
    pub fn finish(mut self) {
        for (key, _) in self.drain() {
            let message = format!("unknown key `{}` in {}", key.value, self.name);
            let error = Error::new(Code::InvalidRequest, message)
                .hint(near_miss(&key.value, self.known.iter().copied()));
            self.sink.report(key.offset, error);
        }
    }

    fn take_raw(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.remove(key)
    }
}

/// `did you mean …?` where a name is near, else the list of what there is.
pub(crate) fn near_miss<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let nearest = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(written, name), *name))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => {
            format!("did you mean `{name}`?")
        }
        Some(_) => {
            let mut sorted = names;
            sorted.sort_unstable();
            let mut list = String::new();
            for (i, name) in sorted.iter().enumerate() {
                let _ = write!(list, "{}`{name}`", if i == 0 { "" } else { ", " });
            }
            format!("valid are {list}")
        }
        None => "there is none to choose from".to_owned(),
    }
}

/// Reports what the TOML parser itself finds wrong, then returns what it could read.
pub(crate) fn parse<'i>(sink: &Sink<'i>, text: &'i str) -> Spanned<DeTable<'i>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        sink.report(
            offset,
            Error::new(Code::InvalidRequest, one_line(error.message())),
        );
    }
    table
}

fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count())
        + 1;
    (line as u32, column as u32)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str, read: impl FnOnce(&mut Args<'_, '_>)) -> Vec<String> {
        let sink = Sink::new(text);
        let table = parse(&sink, text);
        let mut args = Args::new(&sink, "the file", table);
        read(&mut args);
        args.finish();
        sink.into_errors()
            .iter()
            .map(|error| format!("{error} ({})", error.hints().join("; ")))
            .collect()
    }

    #[test]
    fn all_errors_of_a_table_with_their_places() {
        let text = "widht = 3\nheight = \"tall\"\nü = 1\ndeep = 2.5\n";
        let found = errors(text, |args| {
            assert_eq!(args.value::<u32>("width"), None);
            assert_eq!(args.value::<u32>("height"), None);
            assert_eq!(args.value::<f64>("deep"), Some(2.5));
        });
        assert_eq!(
            found[..2],
            [
                "line 1, column 1: unknown key `widht` in the file (did you mean `width`?)",
                "line 2, column 10: `height`: invalid type: string \"tall\", expected u32 ()",
            ]
        );
        // The parser's own wording is not ours to fix in a test; that it is placed is.
        assert!(found[2].starts_with("line 3, column 1: "), "{}", found[2]);
    }

    #[test]
    fn nearest_name_or_the_list() {
        assert_eq!(
            near_miss("tonne", ["tone", "crop"].into_iter()),
            "did you mean `tone`?"
        );
        assert_eq!(
            near_miss("zzz", ["tone", "crop"].into_iter()),
            "valid are `crop`, `tone`"
        );
    }

    #[test]
    fn integers_are_numbers() {
        let found = errors("a = 3", |args| {
            assert_eq!(args.value::<f64>("a"), Some(3.0));
        });
        assert!(found.is_empty(), "{found:?}");
    }
}
