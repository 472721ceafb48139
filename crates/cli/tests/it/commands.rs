//! The commands around a run.

use std::fs;

use crate::support::{Bench, files, fixtures, run};

/// What is printed, with what differs from machine to machine and from run to run masked at the
/// same width.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut digits = String::new();
    let flush = |digits: &mut String, masked: &mut String| {
        let hex = digits.len() >= 12 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        masked.push_str(&if hex {
            "0".repeat(digits.len())
        } else {
            digits.clone()
        });
        digits.clear();
    };
    for c in text.chars() {
        if c.is_ascii_hexdigit() {
            digits.push(c);
        } else {
            flush(&mut digits, &mut masked);
            masked.push(c);
        }
    }
    flush(&mut digits, &mut masked);
    masked
}

#[test]
fn check() {
    let bench = Bench::good();
    let ended = bench.fonds(&["check", "copies.toml", "restore-photographs", "pages"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    insta::assert_snapshot!("check", ended.stdout);
    bench.write(
        "bad.toml",
        b"nam = \"bad\"\n[[step]]\nrun.tonne = {}\n[[output]]\nformat = \"jpeg\"\nquality = 0\n",
    );
    let ended = bench.fonds(&["check", "bad.toml", "nowhere.toml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    insta::assert_snapshot!("check-bad", ended.stderr);
}

#[test]
fn steps() {
    let list = run(&["steps"]);
    assert_eq!(list.code, 0);
    insta::assert_snapshot!("steps", list.stdout);
    let one = run(&["steps", "resize"]);
    assert_eq!(one.code, 0);
    insta::assert_snapshot!("steps-resize", one.stdout);
    // What the list names can be explained, and its keys have a text each.
    let names = list.stdout.lines().filter(|line| line.starts_with("  "));
    for name in names
        .take(10)
        .filter_map(|line| line.split_whitespace().next())
    {
        let explained = run(&["steps", name]);
        assert_eq!(explained.code, 0, "{name}");
        assert!(
            explained.stdout.starts_with(&format!("run.{name}: ")),
            "{name}"
        );
    }
}

#[test]
fn pipelines() {
    let list = run(&["pipelines"]);
    assert_eq!(list.code, 0);
    insta::assert_snapshot!("pipelines", list.stdout);
    for name in [
        "restore-photographs",
        "catalog-only",
        "access-copies",
        "enlarge",
        "pages",
    ] {
        let path = fixtures("../pipelines").join(format!("{name}.toml"));
        let printed = run(&["pipelines", name]);
        assert_eq!(printed.stdout, fs::read_to_string(path).unwrap(), "{name}");
    }
    assert_eq!(run(&["pipelines", "nonsense"]).code, 2);
}

#[test]
fn init_and_run_what_it_wrote() {
    let bench = Bench::good();
    let ended = bench.fonds(&["init"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(
        ended.stdout.starts_with("wrote pipeline.toml; "),
        "{}",
        ended.stdout
    );
    assert_eq!(bench.fonds(&["check", "pipeline.toml"]).code, 0);
    let ended = bench.fonds(&["run", "pipeline.toml", "in", "--out", "out"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
}

#[test]
fn plan() {
    let bench = Bench::with_broken();
    let before = files(&bench.path("."));
    let ended = bench.fonds(&["plan", "copies.toml", "in", "--out", "out", "--sample", "0"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    insta::assert_snapshot!("plan", masked(&ended.stdout));
    let tried = [
        "plan",
        "restore-photographs",
        "in",
        "--out",
        "out",
        "--sample",
        "1",
    ];
    let ended = bench.fonds(&tried);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(
        ended.stdout.contains("trial: 1 pictures in "),
        "{}",
        ended.stdout
    );
    assert_eq!(files(&bench.path(".")), before, "a plan writes nothing");
}

#[test]
fn inspect() {
    let archive = fixtures("archive");
    let portrait = archive.join("photographs/portrait No. 7.jpg");
    let ended = run(&["inspect", portrait.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    for text in ["The surveyor?", "image/jpeg", "No known copyright"] {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    let pages = archive.join("letters/accounts/accounts 1911.tif");
    let bad = fixtures("bad/empty.jpg");
    let both = [pages.to_str().unwrap(), bad.to_str().unwrap()];
    let ended = run(&["inspect", "--json", both[0], both[1]]);
    assert_ne!(ended.code, 0, "one of them cannot be read");
    let objects: Vec<serde_json::Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 2);
}

#[test]
fn clean() {
    let bench = Bench::good();
    bench.run(&[]);
    let nothing = bench.fonds(&["clean", "out"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ""));
    fs::remove_file(bench.path("in/four.ppm")).unwrap();
    let told = bench.run(&[]);
    assert!(told.stderr.contains("fonds clean"), "{}", told.stderr);
    let derivative = bench.path("out/derivatives/four.ppm.little.png");
    let listed = bench.fonds(&["clean", "out"]);
    let expected = "derivatives/four.ppm.little.png\nderivatives/four.ppm.little.png.prov.json\n";
    assert_eq!(listed.stdout, expected);
    assert!(derivative.exists());
    assert_eq!(bench.fonds(&["clean", "out", "--remove"]).stdout, expected);
    assert!(!derivative.exists());
    assert_eq!(bench.fonds(&["clean", "in"]).code, 2, "that is no output");
}

#[test]
fn completions_and_manual() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.code, 0, "{shell}");
        assert!(
            ended.stdout.contains("restore") || ended.stdout.contains("inspect"),
            "{shell}"
        );
    }
    let man = run(&["man"]);
    assert_eq!(man.code, 0);
    assert!(man.stdout.contains(".TH fonds"), "{}", man.stdout);
    for command in ["RUN", "PLAN", "CHECK", "INSPECT", "CATALOG", "CLEAN"] {
        assert!(
            man.stdout.contains(&format!("FONDS {command}")),
            "{command}"
        );
    }
}
