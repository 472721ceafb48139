//! Bad files as an archive: each gets what `EXPECT.tsv` says, and the good ones do not notice.

use std::fs;

use fonds_catalog::{FailureRecord, Status};
use fonds_core::{Code, Flag};

use crate::support::{Bench, COPIES, assert_sound, content, fixtures, picture, plan, table};

struct Expected {
    file: String,
    expect: String,
}

fn expectations() -> Vec<Expected> {
    let text = fs::read_to_string(fixtures("bad/EXPECT.tsv")).unwrap();
    let lines = text.lines().skip(1);
    lines
        .map(|line| {
            let mut cells = line.split('\t').map(str::to_owned);
            let (file, expect) = (cells.next().unwrap(), cells.next().unwrap());
            Expected { file, expect }
        })
        .collect()
}

#[test]
fn every_bad_file_gets_its_code() {
    let bench = Bench::of_fixtures("bad");
    let report = bench.run(&plan(COPIES));
    let failures: Vec<FailureRecord> = table(&bench.output);
    let expectations = expectations();
    let mut wrong = Vec::new();
    let mut failed = 0;
    for Expected { file, expect } in &expectations {
        let row = bench.row(file);
        let lines: Vec<_> = failures
            .iter()
            .filter(|line| line.filename == *file)
            .collect();
        let found = match row.status {
            Status::Failed => {
                failed += 1;
                row.error_code
                    .map_or("none", |code| code.as_str())
                    .to_owned()
            }
            _ => "ok".to_owned(),
        };
        let flag = Flag::from_text(expect);
        let as_expected = match (Code::from_text(expect), flag) {
            _ if expect == "ok" => found == "ok",
            (_, Some(flag)) => found == "ok" && row.quality_flags.contains(&flag),
            (Some(_), None) => found == *expect,
            (None, None) => panic!("{file}: `{expect}` is neither a code nor a flag"),
        };
        let codes: Vec<_> = lines.iter().filter_map(|line| line.error_code).collect();
        let recorded = if found == "ok" {
            codes.is_empty() && !bench.derivatives_of(file).is_empty()
        } else {
            codes == [Code::from_text(&found).unwrap()]
                && !row.error_message.is_empty()
                && bench.derivatives_of(file).is_empty()
        };
        if !as_expected || !recorded {
            wrong.push(format!(
                "{file}: {expect}, found {found} {codes:?}: {}",
                row.error_message
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(report.counts.failed, failed);
    assert_sound(&bench.output);
}

#[test]
fn good_files_beside_bad_ones_are_unaffected() {
    let plan = plan(COPIES);
    let alone = Bench::empty();
    let mixed = Bench::empty();
    for (number, name) in ["good/a.ppm", "zz.ppm"].into_iter().enumerate() {
        let bytes = picture(name, 30, 20, number as u32);
        alone.write(name, &bytes);
        mixed.write(name, &bytes);
    }
    for Expected { file, .. } in expectations() {
        mixed.write(&file, &fs::read(fixtures("bad").join(&file)).unwrap());
    }
    alone.run(&plan);
    mixed.run(&plan);
    let (alone, mixed) = (content(&alone.output), content(&mixed.output));
    for (path, text) in alone
        .iter()
        .filter(|(path, _)| path.starts_with("derivatives/"))
    {
        assert_eq!(mixed.get(path), Some(text), "{path}");
    }
    let row = |content: &std::collections::BTreeMap<String, String>| -> String {
        let lines = content["catalog.csv"].lines();
        lines
            .filter(|line| line.starts_with("good/a.ppm,"))
            .collect()
    };
    assert_eq!(row(&alone), row(&mixed));
}

/// A file that vanishes between the walk and its turn is recorded like any other failure.
#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_recorded() {
    let bench = Bench::small();
    std::os::unix::fs::symlink(bench.input.join("gone.ppm"), bench.input.join("link.ppm")).unwrap();
    let report = bench.run(&plan(COPIES));
    let row = bench.row("link.ppm");
    assert_eq!(row.status, Status::Failed);
    assert_eq!(row.error_code, Some(Code::Unreadable.into()));
    assert_eq!(report.counts.failed, 2);
    let failures: Vec<FailureRecord> = table(&bench.output);
    let line = failures
        .iter()
        .find(|line| line.filename == "link.ppm")
        .unwrap();
    assert!(line.retryable);
}
