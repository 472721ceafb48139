//! The eight Exif orientations, applied to samples.

use fonds_core::{ColorModel, Raster, Result, Sample, Samples, with_samples};

/// Whether width and height change places.
pub(super) fn swaps_axes(orientation: u8) -> bool {
    (5..=8).contains(&orientation)
}

/// The picture as it should be seen. Anything but 2 to 8 leaves it as it is.
pub(super) fn upright(raster: Raster, orientation: u8) -> Result<Raster> {
    if !(2..=8).contains(&orientation) {
        return Ok(raster);
    }
    let (width, height) = (raster.width(), raster.height());
    let format = raster.format();
    let samples = raster.into_samples();
    let samples = with_samples!(samples, samples => {
        turn(samples, width as usize, format.channels(), orientation)?
    });
    let (width, height) = if swaps_axes(orientation) {
        (height, width)
    } else {
        (width, height)
    };
    let model: ColorModel = format.model;
    Raster::from_samples(width, height, model, format.alpha, samples)
}

fn turn<T: Sample>(
    mut samples: Vec<T>,
    width: usize,
    channels: usize,
    orientation: u8,
) -> Result<Samples> {
    if matches!(orientation, 3 | 4) {
        flip_rows(&mut samples, width * channels);
    }
    if matches!(orientation, 2 | 3) {
        mirror_rows(&mut samples, width, channels);
    }
    if !swaps_axes(orientation) {
        return Ok(T::wrap(samples));
    }
    let mirrored = matches!(orientation, 7 | 8);
    let flipped = matches!(orientation, 6 | 7);
    transpose(&samples, width, channels, mirrored, flipped).map(T::wrap)
}

fn flip_rows<T>(samples: &mut [T], row: usize) {
    let rows = samples.len() / row;
    let (top, bottom) = samples.split_at_mut(rows / 2 * row);
    for (upper, lower) in top.chunks_exact_mut(row).zip(bottom.rchunks_exact_mut(row)) {
        upper.swap_with_slice(lower);
    }
}

fn mirror_rows<T>(samples: &mut [T], width: usize, channels: usize) {
    for row in samples.chunks_exact_mut(width * channels) {
        for left in 0..width / 2 {
            let right = width - 1 - left;
            for channel in 0..channels {
                row.swap(left * channels + channel, right * channels + channel);
            }
        }
    }
}

/// Columns become rows. `from_right` takes the columns from the right, `from_below` reads each of
/// them upwards.
fn transpose<T: Sample>(
    samples: &[T],
    width: usize,
    channels: usize,
    from_right: bool,
    from_below: bool,
) -> Result<Vec<T>> {
    // Squares of this side keep both the rows read and the rows written in the cache.
    const BLOCK: usize = 32;
    let height = samples.len() / (width * channels);
    let mut turned = super::guard::zeroed(samples.len())?;
    for block_y in (0..height).step_by(BLOCK) {
        for block_x in (0..width).step_by(BLOCK) {
            for y in block_y..(block_y + BLOCK).min(height) {
                let to_x = if from_below { height - 1 - y } else { y };
                for x in block_x..(block_x + BLOCK).min(width) {
                    let to_y = if from_right { width - 1 - x } else { x };
                    let (from, to) = (
                        (y * width + x) * channels,
                        (to_y * height + to_x) * channels,
                    );
                    turned[to..to + channels].copy_from_slice(&samples[from..from + channels]);
                }
            }
        }
    }
    Ok(turned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the pixel at (x, y) of the upright picture lies in the stored one, from the table in
    /// the Exif standard (rows and columns of the stored picture against the visual sides).
    fn stored_at(o: u8, x: usize, y: usize, width: usize, height: usize) -> (usize, usize) {
        let (right, bottom) = (width - 1, height - 1);
        match o {
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (y, bottom - x),
            7 => (right - y, bottom - x),
            8 => (right - y, x),
            _ => (x, y),
        }
    }

    #[test]
    fn all_eight_match_the_standard() {
        for (width, height, model) in [
            (5_usize, 3_usize, ColorModel::Rgb),
            (67, 41, ColorModel::Gray),
            (1, 4, ColorModel::Rgb),
        ] {
            let channels = if model == ColorModel::Rgb { 3 } else { 1 };
            let samples: Vec<u16> = (0..width * height * channels).map(|i| i as u16).collect();
            for o in 0..=9 {
                let stored = Raster::from_samples(
                    width as u32,
                    height as u32,
                    model,
                    false,
                    Samples::U16(samples.clone()),
                );
                let seen = upright(stored.unwrap(), o).unwrap();
                let found = seen.as_slice::<u16>().unwrap();
                for y in 0..seen.height() as usize {
                    for x in 0..seen.width() as usize {
                        let (from_x, from_y) = stored_at(o, x, y, width, height);
                        let from = (from_y * width + from_x) * channels;
                        let to = (y * seen.width() as usize + x) * channels;
                        assert_eq!(found[to], samples[from], "orientation {o} at {x}, {y}");
                    }
                }
            }
        }
    }
}
