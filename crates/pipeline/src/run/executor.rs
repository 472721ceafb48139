//! Workers, their watchdog, and the one writer: files are processed in parallel, and a result
//! counts only when everything it names is safely on the disk.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use fonds_core::{Code, Error, Kind, Result};
use fonds_ingest::Stamp;

use crate::event::{Event, ItemEnd, Stop};
use crate::run::budget::{Budget, Reservation};
use crate::run::inflight::InFlight;
use crate::run::item;
use crate::run::journal::{FileMark, Journal, Line};
use crate::run::work::{Context, Done, Job, failed_item};
use crate::spec::{OnError, OnExisting};

/// How often the watchdog looks.
const TICK: Duration = Duration::from_millis(50);
/// How many results share one round of syncs at most.
const BATCH: usize = 63;
/// How many threads wait for the disk at once.
const SYNC_THREADS: usize = 16;
/// Results that may wait for the writer.
const WAITING: usize = 64;
/// Files that must have been tried before a failure rate means anything.
const RATE_SAMPLE: u64 = 100;
/// Deep recursion in a decoder should end as an error of its own making, not as an overflow.
const STACK: usize = 16 << 20;

/// What is being worked on, one place for each worker.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<SlotState>,
}

#[derive(Debug, Default)]
struct SlotState {
    job: Option<usize>,
    held: Option<Arc<Reservation>>,
    abandoned: bool,
}

impl Slot {
    fn begin(&self, job: usize, budget: &Arc<Budget>) -> Arc<Reservation> {
        let held = Arc::new(Reservation::new(budget));
        let mut state = self.lock();
        state.job = Some(job);
        state.held = Some(Arc::clone(&held));
        held
    }

    /// Whether the result still counts: not when the watchdog gave the file up.
    fn end(&self) -> bool {
        let mut state = self.lock();
        state.job = None;
        state.held = None;
        !state.abandoned
    }

