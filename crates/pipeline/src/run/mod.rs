//! A run: walk, resume, process, catalogue.
//!
//! Files are processed by workers (decode, steps, encode), each taking whole files as long as the
//! byte budget lets it; operations use further threads inside a picture. One writer puts what they
//! made on the disk and into the journal. At the end the catalog is assembled from the journal in
//! the order of the paths, so that it says the same whatever came first.

mod assemble;
mod budget;
mod chain;
mod clean;
mod clock;
mod describe;
mod executor;
mod inflight;
mod item;
mod journal;
mod label;
mod lock;
mod names;
mod output;
mod review;
mod sidecar;
mod work;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use fonds_catalog::provenance::Environment;
use fonds_catalog::{EDITS_FILE, HumanMetadata, Review};
use fonds_core::{Code, Error, ObjectId, ObjectIds, Result};
use fonds_ingest::{
    Fate, Found, Globs, Selection, Shard, Walk, WalkOptions, in_shard, roots_overlap, walk,
};
use uuid::Uuid;

use crate::event::{Counts, Event, Stop};
use crate::plan::Plan;
use crate::step::RunsOn;

pub use assemble::record_exit;
pub(crate) use budget::{Budget, Reservation, default_bytes};
pub use clean::{CleanReport, clean};
pub(crate) use clock::Clock;
pub use inflight::interrupted;
#[cfg(feature = "restore")]
pub(crate) use lock::Lock;
pub(crate) use output::{SMALL, THUMB};
pub use work::Retry;

/// The beginning of temporary names; a run sweeps those of a run that died.
const PART: &str = ".fonds-part-";

/// What is asked of one run, beside its plan.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The archive; only ever read.
    pub input: PathBuf,
    /// The output folder; made when missing.
    pub output: PathBuf,
    /// How many files are worked on at once.
    pub workers: usize,
    /// The part of the archive that this run does.
    pub shard: Shard,
    /// Do no more than this many files.
    pub limit: Option<u64>,
    /// Do only files that one of these globs matches.
    pub only: Vec<String>,
    /// Do only these files, by their paths in the archive.
    pub paths: Option<HashSet<String>>,
    /// Which earlier failures are tried again.
    pub retry: Retry,
    /// Read sources and derivatives again instead of trusting size, time and inode.
    pub verify: bool,
    /// The command line, for `run.json`.
    pub argv: Vec<String>,
    /// Files to do first and one at a time: those that were in flight when a process died.
    pub suspects: Vec<String>,
    /// Files that have killed a process: they are recorded as `crash` and not tried again.
    pub crashed: Vec<String>,
}

