//! The folder of the report: pages, data, and the names of the pictures in it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Digest, Error, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::overview::Overview;
use super::read::{Picture, Version};
use super::script;
use super::sheet::Sheet;
use crate::atomic::write_file;
use crate::record::Record;
use crate::review::{ReviewRow, made_at};
use crate::row::{Cells, Row};
use crate::run_file::RunFile;

/// How many pictures share a file of details.
pub const PART: usize = 32;

/// The folder of the pictures in that of the report.
pub const PICTURES: &str = "pictures";

const DETAILS: &str = "details";
const DATA: &str = "data.js";
const SCHEMA: &str = "report/1";
/// How the data begin; a folder that has such a file is a report.
const DATA_START: &str = "window.fonds = {\"schema\":\"report/";

/// What the report says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReportFacts {
    /// What the archive is called.
    pub title: String,
    /// The way from the report's folder to the output root, as a relative URL with a final `/`; empty
    /// when there is none.
    pub output_url: String,
    /// The output root, for people.
    pub output: String,
    /// When the report was made, ISO 8601.
    pub made_at: String,
    /// The program and its version.
    pub agent: String,
    /// Remarks on `review.csv` and others, for the page.
    pub remarks: Vec<String>,
}

/// The pictures that stand for a picture of the archive: names in [`PICTURES`] without their folder
/// and ending, `None` for what could not be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The small one, a JPEG.
    pub thumb: Option<String>,
    /// Its sides in pixels.
    pub thumb_size: (u16, u16),
    /// The original, a JPEG.
    pub before: Option<String>,
    /// Why there is no picture of the original, for people.
    pub problem: Option<String>,
    /// What was made from it, in the order of [`Picture::versions`].
    pub versions: Vec<ShownVersion>,
}

/// The pictures that stand for a derivative.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownVersion {
    /// The derivative, a JPEG.
    pub after: Option<String>,
    /// The difference to the original, a gray PNG: the greatest difference of a channel.
    pub difference: Option<String>,
}

/// Writes the folder.
pub struct ReportWriter {
    target: PathBuf,
    sheet: Sheet,
    overview: Overview,
    part: Vec<Value>,
    reviews: Vec<[String; 8]>,
    parts: usize,
}

impl ReportWriter {
    /// Starts a report in a folder that is new, empty, or a report's.
    pub fn create(target: &Path) -> Result<Self> {
        check_target(target)?;
        for folder in [PICTURES, DETAILS] {
            let path = target.join(folder);
            fs::create_dir_all(&path).map_err(|error| unwritten(error, &path))?;
        }
        Ok(Self {
            target: target.to_owned(),
            sheet: Sheet::default(),
            overview: Overview::default(),
            part: Vec::new(),
            reviews: Vec::new(),
            parts: 0,
        })
    }

    /// Adds a picture; they come in the order of the catalog.
    pub fn push(&mut self, picture: &Picture, shown: &Shown) -> Result<()> {
        self.overview.count(self.sheet.len(), picture);
        self.sheet.push(picture, shown);
        for version in &picture.versions {
            self.reviews
                .extend(decided(picture, Some(version), version.review.as_ref()));
        }
        self.reviews
            .extend(decided(picture, None, picture.review.as_ref()));
        self.part.push(details(picture, shown));
        if self.part.len() == PART {
            self.write_part()?;
        }
        Ok(())
    }

