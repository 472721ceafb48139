//! JPEG: blocks, ringing, and smeared colour, by the arithmetic of the format itself.

use super::canvas::{Canvas, number};
use super::{Damage, Problems};
use crate::draw::Draw;
use crate::planes::Planes;
use crate::resample::for_rows;

/// JPEG compression and decompression, once or several times.
///
/// What is exact: 8-bit samples, the colour transform of JFIF, the cosine transform, rounding to
/// the tables of the Independent JPEG Group at a quality. Entropy coding loses nothing and is left
/// out.
#[derive(Debug, Clone, PartialEq)]
pub struct Jpeg {
    /// The quality on the scale of the Independent JPEG Group: 1 to 100.
    pub quality: (f32, f32),
    /// How often colour is kept at half the resolution (4:2:0): 0 to 1.
    pub subsampled: f32,
    /// How many times the picture is compressed: 1 to 4.
    pub times: (f32, f32),
    /// Whether the blocks begin anywhere, as after cropping, and not at the left upper corner.
    pub shifted: bool,
}

impl Default for Jpeg {
    /// As in Real-ESRGAN.
    fn default() -> Self {
        Self {
            quality: (30.0, 95.0),
            subsampled: 1.0,
            times: (1.0, 1.0),
            shifted: false,
        }
    }
}

impl Jpeg {
    /// The early days of digital cameras and the web: low quality, recompressed after cropping.
    pub fn old() -> Self {
        Self {
            quality: (8.0, 45.0),
            subsampled: 0.9,
            times: (1.0, 3.0),
            shifted: true,
        }
    }
}

/// The example tables of the standard (ITU-T T.81, annex K.1), which encoders scale.
const LUMINANCE: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

impl Damage for Jpeg {
    const NAME: &'static str = "jpeg";

    fn check(&self, problems: &mut Problems) {
        problems.range("quality", self.quality, 1.0, 100.0);
        problems.number("subsampled", self.subsampled, 0.0, 1.0);
        problems.range("times", self.times, 1.0, 4.0);
    }

    fn strengthen(&mut self, by: f32) {
        let least = (self.quality.0 / by.max(0.01)).clamp(1.0, 100.0);
        self.quality = (least, (self.quality.1 / by.max(0.01)).clamp(least, 100.0));
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        for _ in 0..draw.count(self.times) {
            let quality = draw.range(self.quality).round();
            let halves = canvas.planes.channels == 3 && draw.chance(self.subsampled);
            let offset = if self.shifted {
                (draw.below(16), draw.below(16))
            } else {
                (0, 0)
            };
            canvas.planes = recompressed(&canvas.planes, quality, halves, offset);
            canvas.note(
                Self::NAME,
                vec![
                    ("quality", number(quality)),
                    ("subsampled", number(f32::from(u8::from(halves)))),
                    ("shift_x", number(offset.0 as f32)),
                    ("shift_y", number(offset.1 as f32)),
                ],
            );
        }
        Ok(())
    }
}

/// The picture as a decoder gives it back; `offset` pixels of its edge are repeated before it.
fn recompressed(planes: &Planes, quality: f32, halves: bool, offset: (usize, usize)) -> Planes {
    let unit = if halves { 16 } else { 8 };
    let (width, height) = (planes.width, planes.height);
    let padded = (
        (width + offset.0).div_ceil(unit) * unit,
        (height + offset.1).div_ceil(unit) * unit,
    );
    let mut work = padded_bytes(planes, padded, offset);
    if planes.channels == 3 {
        to_ycbcr(&mut work);
    }
    let tables = [table(&LUMINANCE, quality), table(&CHROMINANCE, quality)];
    let cosines = cosines();
    let mut made = Vec::with_capacity(work.values.len());
    for c in 0..work.channels {
        let plane = work.plane(c).to_vec();
        if c > 0 && halves {
            let mut small = halved(&plane, padded.0);
            through_blocks(&mut small, padded.0 / 2, &tables[1], &cosines);
            made.extend(doubled(&small, padded.0 / 2));
        } else {
            let mut plane = plane;
            through_blocks(&mut plane, padded.0, &tables[c.min(1)], &cosines);
            made.extend(plane);
        }
    }
    work.values = made;
    if planes.channels == 3 {
        to_rgb(&mut work);
    }
    let mut made = work.crop(offset.0, offset.1, width, height);
    made.values
        .iter_mut()
        .for_each(|value| *value = value.round().clamp(0.0, 255.0) / 255.0);
    made
}

