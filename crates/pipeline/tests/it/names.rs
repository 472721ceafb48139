//! Names of derivatives: no two pictures ever share one.

use std::fs;

use fonds_catalog::DerivativeRecord;
use fonds_core::Code;

use crate::support::{Bench, assert_same_content, assert_sound, fixtures, picture, plan, table};

fn named(rule: &str) -> String {
    format!(
        "name = \"named\"\n[[output]]\nformat = \"png\"\nname = \"{rule}\"\n\
         [run]\nunchanged = \"write\"\n"
    )
}

/// One stem in two folders and in two formats, pages, no extension to speak of.
fn alike() -> Bench {
    let bench = Bench::empty();
    for (seed, path) in ["a/x.ppm", "a/x.pgm", "b/x.ppm", "x.ppm", "a/x.ppm.ppm"]
        .into_iter()
        .enumerate()
    {
        bench.write(path, &picture(path, 20, 10, seed as u32));
    }
    let pages = fixtures("archive/letters/accounts/accounts 1911.tif");
    bench.write("x.tif", &fs::read(pages).unwrap());
    bench
}

#[test]
fn rules_that_tell_everything_apart() {
    for rule in [
        "{folder}/{stem}.{ext}{page}.{id}",
        "{objectid}",
        "{id}/{objectid}",
        "flat/{objectid}_{stem}",
    ] {
        let bench = alike();
        let report = bench.run(&plan(&named(rule)));
        assert_eq!(report.counts.failed, 0, "{rule}");
        let rows: Vec<DerivativeRecord> = table(&bench.output);
        assert_eq!(rows.len(), 8, "{rule}");
        assert_sound(&bench.output);
    }
}

/// A rule that makes two pictures meet must not let one silently take the other's place, and which
/// of them is written must not be a matter of chance.
#[test]
fn pictures_that_meet_under_one_name_are_reported() {
    let plan = plan(&named("{stem}{page}"));
    let bench = alike();
    let report = bench.run_with(&plan, |options| options.workers = 1);
    assert_eq!(report.counts.failed, 4, "five files would be called x.png");
    let winners = ["a/x.pgm", "a/x.ppm", "b/x.ppm", "x.ppm", "x.tif"]
        .into_iter()
        .filter(|name| bench.row(name).error_code != Some(Code::NameCollision.into()));
    assert_eq!(winners.collect::<Vec<_>>(), ["a/x.pgm"]);
    assert_sound(&bench.output);
    for workers in [2, 4] {
        let other = bench.beside(&format!("{workers}"));
        other.run_with(&plan, |options| options.workers = workers);
        assert_same_content(&bench.output, &other.output, "names that meet");
    }
    assert_eq!(bench.run(&plan).counts.processed, 0);
}
