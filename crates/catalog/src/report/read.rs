//! An output read for the report: pictures with everything that is known of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use fonds_core::{Digest, Error, Result};
use serde_json::Value;

use super::align::Align;
use crate::finding::Finding;
use crate::provenance::{SIDECAR_SUFFIX, Sidecar};
use crate::reader::ItemReader;
use crate::record::{DerivativeRecord, FailureRecord, Item, Record};
use crate::review::{Decision, Review, ReviewRow, Ruling};
use crate::row::Row;
use crate::run_file::{RUN_FILE, RunFile};
use crate::transfer;

/// One picture of the contact sheet: a file of one page, or a page of a file of several.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Its row of the catalog.
    pub record: Record,
    /// The page of the file, counted from 1.
    pub page: u32,
    /// The digest of the file.
    pub sha256: Option<Digest>,
    /// What was made from it, without the small pictures for a web site.
    pub versions: Vec<Version>,
    /// What went wrong with it.
    pub failures: Vec<FailureRecord>,
    /// Seconds of work, where the journal knows; pages share those of their file equally.
    pub seconds: Option<f64>,
    /// What was decided about it as a whole, when nothing was made from it.
    pub review: Option<ReviewRow>,
}

/// A derivative of a picture.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its row.
    pub row: DerivativeRecord,
    /// How it came to be; `None` when there is no sidecar that can be read.
    pub sidecar: Option<Sidecar>,
    /// How it lies on its original; `None` when they cannot be compared place by place.
    pub align: Option<Align>,
    /// What was decided about it.
    pub review: Option<ReviewRow>,
}

impl Picture {
    /// Whether the original was decoded, so that it can be shown.
    pub fn is_shown(&self) -> bool {
        self.record.image_width.is_some() && self.sha256.is_some()
    }
}

impl Picture {
    /// Where its file lies in the archive.
    ///
    /// Fails when the catalog names a place outside.
    pub fn source_in(&self, archive: &Path) -> Result<PathBuf> {
        transfer::inside(archive, &self.record.filename)
    }
}

impl Version {
    /// Where it lies in an output root.
    ///
    /// Fails when the tables name a place outside.
    pub fn place_in(&self, output: &Path) -> Result<PathBuf> {
        transfer::inside(output, &self.row.path)
    }

    /// Whether it shows where damage was found, and not the picture itself.
    pub fn is_mask(&self) -> bool {
        let label = self
            .sidecar
            .as_ref()
            .and_then(|sidecar| sidecar.label.get("en"));
        label.is_some_and(|label| label.starts_with("Mask of damage"))
    }
}

/// Reads a finished output, file by file.
pub struct ReportReader {
    root: PathBuf,
    items: ItemReader,
    run: Option<RunFile>,
    review: Review,
    seconds: HashMap<String, f64>,
    problems: Vec<Error>,
}

impl ReportReader {
    /// Opens an output root.
    ///
    /// Fails when there is no catalog, or `review.csv` is no review. What else is missing (`run.json`,
    /// sidecars, the journal) is missing in the report, too.
    pub fn open(root: &Path) -> Result<Self> {
        let items = ItemReader::open(root).map_err(|error| {
            if root.join(Record::FILE).is_file() {
                error
            } else {
                error.hint("name the folder that `fonds run` wrote to with --out")
            }
        })?;
        let mut problems = Vec::new();
        let run = match read_run(root) {
            Ok(run) => Some(run),
            Err(error) => {
                problems.push(error);
                None
            }
        };
        Ok(Self {
            root: root.to_owned(),
            items,
            run,
            review: Review::read_in(root)?,
            seconds: seconds(root),
            problems,
        })
    }

    /// The record of the run, if it is there.
    pub fn run(&self) -> Option<&RunFile> {
        self.run.as_ref()
    }

