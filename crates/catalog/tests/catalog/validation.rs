//! What `validate` finds, and that it finds nothing in what was written properly.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use fonds_catalog::{FileCheck, ValidateOptions, validate};
use fonds_core::Code;

use crate::support::{archive, write};

fn findings(root: &Path, files: FileCheck) -> Vec<String> {
    let options = ValidateOptions {
        files,
        ..Default::default()
    };
    let findings = validate(root, &options).unwrap();
    findings.iter().map(ToString::to_string).collect()
}

/// The tables of a small archive, written once.
static TABLES: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &archive(10));
    let names = ["catalog.csv", "derivatives.csv", "failed.csv"];
    let read = |name| (name, fs::read_to_string(root.path().join(name)).unwrap());
    names.into_iter().map(read).collect()
});

/// Replaces the first `from` in a table by `to`, and returns what is found then.
fn after(table: &str, from: &str, to: &str) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in TABLES.iter() {
        let path = root.path().join(name);
        if *name == table {
            assert!(text.contains(from), "{table} has no {from}");
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
        } else {
            fs::write(&path, text).unwrap();
        }
    }
    findings(root.path(), FileCheck::None)
}

#[test]
fn a_written_catalog_is_valid() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &archive(100));
    assert_eq!(findings(root.path(), FileCheck::Digest), [""; 0]);
    let catalog = root.path().join("catalog.csv");
    assert_eq!(findings(&catalog, FileCheck::Digest), [""; 0]);
    // Alone, as someone may have been sent it.
    let alone = root.path().join("alone");
    fs::create_dir(&alone).unwrap();
    fs::copy(&catalog, alone.join("catalog.csv")).unwrap();
    assert_eq!(
        findings(&alone.join("catalog.csv"), FileCheck::Exist),
        [""; 0]
    );
    assert_eq!(findings(&alone, FileCheck::Exist).len(), 2);
    let error = validate(&root.path().join("nowhere"), &ValidateOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::Unreadable);
}

/// Table, what is replaced, by what, and what is found then.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    (
        "catalog.csv",
        "filename,",
        "path,",
        "catalog.csv:1: error: column 1 is `path`",
    ),
    (
        "catalog.csv",
        // The 63rd and those after it may be: earlier versions had none.
        ",error_message,damaged_percent,review,review_note\n",
        "\n",
        "catalog.csv:1: error: column 62 is missing",
    ),
    (
        "catalog.csv",
        ",damaged_percent,review,review_note",
        ",damaged_percent,review,review_note,extra",
        "catalog.csv:1: warning: column 66 is not one of this version: `extra`",
    ),
    (
        "catalog.csv",
        "box-0-s000-0",
        "Box 0",
        "error: objectid: `Box 0` is not an object id",
    ),
    (
        "catalog.csv",
        "box-0-s000-0",
        "box-0-s271-9",
        "error: objectid: `box-0-s271-9` is there before",
    ),
    (
        "catalog.csv",
        ",failed,corrupt,",
        ",ok,corrupt,",
        "error: error_code: has a code, though nothing went wrong",
    ),
    (
        "catalog.csv",
        ",failed,corrupt,",
        ",failed,,",
        "error: error_code: does not say why the file failed",
    ),
    (
        "catalog.csv",
        ",failed,corrupt,",
        ",failed,clutter,",
        "error: error_code: is a reason to skip a file",
    ),
    (
        "catalog.csv",
        ",failed,corrupt,",
        ",skipped,corrupt,",
        "error: error_code: is an error, not a reason to skip",
    ),
    (
        "catalog.csv",
        ",failed,corrupt,",
        ",faild,corrupt,",
        "error: status: `faild` is not one of the column's words (is `failed` meant?)",
    ),
    (
        "catalog.csv",
        "run 2,,ok,,",
        "run 2,,failed,panic,",
        "error: derivative_path: is there, though the status is `failed`",
    ),
    (
        "catalog.csv",
        "one;two words,,,",
        "one;two words,,48.5,",
        "warning: longitude: is half of a pair",
    ),
    (
        "catalog.csv",
        ",\"title, of\n0\",",
        ",\"title, of\n0\",,\"x\",",
        "has 67 cells where the header has 65",
    ),
    (
        "catalog.csv",
        "_p0001,",
        "_p0009,",
        "error: pid: is not the object id",
    ),
    ("derivatives.csv", "box 1", "box 7", "error: filename: "),
    (
        "derivatives.csv",
        ",ok,\n",
        ",failed,\n",
        "error: status: is neither `ok` nor `warning`",
    ),
    (
        "derivatives.csv",
        "derivatives/",
        "../",
        "error: path: `../",
    ),
    (
        "derivatives.csv",
        "http://pcdm.org",
        "pcdm.org",
        "error: use: `pcdm.org/use#ServiceFile` is not an http URI",
    ),
    (
        "failed.csv",
        "box 0",
        "box 7",
        "error: status: is `failed`, and failed.csv has no line",
    ),
    ("failed.csv", ",corrupt,", ",panic,", ""),
    (
        "failed.csv",
        ",corrupt,",
        ",timeout,",
        "warning: retryable: is not what `timeout` means",
    ),
    (
        "failed.csv",
        ",decode,",
        ",,",
        "failed.csv:2: error: stage: is empty",
    ),
];

