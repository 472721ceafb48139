//! What passes between the threads of a run: the job a worker takes and the result it hands back.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fonds_catalog::{FailureRecord, Item, Reason, Record, Status};
use fonds_core::{Code, Error, ObjectId, RelPath};
use fonds_ingest::Stamp;

use crate::plan::Plan;
use crate::run::journal::{FileMark, Known};

/// All that the threads of one run share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) plan: Arc<Plan>,
    pub(super) plan_label: String,
    pub(super) plan_digest: String,
    pub(super) output: PathBuf,
    pub(super) run_id: String,
    pub(super) human: fonds_catalog::HumanMetadata,
    /// What people decided about derivatives.
    pub(super) review: fonds_catalog::Review,
    /// Reads sources and derivatives again instead of trusting size, time and inode.
    pub(super) verify: bool,
    /// Codes whose failures are tried again although nothing changed.
    pub(super) retry: Retry,
    pub(super) environment: fonds_catalog::provenance::Environment,
    /// Files that an earlier run was about to name when it died.
    pub(super) leftovers: HashSet<String>,
}

/// Which earlier failures are tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Retry {
    /// Those that may well succeed without any change (timeouts, full disks, vanished files).
    #[default]
    Retryable,
    /// All of them.
    All,
    /// The retryable ones and these.
    Codes(Vec<Code>),
}

impl Retry {
    /// Whether a failure with this code is tried again.
    pub(super) fn wants(&self, code: Code) -> bool {
        code.is_retryable()
            || match self {
                Self::Retryable => false,
                Self::All => true,
                Self::Codes(codes) => codes.contains(&code),
            }
    }
}

/// One file to do.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) path: RelPath,
    pub(super) on_disk: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) id: ObjectId,
    pub(super) known: Option<Known>,
    /// The file whose derivatives have the names that this one's would get.
    pub(super) meets: Option<String>,
    /// What earlier runs wrote for this file; filled when it is processed anew.
    pub(super) owned: Vec<String>,
}

/// A written file that does not have its final name.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) temp: PathBuf,
    /// The final path, relative to the output folder.
    pub(super) path: String,
    pub(super) digest: fonds_core::Digest,
    pub(super) file: File,
}

impl Drop for Pending {
    fn drop(&mut self) {
        // After the renaming there is nothing left under the temporary name; before it, what is
        // there belongs to a result that was given up.
        let removed = std::fs::remove_file(&self.temp);
        drop(removed);
    }
}

/// What a worker made of a job.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) path: String,
    pub(super) key: String,
    pub(super) source: Option<FileMark>,
    pub(super) item: Item,
    pub(super) failure: Option<(Code, String)>,
    /// Whether the results of an earlier run still hold; then nothing is to be written.
    pub(super) up_to_date: bool,
    pub(super) files: Vec<FileMark>,
    pub(super) pending: Vec<Pending>,
    /// What earlier results wrote.
    pub(super) owned: Vec<String>,
    pub(super) attempts: u32,
    pub(super) pixels: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    /// How long the work took that an earlier run did, when that still holds.
    pub(super) seconds: Option<f64>,
    /// Something was in the way of a derivative.
    pub(super) existing: bool,
}

impl Done {
    /// A result without anything in it.
    pub(super) fn new(job: &Job) -> Self {
        Self {
            path: job.path.as_str().to_owned(),
            key: String::new(),
            source: None,
            item: Item::default(),
            failure: None,
            up_to_date: false,
            files: Vec::new(),
            pending: Vec::new(),
            owned: job.owned.clone(),
            attempts: 0,
            pixels: 0,
            bytes: job.stamp.size,
            took: Duration::ZERO,
            seconds: None,
            existing: false,
        }
    }
}

/// The rows of a file that failed as a whole.
pub(super) fn failed_item(
    context: &Context,
    path: &RelPath,
    id: &ObjectId,
    size: u64,
    stage: &str,
    error: &Error,
) -> Item {
    let mut record = Record::new(path.as_str(), id);
    "record".clone_into(&mut record.display_template);
    record.file_size = Some(size);
    record.status = Status::Failed;
    record.error_code = Some(Reason::Error(error.code()));
    record.error_message = message(error);
    stamp_run(context, &mut record);
    let failures = vec![failure(context, &record, None, stage, error)];
    Item {
        record,
        failures,
        ..Item::default()
    }
}

/// A line for `failed.csv`.
pub(super) fn failure(
    context: &Context,
    record: &Record,
    page: Option<u32>,
    stage: &str,
    error: &Error,
) -> FailureRecord {
    FailureRecord {
        filename: record.filename.clone(),
        page,
        stage: stage.to_owned(),
        error_code: Some(error.code()),
        error_message: message(error),
        retryable: error.code().is_retryable(),
        attempts: Some(1),
        file_size: record.file_size,
        sha256: record.sha256,
        run_id: context.run_id.clone(),
        last_attempt: now(),
    }
}

/// What went wrong and what to do about it, on one line.
pub(super) fn message(error: &Error) -> String {
    let mut text = error.detail();
    for hint in error.hints() {
        text.push_str("; ");
        text.push_str(hint);
    }
    text
}

/// Notes which run made a row, and when.
pub(super) fn stamp_run(context: &Context, record: &mut Record) {
    record.pipeline.clone_from(&context.plan_label);
    record.run_id.clone_from(&context.run_id);
    record.processed_at = now();
}

/// The time of day in UTC, ISO 8601, to the second.
pub(super) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
