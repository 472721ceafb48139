//! What holds for every operation: over all pixel formats and odd sizes, whatever the threads.

use std::sync::Arc;

use fonds_core::{
    Code, ColorModel, Depth, Outcome, PixelFormat, Ppi, Raster, Result, Sample, Samples,
};
use fonds_image::measure;
use fonds_image::ops::{
    Binarize, Clahe, Crop, Denoise, DenoiseMethod, Deskew, Despeckle, Fill, Filter, Gray, Resize,
    Sharpen, SpeckSign, Target, Thumbnail, Tone, ToneMode,
};

type Apply = Box<dyn Fn(Raster) -> Result<Outcome> + Send + Sync>;

struct Case {
    name: &'static str,
    apply: Apply,
    /// Whether pixels stay where they are.
    keeps_size: bool,
    /// Whether the samples keep their depth and channels.
    keeps_format: bool,
}

impl Case {
    fn new(
        name: &'static str,
        apply: impl Fn(Raster) -> Result<Outcome> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            apply: Box::new(apply),
            keeps_size: true,
            keeps_format: true,
        }
    }

    fn moving(mut self) -> Self {
        self.keeps_size = false;
        self
    }

    fn converting(mut self) -> Self {
        self.keeps_format = false;
        self
    }
}

fn tone() -> Tone {
    Tone {
        mode: ToneMode::PerChannel,
        cast: 0.5,
        ..Tone::default()
    }
}

fn median() -> Denoise {
    Denoise {
        method: DenoiseMethod::Median,
        sigma: Some(5.0),
        radius: 2,
        ..Denoise::default()
    }
}

fn nlm() -> Denoise {
    Denoise {
        sigma: Some(6.0),
        ..Denoise::default()
    }
}

fn despeckle() -> Despeckle {
    Despeckle {
        max_size: Some(6),
        min_specks: 1,
        ..Despeckle::default()
    }
}

fn resize() -> Resize {
    Resize {
        to: Target::Scale(0.4),
        ..Resize::default()
    }
}

fn cases() -> Vec<Case> {
    vec![
        Case::new("crop", |r| Crop::default().apply(r)).moving(),
        Case::new("deskew", |r| Deskew::default().apply(r)).moving(),
        Case::new("tone", |r| tone().apply(r)),
        Case::new("clahe", |r| Clahe::default().apply(r)),
        Case::new("nlm", |r| nlm().apply(r)),
        Case::new("median", |r| median().apply(r)),
        Case::new("despeckle", |r| despeckle().apply(r)),
        Case::new("sharpen", |r| Sharpen::default().apply(r)),
        Case::new("resize", |r| resize().apply(r)).moving(),
        Case::new("binarize", |r| Binarize::default().apply(r)).converting(),
        Case::new("gray", |r| Gray::default().apply(r)).converting(),
        Case::new("thumbnail", |r| Thumbnail { size: 40 }.apply(r))
            .moving()
            .converting(),
    ]
}

fn formats() -> Vec<PixelFormat> {
    let mut formats = Vec::new();
    for depth in [Depth::U8, Depth::U16, Depth::F32] {
        for model in [ColorModel::Gray, ColorModel::Rgb] {
            for alpha in [false, true] {
                formats.push(PixelFormat::new(depth, model, alpha));
            }
        }
    }
    formats
}

/// A faded, grainy print, a little rotated, on a black bed, with specks: something to do for
/// every operation. Values are 0 to 1.
fn scene(x: f64, y: f64, width: f64, height: f64) -> f64 {
    let (sin, cos) = 1.2_f64.to_radians().sin_cos();
    let (u, v) = (x - width / 2.0, y - height / 2.0);
    let (u, v) = (u * cos + v * sin, v * cos - u * sin);
    if u.abs() > width * 0.42 || v.abs() > height * 0.42 {
        return 0.02;
    }
    let speck = (u - 11.0).abs() < 1.5 && (v - 9.0).abs() < 1.5;
    let wave = (u * 0.05).sin() + (v * 0.04).cos();
    if speck { 0.9 } else { 0.45 + 0.09 * wave }
}

