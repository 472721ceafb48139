//! The end of a run: rows in the order of the paths, `run.json`, and the look at every file that
//! the journal promises.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Instant;

use fonds_catalog::provenance::{Agent, DigestWire, Model};
use fonds_catalog::{
    CatalogSummary, CatalogWriter, Item, RUN_FILE, RUN_SCHEMA, Reason, Record, RunFile, Status,
    place_aside, write_file,
};
use fonds_core::{Code, Error, Flag, ObjectIds, Result};
use fonds_ingest::{Fate, Found, SkipReason, Walk, in_shard};

use crate::event::{Counts, Event, Stop};
use crate::plan::Plan;
use crate::run::executor::Ending;
use crate::run::journal::{Journal, Line, LineReader};
use crate::run::review::{self, Followed};
use crate::run::sidecar;
use crate::run::work::{Context, failed_item, now};
use crate::run::{Chosen, RunOptions, RunReport};

/// Everything that is known when the last file is done.
pub(super) struct Ended<'a> {
    pub(super) context: &'a Context,
    pub(super) options: &'a RunOptions,
    pub(super) archive: &'a Walk,
    pub(super) ids: &'a ObjectIds,
    pub(super) chosen: &'a Chosen,
    pub(super) journal: &'a Journal,
    pub(super) ending: &'a Ending,
    pub(super) started: Instant,
    pub(super) started_at: String,
    pub(super) events: &'a (dyn Fn(Event) + Sync),
}

/// Writes the tables and `run.json`.
pub(super) fn assemble(ended: &Ended<'_>) -> Result<RunReport> {
    let mut tables = Tables {
        ended,
        lines: Journal::reader_of(&ended.options.output)?,
        missing: Vec::new(),
        clutter: Vec::new(),
    };
    let mut followed = Followed::default();
    let mut writer = CatalogWriter::create(&ended.options.output)?;
    for (index, found) in ended.archive.files.iter().enumerate() {
        if in_shard(&found.path, ended.chosen.shard) {
            let mut item = tables.item(index, found)?;
            tables.human(&mut item);
            let output = &ended.options.output;
            review::follow(output, &ended.context.review, &mut item, &mut followed)?;
            writer.push(item)?;
        }
    }
    let summary = writer.finish()?;
    let mut warnings = human_warnings(ended);
    warnings.extend(review_warnings(ended, followed.remarks));
    let orphans = orphans(ended);
    if !orphans.is_empty() {
        warnings.push(format!(
            "{} files were made from sources that are gone, or by other settings; \
             `fonds clean` lists and removes them",
            orphans.len()
        ));
    }
    for path in &tables.missing {
        warnings.push(format!(
            "{path} was there and is gone; run again to make it anew"
        ));
    }
    if followed.set_aside + followed.brought_back > 0 {
        (ended.events)(Event::Reviewed {
            set_aside: followed.set_aside,
            brought_back: followed.brought_back,
        });
    }
    for message in &warnings {
        (ended.events)(Event::Warning {
            message: message.clone(),
        });
    }
    let counts = counts(ended, &summary, tables.missing.len() as u64);
    let clutter = std::mem::take(&mut tables.clutter);
    write_run_file(ended, &summary, counts, clutter, warnings, &orphans)?;
    Ok(RunReport {
        counts,
        stop: None,
        output_error: None,
        orphans: orphans.len() as u64,
        output: ended.options.output.clone(),
    })
}

struct Tables<'a> {
    ended: &'a Ended<'a>,
    lines: LineReader,
    /// Derivatives that the journal names and that are not there.
    missing: Vec<String>,
    clutter: Vec<String>,
}

