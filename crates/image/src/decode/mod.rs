//! From bytes to rasters: one [`Document`] a file, one [`Page`] a picture in it.
//!
//! What a file is comes from its content ([`crate::sniff`]); its own colour space stays (gray or
//! RGB with the embedded profile), and only what a raster cannot hold is converted, once, with a
//! note: CMYK, `CIELab`, palettes, `YCbCr`. The orientation is applied, so that nobody after this
//! module needs to know of it. A file that ends too early is an error and never a picture with a
//! gray rest, every size is checked before memory is asked for, and a panic in a decoder is an
//! error of that file.
//!
//! Pages of a TIFF are the directories of its main chain that are neither reduced copies nor
//! masks; sub-directories (`SubIFDs`) are smaller copies in practice and are not pages.

mod bmp;
mod color_in;
pub(crate) mod exif;
mod gif;
mod guard;
pub(crate) mod jpeg;
mod jpeg2000;
mod orientation;
mod page;
pub(crate) mod png;
mod pnm;
mod through_image;
pub(crate) mod tiff;
mod webp;

use fonds_core::{Code, Error, Flags, Limits, Raster, Result};

use crate::facts::PageFacts;
use crate::sniff::{Format, Identity, identify};
use page::Container;

/// One decoded page.
#[derive(Debug, Clone)]
pub struct Page {
    /// The picture, upright, in its own gray or RGB space with its ICC profile and resolution.
    pub raster: Raster,
    /// The facts of the page as the file has it.
    pub facts: PageFacts,
    /// What a person should know.
    pub flags: Flags,
    /// Conversions that decoding had to make, for the sidecar.
    pub notes: Vec<String>,
}

/// An identified and opened file.
pub struct Document<'a> {
    identity: Identity,
    limits: Limits,
    container: Box<dyn Container + Send + 'a>,
}

impl<'a> Document<'a> {
    /// Identifies a file by its whole content and reads its headers.
    ///
    /// Fails with `EmptyFile`, `UnsupportedFormat` (the hint says what the file is),
    /// `UnsupportedVariant`, `Truncated`, `Corrupt` or `LimitsExceeded`.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::new(Code::EmptyFile, "the file is empty"));
        }
        if bytes.len() as u64 > limits.max_file_bytes {
            let message = format!("{} bytes are more than the limit", bytes.len());
            return Err(Error::new(Code::LimitsExceeded, message)
                .hint("raise `max_file_mib` under [limits] if the file is to be trusted"));
        }
        let identity = guard::catch("identification", || Ok(identify(bytes)))?;
        let format = identity.format.ok_or_else(|| unsupported(&identity))?;
        let container = guard::catch(format.name(), || open_as(format, bytes, limits))?;
        if container.page_count() > limits.max_pages {
            let message = format!("{} pages are more than the limit", container.page_count());
            return Err(Error::new(Code::LimitsExceeded, message)
                .hint("raise `max_pages` under [limits] if the file is to be trusted"));
        }
        Ok(Self {
            identity,
            limits: *limits,
            container,
        })
    }

    /// What the file is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How many pages it has, at least 1.
    pub fn page_count(&self) -> u32 {
        self.container.page_count()
    }

    /// Decodes one page, counted from 0.
    pub fn decode(&mut self, page: u32) -> Result<Page> {
        self.on_page(page, |container, limits| {
            let header = container.header(page)?;
            let bytes_per_pixel = header.output.bytes_per_pixel() as u64;
            limits.check(header.width.into(), header.height.into(), bytes_per_pixel)?;
            let pixels = container.pixels(page, &header)?;
            page::finish(header, pixels)
        })
    }

    /// Reads the facts of one page, counted from 0, from its headers alone.
    pub fn probe(&mut self, page: u32) -> Result<PageFacts> {
        self.on_page(page, |container, _| Ok(container.header(page)?.facts()))
    }

    fn on_page<T>(
        &self,
        page: u32,
        work: impl FnOnce(&(dyn Container + Send + 'a), &Limits) -> Result<T>,
    ) -> Result<T> {
        let count = self.page_count();
        let name = self.identity.name;
        let result = if page < count {
            guard::catch(name, || work(&*self.container, &self.limits))
        } else {
            let message = format!("there is no page {} of {count}", u64::from(page) + 1);
            Err(Error::new(Code::InvalidRequest, message))
        };
        result.map_err(|error| match count {
            1 => error,
            _ => error.at_page(page.saturating_add(1)),
        })
    }
}

impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document")
            .field("identity", &self.identity)
            .field("pages", &self.page_count())
            .finish_non_exhaustive()
    }
}

fn open_as<'a>(
    format: Format,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<Box<dyn Container + Send + 'a>> {
    Ok(match format {
        Format::Jpeg => Box::new(jpeg::Jpeg::open(bytes)?),
        Format::Tiff => Box::new(tiff::Tiff::open(bytes, limits)?),
        Format::Png => Box::new(png::Png::open(bytes)),
        Format::WebP => Box::new(webp::WebP::open(bytes)?),
        Format::Jpeg2000 => Box::new(jpeg2000::Jpeg2000::open(bytes, limits)?),
        Format::Gif => Box::new(gif::Gif::open(bytes)?),
        Format::Bmp => Box::new(bmp::Bmp::open(bytes)?),
        Format::Pnm => Box::new(pnm::Pnm::open(bytes)?),
    })
}

fn unsupported(identity: &Identity) -> Error {
    let message = format!("{} is not decoded", identity.name);
    let error = Error::new(Code::UnsupportedFormat, message);
    if identity.mime.starts_with("image/") {
        error.hint("convert it to TIFF, PNG or JPEG first, or exclude it from the input")
    } else {
        error.hint("exclude it from the input; it is no picture that fonds reads")
    }
}
