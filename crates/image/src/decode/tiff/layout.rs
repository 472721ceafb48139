//! What the tags of a TIFF page say about how its pixels are stored, checked against each other.

use fonds_core::{Code, ColorModel, Depth, Error, PixelFormat, Result};

use super::ifd::Ifd;

/// How the bits of a sample are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleKind {
    /// Unsigned integers.
    Unsigned,
    /// Two's complement integers. They are read as unsigned ones, like most programs do: of the
    /// pictures with this mark few have negative values, and many writers set it without meaning.
    Signed,
    /// IEEE 754.
    Float,
}

/// What the samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Mask,
    Cmyk,
    YCbCr,
    CieLab,
    IccLab,
}

/// What the first extra sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    Straight,
    /// The colour samples are multiplied by it.
    Associated,
}

/// A page's storage.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u16,
    pub(super) kind: SampleKind,
    /// Samples of a pixel, extra ones included.
    pub(super) samples: usize,
    pub(super) photometric: Photometric,
    pub(super) alpha: Alpha,
    pub(super) planar: bool,
    pub(super) compression: u16,
    pub(super) predictor: u16,
    /// Bits of a byte are stored lowest first.
    pub(super) low_bit_first: bool,
    /// Size of a strip or tile in pixels; strips are as wide as the page.
    pub(super) chunk: (u32, u32),
    pub(super) tiled: bool,
    /// Luma samples for one pair of chroma samples, across and down.
    pub(super) subsampling: (usize, usize),
}

impl Layout {
    /// Reads and checks the tags of a page.
    pub(super) fn read(ifd: &Ifd) -> Result<Self> {
        let width = size(ifd, 256, "width")?;
        let height = size(ifd, 257, "height")?;
        let samples = samples_per_pixel(ifd)?;
        let bits = bits_per_sample(ifd, samples)?;
        let compression = ifd.uint(259).unwrap_or(1) as u16;
        let photometric = photometric(ifd, compression, samples)?;
        let tiled = ifd.has(322);
        let layout = Self {
            width,
            height,
            bits,
            kind: sample_kind(ifd)?,
            samples,
            photometric,
            alpha: alpha(ifd, samples, photometric),
            planar: ifd.uint(284) == Some(2) && samples > 1,
            compression,
            predictor: ifd.uint(317).unwrap_or(1) as u16,
            low_bit_first: ifd.uint(266) == Some(2),
            chunk: chunk_size(ifd, tiled, width, height)?,
            tiled,
            subsampling: subsampling(ifd, photometric),
        };
        layout.check(ifd)?;
        Ok(layout)
    }

    /// How many colour samples a pixel has before the extra ones.
    pub(super) fn color_samples(&self) -> usize {
        match self.photometric {
            Photometric::Rgb | Photometric::YCbCr | Photometric::CieLab | Photometric::IccLab => 3,
            Photometric::Cmyk => 4,
            _ => 1,
        }
    }

    /// The samples of a pixel that are neither colour nor the alpha that is kept.
    pub(super) fn dropped_samples(&self) -> usize {
        let kept = self.color_samples() + usize::from(self.alpha != Alpha::None);
        self.samples.saturating_sub(kept)
    }

    /// Chunks across and down one plane.
    pub(super) fn grid(&self) -> (usize, usize) {
        let across = self.width.div_ceil(self.chunk.0);
        let down = self.height.div_ceil(self.chunk.1);
        (across as usize, down as usize)
    }

    /// Planes that are stored one after another.
    pub(super) fn planes(&self) -> usize {
        if self.planar { self.samples } else { 1 }
    }

