//! Pictures matched to references, against slow ways and by what must come of it.

use fonds_core::{PixelFormat, Samples};

use super::*;

const METHODS: [MatchMethod; 3] = [
    MatchMethod::Reinhard,
    MatchMethod::Transport,
    MatchMethod::Histogram,
];

/// A picture of floats whose channels depend on each other.
fn picture(width: u32, height: u32, tint: [f32; 3], spread: f32) -> Raster {
    let mut state = 12_345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    let samples = (0..width * height).flat_map(|_| {
        let tone = f32::midpoint(next(), next()) - 0.5;
        tint.map(|mean| mean + spread * (tone + 0.3 * (next() - 0.5)))
    });
    let samples = Samples::F32(samples.collect());
    Raster::from_samples(width, height, ColorModel::Rgb, false, samples).unwrap()
}

fn channel(raster: &Raster, channel: usize) -> Vec<f64> {
    let samples = raster.as_slice::<f32>().unwrap();
    let stride = raster.format().channels();
    samples
        .iter()
        .skip(channel)
        .step_by(stride)
        .map(|&v| f64::from(v))
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let (x, y) = (mean(a), mean(b));
    let products: Vec<f64> = a.iter().zip(b).map(|(a, b)| (a - x) * (b - y)).collect();
    mean(&products)
}

fn matched(method: MatchMethod, picture: &Raster, reference: &Raster) -> Raster {
    let op = Match {
        method,
        strength: 1.0,
    };
    let reference = Reference::of(reference).unwrap();
    op.apply(picture.clone(), &reference).unwrap().raster
}

#[test]
fn transport_gives_means_and_covariances() {
    let from = picture(90, 300, [0.4, 0.5, 0.6], 0.3);
    let to = picture(70, 110, [0.6, 0.5, 0.35], 0.5);
    let made = matched(MatchMethod::Transport, &from, &to);
    for a in 0..3 {
        assert!((mean(&channel(&made, a)) - mean(&channel(&to, a))).abs() < 1e-4);
        for b in 0..3 {
            let found = covariance(&channel(&made, a), &channel(&made, b));
            let wanted = covariance(&channel(&to, a), &channel(&to, b));
            assert!(
                (found - wanted).abs() < 1e-4,
                "{a}, {b}: {found} and {wanted}"
            );
        }
    }
}

#[test]
fn reinhard_is_the_slow_way() {
    let from = picture(60, 40, [0.4, 0.5, 0.6], 0.3);
    let to = picture(50, 70, [0.6, 0.5, 0.4], 0.4);
    let made = matched(MatchMethod::Reinhard, &from, &to);
    let lab = |raster: &Raster| -> Vec<[f32; 3]> {
        let pixels = raster.as_slice::<f32>().unwrap().chunks_exact(3);
        pixels
            .map(|p| space::to_oklab([p[0], p[1], p[2]]))
            .collect()
    };
    let (own, wanted) = (lab(&from), lab(&to));
    let axis = |pixels: &[[f32; 3]], axis: usize| -> Vec<f64> {
        pixels.iter().map(|pixel| f64::from(pixel[axis])).collect()
    };
    let moved = |pixel: &[f32; 3]| {
        let lab = [0, 1, 2].map(|at| {
            let (own, wanted) = (axis(&own, at), axis(&wanted, at));
            let ratio = (covariance(&wanted, &wanted) / covariance(&own, &own)).sqrt();
            ((f64::from(pixel[at]) - mean(&own)) * ratio + mean(&wanted)) as f32
        });
        space::from_oklab(lab)
    };
    let samples = made.as_slice::<f32>().unwrap();
    for index in [0, 7, 1000, 2399] {
        let expected = moved(&own[index]);
        for (found, expected) in samples[index * 3..][..3].iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-3,
                "{index}: {found} and {expected}"
            );
        }
    }
}

