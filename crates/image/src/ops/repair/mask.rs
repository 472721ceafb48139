//! A set of pixels of a picture: which of them are damaged.

use fonds_core::{Code, ColorModel, Error, PixelFormat, Raster, Result, Samples};
use rayon::prelude::*;

use crate::ops::support::extremes::{Pick, extreme};
use crate::ops::support::plane::luma8;
use crate::ops::support::rows;

/// In the mask.
const IN: u8 = 255;

/// Rows that are grown in one go.
const BAND: usize = 128;

/// Pixels of a picture that are damaged, one byte each (255 in, 0 out), rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

/// One connected piece of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First column and row, and last ones.
    pub bounds: [usize; 4],
    /// Its pixels.
    pub pixels: usize,
}

impl Mask {
    /// The empty mask for a picture of this size.
    pub fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            data: vec![0; width * height],
        }
    }

    /// A mask from one value a pixel; in it is what is at least `threshold`.
    ///
    /// # Errors
    /// `invalid_request` when there is not one value a pixel.
    pub fn from_values(width: u32, height: u32, values: &[f32], threshold: f32) -> Result<Self> {
        let mut mask = Self::new(width, height);
        if values.len() != mask.data.len() {
            let message = format!(
                "{} values for a mask of {width} × {height} pixels",
                values.len()
            );
            return Err(Error::new(Code::InvalidRequest, message));
        }
        for (to, value) in mask.data.iter_mut().zip(values) {
            *to = if *value >= threshold { IN } else { 0 };
        }
        Ok(mask)
    }

    /// A mask from a picture of it: what is lighter than middle gray is damaged, as in masks of
    /// other programs. Its alpha counts for nothing.
    pub fn from_raster(raster: &Raster) -> Self {
        let mut mask = Self::new(raster.width(), raster.height());
        let luma = luma8(raster);
        for (to, value) in mask.data.iter_mut().zip(luma.data()) {
            *to = if *value >= 128 { IN } else { 0 };
        }
        mask
    }

    /// The mask as an 8-bit gray picture: damaged pixels are white.
    pub fn to_raster(&self) -> Raster {
        let samples = Samples::U8(self.data.clone());
        let (width, height) = (self.width as u32, self.height as u32);
        let made = Raster::from_samples(width, height, ColorModel::Gray, false, samples);
        made.unwrap_or_else(|_| Raster::new(width, height, PixelFormat::GRAY8))
    }

    /// Pixels across.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> usize {
        self.height
    }

    /// One byte a pixel, 255 in the mask and 0 outside of it.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Whether a pixel is in it.
    ///
    /// # Panics
    /// When the pixel is not in the picture.
    pub fn has(&self, x: usize, y: usize) -> bool {
        self.data[y * self.width + x] != 0
    }

    /// Adds a pixel.
    ///
    /// # Panics
    /// When the pixel is not in the picture.
    pub fn add(&mut self, x: usize, y: usize) {
        self.data[y * self.width + x] = IN;
    }

    /// Adds all pixels of another mask of the same picture.
    ///
    /// # Errors
    /// `invalid_request` when their sizes differ.
    pub fn unite(&mut self, other: &Self) -> Result<()> {
        self.check_size(other.width, other.height)?;
        let pairs = self.data.par_iter_mut().zip(&other.data);
        pairs.for_each(|(to, from)| *to |= from);
        Ok(())
    }

    /// Adds all pixels within a square of `2 × pixels + 1` around those that are in it.
    pub fn grow(&mut self, pixels: u32) {
        if pixels == 0 {
            return;
        }
        let (radius, width, height) = (pixels as usize, self.width, self.height);
        let mut grown = vec![0; self.data.len()];
        rows::for_each_band(&mut grown, width, BAND, |first, out| {
            let count = out.len() / width;
            let from = first.saturating_sub(radius);
            let to = height.min(first + count + radius);
            let source = &self.data[from * width..to * width];
            let band = extreme(source, width, radius, Pick::Max);
            out.copy_from_slice(&band[(first - from) * width..][..out.len()]);
        });
        self.data = grown;
    }

    /// Pixels in it.
    pub fn count(&self) -> usize {
        self.data.par_iter().filter(|value| **value != 0).count()
    }

    /// Pixels in it as a share of the picture, 0 to 1.
    pub fn share(&self) -> f64 {
        self.count() as f64 / self.data.len().max(1) as f64
    }

    /// Whether no pixel is in it.
    pub fn is_empty(&self) -> bool {
        !self.data.par_iter().any(|value| *value != 0)
    }

    /// That the mask is one for a picture of this size.
    ///
    /// # Errors
    /// `invalid_request` when it is not.
    pub fn check_size(&self, width: usize, height: usize) -> Result<()> {
        if (self.width, self.height) == (width, height) {
            return Ok(());
        }
        let message = format!(
            "a mask of {} × {} pixels for a picture of {width} × {height}",
            self.width, self.height
        );
        Err(Error::new(Code::InvalidRequest, message))
    }

    /// The connected pieces (corners connect, too), by their first pixels.
    pub fn regions(&self) -> Vec<Region> {
        // Runs of each row are joined with those that they touch in the row above.
        let mut found: Vec<Region> = Vec::new();
        let mut parents: Vec<usize> = Vec::new();
        let mut above: Vec<(usize, usize, usize)> = Vec::new();
        for y in 0..self.height {
            let row = &self.data[y * self.width..][..self.width];
            let mut runs = Vec::new();
            let (mut x, mut passed) = (0, 0);
            while let Some(start) = row[x..].iter().position(|value| *value != 0) {
                let start = x + start;
                let len = row[start..].iter().take_while(|value| **value != 0);
                let end = start + len.count();
                let mut label = None;
                passed += above[passed..].partition_point(|(_, to, _)| *to < start);
                for (from, to, other) in &above[passed..] {
                    if *from > end {
                        break;
                    }
                    if start <= *to {
                        let other = root(&mut parents, *other);
                        label = Some(match label {
                            None => other,
                            Some(own) => join(&mut parents, &mut found, own, other),
                        });
                    }
                }
                let label = label.unwrap_or_else(|| {
                    parents.push(found.len());
                    found.push(Region {
                        bounds: [start, y, end - 1, y],
                        pixels: 0,
                    });
                    found.len() - 1
                });
                let region = &mut found[label];
                region.pixels += end - start;
                region.bounds = around(region.bounds, [start, y, end - 1, y]);
                runs.push((start, end, label));
                x = end;
                if x >= self.width {
                    break;
                }
            }
            above = runs;
        }
        let roots = (0..found.len()).filter(|label| parents[*label] == *label);
        roots.map(|label| found[label]).collect()
    }
}

