//! What happens when something goes wrong, by the pipeline's own rules.

use std::fs;

use fonds_catalog::{Record, RunFile, Status};
use fonds_core::Code;
use fonds_pipeline::{Event, RunOptions, Stop, run};

use crate::support::{Bench, COPIES, assert_same_content, assert_sound, picture, plan, table};

#[test]
fn abort_on_the_first_error() {
    let bench = many(300, 200);
    let text = COPIES.replace("[run]", "[run]\non_error = \"abort\"");
    let (report, events) = bench.run_told(&plan(&text));
    assert_eq!(report.stop, Some(Stop::FirstError));
    let reason = Stop::FirstError;
    assert!(events.contains(&Event::Stopping { reason }), "{events:?}");
    assert_eq!(
        report.counts.failed, 1,
        "the first is broken, and so is the 200th"
    );
    assert!(report.counts.cancelled > 0);
    assert_sound(&bench.output);
    let rows: Vec<Record> = table(&bench.output);
    let cancelled = rows.iter().filter(|row| row.status == Status::Cancelled);
    for row in cancelled {
        assert_eq!(
            row.error_code,
            Some(Code::Cancelled.into()),
            "{}",
            row.filename
        );
    }
    let run = fs::read_to_string(bench.output.join("run.json")).unwrap();
    let run = RunFile::from_json(&run).unwrap();
    assert_eq!(run.stopped.as_deref(), Some("first_error"));

    bench.run(&plan(COPIES));
    let straight = bench.beside("straight");
    straight.run(&plan(COPIES));
    assert_same_content(&bench.output, &straight.output, "gone on");
}

/// Tiny pictures of which every `n`th is broken.
fn many(count: u32, broken_every: u32) -> Bench {
    let bench = Bench::empty();
    for number in 0..count {
        let path = format!("{number:04}.pgm");
        let mut bytes = picture(&path, 8, 6, number);
        if number % broken_every == 0 {
            bytes.truncate(20);
        }
        bench.write(&path, &bytes);
    }
    bench
}

#[test]
fn too_many_failures_stop_the_run() {
    let bench = many(300, 2);
    let text = COPIES.replace("[run]", "[run]\nmax_failure_rate = 0.4");
    let (report, events) = bench.run_told(&plan(&text));
    assert_eq!(report.stop, Some(Stop::FailureRate));
    assert!(report.counts.processed >= 100, "{:?}", report.counts);
    assert!(report.counts.cancelled > 0, "{:?}", report.counts);
    assert_eq!(report.counts.processed + report.counts.cancelled, 300);
    let reasons = events
        .iter()
        .filter(|event| matches!(event, Event::Stopping { .. }));
    assert_eq!(reasons.count(), 1);
    assert_sound(&bench.output);
}

#[test]
fn a_rate_that_is_kept_or_too_few_files_stop_nothing() {
    let text = COPIES.replace("[run]", "[run]\nmax_failure_rate = 0.4");
    for bench in [many(150, 3), many(90, 2)] {
        let report = bench.run(&plan(&text));
        assert_eq!(report.stop, None);
        assert_eq!(report.counts.cancelled, 0);
    }
}

/// As the system's administrator every folder can be written; a file in the folder's place cannot.
#[test]
fn an_output_that_cannot_be_made() {
    let bench = Bench::small();
    fs::write(&bench.output, b"in the way").unwrap();
    let error = run(&plan(COPIES), &bench.options(), &false.into(), &|_| {}).unwrap_err();
    assert_eq!(error.code(), Code::WriteFailed, "{error}");
    assert_eq!(fs::read(&bench.output).unwrap(), b"in the way");
}

/// A file in the place of one derivative folder costs the pictures that belong there.
#[test]
fn a_folder_that_cannot_be_made() {
    let bench = Bench::small();
    fs::create_dir_all(bench.output.join("derivatives")).unwrap();
    fs::write(bench.output.join("derivatives/a"), b"in the way").unwrap();
    let report = bench.run(&plan(COPIES));
    assert_eq!(
        report.counts.failed, 3,
        "two in that folder, and the broken one"
    );
    assert_eq!(
        bench.row("a/one.ppm").error_code,
        Some(Code::WriteFailed.into())
    );
    assert_eq!(bench.row("four.ppm").status, Status::Ok);
    assert_sound(&bench.output);
    fs::remove_file(bench.output.join("derivatives/a")).unwrap();
    let report = bench.run(&plan(COPIES));
    assert_eq!(
        report.counts.failed, 1,
        "what may succeed is tried again without asking"
    );
    let straight = bench.beside("straight");
    straight.run(&plan(COPIES));
    assert_same_content(&bench.output, &straight.output, "made good");
}

#[test]
fn an_archive_that_is_missing() {
    let bench = Bench::empty();
    let options = RunOptions::new(bench.input.join("nowhere"), &bench.output);
    let error = run(&plan(COPIES), &options, &false.into(), &|_| {}).unwrap_err();
    assert_eq!(error.code(), Code::Unreadable, "{error}");
    assert!(!bench.output.exists(), "nothing is written for nothing");
}

#[test]
fn a_metadata_sheet_that_cannot_be_read_stops_the_run_before_it_begins() {
    let bench = Bench::small();
    bench.write(
        "metadata.csv",
        b"title,year\nno column that names a file,1902\n",
    );
    let error = run(&plan(COPIES), &bench.options(), &false.into(), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("metadata.csv"), "{error}");
    assert!(!bench.output.join("catalog.csv").exists());
}

/// Two runs at once on one output would spoil each other's work.
#[test]
fn a_second_run_on_the_same_output_is_refused() {
    let bench = Bench::small();
    let (options, plan) = (bench.options(), plan(COPIES));
    let refused = std::sync::Mutex::new(None);
    let events = |event: Event| {
        if matches!(event, Event::Cataloguing) {
            let second = run(&plan, &options, &false.into(), &|_| {});
            *refused.lock().unwrap() = Some(second.unwrap_err());
        }
    };
    run(&plan, &options, &false.into(), &events).unwrap();
    let error = refused.into_inner().unwrap().unwrap();
    assert_eq!(error.code(), Code::WriteFailed);
    assert!(error.to_string().contains("another run"), "{error}");
    assert_sound(&bench.output);
}

/// A budget that holds less than one picture lets pictures through one at a time.
#[test]
fn little_memory_changes_no_content() {
    let bench = Bench::small();
    for number in 0..6 {
        let path = format!("large/{number}.ppm");
        bench.write(&path, &picture(&path, 2400, 1500, number));
    }
    bench.run(&plan(COPIES));
    let frugal = bench.beside("frugal");
    let text = COPIES.replace("[run]", "[run]\nmemory_mib = 64");
    frugal.run_with(&plan(&text), |options| options.workers = 4);
    assert_same_content(&bench.output, &frugal.output, "little memory");
}
