//! Whatever a row holds comes back from CSV and from JSON as it was.

use std::path::Path;

use fonds_catalog::{
    Column, ColumnKind, DerivativeRecord, FailureRecord, HumanMetadata, Item, ItemEntry,
    ItemReader, Record, Row, TableReader, Wire, put_header, put_row,
};
use fonds_core::{Code, Flag};
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{archive, write};

/// Text that a cell of this column can hold, or nothing.
fn cell(column: &Column) -> BoxedStrategy<String> {
    let some = match column.kind {
        ColumnKind::Path => "[^\0]{1,20}".boxed(),
        ColumnKind::Text => "([\"',; a\n\t\\\\]|\\PC){1,20}".boxed(),
        ColumnKind::List => "[a\", ä]{1,5}(;[a\", ä]{1,5}){0,3}".boxed(),
        ColumnKind::Integer { min, max } => {
            let max = max.min(200);
            (min..=max).prop_map(|value| value.to_string()).boxed()
        }
        ColumnKind::Number { min, max, .. } => {
            let (min, max) = (min.max(-1e6), max.min(1e6));
            (min..=max).prop_map(|value| value.to_string()).boxed()
        }
        ColumnKind::Hex(digits) => proptest::string::string_regex(&format!("[0-9a-f]{{{digits}}}"))
            .unwrap()
            .boxed(),
        ColumnKind::Bool => select(vec!["true", "false"]).prop_map(String::from).boxed(),
        ColumnKind::Word(words) => select(words()).prop_map(String::from).boxed(),
        ColumnKind::Words(words) => prop::collection::btree_set(select(words()), 0..4)
            .prop_map(|words| words.into_iter().collect::<Vec<_>>().join(";"))
            .boxed(),
        _ => "([\"',; a\\\\]|\\PC){1,20}".boxed(),
    };
    if column.name == "status" {
        return some;
    }
    prop_oneof![Just(String::new()), some].boxed()
}

fn row<T: Row + std::fmt::Debug>() -> impl Strategy<Value = T> {
    let cells: Vec<_> = T::COLUMNS.iter().map(cell).collect();
    cells.prop_map(|texts| {
        let mut row = T::default();
        row.with_cells_mut(|cells| {
            for ((cell, column), text) in cells.iter_mut().zip(T::COLUMNS).zip(texts) {
                cell.set(&text, column).unwrap();
            }
        });
        normal(&row)
    })
}

/// The row after it was written once: numbers rounded, list items trimmed.
fn normal<T: Row>(row: &T) -> T {
    let mut copy = T::default();
    let texts: Vec<String> = row.with_cells(|cells| {
        let cells = cells.iter().zip(T::COLUMNS);
        cells
            .map(|(cell, column)| {
                let mut text = String::new();
                cell.put(column, &mut text);
                text
            })
            .collect()
    });
    copy.with_cells_mut(|cells| {
        for ((cell, column), text) in cells.iter_mut().zip(T::COLUMNS).zip(texts) {
            cell.set(&text, column).unwrap();
        }
    });
    copy
}

