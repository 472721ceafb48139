//! Resize: other pixel dimensions, by a convolution filter.

use fast_image_resize as fir;
use fonds_core::{Change, Code, ColorModel, Depth, Error, Limits, Outcome, PixelFormat, Ppi};
use fonds_core::{Raster, Result, Sample, Samples};

use super::support::params::{in_range, invalid};

/// The size that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// The largest size of the same shape that fits into this box, in pixels.
    Fit {
        /// Most pixels across.
        width: u32,
        /// Most pixels down.
        height: u32,
    },
    /// Exactly this size, in pixels, whatever becomes of the shape.
    Exact {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The size times this factor, 0.001 to 16.
    Scale(f64),
    /// The size in per cent, 0.1 to 1600.
    Percent(f64),
}

/// The resampling filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels covered.
    Box,
    /// Linear interpolation.
    Bilinear,
    /// Cubic, sharper than linear.
    CatmullRom,
    /// Cubic, without ringing to speak of.
    Mitchell,
    /// Windowed sinc over six pixels: the sharpest.
    #[default]
    Lanczos3,
}

/// Resizes; never larger than the picture is unless `enlarge` says so.
///
/// Samples are averaged as coded. Colours are weighted by their alpha. The resolution is scaled,
/// so that the picture keeps its size in print. Acts on all depths.
#[derive(Debug, Clone, PartialEq)]
pub struct Resize {
    /// The size that is asked for; its sides 1 to 65,535 pixels.
    pub to: Target,
    /// The resampling filter.
    pub filter: Filter,
    /// Whether the picture may become larger.
    pub enlarge: bool,
}

impl Default for Resize {
    fn default() -> Self {
        Self {
            to: Target::Fit {
                width: 1600,
                height: 1600,
            },
            filter: Filter::Lanczos3,
            enlarge: false,
        }
    }
}

impl Resize {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        let factor = match self.to {
            Target::Fit { width, height } | Target::Exact { width, height } => {
                in_range("width", width, &(1..=65_535))?;
                return in_range("height", height, &(1..=65_535));
            }
            Target::Scale(scale) => {
                in_range("scale", scale, &(0.001..=16.0))?;
                scale
            }
            Target::Percent(percent) => {
                in_range("percent", percent, &(0.1..=1600.0))?;
                percent / 100.0
            }
        };
        if factor > 1.0 && !self.enlarge {
            return Err(invalid(format!(
                "a factor of {factor} makes the picture larger, which `enlarge` does not allow"
            ))
            .hint("set `enlarge = true`, or a factor of at most 1"));
        }
        Ok(())
    }

    /// The size that a picture of `width` × `height` gets.
    pub fn size(&self, width: u32, height: u32) -> (u32, u32) {
        let by = |factor: f64| {
            let side = |size: u32| (f64::from(size) * factor).round().clamp(1.0, 65_535.0) as u32;
            (side(width), side(height))
        };
        match self.to {
            Target::Fit {
                width: most_width,
                height: most_height,
            } => {
                let across = f64::from(most_width) / f64::from(width);
                let down = f64::from(most_height) / f64::from(height);
                let factor = across.min(down);
                if factor > 1.0 && !self.enlarge {
                    return (width, height);
                }
                let (w, h) = by(factor);
                (w.min(most_width), h.min(most_height))
            }
            Target::Exact {
                width: w,
                height: h,
            } if self.enlarge || (w <= width && h <= height) => (w, h),
            Target::Exact { .. } => (width, height),
            Target::Scale(factor) => by(factor),
            Target::Percent(percent) => by(percent / 100.0),
        }
    }

    /// Resizes, or leaves the picture alone when it has the size.
    pub fn apply(&self, raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let (width, height) = self.size(raster.width(), raster.height());
        if (width, height) == (raster.width(), raster.height()) {
            return Ok(Outcome::unchanged(raster));
        }
        let bytes = raster.format().bytes_per_pixel() as u64;
        Limits::DEFAULT.check(u64::from(width), u64::from(height), bytes)?;
        let small = resampled(&raster, width, height, self.filter)?;
        let change = Change::new(format!("resized to {width} × {height} pixels"))
            .value("width", f64::from(width))
            .value("height", f64::from(height));
        Ok(Outcome::changed(small, change))
    }
}

/// The picture at another size, with its profile, and its resolution scaled.
pub(super) fn resampled(
    raster: &Raster,
    width: u32,
    height: u32,
    filter: Filter,
) -> Result<Raster> {
    let format = raster.format();
    let resize = |bytes: &[u8]| {
        let size = (raster.width(), raster.height());
        convolve(bytes, size, (width, height), format, filter)
    };
    let new = match raster.samples() {
        Samples::U8(samples) => raster.with_samples(width, height, resize(samples)?),
        Samples::U16(samples) => {
            let bytes = resize(bytemuck::cast_slice(samples))?;
            raster.with_samples(width, height, from_bytes::<u16>(&bytes))
        }
        Samples::F32(samples) => {
            let bytes = resize(bytemuck::cast_slice(samples))?;
            raster.with_samples(width, height, from_bytes::<f32>(&bytes))
        }
    };
    let ppi = raster.ppi().map(|ppi| Ppi {
        x: ppi.x * f64::from(width) / f64::from(raster.width()),
        y: ppi.y * f64::from(height) / f64::from(raster.height()),
    });
    Ok(new.with_ppi(ppi))
}

