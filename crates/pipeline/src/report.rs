//! The report of an output: the pages of [`fonds_catalog::report`], and the pictures in them, made
//! from originals and derivatives.

mod pictures;

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use fonds_catalog::report::{
    PICTURES, Picture, ReportFacts, ReportReader, ReportWriter, Shown, check_target,
};
use fonds_catalog::{REVIEW_FILE, encode_path};
use fonds_core::{Code, Error, Limits, Result};
use fonds_ingest::roots_overlap;

use crate::run::{Budget, default_bytes};
use pictures::Maker;

/// How many files are handed to the workers at once: their pictures are written in order.
const BATCH: usize = 64;

/// How to make a report.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// The folder of the report: new, empty, or an earlier report's.
    pub target: PathBuf,
    /// The folder of the originals; without it the one that `run.json` names.
    pub input: Option<PathBuf>,
    /// How many files are worked on at once.
    pub workers: usize,
    /// How large pictures may be.
    pub limits: Limits,
}

/// What happens while a report is made.
#[derive(Debug)]
pub enum ReportEvent {
    /// The output was opened.
    Started {
        /// How many files the run had found, where it says so.
        files: Option<u64>,
    },
    /// The pictures of a file are there.
    Finished {
        /// Its path in the archive.
        path: String,
    },
    /// A picture could not be made; the page says so in its place.
    Failed {
        /// Why.
        error: Error,
    },
    /// Something that a person should know and that belongs to no picture.
    Warning {
        /// One line.
        message: String,
    },
}

/// What was made.
#[derive(Debug, Default)]
pub struct ReportMade {
    /// Pictures of the archive: files of one page, and pages.
    pub pictures: u64,
    /// Small pictures that were made now.
    pub made: u64,
    /// Those that an earlier report had left and that are still right.
    pub reused: u64,
    /// Those that nobody needs any more and that were removed.
    pub removed: u64,
    /// What could not be read, each told in an event, too.
    pub failures: u64,
}

/// Makes the report of a finished output.
///
/// Originals are only read. Pictures are made by several workers, as many at once as memory has room
/// for; one that cannot be made costs itself, and the report says so. Pictures that are there already
/// are kept: their names follow from what they show.
///
/// # Errors
/// When there is no catalog, `review.csv` is no review, or the report cannot be written where it
/// should: into the archive, or among other files.
pub fn write_report(
    output: &Path,
    options: &ReportOptions,
    events: &(dyn Fn(ReportEvent) + Sync),
) -> Result<ReportMade> {
    let mut reader = ReportReader::open(output)?;
    let mut facts = ReportFacts::default();
    let archive = archive(&reader, options, &mut facts, events)?;
    place(output, options, archive.as_deref())?;
    let mut writer = ReportWriter::create(&options.target)?;
    let files = reader.run().map(|run| run.counts.files);
    events(ReportEvent::Started { files });
    let maker = Maker {
        output,
        archive: archive.as_deref(),
        folder: options.target.join(PICTURES),
        limits: options.limits,
        budget: Budget::new(default_bytes()),
    };
    let mut made = ReportMade::default();
    let mut used = HashSet::new();
    loop {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(pictures) = reader.read()?
        {
            batch.push(pictures);
        }
        for error in reader.take_problems() {
            made.failures += 1;
            events(ReportEvent::Failed { error });
        }
        if batch.is_empty() {
            break;
        }
        for (pictures, results) in batch.iter().zip(work(&maker, &batch, options.workers)) {
            made.made += results.made;
            made.reused += results.reused;
            for error in results.failures {
                made.failures += 1;
                events(ReportEvent::Failed { error });
            }
            for (picture, shown) in pictures.iter().zip(&results.shown) {
                used.extend(names(shown));
                writer.push(picture, shown)?;
                made.pictures += 1;
            }
            if let Some(picture) = pictures.first() {
                let path = picture.record.filename.clone();
                events(ReportEvent::Finished { path });
            }
        }
    }
    for finding in reader.review_findings() {
        let message = finding.to_string();
        facts.remarks.push(message.clone());
        events(ReportEvent::Warning { message });
    }
    describe(output, options, &reader, &mut facts);
    writer.finish(reader.run(), &facts)?;
    made.removed = sweep(&maker.folder, &used)?;
    Ok(made)
}

/// What became of the pictures of a file.
#[derive(Debug, Default)]
struct Results {
    shown: Vec<Shown>,
    made: u64,
    reused: u64,
    failures: Vec<Error>,
}

/// Makes the pictures of these files; the results are in their order.
fn work(maker: &Maker<'_>, batch: &[Vec<Picture>], workers: usize) -> Vec<Results> {
    let next = AtomicUsize::new(0);
    let places: Vec<Mutex<Results>> = batch.iter().map(|_| Mutex::default()).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((pictures, place)) = batch.get(index).zip(places.get(index)) else {
                return;
            };
            let results = maker.file(pictures);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = results;
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers.clamp(1, batch.len()) {
            scope.spawn(work);
        }
        work();
    });
    let places = places.into_iter();
    places
        .map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

