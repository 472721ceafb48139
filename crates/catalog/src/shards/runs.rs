//! The `run.json` files of the parts: whether they belong together, and their sum.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use fonds_core::{Code, Error, Result};

use crate::assemble::CatalogSummary;
use crate::run_file::{Counts, RUN_FILE, RUN_SCHEMA, RunFile};
use crate::status::Status;

/// Exit codes of runs that reached their end: all well, and some files failed.
const FINISHED: [i32; 2] = [0, 3];

/// Reads the runs of the parts and checks that they are the parts of one; `None` for a part
/// without a `run.json`, with a warning.
pub(super) fn read(parts: &[PathBuf]) -> Result<(Vec<Option<RunFile>>, Vec<String>)> {
    let mut runs = Vec::new();
    let mut warnings = Vec::new();
    for part in parts {
        let path = part.join(RUN_FILE);
        let run = match fs::read_to_string(&path) {
            Ok(text) => Some(RunFile::from_json(&text).map_err(|error| error.at_path(&path))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let error = Error::from_io(error, Code::Unreadable, "cannot be read");
                return Err(error.at_path(&path));
            }
        };
        warnings.extend(remark(part, run.as_ref()));
        runs.push(run);
    }
    check_config(parts, &runs)?;
    check_shards(parts, &runs)?;
    Ok((runs, warnings))
}

/// The record of the merged run; `None` when a part has none.
pub(super) fn merged(runs: &[Option<RunFile>], summary: &CatalogSummary) -> Option<RunFile> {
    let runs: Vec<&RunFile> = runs.iter().map(Option::as_ref).collect::<Option<_>>()?;
    let first = runs.first()?;
    let all = |list: fn(&RunFile) -> &Vec<String>| {
        let mut texts: Vec<_> = runs.iter().flat_map(|run| list(run)).cloned().collect();
        texts.sort();
        texts.dedup();
        texts
    };
    let mut timings = BTreeMap::new();
    for (stage, seconds) in runs.iter().flat_map(|run| &run.timings) {
        *timings.entry(stage.clone()).or_insert(0.0) += seconds;
    }
    let failed = summary.files.get(Status::Failed) > 0;
    let exits = runs.iter().map(|run| run.exit_code);
    Some(RunFile {
        schema: RUN_SCHEMA.to_owned(),
        tool: first.tool.clone(),
        run_id: String::new(),
        started_at: runs.iter().map(|run| run.started_at.clone()).min()?,
        finished_at: runs.iter().map(|run| run.finished_at.clone()).max()?,
        argv: Vec::new(),
        input: first.input.clone(),
        plan: first.plan.clone(),
        config_sha256: first.config_sha256,
        shard: None,
        counts: Counts::from(summary),
        timings,
        peak_rss_bytes: runs.iter().filter_map(|run| run.peak_rss_bytes).max(),
        environment: first.environment.clone(),
        models: first.models.clone(),
        clutter: all(|run| &run.clutter),
        warnings: all(|run| &run.warnings),
        merged_from: runs.iter().map(|run| run.run_id.clone()).collect(),
        exit_code: exits
            .filter(|code| !FINISHED.contains(code))
            .max()
            .unwrap_or(if failed { 3 } else { 0 }),
    })
}

fn remark(part: &std::path::Path, run: Option<&RunFile>) -> Option<String> {
    let part = part.display();
    match run {
        None => Some(format!(
            "{part} has no {RUN_FILE}: whether a shard is missing cannot be told"
        )),
        Some(run) if !FINISHED.contains(&run.exit_code) => Some(format!(
            "{part} is of a run that stopped early (exit code {})",
            run.exit_code
        )),
        Some(_) => None,
    }
}

fn check_config(parts: &[PathBuf], runs: &[Option<RunFile>]) -> Result<()> {
    let mut first: Option<(&PathBuf, &RunFile)> = None;
    for (part, run) in parts.iter().zip(runs) {
        let Some(run) = run else {
            continue;
        };
        let Some((other, one)) = first else {
            first = Some((part, run));
            continue;
        };
        if one.config_sha256 != run.config_sha256 || one.plan != run.plan {
            let message = format!("was made by another pipeline than {}", other.display());
            return Err(refused(message)
                .at_path(part)
                .hint("run all shards with the same pipeline file and options"));
        }
    }
    Ok(())
}

fn check_shards(parts: &[PathBuf], runs: &[Option<RunFile>]) -> Result<()> {
    let mut seen = BTreeMap::new();
    let mut count = None;
    for (part, run) in parts.iter().zip(runs) {
        let Some(shard) = run.as_ref().and_then(|run| run.shard) else {
            continue;
        };
        if *count.get_or_insert(shard.count) != shard.count {
            let message = format!(
                "is a shard of {}, other parts are of {}",
                shard.count,
                count.unwrap_or_default()
            );
            return Err(refused(message).at_path(part));
        }
        if shard.index == 0 || shard.index > shard.count {
            let message = format!("is shard {} of {}", shard.index, shard.count);
            return Err(refused(message).at_path(part));
        }
        if let Some(other) = seen.insert(shard.index, part) {
            let message = format!(
                "is shard {}/{}, and so is {}",
                shard.index,
                shard.count,
                other.display()
            );
            return Err(refused(message).at_path(part));
        }
    }
    let count = count.unwrap_or(0);
    let missing = (1..=count).filter(|index| !seen.contains_key(index));
    let missing: Vec<_> = missing.take(10).map(|i| format!("{i}/{count}")).collect();
    // A part without a run.json may be any of them; the caller is warned of it.
    let unknown = runs.iter().filter(|run| run.is_none()).count();
    if missing.len() > unknown {
        let message = format!("the parts are not complete: missing {}", missing.join(", "));
        return Err(refused(message)
            .hint("finish the missing shards with `fonds run --shard`, then merge again"));
    }
    Ok(())
}

fn refused(message: String) -> Error {
    Error::new(Code::InvalidRequest, message)
}
