//! PBM, PGM, PPM and PAM, plain and raw.

use std::io::Cursor;

use fonds_core::Result;
use image::codecs::pnm::PnmDecoder;
use image::{ExtendedColorType, ImageDecoder};

use super::page::{Container, Header, Pixels};
use super::through_image;

/// An opened PNM file.
pub(super) struct Pnm<'a> {
    bytes: &'a [u8],
}

impl<'a> Pnm<'a> {
    /// The decoder checks the rest.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let pnm = Self { bytes };
        pnm.decoder()?;
        Ok(pnm)
    }

    fn decoder(&self) -> Result<PnmDecoder<Cursor<&'a [u8]>>> {
        PnmDecoder::new(Cursor::new(self.bytes)).map_err(through_image::failed)
    }
}

impl Container for Pnm<'_> {
    fn header(&self, _: u32) -> Result<Header> {
        let decoder = self.decoder()?;
        let (width, height) = decoder.dimensions();
        let mut header = Header::new(width, height, through_image::output(&decoder)?);
        if decoder.original_color_type() == ExtendedColorType::L1 {
            header.bits_per_sample = 1;
        }
        Ok(header)
    }

    fn pixels(&self, _: u32, header: &Header) -> Result<Pixels> {
        through_image::pixels(self.decoder()?, header)
    }
}
