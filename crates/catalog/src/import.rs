//! Bringing people's edits back into a catalog: from an export, or from the catalog itself, after
//! a spreadsheet program had it.
//!
//! Each cell is compared with what an export of the catalog would say now. What differs is an edit;
//! edits are put into the catalog and kept in `edits.csv` in the output root, which later runs read
//! after `metadata.csv`. When a single cell cannot be what its column holds, nothing is written:
//! the file stays the person's, and every mistake is named.

mod edits;
mod layout;
mod spreadsheet;

use std::collections::HashMap;
use std::path::Path;

use fonds_core::{Code, Error, Result};

use crate::assemble::CatalogWriter;
use crate::finding::{Finding, Severity};
use crate::formula::unescape_formula;
use crate::human::header::checked;
use crate::human::{INHERITED, put, sheet};
use crate::profiles::{Profile, cell_text};
use crate::reader::{ItemReader, failed};
use crate::record::{Item, Record};
use crate::row::Row;
use crate::validate::cells::{self, Remark};
use edits::Edits;
use layout::{Layout, Use};
use spreadsheet::Mangled;

/// The name of the file in the output root that keeps imported edits.
pub const EDITS_FILE: &str = "edits.csv";

/// How to import.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// The form of the file; found out from its header when it is not said.
    pub profile: Option<Profile>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What an import found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// What the file was taken for: a profile, or `catalog`.
    pub layout: &'static str,
    /// Rows of the file.
    pub rows: u64,
    /// Cells that differ from the catalog, in the order of the file.
    pub changes: Vec<Change>,
    /// Rows of the file whose object the catalog does not have; what they say is kept.
    pub vanished: u64,
    /// What a person should know; with an error among them nothing was written.
    pub findings: Vec<Finding>,
    /// Whether catalog and edits were written.
    pub written: bool,
}

/// A cell that a person changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The line of the file.
    pub line: u32,
    /// The object.
    pub objectid: String,
    /// The column of the catalog.
    pub column: &'static str,
    /// What the catalog says.
    pub from: String,
    /// What the person says.
    pub to: String,
}

impl ImportReport {
    /// Whether there is an error among the findings.
    pub fn has_errors(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.severity == Severity::Error)
    }
}

/// Merges the edits in a CSV file into the catalog of an output root.
///
/// Byte order marks, `\r\n`, and `,`, `;` or tab between the cells are understood. Fails when the
/// file is no CSV in UTF-8, or its header names no object; anything else is a finding.
pub fn import(file: &Path, output: &Path, options: ImportOptions) -> Result<ImportReport> {
    let bytes = std::fs::read(file)
        .map_err(|error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(file))?;
    let text = sheet::text(&bytes).map_err(|error| error.at_path(file))?;
    let mut import = Import::read(text, &file.display().to_string(), options.profile)
        .map_err(|error| error.at_path(file))?;
    let edits_path = output.join(EDITS_FILE);
    let mut edits = Edits::read(&edits_path)?;
    let mut items = ItemReader::open(output)?;
    while let Some(item) = items.read()? {
        for record in std::iter::once(&item.record).chain(&item.pages) {
            import.compare(record, &mut edits);
        }
    }
    import.keep_vanished(&mut edits);
    let report = import.finish();
    if report.has_errors() || options.dry_run {
        return Ok(report);
    }
    if report.changes.is_empty() && report.vanished == 0 {
        return Ok(report);
    }
    // The edits come first: with them a later run makes the same catalog again.
    edits.write(&edits_path)?;
    apply(output, &report.changes)?;
    Ok(ImportReport {
        written: true,
        ..report
    })
}

/// Writes the catalog anew with the changes.
fn apply(output: &Path, changes: &[Change]) -> Result<()> {
    let mut by_id: HashMap<&str, Vec<(usize, String)>> = HashMap::new();
    for change in changes {
        let column = crate::profiles::column_index(change.column);
        let values = by_id.entry(&change.objectid).or_default();
        values.push((column, change.to.clone()));
    }
    let mut items = ItemReader::open(output)?;
    let mut writer = CatalogWriter::create(output)?;
    while let Some(mut item) = items.read()? {
        if let Some(values) = by_id.get(item.record.objectid.as_str()) {
            change_file(&mut item, values);
        }
        for page in &mut item.pages {
            if let Some(values) = by_id.get(page.objectid.as_str()) {
                put(page, values.iter());
            }
        }
        writer.push(item)?;
    }
    writer.finish().map(drop)
}

/// Changes the row of a file, and those of its pages that said the same as the file.
fn change_file(item: &mut Item, values: &[(usize, String)]) {
    for value in values {
        let (column, _) = *value;
        if INHERITED.contains(&Record::COLUMNS[column].name) {
            let before = cell_text(&item.record, column);
            for page in &mut item.pages {
                if cell_text(page, column) == before {
                    put(page, std::iter::once(value));
                }
            }
        }
    }
    put(&mut item.record, values.iter());
}

