//! Strips and tiles that are JPEG streams, with the tables that all of a page share.

use fonds_core::{Code, Error, Result};

use crate::decode::jpeg::{Raw, decode_raw};

/// Decoded samples of one stream: interleaved, `channels` a pixel.
pub(super) type Stream = Raw;

/// Decodes the stream of a chunk, after putting the shared tables in front of it.
pub(super) fn decode(tables: Option<&[u8]>, stream: &[u8], to_rgb: bool) -> Result<Stream> {
    match tables {
        Some(tables) => decode_raw(&joined(tables, stream)?, to_rgb),
        None => decode_raw(stream, to_rgb),
    }
}

/// Copies rows of a stream into rows of a chunk of `width` pixels, as far as both reach.
pub(super) fn place(stream: &Stream, channels: usize, width: usize, out: &mut [u8]) -> Result<()> {
    if stream.channels != channels {
        let found = stream.channels;
        let message = format!("a JPEG chunk has {found} samples a pixel instead of {channels}");
        return Err(Error::new(Code::Corrupt, message));
    }
    let rows = out.len() / (width * channels);
    if stream.height < rows || stream.width < width {
        let (w, h) = (stream.width, stream.height);
        let message = format!("a JPEG chunk has {w} × {h} pixels instead of {width} × {rows}");
        return Err(Error::new(Code::Corrupt, message));
    }
    let from = stream.samples.chunks_exact(stream.width * channels);
    for (to, from) in out.chunks_exact_mut(width * channels).zip(from) {
        to.copy_from_slice(&from[..width * channels]);
    }
    Ok(())
}

/// Tables without their end mark, then the stream without its start mark.
fn joined(tables: &[u8], stream: &[u8]) -> Result<Vec<u8>> {
    let no_start = || Error::new(Code::Corrupt, "a JPEG chunk has no start mark");
    let stream = stream.strip_prefix(&[0xff, 0xd8]).ok_or_else(no_start)?;
    let tables = tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(tables);
    if !tables.starts_with(&[0xff, 0xd8]) {
        return Err(Error::new(
            Code::Corrupt,
            "the JPEG tables have no start mark",
        ));
    }
    Ok([tables, stream].concat())
}