    /// Samples of a pixel in one plane.
    pub(super) fn plane_samples(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Whether chroma is stored at a lower resolution, in blocks.
    pub(super) fn is_subsampled(&self) -> bool {
        self.photometric == Photometric::YCbCr
            && self.subsampling != (1, 1)
            && self.compression != 7
            && !self.planar
    }

    /// Pixel rows in the chunks of row `row` of the grid: the last strip may be shorter, tiles
    /// never are.
    pub(super) fn rows_in(&self, row: usize) -> usize {
        let rows = self.chunk.1 as usize;
        if self.tiled {
            return rows;
        }
        rows.min((self.height as usize).saturating_sub(row * rows))
    }

    /// Bytes of one row of pixels of one plane of a chunk.
    pub(super) fn row_bytes(&self) -> usize {
        let bits = self.chunk.0 as usize * self.plane_samples() * usize::from(self.bits);
        bits.div_ceil(8)
    }

    /// Bytes of `rows` rows of a chunk once decompressed.
    pub(super) fn chunk_bytes(&self, rows: usize) -> usize {
        if !self.is_subsampled() {
            return self.row_bytes().saturating_mul(rows);
        }
        let (h, v) = self.subsampling;
        let blocks = (self.chunk.0 as usize).div_ceil(h) * rows.div_ceil(v);
        blocks * (h * v + 2)
    }

    /// The depth that the samples are decoded to.
    pub(super) fn depth(&self) -> Depth {
        match (self.kind, self.bits) {
            (SampleKind::Float, _) => Depth::F32,
            (_, 1..=8) => Depth::U8,
            _ => Depth::U16,
        }
    }

    /// Whether decoding loses bits.
    pub(super) fn loses_depth(&self) -> bool {
        self.bits
            > if self.kind == SampleKind::Float {
                32
            } else {
                16
            }
    }

    /// What decoding makes of the page; palettes with 16-bit entries are decided by the caller.
    pub(super) fn output(&self) -> PixelFormat {
        let model = match self.photometric {
            Photometric::WhiteIsZero | Photometric::BlackIsZero | Photometric::Mask => {
                ColorModel::Gray
            }
            _ => ColorModel::Rgb,
        };
        PixelFormat::new(self.depth(), model, self.alpha != Alpha::None)
    }

    /// The MIX word for the colour space.
    pub(super) fn color_space(&self) -> &'static str {
        match self.photometric {
            Photometric::WhiteIsZero => "WhiteIsZero",
            Photometric::BlackIsZero => "BlackIsZero",
            Photometric::Rgb => "RGB",
            Photometric::Palette => "PaletteColor",
            Photometric::Mask => "TransparencyMask",
            Photometric::Cmyk => "CMYK",
            Photometric::YCbCr => "YCbCr",
            Photometric::CieLab => "CIELab",
            Photometric::IccLab => "ICCLab",
        }
    }

    fn check(&self, ifd: &Ifd) -> Result<()> {
        let variant = |what: String| Err(unsupported(what));
        let sizes: &[u16] = match self.kind {
            SampleKind::Float => &[16, 24, 32, 64],
            SampleKind::Signed => &[8, 16, 32, 64],
            SampleKind::Unsigned => &[],
        };
        let odd = !sizes.is_empty() && !sizes.contains(&self.bits);
        if odd || !(1..=64).contains(&self.bits) {
            return variant(format!("{:?} samples of {} bits", self.kind, self.bits));
        }
        if self.samples < self.color_samples() {
            let message = format!("{} has only {} samples", self.color_space(), self.samples);
            return Err(Error::new(Code::Corrupt, message));
        }
        if self.photometric == Photometric::Palette
            && (self.bits > 16 || self.kind != SampleKind::Unsigned || !ifd.has(320))
        {
            return variant("a palette without a usable colour map".into());
        }
        if self.photometric == Photometric::YCbCr && self.bits != 8 {
            return variant(format!("YCbCr of {} bits", self.bits));
        }
        let lab = matches!(self.photometric, Photometric::CieLab | Photometric::IccLab);
        if lab && !matches!(self.bits, 8 | 16) {
            return variant(format!("CIELab of {} bits", self.bits));
        }
        if self.photometric == Photometric::Cmyk && ifd.uint(332).unwrap_or(1) != 1 {
            return variant("inks other than CMYK".into());
        }
        Ok(())
    }
}

/// An error for a page that is fine, but not of a kind that is decoded.
pub(super) fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::new(
        Code::UnsupportedVariant,
        format!("TIFF with {what} is not decoded"),
    )
    .hint("convert it to a plain TIFF first, for example with `tiffcp -c lzw` or ImageMagick")
}