fn from_bytes<T: Sample + bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytemuck::pod_collect_to_vec(bytes)
}

fn convolve(
    bytes: &[u8],
    size: (u32, u32),
    new_size: (u32, u32),
    format: PixelFormat,
    filter: Filter,
) -> Result<Vec<u8>> {
    let broken = |error: String| Error::new(Code::Internal, format!("cannot resize: {error}"));
    let pixels = pixel_type(format);
    let source = fir::images::ImageRef::new(size.0, size.1, bytes, pixels)
        .map_err(|error| broken(error.to_string()))?;
    let mut target = fir::images::Image::new(new_size.0, new_size.1, pixels);
    let options = fir::ResizeOptions::new()
        .resize_alg(algorithm(filter))
        .use_alpha(format.alpha);
    fir::Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|error| broken(error.to_string()))?;
    Ok(target.into_vec())
}

fn algorithm(filter: Filter) -> fir::ResizeAlg {
    let filter = match filter {
        Filter::Nearest => return fir::ResizeAlg::Nearest,
        Filter::Box => fir::FilterType::Box,
        Filter::Bilinear => fir::FilterType::Bilinear,
        Filter::CatmullRom => fir::FilterType::CatmullRom,
        Filter::Mitchell => fir::FilterType::Mitchell,
        Filter::Lanczos3 => fir::FilterType::Lanczos3,
    };
    fir::ResizeAlg::Convolution(filter)
}

fn pixel_type(format: PixelFormat) -> fir::PixelType {
    use fir::PixelType as P;
    match (format.depth, format.model, format.alpha) {
        (Depth::U8, ColorModel::Gray, false) => P::U8,
        (Depth::U8, ColorModel::Gray, true) => P::U8x2,
        (Depth::U8, ColorModel::Rgb, false) => P::U8x3,
        (Depth::U8, ColorModel::Rgb, true) => P::U8x4,
        (Depth::U16, ColorModel::Gray, false) => P::U16,
        (Depth::U16, ColorModel::Gray, true) => P::U16x2,
        (Depth::U16, ColorModel::Rgb, false) => P::U16x3,
        (Depth::U16, ColorModel::Rgb, true) => P::U16x4,
        (Depth::F32, ColorModel::Gray, false) => P::F32,
        (Depth::F32, ColorModel::Gray, true) => P::F32x2,
        (Depth::F32, ColorModel::Rgb, false) => P::F32x3,
        (Depth::F32, ColorModel::Rgb, true) => P::F32x4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(to: Target) -> Resize {
        Resize {
            to,
            ..Resize::default()
        }
    }

    #[test]
    fn sizes() {
        let fit = to(Target::Fit {
            width: 100,
            height: 100,
        });
        assert_eq!(fit.size(400, 300), (100, 75));
        assert_eq!(fit.size(10_000, 1), (100, 1));
        assert_eq!(fit.size(40, 30), (40, 30));
        let larger = Resize {
            enlarge: true,
            ..fit
        };
        assert_eq!(larger.size(40, 30), (100, 75));
        assert_eq!(to(Target::Percent(50.0)).size(41, 30), (21, 15));
        let exact = to(Target::Exact {
            width: 7,
            height: 900,
        });
        assert_eq!(exact.size(100, 100), (100, 100));
        assert_eq!(exact.size(1000, 1000), (7, 900));
    }

    #[test]
    fn enlarging_must_be_asked_for() {
        assert!(to(Target::Scale(2.0)).validate().is_err());
        assert!(to(Target::Scale(0.0)).validate().is_err());
        let asked = Resize {
            enlarge: true,
            ..to(Target::Scale(2.0))
        };
        assert!(asked.validate().is_ok());
    }

    #[test]
    fn box_filter_means_and_resolution() {
        let samples = Samples::U16((0..64).map(|i| i * 1000).collect());
        let raster = Raster::from_samples(8, 8, ColorModel::Gray, false, samples).unwrap();
        let raster = raster.with_ppi(Some(Ppi::square(300.0)));
        let half = Resize {
            filter: Filter::Box,
            ..to(Target::Scale(0.5))
        };
        let half = half.apply(raster).unwrap().raster;
        assert_eq!(half.ppi(), Some(Ppi::square(150.0)));
        let found = half.as_slice::<u16>().unwrap();
        for (i, value) in found.iter().enumerate() {
            let (x, y) = (i % 4 * 2, i / 4 * 2);
            let mean = (y * 8 + x) * 1000 + 4500;
            assert!(usize::from(*value).abs_diff(mean) <= 1, "{value} {mean}");
        }
    }
}
