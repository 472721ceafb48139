//! A picture in memory: interleaved samples, their meaning, and what travelled with them.

use std::fmt;
use std::sync::Arc;

use crate::error::{Code, Error, Result};

/// How many bits a sample has, and how they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// 8-bit unsigned, 0 to 255.
    U8,
    /// 16-bit unsigned, 0 to 65,535.
    U16,
    /// 32-bit float, nominally 0 to 1; values outside are kept.
    F32,
}

impl Depth {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

/// What the colour channels mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColorModel {
    /// One channel, 0 is black.
    Gray,
    /// Red, green, blue.
    Rgb,
}

/// The kind of samples that a raster holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PixelFormat {
    /// The depth of each sample.
    pub depth: Depth,
    /// The colour channels.
    pub model: ColorModel,
    /// Whether a straight (not premultiplied) alpha channel follows them.
    pub alpha: bool,
}

impl PixelFormat {
    /// 8-bit gray.
    pub const GRAY8: Self = Self::new(Depth::U8, ColorModel::Gray, false);
    /// 16-bit gray.
    pub const GRAY16: Self = Self::new(Depth::U16, ColorModel::Gray, false);
    /// 8-bit RGB.
    pub const RGB8: Self = Self::new(Depth::U8, ColorModel::Rgb, false);
    /// 16-bit RGB.
    pub const RGB16: Self = Self::new(Depth::U16, ColorModel::Rgb, false);
    /// 8-bit RGB with alpha.
    pub const RGBA8: Self = Self::new(Depth::U8, ColorModel::Rgb, true);

    /// A format from its parts.
    pub const fn new(depth: Depth, model: ColorModel, alpha: bool) -> Self {
        Self {
            depth,
            model,
            alpha,
        }
    }

    /// Colour channels: 1 or 3.
    pub fn color_channels(self) -> usize {
        match self.model {
            ColorModel::Gray => 1,
            ColorModel::Rgb => 3,
        }
    }

    /// All channels: 1 to 4.
    pub fn channels(self) -> usize {
        self.color_channels() + usize::from(self.alpha)
    }

    /// Bytes of one pixel.
    pub fn bytes_per_pixel(self) -> usize {
        self.channels() * self.depth.bytes()
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = match (self.model, self.alpha) {
            (ColorModel::Gray, false) => "gray",
            (ColorModel::Gray, true) => "gray+alpha",
            (ColorModel::Rgb, false) => "RGB",
            (ColorModel::Rgb, true) => "RGBA",
        };
        let depth = match self.depth {
            Depth::U8 => "8-bit",
            Depth::U16 => "16-bit",
            Depth::F32 => "32-bit float",
        };
        write!(f, "{depth} {model}")
    }
}

/// A sample type; the only place where floats become samples.
pub trait Sample: Copy + PartialOrd + Default + Send + Sync + fmt::Debug + 'static {
    /// The depth of this type.
    const DEPTH: Depth;
    /// White, in the type's own units.
    const WHITE: f32;

    /// The value in the type's own units (0 to [`Sample::WHITE`]).
    fn to_f32(self) -> f32;

    /// The nearest sample to a value in the type's own units; outside values are clamped for
    /// integers and kept for floats, NaN becomes 0 for integers.
    fn from_f32(value: f32) -> Self;

    /// The value scaled to 0 to 1.
    fn to_unit(self) -> f32 {
        self.to_f32() / Self::WHITE
    }

    /// The nearest sample to a value of 0 to 1.
    fn from_unit(value: f32) -> Self {
        Self::from_f32(value * Self::WHITE)
    }

    /// These samples as the enum that a [`Raster`] holds.
    fn wrap(samples: Vec<Self>) -> Samples;

    /// The samples of a raster when they are of this type.
    fn of(samples: &Samples) -> Option<&[Self]>;

    /// The samples of a raster, to change, when they are of this type.
    fn of_mut(samples: &mut Samples) -> Option<&mut Vec<Self>>;
}

