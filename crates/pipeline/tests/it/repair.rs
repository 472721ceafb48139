//! `run.repair`: masks from files, what is filled, what is written beside it.

use std::fs;
use std::path::Path;

use fonds_catalog::provenance::Sidecar;
use fonds_catalog::{DerivativeRecord, Status};
use fonds_core::{Limits, Raster};
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_image::ops::repair::Mask;
use fonds_pipeline::{Registry, compile};
use tempfile::TempDir;

use crate::support::{Bench, assert_sound, picture, plan, table};

fn decoded(path: &Path) -> Raster {
    let bytes = fs::read(path).unwrap();
    let mut document = Document::open(&bytes, &Limits::DEFAULT).unwrap();
    document.decode(0).unwrap().raster
}

/// A scratch across a picture of 60 × 50.
fn scratch() -> Mask {
    let mut mask = Mask::new(60, 50);
    (0..50).for_each(|y| mask.add(30, y));
    mask
}

fn folder_of_masks(masks: &[(&str, &Mask)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, mask) in masks {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::File::create(path).unwrap();
        encode(
            &mask.to_raster(),
            &Encoding::PNG,
            &Embedded::default(),
            &mut file,
        )
        .unwrap();
    }
    folder
}

fn pipeline(masks: &Path, more: &str) -> String {
    format!(
        "name = \"repair\"\n[[step]]\nid = \"whole\"\n\
         run.repair = {{ detect = \"file\", masks = \"{}\", grow = 0{more} }}\n\
         [[output]]\nformat = \"png\"\n[[output]]\nid = \"damage\"\nformat = \"mask\"\n",
        masks.display()
    )
}

#[test]
fn what_masks_say_is_filled_and_the_mask_is_an_output() {
    let folder = folder_of_masks(&[("a/one.ppm.png", &scratch()), ("two.png", &scratch())]);
    let bench = Bench::empty();
    for path in ["a/one.ppm", "two.ppm", "three.ppm"] {
        bench.write(path, &picture(path, 60, 50, 4));
    }
    for fill in ["patch", "diffusion"] {
        let bench = bench.beside(fill);
        let text = pipeline(folder.path(), &format!(", fill = \"{fill}\""));
        let report = bench.run(&plan(&text));
        assert_eq!(
            (report.counts.ok, report.counts.unchanged),
            (2, 1),
            "{fill}"
        );
        assert_sound(&bench.output);
        for path in ["a/one.ppm", "two.ppm"] {
            let rows: Vec<DerivativeRecord> = table(&bench.output);
            let row = |output: &str| {
                let mut of = rows.iter().filter(|row| row.filename == path);
                of.find(|row| row.output_id == output).unwrap()
            };
            let (made, mask) = (row("whole"), row("damage"));
            assert!(
                made.digital_source_type
                    .ends_with("algorithmicallyEnhanced")
            );
            assert_eq!(mask.digital_source_type, "");
            let shown = Mask::from_raster(&decoded(&bench.output.join(&mask.path)));
            assert_eq!(shown, scratch());
            let before = decoded(&bench.input.join(path));
            let after = decoded(&bench.output.join(&made.path));
            let (old, new) = (
                before.as_slice::<u8>().unwrap(),
                after.as_slice::<u8>().unwrap(),
            );
            let differs = |pixel: usize| old[pixel * 3..][..3] != new[pixel * 3..][..3];
            let changed: Vec<usize> = (0..3000).filter(|pixel| differs(*pixel)).collect();
            assert!(changed.len() > 30, "{}", changed.len());
            assert!(changed.iter().all(|pixel| pixel % 60 == 30));
            assert_eq!(bench.row(path).damaged_percent, Some(1.667));
            let sidecar = fs::read_to_string(bench.output.join(format!("{}.prov.json", made.path)));
            let sidecar = Sidecar::from_json(&sidecar.unwrap()).unwrap();
            let event = sidecar.events.iter().find(|event| event.step.is_some());
            let measured = &event.unwrap().measured;
            assert_eq!(measured["regions"], 1.0);
            assert_eq!(measured["pixels_filled"], 50.0);
        }
        let untouched = bench.row("three.ppm");
        assert_eq!(
            (untouched.status, untouched.damaged_percent),
            (Status::Unchanged, None)
        );
    }
}

#[test]
fn masks_that_do_not_fit_are_failures_and_other_masks_other_work() {
    let small = Mask::new(10, 10);
    let mut most = Mask::new(60, 50);
    (0..50).for_each(|y| (0..40).for_each(|x| most.add(x, y)));
    let folder = folder_of_masks(&[("one.png", &small), ("two.png", &most)]);
    let bench = Bench::empty();
    for path in ["one.ppm", "two.ppm"] {
        bench.write(path, &picture(path, 60, 50, 4));
    }
    let text = pipeline(folder.path(), "");
    let first = plan(&text);
    assert_eq!(bench.run(&first).counts.failed, 2);
    let message = bench.row("one.ppm").error_message;
    assert!(
        message.contains("the mask `one.png` has 10 × 10 pixels"),
        "{message}"
    );
    let message = bench.row("two.ppm").error_message;
    assert!(
        message.contains("66.7 % of the picture counts as damaged"),
        "{message}"
    );
    let png = folder.path().join("one.png");
    let mut file = fs::File::create(png).unwrap();
    encode(
        &scratch().to_raster(),
        &Encoding::PNG,
        &Embedded::default(),
        &mut file,
    )
    .unwrap();
    assert_ne!(plan(&text).digest(), first.digest());
}

#[test]
fn a_clean_picture_is_left_alone() {
    let bench = Bench::empty();
    bench.write("one.ppm", &picture("one.ppm", 200, 150, 1));
    let text = "name = \"repair\"\n[[step]]\nrun.repair = {}\n[[output]]\nformat = \"png\"\n";
    assert_eq!(bench.run(&plan(text)).counts.unchanged, 1);
}

#[test]
fn what_does_not_go_together_is_told() {
    let step = |keys: &str| {
        format!("name = \"x\"\n[[step]]\nrun.repair = {{ {keys} }}\n[[output]]\nformat = \"png\"\n")
    };
    let cases = [
        (step("detect = \"file\""), "detect = \"file\" needs `masks`"),
        (step("model = \"x.pth\""), "`model` is of no use without detect = \"network\""),
        (step("fill = \"network\""), "fill = \"network\" needs `fill_model`"),
        (step("sensitivity = 2.0"), "`sensitivity` is 2, but must lie between 0 and 1"),
        (step("grow = 33"), "`grow` is 33, allowed is 0 to 32"),
        (step("detect = \"file\", masks = \"/no such\""), "the folder of masks `/no such` cannot be read"),
        (
            "name = \"x\"\n[[step]]\nrun.tone = {}\n[[output]]\nformat = \"mask\"\n".to_owned(),
            "`tone` finds no damage whose mask could be written",
        ),
        (
            "name = \"x\"\n[[step]]\nrun.repair = {}\n[[output]]\nformat = \"mask\"\nbit_depth = 16\n"
                .to_owned(),
            "`bit_depth` is of no use with format mask, which has 8 bits",
        ),
    ];
    for (text, expected) in cases {
        let errors = compile(&text, &Registry::builtin()).unwrap_err();
        let found: Vec<&str> = errors.iter().map(fonds_core::Error::message).collect();
        assert!(
            found.iter().any(|message| message.contains(expected)),
            "{found:?}"
        );
    }
}