    /// Gives the file up when it has taken too long.
    fn give_up(&self, timeout: Duration) -> Option<usize> {
        let mut state = self.lock();
        let job = state.job?;
        let over = |held: &Arc<Reservation>| held.clock().is_over(timeout);
        if state.abandoned || !state.held.as_ref().is_some_and(over) {
            return None;
        }
        state.abandoned = true;
        if let Some(held) = state.held.take() {
            held.clock().give_up();
            held.release();
        }
        Some(job)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the workers share.
#[derive(Debug)]
struct Shared {
    context: Arc<Context>,
    jobs: Vec<Job>,
    next: AtomicUsize,
    stop: AtomicBool,
    in_flight: Arc<InFlight>,
    budget: Arc<Budget>,
    journal: PathBuf,
}

/// The writing end of a run: journal, file system, events.
pub(super) struct Writer<'a> {
    pub(super) context: Arc<Context>,
    journal: &'a mut Journal,
    events: &'a (dyn Fn(Event) + Sync),
    cancelled: &'a AtomicBool,
    ending: Ending,
    failures: u64,
    /// Whether the reason to stop has been told.
    announced: bool,
}

/// What a writer knows when it is done.
#[derive(Debug)]
pub(super) struct Ending {
    /// The paths whose results are in the journal.
    pub(super) settled: HashSet<String>,
    pub(super) stop: Option<Stop>,
    pub(super) output_error: Option<Error>,
    pub(super) processed: u64,
    pub(super) up_to_date: u64,
}

/// Does all jobs with this many workers, or as many as come before a reason to stop.
pub(super) fn drive(
    writer: &mut Writer<'_>,
    jobs: Vec<Job>,
    workers: usize,
    in_flight: &Arc<InFlight>,
    budget: &Arc<Budget>,
) -> Result<()> {
    let workers = workers.min(jobs.len());
    let shared = Arc::new(Shared {
        context: Arc::clone(&writer.context),
        jobs,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        in_flight: Arc::clone(in_flight),
        budget: Arc::clone(budget),
        journal: writer.context.output.clone(),
    });
    let (sender, results) = bounded(WAITING);
    let mut slots: Vec<Arc<Slot>> = Vec::new();
    for _ in 0..workers {
        spawn(&shared, &sender, &mut slots)?;
    }
    let outcome = supervise(writer, &shared, &sender, &results, slots);
    shared.stop.store(true, Ordering::SeqCst);
    outcome
}

/// Takes results until every job is done or given up.
fn supervise(
    writer: &mut Writer<'_>,
    shared: &Arc<Shared>,
    sender: &Sender<Done>,
    results: &Receiver<Done>,
    mut slots: Vec<Arc<Slot>>,
) -> Result<()> {
    let mut looked = Instant::now();
    loop {
        match results.recv_timeout(TICK) {
            Ok(done) => {
                // What has piled up meanwhile shares the syncs.
                let mut batch = vec![done];
                batch.extend(results.try_iter().take(BATCH));
                writer.commit(batch)?;
            }
            Err(RecvTimeoutError::Timeout) => writer.journal.sync_if_due()?,
            // This function holds a sender itself.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        writer.look_for_reasons_to_stop();
        if writer.ending.stop.is_some() {
            shared.stop.store(true, Ordering::SeqCst);
        }
        if let Some(timeout) = shared.context.plan.policy.timeout
            && looked.elapsed() >= TICK
        {
            looked = Instant::now();
            for slot in slots.clone() {
                if let Some(job) = slot.give_up(timeout) {
                    writer.commit(vec![timed_out(shared, job, timeout)])?;
                    slots.retain(|other| !Arc::ptr_eq(other, &slot));
                    spawn(shared, sender, &mut slots)?;
                }
            }
        }
        if results.is_empty() && slots.iter().all(|slot| Arc::strong_count(slot) == 1) {
            // A worker drops its slot after it has sent its last result.
            writer.commit(results.try_iter().collect())?;
            return writer.journal.sync();
        }
    }
}

/// Starts a worker. It is not scoped: one that hangs in a decoder must not keep the run.
fn spawn(shared: &Arc<Shared>, sender: &Sender<Done>, slots: &mut Vec<Arc<Slot>>) -> Result<()> {
    static WORKERS: AtomicUsize = AtomicUsize::new(0);
    let slot = Arc::new(Slot::default());
    slots.push(Arc::clone(&slot));
    let number = WORKERS.fetch_add(1, Ordering::Relaxed);
    let (shared, sender) = (Arc::clone(shared), sender.clone());
    let builder = std::thread::Builder::new()
        .name(format!("fonds-worker-{number}"))
        .stack_size(STACK);
    let spawned = builder.spawn(move || work(&shared, &sender, &slot, number));
    spawned
        .map(drop)
        .map_err(|error| Error::from_io(error, Code::Oom, "a worker cannot be started"))
}

fn work(shared: &Shared, sender: &Sender<Done>, slot: &Slot, number: usize) {
    let mut reader = item::Reader::new(&shared.journal);
    // Slots in the note file are reused by later workers; the number of live workers is small.
    let note = number % 512;
    while !shared.stop.load(Ordering::SeqCst) {
        let index = shared.next.fetch_add(1, Ordering::SeqCst);
        let Some(job) = shared.jobs.get(index) else {
            return;
        };
        let held = slot.begin(index, &shared.budget);
        shared.in_flight.begin(note, job.path.as_str());
        let start = Instant::now();
        let processed = catch_unwind(AssertUnwindSafe(|| {
            item::process(&shared.context, job, &mut reader, &held)
        }));
        drop(held);
        let mut done = processed.unwrap_or_else(|panic| panicked(shared, job, panic.as_ref()));
        done.took = start.elapsed();
        if !slot.end() || sender.send(done).is_err() {
            return;
        }
        shared.in_flight.end(note);
    }
}

fn panicked(shared: &Shared, job: &Job, panic: &(dyn std::any::Any + Send)) -> Done {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    let error = Error::new(Code::Panic, format!("fonds panicked: {text}"))
        .hint("this is a bug; please report it with the file");
    item::failed(&shared.context, job, "process", &error)
}

fn timed_out(shared: &Shared, job: usize, timeout: Duration) -> Done {
    let message = format!("not done after {:.0} s", timeout.as_secs_f64());
    let error = Error::new(Code::Timeout, message)
        .hint("raise `timeout_per_file` under [limits], then run with --retry-failed");
    item::failed(&shared.context, &shared.jobs[job], "process", &error)
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        context: Arc<Context>,
        journal: &'a mut Journal,
        events: &'a (dyn Fn(Event) + Sync),
        cancelled: &'a AtomicBool,
    ) -> Self {
        let ending = Ending {
            settled: HashSet::new(),
            stop: None,
            output_error: None,
            processed: 0,
            up_to_date: 0,
        };
        Self {
            context,
            journal,
            events,
            cancelled,
            ending,
            failures: 0,
            announced: false,
        }
    }

    pub(super) fn ending(self) -> Ending {
        self.ending
    }

    /// Gives everything that these results wrote its final name and puts their lines into the
    /// journal: files on the disk first, then the intent, then the names, then the lines.
    pub(super) fn commit(&mut self, mut batch: Vec<Done>) -> Result<()> {
        let failed = self.sync_files(&batch);
        for (done, error) in batch.iter_mut().zip(failed) {
            if let Some(error) = error {
                self.give_up(done, error)?;
            }
        }
        let pending = batch.iter().flat_map(|done| &done.pending);
        self.journal
            .publishing(pending.map(|pending| pending.path.clone()).collect())?;
        for mut done in batch {
            if let Err(error) = self.publish(&mut done) {
                self.give_up(&mut done, error)?;
            }
            self.record(done)?;
        }
        Ok(())
    }

    /// Puts the files of all results on the disk; says for each result what went wrong. Syncs
    /// that wait at the same time share the file system's own commits, so several threads ask.
    fn sync_files(&self, batch: &[Done]) -> Vec<Option<Error>> {
        let next = AtomicUsize::new(0);
        let sync = |done: &Done| {
            done.pending.iter().find_map(|pending| {
                let synced = pending.file.sync_all();
                synced
                    .err()
                    .map(|error| self.cannot_write(error, &pending.path))
            })
        };
        let failed: Vec<Mutex<Option<Error>>> = batch.iter().map(|_| Mutex::default()).collect();
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((done, place)) = batch.get(index).zip(failed.get(index)) else {
                    return;
                };
                if let Some(error) = sync(done) {
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        };
        let waiting = batch.iter().filter(|done| !done.pending.is_empty()).count();
        std::thread::scope(|scope| {
            for _ in 1..waiting.min(SYNC_THREADS) {
                scope.spawn(work);
            }
            work();
        });
        let failed = failed.into_iter();
        failed
            .map(|error| error.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect()
    }

    fn publish(&self, done: &mut Done) -> Result<()> {
        for pending in done.pending.drain(..) {
            let target = self.context.output.join(&pending.path);
            let renamed = std::fs::rename(&pending.temp, &target);
            let metadata = renamed.and_then(|()| pending.file.metadata());
            let metadata = metadata.map_err(|error| self.cannot_write(error, &pending.path))?;
            done.files.push(FileMark::new(
                &pending.path,
                Stamp::of(&metadata),
                pending.digest,
            ));
        }
        Ok(())
    }

    fn cannot_write(&self, error: std::io::Error, path: &str) -> Error {
        let path = self.context.output.join(path);
        Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
    }

    fn record(&mut self, mut done: Done) -> Result<()> {
        // A result that still holds, of a source that nobody touched, has its line already.
        if !(done.up_to_date && done.key.is_empty()) {
            let files = std::mem::take(&mut done.files);
            let mut stale = std::mem::take(&mut done.owned);
            stale.retain(|path| files.iter().all(|file| file.path != *path));
            let line = Line {
                item: done.path.clone(),
                key: std::mem::take(&mut done.key),
                source: done.source.take(),
                files,
                stale,
                code: done
                    .failure
                    .as_ref()
                    .map(|(code, _)| code.as_str().to_owned()),
                attempts: done.attempts,
                seconds: if done.up_to_date {
                    done.seconds
                } else {
                    Some((done.took.as_secs_f64() * 1e3).round() / 1e3)
                },
                entry: std::mem::take(&mut done.item).into(),
            };
            self.journal.append(&line)?;
            done.item = line.entry.into();
        }
        if done.up_to_date {
            self.ending.up_to_date += 1;
        } else {
            self.ending.processed += 1;
        }
        self.finish(&done);
        Ok(())
    }

    /// Turns a result that could not be written into a failure.
    fn give_up(&mut self, done: &mut Done, error: Error) -> Result<()> {
        done.pending.clear();
        // Some of its files may have their final names; without a line they belong to nobody.
        for file in done.files.drain(..) {
            let removed = std::fs::remove_file(self.context.output.join(&file.path));
            drop(removed);
        }
        let path = fonds_core::RelPath::new(Path::new(&done.path))?;
        let id = fonds_core::ObjectId::parse(&done.item.record.objectid).ok_or_else(|| {
            Error::new(Code::Internal, "a result without an object id").at_path(&done.path)
        })?;
        done.item = failed_item(&self.context, &path, &id, done.bytes, "write", &error);
        done.failure = Some((error.code(), error.detail()));
        if is_output_lost(&error) {
            self.ending.stop.get_or_insert(Stop::OutputFailed);
            self.ending.output_error.get_or_insert(error);
        }
        Ok(())
    }

    fn finish(&mut self, done: &Done) {
        self.ending.settled.insert(done.path.clone());
        let end = match &done.failure {
            _ if done.up_to_date => ItemEnd::UpToDate,
            Some((code, message)) => ItemEnd::Failed {
                code: *code,
                message: message.clone(),
            },
            None => match done.item.record.status {
                fonds_catalog::Status::Unchanged => ItemEnd::Unchanged,
                fonds_catalog::Status::Warning => ItemEnd::Warning,
                _ => ItemEnd::Ok,
            },
        };
        if let ItemEnd::Failed { code, .. } = &end {
            self.failures += 1;
            if self.context.plan.policy.on_error == OnError::Abort {
                self.ending.stop.get_or_insert(Stop::FirstError);
            }
            if code.kind() == Kind::Environment && *code == Code::DiskFull {
                self.ending.stop.get_or_insert(Stop::OutputFailed);
            }
        }
        if done.existing && self.context.plan.policy.on_existing == OnExisting::Abort {
            self.ending.stop.get_or_insert(Stop::Existing);
        }
        (self.events)(Event::Finished {
            path: done.path.clone(),
            end,
            pixels: done.pixels,
            bytes: done.bytes,
            took: done.took,
        });
    }

    fn look_for_reasons_to_stop(&mut self) {
        if self.cancelled.load(Ordering::SeqCst) {
            self.ending.stop.get_or_insert(Stop::Interrupted);
        }
        if let Some(bound) = self.context.plan.policy.max_failure_rate
            && self.ending.processed >= RATE_SAMPLE
            && self.failures as f64 > bound * self.ending.processed as f64
        {
            self.ending.stop.get_or_insert(Stop::FailureRate);
        }
        if let Some(reason) = self.ending.stop
            && !std::mem::replace(&mut self.announced, true)
        {
            (self.events)(Event::Stopping { reason });
        }
    }
}

/// Whether an error means that no further file can be written either.
fn is_output_lost(error: &Error) -> bool {
    let kind = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    error.code() == Code::DiskFull
        || matches!(
            kind,
            Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem)
        )
}
