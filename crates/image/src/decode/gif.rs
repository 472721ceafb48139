//! GIF: the first frame on its canvas; transparency only where the file declares it.

use std::io::Cursor;

use fonds_core::{Code, Error, Flag, PixelFormat, Result, Samples};
use image::ImageDecoder;
use image::codecs::gif::GifDecoder;

use super::page::{Container, Header, Pixels};
use super::through_image;

/// An opened GIF file.
pub(super) struct Gif<'a> {
    bytes: &'a [u8],
    blocks: Blocks,
}

/// What the chain of blocks says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Blocks {
    frames: u32,
    bits: u16,
    /// The first frame leaves pixels of the canvas to the background, or makes some transparent.
    transparent: bool,
    /// The first frame is complete.
    complete: bool,
}

impl<'a> Gif<'a> {
    /// Walks over the blocks.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let blocks = walk(bytes).unwrap_or_default();
        if !blocks.complete {
            let message = "the GIF ends before its first picture does";
            return Err(Error::new(Code::Truncated, message));
        }
        Ok(Self { bytes, blocks })
    }

    fn decoder(&self) -> Result<GifDecoder<Cursor<&'a [u8]>>> {
        GifDecoder::new(Cursor::new(self.bytes)).map_err(through_image::failed)
    }
}

impl Container for Gif<'_> {
    fn header(&self, _: u32) -> Result<Header> {
        let (width, height) = self.decoder()?.dimensions();
        let output = if self.blocks.transparent {
            PixelFormat::RGBA8
        } else {
            PixelFormat::RGB8
        };
        let mut header = Header::new(width, height, output);
        header.bits_per_sample = self.blocks.bits;
        header.samples_per_pixel = 1;
        header.color_space = "PaletteColor";
        header.compression_scheme = "LZW".into();
        if self.blocks.frames > 1 {
            header.flags.insert(Flag::AnimationFirstFrame);
        }
        Ok(header)
    }

    fn pixels(&self, _: u32, header: &Header) -> Result<Pixels> {
        let mut with_alpha = header.clone();
        with_alpha.output = PixelFormat::RGBA8;
        let mut pixels = through_image::pixels(self.decoder()?, &with_alpha)?;
        if !header.output.alpha {
            pixels.alpha = false;
            if let Samples::U8(samples) = &mut pixels.samples {
                *samples = samples
                    .chunks_exact(4)
                    .flat_map(|pixel| &pixel[..3])
                    .copied()
                    .collect();
            }
        }
        Ok(pixels)
    }
}

/// Counts frames; `None` when the file ends before the first one begins.
fn walk(bytes: &[u8]) -> Option<Blocks> {
    let packed = *bytes.get(10)?;
    let mut blocks = Blocks {
        bits: u16::from(packed & 7) + 1,
        ..Blocks::default()
    };
    let canvas = bytes.get(6..10)?;
    let mut at = 13 + table_len(packed);
    while let Some(block) = bytes.get(at) {
        at = match block {
            0x21 => {
                let control = bytes.get(at + 1) == Some(&0xf9);
                let keyed = bytes.get(at + 3).is_some_and(|flags| flags & 1 == 1);
                blocks.transparent |= control && keyed && blocks.frames == 0;
                match skip_sub_blocks(bytes, at + 2) {
                    Some(next) => next,
                    None => break,
                }
            }
            0x2c => {
                let Some(frame) = bytes.get(at + 1..at + 10) else {
                    break;
                };
                if blocks.frames == 0 {
                    let covers = frame[..4] == [0; 4] && frame[4..8] == *canvas;
                    blocks.transparent |= !covers;
                    if frame[8] & 0x80 != 0 {
                        blocks.bits = u16::from(frame[8] & 7) + 1;
                    }
                }
                let end = skip_sub_blocks(bytes, at + 11 + table_len(frame[8]));
                blocks.frames += 1;
                let Some(next) = end else { break };
                blocks.complete = true;
                next
            }
            _ => break,
        };
    }
    Some(blocks)
}

fn table_len(packed: u8) -> usize {
    if packed & 0x80 == 0 {
        return 0;
    }
    3 << ((packed & 7) + 1)
}

/// Behind the empty sub-block that ends a chain of them.
fn skip_sub_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += len + 1;
        if len == 0 {
            return Some(at);
        }
    }
}
