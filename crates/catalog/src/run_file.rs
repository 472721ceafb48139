//! `run.json`: what a run was asked, what it did, how long it took.

use std::collections::BTreeMap;

use fonds_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::assemble::CatalogSummary;
use crate::provenance::{Agent, DigestWire, Environment, Model};
use crate::status::Status;

/// The name of the file in the output root.
pub const RUN_FILE: &str = "run.json";

/// The value of the file's `schema`.
pub const RUN_SCHEMA: &str = "run/1";

/// The content of `run.json`; none of it is content in the sense of equal runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFile {
    /// [`RUN_SCHEMA`].
    pub schema: String,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Agent>,
    /// The run's id.
    pub run_id: String,
    /// When it began, ISO 8601 in UTC.
    pub started_at: String,
    /// When it ended, ISO 8601 in UTC.
    pub finished_at: String,
    /// The command line.
    pub argv: Vec<String>,
    /// The archive's root, as given.
    pub input: String,
    /// The pipeline's name.
    pub plan: String,
    /// The digest of the resolved configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<DigestWire>,
    /// The part of the archive that this run took; absent when it took all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How many files ended how.
    pub counts: Counts,
    /// Seconds by stage; stages run at the same time, so that the parts exceed `total`.
    pub timings: BTreeMap<String, f64>,
    /// The most memory that the process held, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// The machine.
    pub environment: Environment,
    /// The networks used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Model>,
    /// Files that systems left behind, by path.
    pub clutter: Vec<String>,
    /// What a person should know about the run as a whole.
    pub warnings: Vec<String>,
    /// The runs that a merged catalog was joined from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<String>,
    /// The exit code of the process.
    pub exit_code: i32,
}

/// A part of an archive: number `index` of `count`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 1.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

/// How many files ended how, and how many rows were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the statuses and the tables")]
pub struct Counts {
    pub files: u64,
    pub ok: u64,
    pub warning: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub pages: u64,
    pub derivatives: u64,
    pub duplicates: u64,
}

impl RunFile {
    /// The file as it is written: indented JSON with a final line feed.
    pub fn to_json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| {
            Error::new(Code::Internal, "cannot write run.json").caused_by(error)
        })?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a file.
    ///
    /// Fails with [`Code::Corrupt`] when the text is not one, or of another schema.
    pub fn from_json(text: &str) -> Result<Self> {
        let run: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(Code::Corrupt, "is not the record of a run").caused_by(error)
        })?;
        if run.schema == RUN_SCHEMA {
            return Ok(run);
        }
        let message = format!("has the schema `{}`, not `{RUN_SCHEMA}`", run.schema);
        Err(Error::new(Code::Corrupt, message))
    }
}

impl From<&CatalogSummary> for Counts {
    fn from(summary: &CatalogSummary) -> Self {
        let files = &summary.files;
        Self {
            files: files.total(),
            ok: files.get(Status::Ok),
            warning: files.get(Status::Warning),
            unchanged: files.get(Status::Unchanged),
            skipped: files.get(Status::Skipped),
            failed: files.get(Status::Failed),
            cancelled: files.get(Status::Cancelled),
            pages: summary.pages,
            derivatives: summary.derivatives,
            duplicates: summary.duplicates,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_foreign_files() {
        let run = RunFile {
            schema: RUN_SCHEMA.into(),
            run_id: "r".into(),
            shard: Some(Shard { index: 2, count: 3 }),
            timings: BTreeMap::from([("total".into(), 1.5)]),
            ..Default::default()
        };
        let text = run.to_json().unwrap();
        assert_eq!(RunFile::from_json(&text).unwrap(), run);
        // A later version may add fields.
        let newer = text.replacen('{', "{\"new\": 1,", 1);
        assert_eq!(RunFile::from_json(&newer).unwrap(), run);
        for text in ["", "{}", "[1]", "{\"schema\": \"run/2\"}"] {
            assert_eq!(RunFile::from_json(text).unwrap_err().code(), Code::Corrupt);
        }
    }
}
