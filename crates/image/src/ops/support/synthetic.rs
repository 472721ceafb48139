//! Made-up pictures with known properties, for tests.

use fonds_core::{ColorModel, Raster, Samples};

use super::plane::Plane;

/// A small generator of even deviates (`SplitMix64`).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next deviate, 0 to 1.
    pub(crate) fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next normal deviate (twelve even ones).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

/// A gray ramp from 60 to 180 with normal noise.
pub(crate) fn noisy_ramp(width: u32, height: u32, sigma: f64) -> Raster {
    let mut random = Random(7);
    let samples = (0..width * height)
        .map(|i| {
            let clean = 60.0 + 120.0 * f64::from(i % width) / f64::from(width);
            (clean + sigma * random.normal() + 0.5) as u8
        })
        .collect();
    Raster::from_samples(width, height, ColorModel::Gray, false, Samples::U8(samples)).unwrap()
}

/// A busy mid-gray texture, 60 to 190.
pub(crate) fn texture(x: usize, y: usize) -> u8 {
    let (x, y) = (x as f64, y as f64);
    let wave = (x * 0.11).sin() + (y * 0.07 + x * 0.013).cos() + (x * 0.6 + y * 0.9).sin() * 0.5;
    (125.0 + 26.0 * wave) as u8
}

/// Lines of words on paper, rotated clockwise by some degrees around the middle.
pub(crate) fn text(width: usize, height: usize, degrees: f64) -> Plane<f32> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let ink = |x: f64, y: f64| {
        let (u, v) = (x * cos + y * sin, y * cos - x * sin);
        let inside = u.abs() < width as f64 * 0.4 && v.abs() < height as f64 * 0.4;
        let line = v.rem_euclid(14.0) < 6.0;
        let number = (v / 14.0).floor();
        let letter = (u * 0.9 + number * 5.0).sin() > 0.0 && (u * 0.11 + number).sin() > -0.8;
        inside && line && letter
    };
    let data = (0..width * height).map(|i| {
        let x = (i % width) as f64 - width as f64 / 2.0;
        let y = (i / width) as f64 - height as f64 / 2.0;
        // Four samples both ways, as a scanner's optics would soften the edges.
        let part = |j: usize| (j as f64 + 0.5) / 4.0;
        let inked = (0..16).filter(|j| ink(x + part(j % 4), y + part(j / 4)));
        225.0 - 175.0 * inked.count() as f32 / 16.0
    });
    Plane::from_vec(width, height, data.collect())
}

/// A print, rotated clockwise, on a scanner bed.
pub(crate) fn print_on_bed(width: usize, height: usize, degrees: f64, bed: f32) -> Plane<f32> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let data = (0..width * height).map(|i| {
        let (x, y) = (
            (i % width) as f64 - width as f64 / 2.0,
            (i / width) as f64 - height as f64 / 2.0,
        );
        let (u, v) = (x * cos + y * sin, y * cos - x * sin);
        if u.abs() < width as f64 * 0.4 && v.abs() < height as f64 * 0.4 {
            f32::from(texture((u + 1000.0) as usize, (v + 1000.0) as usize))
        } else {
            bed
        }
    });
    Plane::from_vec(width, height, data.collect())
}