macro_rules! sample {
    ($type:ty, $variant:ident, $white:expr, $from:expr) => {
        impl Sample for $type {
            const DEPTH: Depth = Depth::$variant;
            const WHITE: f32 = $white;

            #[inline]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline]
            fn from_f32(value: f32) -> Self {
                $from(value)
            }

            fn wrap(samples: Vec<Self>) -> Samples {
                Samples::$variant(samples)
            }

            fn of(samples: &Samples) -> Option<&[Self]> {
                match samples {
                    Samples::$variant(samples) => Some(samples),
                    _ => None,
                }
            }

            fn of_mut(samples: &mut Samples) -> Option<&mut Vec<Self>> {
                match samples {
                    Samples::$variant(samples) => Some(samples),
                    _ => None,
                }
            }
        }
    };
}

// Adding a half and letting `as` cut saturates at both ends and vectorises, where `f32::round`
// is a library call on baseline x86-64.
sample!(u8, U8, 255.0, |value: f32| (value + 0.5) as u8);
sample!(u16, U16, 65535.0, |value: f32| (value + 0.5) as u16);
sample!(f32, F32, 1.0, |value: f32| value);

/// The samples of a raster: rows from the top, pixels from the left, channels together.
#[derive(Clone, PartialEq)]
pub enum Samples {
    /// 8-bit samples.
    U8(Vec<u8>),
    /// 16-bit samples.
    U16(Vec<u16>),
    /// Float samples.
    F32(Vec<f32>),
}

impl Samples {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(samples) => samples.len(),
            Self::U16(samples) => samples.len(),
            Self::F32(samples) => samples.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their depth.
    pub fn depth(&self) -> Depth {
        match self {
            Self::U8(_) => Depth::U8,
            Self::U16(_) => Depth::U16,
            Self::F32(_) => Depth::F32,
        }
    }

    /// `len` samples of this depth, all zero.
    pub fn zeroed(depth: Depth, len: usize) -> Self {
        match depth {
            Depth::U8 => Self::U8(vec![0; len]),
            Depth::U16 => Self::U16(vec![0; len]),
            Depth::F32 => Self::F32(vec![0.0; len]),
        }
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} × {}", self.depth(), self.len())
    }
}

/// Runs one body for whichever sample type a raster holds.
///
/// ```
/// use fonds_core::{PixelFormat, Raster, Sample, with_samples};
///
/// fn brightest<T: Sample>(samples: &[T]) -> f32 {
///     samples.iter().fold(0.0, |most, sample| most.max(sample.to_unit()))
/// }
///
/// let raster = Raster::new(2, 2, PixelFormat::GRAY16);
/// let most = with_samples!(raster.samples(), samples => brightest(samples));
/// assert_eq!(most, 0.0);
/// ```
#[macro_export]
macro_rules! with_samples {
    ($samples:expr, $name:ident => $body:expr) => {
        match $samples {
            $crate::Samples::U8($name) => $body,
            $crate::Samples::U16($name) => $body,
            $crate::Samples::F32($name) => $body,
        }
    };
}

/// Pixels per inch, across and down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ppi {
    /// Across.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl Ppi {
    /// The same resolution both ways.
    pub const fn square(ppi: f64) -> Self {
        Self { x: ppi, y: ppi }
    }
}

/// A picture: samples with their meaning, the ICC profile that they are in, and the resolution.
///
/// Width and height are at least 1 and fit the samples; nothing can break that. Samples are in
/// the colour space of `icc`; without one, RGB is taken as sRGB and gray as its gray.
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    width: u32,
    height: u32,
    format: PixelFormat,
    samples: Samples,
    icc: Option<Arc<[u8]>>,
    ppi: Option<Ppi>,
}

impl Raster {
    /// A black (and transparent, where there is alpha) picture.
    ///
    /// # Panics
    /// When width or height is 0.
    pub fn new(width: u32, height: u32, format: PixelFormat) -> Self {
        assert!(width > 0 && height > 0, "a raster has at least one pixel");
        let len = width as usize * height as usize * format.channels();
        let samples = Samples::zeroed(format.depth, len);
        Self {
            width,
            height,
            format,
            samples,
            icc: None,
            ppi: None,
        }
    }

