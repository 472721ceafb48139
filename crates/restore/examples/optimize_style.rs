//! Style by optimisation on one picture: losses as JSON, to be compared with what
//! `tools/reference_style.py run` prints, and the picture.
//!
//! ```text
//! cargo run --release -p fonds-restore --example optimize_style -- WEIGHTS CONTENT STYLE ITERATIONS [OUT.png [BETA [VARIATION]]]
//! ```
//!
//! With `OUT.png` one descent by L-BFGS on the whole way (levels, colours) is made and written; without it
//! Adam and both forms of L-BFGS run on the pictures as they are.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use fonds_core::{Limits, Raster};
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_nn::Backend;
use fonds_nn::picture::planes;
use fonds_nn::tile::Rect;
use fonds_nn::train::Device;
use fonds_nn::weights::Checkpoint;
use fonds_restore::style::extractor::{Extractor, ExtractorKind};
use fonds_restore::style::optimize::{
    Lbfgs, Losses, Method, Objective, Progress, Search, Settings, StyleTensors, Weights, minimize,
    optimize,
};
use fonds_restore::style::palette::Style;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [weights, content, style, iterations, rest @ ..] = &args[..] else {
        return Err("give WEIGHTS CONTENT STYLE ITERATIONS [OUT.png [BETA [VARIATION]]]".into());
    };
    let checkpoint = Checkpoint::read(Path::new(weights))?;
    let kind = ExtractorKind::recognize(&checkpoint.tensors)?;
    let extractor = kind.build(&checkpoint.tensors, &Backend::cpu_tensors())?;
    let (content, style) = (read(content)?, read(style)?);
    let iterations: usize = iterations.parse()?;
    match rest {
        [] => compare(&extractor, &content, &style, iterations),
        [out, rest @ ..] => {
            let mut settings = Settings {
                iterations,
                ..Settings::default()
            };
            if let [beta, ..] = rest {
                settings.weights.beta = beta.parse()?;
            }
            if let [_, variation] = rest {
                settings.weights.variation = variation.parse()?;
            }
            let begun = Instant::now();
            let styles = [Style::new(style)];
            let go = &mut |_: &Progress<'_>| Ok(ControlFlow::Continue(()));
            let made = optimize(&extractor, &Device::Cpu, &content, &styles, &settings, go)?;
            println!(
                "{:?} in {:.1} s",
                made.change,
                begun.elapsed().as_secs_f64()
            );
            let mut file = std::fs::File::create(out)?;
            encode(
                &made.raster,
                &Encoding::PNG,
                &Embedded::default(),
                &mut file,
            )?;
            Ok(())
        }
    }
}

fn compare(
    extractor: &Extractor,
    content: &Raster,
    style: &Raster,
    iterations: usize,
) -> Result<(), Box<dyn Error>> {
    let (content, style) = (tensor(content)?, tensor(style)?);
    let styles = [StyleTensors {
        pictures: vec![style],
        weight: 1.0,
        mask: None,
    }];
    // Those of the script.
    let weights = Weights {
        variation: 0.1,
        range: 0.0,
        ..Weights::default()
    };
    let objective = Objective::new(extractor, &content, &styles, weights)?;
    let lbfgs = |search| {
        Method::Lbfgs(Lbfgs {
            search,
            ..Lbfgs::default()
        })
    };
    for (name, method) in [
        ("adam", Method::Adam { rate: 0.02 }),
        ("fixed", lbfgs(Search::Fixed)),
        ("wolfe", lbfgs(Search::StrongWolfe)),
    ] {
        let begun = Instant::now();
        let go = &mut |_: usize, _: &Losses, _: &[f32]| Ok(ControlFlow::Continue(()));
        let found = minimize(&objective, &content, method, iterations, go)?;
        let first: Vec<f64> = found
            .history
            .iter()
            .take(11)
            .map(|losses| losses.total)
            .collect();
        println!(
            "{{\"method\": \"{name}\", \"first\": {first:?}, \"least\": {:?}, \"content\": {:?}, \"style\": {:?}, \
             \"iterations\": {}, \"seconds\": {:.1}}}",
            found.losses.total,
            found.losses.content,
            found.losses.style,
            found.history.len() - 1,
            begun.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

fn read(path: &str) -> Result<Raster, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    Ok(Document::open(&bytes, &Limits::default())?
        .decode(0)?
        .raster)
}

/// `[1, 3, h, w]` from 0 to 1.
fn tensor(raster: &Raster) -> Result<candle_core::Tensor, Box<dyn Error>> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let region = Rect {
        x: 0..width,
        y: 0..height,
    };
    let mut values = planes(raster, &region);
    if values.len() == width * height {
        values = values.repeat(3);
    }
    Ok(candle_core::Tensor::from_vec(
        values,
        (1, 3, height, width),
        &Device::Cpu,
    )?)
}
