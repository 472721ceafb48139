//! `review.csv`: what people decided about derivatives, in the report or by hand.

mod sheet;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use fonds_core::{Code, Digest, Error, Result};

use crate::cell::word_cell;
use crate::finding::{Finding, Severity};
use crate::record::{DerivativeRecord, Item, Record};

/// The name of the file in the output root.
pub const REVIEW_FILE: &str = "review.csv";

/// The folder in the output root in which rejected derivatives lie, in the archive's folders.
pub const REJECTED: &str = "rejected";

/// What a person decided about a derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// It is good.
    Approved,
    /// It is not to be used: it is set aside.
    Rejected,
}

impl Decision {
    const ALL: [Self; 2] = [Self::Approved, Self::Rejected];

    /// The word in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    /// The word in `review.csv`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Approved => "approve",
            Self::Rejected => "reject",
        }
    }

    /// The decision with this word, in the form of either file and in any case.
    pub fn from_text(text: &str) -> Option<Self> {
        let same = |decision: &Self| {
            text.eq_ignore_ascii_case(decision.as_str())
                || text.eq_ignore_ascii_case(decision.verb())
        };
        Self::ALL.into_iter().find(same)
    }

    /// All words of the tables, for the schema.
    pub(crate) fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).to_vec()
    }
}

word_cell!(Decision, "`approved` or `rejected`");

/// A row of `review.csv`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReviewRow {
    /// The line, counted from 1.
    pub line: u32,
    /// The object, which may be a page; empty when the file or the derivative says it.
    pub objectid: String,
    /// The path of the source, relative to the archive's root.
    pub filename: String,
    /// The path of the derivative as it was made, below `derivatives/`; empty when all of the object
    /// are meant.
    pub derivative: String,
    /// The derivative that was looked at; a decision holds for no other picture under its name.
    pub sha256: Option<Digest>,
    /// What was decided; `None` when there is but a note.
    pub decision: Option<Decision>,
    /// What was noted.
    pub note: String,
    /// Who decided.
    pub reviewer: String,
    /// When, ISO 8601.
    pub date: String,
}

/// What a review says about a derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling<'a> {
    /// Nothing.
    None,
    /// Something that cannot be understood, or that is about an earlier version of the picture: all
    /// stays as it is.
    Unclear,
    /// This.
    Row(&'a ReviewRow),
}

/// The decisions of `review.csv`.
///
/// Reading accepts what spreadsheets write, as for `metadata.csv`: a byte order mark, `\r\n`, `;` or
/// tab between cells, headers in any case. A row that cannot be understood is a finding and costs
/// nothing but itself. It may be shared between threads.
#[derive(Debug, Default)]
pub struct Review {
    file: String,
    rows: Vec<ReviewRow>,
    used: Vec<AtomicBool>,
    by_derivative: HashMap<String, usize>,
    by_object: HashMap<String, usize>,
    by_file: HashMap<String, usize>,
    /// Derivatives and objects whose rows were not understood.
    unclear: HashMap<String, u32>,
    findings: Vec<Finding>,
}

