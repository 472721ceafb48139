//! Equal plans over equal inputs write equal content, whatever the way there.

use std::fs;
use std::sync::Arc;

use fonds_catalog::{Adopt, adopt_files, merge_catalogs};
use fonds_ingest::Shard;
use fonds_pipeline::{Plan, clean};

use crate::support::{
    Bench, COPIES, assert_same_content, assert_sound, content, digests, fixtures, plan,
};

/// Every way to write something: branches, several outputs, conditions, limits, thumbnails.
const EVERYTHING: &str = r#"
    name = "everything"
    [thumbnails]
    small = 64
    thumb = 32
    from = "tones"
    [[step]]
    id = "tones"
    run.tone = { mode = "per_channel" }
    when = { fading = { above = 0.05 } }
    max_change = 0.9
    [[step]]
    id = "gray"
    from = "source"
    run.gray = {}
    [[step]]
    id = "little"
    from = "tones"
    run.resize = { longest = 90 }
    [[output]]
    id = "master"
    from = "tones"
    format = "tiff"
    [[output]]
    id = "gray"
    from = "gray"
    format = "png"
    name = "gray/{objectid}"
    [[output]]
    id = "web"
    from = "little"
    format = "webp"
    profile = "srgb"
"#;

/// The fixture archive with a few of the bad files: every kind of row.
fn mixed() -> Bench {
    let bench = Bench::empty();
    for path in digests(&fixtures("archive")).keys() {
        bench.write(path, &fs::read(fixtures("archive").join(path)).unwrap());
    }
    for name in [
        "empty.jpg",
        "truncated.png",
        "cmyk profile.png",
        "a jpeg.tif",
        "loop.tif",
    ] {
        let path = format!("bad/{name}");
        bench.write(&path, &fs::read(fixtures("bad").join(name)).unwrap());
    }
    bench
}

fn everything() -> Arc<Plan> {
    plan(EVERYTHING)
}

#[test]
fn one_worker_or_three() {
    let (bench, plan) = (mixed(), everything());
    bench.run_with(&plan, |options| options.workers = 1);
    let other = bench.beside("three");
    other.run_with(&plan, |options| options.workers = 3);
    assert_same_content(&bench.output, &other.output, "1 worker and 3");
    assert_sound(&other.output);
}

#[test]
fn three_shards_merged_or_whole() {
    let (bench, plan) = (mixed(), everything());
    let whole = bench.run(&plan);
    let parts: Vec<_> = (1..=3)
        .map(|index| {
            let part = bench.beside(&format!("part{index}"));
            part.run_with(&plan, |options| {
                options.shard = Shard::new(index, 3).unwrap();
            });
            part.output
        })
        .collect();
    let merged = bench.beside("merged").output;
    fs::create_dir(&merged).unwrap();
    adopt_files(&parts, &merged, Adopt::Copy).unwrap();
    let report = merge_catalogs(&parts, &merged).unwrap();
    assert_eq!(report.summary.files.total(), whole.counts.found);
    assert_same_content(&bench.output, &merged, "whole and merged");
    assert_sound(&merged);
}

#[test]
fn a_second_run_does_nothing() {
    let (bench, plan) = (mixed(), everything());
    let first = bench.run(&plan).counts;
    let before = content(&bench.output);
    let second = bench.run(&plan).counts;
    assert_eq!(second.processed, 0);
    assert_eq!(second.up_to_date, first.processed);
    assert_eq!((first.ok, first.failed), (second.ok, second.failed));
    assert_eq!(before, content(&bench.output));
}

/// The catalog tells of the last plan; what the one before wrote stays until it is cleaned away.
#[test]
fn two_plans_in_one_output() {
    let (bench, copies) = (Bench::small(), plan(COPIES));
    let other = plan(&COPIES.replace("png", "tiff"));
    bench.run(&copies);
    let report = bench.run(&other);
    assert!(report.counts.processed > 0);
    assert_eq!(
        report.orphans,
        2 * 5,
        "pictures and sidecars of the first plan"
    );

    let straight = bench.beside("straight");
    straight.run(&other);
    let removed = clean(&bench.output, true).unwrap();
    assert_eq!(removed.orphans.len(), 10);
    assert!(removed.orphans.iter().all(|path| path.contains(".png")));
    assert_same_content(&bench.output, &straight.output, "after another plan");

    bench.run(&copies);
    clean(&bench.output, true).unwrap();
    let straight = bench.beside("first");
    straight.run(&copies);
    assert_same_content(&bench.output, &straight.output, "back again");
}

/// What `--limit` and `--only` left out is done by a later run as if there had been none.
#[test]
fn in_portions() {
    let (bench, plan) = (Bench::small(), plan(COPIES));
    let first = bench.run_with(&plan, |options| options.limit = Some(2));
    assert_eq!(first.counts.processed, 2);
    assert_sound(&bench.output);
    let second = bench.run_with(&plan, |options| options.only = vec!["b/**".to_owned()]);
    assert_eq!(second.counts.processed + second.counts.up_to_date, 3);
    assert_sound(&bench.output);
    bench.run(&plan);
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "in portions");
}