/// The folder of the originals; without it the report has no originals that it does not have yet.
fn archive(
    reader: &ReportReader,
    options: &ReportOptions,
    facts: &mut ReportFacts,
    events: &(dyn Fn(ReportEvent) + Sync),
) -> Result<Option<PathBuf>> {
    if let Some(input) = &options.input {
        if input.is_dir() {
            return Ok(Some(input.clone()));
        }
        return Err(Error::new(Code::Unreadable, "is not a folder")
            .at_path(input)
            .hint("name the folder with the originals: --input FOLDER"));
    }
    let named = reader
        .run()
        .map(|run| run.input.clone())
        .unwrap_or_default();
    let folder = PathBuf::from(&named);
    if !named.is_empty() && folder.is_dir() {
        return Ok(Some(folder));
    }
    let what = if named.is_empty() {
        "the folder of the originals is not known".to_owned()
    } else {
        format!("the folder of the originals, {named}, is not there")
    };
    let message = format!("{what}: originals are not shown (name it with --input FOLDER)");
    facts.remarks.push(message.clone());
    events(ReportEvent::Warning { message });
    Ok(None)
}

/// The report may lie in the output, but not be it, and never in the archive.
fn place(output: &Path, options: &ReportOptions, archive: Option<&Path>) -> Result<()> {
    let target = &options.target;
    let hint = "name another folder for the report: --to FOLDER";
    if let Some(archive) = archive
        && roots_overlap(archive, target)?
    {
        let message = format!(
            "the report would lie in the archive {}, or the archive in it",
            archive.display()
        );
        return Err(Error::new(Code::WriteFailed, message)
            .at_path(target)
            .hint(hint));
    }
    let same = || Some(fs::canonicalize(output).ok()? == fs::canonicalize(target).ok()?);
    if same().unwrap_or(false) {
        let message = "is the output itself";
        return Err(Error::new(Code::WriteFailed, message)
            .at_path(target)
            .hint(hint));
    }
    check_target(target)
}

fn describe(
    output: &Path,
    options: &ReportOptions,
    reader: &ReportReader,
    facts: &mut ReportFacts,
) {
    let absolute = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (output, target) = (absolute(output), absolute(&options.target));
    let input = options.input.clone();
    let input = input.or_else(|| reader.run().map(|run| PathBuf::from(&run.input)));
    let named = input.as_deref().map(absolute);
    let name = named
        .as_deref()
        .and_then(Path::file_name)
        .or(output.file_name());
    facts.title = name.unwrap_or_default().to_string_lossy().into_owned();
    facts.output_url = relative_url(&target, &output);
    facts.output = output.display().to_string();
    facts.made_at = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    concat!("fonds ", env!("CARGO_PKG_VERSION")).clone_into(&mut facts.agent);
    let decided = output.join(REVIEW_FILE);
    if decided.is_file() {
        let stale = fs::metadata(&decided).and_then(|file| file.modified()).ok();
        let catalog = fs::metadata(output.join("catalog.csv"))
            .and_then(|file| file.modified())
            .ok();
        if stale
            .zip(catalog)
            .is_some_and(|(review, catalog)| review > catalog)
        {
            facts.remarks.push(format!(
                "{REVIEW_FILE} is newer than the catalog; run the pipeline again to follow it"
            ));
        }
    }
}

/// The way from one folder to another as a relative URL with a final `/`; empty when there is none.
fn relative_url(from: &Path, to: &Path) -> String {
    let parts = |path: &Path| -> Vec<_> {
        path.components()
            .map(|part| part.as_os_str().to_owned())
            .collect()
    };
    let is_rooted = |path: &Path| matches!(path.components().next(), Some(Component::RootDir));
    if !is_rooted(from) || !is_rooted(to) {
        return String::new();
    }
    let (from, to) = (parts(from), parts(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut url = "../".repeat(from.len() - shared);
    for part in &to[shared..] {
        let Some(part) = part.to_str() else {
            return String::new();
        };
        url.push_str(&encode_path(part));
        url.push('/');
    }
    if url.is_empty() { "./".to_owned() } else { url }
}

/// The files that a picture needs.
fn names(shown: &Shown) -> Vec<String> {
    let photographs = [&shown.thumb, &shown.before].into_iter();
    let photographs = photographs.chain(shown.versions.iter().map(|version| &version.after));
    let mut names: Vec<_> = photographs
        .flatten()
        .map(|name| format!("{name}.jpg"))
        .collect();
    let differences = shown
        .versions
        .iter()
        .filter_map(|version| version.difference.as_ref());
    names.extend(differences.map(|name| format!("{name}.png")));
    names
}

/// Removes pictures of earlier reports; other files are left alone.
fn sweep(folder: &Path, used: &HashSet<String>) -> Result<u64> {
    let mut removed = 0;
    for shelf in fs::read_dir(folder).into_iter().flatten().flatten() {
        for entry in fs::read_dir(shelf.path()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| pictures::is_name(name)) else {
                continue;
            };
            if !used.contains(name) {
                fs::remove_file(entry.path()).map_err(|error| {
                    Error::from_io(error, Code::WriteFailed, "cannot be removed")
                        .at_path(entry.path())
                })?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_folders() {
        for (from, to, expected) in [
            ("/a/out/report", "/a/out", "../"),
            ("/a/report", "/a/out 1", "../out%201/"),
            ("/a", "/a", "./"),
            ("a", "/a", ""),
        ] {
            assert_eq!(relative_url(Path::new(from), Path::new(to)), expected);
        }
    }
}
