//! What each format hands over (a header, then pixels) and the one way from there to a [`Page`].

use std::sync::Arc;

use fonds_core::{ColorModel, Flag, Flags, PixelFormat, Ppi, Raster, Result, Samples};

use super::color_in::{self, Fit};
use super::{Page, orientation};
use crate::facts::{PageFacts, PpiSource};

/// An opened file of one format.
pub(super) trait Container {
    /// How many pages it has, at least 1.
    fn page_count(&self) -> u32 {
        1
    }

    /// What the headers say of a page; must not allocate by what they claim.
    fn header(&self, page: u32) -> Result<Header>;

    /// The pixels of a page whose size was checked, of the size and format that its header says.
    fn pixels(&self, page: u32, header: &Header) -> Result<Pixels>;
}

/// A page by its headers, before the orientation is applied.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits_per_sample: u16,
    pub(super) samples_per_pixel: u16,
    pub(super) color_space: &'static str,
    pub(super) compression_scheme: String,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) resolution: Option<(Ppi, PpiSource)>,
    pub(super) orientation: u8,
    /// What decoding makes of it.
    pub(super) output: PixelFormat,
    pub(super) flags: Flags,
}

impl Header {
    /// A header with what every format knows; the rest is filled in by the caller.
    pub(super) fn new(width: u32, height: u32, output: PixelFormat) -> Self {
        Self {
            width,
            height,
            bits_per_sample: 8 * output.depth.bytes() as u16,
            samples_per_pixel: output.channels() as u16,
            color_space: match output.model {
                ColorModel::Gray => "BlackIsZero",
                ColorModel::Rgb => "RGB",
            },
            compression_scheme: "Uncompressed".into(),
            icc: None,
            resolution: None,
            orientation: 1,
            output,
            flags: Flags::new(),
        }
    }

    /// How many samples the decoded page has.
    pub(super) fn output_len(&self) -> usize {
        (self.width as usize)
            .saturating_mul(self.height as usize)
            .saturating_mul(self.output.channels())
    }

    /// The facts of the page, upright.
    pub(super) fn facts(&self) -> PageFacts {
        let turned = orientation::swaps_axes(self.orientation);
        let (width, height) = if turned {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        PageFacts {
            width,
            height,
            bits_per_sample: self.bits_per_sample,
            samples_per_pixel: self.samples_per_pixel,
            color_space: self.color_space,
            compression_scheme: self.compression_scheme.clone(),
            icc_profile: self.icc.as_deref().and_then(color_in::describe),
            ppi: self.upright_ppi(),
            ppi_source: self
                .resolution
                .map_or(PpiSource::None, |(_, source)| source),
            orientation: self.orientation,
        }
    }

    fn upright_ppi(&self) -> Option<Ppi> {
        let (ppi, _) = self.resolution?;
        Some(if orientation::swaps_axes(self.orientation) {
            Ppi { x: ppi.y, y: ppi.x }
        } else {
            ppi
        })
    }
}

/// Decoded samples, not yet upright.
#[derive(Debug)]
pub(super) struct Pixels {
    pub(super) samples: Samples,
    pub(super) model: ColorModel,
    pub(super) alpha: bool,
    /// The profile was used up by a conversion; the samples are sRGB now.
    pub(super) profile_spent: bool,
    pub(super) flags: Flags,
    pub(super) notes: Vec<String>,
}

impl Pixels {
    /// Samples with nothing to say about them.
    pub(super) fn new(samples: Samples, model: ColorModel, alpha: bool) -> Self {
        Self {
            samples,
            model,
            alpha,
            profile_spent: false,
            flags: Flags::new(),
            notes: Vec::new(),
        }
    }

    /// Samples of the format that the header announced.
    pub(super) fn of(samples: Samples, header: &Header) -> Self {
        Self::new(samples, header.output.model, header.output.alpha)
    }
}

/// Turns the picture upright, attaches what travels with it, and sums up.
pub(super) fn finish(header: Header, pixels: Pixels) -> Result<Page> {
    let facts = header.facts();
    let ppi = header.upright_ppi();
    let mut flags = header.flags;
    flags.extend(pixels.flags);
    let raster = Raster::from_samples(
        header.width,
        header.height,
        pixels.model,
        pixels.alpha,
        pixels.samples,
    )?;
    let icc = match header.icc {
        Some(icc) if !pixels.profile_spent => fitting(icc, pixels.model, &mut flags),
        _ => None,
    };
    let raster = orientation::upright(raster, header.orientation)?;
    Ok(Page {
        raster: raster.with_icc(icc).with_ppi(ppi),
        facts,
        flags,
        notes: pixels.notes,
    })
}

fn fitting(icc: Vec<u8>, model: ColorModel, flags: &mut Flags) -> Option<Arc<[u8]>> {
    let remark = match color_in::fit(&icc, model) {
        Fit::Fits => return Some(icc.into()),
        Fit::WrongSpace => Flag::IccMismatch,
        Fit::Invalid => Flag::IccInvalid,
    };
    flags.insert(remark);
    None
}

/// Pixels per inch from a density in another unit; nothing for densities that mean nothing.
pub(super) fn ppi(x: f64, y: f64, per_inch: f64) -> Option<Ppi> {
    let usable = |value: &f64| value.is_finite() && (0.1..=1e6).contains(value);
    let (x, y) = (tidy(x * per_inch), tidy(y * per_inch));
    (usable(&x) && usable(&y)).then_some(Ppi { x, y })
}

/// Densities are stored as integers per centimetre or metre (11811 for 300 ppi): a value within
/// half a thousandth of a whole number was meant to be that number.
fn tidy(ppi: f64) -> f64 {
    let whole = ppi.round();
    if (ppi - whole).abs() <= whole * 5e-4 {
        whole
    } else {
        (ppi * 1000.0).round() / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_become_whole_ppi_where_that_was_meant() {
        let x = |density, per_inch| ppi(density, density, per_inch).map(|ppi| ppi.x);
        assert_eq!(x(11811.0, 0.0254), Some(300.0));
        assert_eq!(x(118.0, 2.54), Some(299.72));
        assert_eq!(x(72.5, 1.0), Some(72.5));
        assert_eq!(x(0.0, 1.0), None);
        assert_eq!(x(f64::NAN, 1.0), None);
    }
}
