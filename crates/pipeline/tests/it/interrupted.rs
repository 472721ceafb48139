//! Runs that are stopped and go on: the end is that of a run that nobody stopped.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fonds_catalog::{Record, Status};
use fonds_pipeline::{Event, RunReport, Stop, run};

use crate::support::{
    Bench, COPIES, assert_same_content, assert_sound, digests, fixtures, picture, plan, shipped,
    table,
};

/// A run that is asked to stop when this many files are finished.
fn run_until(bench: &Bench, plan: &std::sync::Arc<fonds_pipeline::Plan>, k: u64) -> RunReport {
    let cancelled = AtomicBool::new(false);
    let finished = AtomicU64::new(0);
    let events = |event: Event| {
        if matches!(event, Event::Finished { .. }) {
            let count = finished.fetch_add(1, Ordering::SeqCst) + 1;
            cancelled.fetch_or(count >= k, Ordering::SeqCst);
        }
    };
    run(plan, &bench.options(), &cancelled, &events).unwrap()
}

fn thirty() -> Bench {
    let bench = Bench::small();
    for number in 0..30 {
        let path = format!("many/{number}.ppm");
        bench.write(&path, &picture(&path, 33, 25, number));
    }
    bench
}

#[test]
fn stopped_after_k_files_and_resumed() {
    let (bench, plan) = (thirty(), plan(COPIES));
    let straight = bench.beside("straight");
    let all = straight.run(&plan).counts;
    for k in [1, 2, 5, 17, 35] {
        let bench = bench.beside(&format!("stopped{k}"));
        let stopped = run_until(&bench, &plan, k);
        assert_eq!(stopped.stop, Some(Stop::Interrupted), "after {k}");
        assert_eq!(stopped.counts.found, all.found);
        let left = all.processed - stopped.counts.processed;
        assert_eq!(stopped.counts.cancelled, left);
        assert_sound(&bench.output);
        let rows: Vec<Record> = table(&bench.output);
        let names: BTreeSet<_> = rows.iter().map(|row| &row.filename).collect();
        assert_eq!(names.len(), rows.len(), "no row twice");
        let cancelled = rows.iter().filter(|row| row.status == Status::Cancelled);
        assert_eq!(cancelled.count() as u64, left);

        let resumed = bench.run(&plan);
        assert_eq!(resumed.counts.processed, left, "after {k}");
        assert_same_content(
            &bench.output,
            &straight.output,
            &format!("stopped after {k}"),
        );
    }
}

/// The pipeline with everything in it, stopped again and again until there is nothing left to do.
#[test]
fn stopped_again_and_again() {
    let plan = shipped("restore-photographs");
    let bench = Bench::of_fixtures("archive");
    let mut rounds = 0;
    while run_until(&bench, &plan, 3 + rounds).stop.is_some() {
        rounds += 1;
        assert!(rounds < 20);
    }
    assert!(rounds >= 2, "it was never stopped");
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "stopped again and again");
    assert_eq!(digests(&bench.input), digests(&fixtures("archive")));
}

/// What a process that died leaves behind: unfinished files, half a line in the journal.
#[test]
fn what_a_dead_run_left_is_swept() {
    let (bench, plan) = (Bench::small(), plan(COPIES));
    let straight = bench.beside("straight");
    straight.run(&plan);
    run_until(&bench, &plan, 1);
    let derivatives = bench.output.join("derivatives/a");
    fs::create_dir_all(&derivatives).unwrap();
    fs::write(derivatives.join(".fonds-part-dead-0"), b"half a picture").unwrap();
    fs::write(bench.output.join(".catalog.csv.part-1"), b"half a table").unwrap();
    fs::write(bench.output.join(".fonds/running"), b"").unwrap();
    let journal = bench.output.join("events.jsonl");
    let mut lines = fs::read(&journal).unwrap();
    lines.extend_from_slice(b"{\"item\":\"a/two.ppm\",\"key\":\"00");
    fs::write(&journal, lines).unwrap();
    bench.run(&plan);
    assert_sound(&bench.output);
    assert_same_content(&bench.output, &straight.output, "after a death");
}

/// A line of the journal that is damaged costs the work on its own file.
#[test]
fn a_damaged_journal_line_is_told_and_made_good() {
    let (bench, plan) = (Bench::small(), plan(COPIES));
    bench.run(&plan);
    let straight = bench.beside("straight");
    straight.run(&plan);
    let journal = bench.output.join("events.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let damaged = text.replace(
        "{\"item\":\"a/one.ppm\",\"key\":\"",
        "{\"item\":\"a/one.ppm\",\"kez\":\"",
    );
    assert_ne!(text, damaged);
    fs::write(&journal, damaged).unwrap();
    let (report, events) = bench.run_told(&plan);
    assert_eq!(report.counts.processed, 1);
    let told = events
        .iter()
        .any(|event| matches!(event, Event::Warning { message } if message.contains("damaged")));
    assert!(told, "{events:?}");
    assert_same_content(
        &bench.output,
        &straight.output,
        "after damage to the journal",
    );
}
