//! Originals are read and nothing else.

use std::fs;
use std::path::Path;

use fonds_core::Code;
use fonds_pipeline::{RunOptions, run};

use crate::support::{Bench, COPIES, digests, files, plan, shipped};

/// Digest, permissions and time of every file.
fn state(folder: &Path) -> Vec<(String, String, bool, std::time::SystemTime)> {
    let digests = digests(folder);
    files(folder)
        .into_iter()
        .map(|path| {
            let metadata = fs::metadata(folder.join(&path)).unwrap();
            let readonly = metadata.permissions().readonly();
            (
                path.clone(),
                digests[&path].clone(),
                readonly,
                metadata.modified().unwrap(),
            )
        })
        .collect()
}

fn set_readonly(folder: &Path, readonly: bool) {
    let paths = files(folder);
    let folders = paths.iter().filter_map(|path| Path::new(path).parent());
    let all = paths.iter().map(Path::new).chain(folders);
    for path in all.map(|path| folder.join(path)) {
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let open = if path.is_dir() { 0o755 } else { 0o644 };
            permissions.set_mode(if readonly { open & !0o222 } else { open });
        }
        #[cfg(not(unix))]
        permissions.set_readonly(readonly);
        fs::set_permissions(&path, permissions).unwrap();
    }
}

#[test]
fn they_stay_as_they_are_in_a_folder_that_cannot_be_written() {
    let bench = Bench::small();
    set_readonly(&bench.input, true);
    let before = state(&bench.input);
    assert!(before.iter().all(|(_, _, readonly, _)| *readonly));
    for name in ["restore-photographs", "access-copies"] {
        let bench = bench.beside(name);
        let report = bench.run(&shipped(name));
        assert_eq!(report.counts.failed, 1, "the broken one");
    }
    let after = state(&bench.input);
    set_readonly(&bench.input, false);
    assert_eq!(before, after);
}

/// Linked originals are not replaced by what is written for them.
#[cfg(unix)]
#[test]
fn links_are_followed_for_reading_only() {
    let bench = Bench::small();
    let outside = bench.beside("outside").output;
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.ppm"), b"not of this archive").unwrap();
    let link = bench.input.join("a/link.ppm");
    std::os::unix::fs::symlink(outside.join("secret.ppm"), &link).unwrap();
    let inside = bench.input.join("a/inside.ppm");
    std::os::unix::fs::symlink("one.ppm", &inside).unwrap();
    let before = digests(&bench.input);
    bench.run(&plan(COPIES));
    assert_eq!(digests(&bench.input), before);
    assert!(fs::symlink_metadata(&inside).unwrap().is_symlink());
    assert_eq!(
        bench.row("a/link.ppm").error_code,
        Some(fonds_catalog::Reason::LinkOutside)
    );
    assert_eq!(bench.row("a/inside.ppm").status, fonds_catalog::Status::Ok);
}

#[test]
fn the_roots_must_not_lie_in_each_other() {
    let bench = Bench::small();
    let before = state(&bench.input);
    let inside = bench.input.join("out");
    for (input, output) in [
        (bench.input.clone(), inside),
        (bench.input.clone(), bench.input.clone()),
        (bench.input.join("a"), bench.input.clone()),
        (bench.input.join("a"), bench.input.join("b/../a/new")),
    ] {
        let options = RunOptions::new(&input, &output);
        let error = run(&plan(COPIES), &options, &false.into(), &|_| {}).unwrap_err();
        assert_eq!(error.code(), Code::WriteFailed, "{error}");
        assert!(!error.hints().is_empty());
    }
    assert_eq!(state(&bench.input), before);
}
