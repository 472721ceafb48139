//! One file from its bytes to its results: read, decode, measure, improve, encode, describe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fonds_catalog::{Item, Record, Status, place_aside};
use fonds_core::{Code, Digest, Error, Flags, ObjectId, Raster, Result, Seed};
use fonds_image::decode::{Document, Page};
use fonds_image::facts::Metadata;
use fonds_image::sniff::Identity;
use fonds_ingest::{Source, Stamp, VerifySources, digest_file, read_source, verify_unchanged};

use crate::plan::{Node, Plan};
use crate::run::budget::Reservation;
use crate::run::chain::{self, Trace};
use crate::run::describe;
use crate::run::journal::{FileMark, Journal, Known, Line, LineReader, short_key};
use crate::run::names;
use crate::run::output::{self, Derivative, PageContext};
use crate::run::work::{Context, Done, Job, failed_item, failure, message, stamp_run};
use crate::spec;

/// Reads journal lines on behalf of one worker.
#[derive(Debug)]
pub(super) struct Reader {
    output: PathBuf,
    lines: Option<LineReader>,
}

impl Reader {
    pub(super) fn new(output: &Path) -> Self {
        Self {
            output: output.to_owned(),
            lines: None,
        }
    }

    fn line(&mut self, known: &Known) -> Result<Line> {
        if self.lines.is_none() {
            self.lines = Some(Journal::reader_of(&self.output)?);
        }
        self.lines.as_mut().expect("it was just opened").line(known)
    }
}

/// Does a job; whatever goes wrong is in the result.
pub(super) fn process(
    context: &Context,
    job: &Job,
    reader: &mut Reader,
    held: &Arc<Reservation>,
) -> Done {
    if let Some(done) = still_good(context, job, reader) {
        return done;
    }
    let mut job = job.clone();
    job.owned = owned(&job, reader);
    let job = &job;
    if let Some(other) = &job.meets {
        return failed(context, job, "write", &names::met(other));
    }
    held.for_file(job.stamp.size);
    let source = match read_source(&job.on_disk, &context.plan.limits) {
        Ok(source) => source,
        Err(error) => return failed(context, job, "read", &error),
    };
    let key = key(context, job, &source.fingerprint.digest);
    if let Some(done) = same_content(context, job, reader, &source, &key) {
        return done;
    }
    Work {
        context,
        job,
        source: &source,
        held,
    }
    .done(key)
}

/// The result of a file that failed as a whole.
pub(super) fn failed(context: &Context, job: &Job, stage: &str, error: &Error) -> Done {
    let mut done = Done::new(job);
    // An unreadable file has no digest; anything else is told apart by it when it is tried again.
    if error.code() != Code::Unreadable
        && let Ok(fingerprint) = digest_file(&job.on_disk)
    {
        done.key = key(context, job, &fingerprint.digest);
        done.source = Some(FileMark::new("", fingerprint.stamp, fingerprint.digest));
    }
    let stage = chain::stage_of(error, stage);
    done.item = failed_item(context, &job.path, &job.id, job.stamp.size, &stage, error);
    let digest = done
        .source
        .as_ref()
        .and_then(|mark| mark.sha256.parse().ok());
    done.item.record.sha256 = digest;
    set_attempts(&mut done, job, digest);
    done.failure = Some((error.code(), error.detail()));
    done
}

/// What a result depends on: equal keys mean equal results.
fn key(context: &Context, job: &Job, source: &Digest) -> String {
    let human = if context.plan.outputs.is_empty() && context.plan.thumbnails.is_none() {
        // The catalog is merged with the human metadata when it is written; only labels inside
        // derivatives and thumbnails have to be made anew when it changes.
        String::new()
    } else {
        let digest = context.human.digest_of(job.path.as_str(), job.id.as_str());
        digest.map(|digest| digest.to_string()).unwrap_or_default()
    };
    let meets = job.meets.as_deref().unwrap_or_default();
    let text = format!("{source} {} {} {human}{meets}", context.plan_digest, job.id);
    Digest::of(text.as_bytes()).prefix(32)
}

