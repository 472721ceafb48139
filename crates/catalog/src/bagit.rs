//! Bags (`BagIt` 1.0, RFC 8493): an output, and the originals if wished, as one package whose every
//! file has its digests.

mod check;
mod manifest;

use std::path::{Path, PathBuf};

use fonds_core::{Code, Digest, Error, Result};

use crate::atomic::{AtomicFile, sync_folder, write_file};
use crate::digests::{self, Both, FileDigest};
use crate::finding::{Finding, Severity};
use crate::folder;
use crate::profiles::{empty_folder, make_folder_of};
use crate::reader::ItemReader;
use crate::record::Record;
use crate::status::Reason;
use crate::transfer;

pub(crate) use check::check;
use manifest::put_line;

/// The folder of the originals in a bag's payload.
pub const ORIGINALS: &str = "originals";

/// What a bag is to hold and say.
#[derive(Debug, Clone, Default)]
pub struct BagOptions {
    /// The archive's root: the originals are packed, too.
    pub archive: Option<PathBuf>,
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// The program that makes the bag.
    pub agent: String,
    /// More of `bag-info.txt`, as labels and values: `Source-Organization`, `Contact-Name`.
    pub info: Vec<(String, String)>,
}

/// What was packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BagReport {
    /// Files of the payload.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What a person should know; with an error among them no bag was written.
    pub findings: Vec<Finding>,
}

impl BagReport {
    /// Whether something kept the bag from being written.
    pub fn has_errors(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.severity == Severity::Error)
    }
}

/// Labels that are filled here, once each.
const OWN_LABELS: [&str; 4] = [
    "Payload-Oxum",
    "Bagging-Date",
    "Bag-Software-Agent",
    "Bag-Group-Identifier",
];

/// Packs an output root into a new bag.
///
/// Every file is read once, compared with the digest on record and copied; one that is missing or
/// has another digest is named, and then there is no bag. The payload is the output root without
/// hidden files, and below `originals/` every file of the archive that the catalog has a row for
/// (other than what systems left behind). The bag has a temporary name until it is whole.
pub fn write_bag(output: &Path, bag: &Path, options: &BagOptions) -> Result<BagReport> {
    check_info(&options.info)?;
    transfer::outside(bag, output)?;
    if let Some(archive) = &options.archive {
        transfer::outside(bag, archive)?;
    }
    let mut report = BagReport::default();
    let jobs = jobs(output, options.archive.as_deref(), &mut report)?;
    let part = part_name(bag)?;
    empty_folder(bag)?;
    empty_folder(&part)?;
    let written = write_payload(&part, &jobs, &mut report)
        .and_then(|payload| write_tags(&part, &payload, options, &mut report));
    if written.is_err() || report.has_errors() {
        // What was copied so far is of no use.
        let _ = std::fs::remove_dir_all(&part);
        let _ = std::fs::remove_dir(bag);
    }
    written?;
    if !report.has_errors() {
        let unwritten = |error| {
            Error::from_io(error, Code::WriteFailed, "cannot be given its name").at_path(bag)
        };
        std::fs::remove_dir(bag).map_err(unwritten)?;
        std::fs::rename(&part, bag).map_err(unwritten)?;
        sync_folder(
            bag.parent()
                .filter(|path| !path.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?;
    }
    Ok(report)
}

/// A file of the payload.
struct Job {
    source: PathBuf,
    /// Below `data/`.
    path: String,
    expected: Option<Digest>,
}

/// Everything that belongs into the payload, sorted by path.
fn jobs(output: &Path, archive: Option<&Path>, report: &mut BagReport) -> Result<Vec<Job>> {
    let mut expected = std::collections::HashMap::new();
    let mut jobs = Vec::new();
    let mut items = ItemReader::open(output)?;
    while let Some(item) = items.read()? {
        for row in &item.derivatives {
            expected.insert(row.path.clone(), row.sha256);
        }
        let record = &item.record;
        if let (Some(archive), true) = (archive, is_packed(record)) {
            jobs.push(Job {
                source: transfer::inside(archive, &record.filename)?,
                path: format!("{ORIGINALS}/{}", record.filename),
                expected: record.sha256,
            });
        }
    }
    for found in folder::files(output)? {
        if folder::is_passing(&found.path) {
            continue;
        }
        if !found.is_file {
            let finding = Finding::new(Severity::Warning, &found.path, 0, "is a link and left out");
            report.findings.push(finding);
            continue;
        }
        let digest = expected.remove(&found.path).flatten();
        jobs.push(Job {
            expected: digest,
            source: found.place,
            path: found.path,
        });
    }
    let mut missing: Vec<_> = expected.into_keys().collect();
    missing.sort();
    for path in missing {
        let message = "is not on the disk, and derivatives.csv names it";
        report
            .findings
            .push(Finding::new(Severity::Error, path, 0, message));
    }
    jobs.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(jobs)
}

/// Whether the original of a row belongs into a bag: not what systems left behind, and only files.
pub(crate) fn is_packed(record: &Record) -> bool {
    !matches!(
        record.error_code,
        Some(
            Reason::Clutter
                | Reason::LinkOutside
                | Reason::LinkedFolder
                | Reason::LinkLoop
                | Reason::SpecialFile
        )
    )
}

/// Copies the payload; the digests of what arrived, by path in the bag.
fn write_payload(
    part: &Path,
    jobs: &[Job],
    report: &mut BagReport,
) -> Result<Vec<(String, FileDigest)>> {
    // RFC 8493 asks for the folder even when nothing is in it.
    std::fs::create_dir_all(part.join("data")).map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "the folder cannot be made").at_path(part)
    })?;
    let mut payload = Vec::new();
    for (job, result) in jobs.iter().zip(digests::each(jobs, |job| pack(job, part))) {
        let found = match result {
            Ok(found) => found,
            Err(error) if error.code() == Code::WriteFailed || error.code() == Code::DiskFull => {
                return Err(error);
            }
            Err(error) => {
                let path = job.source.display().to_string();
                let finding = Finding::new(Severity::Error, path, 0, error.message());
                report.findings.push(finding);
                continue;
            }
        };
        if job.path.contains('%') {
            let message = "has a `%` in its name: by RFC 8493 the manifest spells it `%25`";
            let finding = Finding::new(Severity::Warning, &job.path, 0, message);
            let hint = "bagit-python up to 1.9 takes such a bag for incomplete";
            report.findings.push(finding.hint(hint));
        }
        report.files += 1;
        report.bytes += found.size;
        payload.push((format!("data/{}", job.path), found));
    }
    Ok(payload)
}

