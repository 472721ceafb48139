//! The rows of `review.csv` as people and the report write them.

use std::path::Path;

use fonds_core::{Code, Digest, Error, Result};

use super::{Decision, Review, ReviewRow, made_at};
use crate::finding::{Finding, Severity};
use crate::formula::unescape_formula;
use crate::human::sheet;
use crate::near::nearest;
use crate::reader::failed;

/// The columns, as the report writes them.
const COLUMNS: [&str; 8] = [
    "objectid",
    "filename",
    "derivative",
    "sha256",
    "decision",
    "note",
    "reviewer",
    "date",
];

/// Reads all rows; those that cannot be understood become findings.
pub(super) fn read(text: &str, review: &mut Review) -> Result<()> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(sheet::delimiter(text))
        .flexible(true)
        .from_reader(text.as_bytes());
    let bad_csv = |error| failed(error, Path::new(&review.file));
    let header = reader.headers().map_err(bad_csv)?.clone();
    let columns = columns(&header, review)?;
    let mut cells = csv::StringRecord::new();
    let mut lines = sheet::Lines::of(text);
    loop {
        let more = reader.read_record(&mut cells);
        if !more.map_err(|error| failed(error, Path::new(&review.file)))? {
            return Ok(());
        }
        let line = lines.line(&cells);
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if cells.len() > header.len() {
            let message = format!(
                "has {} cells where the header has {}",
                cells.len(),
                header.len()
            );
            remark(
                review,
                line,
                None,
                message,
                "quote cells that hold the separator: `\"a, b\"`",
            );
            continue;
        }
        row(&columns, &cells, line, review);
    }
}

/// Which column each cell is for.
fn columns(header: &csv::StringRecord, review: &mut Review) -> Result<Vec<Option<usize>>> {
    let mut columns = Vec::new();
    for cell in header {
        let name = cell.trim().to_ascii_lowercase();
        let name = if name == "id" { "objectid" } else { &name };
        let found = COLUMNS.iter().position(|column| *column == name);
        if found.is_none() && !name.is_empty() {
            let message = format!("the column `{name}` is not used");
            let hint = match nearest(name, COLUMNS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are {}", COLUMNS.join(", ")),
            };
            remark(review, 1, None, message, &hint);
        }
        columns.push(found);
    }
    let has = |name: &str| {
        columns
            .iter()
            .flatten()
            .any(|column| COLUMNS[*column] == name)
    };
    if has("decision") && ["objectid", "filename", "derivative"].into_iter().any(has) {
        return Ok(columns);
    }
    let message = "has no column `decision` beside one of `objectid`, `filename` and `derivative`";
    Err(Error::new(Code::InvalidRequest, message)
        .on_line(1)
        .hint(format!(
            "the first line of a review is `{}`",
            COLUMNS.join(",")
        )))
}