/// An earlier result whose source has the same size, time and inode, and whose files are there.
fn still_good(context: &Context, job: &Job, reader: &mut Reader) -> Option<Done> {
    let known = job.known.as_ref()?;
    let source = known.source.as_ref()?;
    let unmoved = source.stamp == job.stamp && !context.verify;
    let overwrite = context.plan.policy.on_existing == spec::OnExisting::Overwrite;
    if !unmoved || overwrite || !holds(context, job, known, &source.digest) {
        return None;
    }
    if known.has_files && !files_are_there(context, &reader.line(known).ok()?) {
        return None;
    }
    let mut done = Done::new(job);
    done.up_to_date = true;
    Some(done)
}

/// An earlier result of the same bytes, although the file was touched, moved or is to be verified.
fn same_content(
    context: &Context,
    job: &Job,
    reader: &mut Reader,
    source: &Source,
    key: &str,
) -> Option<Done> {
    let known = job.known.as_ref()?;
    let overwrite = context.plan.policy.on_existing == spec::OnExisting::Overwrite;
    if overwrite || !holds(context, job, known, &source.fingerprint.digest) {
        return None;
    }
    let line = reader.line(known).ok()?;
    if !files_are_there(context, &line) {
        return None;
    }
    let mut done = Done::new(job);
    done.up_to_date = true;
    if known
        .source
        .is_some_and(|before| before.stamp == source.fingerprint.stamp)
    {
        return Some(done);
    }
    key.clone_into(&mut done.key);
    done.source = Some(FileMark::new(
        "",
        source.fingerprint.stamp,
        source.fingerprint.digest,
    ));
    done.files = line.files;
    done.attempts = line.attempts;
    done.seconds = line.seconds;
    done.failure = known.code.map(|code| (code, String::new()));
    done.item = line.entry.into();
    Some(done)
}

fn holds(context: &Context, job: &Job, known: &Known, source: &Digest) -> bool {
    known.key == short_key(&key(context, job, source))
        && !known.code.is_some_and(|code| context.retry.wants(code))
}

fn files_are_there(context: &Context, line: &Line) -> bool {
    let is_there = |path: &Path, mark: &FileMark| {
        let Ok(metadata) = std::fs::symlink_metadata(path) else {
            return false;
        };
        if !context.verify && Stamp::of(&metadata) == mark.stamp() {
            return true;
        }
        digest_file(path).is_ok_and(|found| found.digest.to_string() == mark.sha256)
    };
    // What people rejected is set aside, and is not made anew.
    let aside = |mark: &FileMark| place_aside(&mark.path).map(|path| context.output.join(path));
    line.files.iter().all(|mark| {
        is_there(&context.output.join(&mark.path), mark)
            || aside(mark).is_some_and(|path| is_there(&path, mark))
    })
}

/// The files that an earlier result of this job names: they may be replaced.
fn owned(job: &Job, reader: &mut Reader) -> Vec<String> {
    let Some(line) = job.known.and_then(|known| reader.line(&known).ok()) else {
        return Vec::new();
    };
    line.files
        .into_iter()
        .map(|mark| mark.path)
        .chain(line.stale)
        .collect()
}

fn set_attempts(done: &mut Done, job: &Job, digest: Option<Digest>) {
    let before = job
        .known
        .filter(|known| known.code.is_some())
        .map_or(0, |known| known.attempts);
    done.attempts = before + 1;
    for failure in &mut done.item.failures {
        failure.attempts = Some(done.attempts);
        failure.sha256 = digest;
    }
}

/// The work on one file that has been read.
struct Work<'a> {
    context: &'a Context,
    job: &'a Job,
    source: &'a Source,
    held: &'a Arc<Reservation>,
}

/// What became of the pages.
#[derive(Default)]
struct Pages {
    records: Vec<Record>,
    item: Item,
    flags: Flags,
    derivatives: Vec<Derivative>,
    first_error: Option<Error>,
    written: bool,
    unwritten: bool,
    pixels: u64,
    existing: bool,
}