impl Review {
    /// Reads the file of an output root; no file, no decisions.
    ///
    /// Fails with [`Code::InvalidRequest`] when the file as a whole cannot be understood: it is no CSV
    /// in UTF-8, or has no column that names pictures or none that decides.
    pub fn read_in(root: &Path) -> Result<Self> {
        let path = root.join(REVIEW_FILE);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let bytes = std::fs::read(&path).map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&path)
        })?;
        let read = crate::human::sheet::text(&bytes);
        read.and_then(|text| Self::parse(text, REVIEW_FILE))
            .map_err(|error| error.at_path(&path))
    }

    /// Reads decisions from text; `file` is named in findings.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let mut review = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        sheet::read(text, &mut review)?;
        // Rows that a later one replaced have no line any more, and need no picture.
        let used = review.rows.iter().map(|row| AtomicBool::new(row.line == 0));
        review.used = used.collect();
        Ok(review)
    }

    /// The rows that were understood, in the order of the file.
    pub fn rows(&self) -> &[ReviewRow] {
        &self.rows
    }

    /// Whether nothing was decided.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.unclear.is_empty()
    }

    /// What is said about a derivative: by its own row, else by that of its page, else by that of its
    /// file.
    pub fn of(&self, record: &Record, row: &DerivativeRecord) -> Ruling<'_> {
        let path = made_at(&row.path);
        if self.unclear.contains_key(&path) {
            return Ruling::Unclear;
        }
        let found = self.by_derivative.get(&path).copied();
        let Some(index) = found else {
            return self.of_object(record);
        };
        let said = &self.rows[index];
        self.use_row(index);
        match said.sha256 {
            Some(digest) if row.sha256.is_some_and(|now| now != digest) => Ruling::Unclear,
            _ => Ruling::Row(said),
        }
    }

    /// What is said about a whole page or file, whatever was made from it.
    pub fn of_object(&self, record: &Record) -> Ruling<'_> {
        let ids = [&record.objectid, &record.parentid];
        for id in ids.into_iter().filter(|id| !id.is_empty()) {
            if self.unclear.contains_key(id.as_str()) {
                return Ruling::Unclear;
            }
            if let Some(&index) = self.by_object.get(id.as_str()) {
                self.use_row(index);
                return Ruling::Row(&self.rows[index]);
            }
        }
        match self.by_file.get(&record.filename) {
            Some(&index) => {
                self.use_row(index);
                Ruling::Row(&self.rows[index])
            }
            None => Ruling::None,
        }
    }

    /// Puts what was decided into the rows of a file, whose derivatives are named as they were made.
    ///
    /// `is_aside` says whether a derivative lies among the rejected ones now: that is where it stays
    /// when what is said of it cannot be understood. What is offered as an object's derivative in the
    /// catalog is no longer one that was rejected.
    pub fn apply(&self, item: &mut Item, is_aside: impl Fn(&str) -> bool) {
        let Item {
            record,
            pages,
            derivatives,
            ..
        } = item;
        let file = record.clone();
        let mut said: BTreeMap<u32, Said> = BTreeMap::new();
        for row in derivatives.iter_mut().filter(|row| !row.is_for_site()) {
            let number = row.page.unwrap_or(0);
            let page = pages.iter().find(|page| page.page() == row.page);
            let ruling = self.of(page.unwrap_or(&file), row);
            row.review = match ruling {
                Ruling::None => None,
                Ruling::Unclear => is_aside(&row.path).then_some(Decision::Rejected),
                Ruling::Row(said) => said.decision,
            };
            if row.review == Some(Decision::Rejected)
                && let Some(aside) = place_aside(&row.path)
            {
                row.path = aside;
            }
            said.entry(number).or_default().add(row.review, ruling);
        }
        for record in pages.iter_mut().chain([record]) {
            let mut found = said.remove(&record.page().unwrap_or(0)).unwrap_or_default();
            if found.is_empty() {
                let ruling = self.of_object(record);
                let decision = match ruling {
                    Ruling::Row(row) => row.decision,
                    _ => None,
                };
                found.add(decision, ruling);
            }
            record.review = found.decision;
            record.review_note = found.notes.join("\n");
            offer(record, derivatives);
        }
    }

    /// What was remarked on reading, and rows that no picture was found for.
    ///
    /// To be asked when every file has been looked at.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        for (row, used) in self.rows.iter().zip(&self.used) {
            if used.load(Ordering::Relaxed) {
                continue;
            }
            let (what, name) = if !row.derivative.is_empty() {
                ("derivative is named", &row.derivative)
            } else if !row.objectid.is_empty() {
                ("object has the id", &row.objectid)
            } else {
                ("file is named", &row.filename)
            };
            let message = format!("no {what} `{name}`");
            findings.push(
                Finding::new(Severity::Warning, &self.file, row.line, message)
                    .hint("remove the line, or take names from `fonds report` or derivatives.csv"),
            );
        }
        findings.sort_by_key(|finding| finding.line);
        findings
    }

    /// Remarks that a decision was not followed because it is about another version of a picture.
    pub fn outdated(&self, item: &Item) -> Vec<Finding> {
        let mut findings = Vec::new();
        for row in &item.derivatives {
            let Some(&index) = self.by_derivative.get(&made_at(&row.path)) else {
                continue;
            };
            let said = &self.rows[index];
            if let (Some(then), Some(now)) = (said.sha256, row.sha256)
                && then != now
            {
                let message = format!(
                    "was decided of `{}` with the digest {}…, which now is {}…",
                    said.derivative,
                    then.prefix(12),
                    now.prefix(12)
                );
                findings.push(
                    Finding::new(Severity::Warning, &self.file, said.line, message)
                        .hint("look at the new picture in `fonds report` and decide again"),
                );
            }
        }
        findings
    }

    fn use_row(&self, index: usize) {
        if let Some(used) = self.used.get(index) {
            used.store(true, Ordering::Relaxed);
        }
    }
}