#[test]
fn each_kind_of_mistake_is_found() {
    let mut wrong = Vec::new();
    for &(table, from, to, expected) in MISTAKES {
        let found = after(table, from, to);
        let hit = match expected {
            "" => found.is_empty(),
            _ => found.iter().any(|finding| finding.contains(expected)),
        };
        if !hit {
            wrong.push(format!(
                "{table}: {from:?} → {to:?}: expected {expected}, found {found:#?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn references_between_rows_are_checked() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &archive(100));
    let path = root.path().join("catalog.csv");
    let text = fs::read_to_string(&path).unwrap();
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    let duplicate = rows.iter().position(|row| !row[45].is_empty()).unwrap();
    let page = rows.iter().position(|row| !row[2].is_empty()).unwrap();
    let file = (1..rows.len()).find(|i| !rows[*i][50].is_empty() && rows[i - 1][2].is_empty());
    let file = file.unwrap();
    for (row, column, value, expected) in [
        (
            duplicate,
            45,
            "nobody",
            "duplicate_of: there is no object `nobody`",
        ),
        (duplicate, 45, &rows[duplicate][1], "is not before this row"),
        (duplicate, 45, &rows[duplicate - 1][1], "has another digest"),
        (page, 2, "nobody", "parentid: there is no object `nobody`"),
        (page, 2, &rows[page][1], "parentid: is the object itself"),
        (page, 0, "box 0/x", "is a page of a file that has no row"),
        (
            file,
            0,
            &rows[file - 1][0],
            "filename: is there before, on line",
        ),
        (file, 0, "a", "filename: is out of order"),
        (
            file,
            51,
            &"0".repeat(64),
            "has another digest in derivatives.csv",
        ),
        (file, 51, "", "path and digest of a derivative go together"),
    ] {
        let mut writer = csv::Writer::from_path(&path).unwrap();
        writer.write_record(table.headers().unwrap()).unwrap();
        for (i, cells) in rows.iter().enumerate() {
            let change = |(j, cell)| if (i, j) == (row, column) { value } else { cell };
            writer
                .write_record(cells.iter().enumerate().map(change))
                .unwrap();
        }
        writer.flush().unwrap();
        let found = findings(root.path(), FileCheck::None);
        assert!(
            found.iter().any(|finding| finding.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
}

#[test]
fn lost_and_changed_files_are_found() {
    let root = tempfile::tempdir().unwrap();
    let items = archive(10);
    write(root.path(), &items);
    let mut written = items.iter().flat_map(|item| &item.derivatives);
    let (lost, changed) = (written.next().unwrap(), written.next().unwrap());
    fs::remove_file(root.path().join(&lost.path)).unwrap();
    fs::write(root.path().join(&changed.path), "changed").unwrap();
    assert_eq!(findings(root.path(), FileCheck::None).len(), 0);
    let exist = findings(root.path(), FileCheck::Exist);
    assert_eq!(exist.len(), 1);
    assert!(exist[0].contains("is not on the disk"));
    let digest = findings(root.path(), FileCheck::Digest);
    assert_eq!(digest.len(), 2);
    assert!(digest[1].contains("has the digest"));
}

#[test]
fn a_flood_is_cut() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &archive(50));
    fs::remove_dir_all(root.path().join("derivatives")).unwrap();
    let options = ValidateOptions {
        limit: 5,
        ..Default::default()
    };
    let found = validate(root.path(), &options).unwrap();
    assert_eq!(found.len(), 6);
    assert!(found[5].message.ends_with("more findings"));
}

#[test]
fn tables_that_are_no_tables() {
    let root = tempfile::tempdir().unwrap();
    for bytes in [
        &b""[..],
        b"\0\xff\xfe",
        b"filename\n\"",
        b"filename,objectid\na\xff,b\n",
    ] {
        fs::write(root.path().join("catalog.csv"), bytes).unwrap();
        match validate(root.path(), &ValidateOptions::default()) {
            Ok(found) => assert!(!found.is_empty(), "{bytes:?}"),
            Err(error) => assert_eq!(error.code(), Code::Corrupt),
        }
    }
}