/// 8-bit samples of the picture, its edges repeated to whole blocks.
fn padded_bytes(
    planes: &Planes,
    (width, height): (usize, usize),
    offset: (usize, usize),
) -> Planes {
    let mut padded = Planes::filled(planes.channels, height, width, 0.0);
    for c in 0..planes.channels {
        let source = planes.plane(c);
        for (y, row) in padded.plane_mut(c).chunks_exact_mut(width).enumerate() {
            let y = y.saturating_sub(offset.1).min(planes.height - 1);
            let from = &source[y * planes.width..][..planes.width];
            for (x, out) in row.iter_mut().enumerate() {
                let value = from[x.saturating_sub(offset.0).min(planes.width - 1)];
                *out = (value.clamp(0.0, 1.0) * 255.0).round();
            }
        }
    }
    padded
}

/// JFIF 1.02: luminance and two differences around 128, rounded to 8 bits as encoders do.
fn to_ycbcr(work: &mut Planes) {
    each_pixel(work, |[r, g, b]| {
        [
            0.299 * r + 0.587 * g + 0.114 * b,
            128.0 - 0.168_735_9 * r - 0.331_264_1 * g + 0.5 * b,
            128.0 + 0.5 * r - 0.418_687_6 * g - 0.081_312_4 * b,
        ]
        .map(|value| value.round().clamp(0.0, 255.0))
    });
}

fn to_rgb(work: &mut Planes) {
    each_pixel(work, |[y, cb, cr]| {
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        [
            y + 1.402 * cr,
            y - 0.344_136_3 * cb - 0.714_136_3 * cr,
            y + 1.772 * cb,
        ]
    });
}

fn each_pixel(work: &mut Planes, change: impl Fn([f32; 3]) -> [f32; 3]) {
    let pixels = work.pixels();
    let (a, rest) = work.values.split_at_mut(pixels);
    let (b, c) = rest.split_at_mut(pixels);
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        [*a, *b, *c] = change([*a, *b, *c]);
    }
}

/// The quantisation steps at a quality, as the Independent JPEG Group scales them.
fn table(base: &[u8; 64], quality: f32) -> [f32; 64] {
    let percent = if quality < 50.0 {
        (5000.0 / quality).floor()
    } else {
        200.0 - 2.0 * quality
    };
    base.map(|step| {
        ((f32::from(step) * percent + 50.0) / 100.0)
            .floor()
            .clamp(1.0, 255.0)
    })
}

