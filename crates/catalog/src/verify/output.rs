//! Proving an output root: rows against files, sidecars against pictures, originals against both.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Digest, Error, RelPath, Result};

use super::{Proof, VerifyReport};
use crate::bagit::is_packed;
use crate::finding::{Finding, Severity};
use crate::folder;
use crate::provenance::{SIDECAR_SUFFIX, Sidecar};
use crate::reader::ItemReader;
use crate::record::{DerivativeRecord, Item};
use crate::review::made_at;
use crate::row::Row;
use crate::run_file::{Counts, RUN_FILE, RunFile};
use crate::schema::catalog_schema;
use crate::status::Status;
use crate::transfer;
use crate::validate::{FileCheck, ValidateOptions, validate};

/// Files of the tables are looked at in groups, so that memory does not grow with the catalog.
const GROUP: usize = 2048;

pub(super) fn check(
    root: &Path,
    archive: Option<&Path>,
    is_bag: bool,
    proof: &mut Proof,
    report: &mut VerifyReport,
) -> Result<()> {
    let options = ValidateOptions {
        files: FileCheck::Exist,
        ..ValidateOptions::default()
    };
    report.findings.extend(validate(root, &options)?);
    let run = run_file(root, report);
    let named = run.as_ref().map(|run| PathBuf::from(&run.input));
    let archive = match archive {
        Some(archive) => Some(archive.to_owned()),
        None if is_bag => None,
        None => named.filter(|input| !input.as_os_str().is_empty() && input.is_dir()),
    };
    if archive.is_none() {
        let message = "the originals were not checked: their folder is not known or not there";
        let finding = Finding::new(Severity::Warning, RUN_FILE, 0, message);
        report.findings.push(if is_bag {
            finding.hint("pack with --archive to have them in the bag")
        } else {
            finding.hint("give it with --archive")
        });
    }
    let mut check = Check {
        root,
        archive: archive.as_deref(),
        is_bag,
        proof,
        report,
        listed: HashSet::new(),
        counts: Counts::default(),
    };
    // Without all rows nothing can be said of what they do not name.
    if check.items()? {
        check.unlisted()?;
        if let Some(run) = run {
            check.counts(&run);
        }
    }
    schema(root, report);
    Ok(())
}

struct Check<'a> {
    root: &'a Path,
    archive: Option<&'a Path>,
    is_bag: bool,
    proof: &'a mut Proof,
    report: &'a mut VerifyReport,
    /// The files that tables and sidecars account for.
    listed: HashSet<String>,
    counts: Counts,
}