/// What was said about the derivatives of one page.
#[derive(Default)]
struct Said {
    decision: Option<Decision>,
    notes: Vec<String>,
}

impl Said {
    fn add(&mut self, decision: Option<Decision>, ruling: Ruling<'_>) {
        // `Rejected` is the greater one: a page is rejected when one of its derivatives is.
        self.decision = self.decision.max(decision);
        if let Ruling::Row(row) = ruling
            && !row.note.is_empty()
            && !self.notes.contains(&row.note)
        {
            self.notes.push(row.note.clone());
        }
    }

    fn is_empty(&self) -> bool {
        self.decision.is_none() && self.notes.is_empty()
    }
}

/// Takes a rejected derivative out of the columns that offer it.
fn offer(record: &mut Record, derivatives: &[DerivativeRecord]) {
    let offered = &record.derivative_path;
    let rejected = derivatives
        .iter()
        .any(|row| row.is_set_aside() && made_at(&row.path) == *offered);
    if offered.is_empty() || !rejected {
        return;
    }
    record.derivative_path.clear();
    record.derivative_sha256 = None;
    record.derivative_use.clear();
    record.digital_source_type.clear();
    record.ai_system.clear();
    record.ai_system_version.clear();
}

/// Where a derivative lies once it is rejected; `None` for what is no derivative.
pub fn place_aside(path: &str) -> Option<String> {
    let rest = path.strip_prefix("derivatives/")?;
    Some(format!("{REJECTED}/{rest}"))
}

/// Where a derivative was made, wherever it lies now.
pub(crate) fn made_at(path: &str) -> String {
    match path.strip_prefix("rejected/") {
        Some(rest) => format!("derivatives/{rest}"),
        None => path.to_owned(),
    }
}

