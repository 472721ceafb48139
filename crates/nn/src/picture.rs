//! The only place where rasters and activations meet: regions of samples as planes of floats from
//! 0 to 1, and back.

use fonds_core::{Raster, Sample, Samples, with_samples};

use crate::compute::Planes;
use crate::tile::Rect;

/// The colour channels of a region as planes `[channels, rows, columns]`, 0 to 1. Where the region
/// ends beyond the raster, the outermost pixels are repeated.
pub fn planes(raster: &Raster, region: &Rect) -> Vec<f32> {
    let channels = raster.format().color_channels();
    let first: Vec<usize> = (0..channels).collect();
    with_samples!(raster.samples(), samples => {
        region_planes(raster, samples, region, &first, Sample::to_unit)
    })
}

/// The same, as the samples are.
pub fn sample_planes(raster: &Raster, region: &Rect) -> Planes {
    let first: Vec<usize> = (0..raster.format().color_channels()).collect();
    match raster.samples() {
        Samples::U8(samples) => {
            Planes::U8(region_planes(raster, samples, region, &first, |sample| {
                sample
            }))
        }
        Samples::U16(samples) => {
            Planes::U16(region_planes(raster, samples, region, &first, |sample| {
                sample
            }))
        }
        Samples::F32(samples) => {
            Planes::F32(region_planes(raster, samples, region, &first, |sample| {
                sample
            }))
        }
    }
}

/// The alpha channel of a region as a plane `[rows, columns]`, 0 to 1; `None` without alpha.
pub fn alpha_plane(raster: &Raster, region: &Rect) -> Option<Vec<f32>> {
    if !raster.format().alpha {
        return None;
    }
    let channel = [raster.format().color_channels()];
    Some(with_samples!(raster.samples(), samples => {
        region_planes(raster, samples, region, &channel, Sample::to_unit)
    }))
}

fn region_planes<T: Sample, U: Copy>(
    raster: &Raster,
    samples: &[T],
    region: &Rect,
    channels: &[usize],
    convert: impl Fn(T) -> U,
) -> Vec<U> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let stride = raster.format().channels();
    let mut planes = Vec::with_capacity(channels.len() * region.width() * region.height());
    let inside = region.x.start.min(width)..region.x.end.min(width);
    for &channel in channels {
        for y in region.y.clone() {
            let row = &samples[y.min(height - 1) * width * stride..][..width * stride];
            let taken = row[inside.start * stride..inside.end * stride]
                .iter()
                .skip(channel)
                .step_by(stride);
            planes.extend(taken.map(|sample| convert(*sample)));
            let beyond = region.width() - inside.len();
            let last = convert(row[(width - 1) * stride + channel]);
            planes.extend(std::iter::repeat_n(last, beyond));
        }
    }
    planes
}

/// Writes planes `[channels, rows, columns]` of values from 0 to 1 over a region of a raster,
/// rounded to its samples. There are as many planes as colour channels, or one more for alpha.
///
/// # Panics
/// When the region is not inside, or the number of values is not that of its pixels.
pub fn write_planes(raster: &mut Raster, region: &Rect, planes: &[f32]) {
    let width = raster.width() as usize;
    let stride = raster.format().channels();
    let pixels = region.width() * region.height();
    assert!(
        planes.len().is_multiple_of(pixels) && planes.len() / pixels <= stride,
        "planes for {region:?}"
    );
    if let Some(samples) = raster.as_mut_slice::<u8>() {
        write_samples(samples, width, stride, region, planes);
    } else if let Some(samples) = raster.as_mut_slice::<u16>() {
        write_samples(samples, width, stride, region, planes);
    } else if let Some(samples) = raster.as_mut_slice::<f32>() {
        write_samples(samples, width, stride, region, planes);
    }
}

fn write_samples<T: Sample>(
    samples: &mut [T],
    width: usize,
    stride: usize,
    region: &Rect,
    planes: &[f32],
) {
    let pixels = region.width() * region.height();
    for (channel, plane) in planes.chunks_exact(pixels).enumerate() {
        let rows = plane.chunks_exact(region.width());
        for (y, values) in region.y.clone().zip(rows) {
            let start = (y * width + region.x.start) * stride + channel;
            let row = samples[start..].iter_mut().step_by(stride);
            for (sample, value) in row.zip(values) {
                *sample = T::from_unit(*value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fonds_core::{ColorModel, Samples};

    use super::*;

    fn raster() -> Raster {
        let samples: Vec<u16> = (0..4 * 3 * 4).map(|value| value * 1000).collect();
        Raster::from_samples(4, 3, ColorModel::Rgb, true, Samples::U16(samples)).unwrap()
    }

    #[test]
    fn what_is_read_is_written_back() {
        let from = raster();
        let region = Rect { x: 1..3, y: 1..3 };
        let mut all = planes(&from, &region);
        all.extend(alpha_plane(&from, &region).unwrap());
        let mut to = Raster::new(4, 3, from.format());
        write_planes(&mut to, &region, &all);
        let (from, to) = (
            from.as_slice::<u16>().unwrap(),
            to.as_slice::<u16>().unwrap(),
        );
        for y in 0..3 {
            for x in 0..4 {
                let at = (y * 4 + x) * 4..(y * 4 + x) * 4 + 4;
                let inside = region.x.contains(&x) && region.y.contains(&y);
                let expected = if inside {
                    &from[at.clone()]
                } else {
                    &[0; 4][..]
                };
                assert_eq!(&to[at], expected, "{x}, {y}");
            }
        }
    }

    #[test]
    fn beyond_the_edge_the_last_pixels_are_repeated() {
        let region = Rect { x: 3..6, y: 2..5 };
        let read = planes(&raster(), &region);
        assert_eq!(read.len(), 3 * 9);
        let corner = f32::from(11_u16 * 4000) / 65535.0;
        assert!(read[..9].iter().all(|&value| (value - corner).abs() < 1e-6));
    }
}
