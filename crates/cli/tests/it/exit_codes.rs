//! Each exit code, by the situation that asks for it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::{Bench, COPIES, content, fixtures, picture, run};

#[test]
fn done_is_0() {
    let bench = Bench::good();
    let ended = bench.run(&[]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let again = bench.run(&[]);
    assert_eq!(again.code, 0, "{}", again.all());
    assert!(
        again
            .stderr
            .contains("nothing to do: all 5 files are up to date"),
        "{}",
        again.stderr
    );
}

#[test]
fn usage_is_2() {
    let bench = Bench::good();
    bench.write("bad.toml", b"name = \"bad\"\n[[step]]\nrun.tonne = {}\n");
    bench.write("binary.toml", b"name = \"\xff\xfe\"\n");
    let cases: [&[&str]; 10] = [
        &["run", "bad.toml", "in", "--out", "out"],
        &["run", "binary.toml", "in", "--out", "out"],
        &["run", "no-such-pipeline", "in", "--out", "out"],
        &["run", "copies.toml", "in"],
        &["run", "copies.toml", "in", "--out", "out", "--shard", "4/3"],
        &[
            "run",
            "copies.toml",
            "in",
            "--out",
            "out",
            "--only",
            "[z-a]",
        ],
        &[
            "run",
            "copies.toml",
            "in",
            "--out",
            "out",
            "--retry-failed=nonsense",
        ],
        &["run", "copies.toml", "in", "--out", "out", "--threads", "0"],
        &["check", "copies.toml", "bad.toml"],
        &["steps", "tonne"],
    ];
    for arguments in cases {
        let ended = bench.fonds(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.all());
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
        assert!(!bench.path("out/catalog.csv").exists(), "{arguments:?}");
    }
    assert_eq!(run(&[]).code, 2);
    assert_eq!(run(&["frobnicate"]).code, 2);
}

#[test]
fn failed_files_are_3() {
    let bench = Bench::with_broken();
    let ended = bench.run(&[]);
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(bench.run(&[]).code, 3, "the file is still broken");
    bench.write("in/broken.png", &picture(30, 20, 3));
    assert_eq!(bench.run(&[]).code, 0);
}

#[test]
fn warnings_are_3_only_when_asked_for() {
    let bench = Bench::good();
    // A PPM under another name is processed, with a remark.
    bench.write("in/wrong.jpg", &picture(30, 20, 3));
    let ended = bench.run(&[]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(ended.stdout.contains("warning 1,"), "{}", ended.stdout);
    assert_eq!(bench.run(&["--strict"]).code, 3);
}

#[test]
fn stopped_early_is_4() {
    let bench = Bench::many(150);
    let text = COPIES.replace("[run]", "[run]\non_error = \"abort\"");
    bench.write("copies.toml", text.as_bytes());
    let ended = bench.run(&[]);
    assert_eq!(ended.code, 4, "{}", ended.all());
    assert!(ended.stderr.contains("on_error"), "{}", ended.stderr);
}

#[test]
fn no_input_is_5() {
    let bench = Bench::good();
    let missing = bench.fonds(&["run", "copies.toml", "nowhere", "--out", "out"]);
    assert_eq!(missing.code, 5, "{}", missing.all());
    fs::create_dir(bench.path("empty")).unwrap();
    let empty = bench.fonds(&["run", "copies.toml", "empty", "--out", "out"]);
    assert_eq!(empty.code, 5, "{}", empty.all());
    assert!(empty.stderr.contains("no file"), "{}", empty.stderr);
    bench.write("text/notes.txt", b"no picture");
    assert_eq!(
        bench
            .fonds(&["run", "copies.toml", "text", "--out", "out2"])
            .code,
        5
    );
    assert_eq!(
        bench
            .fonds(&["plan", "copies.toml", "text", "--out", "out3"])
            .code,
        5
    );
    assert!(!bench.path("out3").exists(), "a plan writes nothing");
}

#[test]
fn no_output_is_6() {
    let bench = Bench::good();
    bench.write("taken", b"a file");
    for output in ["taken", "in/out", "in", "."] {
        let ended = bench.run_to(output, &[]);
        assert_eq!(ended.code, 6, "{output}: {}", ended.all());
    }
    assert_eq!(fs::read(bench.path("taken")).unwrap(), b"a file");
    assert!(!bench.path("in/out").exists());
    let again = bench.fonds(&["init", "copies.toml"]);
    assert_eq!(again.code, 6, "{}", again.all());
    assert_eq!(
        fs::read(bench.path("copies.toml")).unwrap(),
        COPIES.as_bytes()
    );
}

#[test]
fn problems_are_7() {
    let bench = Bench::good();
    bench.run(&[]);
    let sound = bench.fonds(&["catalog", "validate", "out", "--deep"]);
    assert_eq!(
        (sound.code, sound.stdout.as_str()),
        (0, ""),
        "{}",
        sound.all()
    );
    fs::remove_file(bench.path("out/derivatives/four.ppm.little.png")).unwrap();
    let ended = bench.fonds(&["catalog", "validate", "out"]);
    assert_eq!(ended.code, 7, "{}", ended.all());
    assert!(
        ended.stdout.contains("four.ppm.little.png"),
        "{}",
        ended.stdout
    );
    let json = bench.fonds(&["catalog", "validate", "out", "--format", "json"]);
    assert_eq!(json.code, 7);
    for line in json.stdout.lines() {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(finding["severity"], "error");
    }
}

/// A run that is asked to end finishes what is in flight, and a later one goes on from there.
#[cfg(unix)]
#[test]
fn interrupted_is_130_and_terminated_143() {
    let bench = Bench::many(300);
    let straight = bench.run_to("straight", &[]);
    assert_eq!(straight.code, 3, "{}", straight.all());
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let output = format!("out-{signal}");
        let mut command = bench.command(&output);
        command.args(["--json", "--threads", "1"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut events = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"finished\"") {
            line.clear();
            assert!(
                events.read_line(&mut line).unwrap() > 0,
                "it ended before its first file"
            );
        }
        let pid = child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status()
            .unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        events.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest}");
        assert!(rest.contains("\"reason\":\"interrupted\""), "{rest}");
        let run = fs::read_to_string(bench.path(&output).join("run.json")).unwrap();
        assert!(run.contains("\"stopped\": \"interrupted\""), "{run}");

        let resumed = bench.run_to(&output, &[]);
        assert_eq!(resumed.code, 3, "{}", resumed.all());
        assert_eq!(
            content(&bench.path(&output)),
            content(&bench.path("straight"))
        );
    }
}

/// Nothing here depends on the fixtures; that a run over them ends with 0 is what the README says.
#[test]
fn the_fixture_archive_is_0() {
    let bench = Bench::good();
    let archive = fixtures("archive");
    for pipeline in [
        "restore-photographs",
        "catalog-only",
        "access-copies",
        "pages",
    ] {
        let arguments = [
            "run",
            pipeline,
            archive.to_str().unwrap(),
            "--out",
            pipeline,
            "-q",
        ];
        let ended = bench.fonds(&arguments);
        assert_eq!(ended.code, 0, "{pipeline}: {}", ended.all());
        assert_eq!(ended.stderr, "", "{pipeline}");
    }
}
