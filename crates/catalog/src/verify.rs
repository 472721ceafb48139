//! Proving an output, or a bag: everything is read again, and every file that is missing, changed
//! or in no table is named.

mod output;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

use crate::bagit::{self, ORIGINALS};
use crate::digests::{self, FileDigest};
use crate::finding::{Finding, Severity};
use crate::record::Record;
use crate::row::Row;

/// What to prove.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The archive's root; without it the one that `run.json` names is taken, when it is there.
    pub archive: Option<PathBuf>,
}

/// What was read, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whether it is a bag.
    pub is_bag: bool,
    /// Files that were read, the originals among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Originals that have the digest on record.
    pub sources: u64,
    /// Files of `derivatives.csv` that have the digest on record.
    pub derivatives: u64,
    /// Sidecars that fit their pictures.
    pub sidecars: u64,
    /// What is wrong, or could not be proved.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether there is an error among the findings.
    pub fn has_errors(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.severity == Severity::Error)
    }
}

/// Reads an output root or a bag again and proves it.
///
/// A bag: declaration, Payload-Oxum, and the digests of every file of payload and tags; then its
/// payload like an output root, with `originals/` for the archive. An output root: the tables
/// ([`crate::validate`]), the digests of all derivatives, sidecars against pictures and rows,
/// files that no table names, and the originals against the digests on record.
///
/// Fails only when there is neither a bag nor a catalog, or it cannot be read at all.
pub fn verify(path: &Path, options: &VerifyOptions) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    if path.join("bagit.txt").is_file() {
        report.is_bag = true;
        let digests = bagit::check(path, &mut report.findings)?;
        let data = path.join("data");
        let mut proof = Proof::new(digests);
        if data.join(Record::FILE).is_file() {
            let originals = data.join(ORIGINALS);
            let archive = originals.is_dir().then_some(originals);
            output::check(&data, archive.as_deref(), true, &mut proof, &mut report)?;
        }
        report.count(&proof);
        report.sort();
        return Ok(report);
    }
    if !path.join(Record::FILE).is_file() {
        let message = format!("is neither a bag nor an output: it has no {}", Record::FILE);
        return Err(Error::new(Code::Unreadable, message).at_path(path));
    }
    let mut proof = Proof::new(HashMap::new());
    output::check(
        path,
        options.archive.as_deref(),
        false,
        &mut proof,
        &mut report,
    )?;
    report.count(&proof);
    report.sort();
    Ok(report)
}

impl VerifyReport {
    fn count(&mut self, proof: &Proof) {
        for found in proof.known.values().filter_map(|found| found.as_ref().ok()) {
            self.files += 1;
            self.bytes += found.size;
        }
    }

    /// Errors first, then by file and line; what two checks both found is said once.
    fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            let key = |finding: &Finding| (finding.severity, finding.line);
            (key(a).0, &a.file, key(a).1, &a.message).cmp(&(
                key(b).0,
                &b.file,
                key(b).1,
                &b.message,
            ))
        });
        self.findings.dedup();
    }
}

/// The digests that are known so far; each file is read once.
pub(crate) struct Proof {
    known: HashMap<PathBuf, Result<FileDigest>>,
}

impl Proof {
    fn new(known: HashMap<PathBuf, Result<FileDigest>>) -> Self {
        Self { known }
    }

    /// Reads these files, as far as they were not read.
    fn read(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let paths: HashSet<_> = paths
            .into_iter()
            .filter(|path| !self.known.contains_key(path) && path.is_file())
            .collect();
        self.known
            .extend(digests::of_files(paths.into_iter().collect(), false));
    }

    /// What was found of a file; `None` when it is not there.
    fn of(&self, path: &Path) -> Option<&Result<FileDigest>> {
        self.known.get(path)
    }
}