    /// How many pictures were added.
    pub fn len(&self) -> usize {
        self.sheet.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the pages and what they share.
    pub fn finish(mut self, run: Option<&RunFile>, facts: &ReportFacts) -> Result<()> {
        if !self.part.is_empty() {
            self.write_part()?;
        }
        self.remove_old_parts()?;
        // Decisions are kept by the browser under a name that other outputs do not have.
        let place = run.map_or("", |run| run.input.as_str());
        let key = Digest::of(format!("{place}\n{}", facts.output).as_bytes()).prefix(16);
        let data = json!({
            "key": key,
            "count": self.sheet.len(),
            "part": PART,
            "output": facts.output_url,
            "reviews": self.reviews,
        });
        let data = script::json(&data)?;
        let sheet = script::json(&self.sheet)?;
        // The marker at the start is what tells a report's folder from others.
        let text = format!("{DATA_START}1\",\"data\":{data},\n\"sheet\":{sheet}}};\n");
        debug_assert!(text.contains(SCHEMA));
        write_file(&self.target.join(DATA), text.as_bytes())?;
        let page = self.overview.page(run, facts)?;
        for (name, text) in [
            ("report.css", include_str!("assets/report.css")),
            ("report.js", include_str!("assets/report.js")),
            ("index.html", page.as_str()),
        ] {
            write_file(&self.target.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    fn write_part(&mut self) -> Result<()> {
        let part = script::json(&self.part)?;
        let text = format!("window.fonds.part({},{part});\n", self.parts);
        let name = format!("{:05}.js", self.parts);
        write_file(&self.target.join(DETAILS).join(name), text.as_bytes())?;
        self.parts += 1;
        self.part.clear();
        Ok(())
    }

    /// An earlier report may have had more pictures.
    fn remove_old_parts(&self) -> Result<()> {
        let folder = self.target.join(DETAILS);
        let entries = fs::read_dir(&folder).map_err(|error| unwritten(error, &folder))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".js"));
            let number = number.and_then(|number| number.parse::<usize>().ok());
            if number.is_some_and(|number| number >= self.parts) {
                fs::remove_file(entry.path()).map_err(|error| unwritten(error, &entry.path()))?;
            }
        }
        Ok(())
    }
}

/// Whether a report may be written into a folder: it is new, empty, or has a report in it.
pub fn check_target(target: &Path) -> Result<()> {
    let refused = |message: &str| {
        Err(Error::new(Code::WriteFailed, message)
            .at_path(target)
            .hint("name a folder of its own for the report: --to FOLDER"))
    };
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(_) if target.is_file() => return refused("is a file"),
        Err(error) => return Err(unwritten(error, target)),
    };
    let names: HashSet<_> = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.file_name())
        .collect();
    // A report that was broken off has its folders and nothing else.
    let begun = [PICTURES, DETAILS].map(std::ffi::OsString::from);
    if names.iter().all(|name| begun.contains(name)) {
        return Ok(());
    }
    let mut start = vec![0; DATA_START.len()];
    let read = fs::File::open(target.join(DATA))
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    if read.is_ok() && start == DATA_START.as_bytes() {
        return Ok(());
    }
    refused("holds other files than a report's")
}

/// All that the page shows of one picture.
fn details(picture: &Picture, shown: &Shown) -> Value {
    let record = &picture.record;
    let versions = picture.versions.iter().enumerate().map(|(index, version)| {
        let shown = shown.versions.get(index).cloned().unwrap_or_default();
        let row = &version.row;
        json!({
            "output": row.output_id,
            "path": row.path,
            "made": made_at(&row.path),
            "sha256": row.sha256.map(|digest| digest.to_string()),
            "width": row.width,
            "height": row.height,
            "use": row.usage,
            "status": row.status.as_str(),
            "mask": version.is_mask(),
            "align": version.align.map(|align| align.0),
            "after": shown.after,
            "difference": shown.difference,
            "sidecar": version.sidecar,
        })
    });
    let failures = picture.failures.iter().map(|failure| {
        json!({
            "stage": failure.stage,
            "code": failure.error_code.map(Code::as_str),
            "message": failure.error_message,
            "retryable": failure.retryable,
            "attempts": failure.attempts,
        })
    });
    json!({
        "fields": fields(record),
        "page": picture.page,
        "sha256": picture.sha256.map(|digest| digest.to_string()),
        "before": shown.before,
        "problem": shown.problem,
        "versions": versions.collect::<Vec<_>>(),
        "failures": failures.collect::<Vec<_>>(),
    })
}

/// The cells of a row that are not empty, by the names of their columns.
fn fields(record: &Record) -> Value {
    record.with_cells(|cells| {
        let mut fields = Map::new();
        for (cell, column) in cells.iter().zip(Record::COLUMNS) {
            if !cell.is_empty() {
                let mut text = String::new();
                cell.put(column, &mut text);
                fields.insert(column.name.to_owned(), text.into());
            }
        }
        fields.into()
    })
}

/// A decision as a row of `review.csv`, in the order of its columns.
fn decided(
    picture: &Picture,
    version: Option<&Version>,
    row: Option<&ReviewRow>,
) -> Option<[String; 8]> {
    let row = row?;
    let decision = row.decision.map(crate::review::Decision::verb);
    let derivative = version.map(|version| made_at(&version.row.path));
    let digest = version.and_then(|version| version.row.sha256);
    Some([
        picture.record.objectid.clone(),
        picture.record.filename.clone(),
        derivative.unwrap_or_default(),
        digest.map(|digest| digest.to_string()).unwrap_or_default(),
        decision.unwrap_or_default().to_owned(),
        row.note.clone(),
        row.reviewer.clone(),
        row.date.clone(),
    ])
}

fn unwritten(error: std::io::Error, path: &Path) -> Error {
    Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
}