impl RunOptions {
    /// A run of the whole archive with as many workers as the machine has processors.
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        Self {
            input: input.into(),
            output: output.into(),
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            shard: Shard::WHOLE,
            limit: None,
            only: Vec::new(),
            paths: None,
            retry: Retry::default(),
            verify: false,
            argv: Vec::new(),
            suspects: Vec::new(),
            crashed: Vec::new(),
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct RunReport {
    /// What became of all files.
    pub counts: Counts,
    /// Why it stopped early, if it did.
    pub stop: Option<Stop>,
    /// What kept the output from being written, if that was it.
    pub output_error: Option<Error>,
    /// Derivatives whose sources are gone, relative to the output folder.
    pub orphans: u64,
    /// The output folder.
    pub output: PathBuf,
}

/// Runs a plan over an archive.
///
/// # Errors
/// For what concerns no single file: the archive cannot be walked, the output folder lies in it or
/// cannot be written, another run holds it, the human metadata cannot be read. What goes wrong
/// with a file is in the catalog, in `failed.csv` and in the report's counts.
pub fn run(
    plan: &Arc<Plan>,
    options: &RunOptions,
    cancelled: &AtomicBool,
    events: &(dyn Fn(Event) + Sync),
) -> Result<RunReport> {
    let started = Instant::now();
    let started_at = work::now();
    let archive = survey(plan, options)?;
    ready(plan)?;
    let state = prepare(&options.output)?;
    let _lock = lock::Lock::take(&state)?;
    let swept = sweep(&options.output, &state)?;
    let mut journal = journal::Journal::open(&options.output)?;
    let context = Arc::new(context(plan, options, &journal)?);
    let ids = ObjectIds::resolve(archive.files.iter().map(|found| &found.path));
    let chosen = Chosen::new(&archive.files, options)?;
    warn(events, &archive, &journal, swept);
    events(Event::Started {
        run_id: context.run_id.clone(),
        found: chosen.in_shard,
        selected: chosen.jobs.len() as u64,
        bytes: chosen
            .jobs
            .iter()
            .map(|&index| archive.files[index].stamp.size)
            .sum(),
    });
    journal.note_run(&serde_json::json!({
        "run": context.run_id, "event": "started", "dateTime": started_at,
        "pipeline": context.plan_label, "agent": format!("fonds {}", env!("CARGO_PKG_VERSION")),
    }))?;

    let meeting = names::meeting(plan, &archive, &ids);
    let jobs = jobs(&archive, options, &ids, &chosen, &journal, &meeting);
    let in_flight = Arc::new(inflight::InFlight::create(&state)?);
    let memory = plan.policy.memory_bytes;
    let memory = memory.unwrap_or_else(budget::default_bytes);
    let budget = budget::Budget::new(memory.saturating_sub(plan.memory_shared()));
    let mut writer = executor::Writer::new(Arc::clone(&context), &mut journal, events, cancelled);
    let (suspects, others) = split(jobs, options, &mut writer)?;
    let driven = executor::drive(&mut writer, suspects, 1, &in_flight, &budget)
        .and_then(|()| executor::drive(&mut writer, others, options.workers, &in_flight, &budget));
    let ending = writer.ending();
    driven?;

    events(Event::Cataloguing);
    let report = assemble::assemble(&assemble::Ended {
        context: &context,
        options,
        archive: &archive,
        ids: &ids,
        chosen: &chosen,
        journal: &journal,
        ending: &ending,
        started,
        started_at,
        events,
    })?;
    journal.note_run(&serde_json::json!({
        "run": context.run_id, "event": "ended", "dateTime": work::now(),
    }))?;
    settle(&state)?;
    events(Event::Ended {
        counts: report.counts,
        output: options.output.clone(),
    });
    Ok(RunReport {
        stop: ending.stop,
        output_error: ending.output_error,
        ..report
    })
}

/// What a run over an archive would look at: for `fonds plan`.
///
/// # Errors
/// As [`run`], as far as the archive is concerned.
pub fn survey(plan: &Plan, options: &RunOptions) -> Result<Walk> {
    if roots_overlap(&options.input, &options.output)? {
        let message = format!(
            "the output folder {} and the archive {} lie in each other",
            options.output.display(),
            options.input.display()
        );
        return Err(Error::new(Code::WriteFailed, message)
            .hint("choose an --out beside the archive, so that no original is ever in the way"));
    }
    let mut walk_options = WalkOptions {
        exclude: plan.exclude.clone(),
        follow_links: plan.follow_links,
        ..WalkOptions::default()
    };
    if !plan.include.is_empty() {
        walk_options.include.clone_from(&plan.include);
    }
    walk(&options.input, &Selection::new(&walk_options)?)
}

/// The folder below the output in which a run keeps its lock and notes.
pub(crate) fn state_folder(output: &Path) -> PathBuf {
    output.join(".fonds")
}

fn prepare(output: &Path) -> Result<PathBuf> {
    let state = state_folder(output);
    std::fs::create_dir_all(&state).map_err(|error| {
        let error = Error::from_io(error, Code::WriteFailed, "the output folder cannot be made");
        error
            .at_path(output)
            .hint("choose an --out that you may write to")
    })?;
    Ok(state)
}

fn running(state: &Path) -> PathBuf {
    state.join("running")
}

/// Removes what a run that died left under temporary names, and notes that a run is under way.
fn sweep(output: &Path, state: &Path) -> Result<u64> {
    let note = running(state);
    let mut swept = 0;
    if note.exists() {
        for folder in ["derivatives", "objects"] {
            swept += clean::remove_parts(&output.join(folder), PART)?;
        }
        swept += clean::remove_parts_here(output)?;
    }
    std::fs::write(&note, b"").map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(&note)
    })?;
    Ok(swept)
}

fn settle(state: &Path) -> Result<()> {
    for path in [running(state), state.join("in-flight")] {
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let error = Error::from_io(error, Code::WriteFailed, "cannot be removed");
            return Err(error.at_path(&path));
        }
    }
    Ok(())
}

fn context(
    plan: &Arc<Plan>,
    options: &RunOptions,
    journal: &journal::Journal,
) -> Result<work::Context> {
    Ok(work::Context {
        plan: Arc::clone(plan),
        plan_label: plan.label(),
        plan_digest: plan.digest().to_string(),
        output: options.output.clone(),
        run_id: Uuid::now_v7().to_string(),
        human: human_metadata(plan, &options.input, &options.output)?,
        review: Review::read_in(&options.output)?,
        verify: options.verify,
        retry: options.retry.clone(),
        environment: environment(plan, options.workers),
        leftovers: journal.leftovers.clone(),
    })
}

/// What people wrote into the archive, and after it what was imported into the output.
fn human_metadata(plan: &Plan, input: &Path, output: &Path) -> Result<HumanMetadata> {
    let read = |path: &Path| {
        if path.is_file() {
            HumanMetadata::read(path).map(Some)
        } else {
            Ok(None)
        }
    };
    let metadata = read(&input.join(&plan.catalog.metadata))?.unwrap_or_default();
    Ok(match read(&output.join(EDITS_FILE))? {
        Some(edits) => metadata.then(edits),
        None => metadata,
    })
}

