//! JPEG 2000: JP2 files and bare codestreams; up to 16 bit is kept.
//!
//! The headers are read and checked here before `OpenJPEG` sees the file.

use fonds_core::{
    Code, ColorModel, Depth, Error, Flag, Limits, PixelFormat, Ppi, Result, Sample, Samples,
};
use jpeg2k::{DecodeParameters, Image, ImageComponent};

use super::guard::zeroed;
use super::page::{Container, Header, Pixels, ppi};
use crate::facts::PpiSource;

/// An opened JPEG 2000 file.
pub(super) struct Jpeg2000<'a> {
    bytes: &'a [u8],
    limits: Limits,
    boxes: Boxes,
    size: Size,
}

/// What the boxes around the codestream say.
#[derive(Debug, Clone, Default)]
struct Boxes {
    /// The number of an enumerated colour space.
    space: Option<u32>,
    icc: Option<Vec<u8>>,
    resolution: Option<Ppi>,
    /// Columns of the palette.
    palette: Option<usize>,
    /// Channels that are opacity.
    opacities: usize,
}

/// The SIZ segment of the codestream, and the wavelet.
#[derive(Debug, Clone, Copy)]
struct Size {
    width: u32,
    height: u32,
    components: usize,
    bits: u32,
    subsampled: bool,
    lossless: bool,
}

const YCC: u32 = 18;
const CMYK: u32 = 12;

impl<'a> Jpeg2000<'a> {
    /// Reads the boxes and the head of the codestream.
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let mut boxes = Boxes::default();
        let stream = if bytes.starts_with(&[0xff, 0x4f]) {
            Some(bytes)
        } else {
            boxes.read(bytes)
        };
        let cut = || {
            Error::new(
                Code::Truncated,
                "the JPEG 2000 file ends before its codestream",
            )
        };
        let size = Size::read(stream.ok_or_else(cut)?)?;
        let limits = *limits;
        Ok(Self {
            bytes,
            limits,
            boxes,
            size,
        })
    }

    /// Colour channels and whether opacity follows them.
    fn channels(&self) -> (usize, bool) {
        let all = self.boxes.palette.unwrap_or(self.size.components);
        match all {
            1 | 3 => (all, false),
            2 => (1, true),
            4 if self.boxes.space == Some(CMYK) => (4, false),
            4 => (3, true),
            _ => (3, self.boxes.opacities > 0 && all == 4),
        }
    }

    fn color_space(&self) -> &'static str {
        match (self.channels().0, self.boxes.palette, self.boxes.space) {
            (_, Some(_), _) => "PaletteColor",
            (1, ..) => "BlackIsZero",
            (_, _, Some(YCC)) => "YCbCr",
            (4, ..) => "CMYK",
            _ => "RGB",
        }
    }

    fn decoded(&self) -> Result<Image> {
        let parameters = DecodeParameters::new().strict(true);
        Image::from_bytes_with(self.bytes, parameters).map_err(|error| {
            let message = "the JPEG 2000 codestream is damaged or cut";
            Error::new(Code::Corrupt, message).caused_by(error)
        })
    }
}

impl Container for Jpeg2000<'_> {
    fn header(&self, _: u32) -> Result<Header> {
        let (colors, alpha) = self.channels();
        if colors == 4 || self.size.components > 4 {
            let components = self.size.components;
            let message = format!("JPEG 2000 with {components} components is not decoded");
            return Err(Error::new(Code::UnsupportedVariant, message)
                .hint("convert it to TIFF first, for example with `opj_decompress`"));
        }
        let model = if colors == 1 {
            ColorModel::Gray
        } else {
            ColorModel::Rgb
        };
        let depth = if self.size.bits <= 8 {
            Depth::U8
        } else {
            Depth::U16
        };
        let format = PixelFormat::new(depth, model, alpha);
        let mut header = Header::new(self.size.width, self.size.height, format);
        header.bits_per_sample = self.size.bits as u16;
        header.samples_per_pixel = self.size.components as u16;
        header.color_space = self.color_space();
        header.compression_scheme = if self.size.lossless {
            "JPEG 2000 Lossless".into()
        } else {
            "JPEG 2000 Lossy".into()
        };
        header.icc.clone_from(&self.boxes.icc);
        header.resolution = self.boxes.resolution.map(|ppi| (ppi, PpiSource::Header));
        if self.size.bits > 16 {
            header.flags.insert(Flag::DepthReduced);
        }
        Ok(header)
    }

    fn pixels(&self, _: u32, header: &Header) -> Result<Pixels> {
        // OpenJPEG keeps each sample in four bytes.
        let (width, height) = (header.width.into(), header.height.into());
        self.limits
            .check(width, height, 4 * self.size.components as u64)?;
        let image = self.decoded()?;
        let samples = match header.output.depth {
            Depth::U8 => u8::wrap(interleaved(&image, header)?),
            _ => u16::wrap(interleaved(&image, header)?),
        };
        let mut pixels = Pixels::of(samples, header);
        let ycc =
            self.boxes.space == Some(YCC) || (self.size.subsampled && self.boxes.space.is_none());
        if ycc && header.output.color_channels() == 3 {
            let channels = header.output.channels();
            match &mut pixels.samples {
                Samples::U8(samples) => from_ycc(samples, channels),
                Samples::U16(samples) => from_ycc(samples, channels),
                Samples::F32(_) => {}
            }
            pixels.notes.push("YCbCr converted to RGB".into());
        }
        Ok(pixels)
    }
}