fn through_csv<T: Row>(rows: &[T]) -> Vec<T> {
    let mut text = String::new();
    put_header::<T>(&mut text);
    for row in rows {
        put_row(row, &mut text);
    }
    let reader = TableReader::<T, _>::new(text.as_bytes(), Path::new("t")).unwrap();
    reader.map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records(rows in prop::collection::vec(row::<Record>(), 0..4)) {
        prop_assert_eq!(through_csv(&rows), rows);
    }

    #[test]
    fn derivatives(rows in prop::collection::vec(row::<DerivativeRecord>(), 0..4)) {
        prop_assert_eq!(through_csv(&rows), rows);
    }

    #[test]
    fn failures(rows in prop::collection::vec(row::<FailureRecord>(), 0..4)) {
        prop_assert_eq!(through_csv(&rows), rows);
    }

    #[test]
    fn entries(
        record in row::<Record>(),
        pages in prop::collection::vec(row::<Record>(), 0..3),
        derivatives in prop::collection::vec(row::<DerivativeRecord>(), 0..3),
        failures in prop::collection::vec(row::<FailureRecord>(), 0..3),
    ) {
        let item = Item { record, pages, derivatives, failures };
        let text = ItemEntry::from(item.clone()).to_json().unwrap();
        prop_assert_eq!(Item::from(ItemEntry::from_json(&text).unwrap()), item);
    }

    /// The journal and the table hold the same text, also of values that are not normal yet.
    #[test]
    fn the_journal_says_what_the_table_says(score in any::<f64>(), title in ".{0,20}") {
        let record = Record { blur_score: Some(score), title, ..Record::default() };
        let json = serde_json::to_string(&Wire(record.clone())).unwrap();
        let Wire(back): Wire<Record> = serde_json::from_str(&json).unwrap();
        let (mut direct, mut journalled) = (String::new(), String::new());
        put_row(&record, &mut direct);
        put_row(&back, &mut journalled);
        prop_assert_eq!(direct, journalled);
    }

    /// Bytes of any kind are rows or an error, never a panic.
    #[test]
    fn hostile_tables(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut text = String::new();
        put_header::<FailureRecord>(&mut text);
        let mut table = text.into_bytes();
        table.extend(bytes);
        if let Ok(reader) = TableReader::<FailureRecord, _>::new(&table[..], Path::new("t")) {
            for row in reader.take(100) {
                if let Err(error) = row {
                    prop_assert_eq!(error.code(), Code::Corrupt);
                }
            }
        }
    }

    #[test]
    fn hostile_dates(text in "\\PC{0,12}") {
        let _ = fonds_catalog::edtf::parse(&text);
    }

    #[test]
    fn hostile_dates_of_the_right_letters(text in "[0-9XYT:Z/.?~%+-]{0,20}") {
        if let Ok(date) = fonds_catalog::edtf::parse(&text) {
            prop_assert!(date.from <= date.to || date.to.is_none());
        }
    }
}

#[test]
fn the_tables_of_a_root_come_back_as_items() {
    let root = tempfile::tempdir().unwrap();
    let items = archive(60);
    write(root.path(), &items);
    let back: Vec<Item> = ItemReader::open(root.path())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(back.len(), items.len());
    for (mut back, item) in back.into_iter().zip(items) {
        back.record.duplicate_of.clear();
        let expected = Item {
            record: normal(&item.record),
            ..item
        };
        assert_eq!(back, expected);
    }
}

/// Someone who starts `metadata.csv` as a copy of the catalog has changed nothing yet.
#[test]
fn the_catalog_as_its_own_metadata_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mut items = archive(20);
    items[0]
        .record
        .quality_flags
        .insert(Flag::TitleFromFilename);
    write(root.path(), &items);
    let human = HumanMetadata::read(&root.path().join("catalog.csv")).unwrap();
    for row in TableReader::<Record>::open_in(root.path()).unwrap() {
        let row = row.unwrap();
        let mut copy = row.clone();
        human.apply(&mut copy);
        assert_eq!(copy, row);
    }
    assert!(human.unmatched().is_empty());
    let messages: Vec<_> = human
        .findings()
        .into_iter()
        .map(|found| found.message)
        .collect();
    assert_eq!(
        messages,
        [
            "`pid`, `file_size`, `sha256` and 36 more columns are filled by fonds and not taken from here"
        ]
    );
}

#[test]
fn tables_that_do_not_fit_together_are_an_error() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &archive(6));
    let path = root.path().join("derivatives.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [("box 0", "box 00"), ("box 2", "box 9")] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = ItemReader::open(root.path()).unwrap().find_map(Result::err);
        assert!(error.unwrap().message().contains("in the catalog"), "{to}");
    }
}

#[test]
fn flags_survive() {
    let record = Record {
        quality_flags: Flag::ALL.iter().copied().collect(),
        ..Record::default()
    };
    assert_eq!(through_csv(std::slice::from_ref(&record)), [record]);
}