fn picture(width: u32, height: u32, format: PixelFormat) -> Raster {
    let channels = format.channels();
    let count = width as usize * height as usize * channels;
    let mut state = 5_u32;
    let value = |i: usize| {
        let (pixel, channel) = (i / channels, i % channels);
        if format.alpha && channel == channels - 1 {
            return (pixel * 7919 % 65_521) as f32 / 65_535.0;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = f64::from(state >> 16) / 65_536.0 * 0.03;
        let (x, y) = (pixel % width as usize, pixel / width as usize);
        let base = scene(x as f64, y as f64, f64::from(width), f64::from(height));
        ((base + grain) * [1.0, 0.92, 0.81][channel % 3]) as f32
    };
    let values: Vec<f32> = (0..count).map(value).collect();
    let samples = match format.depth {
        Depth::U8 => Samples::U8(values.iter().map(|v| u8::from_unit(*v)).collect()),
        Depth::U16 => Samples::U16(values.iter().map(|v| u16::from_unit(*v)).collect()),
        Depth::F32 => Samples::F32(values),
    };
    Raster::from_samples(width, height, format.model, format.alpha, samples)
        .expect("a value for each sample")
        .with_icc(Some(Arc::from(&b"a profile"[..])))
        .with_ppi(Some(Ppi { x: 300.0, y: 240.0 }))
}

fn alpha(raster: &Raster) -> Vec<f32> {
    let channels = raster.format().channels();
    fonds_core::with_samples!(raster.samples(), samples => {
        samples.iter().skip(channels - 1).step_by(channels).map(|v| v.to_unit()).collect()
    })
}

fn in_pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads start").install(work)
}

/// What is wrong with one result, if anything.
fn complaints(case: &Case, input: &Raster, outcome: &Outcome) -> Vec<String> {
    let (was, is) = (input.format(), outcome.raster.format());
    let same_size =
        (input.width(), input.height()) == (outcome.raster.width(), outcome.raster.height());
    let keeps_icc = case.name != "gray" && case.name != "binarize";
    let checks = [
        (
            outcome.change.is_some() || outcome.raster == *input,
            "changed in silence",
        ),
        (!case.keeps_size || same_size, "size"),
        (!case.keeps_format || was == is, "format"),
        (was.alpha == is.alpha, "alpha channel lost"),
        (!keeps_icc || outcome.raster.icc() == input.icc(), "profile"),
        (
            !case.keeps_size || outcome.raster.ppi() == input.ppi(),
            "resolution",
        ),
        (
            !(case.keeps_size && case.keeps_format && was.alpha)
                || alpha(&outcome.raster) == alpha(input),
            "alpha changed",
        ),
    ];
    let failed = checks.iter().filter(|(holds, _)| !holds);
    failed
        .map(|(_, what)| format!("{} on {was}: {what}", case.name))
        .collect()
}

