//! Decompression of one strip or tile into a buffer of known size, for all codecs but JPEG.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use fonds_core::{Code, Error, Result};
use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;

use super::ccitt;
use super::layout::unsupported;

/// The compression scheme of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Ccitt(ccitt::Coding),
    Lzw,
    OldJpeg,
    Jpeg,
    Deflate,
    PackBits,
    Zstd,
    WebP,
}

impl Codec {
    /// The codec of a compression tag; `options` are `T4Options`.
    pub(super) fn of(compression: u16, options: u64) -> Result<Self> {
        Ok(match compression {
            1 => Self::None,
            2 => Self::Ccitt(ccitt::Coding::Rle {
                word_aligned: false,
            }),
            32771 => Self::Ccitt(ccitt::Coding::Rle { word_aligned: true }),
            3 => Self::Ccitt(ccitt::Coding::Group3 {
                two_dimensional: options & 1 == 1,
            }),
            4 => Self::Ccitt(ccitt::Coding::Group4),
            5 => Self::Lzw,
            6 => Self::OldJpeg,
            7 => Self::Jpeg,
            8 | 32946 => Self::Deflate,
            32773 => Self::PackBits,
            50000 | 34926 => Self::Zstd,
            50001 | 34927 => Self::WebP,
            other => return Err(unsupported(name_of_unsupported(other))),
        })
    }

    /// The MIX word for the scheme.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "Uncompressed",
            Self::Ccitt(ccitt::Coding::Rle { .. }) => "CCITT 1D",
            Self::Ccitt(ccitt::Coding::Group3 { .. }) => "CCITT T.4",
            Self::Ccitt(ccitt::Coding::Group4) => "CCITT T.6",
            Self::Lzw => "LZW",
            Self::OldJpeg => "JPEG (old style)",
            Self::Jpeg => "JPEG",
            Self::Deflate => "Deflate",
            Self::PackBits => "PackBits",
            Self::Zstd => "ZSTD",
            Self::WebP => "WebP",
        }
    }

    /// Whether `FillOrder` turns the bits of the stored bytes around.
    pub(super) fn has_bit_order(self) -> bool {
        !matches!(self, Self::Jpeg | Self::OldJpeg | Self::WebP)
    }

    /// Decompresses a chunk of rows of `width` pixels into `out`, all of it.
    pub(super) fn decompress(self, input: &[u8], width: usize, out: &mut [u8]) -> Result<()> {
        match self {
            Self::None => copy(input, out),
            Self::Ccitt(coding) => ccitt::decode(coding, input, width, out),
            Self::Lzw => lzw(input, out),
            Self::Deflate => deflate(input, out),
            Self::PackBits => pack_bits(input, out),
            Self::Zstd => zstd(input, out),
            Self::WebP => webp(input, out),
            Self::Jpeg | Self::OldJpeg => {
                Err(Error::new(Code::Internal, "JPEG chunks have their own way"))
            }
        }
    }
}

/// An error for data that ends before the pixels do.
pub(super) fn short(found: usize, expected: usize) -> Error {
    let message = format!("the data is truncated (expected {expected} bytes, found {found})");
    Error::new(Code::Truncated, message)
}

/// The bytes with the bits of each turned around.
pub(super) fn reverse_bits(bytes: &[u8]) -> Cow<'static, [u8]> {
    bytes.iter().map(|byte| byte.reverse_bits()).collect()
}

fn copy(input: &[u8], out: &mut [u8]) -> Result<()> {
    let expected = out.len();
    let all = input.get(..expected);
    out.copy_from_slice(all.ok_or_else(|| short(input.len(), expected))?);
    Ok(())
}

