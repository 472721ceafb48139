//! `docs/formats.md` says what the code does.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use fonds_catalog::provenance::EventType;
use fonds_catalog::{Column, ColumnKind, DerivativeRecord, FailureRecord, Record, Row, Status};
use fonds_core::{Code, Flag, Kind};

fn formats() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    fs::read_to_string(path).unwrap()
}

/// The reference of a table's columns, as it stands in the document.
fn table<T: Row>() -> String {
    let mut text = "| # | column | holds | meaning |\n|---|---|---|---|\n".to_owned();
    for (i, column) in T::COLUMNS.iter().enumerate() {
        let (name, holds) = (column.name, holds(column));
        let meaning = column.description;
        writeln!(text, "| {} | `{name}` | {holds} | {meaning} |", i + 1).unwrap();
    }
    text
}

fn holds(column: &Column) -> String {
    let kind = match column.kind {
        ColumnKind::Path => "path".to_owned(),
        ColumnKind::Id => "object id".to_owned(),
        ColumnKind::Text => "text".to_owned(),
        ColumnKind::Line => "one line".to_owned(),
        ColumnKind::List => "list".to_owned(),
        ColumnKind::Edtf => "EDTF date".to_owned(),
        ColumnKind::DateTime => "date and time".to_owned(),
        ColumnKind::Mime => "MIME type".to_owned(),
        ColumnKind::Uri | ColumnKind::Rights => "URI".to_owned(),
        ColumnKind::Location => "URL or path".to_owned(),
        ColumnKind::Integer { .. } => "whole number".to_owned(),
        ColumnKind::Number { decimals, .. } => format!("number, {decimals} decimals at most"),
        ColumnKind::Hex(digits) => format!("{digits} hexadecimal digits"),
        ColumnKind::Bool => "`true` or `false`".to_owned(),
        ColumnKind::Word(_) => "word".to_owned(),
        ColumnKind::Words(_) => "words".to_owned(),
        _ => "other".to_owned(),
    };
    let marks = [
        (column.required, ", required"),
        (column.unique, ", unique"),
        (column.volatile, ", *volatile*"),
    ];
    let marks = marks.into_iter().filter(|(marked, _)| *marked);
    marks.fold(kind, |text, (_, mark)| text + mark)
}

/// The document with what stands between the markers of a table replaced.
fn with_table<T: Row>(text: &str) -> String {
    let start = format!("<!-- generated: {} -->\n", T::FILE);
    let (before, rest) = text.split_once(&start).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{start}{}<!-- end -->{after}", table::<T>())
}

#[test]
fn the_columns_are_documented_as_they_are() {
    let text = formats();
    let expected = with_table::<Record>(&text);
    let expected = with_table::<DerivativeRecord>(&expected);
    let expected = with_table::<FailureRecord>(&expected);
    if text != expected {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("formats.md");
        fs::write(&path, expected).unwrap();
        panic!(
            "docs/formats.md is out of date; the right one is {}",
            path.display()
        );
    }
}

/// The cells of the table rows between two headings.
fn rows_under(heading: &str) -> Vec<Vec<String>> {
    let text = formats();
    let (_, section) = text.split_once(&format!("{heading}\n")).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('#'));
    let rows = lines.filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.trim_matches('|').split(" | ");
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    })
    .collect()
}

#[test]
fn every_code_is_documented_with_whose_move_it_is() {
    let documented: Vec<_> = rows_under("### Error codes")
        .into_iter()
        .map(|row| row[..3].to_vec())
        .collect();
    let expected = Code::ALL.map(|code| {
        let kind = match code.kind() {
            Kind::BadInput => "file",
            Kind::BadRequest => "request",
            Kind::TooLarge => "size",
            Kind::NotBuiltIn => "build",
            Kind::Environment => "environment",
            _ => "fonds",
        };
        let retryable = if code.is_retryable() { "yes" } else { "no" };
        [code.as_str(), kind, retryable].map(String::from).to_vec()
    });
    assert_eq!(documented, expected);
}

#[test]
fn every_flag_status_and_event_type_is_documented() {
    let documented: Vec<_> = rows_under("### Quality flags")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let flags: Vec<_> = Flag::ALL.iter().map(|flag| flag.as_str()).collect();
    assert_eq!(documented, flags);
    let text = formats().replace('\n', " ");
    for status in Status::ALL {
        assert!(
            text.contains(&format!("`{}`", status.as_str())),
            "{status:?}"
        );
    }
    for event in EventType::ALL {
        assert!(text.contains(&format!("`{}`", event.as_str())), "{event:?}");
    }
}