    /// A picture from its samples.
    ///
    /// Fails when width or height is 0 or the number of samples is not `width × height ×
    /// channels`.
    pub fn from_samples(
        width: u32,
        height: u32,
        model: ColorModel,
        alpha: bool,
        samples: Samples,
    ) -> Result<Self> {
        let format = PixelFormat::new(samples.depth(), model, alpha);
        let expected = (width as usize)
            .checked_mul(height as usize)
            .and_then(|pixels| pixels.checked_mul(format.channels()));
        if width == 0 || height == 0 || expected != Some(samples.len()) {
            let found = samples.len();
            let message =
                format!("{found} samples do not make a {format} picture of {width} × {height}");
            return Err(Error::new(Code::Corrupt, message));
        }
        Ok(Self {
            width,
            height,
            format,
            samples,
            icc: None,
            ppi: None,
        })
    }

    /// A picture like this one (profile, resolution) with other samples of the same channels.
    ///
    /// # Panics
    /// When the samples do not fit; for operations that made them to fit.
    #[must_use]
    pub fn with_samples<T: Sample>(&self, width: u32, height: u32, samples: Vec<T>) -> Self {
        let format = PixelFormat {
            depth: T::DEPTH,
            ..self.format
        };
        let made = Self::from_samples(width, height, format.model, format.alpha, T::wrap(samples));
        let mut made = made.expect("the operation made samples for its own output size");
        made.icc.clone_from(&self.icc);
        made.ppi = self.ppi;
        made
    }

    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels altogether.
    pub fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The kind of samples.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Samples in one row.
    pub fn row_len(&self) -> usize {
        self.width as usize * self.format.channels()
    }

    /// Bytes of all samples.
    pub fn byte_len(&self) -> usize {
        self.samples.len() * self.format.depth.bytes()
    }

    /// The samples.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The samples when they are of type `T`.
    pub fn as_slice<T: Sample>(&self) -> Option<&[T]> {
        T::of(&self.samples)
    }

    /// The samples, to change in place, when they are of type `T`.
    pub fn as_mut_slice<T: Sample>(&mut self) -> Option<&mut [T]> {
        T::of_mut(&mut self.samples).map(Vec::as_mut_slice)
    }

    /// The samples, moved out.
    pub fn into_samples(self) -> Samples {
        self.samples
    }

    /// The ICC profile that the samples are in.
    pub fn icc(&self) -> Option<&Arc<[u8]>> {
        self.icc.as_ref()
    }

    /// The same samples, declared to be in this profile.
    #[must_use]
    pub fn with_icc(mut self, icc: Option<Arc<[u8]>>) -> Self {
        self.icc = icc;
        self
    }

    /// Pixels per inch, where known.
    pub fn ppi(&self) -> Option<Ppi> {
        self.ppi
    }

    /// The same samples at this resolution.
    #[must_use]
    pub fn with_ppi(mut self, ppi: Option<Ppi>) -> Self {
        self.ppi = ppi;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_must_fit() {
        let make =
            |w, h, n| Raster::from_samples(w, h, ColorModel::Rgb, false, Samples::U8(vec![0; n]));
        assert!(make(2, 3, 18).is_ok());
        for (w, h, n) in [(2, 3, 17), (0, 3, 0), (u32::MAX, u32::MAX, 18)] {
            assert_eq!(make(w, h, n).unwrap_err().code(), Code::Corrupt);
        }
    }

    #[test]
    fn rounding_saturates() {
        assert_eq!(u8::from_f32(-3.0), 0);
        assert_eq!(u8::from_f32(254.5), 255);
        assert_eq!(u8::from_f32(254.4), 254);
        assert_eq!(u8::from_f32(1e9), 255);
        assert_eq!(u8::from_f32(f32::NAN), 0);
        assert_eq!(u16::from_unit(2.0), u16::MAX);
        assert_eq!(f32::from_unit(-0.5), -0.5);
    }

    #[test]
    fn profile_and_resolution_travel() {
        let raster = Raster::new(4, 4, PixelFormat::RGB8)
            .with_icc(Some(Arc::from(&b"profile"[..])))
            .with_ppi(Some(Ppi::square(300.0)));
        let half = raster.with_samples(2, 2, vec![0_u8; 12]);
        assert_eq!(half.icc(), raster.icc());
        assert_eq!(half.ppi(), raster.ppi());
    }

    proptest! {
        #[test]
        fn integers_survive_the_way_through_floats(byte: u8, word: u16) {
            prop_assert_eq!(u8::from_unit(byte.to_unit()), byte);
            prop_assert_eq!(u16::from_unit(word.to_unit()), word);
        }
    }
}