#[test]
fn histograms_become_equal() {
    let from = picture(160, 100, [0.4, 0.5, 0.6], 0.3);
    let to = picture(160, 100, [0.6, 0.5, 0.4], 0.5);
    let made = matched(MatchMethod::Histogram, &from, &to);
    for at in 0..3 {
        let (mut found, mut wanted) = (channel(&made, at), channel(&to, at));
        found.sort_by(f64::total_cmp);
        wanted.sort_by(f64::total_cmp);
        // As many pixels: each rank has the tone that the reference has there.
        for (rank, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            assert!(
                (found - wanted).abs() < 4e-3,
                "{at}, {rank}: {found} and {wanted}"
            );
        }
        // The order of tones is that of the picture.
        let (before, after) = (channel(&from, at), channel(&made, at));
        let mut order: Vec<usize> = (0..before.len()).collect();
        order.sort_by(|a, b| before[*a].total_cmp(&before[*b]));
        assert!(
            order
                .windows(2)
                .all(|pair| after[pair[0]] <= after[pair[1]] + 1e-6)
        );
    }
}

#[test]
fn a_picture_matched_to_itself_stays() {
    let samples: Vec<u8> = (0..97 * 61 * 3_usize)
        .map(|i| (i * i / 7 % 251) as u8)
        .collect();
    let picture = Raster::from_samples(97, 61, ColorModel::Rgb, false, Samples::U8(samples));
    let picture = picture.unwrap();
    for method in METHODS {
        let made = matched(method, &picture, &picture);
        let pairs = made
            .as_slice::<u8>()
            .unwrap()
            .iter()
            .zip(picture.as_slice::<u8>().unwrap());
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(most, Some(0), "{method:?}");
    }
}

#[test]
fn gray_stays_gray_and_gray_gives_tones_alone() {
    let colored = picture(50, 40, [0.6, 0.5, 0.35], 0.4);
    let gray: Vec<u16> = (0..64 * 48_u32)
        .map(|i| (20_000 + i * 37 % 9000) as u16)
        .collect();
    let gray = Raster::from_samples(64, 48, ColorModel::Gray, false, Samples::U16(gray)).unwrap();
    let luma: Vec<f64> = colored
        .as_slice::<f32>()
        .unwrap()
        .chunks_exact(3)
        .map(|p| f64::from(0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]))
        .collect();
    for method in METHODS {
        let made = matched(method, &gray, &colored);
        assert_eq!(made.format(), PixelFormat::GRAY16);
        let found: Vec<f64> = made
            .as_slice::<u16>()
            .unwrap()
            .iter()
            .map(|&v| f64::from(v) / 65_535.0)
            .collect();
        assert!((mean(&found) - mean(&luma)).abs() < 2e-3, "{method:?}");
        // The other way round: colours keep their differences.
        let made = matched(method, &colored, &gray);
        let differences = |raster: &Raster| -> Vec<f64> {
            let (r, g) = (channel(raster, 0), channel(raster, 1));
            r.iter().zip(g).map(|(r, g)| r - g).collect()
        };
        let pairs = differences(&made).into_iter().zip(differences(&colored));
        assert!(
            pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5),
            "{method:?}"
        );
    }
}

#[test]
fn strength_is_a_share_and_alpha_stays() {
    let samples: Vec<u8> = (0..40 * 30 * 4_usize)
        .map(|i| (i * 31 % 251) as u8)
        .collect();
    let picture = Raster::from_samples(40, 30, ColorModel::Rgb, true, Samples::U8(samples));
    let picture = picture.unwrap();
    let reference = Reference::of(&self::picture(30, 30, [0.6, 0.5, 0.4], 0.3)).unwrap();
    let apply = |strength: f64| {
        let op = Match {
            method: MatchMethod::Reinhard,
            strength,
        };
        op.apply(picture.clone(), &reference).unwrap()
    };
    assert!(apply(0.0).change.is_none());
    let (half, whole) = (apply(0.5).raster, apply(1.0).raster);
    let all = picture.as_slice::<u8>().unwrap().iter();
    let all = all
        .zip(half.as_slice::<u8>().unwrap())
        .zip(whole.as_slice::<u8>().unwrap());
    for (index, ((&before, &half), &whole)) in all.enumerate() {
        if index % 4 == 3 {
            assert_eq!((half, whole), (before, before));
        } else if whole > 0 && whole < 255 {
            let between = f64::midpoint(f64::from(before), f64::from(whole));
            assert!(
                (f64::from(half) - between).abs() <= 1.0,
                "{before} {half} {whole}"
            );
        }
    }
    let op = Match {
        strength: 1.5,
        ..Match::default()
    };
    assert!(op.apply(picture.clone(), &reference).is_err());
}
