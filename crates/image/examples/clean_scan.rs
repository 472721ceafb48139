//! Makes a faded, noisy, dusty scan, lets three operations at it, and prints what each did.

use fonds_core::{ColorModel, Outcome, Raster, Result, Samples};
use fonds_image::measure::{self, Measure};
use fonds_image::ops::{Denoise, Despeckle, Tone};

const WIDTH: u32 = 900;
const HEIGHT: u32 = 600;

fn main() -> Result<()> {
    let mut raster = scan()?;
    report("the scan", &raster);
    for (name, outcome) in [
        ("despeckle", Despeckle::default().apply(raster.clone())?),
        ("denoise", Denoise::default().apply(raster.clone())?),
    ] {
        describe(name, &outcome);
    }
    raster = Despeckle::default().apply(raster)?.raster;
    raster = Denoise::default().apply(raster)?.raster;
    let outcome = Tone::default().apply(raster)?;
    describe("tone", &outcome);
    report("the result", &outcome.raster);
    Ok(())
}

/// A landscape of hills in half of the range, with grain and light dust.
fn scan() -> Result<Raster> {
    let mut state = 11_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let dust: Vec<(f64, f64)> = (0..40)
        .map(|_| (random() * f64::from(WIDTH), random() * f64::from(HEIGHT)))
        .collect();
    let mut samples = Vec::new();
    for i in 0..WIDTH * HEIGHT {
        let (x, y) = (f64::from(i % WIDTH), f64::from(i / WIDTH));
        let hill = 300.0 + 80.0 * (x * 0.01).sin() + 30.0 * (x * 0.023).cos();
        let base = if y < hill { 165.0 - y * 0.05 } else { 85.0 };
        let grain = (random() + random() + random() - 1.5) * 10.0;
        let dusty = dust
            .iter()
            .any(|(u, v)| (x - u).abs() < 1.5 && (y - v).abs() < 1.5);
        let value = if dusty { 235.0 } else { base + grain };
        samples.extend([value, value * 0.93, value * 0.8].map(|v| v as u8));
    }
    Raster::from_samples(WIDTH, HEIGHT, ColorModel::Rgb, false, Samples::U8(samples))
}

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn report(name: &str, raster: &Raster) {
    let figure = |measure| measure::value(raster, measure);
    println!(
        "{name}: noise {:.1}, fading {:.2}, damage {:.4}",
        figure(Measure::Noise),
        figure(Measure::Fading),
        figure(Measure::Damage),
    );
}

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn describe(name: &str, outcome: &Outcome) {
    match &outcome.change {
        None => println!("{name}: nothing to do"),
        Some(change) => println!("{name}: {} {:?}", change.summary, change.values),
    }
}
