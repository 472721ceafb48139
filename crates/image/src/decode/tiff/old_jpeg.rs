//! JPEG in TIFF as TIFF 6.0 first described it (compression 6): withdrawn in 1995, still in archives.
//!
//! Writers disagreed on what the tags mean. What is read here is what most of them made: a whole
//! JPEG stream at `JPEGInterchangeFormat`, or its head there and its scans in the strips.

use fonds_core::{Code, Error, PixelFormat, Result, Samples};

use super::ifd::Ifd;
use super::layout::unsupported;
use super::{describe, model_of};
use crate::decode::jpeg::{decode_raw, frame_of};
use crate::decode::page::{Header, Pixels};

/// The header of an old-style page.
pub(super) fn header(ifd: &Ifd) -> Result<Header> {
    let stream = stream(ifd)?;
    let frame = frame_of(&stream)?;
    let output = match frame.components {
        1 => PixelFormat::GRAY8,
        3 => PixelFormat::RGB8,
        other => return Err(unsupported(format!("old-style JPEG of {other} components"))),
    };
    let size = |tag| ifd.uint(tag).and_then(|value| u32::try_from(value).ok());
    let (width, height) = (frame.width, frame.height);
    if (size(256), size(257)) != (Some(width), Some(height)) {
        return Err(unsupported("old-style JPEG in several streams"));
    }
    let mut header = Header::new(width, height, output);
    header.color_space = if frame.components == 1 {
        "BlackIsZero"
    } else {
        "YCbCr"
    };
    header.compression_scheme = "JPEG (old style)".into();
    describe(&mut header, ifd);
    Ok(header)
}

/// The pixels of an old-style page.
pub(super) fn pixels(ifd: &Ifd, header: &Header) -> Result<Pixels> {
    let decoded = decode_raw(&stream(ifd)?, ifd.uint(262) != Some(2))?;
    let size = (
        decoded.width as u32,
        decoded.height as u32,
        decoded.channels,
    );
    if size != (header.width, header.height, header.output.channels()) {
        return Err(Error::new(
            Code::Corrupt,
            "the JPEG stream has another size than the page",
        ));
    }
    let samples = Samples::U8(decoded.samples);
    Ok(Pixels::new(samples, model_of(decoded.channels), false))
}

/// The JPEG stream of a page, put together where it is in parts.
fn stream(ifd: &Ifd) -> Result<Vec<u8>> {
    let tree = ifd.tree();
    let strips = || -> Vec<u8> {
        let offsets = ifd.uints(273).unwrap_or_default();
        let counts = ifd.uints(279).unwrap_or_default();
        let spans = offsets.iter().zip(counts);
        spans
            .flat_map(|(at, len)| tree.slice_up_to(*at, len))
            .copied()
            .collect()
    };
    let Some(at) = ifd.uint(513).filter(|at| *at > 0) else {
        let scans = strips();
        if scans.starts_with(&[0xff, 0xd8]) {
            return Ok(scans);
        }
        return Err(unsupported("old-style JPEG whose tables are in tags"));
    };
    let len = ifd.uint(514).filter(|len| *len > 0).unwrap_or(u64::MAX);
    let head = tree.slice_up_to(at, len);
    if !head.starts_with(&[0xff, 0xd8]) {
        return Err(unsupported("old-style JPEG without a stream"));
    }
    if crate::decode::jpeg::has_scan(head) {
        return Ok(head.to_vec());
    }
    Ok([head.strip_suffix(&[0xff, 0xd9]).unwrap_or(head), &strips()].concat())
}