fn pack(job: &Job, part: &Path) -> Result<FileDigest> {
    let target = part.join("data").join(&job.path);
    make_folder_of(&target)?;
    let mut writer = AtomicFile::create(&target)?;
    let mut both = Both::new(true);
    let size = transfer::each_chunk(&job.source, |chunk| {
        both.update(chunk);
        writer.write(chunk)
    })?;
    let found = both.finish(size);
    if let Some(expected) = job.expected.filter(|expected| *expected != found.sha256) {
        let message = format!(
            "has the digest {} where {expected} is on record",
            found.sha256
        );
        return Err(Error::new(Code::ChecksumMismatch, message));
    }
    writer.rename()?;
    Ok(found)
}

/// Writes everything beside the payload.
fn write_tags(
    part: &Path,
    payload: &[(String, FileDigest)],
    options: &BagOptions,
    report: &mut BagReport,
) -> Result<()> {
    if report.has_errors() {
        return Ok(());
    }
    let declaration = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n".to_owned();
    let mut info = String::new();
    for (label, value) in &options.info {
        put_element(label, value, &mut info);
    }
    put_element("Bagging-Date", &options.date, &mut info);
    put_element("Bag-Software-Agent", &options.agent, &mut info);
    let oxum = format!("{}.{}", report.bytes, report.files);
    put_element("Payload-Oxum", &oxum, &mut info);
    let mut tags = vec![
        ("bagit.txt".to_owned(), declaration),
        ("bag-info.txt".to_owned(), info),
    ];
    tags.extend(manifests("manifest", payload));
    let listed: Vec<_> = tags
        .iter()
        .map(|(name, text)| (name.clone(), digests::of_bytes(text.as_bytes())))
        .collect();
    tags.extend(manifests("tagmanifest", &listed));
    for (name, text) in &tags {
        write_file(&part.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Two manifests of files, by SHA-256 and by SHA-512.
fn manifests(name: &str, files: &[(String, FileDigest)]) -> [(String, String); 2] {
    let (mut sha256, mut sha512) = (String::new(), String::new());
    for (path, found) in files {
        put_line(&found.sha256.to_string(), path, &mut sha256);
        put_line(&found.sha512, path, &mut sha512);
    }
    [
        (format!("{name}-sha256.txt"), sha256),
        (format!("{name}-sha512.txt"), sha512),
    ]
}

fn put_element(label: &str, value: &str, out: &mut String) {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if !value.is_empty() {
        out.push_str(&format!("{label}: {value}\n"));
    }
}

fn check_info(info: &[(String, String)]) -> Result<()> {
    for (label, _) in info {
        let plain = !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !plain {
            let message = format!("`{label}` is not a label of bag-info.txt (letters and `-`)");
            return Err(Error::new(Code::InvalidRequest, message)
                .hint("write `Source-Organization: Town Archive`"));
        }
        if OWN_LABELS.iter().any(|own| own.eq_ignore_ascii_case(label)) {
            let message = format!("`{label}` is filled by fonds");
            return Err(Error::new(Code::InvalidRequest, message));
        }
    }
    Ok(())
}

/// The name of a bag that is not whole yet, in the same folder.
fn part_name(bag: &Path) -> Result<PathBuf> {
    let name = bag.file_name().ok_or_else(|| {
        let message = format!("`{}` is not the name of a folder", bag.display());
        Error::new(Code::InvalidRequest, message)
    })?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".part-{}", std::process::id()));
    Ok(bag.with_file_name(part))
}
