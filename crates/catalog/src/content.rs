//! What two runs must agree on: a table without the columns that tell one run from another.

use std::path::Path;

use fonds_core::Result;

use crate::reader::TableReader;
use crate::row::Row;
use crate::writer::quote_from;

/// Appends a row's cells without the volatile ones (run ids, times, attempts), as CSV.
pub fn put_content_row<T: Row>(row: &T, out: &mut String) {
    put_cells(row, &[], out);
}

/// The content of a table: its header and rows without the volatile columns, as CSV.
///
/// Equal plans over equal inputs give equal texts, whatever the threads, kills, resumes or shards.
pub fn content_text<T: Row>(path: &Path) -> Result<String> {
    let mut reader = TableReader::<T>::open(path)?;
    let names = T::COLUMNS.iter().filter(|column| !column.volatile);
    let names: Vec<_> = names.map(|column| column.name).collect();
    let mut text = names.join(",");
    text.push('\n');
    let mut row = T::default();
    while reader.read(&mut row)? {
        put_content_row(&row, &mut text);
    }
    Ok(text)
}

/// Like [`put_content_row`], also without the columns named.
pub(crate) fn put_cells<T: Row>(row: &T, without: &[&str], out: &mut String) {
    row.with_cells(|cells| {
        let mut first = true;
        for (cell, column) in cells.iter().zip(T::COLUMNS) {
            if column.volatile || without.contains(&column.name) {
                continue;
            }
            if !first {
                out.push(',');
            }
            first = false;
            let start = out.len();
            cell.put(column, out);
            quote_from(start, out);
        }
    });
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FailureRecord;
    use crate::writer::TableWriter;

    #[test]
    fn runs_and_times_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["one", "two"].map(|run| {
            let path = folder.path().join(run);
            let mut table = TableWriter::create::<FailureRecord>(&path).unwrap();
            let row = FailureRecord {
                filename: "a,b".into(),
                run_id: run.into(),
                last_attempt: run.into(),
                attempts: Some(run.len() as u32 + u32::from(run == "two")),
                ..Default::default()
            };
            table.push(&row).unwrap();
            table.commit().unwrap();
            content_text::<FailureRecord>(&path).unwrap()
        });
        assert_eq!(texts[0], texts[1]);
        assert_eq!(
            texts[0],
            "filename,page,stage,error_code,error_message,retryable,file_size,sha256\n\
             \"a,b\",,,,,false,,\n"
        );
    }
}
