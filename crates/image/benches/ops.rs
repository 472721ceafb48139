//! Speed of measures and operations on a two-megapixel picture, in time per picture.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fonds_core::{ColorModel, Outcome, Raster, Result, Samples};
use fonds_image::measure;
use fonds_image::ops::{
    Binarize, Clahe, Denoise, Despeckle, Resize, Sharpen, Target, Thumbnail, Tone,
};

const WIDTH: u32 = 1600;
const HEIGHT: u32 = 1250;

/// A faded, slightly noisy picture.
fn picture() -> Raster {
    let mut state = 1_u32;
    let samples = (0..WIDTH * HEIGHT).flat_map(|i| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (f64::from(i % WIDTH), f64::from(i / WIDTH));
        let wave = (x * 0.01).sin() + (y * 0.013).cos() + (x * 0.2 + y * 0.17).sin() * 0.2;
        let value = 120.0 + 40.0 * wave + f64::from(state >> 28);
        [value as u8, (value * 0.95) as u8, (value * 0.8) as u8]
    });
    let samples = Samples::U8(samples.collect());
    Raster::from_samples(WIDTH, HEIGHT, ColorModel::Rgb, false, samples)
        .expect("three samples a pixel")
}

fn measures(c: &mut Criterion) {
    let raster = picture();
    c.bench_function("measure and hash", |b| {
        b.iter(|| {
            let survey = measure::Survey::new(black_box(&raster));
            (survey.measures(), survey.perceptual_hash())
        });
    });
    c.bench_function("thumbnail", |b| {
        b.iter(|| Thumbnail::default().of(black_box(&raster)));
    });
}

fn operations(c: &mut Criterion) {
    let raster = picture();
    let mut bench = |name: &str, apply: &dyn Fn(Raster) -> Result<Outcome>| {
        c.bench_function(name, |b| {
            b.iter_batched(|| raster.clone(), apply, BatchSize::LargeInput);
        });
    };
    bench("tone", &|r| Tone::default().apply(r));
    bench("clahe", &|r| Clahe::default().apply(r));
    bench("despeckle", &|r| Despeckle::default().apply(r));
    bench("sharpen", &|r| Sharpen::default().apply(r));
    bench("binarize", &|r| Binarize::default().apply(r));
    let half = Resize {
        to: Target::Scale(0.5),
        ..Resize::default()
    };
    bench("resize to a half", &|r| half.apply(r));
    let denoise = Denoise {
        sigma: Some(8.0),
        ..Denoise::default()
    };
    bench("non-local means", &|r| denoise.apply(r));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = measures, operations
}
criterion_main!(benches);