impl Tables<'_> {
    fn item(&mut self, index: usize, found: &Found) -> Result<Item> {
        match &found.fate {
            Fate::Skipped(reason) => {
                if *reason == SkipReason::Clutter {
                    self.clutter.push(found.path.as_str().to_owned());
                }
                Ok(self.unprocessed(found, Status::Skipped, Some(skip_reason(*reason))))
            }
            Fate::Failed(error) => Ok(self.failed(found, error)),
            Fate::Selected if self.ended.ending.settled.contains(found.path.as_str()) => {
                self.settled(found)
            }
            _ => self.not_attempted(index, found),
        }
    }

    /// A file of which this run knows the result, made now or before.
    fn settled(&mut self, found: &Found) -> Result<Item> {
        let known = self
            .ended
            .journal
            .known(found.path.as_str())
            .ok_or_else(|| {
                Error::new(Code::Internal, "a finished file has no line")
                    .at_path(found.path.as_str())
            })?;
        let line = self.lines.line(known)?;
        self.look_at_files(&line);
        Ok(line.entry.into())
    }

    /// The run must not call done what is not there.
    fn look_at_files(&mut self, line: &Line) {
        let output = &self.ended.options.output;
        for mark in &line.files {
            let is_there = |path: &str| std::fs::symlink_metadata(output.join(path)).is_ok();
            let aside = place_aside(&mark.path);
            if !is_there(&mark.path) && !aside.is_some_and(|path| is_there(&path)) {
                self.missing.push(mark.path.clone());
            }
        }
    }

    fn not_attempted(&mut self, index: usize, found: &Found) -> Result<Item> {
        if !self.ended.chosen.left_out.contains(&index) {
            let mut item = self.unprocessed(found, Status::Cancelled, Some(Code::Cancelled.into()));
            "the run stopped before this file's turn".clone_into(&mut item.record.error_message);
            return Ok(item);
        }
        // Left out by --only or --limit: what an earlier run with the same settings found holds.
        let known = self.ended.journal.known(found.path.as_str());
        let known = known.filter(|known| {
            known
                .source
                .is_some_and(|source| source.stamp == found.stamp)
        });
        if let Some(known) = known {
            let line = self.lines.line(known)?;
            if line.entry.record.0.pipeline == self.ended.context.plan_label {
                self.look_at_files(&line);
                return Ok(line.entry.into());
            }
        }
        Ok(self.unprocessed(found, Status::Skipped, Some(Reason::LeftOut)))
    }

    fn unprocessed(&self, found: &Found, status: Status, reason: Option<Reason>) -> Item {
        let mut record = Record::new(found.path.as_str(), &self.ended.ids.id(&found.path));
        record.file_size = Some(found.stamp.size);
        "record".clone_into(&mut record.display_template);
        record.status = status;
        record.error_code = reason;
        if !found.path.is_exact() {
            record.quality_flags.insert(Flag::NameNotUtf8);
        }
        record.pipeline.clone_from(&self.ended.context.plan_label);
        record.run_id.clone_from(&self.ended.context.run_id);
        Item {
            record,
            ..Item::default()
        }
    }

    fn failed(&self, found: &Found, error: &Error) -> Item {
        let id = self.ended.ids.id(&found.path);
        let (context, size) = (self.ended.context, found.stamp.size);
        failed_item(context, &found.path, &id, size, "walk", error)
    }

    /// What people wrote wins over what was found.
    fn human(&self, item: &mut Item) {
        for record in item.pages.iter_mut().chain([&mut item.record]) {
            let machine_title = record.title.clone();
            self.ended.context.human.apply(record);
            if record.title != machine_title {
                record.quality_flags.remove(&Flag::TitleFromFilename);
            }
        }
    }
}

fn skip_reason(reason: SkipReason) -> Reason {
    match reason {
        SkipReason::NotSelected => Reason::NotSelected,
        SkipReason::Clutter => Reason::Clutter,
        SkipReason::LinkOutside => Reason::LinkOutside,
        SkipReason::LinkedFolder => Reason::LinkedFolder,
        SkipReason::LinkLoop => Reason::LinkLoop,
        _ => Reason::SpecialFile,
    }
}

