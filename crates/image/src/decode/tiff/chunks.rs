//! Strips and tiles: where they lie, decompressing them, and putting them into the page.

use std::borrow::Cow;

use fonds_core::{Code, Error, Result};
use rayon::prelude::*;

use super::codec::{Codec, reverse_bits, short};
use super::compose::{Colors, spread_chroma};
use super::ifd::{Ifd, Tree};
use super::layout::{Layout, Photometric, unsupported};
use super::unpack::{Coding, Native};
use super::{jpeg_chunk, predict};
use crate::decode::guard::zeroed;

/// The chunks of one page.
pub(super) struct Chunks<'a> {
    tree: Tree<'a>,
    layout: Layout,
    codec: Codec,
    offsets: Vec<u64>,
    /// Bytes of each chunk; empty when the page does not say.
    counts: Vec<u64>,
    jpeg_tables: Option<&'a [u8]>,
}

impl<'a> Chunks<'a> {
    /// Finds the chunks of a page, and refuses a page that is larger than its data can be.
    pub(super) fn open(
        tree: Tree<'a>,
        ifd: &Ifd<'a>,
        layout: Layout,
        codec: Codec,
    ) -> Result<Self> {
        let list = |tiles, strips| ifd.uints(tiles).or_else(|| ifd.uints(strips));
        let chunks = Self {
            tree,
            codec,
            offsets: list(324, 273).unwrap_or_default(),
            counts: list(325, 279).unwrap_or_default(),
            jpeg_tables: ifd.bytes(347),
            layout,
        };
        chunks.check()?;
        Ok(chunks)
    }

    /// What the samples of the chunks mean: a JPEG decoder has turned `YCbCr` into RGB already.
    pub(super) fn photometric(&self) -> Photometric {
        match self.layout.photometric {
            Photometric::YCbCr if self.decoder_converts() => Photometric::Rgb,
            other => other,
        }
    }

    /// Decodes all chunks into `len` samples. Rows of chunks are independent of each other, so
    /// that the result does not depend on how many threads work on them.
    pub(super) fn decode<T: Native>(&self, colors: &Colors<T>, len: usize) -> Result<Vec<T>> {
        let mut samples = zeroed(len)?;
        let row = self.layout.width as usize * colors.decoded;
        let band = row * self.layout.chunk.1 as usize;
        let bands = samples.par_chunks_mut(band).enumerate();
        let results: Vec<Result<()>> = bands
            .map(|(index, band)| self.band(colors, index, band))
            .collect();
        results.into_iter().collect::<Result<()>>()?;
        Ok(samples)
    }

    fn decoder_converts(&self) -> bool {
        self.codec == Codec::Jpeg && !self.layout.planar
    }

    fn check(&self) -> Result<()> {
        let (across, down) = self.layout.grid();
        let expected = across
            .checked_mul(down)
            .and_then(|chunks| chunks.checked_mul(self.layout.planes()))
            .unwrap_or(usize::MAX);
        let listed = self.offsets.len();
        if listed < expected || (!self.counts.is_empty() && self.counts.len() < expected) {
            let message = format!("the page needs {expected} strips or tiles, {listed} are listed");
            return Err(Error::new(Code::Corrupt, message));
        }
        if self.layout.planar && self.layout.photometric == Photometric::YCbCr {
            let subsampled = self.layout.subsampling != (1, 1);
            if subsampled {
                return Err(unsupported("subsampled YCbCr in planes"));
            }
        }
        self.check_volume(expected)
    }

    /// Refuses a page whose data could not fill it even at the codec's best ratio.
    fn check_volume(&self, chunks: usize) -> Result<()> {
        let ratio: u64 = match self.codec {
            Codec::None => 1,
            Codec::PackBits => 64,
            // A code of 12 bits stands for at most 4096 bytes.
            Codec::Lzw => 4096,
            Codec::Deflate => 1032,
            _ => return Ok(()),
        };
        let (across, down) = self.layout.grid();
        let full = self.layout.chunk_bytes(self.layout.chunk.1 as usize) as u64;
        let last = self.layout.chunk_bytes(self.layout.rows_in(down - 1)) as u64;
        let per_plane = (down as u64 - 1).saturating_mul(full).saturating_add(last);
        let needed = per_plane
            .saturating_mul(across as u64)
            .saturating_mul(self.layout.planes() as u64);
        let stored = (0..chunks)
            .map(|index| self.stored_len(index))
            .fold(0, u64::saturating_add);
        // The quotient, not the product: one chunk may be counted up to the end of the file.
        if needed / ratio > stored {
            let message = format!("{stored} bytes cannot hold a page of {needed} bytes");
            return Err(Error::new(Code::Truncated, message));
        }
        Ok(())
    }

    fn stored_len(&self, index: usize) -> u64 {
        let (offset, count) = self.span(index);
        self.tree.slice_up_to(offset, count).len() as u64
    }

    /// Offset and length of a chunk; to the end of the file when the length is not given.
    fn span(&self, index: usize) -> (u64, u64) {
        let offset = self.offsets[index];
        let known = self.counts.get(index).copied();
        let whole = self.offsets.len() == 1 && self.codec == Codec::None;
        // Writers of a single plain strip have put all kinds of numbers there.
        let count = known.filter(|count| *count > 0 && !whole);
        (offset, count.unwrap_or(u64::MAX))
    }

