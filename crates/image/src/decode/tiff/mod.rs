//! TIFF and `BigTIFF`: pages, their headers, and the one path from strips and tiles to pixels.

mod ccitt;
mod chunks;
mod codec;
mod compose;
pub(crate) mod ifd;
mod jpeg_chunk;
mod layout;
mod old_jpeg;
mod predict;
mod unpack;

use std::collections::BTreeSet;

use fonds_core::{
    Code, ColorModel, Depth, Error, Flag, Flags, Limits, PixelFormat, Result, Samples,
};

use super::page::{Container, Header, Pixels};
use super::{color_in, exif};
use crate::facts::PpiSource;
use chunks::Chunks;
use codec::Codec;
use color_in::CmykToRgb;
use compose::{Colors, Luma};
use ifd::{Ifd, Tree};
use layout::{Alpha, Layout, Photometric, SampleKind};
use unpack::Native;

/// An opened TIFF file.
pub(super) struct Tiff<'a> {
    tree: Tree<'a>,
    pages: Vec<PageAt<'a>>,
    limits: Limits,
}

/// A page of the main chain, or the place where the chain breaks: a broken link must not make the
/// pages behind it vanish without a word.
enum PageAt<'a> {
    Ifd(Ifd<'a>),
    Broken(u64),
}

impl<'a> Tiff<'a> {
    /// Reads the chain of directories.
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let (tree, first) = Tree::open(bytes)?;
        let mut chain = vec![tree.ifd(first)?];
        let mut seen = BTreeSet::from([first]);
        let (mut broken, mut full) = (None, 0);
        while let Some(next) = chain.last().map(|ifd| ifd.next).filter(|next| *next != 0) {
            if !seen.insert(next) {
                break;
            }
            match tree.ifd(next) {
                Ok(ifd) => {
                    full += usize::from(is_full(&ifd));
                    chain.push(ifd);
                }
                Err(_) => broken = Some(next),
            }
            // One page more than allowed is enough for the limit to be reported; masks and
            // reduced copies may come with each.
            if broken.is_some() || full > limits.max_pages as usize {
                break;
            }
            if chain.len() > 4 * limits.max_pages as usize + 16 {
                let message = format!("{} directories are more than the limit", chain.len());
                return Err(Error::new(Code::LimitsExceeded, message)
                    .hint("raise `max_pages` under [limits] if the file is to be trusted"));
            }
        }
        let mut pages: Vec<PageAt> = full_pages(chain).into_iter().map(PageAt::Ifd).collect();
        pages.extend(broken.map(PageAt::Broken));
        let limits = *limits;
        Ok(Self {
            tree,
            pages,
            limits,
        })
    }

    fn ifd(&self, page: u32) -> Result<&Ifd<'a>> {
        match self.pages.get(page as usize) {
            Some(PageAt::Ifd(ifd)) => Ok(ifd),
            Some(PageAt::Broken(at)) => {
                let message =
                    format!("the link to the page points to {at}, where none can be read");
                Err(Error::new(Code::Truncated, message))
            }
            None => Err(Error::new(
                Code::Internal,
                "page numbers are checked before",
            )),
        }
    }
}

impl Container for Tiff<'_> {
    fn page_count(&self) -> u32 {
        self.pages.len() as u32
    }

    fn header(&self, page: u32) -> Result<Header> {
        let ifd = self.ifd(page)?;
        let codec = codec_of(ifd)?;
        if codec == Codec::OldJpeg {
            return old_jpeg::header(ifd);
        }
        let layout = Layout::read(ifd)?;
        if codec == Codec::Jpeg && (layout.bits != 8 || layout.kind != SampleKind::Unsigned) {
            let bits = layout.bits;
            return Err(layout::unsupported(format!(
                "JPEG compression of {bits}-bit samples"
            )));
        }
        let mut header = Header::new(layout.width, layout.height, output(ifd, &layout));
        header.bits_per_sample = layout.bits;
        header.samples_per_pixel = layout.samples as u16;
        header.color_space = layout.color_space();
        header.compression_scheme = codec.name().into();
        header.flags = flags(&layout);
        describe(&mut header, ifd);
        Ok(header)
    }

    fn pixels(&self, page: u32, header: &Header) -> Result<Pixels> {
        let ifd = self.ifd(page)?;
        if codec_of(ifd)? == Codec::OldJpeg {
            return old_jpeg::pixels(ifd, header);
        }
        let layout = Layout::read(ifd)?;
        let bits = layout.samples * usize::from(layout.bits);
        let (width, height) = layout.chunk;
        self.limits
            .check(width.into(), height.into(), bits.div_ceil(8) as u64)?;
        let chunks = Chunks::open(self.tree, ifd, layout.clone(), codec_of(ifd)?)?;
        match header.output.depth {
            Depth::U8 => decoded::<u8>(&chunks, ifd, &layout, header, |word| (word >> 8) as u8),
            Depth::U16 => decoded::<u16>(&chunks, ifd, &layout, header, |word| word as u16),
            Depth::F32 => decoded::<f32>(&chunks, ifd, &layout, header, |word| word as f32),
        }
    }
}

/// Fills in what a page says besides its storage.
fn describe(header: &mut Header, ifd: &Ifd) {
    let exif = exif::of_ifd(ifd);
    header.icc = ifd.bytes(34675).map(<[u8]>::to_vec);
    header.orientation = exif.orientation;
    header.resolution = exif.ppi.map(|ppi| (ppi, PpiSource::Exif));
}