fn human_warnings(ended: &Ended<'_>) -> Vec<String> {
    // What one shard does not match, another may; what is left over shows after the merge.
    if ended.chosen.shard.count() > 1 {
        return Vec::new();
    }
    ended
        .context
        .human
        .findings()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// What was remarked on `review.csv`.
fn review_warnings(ended: &Ended<'_>, remarks: Vec<String>) -> Vec<String> {
    let review = &ended.context.review;
    // What one shard does not have, another may.
    let found = if ended.chosen.shard.count() > 1 {
        Vec::new()
    } else {
        review.findings()
    };
    found
        .iter()
        .map(ToString::to_string)
        .chain(remarks)
        .collect()
}

/// Files below the output that were made from sources that are no longer found, or that later
/// results have replaced by files of other names.
fn orphans(ended: &Ended<'_>) -> Vec<String> {
    let found: HashSet<&str> = ended
        .archive
        .files
        .iter()
        .map(|found| found.path.as_str())
        .collect();
    let mut reader = None;
    let mut orphans = Vec::new();
    for item in ended.journal.items() {
        let Some(known) = ended.journal.known(item) else {
            continue;
        };
        let gone = !found.contains(item);
        let leaves_files = known.has_stale || (gone && known.has_files);
        if !leaves_files {
            continue;
        }
        if reader.is_none() {
            reader = Journal::reader_of(&ended.options.output).ok();
        }
        let Some(line) = reader.as_mut().and_then(|reader| reader.line(known).ok()) else {
            continue;
        };
        orphans.extend(line.stale);
        if gone {
            orphans.extend(line.files.into_iter().map(|mark| mark.path));
        }
    }
    orphans.retain(|path| ended.options.output.join(path).exists());
    orphans.sort_unstable();
    orphans
}

fn counts(ended: &Ended<'_>, summary: &CatalogSummary, missing: u64) -> Counts {
    let files = &summary.files;
    Counts {
        found: files.total(),
        processed: ended.ending.processed,
        up_to_date: ended.ending.up_to_date,
        ok: files.get(Status::Ok),
        unchanged: files.get(Status::Unchanged),
        warning: files.get(Status::Warning),
        skipped: files.get(Status::Skipped),
        failed: files.get(Status::Failed),
        cancelled: files.get(Status::Cancelled),
        missing,
    }
}

fn write_run_file(
    ended: &Ended<'_>,
    summary: &CatalogSummary,
    counts: Counts,
    clutter: Vec<String>,
    warnings: Vec<String>,
    orphans: &[String],
) -> Result<()> {
    let context = ended.context;
    let shard = ended.chosen.shard;
    let file = RunFile {
        schema: RUN_SCHEMA.to_owned(),
        tool: Some(Agent::software("fonds", env!("CARGO_PKG_VERSION"))),
        run_id: context.run_id.clone(),
        started_at: ended.started_at.clone(),
        finished_at: now(),
        argv: ended.options.argv.clone(),
        input: ended.options.input.display().to_string(),
        plan: context.plan.name.clone(),
        config_sha256: Some(DigestWire(context.plan_digest.parse()?)),
        shard: (shard.count() > 1).then(|| fonds_catalog::Shard {
            index: shard.index(),
            count: shard.count(),
        }),
        counts: run_counts(summary, counts),
        timings: BTreeMap::from([(
            "total_seconds".to_owned(),
            (ended.started.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        )]),
        peak_rss_bytes: peak_memory(),
        environment: context.environment.clone(),
        models: models(&context.plan),
        clutter,
        warnings,
        orphans: orphans.to_vec(),
        stopped: ended.ending.stop.map(|stop| stop.as_str().to_owned()),
        ..RunFile::default()
    };
    write_file(
        &ended.options.output.join(RUN_FILE),
        file.to_json()?.as_bytes(),
    )
}

/// The models that the plan uses, each once.
fn models(plan: &Plan) -> Vec<Model> {
    let mut models: Vec<Model> = Vec::new();
    for model in plan.steps.iter().filter_map(sidecar::model) {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    models
}

fn run_counts(summary: &CatalogSummary, counts: Counts) -> fonds_catalog::Counts {
    fonds_catalog::Counts {
        files: counts.found,
        ok: counts.ok,
        warning: counts.warning,
        unchanged: counts.unchanged,
        skipped: counts.skipped,
        failed: counts.failed,
        cancelled: counts.cancelled,
        pages: summary.pages,
        derivatives: summary.derivatives,
        duplicates: summary.duplicates,
    }
}

/// The most memory that the process has held, as Linux counts it.
fn peak_memory() -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

impl Stop {
    /// The reason in `run.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::FirstError => "first_error",
            Self::FailureRate => "failure_rate",
            Self::OutputFailed => "output_failed",
            Self::Existing => "existing",
        }
    }
}

/// Adds the number that the process is about to end with to `run.json`.
///
/// # Errors
/// When the file cannot be read or written.
pub fn record_exit(output: &Path, exit_code: i32) -> Result<()> {
    let path = output.join(RUN_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&path)
    })?;
    let file = RunFile {
        exit_code,
        ..RunFile::from_json(&text)?
    };
    write_file(&path, file.to_json()?.as_bytes())
}