/// Whether a derivative lies among the rejected ones.
pub(crate) fn is_set_aside(path: &str) -> bool {
    path.starts_with("rejected/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::ObjectId;

    fn item() -> Item {
        let id = ObjectId::parse("a").unwrap();
        let mut record = Record::new("a.tif", &id);
        record.derivative_path = "derivatives/a.tif.restored.png".into();
        record.derivative_sha256 = Some(Digest::of(b"1"));
        record.ai_system = "net".into();
        let row = |name: &str, content: &[u8]| DerivativeRecord {
            filename: "a.tif".into(),
            path: format!("derivatives/a.tif.{name}.png"),
            sha256: Some(Digest::of(content)),
            ..Default::default()
        };
        let thumb = DerivativeRecord {
            filename: "a.tif".into(),
            path: "objects/thumbs/a_th.jpg".into(),
            ..Default::default()
        };
        Item {
            record,
            derivatives: vec![thumb, row("restored", b"1"), row("access", b"2")],
            ..Default::default()
        }
    }

    fn applied(text: &str) -> (Item, Vec<String>) {
        let review = Review::parse(text, REVIEW_FILE).unwrap();
        let mut item = item();
        let outdated = review.outdated(&item);
        review.apply(&mut item, |_| false);
        let findings = review.findings().into_iter().chain(outdated);
        (item, findings.map(|finding| finding.to_string()).collect())
    }

    #[test]
    fn a_rejected_derivative_is_set_aside_and_no_longer_offered() {
        let (item, findings) = applied(
            "derivative,decision,note\nderivatives/a.tif.restored.png,reject,\"too smooth, sadly\"\n",
        );
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(item.derivatives[0].review, None);
        assert_eq!(item.derivatives[1].path, "rejected/a.tif.restored.png");
        assert_eq!(item.derivatives[1].review, Some(Decision::Rejected));
        assert_eq!(item.derivatives[2].review, None);
        assert_eq!(item.record.review, Some(Decision::Rejected));
        assert_eq!(item.record.review_note, "too smooth, sadly");
        assert_eq!(item.record.derivative_path, "");
        assert_eq!(item.record.ai_system, "");
    }

    #[test]
    fn an_object_speaks_for_what_was_made_from_it() {
        for text in [
            "objectid,decision\na,reject\n",
            "filename;decision\r\na.tif;REJECTED\r\n",
        ] {
            let (item, findings) = applied(text);
            assert!(findings.is_empty(), "{findings:?}");
            let rejected = item.derivatives.iter().filter(|row| row.is_set_aside());
            assert_eq!(rejected.count(), 2, "{text}");
        }
        // The derivative's own row wins.
        let (item, _) = applied(
            "objectid,derivative,decision\na,,reject\na,rejected/a.tif.access.png,approve\n",
        );
        assert_eq!(item.derivatives[1].review, Some(Decision::Rejected));
        assert_eq!(item.derivatives[2].review, Some(Decision::Approved));
        assert_eq!(item.derivatives[2].path, "derivatives/a.tif.access.png");
    }

    #[test]
    fn a_decision_holds_for_the_picture_that_was_looked_at() {
        let row = |content: &[u8]| {
            format!(
                "derivative,sha256,decision\nderivatives/a.tif.restored.png,{},reject\n",
                Digest::of(content)
            )
        };
        let (item, findings) = applied(&row(b"1"));
        assert!(item.derivatives[1].is_set_aside() && findings.is_empty());
        let (item, findings) = applied(&row(b"other"));
        assert!(!item.derivatives[1].is_set_aside());
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("review.csv:2: warning: was decided of"));
    }

    #[test]
    fn what_cannot_be_understood_changes_nothing() {
        let text = "derivative,decision\nderivatives/a.tif.restored.png,rejekt\n\
                    derivatives/gone.png,reject\n";
        let review = Review::parse(text, REVIEW_FILE).unwrap();
        for aside in [false, true] {
            let mut item = item();
            review.apply(&mut item, |_| aside);
            assert_eq!(item.derivatives[1].is_set_aside(), aside);
            assert!(!item.derivatives[2].is_set_aside());
        }
        let findings: Vec<_> = review.findings().iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            [
                "review.csv:2: warning: decision: `rejekt` is neither `approve` nor `reject` \
                 (did you mean `reject`?)",
                "review.csv:3: warning: no derivative is named `derivatives/gone.png` \
                 (remove the line, or take names from `fonds report` or derivatives.csv)",
            ]
        );
    }

    #[test]
    fn places() {
        assert_eq!(
            place_aside("derivatives/a/b.png").unwrap(),
            "rejected/a/b.png"
        );
        assert_eq!(place_aside("objects/thumbs/a_th.jpg"), None);
        assert_eq!(made_at("rejected/a/b.png"), "derivatives/a/b.png");
        assert_eq!(made_at("derivatives/a/b.png"), "derivatives/a/b.png");
    }
}
