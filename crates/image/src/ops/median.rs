//! The median of a window, channel by channel.

use fonds_core::{Raster, Sample, with_samples};

use super::support::rows;

/// The picture with each colour sample blended towards the median of the square of
/// 2 × `radius` + 1 around it; the edge's samples continue outside.
pub(super) fn filtered(raster: &Raster, radius: usize, strength: f32) -> Raster {
    let (width, height) = (raster.width(), raster.height());
    with_samples!(raster.samples(), samples => {
        raster.with_samples(width, height, filter(samples, raster, radius, strength))
    })
}

fn filter<T: Sample>(samples: &[T], raster: &Raster, radius: usize, strength: f32) -> Vec<T> {
    let (channels, color) = (raster.format().channels(), raster.format().color_channels());
    let (row_len, height) = (raster.row_len(), raster.height() as usize);
    let width = raster.width() as usize;
    let mut out = samples.to_vec();
    rows::for_each_row(&mut out, row_len, |y, out| {
        let mut window = Vec::with_capacity((2 * radius + 1) * (2 * radius + 1));
        for (x, pixel) in out.chunks_exact_mut(channels).enumerate() {
            for (c, sample) in pixel[..color].iter_mut().enumerate() {
                window.clear();
                for dy in 0..=2 * radius {
                    let row = (y + dy).saturating_sub(radius).min(height - 1) * row_len;
                    for dx in 0..=2 * radius {
                        let column = (x + dx).saturating_sub(radius).min(width - 1);
                        window.push(samples[row + column * channels + c]);
                    }
                }
                let median = median(&mut window);
                let was = sample.to_f32();
                *sample = T::from_f32(was + strength * (median.to_f32() - was));
            }
        }
    });
    out
}

fn median<T: Sample>(window: &mut [T]) -> T {
    if let Ok(window) = <&mut [T; 9]>::try_from(&mut *window) {
        return median_of_nine(window);
    }
    let middle = window.len() / 2;
    let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
    *window.select_nth_unstable_by(middle, order).1
}

/// Nineteen exchanges that bring the median of nine to the middle (Paeth, Graphics Gems, 1990).
fn median_of_nine<T: Sample>(v: &mut [T; 9]) -> T {
    const EXCHANGES: [(usize, usize); 19] = [
        (1, 2),
        (4, 5),
        (7, 8),
        (0, 1),
        (3, 4),
        (6, 7),
        (1, 2),
        (4, 5),
        (7, 8),
        (0, 3),
        (5, 8),
        (4, 7),
        (3, 6),
        (1, 4),
        (2, 5),
        (4, 7),
        (4, 2),
        (6, 4),
        (4, 2),
    ];
    for (low, high) in EXCHANGES {
        if v[high] < v[low] {
            v.swap(low, high);
        }
    }
    v[4]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, Samples};

    #[test]
    fn nine_are_sorted_right() {
        for seed in 0..2000_u32 {
            let mut values: [u8; 9] =
                std::array::from_fn(|i| (seed.wrapping_mul(2_654_435_761) >> (i * 2)) as u8);
            let mut sorted = values;
            sorted.sort_unstable();
            assert_eq!(median_of_nine(&mut values), sorted[4]);
        }
    }

    #[test]
    fn a_lone_spike_goes_and_alpha_stays() {
        let mut samples = vec![100_u16; 7 * 7 * 2];
        samples[24 * 2] = 60_000;
        samples[24 * 2 + 1] = 5;
        let samples = Samples::U16(samples);
        let raster = Raster::from_samples(7, 7, ColorModel::Gray, true, samples).unwrap();
        for radius in 1..=3 {
            let found = filtered(&raster, radius, 1.0);
            let found = found.as_slice::<u16>().unwrap();
            assert_eq!(found[24 * 2..24 * 2 + 2], [100, 5]);
        }
    }
}
