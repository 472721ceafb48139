//! What an operation did to a picture, in figures, by a sample of it that was taken before.
//!
//! The sample is a regular grid of squares, of a megapixel together, so that it costs the same for
//! scans of any size; smaller pictures are taken whole. A picture that was enlarged is averaged
//! down to the size that it had.

use fonds_core::{Raster, with_samples};

use super::cast::Lab;
use crate::ops::support::work::{Work, luma_word, with_channels};

/// Side of a square in pixels.
const SIDE: usize = 16;

/// Pixels that are looked at, at most; each takes twelve bytes.
pub const SAMPLE: usize = 1 << 20;

/// Side and distance of the windows of structural similarity.
const WINDOW: usize = 8;
const STRIDE: usize = 4;

/// What stands for an infinite ratio.
const SAME: f64 = 100.0;

/// How far a picture is from what it was before, at the size that it had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Peak signal-to-noise ratio over all colour channels in dB; 100 at most, for equal pictures.
    pub psnr: f64,
    /// Structural similarity of the luma (Wang et al., IEEE TIP 13, 2004) with even windows of
    /// 8 × 8 pixels; 1 for equal pictures.
    pub ssim: f64,
    /// The distance of the mean colours in CIELAB units, as if the samples were sRGB.
    pub color_shift: f64,
    /// How many more per cent of the pixels have a channel at either end of the range; below 0
    /// when it became fewer.
    pub clipped_added_percent: f64,
    /// Per cent of the pixels of which a channel differs by more than half an 8-bit code value.
    pub changed_percent: f64,
}

/// A sample of a picture, with which what becomes of it can be compared.
#[derive(Debug, Clone)]
pub struct Sample {
    width: u32,
    height: u32,
    squares: Vec<Square>,
}

/// Colours of a square in 8-bit code values; gray three times.
#[derive(Debug, Clone)]
struct Square {
    left: usize,
    top: usize,
    width: usize,
    colors: Vec<[f32; 3]>,
}

impl Sample {
    /// Takes the sample.
    pub fn of(raster: &Raster) -> Self {
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let across = width.div_ceil(SIDE);
        let down = height.div_ceil(SIDE);
        let step = (across * down).div_ceil(SAMPLE / (SIDE * SIDE)).max(1);
        let mut squares = Vec::new();
        for y in 0..down {
            // Shifted from row to row, so that the squares do not line up.
            for x in ((y * 7) % step..across).step_by(step) {
                let (left, top) = (x * SIDE, y * SIDE);
                squares.push(Square {
                    left,
                    top,
                    width: SIDE.min(width - left),
                    colors: vec![[0.0; 3]; SIDE.min(width - left) * SIDE.min(height - top)],
                });
            }
        }
        let mut sample = Self {
            width: raster.width(),
            height: raster.height(),
            squares,
        };
        for square in &mut sample.squares {
            square.read(raster, 1);
        }
        sample
    }

    /// Compares what became of the picture; `None` when it has another size that is no multiple of
    /// the one before, so that no pixel has a counterpart.
    pub fn compare(&self, after: &Raster) -> Option<Compared> {
        let times = after.width() / self.width.max(1);
        let fits = times > 0
            && after.width() == times * self.width
            && after.height() == times * self.height;
        if !fits || self.squares.is_empty() {
            return None;
        }
        let mut sums = Sums::default();
        let mut now = Square {
            left: 0,
            top: 0,
            width: 0,
            colors: Vec::new(),
        };
        for before in &self.squares {
            now.clone_from(before);
            now.read(after, times as usize);
            sums.add(before, &now);
        }
        Some(sums.compared())
    }
}

impl Square {
    /// Reads the square of a picture that is so many times larger.
    fn read(&mut self, raster: &Raster, times: usize) {
        with_samples!(raster.samples(), samples => {
            with_channels!(raster.format().channels(), CH => {
                self.read_channels::<_, CH>(samples, raster.width() as usize, times);
            });
        });
    }

    fn read_channels<T: Work, const CH: usize>(&mut self, samples: &[T], row: usize, times: usize) {
        let share = 1.0 / (times * times) as f32;
        for (i, color) in self.colors.iter_mut().enumerate() {
            let (x, y) = (self.left + i % self.width, self.top + i / self.width);
            let mut sum = [0.0; 3];
            for line in 0..times {
                let at = ((y * times + line) * row + x * times) * CH;
                for pixel in samples[at..at + times * CH].chunks_exact(CH) {
                    for (channel, sum) in sum.iter_mut().enumerate() {
                        *sum += pixel[if CH < 3 { 0 } else { channel }].code();
                    }
                }
            }
            *color = sum.map(|sum| sum * share);
        }
    }

