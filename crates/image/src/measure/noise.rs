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
    quietest(with_samples!(raster.samples(), samples => {
        with_channels!(raster.format().channels(), CH => {
            blocks(samples, raster, load::<_, CH>)
        })
    }))
}

/// The same of the colour differences Cb and Cr (BT.601), the larger of both; 0 for gray pictures.
pub(crate) fn chroma_sigma(raster: &Raster) -> f64 {
    if raster.format().color_channels() < 3 {
        return 0.0;
    }
    let of = |which: Chroma| {
        quietest(with_samples!(raster.samples(), samples => {
            with_channels!(raster.format().channels(), CH => {
                blocks(samples, raster, |samples, width, block: &mut Block| {
                    load_chroma::<_, CH>(samples, width, which, block);
                })
            })
        }))
    };
    of(Chroma::Blue).max(of(Chroma::Red))
}

/// A block with its rim, as luma and as what is measured.
struct Block {
    luma: [f32; AREA],
    values: [f32; AREA],
}

const AREA: usize = (SIDE + 2) * (SIDE + 2);

#[derive(Clone, Copy)]
enum Chroma {
    Blue,
    Red,
}

/// The sigma below which the quietest blocks lie.
fn quietest(mut sigmas: Vec<f32>) -> f64 {
    if sigmas.is_empty() {
        return 0.0;
    }
    sigmas.sort_by(f32::total_cmp);
    let quiet = ((sigmas.len() as f64 * QUIET).ceil() as usize).max(1);
    f64::from(sigmas[quiet - 1])
}

fn blocks<T: Work>(
    samples: &[T],
    raster: &Raster,
    load: impl Fn(&[T], usize, &mut Block),
) -> Vec<f32> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let channels = raster.format().channels();
    let (columns, rows) = (
        width.saturating_sub(2) / SIDE,
        height.saturating_sub(2) / SIDE,
    );
    let total = columns * rows;
    // A fourth of a small picture is enough, too.
    let step = total.div_ceil(MAX_BLOCKS).max(4.min(total / 16 + 1));
    let mut sigmas = Vec::new();
    let mut block = Block {
        luma: [0.0; AREA],
        values: [0.0; AREA],
    };
    for y in 0..rows {
        // Shifted from row to row, so that the blocks do not line up.
        for x in ((y * 7) % step..columns).step_by(step) {
            let at = (y * SIDE * width + x * SIDE) * channels;
            load(&samples[at..], width, &mut block);
            let mean = block.luma.iter().sum::<f32>() / AREA as f32;
            if USABLE.contains(&mean) {
                sigmas.push(block_sigma(&block.values));
            }
        }
    }
    sigmas
}

fn load<T: Work, const CH: usize>(samples: &[T], width: usize, block: &mut Block) {
    let mut luma = [0; SIDE + 2];
    for (y, out) in block.luma.chunks_exact_mut(SIDE + 2).enumerate() {
        luma_row::<T, CH>(&samples[y * width * CH..][..(SIDE + 2) * CH], &mut luma);
        for (out, luma) in out.iter_mut().zip(luma) {
            *out = f32::from(luma) / 257.0;
        }
    }
    block.values = block.luma;
}

fn load_chroma<T: Work, const CH: usize>(
    samples: &[T],
    width: usize,
    which: Chroma,
    block: &mut Block,
) {
    load::<T, CH>(samples, width, block);
    for (y, out) in block.values.chunks_exact_mut(SIDE + 2).enumerate() {
        let row = &samples[y * width * CH..][..(SIDE + 2) * CH];
        for (out, pixel) in out.iter_mut().zip(row.chunks_exact(CH)) {
            let [r, g, b] = [0, 1, 2].map(|channel| pixel[channel.min(CH - 1)].code());
            *out = match which {
                Chroma::Blue => -0.168_736 * r - 0.331_264 * g + 0.5 * b,
                Chroma::Red => 0.5 * r - 0.418_688 * g - 0.081_312 * b,
            };
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

    #[test]
    fn noise_of_the_colours_alone() {
        let mut random = synthetic::Random(11);
        let (width, height) = (320, 240);
        let mut samples = Vec::new();
        for i in 0..width * height {
            let luma = 60.0 + 120.0 * f64::from(i % width) / f64::from(width);
            // Cb with a deviation of 6 and no luma of BT.601.
            let blue = 6.0 * random.normal();
            for value in [luma, luma - 0.344_136 * blue, luma + 1.772 * blue] {
                samples.push((value + 0.5) as u8);
            }
        }
        let samples = fonds_core::Samples::U8(samples);
        let model = fonds_core::ColorModel::Rgb;
        let raster = Raster::from_samples(width, height, model, false, samples).unwrap();
        let found = chroma_sigma(&raster);
        assert!((found - 6.0).abs() < 1.2, "{found}");
        assert!(sigma(&raster) < 1.5, "{}", sigma(&raster));
        assert_eq!(chroma_sigma(&synthetic::noisy_ramp(320, 240, 9.0)), 0.0);
    }
}
