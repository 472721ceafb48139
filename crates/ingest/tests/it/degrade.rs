//! Made damage beside that of others, and how long it takes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fonds_core::{Limits, Seed};
use fonds_image::decode::Document;
use fonds_ingest::degrade::Recipe;
use fonds_ingest::{Planes, read_source};

fn read(path: &Path) -> Planes {
    let source = read_source(path, &Limits::DEFAULT).unwrap();
    let page = Document::open(&source.bytes, &Limits::DEFAULT)
        .unwrap()
        .decode(0)
        .unwrap();
    Planes::from_raster(page.raster, 3).unwrap()
}

/// Set5 as published with the low resolutions that MATLAB made: `FONDS_SET5` is the folder that
/// holds `image_SRF_2` and its sisters.
#[test]
#[ignore = "needs a data set: FONDS_SET5=folder cargo test -p fonds-ingest -- --ignored set5"]
fn set5_becomes_small_as_matlab_made_it() {
    let folder = PathBuf::from(std::env::var_os("FONDS_SET5").unwrap());
    for scale in [2, 3, 4] {
        for picture in 1..=5 {
            let name =
                |kind: &str| format!("image_SRF_{scale}/img_{picture:03}_SRF_{scale}_{kind}.png");
            let large = read(&folder.join(name("HR")));
            let theirs = read(&folder.join(name("LR")));
            let ours = Recipe::bicubic(scale)
                .apply(&large, Seed::new(0))
                .unwrap()
                .planes;
            let steps = ours
                .values
                .iter()
                .zip(&theirs.values)
                .map(|(a, b)| ((a * 255.0).round() - (b * 255.0).round()).abs());
            let (most, sum) = steps.fold((0.0_f32, 0.0), |(most, sum), d| (most.max(d), sum + d));
            let mean = sum / ours.values.len() as f32;
            println!("×{scale} {picture}: mean {mean:.5}, most {most} of 255");
            assert_eq!(most, 0.0, "×{scale} {picture}: mean {mean}");
        }
    }
}

#[test]
#[ignore = "measures: cargo test --release -p fonds-ingest -- --ignored --nocapture how_long"]
fn how_long_a_sample_takes() {
    let mut clean = Planes::filled(3, 256, 256, 0.0);
    for (i, value) in clean.values.iter_mut().enumerate() {
        *value = ((i % 256) as f32 * 0.07).sin() * ((i / 256) as f32 * 0.05).cos() * 0.4 + 0.5;
    }
    for name in fonds_ingest::degrade::RECIPES {
        let recipe = Recipe::named(name, 1).unwrap();
        let start = Instant::now();
        for seed in 0..50 {
            recipe.apply(&clean, Seed::new(seed)).unwrap();
        }
        println!(
            "{name}: {:.1} ms for 256 × 256",
            start.elapsed().as_secs_f64() * 20.0
        );
    }
}
