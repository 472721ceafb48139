//! Structural similarity, on one scale and on five.

use fonds_core::{Code, Error, Result};
use rayon::prelude::*;

use super::picture::Picture;

/// The window: a Gaussian of standard deviation 1.5 on 11 × 11 pixels.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
/// Exponents of the five scales, finest first (Wang, Simoncelli, Bovik 2003, section 3.2).
const SCALES: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// The shortest side that has a window.
pub const SSIM_MIN_SIDE: usize = WINDOW;
/// The shortest side that has a window on the coarsest of five scales.
pub const MS_SSIM_MIN_SIDE: usize = WINDOW * 16;

/// Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004), 1 for equal pictures: the mean
/// over all places where the window lies inside the picture, then over the channels.
///
/// # Errors
/// [`Code::InvalidRequest`] if the sizes differ or a side is shorter than [`SSIM_MIN_SIDE`].
pub fn ssim(a: &Picture, b: &Picture) -> Result<f64> {
    check(a, b, SSIM_MIN_SIDE)?;
    let similarities = channels(a, b);
    Ok(similarities.iter().map(|s| s.whole).sum::<f64>() / similarities.len() as f64)
}

/// Structural similarity over five scales (Wang, Simoncelli, Bovik 2003), 1 for equal pictures.
/// Each scale is the one before it averaged over 2 × 2 pixels; an odd last row or column is
/// dropped. Scales on which contrast and structure disagree altogether count as 0.
///
/// # Errors
/// [`Code::InvalidRequest`] if the sizes differ or a side is shorter than [`MS_SSIM_MIN_SIDE`].
pub fn ms_ssim(a: &Picture, b: &Picture) -> Result<f64> {
    check(a, b, MS_SSIM_MIN_SIDE)?;
    let mut products = vec![1.0; a.planes().len()];
    let (mut a, mut b) = (a.clone(), b.clone());
    for (scale, exponent) in SCALES.into_iter().enumerate() {
        if scale > 0 {
            (a, b) = (a.halved(), b.halved());
        }
        for (product, similarity) in products.iter_mut().zip(channels(&a, &b)) {
            // The luminance counts on the coarsest scale alone.
            let value = if scale + 1 == SCALES.len() {
                similarity.whole
            } else {
                similarity.structure
            };
            *product *= value.max(0.0).powf(exponent);
        }
    }
    Ok(products.iter().sum::<f64>() / products.len() as f64)
}

fn check(a: &Picture, b: &Picture, side: usize) -> Result<()> {
    a.expect_like(b)?;
    if a.width() < side || a.height() < side {
        return Err(Error::new(
            Code::InvalidRequest,
            format!(
                "a picture of {} × {} pixels is too small (both sides at least {side})",
                a.width(),
                a.height()
            ),
        ));
    }
    Ok(())
}

/// Means over one channel.
struct Similarity {
    /// Luminance, contrast and structure.
    whole: f64,
    /// Contrast and structure alone.
    structure: f64,
}

fn channels(a: &Picture, b: &Picture) -> Vec<Similarity> {
    let planes = a.planes().iter().zip(b.planes());
    planes.map(|(x, y)| similarity(x, y, a.width())).collect()
}

fn similarity(a: &[f32], b: &[f32], width: usize) -> Similarity {
    let kernel = kernel();
    let height = a.len() / width;
    let rows = height - WINDOW + 1;
    // Rows are independent; their sums are added in their order, so threads change nothing.
    let sums: Vec<(f64, f64)> = (0..rows)
        .into_par_iter()
        .map_init(
            || vec![[0.0; 4]; width],
            |moments, row| {
                let part = row * width..(row + WINDOW) * width;
                vertical(&a[part.clone()], &b[part], width, &kernel, moments);
                horizontal(moments, &kernel)
            },
        )
        .collect();
    let count = (rows * (width - WINDOW + 1)) as f64;
    let (whole, structure) = sums
        .iter()
        .fold((0.0, 0.0), |(w, s), (x, y)| (w + x, s + y));
    Similarity {
        whole: whole / count,
        structure: structure / count,
    }
}

fn kernel() -> [f64; WINDOW] {
    let mut kernel = [0.0; WINDOW];
    for (i, weight) in kernel.iter_mut().enumerate() {
        let distance = i as f64 - (WINDOW / 2) as f64;
        *weight = (-distance * distance / (2.0 * SIGMA * SIGMA)).exp();
    }
    let sum: f64 = kernel.iter().sum();
    kernel.map(|weight| weight / sum)
}

/// Sums over the eleven rows for each column: both values, their squares' sum, their product.
fn vertical(a: &[f32], b: &[f32], width: usize, kernel: &[f64], moments: &mut [[f64; 4]]) {
    moments.fill([0.0; 4]);
    for (weight, (a_row, b_row)) in kernel
        .iter()
        .zip(a.chunks_exact(width).zip(b.chunks_exact(width)))
    {
        for (moment, (&x, &y)) in moments.iter_mut().zip(a_row.iter().zip(b_row)) {
            let (x, y) = (f64::from(x), f64::from(y));
            moment[0] += weight * x;
            moment[1] += weight * y;
            moment[2] += weight * (x * x + y * y);
            moment[3] += weight * (x * y);
        }
    }
}