    fn stored(&self, index: usize) -> Result<Cow<'a, [u8]>> {
        let (offset, count) = self.span(index);
        let found = self.tree.slice_up_to(offset, count);
        // Plain chunks are as long as their pixels, whatever else is said of them.
        if self.codec != Codec::None && count != u64::MAX && (found.len() as u64) < count {
            return Err(short(found.len(), count as usize));
        }
        if found.is_empty() || offset == 0 {
            return Err(Error::new(Code::Truncated, "it has no data"));
        }
        if self.layout.low_bit_first && self.codec.has_bit_order() {
            return Ok(reverse_bits(found));
        }
        Ok(Cow::Borrowed(found))
    }

    /// Decodes the chunks of one row of the grid into the rows of the page that they cover.
    fn band<T: Native>(&self, colors: &Colors<T>, index: usize, band: &mut [T]) -> Result<()> {
        if self.is_direct(colors) {
            return self
                .direct(colors, index, band)
                .map_err(|e| self.in_chunk(&e, index));
        }
        let (across, _) = self.layout.grid();
        let rows = self.layout.rows_in(index);
        let chunk_width = self.layout.chunk.0 as usize;
        let stored_row = chunk_width * self.layout.samples;
        let row_len = self.layout.width as usize * colors.decoded;
        for column in 0..across {
            let place = index * across + column;
            let chunk: Vec<T> = self
                .chunk(place, rows)
                .map_err(|e| self.in_chunk(&e, place))?;
            let left = column * chunk_width;
            let visible = chunk_width.min(self.layout.width as usize - left);
            let span = left * colors.decoded..(left + visible) * colors.decoded;
            for (from, to) in chunk
                .chunks_exact(stored_row)
                .zip(band.chunks_exact_mut(row_len))
            {
                colors.compose(
                    &from[..visible * self.layout.samples],
                    &mut to[span.clone()],
                );
            }
        }
        Ok(())
    }

    /// Whether the decompressed bytes of a strip are rows of the page already.
    fn is_direct<T: Native>(&self, colors: &Colors<T>) -> bool {
        let layout = &self.layout;
        let native = usize::from(layout.bits) == 8 * size_of::<T>();
        colors.is_plain() && native && !layout.tiled && !layout.planar && !layout.is_subsampled()
    }

    fn direct<T: Native>(&self, colors: &Colors<T>, index: usize, band: &mut [T]) -> Result<()> {
        let stored = self.stored(index)?;
        self.plane(&stored, bytemuck::cast_slice_mut(band))?;
        let row_len = self.layout.width as usize * colors.decoded;
        band.chunks_exact_mut(row_len)
            .for_each(|row| colors.finish_plain(row));
        Ok(())
    }

    /// The samples of all planes of a chunk, interleaved.
    fn chunk<T: Native>(&self, place: usize, rows: usize) -> Result<Vec<T>> {
        let layout = &self.layout;
        let width = layout.chunk.0 as usize;
        let mut samples = zeroed(width * rows * layout.samples)?;
        if layout.is_subsampled() {
            return self.subsampled(place, rows, samples);
        }
        let (across, down) = layout.grid();
        let mut bytes: Vec<u8> = zeroed(layout.chunk_bytes(rows))?;
        let row_samples = width * layout.plane_samples();
        let mut row: Vec<T> = zeroed(row_samples)?;
        let coding = self.coding();
        // Planes that are left out need not even be there.
        let planes = layout.planes()
            - if layout.planar {
                layout.dropped_samples()
            } else {
                0
            };
        for plane in 0..planes {
            let stored = self.stored(plane * across * down + place)?;
            self.plane(&stored, &mut bytes)?;
            let stored_rows = bytes.chunks_exact(layout.row_bytes());
            for (from, to) in stored_rows.zip(samples.chunks_exact_mut(width * layout.samples)) {
                if !layout.planar {
                    T::unpack(coding, from, to);
                    continue;
                }
                T::unpack(coding, from, &mut row);
                let pixels = to.chunks_exact_mut(layout.samples);
                pixels
                    .zip(&row)
                    .for_each(|(pixel, sample)| pixel[plane] = *sample);
            }
        }
        Ok(samples)
    }

    fn subsampled<T: Native>(
        &self,
        place: usize,
        rows: usize,
        mut samples: Vec<T>,
    ) -> Result<Vec<T>> {
        let mut blocks: Vec<u8> = zeroed(self.layout.chunk_bytes(rows))?;
        let stored = self.stored(place)?;
        self.codec
            .decompress(&stored, self.layout.chunk.0 as usize, &mut blocks)?;
        let mut spread: Vec<u8> = zeroed(samples.len())?;
        spread_chroma(&self.layout, &blocks, rows, &mut spread);
        T::unpack(self.coding(), &spread, &mut samples);
        Ok(samples)
    }

    fn coding(&self) -> Coding {
        Coding {
            bits: self.layout.bits,
            indices: self.layout.photometric == Photometric::Palette,
        }
    }

    /// Decompresses one plane of a chunk into rows in native byte order, without prediction.
    fn plane(&self, stored: &[u8], out: &mut [u8]) -> Result<()> {
        let width = self.layout.chunk.0 as usize;
        if self.codec == Codec::Jpeg {
            let to_rgb = self.layout.photometric == Photometric::YCbCr && self.decoder_converts();
            let stream = jpeg_chunk::decode(self.jpeg_tables, stored, to_rgb)?;
            return jpeg_chunk::place(&stream, self.layout.plane_samples(), width, out);
        }
        self.codec.decompress(stored, width, out)?;
        predict::undo(&self.layout, self.tree.big_endian(), out)
    }

    fn in_chunk(&self, error: &Error, index: usize) -> Error {
        let what = if self.layout.tiled { "tile" } else { "strip" };
        let mut placed = Error::new(error.code(), format!("{what} {index}: {}", error.message()));
        for hint in error.hints() {
            placed = placed.hint(hint);
        }
        placed
    }
}
