//! How long damage takes, and whether pictures become small exactly as MATLAB makes them.
//!
//! `cargo run --release -p fonds-ingest --example check_ageing [SET5]`
//!
//! `SET5` is Set5 as it is published with MATLAB's low resolutions: the folder that holds
//! `image_SRF_2` and its sisters. Fails when a sample differs.

#![expect(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use fonds_core::{Code, Error, Limits, Result, Seed};
use fonds_image::decode::Document;
use fonds_ingest::degrade::{RECIPES, Recipe};
use fonds_ingest::{Planes, read_source};

fn main() -> Result<()> {
    if let Some(folder) = std::env::args_os().nth(1) {
        set5_becomes_small_as_matlab_made_it(&PathBuf::from(folder))?;
    }
    how_long_a_sample_takes()
}

fn read(path: &Path) -> Result<Planes> {
    let source = read_source(path, &Limits::DEFAULT)?;
    let page = Document::open(&source.bytes, &Limits::DEFAULT)?.decode(0)?;
    Planes::from_raster(page.raster, 3)
}

fn set5_becomes_small_as_matlab_made_it(folder: &Path) -> Result<()> {
    for scale in [2, 3, 4] {
        for picture in 1..=5 {
            let path = |kind: &str| {
                let name = format!("image_SRF_{scale}/img_{picture:03}_SRF_{scale}_{kind}.png");
                folder.join(name)
            };
            let (large, theirs) = (read(&path("HR"))?, read(&path("LR"))?);
            let ours = Recipe::bicubic(scale).apply(&large, Seed::new(0))?.planes;
            let pairs = ours.values.iter().zip(&theirs.values);
            let steps = pairs.map(|(a, b)| ((a * 255.0).round() - (b * 255.0).round()).abs());
            let most = steps.fold(0.0_f32, f32::max);
            println!("×{scale} {picture}: largest difference {most} of 255");
            if most != 0.0 || ours.values.len() != theirs.values.len() {
                let message = "the picture does not become what MATLAB makes of it";
                return Err(Error::new(Code::Internal, message).at_path(path("HR")));
            }
        }
    }
    Ok(())
}

fn how_long_a_sample_takes() -> Result<()> {
    const TIMES: u64 = 50;
    let mut clean = Planes::filled(3, 256, 256, 0.0);
    for (i, value) in clean.values.iter_mut().enumerate() {
        *value = ((i % 256) as f32 * 0.07).sin() * ((i / 256) as f32 * 0.05).cos() * 0.4 + 0.5;
    }
    for name in RECIPES {
        let recipe = Recipe::named(name, 1)?;
        let start = Instant::now();
        for seed in 0..TIMES {
            recipe.apply(&clean, Seed::new(seed))?;
        }
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0 / TIMES as f64;
        println!("{name}: {milliseconds:.1} ms for 256 × 256");
    }
    Ok(())
}