/// The sums of similarity and of structure over one row of windows.
fn horizontal(moments: &[[f64; 4]], kernel: &[f64; WINDOW]) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for window in moments.windows(WINDOW) {
        let mut m = [0.0; 4];
        for (weight, moment) in kernel.iter().zip(window) {
            for (sum, value) in m.iter_mut().zip(moment) {
                *sum += weight * value;
            }
        }
        let squares = m[0] * m[0] + m[1] * m[1];
        let product = m[0] * m[1];
        let structure = (2.0 * (m[3] - product) + C2) / (m[2] - squares + C2);
        sums.0 += structure * (2.0 * product + C1) / (squares + C1);
        sums.1 += structure;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::psnr;

    /// A picture by formula, and a coarser, darker one; `tools/check_metrics.py` makes the same.
    fn pair(width: usize, height: usize) -> (Picture, Picture) {
        let sample =
            |x: usize, y: usize, c: usize| ((x * 7 + y * 13 + c * 29) * (x + 3 * y + 1)) % 251;
        let mut a = Vec::new();
        let mut b = Vec::new();
        for y in 0..height {
            for x in 0..width {
                for c in 0..3 {
                    let smooth = usize::midpoint(x * 255 / width, y * 255 / height);
                    a.push(((sample(x, y, c) + 3 * smooth) / 4) as u8);
                    let coarse = sample(x / 2 * 2, y / 3 * 3, c);
                    b.push(((coarse + 3 * smooth) / 4 * 15 / 16) as u8);
                }
            }
        }
        (
            Picture::from_u8(&a, width, height, 3).unwrap(),
            Picture::from_u8(&b, width, height, 3).unwrap(),
        )
    }

    /// The definition, window by window, in two dimensions.
    fn slow(a: &[f32], b: &[f32], width: usize, height: usize) -> f64 {
        let k = kernel();
        let mut sum = 0.0;
        let mut count = 0.0;
        for top in 0..=height - WINDOW {
            for left in 0..=width - WINDOW {
                let mut each = Vec::new();
                for (i, wy) in k.iter().enumerate() {
                    for (j, wx) in k.iter().enumerate() {
                        let at = (top + i) * width + left + j;
                        each.push((wx * wy, f64::from(a[at]), f64::from(b[at])));
                    }
                }
                let mean = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
                    each.iter().map(|&(w, x, y)| w * f(x, y)).sum()
                };
                let (ma, mb) = (mean(&|x, _| x), mean(&|_, y| y));
                let va = mean(&|x, _| (x - ma).powi(2));
                let vb = mean(&|_, y| (y - mb).powi(2));
                let cov = mean(&|x, y| (x - ma) * (y - mb));
                sum += (2.0 * ma * mb + C1) * (2.0 * cov + C2)
                    / ((ma * ma + mb * mb + C1) * (va + vb + C2));
                count += 1.0;
            }
        }
        sum / count
    }

    #[test]
    fn the_definition_agrees() {
        for (width, height) in [(11, 11), (12, 17), (30, 23)] {
            let (a, b) = pair(width, height);
            let expected: f64 = (0..3)
                .map(|c| slow(&a.planes()[c], &b.planes()[c], width, height) / 3.0)
                .sum();
            let found = ssim(&a, &b).unwrap();
            assert!(
                (found - expected).abs() < 1e-12,
                "{width}×{height}: {found} {expected}"
            );
        }
    }

    // From `tools/check_metrics.py`, an implementation in NumPy that gives the published figures of
    // BasicSR for its two test pictures (baboon 20.419710 dB and 0.391853, comic 20.239912 dB and
    // 0.567738, border 4).
    #[test]
    fn another_implementation_agrees() {
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        };
        let (a, b) = pair(192, 176);
        close(psnr(&a, &b).unwrap(), 20.411_078_027);
        close(ssim(&a, &b).unwrap(), 0.231_315_388);
        close(ms_ssim(&a, &b).unwrap(), 0.597_379_697);
        let (a, b) = (a.cropped(4).unwrap(), b.cropped(4).unwrap());
        let (a, b) = (a.luminance(), b.luminance());
        close(psnr(&a, &b).unwrap(), 24.634_024_151);
        close(ssim(&a, &b).unwrap(), 0.366_850_884);
    }

    #[test]
    fn equal_pictures_are_alike_and_negatives_are_not() {
        let (a, b) = pair(176, 180);
        assert!((ssim(&a, &a).unwrap() - 1.0).abs() < 1e-12);
        assert!((ms_ssim(&a, &a).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(ssim(&a, &b).unwrap(), ssim(&b, &a).unwrap());
        let negative: Vec<Vec<f32>> = a
            .planes()
            .iter()
            .map(|plane| plane.iter().map(|v| 255.0 - v).collect())
            .collect();
        let negative = Picture::from_planes(negative, 176, 180).unwrap();
        assert!(ssim(&a, &negative).unwrap() < 0.0);
        assert_eq!(ms_ssim(&a, &negative).unwrap(), 0.0);
    }

    #[test]
    fn threads_change_nothing() {
        let (a, b) = pair(64, 200);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| ssim(&a, &b).unwrap().to_bits())
        };
        assert_eq!(with(1), with(5));
    }

    #[test]
    fn small_pictures_are_refused() {
        let (a, b) = pair(10, 30);
        assert!(ssim(&a, &b).is_err());
        let (a, b) = pair(175, 300);
        let error = ms_ssim(&a, &b).unwrap_err();
        assert!(error.message().contains("at least 176"), "{error}");
    }
}
