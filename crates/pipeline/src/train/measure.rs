//! Samples measured against data: distance of both sets, variety, and how close samples come to
//! training pictures; for pairs also how far what is made is from what it should be.

use fonds_core::Result;
use fonds_nn::metrics::{
    Moments, Picture, SSIM_MIN_SIDE, frechet_distance, kernel_distance, psnr, ssim,
};
use fonds_nn::train::Pixels;

/// Two sets compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SetDistance {
    /// The Fréchet distance of the features.
    pub frechet: f64,
    /// Their kernel distance.
    pub kernel: f64,
    /// The mean distance of made pictures from each other as a share of that of the data.
    pub spread: f64,
}

/// How close made pictures come to training pictures, as shares of the median distance at which
/// these have their own nearest neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closeness {
    /// The median over made pictures; about 1 for pictures that are new and of the same kind.
    pub median: f64,
    /// The closest one's.
    pub least: f64,
}

/// How far made pictures are from what they should be, on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fidelity {
    /// Peak signal-to-noise ratio of all channels in dB.
    pub(super) psnr: f64,
    /// Structural similarity; none for pictures that are too small.
    pub(super) ssim: Option<f64>,
}

/// Compares the features of made pictures with those of data.
///
/// # Errors
/// `invalid_request` for fewer than two of either.
pub(super) fn compare(made: &[Vec<f64>], data: &[Vec<f64>]) -> Result<SetDistance> {
    let (of_made, of_data) = (Moments::of(made)?, Moments::of(data)?);
    let usual = spread(data);
    Ok(SetDistance {
        frechet: frechet_distance(&of_made, &of_data)?,
        kernel: kernel_distance(made, data)?,
        spread: if usual > 0.0 {
            spread(made) / usual
        } else {
            1.0
        },
    })
}

/// The mean distance between two vectors of a set.
fn spread(set: &[Vec<f64>]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (index, one) in set.iter().enumerate() {
        for other in &set[index + 1..] {
            sum += distance(one, other);
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

/// How close made pictures come to training pictures; none when the data has too few, or is full of
/// equal pictures.
pub(super) fn closeness(made: &[Vec<f64>], data: &[Vec<f64>]) -> Option<Closeness> {
    let own = data.iter().enumerate().filter_map(|(index, one)| {
        let others = data.iter().enumerate().filter(|(other, _)| *other != index);
        nearest(one, others.map(|(_, other)| other))
    });
    let usual = median(own.collect())?;
    if usual <= 0.0 {
        return None;
    }
    let found = made.iter().filter_map(|one| nearest(one, data.iter()));
    let found: Vec<f64> = found.map(|distance| distance / usual).collect();
    Some(Closeness {
        least: found.iter().copied().fold(f64::INFINITY, f64::min),
        median: median(found)?,
    })
}

fn nearest<'a>(one: &[f64], others: impl Iterator<Item = &'a Vec<f64>>) -> Option<f64> {
    others
        .map(|other| distance(one, other))
        .min_by(f64::total_cmp)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn distance(one: &[f64], other: &[f64]) -> f64 {
    let squares = one.iter().zip(other).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f64>().sqrt()
}

/// How well damage was found, pixel by pixel, over all pictures: what is more likely than not against
/// what is more than a fifth hidden.
pub(super) fn agreement(made: &[Pixels], targets: &[Pixels]) -> Vec<(&'static str, f64)> {
    let (mut right, mut found, mut there) = (0.0, 0.0, 0.0);
    for (made, target) in made.iter().zip(targets) {
        // Of a mask there is one channel; what was made of it has three that are equal.
        for (&likely, &hidden) in made.values.iter().zip(&target.values) {
            let (likely, hidden) = (likely > 0.5, hidden > 0.2);
            right += f64::from(u8::from(likely && hidden));
            found += f64::from(u8::from(likely));
            there += f64::from(u8::from(hidden));
        }
    }
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    vec![
        ("f1", share(2.0 * right, found + there)),
        ("precision", share(right, found)),
        ("recall", share(right, there)),
    ]
}

/// Compares pictures one by one, as 8-bit samples.
///
/// # Errors
/// `invalid_request` when sizes differ.
pub(super) fn fidelity(made: &[Pixels], targets: &[Pixels]) -> Result<Fidelity> {
    let (mut decibels, mut similarity, mut similar) = (0.0, 0.0, 0.0);
    let count = made.len().min(targets.len()).max(1) as f64;
    for (made, target) in made.iter().zip(targets) {
        let (made, target) = (picture(made)?, picture(target)?);
        // Equal pictures have no finite ratio; 100 dB stands for them.
        decibels += psnr(&made, &target)?.min(100.0);
        if made.width().min(made.height()) >= SSIM_MIN_SIDE {
            similarity += ssim(&made, &target)?;
            similar += 1.0;
        }
    }
    Ok(Fidelity {
        psnr: decibels / count,
        ssim: (similar > 0.0).then(|| similarity / similar),
    })
}

fn picture(pixels: &Pixels) -> Result<Picture> {
    let area = pixels.width * pixels.height;
    let planes = pixels.values.chunks_exact(area);
    let planes = planes.map(|plane| {
        plane
            .iter()
            .map(|value| value.clamp(0.0, 1.0) * 255.0)
            .collect()
    });
    let picture = Picture::from_planes(planes.collect(), pixels.width, pixels.height)?;
    Ok(picture.quantized())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Vec<f64>> {
        values.iter().map(|&value| vec![value, 0.0]).collect()
    }

    #[test]
    fn copies_are_close_and_new_pictures_are_not() {
        let data = points(&[0.0, 1.0, 2.0, 3.0, 4.0]);
        let copies = closeness(&points(&[1.0, 3.0, 2.1]), &data).unwrap();
        assert_eq!((copies.median, copies.least), (0.0, 0.0));
        let new = closeness(&points(&[0.5, 1.5, 3.25]), &data).unwrap();
        assert_eq!((new.median, new.least), (0.5, 0.25));
        assert_eq!(closeness(&points(&[1.0]), &points(&[2.0, 2.0, 2.0])), None);
        assert_eq!(closeness(&points(&[1.0]), &points(&[2.0])), None);
    }

    #[test]
    fn samples_that_are_all_alike_have_no_spread() {
        let data = points(&[0.0, 1.0, 2.0, 3.0]);
        let collapsed = compare(&points(&[1.5, 1.5, 1.5]), &data).unwrap();
        assert_eq!(collapsed.spread, 0.0);
        let same = compare(&data, &data).unwrap();
        assert!((same.spread - 1.0).abs() < 1e-12 && same.frechet.abs() < 1e-6);
        assert!(collapsed.frechet > 1.0);
    }

    #[test]
    fn fidelity_is_that_of_8_bit_samples() {
        let flat = |value: f32| Pixels {
            channels: 1,
            height: 16,
            width: 16,
            values: vec![value; 256],
        };
        let found = fidelity(&[flat(0.5)], &[flat(0.5 + 10.0 / 255.0)]).unwrap();
        assert!((found.psnr - 28.130_8).abs() < 0.3, "{}", found.psnr);
        let same = fidelity(&[flat(0.5)], &[flat(0.5)]).unwrap();
        assert_eq!((same.psnr, same.ssim), (100.0, Some(1.0)));
    }
}
