//! Rows and items as compact JSON, for a journal of one line an item.
//!
//! A row is an object of the cells that are not empty, each under the number of its column
//! (counted from 1, as the reference numbers them), each with the text that the CSV file will
//! have: `{"1":"a.tif","2":"a","60":"ok"}`. What the journal says is therefore what the tables
//! say, to the byte, and an appended column disturbs no journal.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use fonds_core::{Code, Error, Result};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::record::{DerivativeRecord, FailureRecord, Item, Record};
use crate::row::Row;

/// A row in its JSON form.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wire<T>(pub T);

/// A catalog row in its JSON form.
pub type RecordWire = Wire<Record>;
/// A row of `derivatives.csv` in its JSON form.
pub type DerivativeWire = Wire<DerivativeRecord>;
/// A row of `failed.csv` in its JSON form.
pub type FailureWire = Wire<FailureRecord>;

/// An [`Item`] in its JSON form.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemEntry {
    /// The file's row.
    #[serde(rename = "r")]
    pub record: RecordWire,
    /// The rows of its pages.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<RecordWire>,
    /// The files written from it.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    pub derivatives: Vec<DerivativeWire>,
    /// What went wrong with it.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureWire>,
}

impl ItemEntry {
    /// The entry as JSON on one line, without a line feed.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| {
            Error::new(Code::Internal, "cannot write the entry of an item").caused_by(error)
        })
    }

    /// The entry in a JSON text.
    ///
    /// Fails with [`Code::Corrupt`] when the text is not one.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::new(Code::Corrupt, "cannot read the entry of an item").caused_by(error)
        })
    }
}

impl From<Item> for ItemEntry {
    fn from(item: Item) -> Self {
        Self {
            record: Wire(item.record),
            pages: wrap(item.pages),
            derivatives: wrap(item.derivatives),
            failures: wrap(item.failures),
        }
    }
}

impl From<ItemEntry> for Item {
    fn from(entry: ItemEntry) -> Self {
        Self {
            record: entry.record.0,
            pages: unwrap(entry.pages),
            derivatives: unwrap(entry.derivatives),
            failures: unwrap(entry.failures),
        }
    }
}

impl<T> From<T> for Wire<T> {
    fn from(row: T) -> Self {
        Self(row)
    }
}

impl<T: Row> Serialize for Wire<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.with_cells(|cells| {
            let mut map = serializer.serialize_map(None)?;
            let mut text = String::new();
            for (i, (cell, column)) in cells.iter().zip(T::COLUMNS).enumerate() {
                if cell.is_empty() {
                    continue;
                }
                text.clear();
                cell.put(column, &mut text);
                map.serialize_entry(&(i + 1), text.as_str())?;
            }
            map.end()
        })
    }
}

impl<'de, T: Row> Deserialize<'de> for Wire<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor(PhantomData))
    }
}

struct RowVisitor<T>(PhantomData<T>);

impl<'de, T: Row> Visitor<'de> for RowVisitor<T> {
    type Value = Wire<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of {} by column number", T::FILE)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut row = T::default();
        row.with_cells_mut(|cells| {
            while let Some((number, text)) = map.next_entry::<usize, Text<'de>>()? {
                let index = number.wrapping_sub(1);
                let (Some(cell), Some(column)) = (cells.get_mut(index), T::COLUMNS.get(index))
                else {
                    let message = format!("{} has no column {number}", T::FILE);
                    return Err(de::Error::custom(message));
                };
                cell.set(&text.0, column).map_err(|expected| {
                    let name = column.name;
                    de::Error::custom(format!("column `{name}` does not hold {expected}"))
                })?;
            }
            Ok(())
        })?;
        Ok(Wire(row))
    }
}

/// Text that is borrowed from the JSON where that is possible.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of a cell")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

fn wrap<T>(rows: Vec<T>) -> Vec<Wire<T>> {
    rows.into_iter().map(Wire).collect()
}

fn unwrap<T>(rows: Vec<Wire<T>>) -> Vec<T> {
    rows.into_iter().map(|row| row.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;
    use fonds_core::{Digest, ObjectId};

    fn item() -> Item {
        let id = ObjectId::parse("a").unwrap();
        let mut record = Record::new("a.tif", &id);
        record.title = "A \"quoted\"\ntitle".into();
        record.sha256 = Some(Digest::of(b"a"));
        record.status = Status::Failed;
        let page = record.page_row(2);
        Item {
            pages: vec![page],
            derivatives: vec![DerivativeRecord {
                filename: "a.tif".into(),
                path: "derivatives/a.tif.x.png".into(),
                ..Default::default()
            }],
            failures: vec![FailureRecord {
                filename: "a.tif".into(),
                error_code: Some(Code::Corrupt),
                retryable: true,
                ..Default::default()
            }],
            record,
        }
    }

    #[test]
    fn items_round_trip() {
        let entry = ItemEntry::from(item());
        let text = entry.to_json().unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(Item::from(ItemEntry::from_json(&text).unwrap()), item());
    }

    #[test]
    fn empty_cells_take_no_room() {
        let entry = ItemEntry::from(Item {
            record: Record {
                filename: "a".into(),
                ..Default::default()
            },
            ..Default::default()
        });
        assert_eq!(entry.to_json().unwrap(), r#"{"r":{"1":"a","60":"ok"}}"#);
    }

    #[test]
    fn bad_entries_are_errors_with_their_cause() {
        for (text, cause) in [
            ("", "EOF"),
            ("{}", "missing field `r`"),
            (r#"{"r":{},"x":1}"#, "unknown field `x`"),
            (r#"{"r":{"0":"a"}}"#, "no column 0"),
            (r#"{"r":{"900":"a"}}"#, "no column 900"),
            (r#"{"r":{"60":"fine"}}"#, "column `status`"),
            (r#"{"r":{"1":7}}"#, "the text of a cell"),
        ] {
            let error = ItemEntry::from_json(text).unwrap_err();
            assert!(error.detail().contains(cause), "{text}: {}", error.detail());
        }
    }
}