/// Gets all steps ready, before any picture is looked at.
///
/// # Errors
/// Those of [`crate::Step::prepare`], with the step's id.
pub(crate) fn ready(plan: &Plan) -> Result<()> {
    for planned in &plan.steps {
        let prepared = planned.step.prepare();
        prepared.map_err(|error| error.in_step(&planned.id))?;
    }
    Ok(())
}

/// The machine, and what the steps compute on.
fn environment(plan: &Plan, workers: usize) -> Environment {
    let steps = plan
        .steps
        .iter()
        .filter_map(|planned| planned.step.runs_on());
    let used: BTreeSet<RunsOn> = steps.collect();
    let join = |texts: BTreeSet<&str>| texts.into_iter().collect::<Vec<_>>().join(", ");
    let devices = join(used.iter().map(|on| on.device.as_str()).collect());
    let kernels = join(
        used.iter()
            .map(|on| on.kernel.as_str())
            .filter(|k| !k.is_empty())
            .collect(),
    );
    Environment {
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu: processor(),
        device: if devices.is_empty() {
            "cpu".to_owned()
        } else {
            devices
        },
        kernel: if kernels.is_empty() {
            kernel().to_owned()
        } else {
            format!("{kernels} (networks), {} (codecs)", kernel())
        },
        threads: workers as u32,
    }
}

/// Which code path the codecs take on this processor: the JPEG encoder's AVX2 path rounds
/// differently from its portable one, so that equal content needs equal paths.
fn kernel() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "avx2";
    }
    if cfg!(target_arch = "aarch64") {
        "neon"
    } else {
        "portable"
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or(String::new(), |(_, name)| name.trim().into())
}

fn warn(events: &(dyn Fn(Event) + Sync), archive: &Walk, journal: &journal::Journal, swept: u64) {
    for problem in &archive.problems {
        events(Event::Warning {
            message: problem.to_string(),
        });
    }
    if journal.unreadable > 0 {
        let message = format!(
            "events.jsonl: {} damaged lines were passed over; their files are processed anew",
            journal.unreadable
        );
        events(Event::Warning { message });
    }
    if swept > 0 {
        let message = format!("removed {swept} unfinished files of a run that was cut off");
        events(Event::Warning { message });
    }
}

/// Which of the files found this run does.
struct Chosen {
    /// Indices of selected files in this shard within `--only` and `--limit`.
    jobs: Vec<usize>,
    /// How many files there are in this shard.
    in_shard: u64,
    shard: Shard,
    /// Selected files that `--only` or `--limit` left out.
    left_out: HashSet<usize>,
}

impl Chosen {
    fn new(files: &[Found], options: &RunOptions) -> Result<Self> {
        let only = Globs::new(&options.only)?;
        let limit = options.limit.unwrap_or(u64::MAX);
        let mut chosen = Self {
            jobs: Vec::new(),
            in_shard: 0,
            shard: options.shard,
            left_out: HashSet::new(),
        };
        for (index, found) in files.iter().enumerate() {
            if !in_shard(&found.path, options.shard) {
                continue;
            }
            chosen.in_shard += 1;
            if !matches!(found.fate, Fate::Selected) {
                continue;
            }
            let listed = options
                .paths
                .as_ref()
                .is_none_or(|paths| paths.contains(found.path.as_str()));
            let named = listed && (only.is_empty() || only.matches(&found.path));
            if named && (chosen.jobs.len() as u64) < limit {
                chosen.jobs.push(index);
            } else {
                chosen.left_out.insert(index);
            }
        }
        Ok(chosen)
    }
}

fn jobs(
    archive: &Walk,
    options: &RunOptions,
    ids: &ObjectIds,
    chosen: &Chosen,
    journal: &journal::Journal,
    meeting: &HashMap<usize, String>,
) -> Vec<work::Job> {
    let job = |&index: &usize| {
        let found = &archive.files[index];
        work::Job {
            path: found.path.clone(),
            on_disk: found.on_disk(&options.input),
            stamp: found.stamp,
            id: id(ids, found),
            known: journal.known(found.path.as_str()).copied(),
            meets: meeting.get(&index).cloned(),
            owned: Vec::new(),
        }
    };
    chosen.jobs.iter().map(job).collect()
}

fn id(ids: &ObjectIds, found: &Found) -> ObjectId {
    ids.id(&found.path)
}

/// Takes out the files that are known to kill a process, and those that are suspected of it.
fn split(
    jobs: Vec<work::Job>,
    options: &RunOptions,
    writer: &mut executor::Writer<'_>,
) -> Result<(Vec<work::Job>, Vec<work::Job>)> {
    let named =
        |list: &[String], job: &work::Job| list.iter().any(|path| path == job.path.as_str());
    let (crashed, rest): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .partition(|job| named(&options.crashed, job));
    for job in crashed {
        let error = Error::new(Code::Crash, "the process died on this file")
            .hint("this is a bug in a decoder; please report it with the file");
        let done = item::failed(&writer.context, &job, "process", &error);
        writer.commit(vec![done])?;
    }
    Ok(rest
        .into_iter()
        .partition(|job| named(&options.suspects, job)))
}
