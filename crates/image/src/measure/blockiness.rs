//! How much of JPEG's grid of 8 × 8 blocks can be seen, and where the grid lies.

use fonds_core::{Raster, with_samples};

use crate::ops::support::plane::luma_row;
use crate::ops::support::work::{Work, with_channels};

/// Side of a block in pixels.
const SIDE: usize = 8;

/// Bands of the picture that are looked at in each direction, at most.
const BANDS: usize = 48;

/// Steps of more code values than this are edges of the picture, not of blocks.
const EDGE: f32 = 24.0;

/// A grid needs this many blocks along each side to be told from chance.
const LEAST_BLOCKS: usize = 4;

/// A grid of blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// How much larger the mean step between neighbouring pixels is across the edges of the blocks
    /// than at the next largest of the seven other places, in 8-bit code values; the mean of both
    /// directions. 0 where there is no grid.
    pub strength: f64,
    /// The first column, 0 to 7, that begins a block.
    pub left: usize,
    /// The first row, 0 to 7, that begins a block.
    pub top: usize,
}

/// The grid of a picture, as it stands out in the luma.
///
/// Blocks that are coded each for itself differ in their means and slopes, so that the differences
/// of neighbouring pixels are larger across the edges of the blocks (Wang, Bovik, Evans, "Blind
/// measurement of blocking artifacts in images", ICIP 2000; Wang, Sheikh, Bovik, "No-reference
/// perceptual quality assessment of JPEG compressed images", ICIP 2002, whose features are these
/// differences). The place of the grid is searched for, because scans are cropped after they were
/// compressed; of a picture that was resized afterwards it is no longer found, and of a drawn or
/// computed one without any noise the place can be mistaken.
pub fn grid(raster: &Raster) -> Grid {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let mut means = Means::default();
    if width >= SIDE * LEAST_BLOCKS && height >= SIDE * LEAST_BLOCKS {
        with_samples!(raster.samples(), samples => {
            with_channels!(raster.format().channels(), CH => {
                means.read::<_, CH>(samples, width, height);
            });
        });
    }
    let (across, left) = means.columns.outstanding();
    let (down, top) = means.rows.outstanding();
    Grid {
        strength: f64::midpoint(across, down),
        left,
        top,
    }
}

/// The mean steps in both directions.
#[derive(Default)]
struct Means {
    columns: Steps,
    rows: Steps,
}

impl Means {
    fn read<T: Work, const CH: usize>(&mut self, samples: &[T], width: usize, height: usize) {
        let bands = height / SIDE;
        let mut above = vec![0; width];
        let mut here = vec![0; width];
        let every = bands.div_ceil(BANDS).max(1);
        for band in (0..bands).step_by(every) {
            let first = band * SIDE;
            for y in first..(first + SIDE).min(height) {
                luma_row::<T, CH>(&samples[y * width * CH..][..width * CH], &mut here);
                self.columns.along(&here);
                if y > 0 {
                    if y == first {
                        let before = &samples[(y - 1) * width * CH..][..width * CH];
                        luma_row::<T, CH>(before, &mut above);
                    }
                    self.rows.between(&above, &here, y % SIDE);
                }
                std::mem::swap(&mut above, &mut here);
            }
        }
    }
}

/// Sums of steps by the place in the grid of the second pixel.
#[derive(Default)]
struct Steps {
    sums: [f64; SIDE],
    counts: [u64; SIDE],
}

impl Steps {
    /// The steps along a row.
    fn along(&mut self, row: &[u16]) {
        let mut sums = [0.0_f32; SIDE];
        // From the second block on, so that every place is there equally often.
        for pixels in row.windows(SIDE + 1).skip(SIDE - 1).step_by(SIDE) {
            for (sum, pair) in sums.iter_mut().zip(pixels.windows(2)) {
                *sum += step(pair[0], pair[1]);
            }
        }
        let blocks = (row.len().saturating_sub(SIDE)) / SIDE;
        for (place, sum) in sums.iter().enumerate() {
            self.sums[place] += f64::from(*sum);
            self.counts[place] += blocks as u64;
        }
    }

    /// The steps from a row to the one below it.
    fn between(&mut self, above: &[u16], below: &[u16], place: usize) {
        let steps = above.iter().zip(below).map(|(&a, &b)| step(a, b));
        self.sums[place] += f64::from(steps.sum::<f32>());
        self.counts[place] += below.len() as u64;
    }

    /// How far the largest mean lies above the next, and its place.
    fn outstanding(&self) -> (f64, usize) {
        let mut means: Vec<(f64, usize)> = self
            .sums
            .iter()
            .zip(self.counts)
            .enumerate()
            .map(|(place, (sum, count))| (sum / count.max(1) as f64, place))
            .collect();
        means.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        (means[0].0 - means[1].0, means[0].1)
    }
}

