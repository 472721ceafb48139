//! Planes become activations and activations become planes: the layout of tensors beside the
//! engine's own.

use fonds_core::Result;
use rayon::prelude::*;

use super::Engine;
use super::buffer::{Buffer, LANES, Shape};

/// Rows that one thread takes to planes at a time.
const BAND: usize = 8;

/// Pixels that are transposed at a time: their lines stay in the first cache.
const RUN: usize = 16;

impl Engine {
    /// Activations from planes: `[batch, channels, height, width]`, row major.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    ///
    /// # Panics
    /// When the number of values is not that of the shape.
    pub fn import(&self, shape: Shape, nchw: &[f32]) -> Result<Buffer> {
        assert_eq!(nchw.len(), shape.elements(), "values for {shape}");
        let mut buffer = self.buffer(shape)?;
        let plane = shape.height * shape.width;
        buffer.fill_rows(|picture, y, row| {
            let lines: Vec<&[f32]> = (0..shape.channels)
                .map(|channel| {
                    let start = (picture * shape.channels + channel) * plane + y * shape.width;
                    &nchw[start..start + shape.width]
                })
                .collect();
            if shape.pixel_stride() == 4 {
                interleave::<4>(&lines, shape, row);
            } else {
                interleave::<LANES>(&lines, shape, row);
            }
        });
        Ok(buffer.freeze())
    }

    /// The values as planes: `[batch, channels, height, width]`, row major.
    pub fn export(&self, buffer: &Buffer) -> Vec<f32> {
        let mut nchw = vec![0.0; buffer.shape().elements()];
        self.export_into(buffer, &mut nchw);
        nchw
    }

    /// As [`Engine::export`], into memory that is there.
    ///
    /// # Panics
    /// When the number of values is not that of the shape.
    pub fn export_into(&self, buffer: &Buffer, nchw: &mut [f32]) {
        let shape = buffer.shape();
        assert_eq!(nchw.len(), shape.elements(), "values for {shape}");
        if nchw.is_empty() {
            return;
        }
        let plane = shape.height * shape.width;
        let bands = shape.height.div_ceil(BAND);
        // The rows of a band stand in as many places as there are channels. Each band gets its
        // piece of every plane of a group of channels.
        let mut pieces = Vec::with_capacity(shape.batch * bands * shape.channels.div_ceil(LANES));
        for (picture, planes) in nchw.chunks_mut(shape.channels * plane).enumerate() {
            for (group, planes) in planes.chunks_mut(LANES * plane).enumerate() {
                let mut of_bands: Vec<Vec<&mut [f32]>> = Vec::new();
                of_bands.resize_with(bands, || Vec::with_capacity(LANES));
                for plane in planes.chunks_mut(plane) {
                    let of_plane = plane.chunks_mut(BAND * shape.width);
                    for (band, piece) in of_bands.iter_mut().zip(of_plane) {
                        band.push(piece);
                    }
                }
                let of_bands = of_bands.into_iter().enumerate();
                pieces.extend(of_bands.map(|(band, lines)| (picture, group, band, lines)));
            }
        }
        pieces
            .into_par_iter()
            .for_each(|(picture, group, band, mut lines)| {
                for y in 0..lines[0].len() / shape.width {
                    let row = buffer.row(picture, band * BAND + y);
                    let start = y * shape.width;
                    if shape.pixel_stride() == 4 {
                        separate::<4>(row, shape, group, start, &mut lines);
                    } else {
                        separate::<LANES>(row, shape, group, start, &mut lines);
                    }
                }
            });
    }
}

/// Writes a row of pixels from one line for each channel; lanes beyond the last become zero.
fn interleave<const L: usize>(lines: &[&[f32]], shape: Shape, row: &mut [f32]) {
    let stride = shape.pixel_stride();
    for (run, pixels) in row.chunks_mut(RUN * stride).enumerate() {
        let start = run * RUN;
        for (block, lines) in lines.chunks(L).enumerate() {
            let full = lines.len() == L && pixels.len() == RUN * stride;
            if full && let Ok(lines) = <&[&[f32]; L]>::try_from(lines) {
                let from: [&[f32; RUN]; L] = lines.map(|line| {
                    line[start..]
                        .first_chunk()
                        .expect("a full run of pixels is within the line")
                });
                for (x, pixel) in pixels.chunks_exact_mut(stride).enumerate() {
                    let to: &mut [f32; L] = pixel[block * L..]
                        .first_chunk_mut()
                        .expect("a pixel is made of whole blocks");
                    for (to, from) in to.iter_mut().zip(&from) {
                        *to = from[x];
                    }
                }
                continue;
            }
            for (x, pixel) in pixels.chunks_exact_mut(stride).enumerate() {
                let to = &mut pixel[block * L..][..L];
                to.fill(0.0);
                for (to, line) in to.iter_mut().zip(lines) {
                    *to = line[start + x];
                }
            }
        }
    }
}

/// Writes a group of up to [`LANES`] channels of a row of pixels to their lines, from `start` on.
fn separate<const L: usize>(
    row: &[f32],
    shape: Shape,
    group: usize,
    start: usize,
    lines: &mut [&mut [f32]],
) {
    let stride = shape.pixel_stride();
    for (run, pixels) in row.chunks(RUN * stride).enumerate() {
        let start = start + run * RUN;
        if pixels.len() == RUN * stride {
            let mut block = [[0.0; RUN]; L];
            for (x, pixel) in pixels.chunks_exact(stride).enumerate() {
                let from = &pixel[group * LANES..][..L];
                for (line, value) in block.iter_mut().zip(from) {
                    line[x] = *value;
                }
            }
            for (line, values) in lines.iter_mut().zip(&block) {
                line[start..start + RUN].copy_from_slice(values);
            }
        } else {
            for (x, pixel) in pixels.chunks_exact(stride).enumerate() {
                for (line, value) in lines.iter_mut().zip(&pixel[group * LANES..]) {
                    line[start + x] = *value;
                }
            }
        }
    }
}