fn size(ifd: &Ifd, tag: u16, name: &str) -> Result<u32> {
    let value = ifd.uint(tag).and_then(|value| u32::try_from(value).ok());
    value
        .filter(|value| (1..=1 << 30).contains(value))
        .ok_or_else(|| Error::new(Code::Corrupt, format!("the page has no usable {name}")))
}

fn samples_per_pixel(ifd: &Ifd) -> Result<usize> {
    match ifd.uint(277).unwrap_or(1) {
        samples @ 1..=64 => Ok(samples as usize),
        samples => Err(unsupported(format!("{samples} samples a pixel"))),
    }
}

fn bits_per_sample(ifd: &Ifd, samples: usize) -> Result<u16> {
    let all = ifd.uints(258).unwrap_or_default();
    let used = &all[..all.len().min(samples)];
    let bits = used.first().copied().unwrap_or(1);
    if used.iter().any(|other| *other != bits) {
        return Err(unsupported("samples of different sizes in a pixel"));
    }
    u16::try_from(bits).map_err(|_| unsupported(format!("samples of {bits} bits")))
}

fn sample_kind(ifd: &Ifd) -> Result<SampleKind> {
    match ifd.uint(339).unwrap_or(1) {
        // 4 is "void": whatever it was, unsigned is how the bits are shown.
        1 | 4 => Ok(SampleKind::Unsigned),
        2 => Ok(SampleKind::Signed),
        3 => Ok(SampleKind::Float),
        other => Err(unsupported(format!("sample format {other}"))),
    }
}

fn photometric(ifd: &Ifd, compression: u16, samples: usize) -> Result<Photometric> {
    Ok(match ifd.uint(262) {
        Some(0) => Photometric::WhiteIsZero,
        Some(1) => Photometric::BlackIsZero,
        Some(2) => Photometric::Rgb,
        Some(3) => Photometric::Palette,
        Some(4) => Photometric::Mask,
        Some(5) => Photometric::Cmyk,
        Some(6) => Photometric::YCbCr,
        Some(8) => Photometric::CieLab,
        Some(9) => Photometric::IccLab,
        Some(32803 | 34892) => return Err(unsupported("raw sensor data")),
        Some(32844 | 32845) => return Err(unsupported("high dynamic range (SGI Log)")),
        Some(other) => return Err(unsupported(format!("photometric interpretation {other}"))),
        // The tag is required; these are what writers that forget it mean.
        None if matches!(compression, 2..=4 | 32771) => Photometric::WhiteIsZero,
        None if samples >= 3 => Photometric::Rgb,
        None => Photometric::BlackIsZero,
    })
}

fn alpha(ifd: &Ifd, samples: usize, photometric: Photometric) -> Alpha {
    let colors = match photometric {
        Photometric::Rgb | Photometric::YCbCr => 3,
        Photometric::WhiteIsZero | Photometric::BlackIsZero | Photometric::Palette => 1,
        // Transparency of inks and of CIELab is not carried through their conversion.
        _ => return Alpha::None,
    };
    match ifd.uint(338) {
        Some(1) if samples > colors => Alpha::Associated,
        Some(2) if samples > colors => Alpha::Straight,
        _ => Alpha::None,
    }
}

fn chunk_size(ifd: &Ifd, tiled: bool, width: u32, height: u32) -> Result<(u32, u32)> {
    if tiled {
        return Ok((
            size(ifd, 322, "tile width")?,
            size(ifd, 323, "tile height")?,
        ));
    }
    let rows = ifd.uint(278).unwrap_or(u64::MAX).min(height.into()) as u32;
    if rows == 0 {
        return Err(Error::new(Code::Corrupt, "strips have no rows"));
    }
    Ok((width, rows))
}

fn subsampling(ifd: &Ifd, photometric: Photometric) -> (usize, usize) {
    if photometric != Photometric::YCbCr {
        return (1, 1);
    }
    let factor = |value: u64| matches!(value, 1 | 2 | 4).then_some(value as usize);
    let given = ifd.uints(530).unwrap_or_default();
    match given.as_slice() {
        [h, v, ..] => (factor(*h).unwrap_or(2), factor(*v).unwrap_or(2)),
        _ => (2, 2),
    }
}