/// A file with edits, being compared with the catalog.
struct Import {
    file: String,
    layout: Layout,
    rows: Vec<ImportRow>,
    by_id: HashMap<String, usize>,
    by_path: HashMap<String, usize>,
    /// Rows in which a column is empty that the catalog fills: how many, and the first line.
    emptied: Counted,
    /// Rows in which a column differs that fonds fills itself.
    measured: Counted,
    report: ImportReport,
}

/// By column: how many rows, and the first line.
type Counted = HashMap<usize, (u64, u32)>;

struct ImportRow {
    line: u32,
    key: String,
    /// The text of each used column, as it stands in the cell.
    cells: Vec<(usize, String)>,
    met: bool,
}

impl Import {
    fn read(text: &str, file: &str, profile: Option<Profile>) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(sheet::delimiter(text))
            .flexible(true)
            .from_reader(text.as_bytes());
        let bad_csv = |error| failed(error, Path::new(file));
        let header = reader.headers().map_err(bad_csv)?.clone();
        let (layout, findings) = Layout::find(&header, profile, file)?;
        let mut import = Self {
            file: file.to_owned(),
            rows: Vec::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            emptied: HashMap::new(),
            measured: HashMap::new(),
            report: ImportReport {
                layout: layout.name,
                findings,
                ..ImportReport::default()
            },
            layout,
        };
        let mut cells = csv::StringRecord::new();
        let mut lines = sheet::Lines::of(text);
        while reader.read_record(&mut cells).map_err(bad_csv)? {
            import.add(&cells, lines.line(&cells), header.len());
        }
        Ok(import)
    }

    fn add(&mut self, cells: &csv::StringRecord, line: u32, width: usize) {
        let blank = cells.iter().all(|cell| cell.trim().is_empty());
        if blank {
            return;
        }
        self.report.rows += 1;
        if cells.iter().skip(width).any(|cell| !cell.trim().is_empty()) {
            let message = format!("has {} cells where the header has {width}", cells.len());
            let finding = Finding::new(Severity::Error, &self.file, line, message);
            let hint = "quote cells that contain the separator";
            self.report.findings.push(finding.hint(hint));
            return;
        }
        let (key, cells) = self.layout.row(cells);
        if key.is_empty() {
            let message = format!(
                "does not say which object it is about: `{}` is empty",
                self.layout.key
            );
            self.error(line, message);
            return;
        }
        let map = if self.layout.by_path {
            &mut self.by_path
        } else {
            &mut self.by_id
        };
        let row = ImportRow {
            line,
            key: key.clone(),
            cells,
            met: false,
        };
        match map.get(&key) {
            None => {
                map.insert(key, self.rows.len());
                self.rows.push(row);
            }
            Some(first) => {
                let first = &self.rows[*first];
                let message = format!("`{key}` is there twice, first on line {}", first.line);
                let same = first.cells == row.cells;
                let severity = if same {
                    Severity::Warning
                } else {
                    Severity::Error
                };
                let finding = Finding::new(severity, &self.file, line, message);
                self.report.findings.push(if same {
                    finding
                } else {
                    finding.hint("keep one of the two lines")
                });
            }
        }
    }

    /// Compares a row of the catalog with the file's.
    fn compare(&mut self, record: &Record, edits: &mut Edits) {
        let index = if self.layout.by_path {
            let page = record.page().is_some();
            self.by_path.get(&record.filename).filter(|_| !page)
        } else {
            self.by_id.get(&record.objectid)
        };
        let Some(&index) = index else {
            return;
        };
        self.rows[index].met = true;
        let line = self.rows[index].line;
        for (used, cell) in std::mem::take(&mut self.rows[index].cells) {
            let Some(column) = self.layout.uses[used].column() else {
                continue;
            };
            match read_cell(&self.layout.uses[used], &cell, record) {
                Ok(None) => {}
                Ok(Some((to, remark))) => {
                    if let Some(remark) = remark {
                        self.remark(line, column, remark.severity, remark.message, remark.hint);
                    }
                    edits.set(record, column, &to);
                    self.report.changes.push(Change {
                        line,
                        objectid: record.objectid.clone(),
                        column: Record::COLUMNS[column].name,
                        from: cell_text(record, column),
                        to,
                    });
                }
                Err(Problem::Emptied) => count(&mut self.emptied, column, line),
                Err(Problem::Measured) => count(&mut self.measured, column, line),
                Err(Problem::Remark(severity, message, hint)) => {
                    self.remark(line, column, severity, message, hint);
                }
            }
        }
    }

    fn remark(
        &mut self,
        line: u32,
        column: usize,
        severity: Severity,
        message: String,
        hint: Option<String>,
    ) {
        let finding = Finding::new(severity, &self.file, line, message);
        let finding = finding.in_column(Record::COLUMNS[column].name);
        self.report.findings.push(match hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        });
    }

    /// Keeps what is said of objects that the catalog does not have.
    fn keep_vanished(&mut self, edits: &mut Edits) {
        let by_path = self.layout.by_path;
        for row in self.rows.iter().filter(|row| !row.met) {
            self.report.vanished += 1;
            let message = format!("the catalog has no `{}`", row.key);
            let finding = Finding::new(Severity::Warning, &self.file, row.line, message);
            self.report.findings.push(finding.hint(format!(
                "what the row says is kept in {EDITS_FILE} for the case that the file comes back"
            )));
            for (used, cell) in &row.cells {
                let used = &self.layout.uses[*used];
                let (Some(column), false) = (used.column(), cell.is_empty()) else {
                    continue;
                };
                if let (true, Ok((text, _))) =
                    (used.is_described(), check(column, &used.take(cell)))
                {
                    edits.set_unmatched(&row.key, by_path, column, &text);
                }
            }
        }
    }

    fn error(&mut self, line: u32, message: String) {
        let finding = Finding::new(Severity::Error, &self.file, line, message);
        self.report.findings.push(finding);
    }

    fn finish(mut self) -> ImportReport {
        for (counted, one, many) in [
            (
                &self.emptied,
                "is empty where the catalog has a value, which stays",
                "rows are empty where the catalog has values, which stay",
            ),
            (
                &self.measured,
                "is filled by fonds, and the change is not taken",
                "rows differ in what fonds fills itself, and these changes are not taken",
            ),
        ] {
            for (column, (count, line)) in counted {
                let message = if *count == 1 {
                    one.to_owned()
                } else {
                    format!("{count} {many}")
                };
                let finding = Finding::new(Severity::Warning, &self.file, *line, message);
                let finding = finding.in_column(Record::COLUMNS[*column].name);
                self.report.findings.push(finding);
            }
        }
        self.report
            .findings
            .sort_by(|a, b| (a.line, &a.column, &a.message).cmp(&(b.line, &b.column, &b.message)));
        self.report.changes.sort_by_key(|change| change.line);
        self.report
    }
}