/// The step between two pixels in 8-bit code values.
fn step(a: u16, b: u16) -> f32 {
    (f32::from(a.abs_diff(b)) / 257.0).min(EDGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Document;
    use crate::encode::{Embedded, Encoding, Subsampling, encode};
    use crate::ops::support::synthetic::{Random, noisy_ramp, texture};
    use fonds_core::{ColorModel, Limits, Samples};

    fn photograph(width: u32, height: u32, sigma: f64) -> Raster {
        let mut random = Random(3);
        let samples = (0..height as usize)
            .flat_map(|y| (0..width as usize).map(move |x| (x, y)))
            .map(|(x, y)| (f64::from(texture(x, y)) + sigma * random.normal()) as u8)
            .collect();
        Raster::from_samples(width, height, ColorModel::Gray, false, Samples::U8(samples)).unwrap()
    }

    fn compressed(raster: &Raster, quality: u8) -> Raster {
        let encoding = Encoding::Jpeg {
            quality,
            subsampling: Subsampling::Full,
            progressive: false,
        };
        let mut file = std::io::Cursor::new(Vec::new());
        encode(raster, &encoding, &Embedded::default(), &mut file).unwrap();
        let bytes = file.into_inner();
        let mut document = Document::open(&bytes, &Limits::DEFAULT).unwrap();
        document.decode(0).unwrap().raster
    }

    fn cut(raster: &Raster, left: usize, top: usize) -> Raster {
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let samples = raster.as_slice::<u8>().unwrap();
        let rows = samples.chunks_exact(width).skip(top);
        let samples: Vec<u8> = rows.flat_map(|row| row[left..].to_vec()).collect();
        let (width, height) = ((width - left) as u32, (height - top) as u32);
        Raster::from_samples(width, height, ColorModel::Gray, false, Samples::U8(samples)).unwrap()
    }

    #[test]
    fn compression_makes_a_grid_that_stands_out() {
        for sigma in [3.0, 5.0] {
            let plain = photograph(320, 240, sigma);
            let without = grid(&plain).strength;
            assert!(without < 0.15, "{sigma}: {without}");
            let mut last = without;
            for quality in [60, 35, 18, 8] {
                let found = grid(&compressed(&plain, quality));
                if found.strength > 0.3 {
                    assert_eq!((found.left, found.top), (0, 0), "{sigma} {quality}");
                }
                assert!(found.strength > without, "{sigma} {quality}: {found:?}");
                last = found.strength;
            }
            assert!(last > 1.0, "{sigma}: {last}");
        }
    }

    #[test]
    fn the_grid_of_a_cropped_picture_is_found() {
        let plain = compressed(&photograph(200, 168, 2.0), 20);
        for (left, top) in [(0, 0), (3, 5), (8, 1), (7, 7)] {
            let found = grid(&cut(&plain, left, top));
            let expected = ((8 - left % 8) % 8, (8 - top % 8) % 8);
            assert_eq!((found.left, found.top), expected, "{left}, {top}");
        }
    }

    /// The obvious way: every step of every pixel.
    #[test]
    fn small_pictures_are_read_whole() {
        let raster = photograph(75, 61, 3.0);
        let samples = raster.as_slice::<u8>().unwrap();
        let (width, height) = (75, 61);
        let at = |x: usize, y: usize| f32::from(samples[y * width + x]);
        let mean = |place: usize, vertical: bool| {
            let (mut sum, mut count) = (0.0, 0);
            for y in 0..height - height % SIDE {
                for x in 0..width {
                    let place_here = if vertical { y } else { x } % SIDE;
                    let inside = if vertical {
                        y > 0
                    } else {
                        x >= SIDE && x < width - width % SIDE
                    };
                    if inside && place_here == place {
                        let before = if vertical { at(x, y - 1) } else { at(x - 1, y) };
                        sum += (at(x, y) - before).abs().min(EDGE);
                        count += 1;
                    }
                }
            }
            f64::from(sum) / f64::from(count)
        };
        let strength = |vertical| {
            let mut means: Vec<f64> = (0..SIDE).map(|place| mean(place, vertical)).collect();
            means.sort_by(f64::total_cmp);
            means[7] - means[6]
        };
        let expected = f64::midpoint(strength(false), strength(true));
        let found = grid(&raster).strength;
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }

    #[test]
    fn flat_small_and_noisy_pictures_have_none() {
        for (width, height) in [(1, 1), (31, 500), (64, 64)] {
            let raster = Raster::new(width, height, fonds_core::PixelFormat::RGB8);
            assert_eq!(grid(&raster).strength, 0.0, "{width} × {height}");
        }
        let found = grid(&noisy_ramp(512, 512, 12.0)).strength;
        assert!(found < 0.3, "{found}");
    }
}
