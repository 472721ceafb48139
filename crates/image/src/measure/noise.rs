//! The standard deviation of noise, from the quietest blocks of a picture at full size.

use fonds_core::{Raster, with_samples};

use crate::ops::support::plane::luma_row;
use crate::ops::support::work::{Work, with_channels};

/// Side of a block in pixels, without the rim of one pixel that the mask needs.
const SIDE: usize = 16;

/// Blocks looked at, at most.
const MAX_BLOCKS: usize = 400;

/// The share of blocks, from the quietest, that is taken for flat.
const QUIET: f64 = 0.2;

/// Luma outside these 8-bit code values is too near an end to show its noise.
const USABLE: std::ops::RangeInclusive<f32> = 16.0..=239.0;

/// The standard deviation of the luma's noise in 8-bit code values; 0 for pictures smaller than a
/// block.
///
/// In each block of a regular grid the mean absolute response to Immerkær's mask (Computer Vision
/// and Image Understanding 64, 1996), which cancels planes and edges, gives a sigma; texture can
/// only make it larger, so the quietest fifth of the usable blocks counts.
pub(crate) fn sigma(raster: &Raster) -> f64 {
    let mut sigmas = with_samples!(raster.samples(), samples => {
        with_channels!(raster.format().channels(), CH => blocks::<_, CH>(samples, raster))
    });
    if sigmas.is_empty() {
        return 0.0;
    }
    sigmas.sort_by(f32::total_cmp);
    let quiet = ((sigmas.len() as f64 * QUIET).ceil() as usize).max(1);
    f64::from(sigmas[quiet - 1])
}

fn blocks<T: Work, const CH: usize>(samples: &[T], raster: &Raster) -> Vec<f32> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let (columns, rows) = (
        width.saturating_sub(2) / SIDE,
        height.saturating_sub(2) / SIDE,
    );
    let total = columns * rows;
    // A fourth of a small picture is enough, too.
    let step = total.div_ceil(MAX_BLOCKS).max(4.min(total / 16 + 1));
    let mut sigmas = Vec::new();
    let mut block = [0.0; (SIDE + 2) * (SIDE + 2)];
    for y in 0..rows {
        // Shifted from row to row, so that the blocks do not line up.
        for x in ((y * 7) % step..columns).step_by(step) {
            let at = (y * SIDE * width + x * SIDE) * CH;
            load::<T, CH>(&samples[at..], width, &mut block);
            let mean = block.iter().sum::<f32>() / block.len() as f32;
            if USABLE.contains(&mean) {
                sigmas.push(block_sigma(&block));
            }
        }
    }
    sigmas
}

fn load<T: Work, const CH: usize>(samples: &[T], width: usize, block: &mut [f32]) {
    let mut luma = [0; SIDE + 2];
    for (y, out) in block.chunks_exact_mut(SIDE + 2).enumerate() {
        luma_row::<T, CH>(&samples[y * width * CH..][..(SIDE + 2) * CH], &mut luma);
        for (out, luma) in out.iter_mut().zip(luma) {
            *out = f32::from(luma) / 257.0;
        }
    }
}

fn block_sigma(block: &[f32]) -> f32 {
    let row = |y: usize| &block[y * (SIDE + 2)..][..SIDE + 2];
    // A sum for each column, which vector instructions can add up.
    let mut sums = [0.0_f32; SIDE];
    for y in 1..=SIDE {
        let (a, b, c) = (row(y - 1), row(y), row(y + 1));
        for (x, sum) in sums.iter_mut().enumerate() {
            let corners = a[x] + a[x + 2] + c[x] + c[x + 2];
            let sides = a[x + 1] + c[x + 1] + b[x] + b[x + 2];
            *sum += (corners - 2.0 * sides + 4.0 * b[x + 1]).abs();
        }
    }
    let sum: f32 = sums.iter().sum();
    // E|x| of a normal deviate is σ·√(2/π), and the mask's weights have the norm 6.
    (std::f32::consts::FRAC_PI_2.sqrt() / 6.0) * sum / (SIDE * SIDE) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic;

    #[test]
    fn finds_the_sigma_that_was_added() {
        for sigma_in in [0.0, 2.0, 5.0, 12.0] {
            let raster = synthetic::noisy_ramp(320, 240, sigma_in);
            let found = sigma(&raster);
            let off = (found - sigma_in).abs();
            assert!(off < 0.15 * sigma_in + 0.3, "{sigma_in}: {found}");
        }
    }

    #[test]
    fn tiny_pictures_have_none() {
        for (w, h) in [(1, 1), (1, 99), (17, 17)] {
            assert_eq!(
                sigma(&Raster::new(w, h, fonds_core::PixelFormat::RGB8)),
                0.0
            );
        }
    }
}