fn count(counted: &mut Counted, column: usize, line: u32) {
    let (count, _) = counted.entry(column).or_insert((0, line));
    *count += 1;
}

/// The new text of a cell, possibly with a remark.
type Edit = (String, Option<Remark>);

/// Why a cell is not simply an edit.
enum Problem {
    Emptied,
    Measured,
    Remark(Severity, String, Option<String>),
}

/// What a person wrote into a cell; `None` when it says what the catalog says.
fn read_cell(used: &Use, cell: &str, record: &Record) -> Result<Option<Edit>, Problem> {
    let Some(index) = used.column() else {
        return Ok(None);
    };
    let column = &Record::COLUMNS[index];
    let current = cell_text(record, index);
    let shown = used.put(&current);
    let same_items = used.is_repeated() && spreadsheet::same_items(cell, &shown);
    if same_items || spreadsheet::same(cell, &shown, column) {
        return Ok(None);
    }
    if !used.is_described() {
        return Err(Problem::Measured);
    }
    if cell.is_empty() {
        return Err(Problem::Emptied);
    }
    match spreadsheet::mangled(cell, &shown, column) {
        Some(Mangled::Same(message)) => {
            return Err(Problem::Remark(Severity::Warning, message, None));
        }
        Some(Mangled::Lost(message)) => {
            let hint = "format the column as text before the file is opened or pasted";
            return Err(Problem::Remark(
                Severity::Error,
                message,
                Some(hint.to_owned()),
            ));
        }
        None => {}
    }
    let text = used.take(cell);
    if spreadsheet::same(&text, &current, column) {
        return Ok(None);
    }
    check(index, &text).map(Some)
}

/// The text, once it is known that the column holds such, possibly with a remark.
fn check(index: usize, text: &str) -> Result<Edit, Problem> {
    let column = &Record::COLUMNS[index];
    let text = checked(column, text).map_err(|error| {
        let hint = error.hints().first().cloned();
        let message = error.message();
        let prefix = format!("column `{}`: ", column.name);
        let message = message.strip_prefix(&prefix).unwrap_or(message);
        Problem::Remark(Severity::Error, message.to_owned(), hint)
    })?;
    match cells::check(column, &text) {
        Some(remark) if remark.severity == Severity::Error => Err(Problem::Remark(
            Severity::Error,
            remark.message,
            remark.hint,
        )),
        remark => Ok((text, remark)),
    }
}

/// The text of a cell as a person sees it.
fn plain(cell: &str) -> String {
    // A spreadsheet program's line ends, before what stands after a line break is looked at.
    let text = cell.replace("\r\n", "\n").replace('\r', "\n");
    unescape_formula(&text).trim().to_owned()
}
