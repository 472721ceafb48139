//! Pictures side by side: the grids of samples.

use std::io::Cursor;

use fonds_core::{ColorModel, Raster, Result, Sample, Samples};
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_nn::train::Pixels;

/// Pixels between two pictures.
const GAP: usize = 2;

/// Rows of pictures as one picture of 8 bits, on white; each row begins at the left.
pub(super) fn grid(rows: &[Vec<Pixels>]) -> Result<Raster> {
    let all = || rows.iter().flatten();
    let cell_width = all().map(|picture| picture.width).max().unwrap_or(1);
    let cell_height = all().map(|picture| picture.height).max().unwrap_or(1);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1);
    let color = all().any(|picture| picture.channels > 1);
    let (model, channels) = if color {
        (ColorModel::Rgb, 3)
    } else {
        (ColorModel::Gray, 1)
    };
    let width = columns * (cell_width + GAP) + GAP;
    let height = rows.len().max(1) * (cell_height + GAP) + GAP;
    let mut samples = vec![u8::MAX; width * height * channels];
    for (row, pictures) in rows.iter().enumerate() {
        for (column, picture) in pictures.iter().enumerate() {
            let x = GAP + column * (cell_width + GAP);
            let y = GAP + row * (cell_height + GAP);
            place(&mut samples, (width, channels), picture, (x, y));
        }
    }
    let samples = Samples::U8(samples);
    Raster::from_samples(width as u32, height as u32, model, false, samples)
}

/// One picture of 8 bits.
pub(super) fn picture(picture: &Pixels) -> Result<Raster> {
    let (model, channels) = if picture.channels > 1 {
        (ColorModel::Rgb, 3)
    } else {
        (ColorModel::Gray, 1)
    };
    let mut samples = vec![0; picture.width * picture.height * channels];
    place(&mut samples, (picture.width, channels), picture, (0, 0));
    let (width, height) = (picture.width as u32, picture.height as u32);
    Raster::from_samples(width, height, model, false, Samples::U8(samples))
}

fn place(
    samples: &mut [u8],
    (width, channels): (usize, usize),
    picture: &Pixels,
    (x, y): (usize, usize),
) {
    let plane = picture.width * picture.height;
    for channel in 0..channels {
        let from = channel.min(picture.channels - 1) * plane;
        let values = &picture.values[from..from + plane];
        for (row, values) in values.chunks_exact(picture.width).enumerate() {
            let start = ((y + row) * width + x) * channels + channel;
            let places = samples[start..].iter_mut().step_by(channels);
            for (place, &value) in places.zip(values) {
                *place = u8::from_unit(value);
            }
        }
    }
}

/// The bytes of a PNG.
pub(super) fn png(raster: &Raster) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    encode(raster, &Encoding::PNG, &Embedded::default(), &mut file)?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_where_they_belong() {
        let one = |value: f32, channels| Pixels {
            channels,
            height: 1,
            width: 2,
            values: vec![value; 2 * channels],
        };
        let rows = [vec![one(0.0, 1), one(0.5, 3)], vec![one(0.25, 1)]];
        let raster = grid(&rows).unwrap();
        assert_eq!((raster.width(), raster.height()), (10, 8));
        let samples = raster.as_slice::<u8>().unwrap();
        let at = |x: usize, y: usize| samples[(y * 10 + x) * 3];
        assert_eq!((at(2, 2), at(3, 2), at(4, 2)), (0, 0, 255));
        assert_eq!((at(6, 2), at(7, 2), at(8, 2)), (128, 128, 255));
        assert_eq!((at(2, 5), at(6, 5), at(0, 0)), (64, 255, 255));
        assert!(png(&raster).unwrap().starts_with(b"\x89PNG"));
    }
}