/// The least box around two boxes.
fn around(a: [usize; 4], b: [usize; 4]) -> [usize; 4] {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}

fn root(parents: &mut [usize], mut label: usize) -> usize {
    while parents[label] != label {
        parents[label] = parents[parents[label]];
        label = parents[label];
    }
    label
}

/// Makes one region of two; the earlier one stays.
fn join(parents: &mut [usize], found: &mut [Region], a: usize, b: usize) -> usize {
    let (first, second) = (a.min(b), a.max(b));
    if first != second {
        parents[second] = first;
        found[first].pixels += found[second].pixels;
        found[first].bounds = around(found[first].bounds, found[second].bounds);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &[&str]) -> Mask {
        let mut mask = Mask::new(rows[0].len() as u32, rows.len() as u32);
        for (y, row) in rows.iter().enumerate() {
            for (x, _) in row.bytes().enumerate().filter(|(_, byte)| *byte == b'#') {
                mask.add(x, y);
            }
        }
        mask
    }

    #[test]
    fn pieces_are_what_touches() {
        let mask = drawn(&["##..#", "..#.#", "....#", "#...."]);
        let regions = mask.regions();
        let expected = [([0, 0, 2, 1], 3), ([4, 0, 4, 2], 3), ([0, 3, 0, 3], 1)];
        let found: Vec<_> = regions.iter().map(|r| (r.bounds, r.pixels)).collect();
        assert_eq!(found, expected);
        // Two arms that meet below are one.
        assert_eq!(drawn(&["#.#.#", "#.#.#", "#####"]).regions().len(), 1);
        assert_eq!(Mask::new(3, 3).regions(), []);
    }

    #[test]
    fn growing_is_what_it_says() {
        let mut mask = drawn(&[".....", ".....", "..#..", ".....", "....."]);
        mask.grow(1);
        assert_eq!(mask, drawn(&[".....", ".###.", ".###.", ".###.", "....."]));
        // Across bands, too.
        let mut tall = Mask::new(3, 300);
        tall.add(1, 127);
        tall.grow(4);
        let rows: Vec<usize> = (0..300).filter(|y| tall.has(0, *y)).collect();
        assert_eq!(rows, (123..=131).collect::<Vec<_>>());
    }

    #[test]
    fn pictures_of_masks_come_back() {
        let mut mask = drawn(&["#..", ".#."]);
        assert_eq!(Mask::from_raster(&mask.to_raster()), mask);
        assert_eq!((mask.count(), mask.share()), (2, 2.0 / 6.0));
        mask.unite(&drawn(&["..#", "..."])).unwrap();
        assert_eq!(mask, drawn(&["#.#", ".#."]));
        assert!(mask.unite(&Mask::new(2, 2)).is_err());
        let values = [0.1, 0.9, 0.5, 0.4];
        let of = Mask::from_values(2, 2, &values, 0.5).unwrap();
        assert_eq!(of, drawn(&[".#", "#."]));
        assert!(Mask::from_values(2, 2, &values[1..], 0.5).is_err());
    }
}
