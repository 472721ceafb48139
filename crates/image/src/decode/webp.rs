//! `WebP`: lossy, lossless and extended; of an animation the first frame.

use std::io::Cursor;

use fonds_core::{Code, Error, Flag, Result};
use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;

use super::page::{Container, Header, Pixels};
use super::{exif, through_image};
use crate::facts::PpiSource;

/// An opened `WebP` file.
pub(super) struct WebP<'a> {
    bytes: &'a [u8],
    /// Bytes behind the container, none of them padding.
    trailing: bool,
}

impl<'a> WebP<'a> {
    /// Checks that the container is complete.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let size = bytes.get(4..8).and_then(|size| size.try_into().ok());
        let end = size.map_or(u64::MAX, |size| u64::from(u32::from_le_bytes(size)) + 8);
        let found = bytes.len() as u64;
        // The padding byte of the last chunk is forgotten by some.
        if end > found + 1 {
            let message = format!("the WebP has {found} bytes of {end}");
            return Err(Error::new(Code::Truncated, message));
        }
        let rest = bytes.get(end as usize..).unwrap_or(&[]);
        let trailing = rest.iter().any(|byte| *byte != 0);
        Ok(Self { bytes, trailing })
    }

    fn decoder(&self) -> Result<WebPDecoder<Cursor<&'a [u8]>>> {
        WebPDecoder::new(Cursor::new(self.bytes)).map_err(through_image::failed)
    }

    fn scheme(&self) -> &'static str {
        // Chunks are searched in the head only: the picture follows the profile, which is small.
        match self
            .bytes
            .windows(4)
            .find(|name| matches!(*name, b"VP8 " | b"VP8L"))
        {
            Some(b"VP8L") => "WebP lossless",
            _ => "WebP",
        }
    }
}

impl Container for WebP<'_> {
    fn header(&self, _: u32) -> Result<Header> {
        let mut decoder = self.decoder()?;
        let (width, height) = decoder.dimensions();
        let mut header = Header::new(width, height, through_image::output(&decoder)?);
        header.compression_scheme = self.scheme().into();
        header.icc = decoder.icc_profile().ok().flatten();
        let block = decoder.exif_metadata().ok().flatten();
        let exif = exif::read(block.as_deref().unwrap_or(&[]));
        header.orientation = exif.orientation;
        header.resolution = exif.ppi.map(|ppi| (ppi, PpiSource::Exif));
        if decoder.has_animation() {
            header.flags.insert(Flag::AnimationFirstFrame);
        }
        if self.trailing {
            header.flags.insert(Flag::TrailingData);
        }
        Ok(header)
    }

    fn pixels(&self, _: u32, header: &Header) -> Result<Pixels> {
        through_image::pixels(self.decoder()?, header)
    }
}