impl Work<'_> {
    fn plan(&self) -> &Plan {
        &self.context.plan
    }

    fn done(&self, key: String) -> Done {
        let identity = fonds_image::sniff::identify(&self.source.bytes);
        let result = Document::open(&self.source.bytes, &self.plan().limits);
        let mut done = match result {
            Ok(mut document) => self.pages(&mut document, &identity),
            Err(error) => self.unreadable(&identity, &error),
        };
        done.key = key;
        let fingerprint = self.source.fingerprint;
        done.source = Some(FileMark::new("", fingerprint.stamp, fingerprint.digest));
        let how = match self.plan().policy.verify_sources {
            spec::VerifySources::Always => VerifySources::Always,
            spec::VerifySources::Stat => VerifySources::Stat,
        };
        if let Err(error) = verify_unchanged(&self.job.on_disk, &fingerprint, how) {
            return failed(self.context, self.job, "verify", &error);
        }
        if done.failure.is_some() {
            set_attempts(&mut done, self.job, Some(fingerprint.digest));
        }
        done
    }

    fn unreadable(&self, identity: &Identity, error: &Error) -> Done {
        let mut done = Done::new(self.job);
        let mut record = self.base(identity);
        fail(&mut record, error);
        describe::not_well_formed(&mut record, error.code());
        let failure = failure(self.context, &record, None, "decode", error);
        done.item = Item {
            record,
            failures: vec![failure],
            ..Item::default()
        };
        done.failure = Some((error.code(), error.detail()));
        done
    }

    fn base(&self, identity: &Identity) -> Record {
        let mut record = Record::new(self.job.path.as_str(), &self.job.id);
        record.file_size = Some(self.source.fingerprint.stamp.size);
        record.sha256 = Some(self.source.fingerprint.digest);
        describe::identity(&mut record, identity);
        describe::defaults(&mut record, &self.plan().catalog);
        let patterns = &self.plan().catalog.filename_patterns;
        describe::filename(&mut record, patterns, &self.job.path);
        describe::location(&mut record);
        stamp_run(self.context, &mut record);
        record
    }

    fn pages(&self, document: &mut Document<'_>, identity: &Identity) -> Done {
        let (metadata, flags) = match identity.format {
            Some(format) => fonds_image::metadata::read(&self.source.bytes, format),
            None => (Metadata::default(), Flags::new()),
        };
        let mut record = self.base(identity);
        let count = document.page_count();
        record.page_count = Some(count);
        let mut pages = Pages {
            flags,
            ..Pages::default()
        };
        let patterns = &self.plan().catalog.filename_patterns;
        describe::metadata(
            &mut record,
            &metadata,
            patterns,
            &self.job.path,
            &mut pages.flags,
        );
        describe::name(&self.job.path, identity, &mut pages.flags);
        for page in 0..count {
            let number = (count > 1).then_some(page + 1);
            let mut row = match number {
                Some(number) => describe::page_row(&record, number),
                None => record.clone(),
            };
            let flags = self.page(document, page, number, &mut row, &metadata, &mut pages);
            row.quality_flags.extend(flags);
            pages.records.push(row);
        }
        self.compose(record, pages)
    }

    /// Processes one page; its row says how it went.
    fn page(
        &self,
        document: &mut Document<'_>,
        page: u32,
        number: Option<u32>,
        row: &mut Record,
        metadata: &Metadata,
        pages: &mut Pages,
    ) -> Flags {
        let decoded = document.probe(page).and_then(|facts| {
            let pixels = u64::from(facts.width) * u64::from(facts.height);
            let bytes = u64::from(facts.samples_per_pixel.clamp(1, 4))
                * u64::from(facts.bits_per_sample.div_ceil(8).clamp(1, 4));
            self.held
                .for_pixels(self.plan().memory_per_page(pixels, bytes));
            document.decode(page)
        });
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                describe::not_well_formed(row, error.code());
                self.page_failed(row, number, "decode", error, pages);
                return Flags::new();
            }
        };
        pages.pixels += decoded.raster.pixels() as u64;
        describe::facts(row, &decoded.facts);
        let mut flags = decoded.flags.clone();
        flags.extend(describe::measures(
            row,
            &decoded,
            self.plan().catalog.measures,
        ));
        if let Err(error) = self.derive(decoded, number, row, metadata, &mut flags, pages) {
            let stage = chain::stage_of(&error, "encode");
            self.page_failed(row, number, &stage, error, pages);
        }
        flags
    }

    fn page_failed(
        &self,
        row: &mut Record,
        number: Option<u32>,
        stage: &str,
        error: Error,
        pages: &mut Pages,
    ) {
        let error = match number {
            Some(number) => error.at_page(number),
            None => error,
        };
        fail(row, &error);
        pages
            .item
            .failures
            .push(failure(self.context, row, number, stage, &error));
        pages.existing |= error.code() == Code::NameCollision;
        pages.first_error.get_or_insert(error);
    }

    /// Sends the page through the steps and encodes what the plan asks for.
    fn derive(
        &self,
        page: Page,
        number: Option<u32>,
        row: &mut Record,
        metadata: &Metadata,
        flags: &mut Flags,
        pages: &mut Pages,
    ) -> Result<()> {
        let plan = self.plan();
        let mut human = row.clone();
        self.context.human.apply(&mut human);
        let id = ObjectId::parse(&row.objectid).expect("rows are made with valid ids");
        let page_context = PageContext {
            context: self.context,
            job: self.job,
            source: self.source,
            record: &human,
            metadata,
            id: &id,
            number,
            notes: &page.notes,
        };
        let seed = Seed::new(plan.policy.seed).derive(row.objectid.as_str());
        let mut made = Vec::new();
        let traces = {
            let mut visit = |node: Node, raster: &Raster, traces: &[Trace]| -> Result<()> {
                output::at_node(&page_context, node, raster, traces, &mut made)
            };
            let place = (self.job.path.as_str(), number);
            chain::run(
                plan,
                page.raster,
                seed,
                self.held.clock(),
                place,
                &mut visit,
            )?
        };
        describe::verdicts(&traces, flags);
        describe::damage(row, &traces);
        for derivative in made {
            match &derivative.written {
                Some(_) => pages.written |= !derivative.thumbnail,
                None => pages.unwritten = true,
            }
            describe::derivative(row, &derivative);
            pages.derivatives.push(derivative);
        }
        Ok(())
    }

    /// Puts the rows of the pages together into the item.
    fn compose(&self, mut record: Record, mut pages: Pages) -> Done {
        let mut done = Done::new(self.job);
        done.pixels = pages.pixels;
        done.existing = pages.existing;
        for derivative in pages.derivatives {
            if let Some(written) = derivative.written {
                pages.item.derivatives.push(written.row);
                done.pending.extend(written.files);
            }
        }
        if pages.records.len() == 1 {
            record = pages.records.remove(0);
        } else {
            describe::parent(&mut record, &pages.records);
        }
        record.quality_flags.extend(pages.flags);
        let untouched = !pages.written && pages.unwritten;
        for row in pages.records.iter_mut().chain([&mut record]) {
            if row.status != Status::Failed {
                row.status = status(row, untouched);
            }
        }
        if let Some(error) = &pages.first_error {
            fail(&mut record, error);
            done.failure = Some((error.code(), error.detail()));
        }
        done.item = Item {
            record,
            pages: pages.records,
            ..pages.item
        };
        done
    }
}

fn status(row: &Record, untouched: bool) -> Status {
    if row.quality_flags.iter().any(|flag| flag.is_warning()) {
        Status::Warning
    } else if untouched {
        Status::Unchanged
    } else {
        Status::Ok
    }
}

fn fail(record: &mut Record, error: &Error) {
    record.status = Status::Failed;
    record.error_code = Some(error.code().into());
    record.error_message = message(error);
    if record.page_count.is_none_or(|count| count <= 1) {
        "record".clone_into(&mut record.display_template);
    }
}
