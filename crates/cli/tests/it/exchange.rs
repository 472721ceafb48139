//! What leaves an output and comes back: exports, edits, packages, and the proof of all of it.

use std::fs;

use crate::support::{Bench, expect, record};

#[test]
fn edits_come_back_and_stay_after_the_next_run() {
    let bench = Bench::good();
    bench.run(&[]);
    for profile in [
        "collectionbuilder",
        "omeka-s",
        "islandora-workbench",
        "archivematica",
        "archivesspace",
        "wax",
        "tropy",
        "dublin-core",
    ] {
        let ended = bench.fonds(&[
            "catalog",
            "export",
            "out",
            "--profile",
            profile,
            "--to",
            profile,
            "--archive",
            "in",
        ]);
        expect(&ended, 0, "5 rows, 1 left out (skipped)");
    }
    let text = fs::read_to_string(bench.path("wax/_data/fonds.csv")).unwrap();
    let edited = text.replacen("a-one,one,", "a-one,\"One, edited\",", 1);
    assert_ne!(edited, text);
    bench.write("edited.csv", edited.as_bytes());
    let ended = bench.fonds(&["catalog", "import", "edited.csv", "out", "--dry-run"]);
    expect(&ended, 0, "a-one: title: `one` -> `One, edited`");
    assert_eq!(record(&bench, "a-one").title, "one");
    let ended = bench.fonds(&["catalog", "import", "edited.csv", "out"]);
    expect(
        &ended,
        0,
        "5 rows read as wax, 1 cells changed, 0 rows without an object; written",
    );
    assert_eq!(record(&bench, "a-one").title, "One, edited");
    let ended = bench.run(&[]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(record(&bench, "a-one").title, "One, edited");
    let ended = bench.fonds(&["catalog", "validate", "out", "--deep"]);
    expect(&ended, 0, "0 errors");
}

#[test]
fn mistakes_in_requests_and_edits() {
    let bench = Bench::good();
    bench.run(&[]);
    let export = ["catalog", "export", "out", "--to", "x", "--profile"];
    let ended = bench.fonds(&[&export[..], &["omeka"]].concat());
    expect(
        &ended,
        2,
        "`omeka` is not one of collectionbuilder, omeka-s",
    );
    let ended = bench.fonds(&["catalog", "export", "in", "--to", "x", "--profile", "wax"]);
    assert_ne!(ended.code, 0);
    bench.write(
        "edited.csv",
        b"objectid,date,latitude\na-one,next week,north\n",
    );
    let ended = bench.fonds(&["catalog", "import", "edited.csv", "out"]);
    expect(
        &ended,
        7,
        "edited.csv:2: error: date: `next week` is not an EDTF date",
    );
    expect(
        &ended,
        7,
        "edited.csv:2: error: latitude: `north` is not a number",
    );
    assert!(!bench.path("out/edits.csv").exists());
}

#[test]
fn packages_are_proved_and_damage_is_named() {
    let bench = Bench::with_broken();
    bench.run(&[]);
    let ended = bench.fonds(&["package", "ro-crate", "out"]);
    expect(&ended, 0, "ro-crate-metadata.json");
    let ended = bench.fonds(&["package", "premis", "out", "--to", "premis.xml"]);
    expect(&ended, 0, "11 objects, ");
    let ended = bench.fonds(&[
        "package",
        "bagit",
        "out",
        "bag",
        "--archive",
        "in",
        "--info",
        "Contact-Name: A. Archivist",
    ]);
    expect(&ended, 0, "-> bag");
    expect(
        &bench.fonds(&["verify", "bag"]),
        0,
        "bag: 0 errors, 0 warnings",
    );
    expect(
        &bench.fonds(&["verify", "out"]),
        0,
        "out: 0 errors, 0 warnings",
    );
    let ended = bench.fonds(&["package", "bagit", "out", "bag"]);
    expect(&ended, 2, "bag: is not empty");
    let ended = bench.fonds(&["package", "bagit", "out", "new", "--info", "nothing"]);
    expect(&ended, 2, "`nothing` is not a label, `:` and a value");

    let info = fs::read_to_string(bench.path("bag/bag-info.txt")).unwrap();
    assert!(
        info.starts_with("Contact-Name: A. Archivist\nBagging-Date: 2"),
        "{info}"
    );
    bench.write("bag/data/originals/four.ppm", b"P6 1 1 255 abc");
    let ended = bench.fonds(&["verify", "bag"]);
    expect(&ended, 7, "data/originals/four.ppm: error: has the digest");
    bench.write("in/four.ppm", b"P6 1 1 255 abc");
    let ended = bench.fonds(&["verify", "out", "--format", "json"]);
    expect(&ended, 7, "\"file\":\"in/four.ppm\"");
    let ended = bench.fonds(&["package", "bagit", "out", "new", "--archive", "in"]);
    expect(&ended, 7, "no bag was written");
    assert!(!bench.path("new").exists());
    expect(
        &bench.fonds(&["verify", "in"]),
        5,
        "is neither a bag nor an output",
    );
}

#[test]
fn pictures_are_served_as_tiles() {
    let bench = Bench::with_broken();
    bench.run(&[]);
    let base = "https://example.org/iiif/";
    let ended = bench.fonds(&[
        "package",
        "iiif",
        "out",
        "site",
        "--base-url",
        base,
        "--tile",
        "64",
    ]);
    // The broken picture could not be catalogued with a size, so that nothing is expected of it.
    expect(&ended, 0, "5 manifests, 10 pictures, ");
    let manifest = fs::read_to_string(bench.path("site/a-one/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let body = &manifest["items"][0]["items"][0]["items"][0]["body"];
    assert_eq!(body["type"], "Choice");
    for image in body["items"].as_array().unwrap() {
        let id = image["id"].as_str().unwrap().strip_prefix(base).unwrap();
        assert!(bench.path("site").join(id).is_file(), "{id}");
    }
    assert!(manifest["requiredStatement"]["value"]["en"][0].is_string());
    let ended = bench.fonds(&["package", "iiif", "out", "new", "--base-url", "ftp://x"]);
    expect(&ended, 2, "is not a URL");
    bench.write("in/four.ppm", b"");
    let ended = bench.fonds(&["package", "iiif", "out", "again", "--base-url", base]);
    expect(&ended, 3, "four.ppm");
}

#[test]
fn rows_are_picked_sorted_and_grouped() {
    let bench = Bench::good();
    bench.run(&[]);
    let query = ["catalog", "query", "out"];
    let ended = bench.fonds(&[&query[..], &["status = ok and filename ~ 'b/'"]].concat());
    assert_eq!(
        ended.stdout,
        "filename,objectid,title,date,status\nb/three.ppm,b-three,three,,ok\nb/x/y.ppm,b-x-y,y,,ok\n"
    );
    let sorted = [
        "status = ok",
        "--columns",
        "title",
        "--sort",
        "-title",
        "--limit",
        "2",
    ];
    let ended = bench.fonds(&[&query[..], &sorted[..]].concat());
    assert_eq!(ended.stdout, "title\ny\ntwo\n");
    let ended = bench.fonds(&[&query[..], &["image_width > 30", "--count"]].concat());
    assert_eq!(ended.stdout, "5\n");
    let ended = bench.fonds(
        &[
            &query[..],
            &["title = four", "--json", "--columns", "title"],
        ]
        .concat(),
    );
    assert_eq!(ended.stdout, "{\"title\":\"four\"}\n");
    let ended = bench.fonds(&[&query[..], &["titel = x"]].concat());
    expect(&ended, 2, "line 1, column 1: there is no column `titel`");
    bench.write(
        "in/again.ppm",
        &fs::read(bench.path("in/four.ppm")).unwrap(),
    );
    bench.run(&[]);
    let ended = bench.fonds(&["catalog", "similar", "out", "--distance", "0"]);
    assert!(
        ended
            .stdout
            .contains("1,again,again.ppm,0\n1,four,four.ppm,0\n"),
        "{}",
        ended.all()
    );
}

#[test]
fn names_of_files_fill_columns() {
    let bench = Bench::good();
    let pattern = "[catalog]\nfilename_patterns = ['(?P<source>[a-z])/(?P<title>t.*)']\n";
    let pipeline = fs::read_to_string(bench.path("copies.toml")).unwrap();
    bench.write("copies.toml", format!("{pipeline}{pattern}").as_bytes());
    bench.run(&[]);
    let row = record(&bench, "a-two");
    assert_eq!((row.source.as_str(), row.title.as_str()), ("a", "two"));
    assert!(
        row.quality_flags
            .iter()
            .all(|flag| flag.as_str() != "title_from_filename")
    );
    assert_eq!(record(&bench, "a-one").source, "");
    bench.write(
        "copies.toml",
        format!("{pipeline}{}", pattern.replace("title", "titel")).as_bytes(),
    );
    let ended = bench.fonds(&["check", "copies.toml"]);
    expect(
        &ended,
        2,
        "the group `titel` is no column that a name may fill",
    );
}
