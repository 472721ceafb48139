//! BMP of Windows and OS/2.

use std::borrow::Cow;
use std::io::Cursor;

use fonds_core::{Ppi, Result, Samples};
use image::ImageDecoder;
use image::codecs::bmp::BmpDecoder;

use super::page::{Container, Header, Pixels, ppi};
use super::through_image;
use crate::facts::PpiSource;

/// An opened BMP file.
pub(super) struct Bmp<'a> {
    bytes: Cow<'a, [u8]>,
}

impl<'a> Bmp<'a> {
    /// The decoder checks the rest.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let bytes = mended(bytes);
        let bmp = Self { bytes };
        bmp.decoder()?;
        Ok(bmp)
    }

    fn decoder(&self) -> Result<BmpDecoder<Cursor<&[u8]>>> {
        BmpDecoder::new(Cursor::new(&*self.bytes)).map_err(through_image::failed)
    }

    fn u32(&self, at: usize) -> u32 {
        u32_at(&self.bytes, at)
    }

    fn is_core(&self) -> bool {
        self.u32(14) == 12
    }

    fn bits_per_pixel(&self) -> u16 {
        let at = if self.is_core() { 24 } else { 28 };
        self.u32(at) as u16
    }

    fn scheme(&self) -> &'static str {
        match self.u32(30) {
            1 | 2 if !self.is_core() => "RLE",
            _ => "Uncompressed",
        }
    }

    fn resolution(&self) -> Option<Ppi> {
        if self.is_core() {
            return None;
        }
        ppi(self.u32(38).into(), self.u32(42).into(), 0.0254)
    }
}

impl Container for Bmp<'_> {
    fn header(&self, _: u32) -> Result<Header> {
        let decoder = self.decoder()?;
        let (width, height) = decoder.dimensions();
        let mut header = Header::new(width, height, through_image::output(&decoder)?);
        match self.bits_per_pixel() {
            bits @ 1..=8 => {
                header.bits_per_sample = bits;
                header.samples_per_pixel = 1;
                header.color_space = "PaletteColor";
            }
            16 => header.bits_per_sample = 5,
            _ => {}
        }
        header.compression_scheme = self.scheme().into();
        header.resolution = self.resolution().map(|ppi| (ppi, PpiSource::Header));
        Ok(header)
    }

    fn pixels(&self, _: u32, header: &Header) -> Result<Pixels> {
        let mut pixels = through_image::pixels(self.decoder()?, header)?;
        if let (Samples::U8(samples), true) = (&mut pixels.samples, pixels.alpha) {
            // Many writers declare an alpha channel and leave it at zero.
            if samples.chunks_exact(4).all(|pixel| pixel[3] == 0) {
                *samples = samples
                    .chunks_exact(4)
                    .flat_map(|pixel| &pixel[..3])
                    .copied()
                    .collect();
                pixels.alpha = false;
                pixels
                    .notes
                    .push("alpha channel left out: it is zero everywhere".into());
            }
        }
        Ok(pixels)
    }
}

/// The file as its writer meant it: the pixels begin behind the palette even where the header
/// points into it, and the padding of the last row may be missing.
fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (offset, header, bits) = (
        u32_at(bytes, 10),
        u32_at(bytes, 14),
        u32_at(bytes, 28) as u16,
    );
    if header < 40 || u32_at(bytes, 30) != 0 {
        return Cow::Borrowed(bytes);
    }
    let colors = match (bits, u32_at(bytes, 46)) {
        (9.., _) => 0,
        (_, 0) => 1 << bits,
        (_, colors) => colors.min(256),
    };
    let start = if offset == header + 14 {
        offset + 4 * colors
    } else {
        offset
    };
    let row = u64::from(u32_at(bytes, 18)) * u64::from(bits);
    let height = u64::from((u32_at(bytes, 22) as i32).unsigned_abs());
    let full = u64::from(start).saturating_add(row.div_ceil(32).saturating_mul(4 * height));
    let padding = row.div_ceil(32) * 4 - row.div_ceil(8);
    let missing = full.saturating_sub(bytes.len() as u64);
    if missing > padding || (start == offset && missing == 0) {
        return Cow::Borrowed(bytes);
    }
    let mut mended = bytes.to_vec();
    mended.resize(bytes.len() + missing as usize, 0);
    mended[10..14].copy_from_slice(&start.to_le_bytes());
    Cow::Owned(mended)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or_default())
}