fn lzw(input: &[u8], out: &mut [u8]) -> Result<()> {
    use weezl::{BitOrder, LzwStatus, decode::Configuration};
    // Before 1990 codes were stored from the lowest bit and grew one code later; the first code
    // is always "clear", which looks different in the two.
    let old = matches!(input, [0, second, ..] if second & 1 == 1);
    let configuration = if old {
        Configuration::new(BitOrder::Lsb, 8)
    } else {
        Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let mut decoder = configuration.build();
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let step = decoder.decode_bytes(&input[read..], &mut out[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
            Err(error) => {
                let error = Error::new(Code::Corrupt, "the LZW data is damaged").caused_by(error);
                return Err(error);
            }
        }
    }
    full(written, out.len())
}

fn deflate(input: &[u8], out: &mut [u8]) -> Result<()> {
    let mut inflate = flate2::Decompress::new(true);
    let result = inflate.decompress(input, out, flate2::FlushDecompress::Finish);
    let written = inflate.total_out() as usize;
    match result {
        Err(error) if written < out.len() => {
            Err(Error::new(Code::Corrupt, "the Deflate data is damaged").caused_by(error))
        }
        _ => full(written, out.len()),
    }
}

fn pack_bits(input: &[u8], out: &mut [u8]) -> Result<()> {
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let Some(&control) = input.get(read) else {
            break;
        };
        read += 1;
        let room = out.len() - written;
        match control as i8 {
            -128 => {}
            repeat @ ..0 => {
                let Some(&byte) = input.get(read) else { break };
                let len = (1 - isize::from(repeat)) as usize;
                let len = len.min(room);
                out[written..written + len].fill(byte);
                (read, written) = (read + 1, written + len);
            }
            literal => {
                let len = (literal as usize + 1).min(room);
                let Some(bytes) = input.get(read..read + len) else {
                    break;
                };
                out[written..written + len].copy_from_slice(bytes);
                (read, written) = (read + len, written + len);
            }
        }
    }
    full(written, out.len())
}

fn zstd(input: &[u8], out: &mut [u8]) -> Result<()> {
    let damaged = |error| Error::new(Code::Corrupt, "the ZSTD data is damaged").caused_by(error);
    let mut decoder = ::zstd::stream::read::Decoder::with_buffer(input).map_err(damaged)?;
    let mut written = 0;
    while written < out.len() {
        match decoder.read(&mut out[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(damaged(error)),
        }
    }
    full(written, out.len())
}

fn webp(input: &[u8], out: &mut [u8]) -> Result<()> {
    let damaged = |error| Error::new(Code::Corrupt, "the WebP data is damaged").caused_by(error);
    let decoder = WebPDecoder::new(Cursor::new(input)).map_err(damaged)?;
    if decoder.total_bytes() != out.len() as u64 {
        let message = "the WebP data has another size than the chunk";
        return Err(Error::new(Code::Corrupt, message));
    }
    decoder.read_image(out).map_err(damaged)
}

fn full(written: usize, expected: usize) -> Result<()> {
    if written < expected {
        return Err(short(written, expected));
    }
    Ok(())
}

fn name_of_unsupported(compression: u16) -> String {
    let name = match compression {
        32766 => "NeXT",
        32809 => "ThunderScan",
        32908 => "PixarFilm",
        32909 => "PixarLog",
        34661 => "JBIG",
        34676 | 34677 => "SGI Log",
        33003 | 33004 | 33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34892 => "lossy DNG JPEG",
        34925 => "LZMA",
        50002 | 52546 => "JPEG XL",
        _ => return format!("compression {compression}"),
    };
    format!("{name} compression")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_bits_of_the_specification() {
        // The example of TIFF 6.0, section 9.
        let packed = [
            0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7,
            0xaa,
        ];
        let unpacked = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        let mut out = [0; 24];
        pack_bits(&packed, &mut out).unwrap();
        assert_eq!(out, unpacked);
        for len in 0..packed.len() {
            let error = pack_bits(&packed[..len], &mut out).unwrap_err();
            assert_eq!(error.code(), Code::Truncated);
        }
    }

    #[test]
    fn cut_streams_are_errors() {
        let bytes: Vec<u8> = (0..5000_u32).map(|i| (i * i / 7) as u8).collect();
        let packed = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .encode(&bytes)
            .unwrap();
        let mut out = vec![0; bytes.len()];
        lzw(&packed, &mut out).unwrap();
        assert_eq!(out, bytes);
        assert!(lzw(&packed[..packed.len() / 2], &mut out).is_err());
        let packed = ::zstd::encode_all(&bytes[..], 3).unwrap();
        zstd(&packed, &mut out).unwrap();
        assert_eq!(out, bytes);
        assert!(zstd(&packed[..packed.len() / 2], &mut out).is_err());
    }
}
