//! Pictures of a sample as they are kept: decoded, and resized where every sample is alike.

use std::path::PathBuf;

use fonds_core::{Code, Error, Raster, Result, Sample, with_samples};
use fonds_image::decode::Document;

use super::Options;
use crate::planes::{self, Planes};
use crate::resample::{Area, Kernel, resample};
use crate::source::read_source;

/// A decoded picture.
#[derive(Debug)]
pub(super) enum Picture {
    /// In sRGB, opaque, in its own depth and size.
    Whole(Raster),
    /// As large as a sample.
    Ready(Planes),
}

/// Reads the pictures of an entry: its files, or the halves of its only file.
pub(super) fn read(
    files: &[PathBuf],
    halves: Option<bool>,
    options: &Options,
) -> Result<Vec<Picture>> {
    let mut rasters = Vec::with_capacity(2);
    for file in files {
        let source = read_source(file, &options.limits)?;
        let page = Document::open(&source.bytes, &options.limits)
            .and_then(|mut document| document.decode(0))
            .and_then(|page| planes::plain(page.raster));
        rasters.push(page.map_err(|error| error.at_path(file))?);
    }
    if let (Some(source_first), [both]) = (halves, &rasters[..]) {
        rasters = split(both)?;
        if !source_first {
            rasters.reverse();
        }
    }
    Ok(rasters.into_iter().map(Picture::Whole).collect())
}

impl Picture {
    /// Width and height.
    pub(super) fn size(&self) -> (usize, usize) {
        match self {
            Self::Whole(raster) => (raster.width() as usize, raster.height() as usize),
            Self::Ready(planes) => (planes.width, planes.height),
        }
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Whole(raster) => raster.byte_len() as u64,
            Self::Ready(planes) => 4 * planes.values.len() as u64,
        }
    }

    /// A part of the picture in the given size; a picture that is ready comes as it is.
    pub(super) fn cut(&self, area: Area, size: (usize, usize), channels: usize) -> Planes {
        match self {
            Self::Whole(raster) => cut(raster, area, size, channels),
            Self::Ready(planes) => planes.clone(),
        }
    }
}

fn cut(raster: &Raster, area: Area, size: (usize, usize), channels: usize) -> Planes {
    let native = area.width == size.0 as f64 && area.height == size.1 as f64;
    if native && area.x.fract() == 0.0 && area.y.fract() == 0.0 {
        let corner = (area.x as usize, area.y as usize);
        return Planes::of_plain(raster, corner, size, channels);
    }
    // The kernel reaches two new pixels beyond the part, in pixels of the picture.
    let span = |start: f64, length: f64, new: usize, end: u32| {
        let reach = 2.0 * (length / new as f64).max(1.0) + 1.0;
        let from = (start - reach).floor().max(0.0) as usize;
        let to = (start + length + reach).ceil().min(f64::from(end)) as usize;
        (from, to - from)
    };
    let (x, width) = span(area.x, area.width, size.0, raster.width());
    let (y, height) = span(area.y, area.height, size.1, raster.height());
    let part = Planes::of_plain(raster, (x, y), (width, height), channels);
    let inner = Area {
        x: area.x - x as f64,
        y: area.y - y as f64,
        ..area
    };
    let kernel = Kernel::Bicubic { a: -0.5 };
    let mut made = resample(&part, inner, size, kernel, true);
    made.clamp();
    made
}

fn split(raster: &Raster) -> Result<Vec<Raster>> {
    let (width, height) = (raster.width(), raster.height());
    if width % 2 != 0 {
        let message = format!("two halves cannot have {width} pixels of width together");
        return Err(Error::new(Code::Corrupt, message));
    }
    let half = raster.row_len() / 2;
    let made = [0, half].map(|start| {
        with_samples!(raster.samples(), samples => {
            let part = half_of(samples, raster.row_len(), start);
            raster.with_samples(width / 2, height, part)
        })
    });
    Ok(Vec::from(made))
}

fn half_of<T: Sample>(samples: &[T], row_len: usize, start: usize) -> Vec<T> {
    let rows = samples.chunks_exact(row_len);
    rows.flat_map(|row| &row[start..start + row_len / 2])
        .copied()
        .collect()
}