fn codec_of(ifd: &Ifd) -> Result<Codec> {
    Codec::of(
        ifd.uint(259).unwrap_or(1) as u16,
        ifd.uint(292).unwrap_or(0),
    )
}

/// The directories that are pictures of their own; all of them, if every one claims to be a copy.
fn full_pages(chain: Vec<Ifd>) -> Vec<Ifd> {
    if chain.iter().any(is_full) {
        chain.into_iter().filter(is_full).collect()
    } else {
        chain
    }
}

fn is_full(ifd: &Ifd) -> bool {
    let (new, old) = (ifd.uint(254).unwrap_or(0), ifd.uint(255).unwrap_or(1));
    new & 0b101 == 0 && old != 2
}

/// Palettes give 8-bit RGB unless their 16-bit entries say more than 8 bits.
fn output(ifd: &Ifd, layout: &Layout) -> PixelFormat {
    let format = layout.output();
    if layout.photometric != Photometric::Palette {
        return format;
    }
    let entries = ifd.uints(320).unwrap_or_default();
    let depth = if layout.bits <= 8 && entries.iter().all(|entry| is_byte(*entry)) {
        Depth::U8
    } else {
        Depth::U16
    };
    PixelFormat { depth, ..format }
}

/// Whether a palette entry of 16 bits is one of 8: shifted, or spread over the range.
fn is_byte(entry: u64) -> bool {
    entry.trailing_zeros() >= 8 || entry & 0xff == entry >> 8
}

fn flags(layout: &Layout) -> Flags {
    let mut flags = Flags::new();
    if layout.dropped_samples() > 0 {
        flags.insert(Flag::ExtraSamplesDropped);
    }
    if layout.loses_depth() {
        flags.insert(Flag::DepthReduced);
    }
    if matches!(
        layout.photometric,
        Photometric::Cmyk | Photometric::CieLab | Photometric::IccLab
    ) {
        flags.insert(Flag::ColorConverted);
    }
    flags
}

fn decoded<T: Native>(
    chunks: &Chunks,
    ifd: &Ifd,
    layout: &Layout,
    header: &Header,
    entry: impl Fn(u64) -> T,
) -> Result<Pixels> {
    let colors = Colors {
        photometric: chunks.photometric(),
        alpha: layout.alpha,
        stored: layout.samples,
        decoded: header.output.channels(),
        inks: CmykToRgb::new(header.icc.as_deref()),
        palette: palette(ifd, entry),
        luma: luma(ifd)?,
    };
    let samples: Samples = T::wrap(chunks.decode(&colors, header.output_len())?);
    let mut pixels = Pixels::of(samples, header);
    pixels.profile_spent = header.flags.contains(&Flag::ColorConverted);
    pixels.notes = notes(layout, &colors.inks);
    Ok(pixels)
}

fn palette<T: Native>(ifd: &Ifd, entry: impl Fn(u64) -> T) -> Vec<[T; 3]> {
    let mut entries = ifd.uints(320).unwrap_or_default();
    // Early writers filled in 8-bit values.
    if entries.iter().all(|entry| *entry < 256) {
        for entry in &mut entries {
            *entry *= 257;
        }
    }
    let count = entries.len() / 3;
    let color = |index: usize| [0, 1, 2].map(|channel| entry(entries[channel * count + index]));
    (0..count).map(color).collect()
}

fn luma(ifd: &Ifd) -> Result<Luma> {
    let mut luma = Luma::DEFAULT;
    if let Some(shares) = ifd
        .floats(529)
        .and_then(|list| <[f64; 3]>::try_from(list).ok())
    {
        luma.shares = shares.map(|share| share as f32);
    }
    if let Some(list) = ifd
        .floats(532)
        .and_then(|list| <[f64; 6]>::try_from(list).ok())
    {
        luma.reference = list.map(|value| value as f32);
    }
    let [black, white, zero_b, full_b, zero_r, full_r] = luma.reference;
    let spans = [
        white - black,
        full_b - zero_b,
        full_r - zero_r,
        luma.shares[1],
    ];
    if spans.iter().all(|span| span.is_normal()) {
        return Ok(luma);
    }
    Err(Error::new(
        Code::Corrupt,
        "the YCbCr coefficients make no sense",
    ))
}

fn notes(layout: &Layout, inks: &CmykToRgb) -> Vec<String> {
    let mut notes = Vec::new();
    match layout.photometric {
        Photometric::Cmyk => notes.push(inks.note().into()),
        Photometric::CieLab | Photometric::IccLab => {
            notes.push("CIELab converted to sRGB".into());
        }
        Photometric::YCbCr => notes.push("YCbCr converted to RGB".into()),
        Photometric::Palette => notes.push("palette expanded to RGB".into()),
        _ => {}
    }
    if layout.kind == SampleKind::Signed {
        notes.push("signed samples read as unsigned ones".into());
    }
    if layout.loses_depth() {
        let to = if layout.depth() == Depth::F32 { 32 } else { 16 };
        notes.push(format!("{}-bit samples reduced to {to} bits", layout.bits));
    }
    if layout.alpha == Alpha::Associated {
        notes.push("associated alpha converted to straight alpha".into());
    }
    if layout.dropped_samples() > 0 {
        let dropped = layout.dropped_samples();
        notes.push(format!("{dropped} extra samples of each pixel left out"));
    }
    notes
}

/// The model of old-style JPEG pages.
fn model_of(channels: usize) -> ColorModel {
    if channels == 1 {
        ColorModel::Gray
    } else {
        ColorModel::Rgb
    }
}
