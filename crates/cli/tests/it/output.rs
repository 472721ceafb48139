//! What a run prints, and what it writes about itself.

use std::fs;

use serde_json::Value;

use crate::support::{Bench, content};

#[test]
fn the_last_line_counts_everything() {
    let bench = Bench::with_broken();
    let ended = bench.run(&[]);
    let expected = "processed 6, ok 5, warning 0, skipped 1, failed 1 -> out/failed.csv";
    assert_eq!(ended.stdout.lines().last(), Some(expected));
    assert!(
        ended.stderr.contains("7 files found, 6 to look at"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("broken.png: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("[corrupt]"), "{}", ended.stderr);
    let quiet = bench.run_to("quiet", &["--quiet"]);
    assert_eq!(quiet.stdout.lines().count(), 1);
    assert!(
        quiet
            .stderr
            .lines()
            .all(|line| line.starts_with("broken.png")),
        "{}",
        quiet.stderr
    );
}

#[test]
fn json_events() {
    let bench = Bench::with_broken();
    let ended = bench.run(&["--json"]);
    assert_eq!(ended.code, 3, "{}", ended.all());
    let lines = ended.stdout.lines();
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.first(), Some(&"started"));
    assert_eq!(kinds.last(), Some(&"ended"));
    assert_eq!(kinds.iter().filter(|kind| **kind == "finished").count(), 6);
    let last = events.last().unwrap();
    assert_eq!(
        (&last["counts"]["ok"], &last["counts"]["failed"]),
        (&5.into(), &1.into())
    );
    let failed = events
        .iter()
        .find(|event| event["status"] == "failed")
        .unwrap();
    assert_eq!(failed["path"], "broken.png");
    assert_eq!(failed["error_code"], "corrupt");
}

/// `run.json` keeps the command line as it was typed, and how the process ended.
#[test]
fn the_record_of_the_run() {
    let bench = Bench::with_broken();
    bench.run(&["--threads", "2"]);
    let run: Value =
        serde_json::from_slice(&fs::read(bench.path("out/run.json")).unwrap()).unwrap();
    let expected = [
        "fonds",
        "run",
        "copies.toml",
        "in",
        "--out",
        "out",
        "--threads",
        "2",
    ];
    assert_eq!(run["argv"], serde_json::json!(expected));
    assert_eq!(run["exit_code"], 3);
    assert_eq!(run["counts"]["files"], 7);
}

/// Threads decide how fast, supervision what survives; neither decides what is written.
#[test]
fn threads_and_supervision_change_no_content() {
    let bench = Bench::with_broken();
    bench.run(&["--threads", "1"]);
    let one = content(&bench.path("out"));
    for (output, more) in [
        ("three", &["--threads", "3"][..]),
        ("alone", &["--unsupervised"]),
        ("quiet", &["--quiet", "--verify"]),
    ] {
        let ended = bench.run_to(output, more);
        assert_eq!(ended.code, 3, "{}", ended.all());
        assert_eq!(content(&bench.path(output)), one, "{output}");
    }
}

#[test]
fn shards_are_merged() {
    let bench = Bench::with_broken();
    bench.run_to("whole", &[]);
    for shard in ["1/3", "2/3", "3/3"] {
        let ended = bench.run_to(&shard.replace('/', "-"), &["--shard", shard]);
        assert!([0, 3, 5].contains(&ended.code), "{}", ended.all());
    }
    let merged = bench.fonds(&["catalog", "merge", "1-3", "2-3", "3-3", "--out", "merged"]);
    assert_eq!(merged.code, 0, "{}", merged.all());
    assert!(
        merged.stdout.starts_with("joined 3 parts: 7 rows, "),
        "{}",
        merged.stdout
    );
    assert_eq!(
        content(&bench.path("merged")),
        content(&bench.path("whole"))
    );
    let missing = bench.fonds(&["catalog", "merge", "1-3", "nowhere", "--out", "merged2"]);
    assert_ne!(missing.code, 0, "{}", missing.all());
}

#[test]
fn limit_only_and_retry() {
    let bench = Bench::with_broken();
    let limited = bench.run(&["--limit", "2"]);
    assert!(
        limited.stdout.starts_with("processed 2,"),
        "{}",
        limited.stdout
    );
    let only = bench.run(&["--only", "b/**", "--only", "broken.png"]);
    assert_eq!(only.code, 3, "{}", only.all());
    let all = bench.run(&[]);
    assert!(
        all.stdout.starts_with("processed 6, ok 5,"),
        "{}",
        all.stdout
    );
    let retried = bench.run(&["--retry-failed"]);
    assert!(
        retried
            .stderr
            .contains("1 files processed, 5 were up to date"),
        "{}",
        retried.stderr
    );
    let retried = bench.run(&["--retry-failed=timeout,oom"]);
    assert!(
        retried.stderr.contains("nothing to do"),
        "{}",
        retried.stderr
    );
}