fn row(columns: &[Option<usize>], cells: &csv::StringRecord, line: u32, review: &mut Review) {
    let cell = |name: &str| {
        let index = columns
            .iter()
            .position(|column| column.is_some_and(|column| COLUMNS[column] == name));
        let text = index.and_then(|index| cells.get(index)).unwrap_or_default();
        unescape_formula(text).into_owned()
    };
    let derivative = cell("derivative");
    let mut row = ReviewRow {
        line,
        objectid: cell("objectid").trim().to_owned(),
        filename: cell("filename"),
        derivative: if derivative.trim().is_empty() {
            String::new()
        } else {
            made_at(&derivative)
        },
        note: cell("note"),
        reviewer: cell("reviewer"),
        date: cell("date"),
        ..ReviewRow::default()
    };
    let names = [&row.derivative, &row.objectid, &row.filename];
    let Some(key) = names.into_iter().find(|name| !name.is_empty()).cloned() else {
        let message = "names neither a derivative nor an object nor a file".to_owned();
        let hint = "fill one of the first columns, or remove the line";
        return remark(review, line, None, message, hint);
    };
    let digest = cell("sha256");
    let digest = digest.trim();
    if !digest.is_empty() {
        row.sha256 = digest.parse::<Digest>().ok();
        if row.sha256.is_none() {
            review.unclear.insert(key, line);
            let message = format!("`{digest}` is not a SHA-256 of 64 hexadecimal digits");
            return remark(
                review,
                line,
                Some("sha256"),
                message,
                "empty the cell: the decision then holds for the picture that is there",
            );
        }
    }
    let decision = cell("decision");
    let decision = decision.trim();
    if !decision.is_empty() {
        row.decision = Decision::from_text(decision);
        if row.decision.is_none() {
            review.unclear.insert(key, line);
            let message = format!("`{decision}` is neither `approve` nor `reject`");
            let hint = match nearest(decision, ["approve", "reject"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `approve` or `reject`, or leave the cell empty".to_owned(),
            };
            return remark(review, line, Some("decision"), message, &hint);
        }
    }
    note(row, review);
}

/// Keeps a row; of two about the same picture the later one holds.
fn note(row: ReviewRow, review: &mut Review) {
    let index = review.rows.len();
    let (names, name) = if !row.derivative.is_empty() {
        (&mut review.by_derivative, &row.derivative)
    } else if !row.objectid.is_empty() {
        (&mut review.by_object, &row.objectid)
    } else {
        (&mut review.by_file, &row.filename)
    };
    review.unclear.remove(name);
    let before = names.insert(name.clone(), index);
    let (line, name) = (row.line, name.clone());
    review.rows.push(row);
    let Some(before) = before else { return };
    let (first, second) = (&review.rows[before], &review.rows[index]);
    if first.decision != second.decision {
        let message = format!(
            "decides otherwise of `{name}` than line {}; this one holds",
            first.line
        );
        remark(review, line, None, message, "remove one of the two lines");
    }
    // The row that no longer holds is not asked for, and that needs no remark of its own.
    review.rows[before].line = 0;
}

fn remark(review: &mut Review, line: u32, column: Option<&str>, message: String, hint: &str) {
    let finding = Finding::new(Severity::Warning, &review.file, line, message).hint(hint);
    review.findings.push(match column {
        Some(column) => finding.in_column(column),
        None => finding,
    });
}

#[cfg(test)]
mod tests {
    use super::super::REVIEW_FILE;
    use super::*;

    fn parsed(text: &str) -> (Vec<ReviewRow>, Vec<String>) {
        let review = Review::parse(text, REVIEW_FILE).unwrap();
        let findings = review.findings.iter().map(ToString::to_string).collect();
        (review.rows, findings)
    }

    #[test]
    fn what_the_report_and_spreadsheets_write() {
        let digest = Digest::of(b"x");
        let text = format!(
            "objectid,filename,derivative,sha256,decision,note,reviewer,date\n\
             a,a.tif,derivatives/a.png,{digest},approve,'=good,Anna,2026-11-25\n"
        );
        let (rows, findings) = parsed(&text);
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(rows[0].note, "=good");
        assert_eq!(rows[0].sha256, Some(digest));
        assert_eq!(rows[0].decision, Some(Decision::Approved));
        let (rows, findings) =
            parsed("ID;Decision;Note\r\n\r\na;Rejected;\"two\r\nlines\"\r\nb;;\r\n");
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((rows[0].line, rows[1].line), (3, 5));
        assert_eq!(rows[0].decision, Some(Decision::Rejected));
        assert_eq!(rows[1].decision, None);
    }

    #[test]
    fn bad_rows_are_named_with_their_lines() {
        let text = "objectid,sha256,decision,coment\n,,reject,\na,xyz,reject,\nb,,maybe,\n\
                    c,,reject,x,y\nd,,approve,\nd,,reject,\n";
        let (rows, findings) = parsed(text);
        assert_eq!(rows.len(), 2);
        let starts: Vec<_> = findings
            .iter()
            .map(|finding| finding.split(" (").next().unwrap())
            .collect();
        assert_eq!(
            starts,
            [
                "review.csv:1: warning: the column `coment` is not used",
                "review.csv:2: warning: names neither a derivative nor an object nor a file",
                "review.csv:3: warning: sha256: `xyz` is not a SHA-256 of 64 hexadecimal digits",
                "review.csv:4: warning: decision: `maybe` is neither `approve` nor `reject`",
                "review.csv:5: warning: has 5 cells where the header has 4",
                "review.csv:7: warning: decides otherwise of `d` than line 6; this one holds",
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_review_is_refused() {
        for text in ["", "a,b\n1,2\n", "objectid,note\n"] {
            let error = Review::parse(text, REVIEW_FILE).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest, "{text}");
            assert_eq!(error.hints().len(), 1);
        }
    }
}
