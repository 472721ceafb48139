//! TIFF: 8 and 16 bits, gray and RGB, with alpha, in strips that are compressed side by side.

use std::io::{Seek, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use fonds_core::{ColorModel, Depth, Error, PixelFormat, Raster, Result, Sample};
use rayon::prelude::*;
use tiff::encoder::compression::{CompressionAlgorithm, Lzw, Packbits};
use tiff::encoder::{
    DirectoryEncoder, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue,
};
use tiff::tags::{Tag, Type};
use tiff::{TiffError, TiffResult};

use super::{
    Embedded, Encoding, Rows, TiffCompression, exif, profile, refused, resolution, write_failed,
};

/// Bytes of one strip before compression, about.
const STRIP: usize = 256 << 10;
/// A third of the time of level 6 for files within 3 % of its.
const DEFLATE_LEVEL: Compression = Compression::new(3);
/// Strips that are compressed at a time; memory is bounded by them.
const STRIPS_AT_A_TIME: usize = 16;
/// From this size on offsets get 64 bits: 4 GB less what compression can add.
const BIG: u64 = 3_900_000_000;

pub(super) fn write(
    raster: &Raster,
    compression: TiffCompression,
    embedded: &Embedded,
    out: &mut (impl Write + Seek),
) -> Result<()> {
    let format = Encoding::TIFF.fit(raster.format());
    let picture = Picture::new(raster, format, compression);
    let done = if picture.byte_len() > BIG {
        write_kind::<TiffKindBig>(&picture, embedded, out)
    } else {
        write_kind::<TiffKindStandard>(&picture, embedded, out)
    };
    done.map_err(failed)
}

fn write_kind<K: TiffKind>(
    picture: &Picture,
    embedded: &Embedded,
    out: &mut (impl Write + Seek),
) -> TiffResult<()> {
    let mut encoder = TiffEncoder::<_, K>::new_generic(out)?;
    let mut directory = encoder.image_directory()?;
    picture.write_strips(&mut directory)?;
    picture.write_layout(&mut directory)?;
    write_texts(&mut directory, picture.raster, embedded)?;
    directory.finish()
}

/// A raster on its way into strips.
struct Picture<'a> {
    raster: &'a Raster,
    format: PixelFormat,
    compression: TiffCompression,
    rows_per_strip: usize,
}

impl<'a> Picture<'a> {
    fn new(raster: &'a Raster, format: PixelFormat, compression: TiffCompression) -> Self {
        let row = raster.width() as usize * format.bytes_per_pixel();
        let rows_per_strip = (STRIP / row).clamp(1, raster.height() as usize);
        Self {
            raster,
            format,
            compression,
            rows_per_strip,
        }
    }

    fn byte_len(&self) -> u64 {
        self.raster.pixels() as u64 * self.format.bytes_per_pixel() as u64
    }

    fn is_predicted(&self) -> bool {
        matches!(
            self.compression,
            TiffCompression::Lzw | TiffCompression::Deflate
        )
    }

    fn write_strips<W: Write + Seek, K: TiffKind>(
        &self,
        directory: &mut DirectoryEncoder<W, K>,
    ) -> TiffResult<()> {
        let height = self.raster.height() as usize;
        let firsts: Vec<usize> = (0..height).step_by(self.rows_per_strip).collect();
        let mut offsets = Vec::with_capacity(firsts.len());
        let mut lengths = Vec::with_capacity(firsts.len());
        for group in firsts.chunks(STRIPS_AT_A_TIME) {
            let strips: Vec<_> = group.par_iter().map(|first| self.strip(*first)).collect();
            for strip in strips {
                let strip = strip?;
                offsets.push(K::convert_offset(directory.write_data(&strip[..])?)?);
                lengths.push(K::convert_offset(strip.len() as u64)?);
            }
        }
        directory.write_tag(Tag::StripOffsets, K::convert_slice(&offsets))?;
        directory.write_tag(Tag::StripByteCounts, K::convert_slice(&lengths))
    }

