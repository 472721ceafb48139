//! BMP of Windows and OS/2.

use std::io::Cursor;

use fonds_core::{Ppi, Result};
use image::ImageDecoder;
use image::codecs::bmp::BmpDecoder;

use super::page::{Container, Header, Pixels, ppi};
use super::through_image;
use crate::facts::PpiSource;

/// An opened BMP file.
pub(super) struct Bmp<'a> {
    bytes: &'a [u8],
}

impl<'a> Bmp<'a> {
    /// The decoder checks the rest.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let bmp = Self { bytes };
        bmp.decoder()?;
        Ok(bmp)
    }

    fn decoder(&self) -> Result<BmpDecoder<Cursor<&'a [u8]>>> {
        BmpDecoder::new(Cursor::new(self.bytes)).map_err(through_image::failed)
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

    fn u32(&self, at: usize) -> u32 {
        let bytes = self
            .bytes
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
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
        through_image::pixels(self.decoder()?, header)
    }
}