impl Check<'_> {
    /// Looks at every item; `false` when the tables could not be read to their end, and the
    /// findings of the tables say why.
    fn items(&mut self) -> Result<bool> {
        let mut items = match ItemReader::open(self.root) {
            Ok(items) => items,
            Err(error) if is_told(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut group = Vec::new();
        let mut whole = true;
        loop {
            let item = match items.read() {
                Ok(item) => item,
                Err(error) if is_told(&error) => {
                    whole = false;
                    self.error("catalog.csv", error.to_string());
                    None
                }
                Err(error) => return Err(error),
            };
            let last = item.is_none();
            group.extend(item);
            if last || group.len() == GROUP {
                self.group(&group);
                group.clear();
            }
            if last {
                return Ok(whole);
            }
        }
    }

    fn group(&mut self, items: &[Item]) {
        let mut paths = Vec::new();
        for item in items {
            let derivatives = item.derivatives.iter();
            paths.extend(derivatives.filter_map(|row| self.place(&row.path)));
            paths.extend(self.source(item));
        }
        self.proof.read(paths);
        for item in items {
            self.item(item);
        }
    }

    fn item(&mut self, item: &Item) {
        self.count(item);
        for row in &item.derivatives {
            self.derivative(item, row);
        }
        let record = &item.record;
        let Some(archive) = self.archive.filter(|_| !self.is_bag || is_packed(record)) else {
            return;
        };
        let path = archive.join(&record.filename).display().to_string();
        let Some(place) = self.source(item) else {
            return self.error(path, "is not a path of the archive");
        };
        match self.proof.of(&place) {
            None if place.exists() => {}
            None => self.error(path, "is missing, and the catalog has a row for it"),
            Some(Err(error)) => {
                let message = error.message().to_owned();
                self.error(path, message);
            }
            Some(Ok(found)) => match record.sha256 {
                Some(digest) if digest != found.sha256 => {
                    let message = changed(digest, found.sha256, "catalog.csv");
                    self.error(path, message);
                }
                Some(_) => self.report.sources += 1,
                None => {}
            },
        }
    }

    fn derivative(&mut self, item: &Item, row: &DerivativeRecord) {
        self.listed.insert(row.path.clone());
        let Some(place) = self.place(&row.path) else {
            return;
        };
        match self.proof.of(&place) {
            // The check of the tables has said it.
            None => {}
            Some(Err(error)) => {
                let message = error.message().to_owned();
                self.error(&row.path, message);
            }
            Some(Ok(found)) => match row.sha256 {
                Some(digest) if digest != found.sha256 => {
                    let message = changed(digest, found.sha256, DerivativeRecord::FILE);
                    self.error(&row.path, message);
                }
                _ => self.report.derivatives += 1,
            },
        }
        if !row.is_for_site() {
            self.sidecar(item, row);
        }
    }

    /// The sidecar is there and says what picture, row and original say.
    fn sidecar(&mut self, item: &Item, row: &DerivativeRecord) {
        let path = format!("{}{SIDECAR_SUFFIX}", row.path);
        self.listed.insert(path.clone());
        let Some(place) = self.place(&path) else {
            return;
        };
        let text = match std::fs::read_to_string(&place) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return self.error(path, "is missing: the derivative has no sidecar");
            }
            Err(_) => return self.error(path, "cannot be read"),
        };
        let sidecar = match Sidecar::from_json(&text) {
            Ok(sidecar) => sidecar,
            Err(error) => {
                let message = error.message().to_owned();
                return self.error(path, message);
            }
        };
        let before = self.report.findings.len();
        let (derivative, source) = (&sidecar.derivative, &sidecar.source);
        let digest = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        let wrong = [
            ("path", derivative.path.clone(), Some(made_at(&row.path))),
            (
                "sha256",
                derivative.sha256.0.to_string(),
                digest(row.sha256),
            ),
            (
                "width",
                derivative.width.to_string(),
                row.width.map(|n| n.to_string()),
            ),
            (
                "height",
                derivative.height.to_string(),
                row.height.map(|n| n.to_string()),
            ),
            (
                "digitalSourceType",
                derivative.digital_source_type.clone().unwrap_or_default(),
                Some(row.digital_source_type.clone()),
            ),
            (
                "wasDerivedFrom.path",
                source.path.clone(),
                Some(row.filename.clone()),
            ),
            (
                "wasDerivedFrom.sha256",
                source.sha256.0.to_string(),
                digest(item.record.sha256),
            ),
            (
                "wasDerivedFrom.sha256_after",
                source.sha256_after.unwrap_or(source.sha256).0.to_string(),
                Some(source.sha256.0.to_string()),
            ),
        ];
        for (field, said, expected) in wrong {
            if let Some(expected) = expected.filter(|expected| *expected != said) {
                let message = format!("`{field}` is `{said}` where the tables say `{expected}`");
                self.error(&path, message);
            }
        }
        if self.report.findings.len() == before {
            self.report.sidecars += 1;
        }
    }

    /// Files among the derivatives that no table names.
    fn unlisted(&mut self) -> Result<()> {
        for top in ["derivatives", "objects"] {
            for found in folder::files(&self.root.join(top))? {
                let path = format!("{top}/{}", found.path);
                if !self.listed.contains(&path) && !folder::is_passing(&found.path) {
                    let finding = Finding::new(Severity::Warning, &path, 0, "is in no table");
                    let hint = "`fonds clean` lists what earlier runs left";
                    self.report.findings.push(finding.hint(hint));
                }
            }
        }
        Ok(())
    }

    /// The tables have as many rows as the run says that it wrote.
    fn counts(&mut self, run: &RunFile) {
        for (what, said, found) in [
            ("files", run.counts.files, self.counts.files),
            ("pages", run.counts.pages, self.counts.pages),
            (
                "derivatives",
                run.counts.derivatives,
                self.counts.derivatives,
            ),
            ("failed", run.counts.failed, self.counts.failed),
        ] {
            if said != found {
                let message = format!("counts {said} {what} where the tables have {found}");
                self.error(RUN_FILE, message);
            }
        }
    }

    fn count(&mut self, item: &Item) {
        self.counts.files += 1;
        self.counts.pages += item.pages.len() as u64;
        self.counts.derivatives += item.derivatives.len() as u64;
        self.counts.failed += u64::from(item.record.status == Status::Failed);
    }

    fn place(&self, path: &str) -> Option<PathBuf> {
        let path = RelPath::new(Path::new(path)).ok()?;
        Some(self.root.join(path.to_path()))
    }

    fn source(&self, item: &Item) -> Option<PathBuf> {
        transfer::inside(self.archive?, &item.record.filename).ok()
    }

    fn error(&mut self, file: impl Into<String>, message: impl Into<String>) {
        let finding = Finding::new(Severity::Error, file, 0, message);
        self.report.findings.push(finding);
    }
}

/// Whether the check of the tables names such an error: a bad row, or a table that is not there.
fn is_told(error: &Error) -> bool {
    matches!(error.code(), Code::Corrupt | Code::Unreadable)
}

fn changed(recorded: Digest, found: Digest, table: &str) -> String {
    format!(
        "has the digest {}… where {table} has {}…",
        found.prefix(16),
        recorded.prefix(16)
    )
}

/// The record of the run, when there is one that can be read.
fn run_file(root: &Path, report: &mut VerifyReport) -> Option<RunFile> {
    let problem = match std::fs::read_to_string(root.join(RUN_FILE)) {
        Ok(text) => match RunFile::from_json(&text) {
            Ok(run) => return Some(run),
            Err(error) => (Severity::Error, error.message().to_owned()),
        },
        Err(_) => (Severity::Warning, "is missing".to_owned()),
    };
    let finding = Finding::new(problem.0, RUN_FILE, 0, problem.1);
    report.findings.push(finding);
    None
}

/// The schema beside the catalog is this version's, or at least JSON.
fn schema(root: &Path, report: &mut VerifyReport) {
    const FILE: &str = "catalog.schema.json";
    let Ok(text) = std::fs::read_to_string(root.join(FILE)) else {
        let finding = Finding::new(Severity::Warning, FILE, 0, "is missing");
        return report.findings.push(finding);
    };
    if text != catalog_schema() {
        let message = "is not the schema that this version writes";
        let finding = Finding::new(Severity::Warning, FILE, 0, message);
        report.findings.push(finding);
    }
}