    fn write_layout<W: Write + Seek, K: TiffKind>(
        &self,
        directory: &mut DirectoryEncoder<W, K>,
    ) -> TiffResult<()> {
        let channels = self.format.channels();
        let bits = vec![self.format.depth.bytes() as u16 * 8; channels];
        directory.write_tag(Tag::ImageWidth, self.raster.width())?;
        directory.write_tag(Tag::ImageLength, self.raster.height())?;
        directory.write_tag(Tag::BitsPerSample, &bits[..])?;
        directory.write_tag(Tag::Compression, self.compression_tag())?;
        let interpretation: u16 = match self.format.model {
            ColorModel::Gray => 1,
            ColorModel::Rgb => 2,
        };
        directory.write_tag(Tag::PhotometricInterpretation, interpretation)?;
        directory.write_tag(Tag::Orientation, 1_u16)?;
        directory.write_tag(Tag::SamplesPerPixel, channels as u16)?;
        directory.write_tag(Tag::RowsPerStrip, self.rows_per_strip as u32)?;
        directory.write_tag(Tag::PlanarConfiguration, 1_u16)?;
        if self.is_predicted() {
            directory.write_tag(Tag::Predictor, 2_u16)?;
        }
        if self.format.alpha {
            // 2: not premultiplied.
            directory.write_tag(Tag::ExtraSamples, 2_u16)?;
        }
        directory.write_tag(Tag::SampleFormat, &vec![1_u16; channels][..])
    }

    fn compression_tag(&self) -> u16 {
        match self.compression {
            TiffCompression::None => 1,
            TiffCompression::Lzw => 5,
            TiffCompression::Deflate => 8,
            TiffCompression::PackBits => 32_773,
        }
    }

    /// The bytes of the strip that begins at this row.
    fn strip(&self, first: usize) -> std::io::Result<Vec<u8>> {
        let rows = self
            .rows_per_strip
            .min(self.raster.height() as usize - first);
        let bytes = match self.format.depth {
            Depth::U8 => {
                self.rows_as_bytes::<u8, 1>(first, rows, |sample| [sample], u8::wrapping_sub)
            }
            Depth::U16 | Depth::F32 => {
                self.rows_as_bytes::<u16, 2>(first, rows, u16::to_ne_bytes, u16::wrapping_sub)
            }
        };
        match self.compression {
            TiffCompression::None => Ok(bytes),
            TiffCompression::Deflate => deflate(&bytes),
            TiffCompression::Lzw => pack(&bytes, bytes.len(), &mut Lzw),
            // TIFF 6.0, section 9: each row is packed by itself.
            TiffCompression::PackBits => pack(&bytes, bytes.len() / rows, &mut Packbits),
        }
    }

    fn rows_as_bytes<T: Sample, const N: usize>(
        &self,
        first: usize,
        rows: usize,
        bytes: impl Fn(T) -> [u8; N],
        minus: impl Fn(T, T) -> T,
    ) -> Vec<u8> {
        let source = Rows::new(self.raster, self.format);
        let mut samples = vec![T::default(); source.row_len() * rows];
        source.fill(first, &mut samples);
        if self.is_predicted() {
            for row in samples.chunks_exact_mut(source.row_len()) {
                // From the right, so that each sample still finds its own left neighbour.
                for i in (self.format.channels()..row.len()).rev() {
                    row[i] = minus(row[i], row[i - self.format.channels()]);
                }
            }
        }
        let mut out = vec![0; samples.len() * N];
        for (out, sample) in out.chunks_exact_mut(N).zip(samples) {
            out.copy_from_slice(&bytes(sample));
        }
        out
    }
}

fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 2), DEFLATE_LEVEL);
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Packs pieces of this length each by itself.
fn pack(
    bytes: &[u8],
    piece: usize,
    algorithm: &mut impl CompressionAlgorithm,
) -> std::io::Result<Vec<u8>> {
    let mut packed = Vec::with_capacity(bytes.len() / 2);
    for piece in bytes.chunks_exact(piece) {
        algorithm.write_to(&mut packed, piece)?;
    }
    Ok(packed)
}

fn write_texts<W: Write + Seek, K: TiffKind>(
    directory: &mut DirectoryEncoder<W, K>,
    raster: &Raster,
    embedded: &Embedded,
) -> TiffResult<()> {
    if let Some(ppi) = resolution(raster) {
        for (tag, value) in [(Tag::XResolution, ppi.x), (Tag::YResolution, ppi.y)] {
            let (n, d) = exif::rational(value);
            directory.write_tag(tag, Rational { n, d })?;
        }
        directory.write_tag(Tag::ResolutionUnit, 2_u16)?;
    }
    let texts = [
        (Tag::Software, embedded.software),
        (Tag::Artist, embedded.artist),
        (Tag::Copyright, embedded.copyright),
    ];
    for (tag, text) in texts {
        if let Some(text) = text {
            directory.write_tag(tag, Text(&exif::text_bytes(text)))?;
        }
    }
    if let Some(xmp) = embedded.xmp {
        directory.write_tag(Tag::Unknown(700), xmp.as_bytes())?;
    }
    if let Some(icc) = profile(raster) {
        directory.write_tag(Tag::IccProfile, Opaque(icc))?;
    }
    Ok(())
}

/// Bytes of type ASCII that may hold UTF-8, as every reader of these tags expects today.
struct Text<'a>(&'a [u8]);
/// Bytes of type UNDEFINED.
struct Opaque<'a>(&'a [u8]);

macro_rules! bytes_as {
    ($name:ident, $kind:expr) => {
        impl TiffValue for $name<'_> {
            const BYTE_LEN: u8 = 1;
            const FIELD_TYPE: Type = $kind;

            fn count(&self) -> usize {
                self.0.len()
            }

            fn data(&self) -> std::borrow::Cow<'_, [u8]> {
                self.0.into()
            }
        }
    };
}

bytes_as!(Text, Type::ASCII);
bytes_as!(Opaque, Type::UNDEFINED);

fn failed(error: TiffError) -> Error {
    match error {
        TiffError::IoError(error) => write_failed(error, "TIFF"),
        other => refused(other, "TIFF"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tiff::decoder::{Decoder, DecodingResult};

    use super::*;

    #[test]
    fn big_offsets_are_read_back() {
        let samples: Vec<u16> = (0..600 * 500 * 3_u32)
            .map(|i| (i * 7 % 65_521) as u16)
            .collect();
        let raster = Raster::from_samples(600, 500, ColorModel::Rgb, false, u16::wrap(samples));
        let raster = raster.unwrap();
        let picture = Picture::new(&raster, raster.format(), TiffCompression::Deflate);
        let mut file = Cursor::new(Vec::new());
        write_kind::<TiffKindBig>(&picture, &Embedded::default(), &mut file).unwrap();
        let file = file.into_inner();
        assert!(file.starts_with(b"II\x2B\0\x08\0\0\0") || file.starts_with(b"MM\0\x2B\0\x08\0\0"));
        let mut decoder = Decoder::new(Cursor::new(file)).unwrap();
        let DecodingResult::U16(found) = decoder.read_image().unwrap() else {
            panic!("another depth");
        };
        assert!(found == raster.as_slice::<u16>().unwrap());
    }

    #[test]
    fn only_pictures_near_four_gigabytes_need_them() {
        let small = Raster::new(1_000, 1_000, PixelFormat::RGB16);
        let picture = Picture::new(&small, PixelFormat::RGB16, TiffCompression::None);
        assert!(picture.byte_len() < BIG && BIG < u64::from(u32::MAX));
    }
}
