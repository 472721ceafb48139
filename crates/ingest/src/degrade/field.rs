//! Random surfaces: clouds of a given grain, for whatever is irregular.

use crate::draw::Draw;
use crate::planes::Planes;
use crate::resample::{Area, Kernel, for_rows, resample};

/// A plane of values with mean 0 and deviation of about 1 that changes over about `grain` pixels;
/// each of `octaves` adds detail of half the size and half the height.
pub(super) fn clouds(
    (width, height): (usize, usize),
    grain: f32,
    octaves: usize,
    draw: &mut Draw,
) -> Planes {
    let mut sum = Planes::filled(1, height, width, 0.0);
    let (mut grain, mut amplitude, mut power) = (grain.max(1.0), 1.0_f32, 0.0_f32);
    for _ in 0..octaves.max(1) {
        let layer = layer((width, height), grain, draw);
        for (out, value) in sum.values.iter_mut().zip(&layer.values) {
            *out += amplitude * value;
        }
        power += amplitude * amplitude;
        grain = (grain / 2.0).max(1.0);
        amplitude /= 2.0;
    }
    // Interpolation between grid points takes about a third of the variance.
    let scale = 1.0 / (power * 0.68).sqrt();
    sum.values.iter_mut().for_each(|value| *value *= scale);
    sum
}

fn layer((width, height): (usize, usize), grain: f32, draw: &mut Draw) -> Planes {
    let cells = |length: usize| (length as f32 / grain).ceil() as usize + 3;
    let (across, down) = (cells(width), cells(height));
    let mut grid = Planes::filled(1, down, across, 0.0);
    grid.values
        .iter_mut()
        .for_each(|value| *value = draw.normal());
    let area = Area {
        x: 1.0 + f64::from(draw.unit()),
        y: 1.0 + f64::from(draw.unit()),
        width: width as f64 / f64::from(grain),
        height: height as f64 / f64::from(grain),
    };
    resample(
        &grid,
        area,
        (width, height),
        Kernel::Bicubic { a: -0.5 },
        false,
    )
}

/// A wavering number along a line: −1 to 1, smooth, and never the same again.
///
/// Values at whole numbers come from a hash, those between from smooth interpolation; several
/// such waves, each half as long as the one before, are added.
pub(super) struct Waver {
    /// Height, steps in a pixel, and seed.
    waves: Vec<(f32, f32, u64)>,
}

impl Waver {
    /// The longest wave has about `length` pixels, each of the following has half of that, and
    /// `decay` of its height.
    pub(super) fn new(length: f32, waves: usize, decay: f32, draw: &mut Draw) -> Self {
        let mut height = 1.0;
        let mut frequency = 2.0 / length.max(1e-3);
        let mut made = Vec::with_capacity(waves);
        for _ in 0..waves {
            made.push((height, frequency, draw.bits()));
            height *= decay;
            frequency *= 2.0;
        }
        let sum: f32 = made.iter().map(|wave| wave.0).sum();
        for wave in &mut made {
            wave.0 /= sum;
        }
        Self { waves: made }
    }

    pub(super) fn at(&self, place: f32) -> f32 {
        let wave = |&(height, frequency, seed): &(f32, f32, u64)| {
            // Half a million steps off, so that lines may run to both sides.
            let x = place * frequency + 524_288.0 + (seed & 1023) as f32 / 1024.0;
            let step = x.floor();
            let t = x - step;
            let (a, b) = (hashed(seed, step as u64), hashed(seed, step as u64 + 1));
            height * (a + (b - a) * t * t * (3.0 - 2.0 * t))
        };
        self.waves.iter().map(wave).sum()
    }
}

/// A number between −1 and 1 from two others.
fn hashed(seed: u64, step: u64) -> f32 {
    let mut z =
        (seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 32)) >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
}

/// Sets every value of a plane from its pixel.
pub(super) fn fill(plane: &mut Planes, value: impl Fn(f32, f32) -> f32 + Sync) {
    let width = plane.width;
    for_rows(plane.plane_mut(0), width, |y, row| {
        for (x, out) in row.iter_mut().enumerate() {
            *out = value(x as f32, y as f32);
        }
    });
}

/// From 0 below `low` to 1 above `high`, smoothly.
pub(super) fn smoothstep(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::Seed;

    #[test]
    fn clouds_have_their_deviation_and_their_grain() {
        let mut draw = Draw::new(Seed::new(2));
        for (grain, octaves) in [(1.0, 1), (5.0, 1), (12.0, 3)] {
            let made = clouds((300, 300), grain, octaves, &mut draw);
            let n = made.values.len() as f32;
            let squares = made.values.iter().map(|value| value * value).sum::<f32>() / n;
            assert!((0.7..1.5).contains(&squares), "{grain}: {squares}");
        }
        let made = clouds((300, 300), 40.0, 1, &mut draw);
        let steps = made.values.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        assert!(steps.sum::<f32>() / 90_000.0 < 0.06);
    }
}
