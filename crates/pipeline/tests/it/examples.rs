//! The examples run, on the fixtures alone.

use crate::support::fixtures;

#[path = "../../examples/run_folder.rs"]
#[expect(dead_code, unreachable_pub, reason = "a test calls what `main` calls")]
mod run_folder;

#[path = "../../examples/own_step.rs"]
#[expect(dead_code, unreachable_pub, reason = "a test calls what `main` calls")]
mod own_step;

#[test]
fn a_folder_is_run() {
    let out = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    run_folder::run_folder(&fixtures("archive"), &out.path().join("out"), &mut told).unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with("20 files found, 16 to do\n"), "{told}");
    assert!(
        told.contains("photographs/Übersicht Straße 1902.jpg: ok\n"),
        "{told}"
    );
    assert!(told.ends_with("16 done, 0 failed\n"), "{told}");
}

#[test]
fn a_step_of_ones_own_is_run() {
    let out = tempfile::tempdir().unwrap();
    let done = own_step::run_with_own_step(&fixtures("archive/postcards"), out.path()).unwrap();
    assert_eq!((done.counts.failed, done.counts.ok), (0, 6));
}