impl Boxes {
    /// Reads boxes up to the codestream, which it gives.
    fn read<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        for (name, body) in boxes(bytes) {
            match name {
                b"jp2h" => boxes(body).for_each(|(name, body)| self.header_box(name, body)),
                b"jp2c" => return Some(body),
                _ => {}
            }
        }
        None
    }

    fn header_box(&mut self, name: &[u8], body: &[u8]) {
        match (name, body) {
            (b"colr", [1, _, _, space @ ..]) if self.space.is_none() && self.icc.is_none() => {
                self.space = be32(space, 0);
            }
            (b"colr", [2 | 3, _, _, profile @ ..]) if self.space.is_none() => {
                self.icc.get_or_insert_with(|| profile.to_vec());
            }
            (b"pclr", [_, _, columns, ..]) => self.palette = Some((*columns).into()),
            (b"cdef", [_, _, entries @ ..]) => {
                let opacity = |entry: &&[u8]| matches!(entry, [_, _, 0, 1 | 2, ..]);
                self.opacities = entries.chunks_exact(6).filter(opacity).count();
            }
            (b"res ", _) => {
                // The resolution at capture says more than the one to display at.
                let found: Vec<_> = boxes(body).collect();
                let of = |wanted: &[u8]| found.iter().find(|(name, _)| *name == wanted);
                let best = of(b"resc").or_else(|| of(b"resd"));
                self.resolution = best.and_then(|(_, body)| resolution(body));
            }
            _ => {}
        }
    }
}

impl Size {
    fn read(stream: &[u8]) -> Result<Self> {
        Self::parse(stream)
            .ok_or_else(|| Error::new(Code::Truncated, "the JPEG 2000 header is cut"))?
            .check()
    }

    fn parse(stream: &[u8]) -> Option<Self> {
        // SOC, then SIZ: marker, length, capabilities, then eight numbers of 32 bits.
        let number = |index: usize| be32(stream, 8 + 4 * index);
        let components = usize::from(be16(stream, 40)?);
        let parts = stream.get(42..42 + 3 * components)?;
        let bits = parts
            .chunks_exact(3)
            .map(|part| u32::from(part[0] & 0x7f) + 1)
            .max();
        let subsampled = parts.chunks_exact(3).any(|part| part[1..] != [1, 1]);
        let (right, bottom, left, top) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let divide = |end: u32, start: u32, step: u8| {
            let step = u32::from(step.max(1));
            end.div_ceil(step).saturating_sub(start.div_ceil(step))
        };
        let first = parts.get(..3).unwrap_or(&[8, 1, 1]);
        Some(Self {
            width: divide(right, left, first[1]),
            height: divide(bottom, top, first[2]),
            components,
            bits: bits.unwrap_or(0),
            subsampled,
            lossless: reversible(stream, 42 + 3 * components),
        })
    }

    fn check(self) -> Result<Self> {
        if self.width == 0 || self.height == 0 || self.components == 0 {
            return Err(Error::new(
                Code::Corrupt,
                "the JPEG 2000 picture has no size",
            ));
        }
        if self.bits > 31 {
            let message = format!("JPEG 2000 of {} bits is not decoded", self.bits);
            return Err(Error::new(Code::UnsupportedVariant, message));
        }
        Ok(self)
    }
}