    /// The pictures of the next file; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Vec<Picture>>> {
        let Some(item) = self.items.read()? else {
            return Ok(None);
        };
        Ok(Some(self.pictures(item)))
    }

    /// What could not be read although it should be there.
    pub fn take_problems(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.problems)
    }

    /// Remarks on `review.csv`, when everything was read.
    pub fn review_findings(&self) -> Vec<Finding> {
        self.review.findings()
    }

    fn pictures(&mut self, item: Item) -> Vec<Picture> {
        let Item {
            record,
            pages,
            derivatives,
            failures,
        } = item;
        let several = !pages.is_empty();
        let count = pages.len().max(1) as f64;
        let seconds = self.seconds.get(&record.filename);
        let seconds = seconds.map(|seconds| seconds / count);
        let (sha256, file_size) = (record.sha256, record.file_size);
        let rows = if several { pages } else { vec![record] };
        let pictures = rows.into_iter().map(|mut record| {
            record.file_size = file_size;
            let number = record.page();
            let of_page = |page: Option<u32>| !several || page.is_none() || page == number;
            let mine = derivatives.iter().filter(|row| {
                !row.is_for_site() && if several { row.page == number } else { true }
            });
            let versions: Vec<_> = mine
                .map(|row| version(&self.root, &record, row, &self.review, &mut self.problems))
                .collect();
            let ruling = self.review.of_object(&record);
            Picture {
                page: number.unwrap_or(1),
                sha256,
                review: versions.is_empty().then(|| row_of(ruling)).flatten(),
                versions,
                failures: failures
                    .iter()
                    .filter(|failure| of_page(failure.page))
                    .cloned()
                    .collect(),
                seconds,
                record,
            }
        });
        pictures.collect()
    }
}

fn version(
    root: &Path,
    record: &Record,
    row: &DerivativeRecord,
    review: &Review,
    problems: &mut Vec<Error>,
) -> Version {
    let sidecar = sidecar(root, row)
        .map_err(|error| problems.push(error))
        .ok();
    let size = record.image_width.zip(record.image_height);
    let align = sidecar
        .as_ref()
        .zip(size)
        .and_then(|(sidecar, (width, height))| Align::of(sidecar, width, height));
    Version {
        review: row_of(review.of(record, row)),
        row: row.clone(),
        sidecar,
        align,
    }
}

fn row_of(ruling: Ruling<'_>) -> Option<ReviewRow> {
    match ruling {
        Ruling::Row(row) if row.decision.is_some() || !row.note.is_empty() => Some(row.clone()),
        _ => None,
    }
}

fn sidecar(root: &Path, row: &DerivativeRecord) -> Result<Sidecar> {
    let path = transfer::inside(root, &format!("{}{SIDECAR_SUFFIX}", row.path))?;
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::from_io(error, fonds_core::Code::Unreadable, "cannot be read").at_path(&path)
    })?;
    Sidecar::from_json(&text).map_err(|error| error.at_path(&path))
}

fn read_run(root: &Path) -> Result<RunFile> {
    let path = root.join(RUN_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::from_io(error, fonds_core::Code::Unreadable, "cannot be read").at_path(&path)
    })?;
    RunFile::from_json(&text).map_err(|error| error.at_path(&path))
}

/// How long each file took, as the journal has it; nothing where there is no journal.
fn seconds(root: &Path) -> HashMap<String, f64> {
    let mut seconds = HashMap::new();
    let Ok(file) = File::open(root.join("events.jsonl")) else {
        return seconds;
    };
    for line in BufReader::with_capacity(1 << 20, file).split(b'\n') {
        let Ok(line) = line else { break };
        if !line.starts_with(b"{\"item\":") {
            continue;
        }
        let Ok(line) = serde_json::from_slice::<Timed>(&line) else {
            continue;
        };
        if let Some(took) = line.seconds {
            seconds.insert(line.item, took);
        }
    }
    seconds
}

/// The two fields of a journal's line that matter here.
#[derive(serde::Deserialize)]
struct Timed {
    item: String,
    #[serde(default)]
    seconds: Option<f64>,
}

/// The least likeness that a step left: structural similarity, and signal to noise in dB.
pub(super) fn likeness(picture: &Picture) -> (Option<f64>, Option<f64>) {
    let least = |name: &str| {
        let sidecars = picture
            .versions
            .iter()
            .filter_map(|version| version.sidecar.as_ref());
        let events = sidecars.flat_map(|sidecar| &sidecar.events);
        let acted = events.filter(|event| event.outcome == crate::provenance::EventOutcome::Pass);
        let figures = acted.filter_map(|event| event.compared.get(name).and_then(Value::as_f64));
        figures.reduce(f64::min)
    };
    (least("ssim"), least("psnr"))
}

/// The strongest thing that was decided about a picture.
pub(super) fn decision(picture: &Picture) -> Option<Decision> {
    let rows = picture
        .versions
        .iter()
        .map(|version| version.review.as_ref());
    let rows = rows.chain([picture.review.as_ref()]).flatten();
    rows.filter_map(|row| row.decision).max()
}