/// The orthonormal cosine transform of eight samples, row by row.
fn cosines() -> [[f32; 8]; 8] {
    std::array::from_fn(|u| {
        let scale = if u == 0 { 0.125_f64.sqrt() } else { 0.5 };
        std::array::from_fn(|x| {
            let angle = (2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0;
            (scale * angle.cos()) as f32
        })
    })
}

/// Every 8 × 8 block to cosines, to whole steps, and back to 8-bit samples.
fn through_blocks(plane: &mut [f32], width: usize, table: &[f32; 64], cosines: &[[f32; 8]; 8]) {
    for_rows(plane, 8 * width, |_, rows| {
        for left in (0..width).step_by(8) {
            let mut block: [f32; 64] =
                std::array::from_fn(|i| rows[i / 8 * width + left + i % 8] - 128.0);
            block = transform(&block, cosines);
            for (value, step) in block.iter_mut().zip(table) {
                *value = (*value / step).round() * step;
            }
            block = transform(&block, &transposed(cosines));
            for (i, value) in block.iter().enumerate() {
                rows[i / 8 * width + left + i % 8] = (value + 128.0).round().clamp(0.0, 255.0);
            }
        }
    });
}

/// M · block · Mᵀ.
fn transform(block: &[f32; 64], matrix: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut half = [0.0; 64];
    for y in 0..8 {
        for (u, row) in matrix.iter().enumerate() {
            half[y * 8 + u] = (0..8).map(|x| row[x] * block[y * 8 + x]).sum();
        }
    }
    let mut made = [0.0; 64];
    for (v, row) in matrix.iter().enumerate() {
        for (y, weight) in row.iter().enumerate() {
            for u in 0..8 {
                made[v * 8 + u] += weight * half[y * 8 + u];
            }
        }
    }
    made
}

fn transposed(matrix: &[[f32; 8]; 8]) -> [[f32; 8]; 8] {
    std::array::from_fn(|i| std::array::from_fn(|j| matrix[j][i]))
}

/// Means of four samples each.
fn halved(plane: &[f32], width: usize) -> Vec<f32> {
    let rows = plane.chunks_exact(2 * width);
    rows.flat_map(|rows| {
        let (upper, lower) = rows.split_at(width);
        upper.chunks_exact(2).zip(lower.chunks_exact(2))
    })
    .map(|(a, b)| ((a[0] + a[1] + b[0] + b[1]) / 4.0).round())
    .collect()
}

/// Twice as many samples each way, by the triangle filter that decoders use: ¾ of the nearer and
/// ¼ of the farther neighbour.
fn doubled(plane: &[f32], width: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let other = |i: usize, len: usize| {
        let near = i / 2;
        let far = if i.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(len - 1)
        };
        (near, far)
    };
    let mut made = Vec::with_capacity(4 * plane.len());
    for y in 0..2 * height {
        let (near, far) = other(y, height);
        let column = |x: usize| 0.75 * plane[near * width + x] + 0.25 * plane[far * width + x];
        for x in 0..2 * width {
            let (near, far) = other(x, width);
            made.push((0.75 * column(near) + 0.25 * column(far)).round());
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{Limits, Sample};
    use fonds_image::decode::Document;

    fn picture(width: usize, height: usize) -> Planes {
        let mut planes = Planes::filled(3, height, width, 0.0);
        for (i, value) in planes.values.iter_mut().enumerate() {
            let (c, x, y) = (i / (width * height), i % width, i / width % height);
            let wave = (x as f32 * 0.31 + c as f32).sin() * (y as f32 * 0.17).cos();
            *value = u8::from_unit(0.5 + 0.4 * wave).to_unit();
        }
        planes
    }

    /// Through a real encoder and a real decoder.
    fn by_codecs(planes: &Planes, quality: u8, halves: bool) -> Planes {
        let raster = planes.to_raster::<u8>().unwrap();
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
        let sampling = if halves {
            jpeg_encoder::SamplingFactor::R_4_2_0
        } else {
            jpeg_encoder::SamplingFactor::R_4_4_4
        };
        encoder.set_sampling_factor(sampling);
        let samples = raster.as_slice::<u8>().unwrap();
        let (width, height) = (planes.width as u16, planes.height as u16);
        encoder
            .encode(samples, width, height, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        let mut document = Document::open(&bytes, &Limits::DEFAULT).unwrap();
        Planes::from_raster(document.decode(0).unwrap().raster, 3).unwrap()
    }

    #[test]
    fn it_is_what_codecs_make() {
        let smooth = picture(75, 50);
        // This encoder keeps one of four colours and not their mean: where four pixels are equal,
        // that is the same.
        let small = picture(37, 25);
        let mut doubled = Planes::filled(3, 50, 74, 0.0);
        for (i, value) in doubled.values.iter_mut().enumerate() {
            let (c, x, y) = (i / 3700, i % 74, i / 74 % 50);
            *value = small.plane(c)[y / 2 * 37 + x / 2];
        }
        for (quality, halves) in [
            (90, false),
            (50, false),
            (15, false),
            (60, true),
            (20, true),
        ] {
            let planes = if halves { &doubled } else { &smooth };
            let made = recompressed(planes, f32::from(quality), halves, (0, 0));
            let real = by_codecs(planes, quality, halves);
            let apart = made
                .values
                .iter()
                .zip(&real.values)
                .map(|(a, b)| (a - b).abs() * 255.0);
            let (mean, most) = apart.fold((0.0, 0.0_f32), |(sum, most), d| (sum + d, most.max(d)));
            let mean = mean / made.values.len() as f32;
            let changed = planes
                .values
                .iter()
                .zip(&real.values)
                .map(|(a, b)| (a - b).abs() * 255.0);
            let changed = changed.sum::<f32>() / made.values.len() as f32;
            // Rounding in fixed point moves a few coefficients to the next step.
            assert!(
                mean < 0.25 * changed,
                "{quality} {halves}: {mean} of {changed}, most {most}"
            );
        }
    }

    #[test]
    fn blocks_begin_where_they_are_shifted_to() {
        let planes = picture(64, 64);
        let steps = |made: &Planes, phase: usize| -> f32 {
            let row = |y: usize| &made.plane(0)[y * 64..][..64];
            (0..64)
                .map(|y| {
                    (phase..63)
                        .step_by(8)
                        .map(|x| (row(y)[x] - row(y)[x + 1]).abs())
                        .sum::<f32>()
                })
                .sum()
        };
        let made = recompressed(&planes, 3.0, false, (3, 0));
        // With three columns before it the first block ends after five.
        assert!(steps(&made, 4) > 1.5 * steps(&made, 7));
    }
}
