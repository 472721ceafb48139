//! The examples run, on the fixtures alone.

use std::path::Path;

#[path = "../../examples/list_archive.rs"]
#[expect(dead_code, reason = "a test calls what `main` calls")]
mod list_archive;

#[path = "../../examples/age_pictures.rs"]
#[expect(dead_code, reason = "a test calls what `main` calls")]
mod age_pictures;

#[test]
fn a_folder_is_aged() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/archive/photographs");
    let out = tempfile::tempdir().unwrap();
    let recipe = age_pictures::recipe_of("dust").unwrap();
    age_pictures::age_folder(&recipe, &root, out.path(), 2).unwrap();
    let files = std::fs::read_dir(out.path()).unwrap().count();
    assert!(files >= 12 && files.is_multiple_of(6), "{files} files");
    assert!(age_pictures::recipe_of("old_photograph").is_ok());
    let error = age_pictures::recipe_of("dusk").unwrap_err().to_string();
    assert!(error.contains("`dust`"), "{error}");
}

#[test]
fn the_archive_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/archive");
    let mut out = Vec::new();
    list_archive::list(&root, &mut out).unwrap();
    let listing = String::from_utf8(out).unwrap();
    let expected = [
        "clutter         .DS_Store",
        "not_selected    notes.txt",
        "selected        photographs/Übersicht Straße 1902.jpg",
        "selected        photographs/negatives/plate 07.tif",
        "20 files",
    ];
    for line in expected {
        assert!(
            listing.lines().any(|found| found.ends_with(line)),
            "{line}\n{listing}"
        );
    }
    let failed = ["unreadable", "empty_file"];
    assert!(
        !failed.iter().any(|code| listing.contains(code)),
        "{listing}"
    );
}
