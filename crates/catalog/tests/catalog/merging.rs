//! Shards joined equal one run over all.

use std::fs;
use std::path::{Path, PathBuf};

use fonds_catalog::{Adopt, Item, RUN_FILE, RunFile, adopt_files, check_parts, merge_catalogs};
use fonds_core::Code;

use crate::support::{archive, tree, write, write_shard};

fn shards(root: &Path, items: &[Item], count: u32) -> Vec<PathBuf> {
    (1..=count)
        .map(|index| write_shard(root, items, index, count))
        .collect()
}

fn folder(root: &Path, name: &str) -> PathBuf {
    let path = root.join(name);
    fs::create_dir(&path).unwrap();
    path
}

#[test]
fn merged_equals_whole() {
    let root = tempfile::tempdir().unwrap();
    let items = archive(70);
    let whole = folder(root.path(), "whole");
    let expected = write(&whole, &items);
    assert!(
        expected.duplicates > 15 && expected.pages > 20,
        "{expected:?}"
    );
    let mut parts = shards(root.path(), &items, 3);
    parts.reverse();
    for how in [Adopt::Link, Adopt::Copy] {
        let out = folder(root.path(), &format!("{how:?}"));
        // Links twice, because a merge may be repeated after a shard was run again.
        for _ in 0..if how == Adopt::Link { 2 } else { 1 } {
            let adopted = adopt_files(&parts, &out, how).unwrap();
            let count = if how == Adopt::Link {
                adopted.linked
            } else {
                adopted.copied
            };
            assert_eq!(count, 2 * expected.derivatives + 56);
            assert!(adopted.missing.is_empty());
            let report = merge_catalogs(&parts, &out).unwrap();
            assert_eq!(report.summary, expected);
            assert!(report.warnings.is_empty());
        }
        let text = fs::read_to_string(out.join(RUN_FILE)).unwrap();
        let run = RunFile::from_json(&text).unwrap();
        assert_eq!(run.merged_from, ["run 3", "run 2", "run 1"]);
        assert_eq!((run.counts.files, run.shard, run.exit_code), (70, None, 3));
        fs::remove_file(out.join(RUN_FILE)).unwrap();
        assert!(tree(&out) == tree(&whole), "{how:?}");
    }
}

#[test]
fn one_part_is_enough_and_empty_parts_are_fine() {
    let root = tempfile::tempdir().unwrap();
    let items = archive(2);
    let parts = shards(root.path(), &items, 5);
    let out = folder(root.path(), "out");
    assert_eq!(
        merge_catalogs(&parts, &out).unwrap().summary.files.total(),
        2
    );
    let again = folder(root.path(), "again");
    let single = [folder(root.path(), "single")];
    write(&single[0], &items);
    let report = merge_catalogs(&single, &again).unwrap();
    assert_eq!(report.warnings.len(), 1, "no run.json");
    assert_eq!(
        fs::read(out.join("catalog.csv")).unwrap(),
        fs::read(again.join("catalog.csv")).unwrap()
    );
}

#[test]
fn overlapping_parts_must_agree() {
    let root = tempfile::tempdir().unwrap();
    let items = archive(10);
    let (one, two) = (root.path().join("one"), root.path().join("two"));
    let out = folder(root.path(), "out");
    write(&one, &items[..6]);
    write(&two, &items[4..]);
    let parts = [one, two.clone()];
    assert_eq!(
        merge_catalogs(&parts, &out).unwrap().summary.files.total(),
        10
    );
    let mut differing = items[4..].to_vec();
    differing[0].record.title = "other".into();
    write(&two, &differing);
    let error = merge_catalogs(&parts, &out).unwrap_err();
    assert_eq!(error.code(), Code::NameCollision);
    assert!(
        error.to_string().contains(&items[4].record.filename),
        "{error}"
    );
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let items = archive(30);
    let parts = shards(root.path(), &items, 3);
    let out = folder(root.path(), "out");
    let refused = |parts: &[PathBuf]| {
        let error = merge_catalogs(parts, &out).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert_eq!(
            fs::read_dir(&out).unwrap().count(),
            0,
            "nothing was written"
        );
        error.message().to_owned()
    };
    assert!(check_parts(&parts, &out).unwrap().is_empty());
    assert!(check_parts(&parts[1..], &out).is_err());
    assert_eq!(
        refused(&parts[..2]),
        "the parts are not complete: missing 3/3"
    );
    assert_eq!(refused(&[]), "there is nothing to merge");
    assert_eq!(
        refused(&[parts[0].clone(), parts[0].clone()]),
        "is named twice"
    );
    assert_eq!(
        refused(std::slice::from_ref(&out)),
        "is a part and the merged output at once"
    );

    let copy = root.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for (name, bytes) in tree(&parts[0])
        .into_iter()
        .filter(|(name, _)| name.iter().count() == 1)
    {
        fs::write(copy.join(name), bytes).unwrap();
    }
    assert!(refused(&[parts.clone(), vec![copy]].concat()).starts_with("is shard 1/3, and so is"));

    let run = parts[1].join(RUN_FILE);
    let text = fs::read_to_string(&run).unwrap();
    fs::write(&run, text.replace("\"test\"", "\"other\"")).unwrap();
    assert!(refused(&parts).starts_with("was made by another pipeline than"));
    fs::remove_file(&run).unwrap();
    let catalog = parts[1].join("catalog.csv");
    let text = fs::read_to_string(&catalog).unwrap();
    fs::write(&catalog, text.replace("test@0123abcd", "test@ffffffff")).unwrap();
    assert!(refused(&parts).contains("test@ffffffff"));
}

#[test]
fn a_run_that_stopped_early_is_mentioned() {
    let root = tempfile::tempdir().unwrap();
    let parts = shards(root.path(), &archive(10), 2);
    let run = parts[1].join(RUN_FILE);
    let text = fs::read_to_string(&run).unwrap();
    fs::write(&run, text.replace("\"exit_code\": 0", "\"exit_code\": 130")).unwrap();
    let out = folder(root.path(), "out");
    let report = merge_catalogs(&parts, &out).unwrap();
    assert!(report.warnings[0].ends_with("stopped early (exit code 130)"));
    assert_eq!(report.run.unwrap().exit_code, 130);
}

#[test]
fn paths_that_leave_the_root_are_refused_and_lost_files_are_named() {
    let root = tempfile::tempdir().unwrap();
    let mut items = archive(3);
    let part = root.path().join("part");
    write(&part, &items);
    let lost = part.join(&items[2].derivatives[0].path);
    fs::remove_file(&lost).unwrap();
    let out = folder(root.path(), "out");
    let parts = [part.clone()];
    let report = adopt_files(&parts, &out, Adopt::Link).unwrap();
    assert_eq!(report.missing, [lost]);

    items[2].derivatives[0].path = "../../outside".into();
    let hostile = root.path().join("x/y/hostile");
    write(&hostile, &items);
    let error = adopt_files(&[hostile], &out, Adopt::Copy).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
}
