//! The committed fixtures are what their generator makes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[path = "../../examples/make_fixtures/make/mod.rs"]
mod make;

/// Made pictures can change with the encoders' versions; then the generator has to be run again.
#[test]
fn committed_files_are_what_the_generator_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let made = make::all().unwrap();
    let mut wrong = Vec::new();
    for (path, bytes) in &made {
        match fs::read(folder.join(path)) {
            Ok(_) if !comparable(bytes) => {}
            Ok(committed) if committed == *bytes => {}
            Ok(_) => wrong.push(format!("{path} differs")),
            Err(error) => wrong.push(format!("{path}: {error}")),
        }
    }
    let made: BTreeMap<_, _> = made.into_iter().collect();
    for part in ["archive", "bad"] {
        for path in files_under(&folder.join(part)) {
            let path = path
                .strip_prefix(&folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            // Pipelines with mistakes in them are written by hand.
            if !made.contains_key(&path) && !path.starts_with("bad/pipelines/") {
                wrong.push(format!("{path} is not made by the generator"));
            }
        }
    }
    let hint = "cargo run -p fonds-ingest --example make_fixtures -- fixtures";
    assert!(wrong.is_empty(), "{wrong:#?}\nmake them again: {hint}");
}

/// The JPEG encoder rounds otherwise where the processor has no AVX2.
fn comparable(bytes: &[u8]) -> bool {
    let jpeg = bytes.starts_with(&[0xff, 0xd8]);
    #[cfg(target_arch = "x86_64")]
    let same = std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let same = false;
    !jpeg || same
}

#[test]
fn every_fixture_is_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let sizes: Vec<u64> = files_under(&folder)
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .collect();
    // The largest are the weights of a U-Net before and after five steps of training.
    assert!(sizes.iter().all(|&size| size <= 430_000));
    // Four megabytes of them are what PyTorch computed for the networks.
    assert!(sizes.iter().sum::<u64>() < 7_000_000);
}

fn files_under(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}