/// Whether the default coding style (COD) has the reversible wavelet.
fn reversible(stream: &[u8], mut at: usize) -> bool {
    while let (Some(marker), Some(len)) = (be16(stream, at), be16(stream, at + 2)) {
        match marker {
            0xff52 => return stream.get(at + 13) == Some(&1),
            0xff90 | 0xffd9 => return false,
            _ => at += 2 + usize::from(len).max(2),
        }
    }
    false
}

/// The boxes in a file or in a box, as long as they lie inside it.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<8>()?;
        let name = rest.get(4..8)?.try_into().ok()?;
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let (start, end) = match len {
            0 => (8, rest.len()),
            1 => {
                let len = u64::from_be_bytes(*after.first_chunk()?);
                (16, usize::try_from(len).ok()?)
            }
            _ => (8, len as usize),
        };
        // A codestream that is cut is found out by its decoder.
        let end = end.min(rest.len());
        let body = rest.get(start..end)?;
        rest = &rest[end..];
        Some((name, body))
    })
}

/// Vertical, then horizontal: fractions of 16-bit numbers, then their powers of ten; in points
/// per metre.
fn resolution(body: &[u8]) -> Option<Ppi> {
    let fraction = |at| Some(f64::from(be16(body, at)?) / f64::from(be16(body, at + 2)?));
    let power = |at: usize| Some(10_f64.powi((*body.get(at)? as i8).into()));
    let (y, x) = (fraction(0)? * power(8)?, fraction(4)? * power(9)?);
    ppi(x, y, 0.0254)
}

fn interleaved<T: Sample>(image: &Image, header: &Header) -> Result<Vec<T>> {
    let channels = header.output.channels();
    let components = image.components();
    let (width, height) = (header.width as usize, header.height as usize);
    if components.len() < channels {
        return Err(Error::new(
            Code::Corrupt,
            "the JPEG 2000 components are not all there",
        ));
    }
    let mut samples = zeroed(header.output_len())?;
    for (channel, component) in components.iter().take(channels).enumerate() {
        place(component, (width, height), channel, channels, &mut samples)?;
    }
    Ok(samples)
}

/// Scales a component to the whole range of `T` and repeats its samples where it is smaller.
fn place<T: Sample>(
    component: &ImageComponent,
    (width, height): (usize, usize),
    channel: usize,
    channels: usize,
    samples: &mut [T],
) -> Result<()> {
    let (own_width, own_height) = (component.width() as usize, component.height() as usize);
    let bits = component.precision();
    if own_width == 0 || own_height == 0 || !(1..=31).contains(&bits) {
        return Err(Error::new(
            Code::Corrupt,
            "a JPEG 2000 component has no samples",
        ));
    }
    let data = component.data();
    let shift = if component.is_signed() {
        1_i64 << (bits - 1)
    } else {
        0
    };
    let most = (1_u64 << bits) - 1;
    let same = most as f64 == f64::from(T::WHITE);
    let scale = |value: i32| {
        let value = (i64::from(value) + shift).clamp(0, most as i64);
        if same {
            T::from_f32(value as f32)
        } else {
            T::from_unit((value as f64 / most as f64) as f32)
        }
    };
    for (y, row) in samples.chunks_exact_mut(width * channels).enumerate() {
        let own_y = y * own_height / height;
        let own_row = &data[own_y * own_width..][..own_width];
        let pixels = row.chunks_exact_mut(channels).enumerate();
        if own_width == width {
            pixels
                .zip(own_row)
                .for_each(|((_, pixel), value)| pixel[channel] = scale(*value));
        } else {
            pixels.for_each(|(x, pixel)| pixel[channel] = scale(own_row[x * own_width / width]));
        }
    }
    Ok(())
}

fn from_ycc<T: Sample>(samples: &mut [T], channels: usize) {
    let middle = T::WHITE / 2.0 + 0.5;
    for pixel in samples.chunks_exact_mut(channels) {
        let [y, cb, cr] = [0, 1, 2].map(|place: usize| pixel[place].to_f32());
        let (cb, cr) = (cb - middle, cr - middle);
        pixel[0] = T::from_f32(y + 1.402 * cr);
        pixel[1] = T::from_f32(y - 0.344_136 * cb - 0.714_136 * cr);
        pixel[2] = T::from_f32(y + 1.772 * cb);
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}
