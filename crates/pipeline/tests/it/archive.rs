//! The shipped pipelines over the fixture archive: nothing fails, everything is accounted for.

use std::fs;
use std::path::Path;

use fonds_catalog::provenance::{Sidecar, SkipReason};
use fonds_catalog::{DerivativeRecord, FailureRecord, Record, Status};
use fonds_core::{ColorModel, Depth, Digest, Limits};
use fonds_image::decode::{Document, Page};
use fonds_image::metadata;

use crate::support::{Bench, assert_sound, files, fixtures, shipped, table};

/// A run of a shipped pipeline over the fixtures, with what every run must promise checked.
fn run(pipeline: &str) -> Bench {
    let bench = Bench::of_fixtures("archive");
    let report = bench.run(&shipped(pipeline));
    let failures: Vec<FailureRecord> = table(&bench.output);
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(report.counts.failed, 0);
    assert_eq!(report.orphans, 0);
    assert_eq!(report.stop, None);
    assert_sound(&bench.output);
    assert_every_file_has_a_row(&bench);
    assert_derivatives_are_there(&bench.output);
    bench
}

fn assert_every_file_has_a_row(bench: &Bench) {
    let rows: Vec<Record> = table(&bench.output);
    let rows = rows.iter().filter(|row| row.page().is_none());
    let rows: Vec<&str> = rows.map(|row| row.filename.as_str()).collect();
    assert_eq!(rows, files(&bench.input));
    assert!(rows.is_sorted());
}

/// Table and folder name the same files, and the digests are theirs.
fn assert_derivatives_are_there(output: &Path) {
    let rows: Vec<DerivativeRecord> = table(output);
    let mut named = Vec::new();
    for row in &rows {
        let bytes = fs::read(output.join(&row.path)).unwrap();
        assert_eq!(row.sha256, Some(Digest::of(&bytes)), "{}", row.path);
        named.push(row.path.clone());
        if row.path.starts_with("derivatives/") {
            named.push(format!("{}.prov.json", row.path));
        }
    }
    named.sort_unstable();
    let found = files(output).into_iter();
    let found: Vec<String> = found
        .filter(|path| path.starts_with("derivatives/") || path.starts_with("objects/"))
        .collect();
    assert_eq!(named, found);
}

fn decoded(path: &Path) -> (Vec<u8>, Page) {
    let bytes = fs::read(path).unwrap();
    let page = Document::open(&bytes, &Limits::DEFAULT).and_then(|mut file| file.decode(0));
    let page = page.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (bytes, page)
}

