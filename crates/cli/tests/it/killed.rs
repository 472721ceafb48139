//! The short form of `tools/kill_test`: runs that die at any moment, and the one that ends.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::support::{Bench, content, files};

/// Delays in milliseconds by a small generator: the same in every run of the test.
fn delays(count: usize) -> Vec<u64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        5 + state % 220
    };
    (0..count).map(next).collect()
}

#[test]
fn killed_at_random_moments_and_resumed() {
    let bench = Bench::many(200);
    let straight = bench.run_to("straight", &["--threads", "2"]);
    assert_eq!(straight.code, 3, "{}", straight.all());
    let mut killed = 0;
    for delay in delays(6) {
        let mut command = bench.command("out");
        command.args(["--threads", "2"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        let final_names = files(&bench.path("out"))
            .into_iter()
            .filter(|path| path.starts_with("derivatives/"))
            .filter(|path| !path.contains("/.fonds-part-"));
        let is_png = |path: &String| {
            Path::new(path)
                .extension()
                .is_some_and(|word| word == "png")
        };
        for path in final_names.filter(is_png) {
            let bytes = std::fs::read(bench.path("out").join(&path)).unwrap();
            assert!(bytes.ends_with(b"IEND\xaeB`\x82"), "{path} is cut off");
        }
    }
    assert!(killed > 0, "every run was over before it was killed");
    let ended = bench.run_to("out", &["--threads", "2"]);
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(
        content(&bench.path("out")),
        content(&bench.path("straight"))
    );
    let catalog = std::fs::read_to_string(bench.path("out/catalog.csv")).unwrap();
    let names: Vec<&str> = catalog
        .lines()
        .filter_map(|line| line.split(',').next())
        .collect();
    let unique: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "no row twice");
    assert_eq!(names.len(), 1 + 207);
    let left = files(&bench.path("out"))
        .into_iter()
        .filter(|path| path.contains("part-"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
    let again = bench.run_to("out", &[]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
}