#[test]
fn every_operation_on_every_format_and_size() {
    let sizes = [(1, 1), (1, 37), (41, 1), (3, 2), (67, 129), (260, 181)];
    let mut wrong = Vec::new();
    for case in cases() {
        for format in formats() {
            for (width, height) in sizes {
                let input = picture(width, height, format);
                match (case.apply)(input.clone()) {
                    Ok(outcome) => wrong.extend(complaints(&case, &input, &outcome)),
                    Err(error) => wrong.push(format!("{}: {error}", case.name)),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_number_of_threads_does_not_show() {
    for case in cases() {
        for format in [PixelFormat::RGBA8, PixelFormat::GRAY16, PixelFormat::RGB8] {
            let input = picture(260, 181, format);
            let one = in_pool(1, || (case.apply)(input.clone()).unwrap());
            let three = in_pool(3, || (case.apply)(input.clone()).unwrap());
            assert!(one == three, "{} on {format}", case.name);
        }
    }
    let input = picture(260, 181, PixelFormat::RGB8);
    let look = || (measure::measure(&input), measure::perceptual_hash(&input));
    assert_eq!(in_pool(1, look), in_pool(3, look));
}

#[test]
fn every_operation_finds_something_to_do() {
    for case in cases() {
        let outcome = (case.apply)(picture(260, 181, PixelFormat::RGB8)).unwrap();
        assert!(outcome.change.is_some(), "{}", case.name);
    }
}

/// In 16 bits the change between neighbouring values stays finer than an 8-bit step.
#[test]
fn sixteen_bits_stay_sixteen() {
    for case in cases().iter().filter(|case| case.keeps_format) {
        let format = PixelFormat::new(Depth::U16, ColorModel::Gray, false);
        let outcome = (case.apply)(picture(260, 181, format)).unwrap();
        let samples = outcome.raster.as_slice::<u16>().unwrap();
        let odd = samples.iter().filter(|v| **v % 257 != 0).count();
        assert!(odd * 10 > samples.len() * 9, "{}: {odd}", case.name);
    }
}

/// The same picture in 8 and 16 bits comes out alike.
#[test]
fn depths_agree() {
    for case in cases()
        .iter()
        .filter(|case| case.keeps_size && case.keeps_format)
    {
        let eight = (case.apply)(picture(120, 90, PixelFormat::RGB8))
            .unwrap()
            .raster;
        let wide = PixelFormat::new(Depth::U16, ColorModel::Rgb, false);
        let sixteen = (case.apply)(picture(120, 90, wide)).unwrap().raster;
        let pairs = eight.as_slice::<u8>().unwrap().iter();
        let off: f64 = pairs
            .zip(sixteen.as_slice::<u16>().unwrap())
            .map(|(a, b)| (f64::from(*a) - f64::from(*b) / 257.0).abs())
            .sum();
        let mean = off / (120.0 * 90.0 * 3.0);
        assert!(mean < 0.6, "{}: {mean}", case.name);
    }
}

#[test]
fn wrong_parameters_are_refused_with_the_range() {
    let errors = [
        Crop { margin: 900 }.validate(),
        Deskew {
            max_angle: 11.0,
            ..Deskew::default()
        }
        .validate(),
        Deskew {
            fill: Fill::White,
            min_angle: -1.0,
            ..Deskew::default()
        }
        .validate(),
        Tone {
            clip: 9.0,
            ..Tone::default()
        }
        .validate(),
        Tone {
            strength: f64::NAN,
            ..Tone::default()
        }
        .validate(),
        Clahe {
            tiles: 1,
            ..Clahe::default()
        }
        .validate(),
        Denoise {
            sigma: Some(0.0),
            ..Denoise::default()
        }
        .validate(),
        Denoise {
            radius: 4,
            ..Denoise::default()
        }
        .validate(),
        Despeckle {
            max_size: Some(1),
            ..Despeckle::default()
        }
        .validate(),
        Despeckle {
            sensitivity: 1.1,
            sign: SpeckSign::Dark,
            ..Despeckle::default()
        }
        .validate(),
        Sharpen {
            radius: 0.1,
            ..Sharpen::default()
        }
        .validate(),
        Resize {
            to: Target::Exact {
                width: 0,
                height: 4,
            },
            ..Resize::default()
        }
        .validate(),
        Resize {
            to: Target::Percent(0.0),
            filter: Filter::Box,
            enlarge: true,
        }
        .validate(),
        Binarize {
            window: 1,
            ..Binarize::default()
        }
        .validate(),
        Thumbnail { size: 5 }.validate(),
    ];
    for (i, result) in errors.into_iter().enumerate() {
        let error = result.expect_err(&i.to_string());
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(error.message().contains("must lie between"), "{error}");
    }
}

#[test]
fn hashes_survive_size_and_noise_and_tell_pictures_apart() {
    // Some soft blobs, light and dark, at places that depend on the seed.
    let pattern = |seed: usize, width: usize, noise: usize| {
        let height = width * 3 / 4;
        let blob = |i: usize, part: usize| {
            let mut z = (seed * 1000 + i * 10 + part) as u64;
            for factor in [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9_u64] {
                z = (z ^ (z >> 31)).wrapping_mul(factor);
            }
            (z >> 40) as f64 / f64::from(1 << 24)
        };
        let samples = (0..width * height).map(|i| {
            let (x, y) = (
                (i % width) as f64 / width as f64,
                (i / width) as f64 / height as f64,
            );
            let light = |n: usize| {
                let (dx, dy) = (x - blob(n, 0), y - blob(n, 1));
                (blob(n, 2) - 0.5) * (-(dx * dx + dy * dy) / 0.02).exp()
            };
            let sum: f64 = (0..12).map(light).sum();
            (128.0 + 90.0 * sum + (i * 7919 % (2 * noise + 1)) as f64 - noise as f64) as u8
        });
        let samples = Samples::U8(samples.collect());
        let (w, h) = (width as u32, height as u32);
        Raster::from_samples(w, h, ColorModel::Gray, false, samples).unwrap()
    };
    let hashes: Vec<u64> = (0..8)
        .map(|seed| measure::perceptual_hash(&pattern(seed, 640, 0)))
        .collect();
    for (seed, hash) in hashes.iter().enumerate() {
        for (width, noise) in [(640, 12), (200, 0), (1400, 6)] {
            let other = measure::perceptual_hash(&pattern(seed, width, noise));
            let distance = (hash ^ other).count_ones();
            assert!(distance <= 6, "{seed} at {width} with {noise}: {distance}");
        }
        for other in &hashes[..seed] {
            assert!((hash ^ other).count_ones() > 16, "{hash:x} {other:x}");
        }
    }
}