fn sidecar(derivative: &Path) -> Sidecar {
    let path = format!("{}.prov.json", derivative.display());
    Sidecar::from_json(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn restore_photographs() {
    let bench = run("restore-photographs");
    let clean = bench.row("photographs/1974/lake, clean.jpg");
    assert_eq!(clean.status, Status::Unchanged);
    assert!(clean.derivative_path.is_empty());

    let row = bench.row("photographs/negatives/plate 07.tif");
    let plate = bench.output.join(&row.derivative_path);
    let (_, page) = decoded(&plate);
    assert_eq!(page.raster.format().depth, Depth::U16);
    assert_eq!(page.raster.format().model, ColorModel::Gray);
    let ppi = page.raster.ppi().unwrap();
    assert!((ppi.x - 600.0).abs() < 0.1, "{ppi:?}");

    let gray = bench.row("slides/lake, gray.png");
    let (_, page) = decoded(&bench.output.join(&gray.derivative_path));
    let (_, source) = decoded(&bench.input.join("slides/lake, gray.png"));
    assert_eq!(page.raster.format().model, ColorModel::Gray);
    assert!(source.raster.icc().is_some());
    assert_eq!(page.raster.icc(), source.raster.icc());
}

/// The label inside a derivative says what it is, and carries what the original said of itself.
#[test]
fn labels_and_sidecars() {
    let bench = run("restore-photographs");
    let name = "photographs/portrait No. 7.jpg";
    let derivative = bench.output.join(bench.row(name).derivative_path);
    let bytes = fs::read(&derivative).unwrap();
    let (label, flags) = metadata::read(&bytes, fonds_image::sniff::Format::Png);
    assert!(flags.is_empty(), "{flags:?}");
    assert_eq!(label.title.as_deref(), Some("The surveyor? (restored)"));
    assert_eq!(label.rights.as_deref(), Some("No known copyright"));
    assert_eq!(label.source.as_deref(), Some(name));
    let term = label.digital_source_type.unwrap();
    assert!(term.ends_with("/algorithmicallyEnhanced"), "{term}");

    let sidecar = sidecar(&derivative);
    assert_eq!(sidecar.source.path, name);
    assert_eq!(sidecar.source.sha256_after, Some(sidecar.source.sha256));
    assert_eq!(sidecar.derivative.sha256.0, Digest::of(&bytes));
    let acted = sidecar.events.iter().filter_map(|event| event.step.clone());
    let skipped = sidecar.skipped.iter().map(|step| step.step.clone());
    let mut all: Vec<String> = acted.chain(skipped).collect();
    all.sort_unstable();
    assert_eq!(
        all,
        [
            "clean", "clear", "cropped", "repaired", "restored", "straight"
        ]
    );
    assert!(sidecar.label["en"].contains(name), "{:?}", sidecar.label);
}

/// A step that did not act says why: its condition with what was measured, or nothing to do.
#[test]
fn steps_that_did_not_act_are_explained() {
    let bench = run("restore-photographs");
    let mut reasons = std::collections::BTreeSet::new();
    for row in table::<DerivativeRecord>(&bench.output) {
        if row.output_id != "restored" {
            continue;
        }
        for step in sidecar(&bench.output.join(&row.path)).skipped {
            reasons.insert(format!("{:?}", step.reason));
            let gated = step.reason == SkipReason::ConditionNotMet;
            assert_eq!(gated, step.condition.is_some() && gated);
            assert!(!gated || !step.measured.is_empty(), "{}", row.path);
        }
    }
    let reasons: Vec<String> = reasons.into_iter().collect();
    assert_eq!(reasons, ["ConditionNotMet", "NothingToDo"]);
}

#[test]
fn catalog_only() {
    let bench = run("catalog-only");
    let derivatives: Vec<DerivativeRecord> = table(&bench.output);
    assert!(
        derivatives
            .iter()
            .all(|row| row.output_id == "small" || row.output_id == "thumb")
    );
    assert!(!bench.output.join("derivatives").exists());

    let copy = bench.row("postcards/turned right.jpg");
    let original = bench.row("postcards/copies/turned right, copy.jpg");
    assert_eq!(copy.sha256, original.sha256);
    assert_eq!(copy.duplicate_of, original.objectid);
    assert_eq!(
        (copy.image_width, copy.image_height),
        (Some(200), Some(150))
    );
    assert_eq!(copy.orientation, Some(6));

    let pages: Vec<Record> = table(&bench.output);
    let pages = pages.iter().filter(|row| row.page().is_some()).count();
    assert_eq!(pages, 3);
    let human = bench.row("photographs/1974/mill farm.jpg");
    assert_eq!(
        (human.title.as_str(), human.date.as_str()),
        ("The mill farm", "1974?")
    );
    assert_eq!(human.subject, ["farms"]);
    assert_eq!(bench.row("notes.txt").status, Status::Skipped);
    let cmyk = bench.row("postcards/lake (print shop).jpg");
    assert_eq!(cmyk.color_space, "CMYK");
    assert!(
        cmyk.quality_flags
            .contains(&fonds_core::Flag::ColorConverted)
    );
}

/// Copies are small, in sRGB, and there is one for every page.
#[test]
fn access_copies() {
    let bench = run("access-copies");
    let rows: Vec<DerivativeRecord> = table(&bench.output);
    assert_eq!(rows.len(), 18);
    for row in &rows {
        let (_, page) = decoded(&bench.output.join(&row.path));
        assert!(row.width.unwrap().max(row.height.unwrap()) <= 1600);
        assert_eq!(page.raster.format().depth, Depth::U8, "{}", row.path);
        let (width, height) = (page.raster.width(), page.raster.height());
        assert_eq!((Some(width), Some(height)), (row.width, row.height));
    }
}

#[test]
fn pages() {
    let bench = run("pages");
    let rows: Vec<DerivativeRecord> = table(&bench.output);
    let texts = rows.iter().filter(|row| row.output_id == "text");
    let mut count = 0;
    for row in texts {
        let (_, page) = decoded(&bench.output.join(&row.path));
        assert_eq!(page.raster.format().model, ColorModel::Gray, "{}", row.path);
        count += 1;
    }
    assert_eq!(count, 18);
    // The archive is as the fixtures' README says, or the numbers above mean something else.
    assert_eq!(files(&fixtures("archive")).len(), 20);
}