    fn luma(&self) -> Vec<f32> {
        let word = |code: f32| (code.clamp(0.0, 255.0) * 257.0).round() as u16;
        let luma = |[r, g, b]: &[f32; 3]| luma_word(word(*r), word(*g), word(*b));
        self.colors
            .iter()
            .map(|c| f32::from(luma(c)) / 257.0)
            .collect()
    }
}

#[derive(Default)]
struct Sums {
    pixels: f64,
    squares: f64,
    changed: f64,
    clipped: [f64; 2],
    colors: [[f64; 3]; 2],
    similarity: f64,
    windows: f64,
    /// For pictures that are smaller than a window.
    whole: Moments,
}

impl Sums {
    fn add(&mut self, before: &Square, after: &Square) {
        self.pixels += before.colors.len() as f64;
        for (a, b) in before.colors.iter().zip(&after.colors) {
            let mut changed = false;
            for (channel, (a, b)) in a.iter().zip(b).enumerate() {
                let difference = f64::from(a - b);
                self.squares += difference * difference;
                changed |= difference.abs() > 0.5;
                self.colors[0][channel] += f64::from(*a);
                self.colors[1][channel] += f64::from(*b);
            }
            self.changed += f64::from(u8::from(changed));
            for (count, color) in self.clipped.iter_mut().zip([a, b]) {
                let end = color.iter().any(|code| !(0.5..=254.5).contains(code));
                *count += f64::from(u8::from(end));
            }
        }
        let (width, height) = (before.width, before.colors.len() / before.width);
        let (a, b) = (before.luma(), after.luma());
        self.whole.add(&a, &b);
        let last = |side: usize| (side + 1).saturating_sub(WINDOW);
        for y in (0..last(height)).step_by(STRIDE) {
            for x in (0..last(width)).step_by(STRIDE) {
                let mut moments = Moments::default();
                for row in 0..WINDOW {
                    let at = (y + row) * width + x;
                    moments.add(&a[at..at + WINDOW], &b[at..at + WINDOW]);
                }
                self.similarity += moments.similarity();
                self.windows += 1.0;
            }
        }
    }

    fn compared(&self) -> Compared {
        let mean_square = self.squares / (3.0 * self.pixels);
        let mean = |which: usize| self.colors[which].map(|sum| (sum / self.pixels) as f32);
        let percent = |count: f64| 100.0 * count / self.pixels;
        Compared {
            psnr: (10.0 * (255.0 * 255.0 / mean_square.max(1e-12)).log10()).min(SAME),
            ssim: if self.windows > 0.0 {
                self.similarity / self.windows
            } else {
                self.whole.similarity()
            },
            color_shift: Lab::of(mean(0)).distance(&Lab::of(mean(1))),
            clipped_added_percent: percent(self.clipped[1]) - percent(self.clipped[0]),
            changed_percent: percent(self.changed),
        }
    }
}

/// Sums of the luma before and after, their squares and products.
#[derive(Default)]
struct Moments {
    count: f64,
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
}

impl Moments {
    fn add(&mut self, a: &[f32], b: &[f32]) {
        self.count += a.len() as f64;
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            self.a += a;
            self.b += b;
            self.aa += a * a;
            self.bb += b * b;
            self.ab += a * b;
        }
    }

    fn similarity(&self) -> f64 {
        let (c1, c2) = ((0.01 * 255.0_f64).powi(2), (0.03 * 255.0_f64).powi(2));
        let (a, b) = (self.a / self.count, self.b / self.count);
        let (va, vb) = (self.aa / self.count - a * a, self.bb / self.count - b * b);
        let covariance = self.ab / self.count - a * b;
        (2.0 * a * b + c1) * (2.0 * covariance + c2) / ((a * a + b * b + c1) * (va + vb + c2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic::{Random, texture};
    use fonds_core::{ColorModel, PixelFormat, Samples};

    fn colored(width: u32, height: u32, sigma: f64, shift: f64) -> Raster {
        let mut random = Random(21);
        let mut samples = Vec::new();
        for i in 0..width * height {
            let value = f64::from(texture((i % width) as usize, (i / width) as usize));
            for channel in 0..3 {
                let value = value + sigma * random.normal() + shift * f64::from(channel);
                samples.push(value.round().clamp(0.0, 255.0) as u8);
            }
        }
        let samples = Samples::U8(samples);
        Raster::from_samples(width, height, ColorModel::Rgb, false, samples).unwrap()
    }

    fn compare(before: &Raster, after: &Raster) -> Compared {
        Sample::of(before).compare(after).unwrap()
    }

    #[test]
    fn equal_pictures() {
        for (width, height) in [(1, 1), (5, 40), (100, 60)] {
            let raster = colored(width, height, 3.0, 0.0);
            let found = compare(&raster, &raster);
            assert_eq!((found.psnr, found.color_shift), (100.0, 0.0));
            assert!((found.ssim - 1.0).abs() < 1e-9, "{found:?}");
            assert_eq!(
                (found.clipped_added_percent, found.changed_percent),
                (0.0, 0.0)
            );
        }
    }

    /// The peak signal-to-noise ratio by its definition.
    fn ratio(a: &[u8], b: &[u8]) -> f64 {
        let squares = a
            .iter()
            .zip(b)
            .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        let mean = squares.sum::<f64>() / a.len() as f64;
        20.0 * 255.0_f64.log10() - 10.0 * mean.log10()
    }

    /// By the definitions, over the whole picture.
    #[test]
    fn equals_the_obvious_way() {
        let (before, after) = (colored(64, 48, 0.0, 0.0), colored(64, 48, 5.0, 2.0));
        let found = compare(&before, &after);
        let (a, b) = (
            before.as_slice::<u8>().unwrap(),
            after.as_slice::<u8>().unwrap(),
        );
        let psnr = ratio(a, b);
        assert!((found.psnr - psnr).abs() < 1e-6, "{found:?} {psnr}");
        let pairs = a.chunks_exact(3).zip(b.chunks_exact(3));
        let changed = pairs.filter(|(a, b)| a != b).count() as f64;
        assert!((found.changed_percent - changed / 30.72).abs() < 1e-9);
        assert!((0.5..0.97).contains(&found.ssim), "{found:?}");
        assert!((1.0..4.0).contains(&found.color_shift), "{found:?}");
    }

    #[test]
    fn what_was_enlarged_is_averaged_down() {
        let small = colored(40, 30, 2.0, 0.0);
        let pixels = small.as_slice::<u8>().unwrap();
        for times in [2, 4] {
            let mut samples = Vec::new();
            for y in 0..30 * times {
                for x in 0..40 * times {
                    // The four pixels of a square differ, and their mean is the one before.
                    let sign = if (x + y) % 2 == 0 { 3 } else { -3 };
                    for value in &pixels[(y / times * 40 + x / times) * 3..][..3] {
                        samples.push((i32::from(*value) + sign) as u8);
                    }
                }
            }
            let (width, height) = (40 * times as u32, 30 * times as u32);
            let samples = Samples::U8(samples);
            let large = Raster::from_samples(width, height, ColorModel::Rgb, false, samples);
            let found = compare(&small, &large.unwrap());
            assert_eq!((found.psnr, found.changed_percent), (100.0, 0.0), "{times}");
        }
    }

    #[test]
    fn clipping_and_other_formats_and_sizes() {
        let before = colored(64, 64, 0.0, 0.0);
        let mut after = before.clone();
        after.as_mut_slice::<u8>().unwrap()[..3 * 64 * 16].fill(255);
        let found = compare(&before, &after);
        assert!(
            (found.clipped_added_percent - 25.0).abs() < 1e-9,
            "{found:?}"
        );
        let back = compare(&after, &before);
        assert!((back.clipped_added_percent + 25.0).abs() < 1e-9);
        let gray = Raster::new(64, 64, PixelFormat::GRAY8);
        assert!(compare(&before, &gray).psnr < 10.0);
        for (width, height) in [(63, 64), (128, 127), (32, 32), (128, 64)] {
            let other = Raster::new(width, height, PixelFormat::RGB8);
            assert!(Sample::of(&before).compare(&other).is_none());
        }
    }

    /// A sample of a large picture says what the whole would.
    #[test]
    fn a_sample_stands_for_the_whole() {
        let (before, after) = (colored(1600, 1200, 0.0, 0.0), colored(1600, 1200, 4.0, 0.0));
        let sample = Sample::of(&before);
        let looked_at: usize = sample.squares.iter().map(|s| s.colors.len()).sum();
        assert!(looked_at < 1_000_000, "{looked_at}");
        let found = sample.compare(&after).unwrap();
        let psnr = ratio(before.as_slice().unwrap(), after.as_slice().unwrap());
        assert!((found.psnr - psnr).abs() < 0.05, "{found:?} {psnr}");
    }
}
