//! How a picture looks, in figures: blur, noise, compression, skew, cast, clipping, fading, damage, border.
//!
//! All of it is *indicative*: there is no target in the picture to measure against, so a figure
//! says where to look, not what a scanner is worth. Everything but noise, compression and clipping is measured
//! on a reduced copy of at most a quarter of a megapixel, so that the cost does not grow with the scan.
//! Samples are read as coded, without their profile; alpha is left out.
//!
//! ```
//! use fonds_core::{PixelFormat, Raster};
//! use fonds_image::measure::{self, Measure};
//!
//! let black = Raster::new(64, 64, PixelFormat::GRAY8);
//! assert_eq!(measure::value(&black, Measure::Noise), 0.0);
//! assert_eq!(measure::measure(&black).skew_degrees, 0.0);
//! ```

pub mod blockiness;
mod blur;
pub(crate) mod border;
pub(crate) mod cast;
pub mod compared;
mod hash;
pub(crate) mod noise;
pub(crate) mod skew;
pub(crate) mod tones;

use fonds_core::{Flag, Flags, Raster};

use crate::ops::Despeckle;
use crate::ops::support::plane::Plane;
use crate::ops::support::reduce::Reduced;

/// Figures of one picture, all indicative.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measures {
    /// Variance of the Laplacian of the luma in 8-bit code values, on the reduced copy: small is
    /// blurred, faded or empty; photographs lie between 50 and 5000.
    pub blur: f64,
    /// Standard deviation of the noise in 8-bit code values, at full size, from the quietest
    /// parts that are not clipped (Immerkær 1996, blockwise).
    pub noise: f64,
    /// The same of the colours, the larger of Cb and Cr (BT.601); 0 for gray pictures.
    pub chroma_noise: f64,
    /// How far JPEG's blocks stand out in the luma at full size, in 8-bit code values: the mean
    /// step across their edges less that elsewhere; 0.3 can be seen, see [`blockiness::grid`].
    pub blockiness: f64,
    /// How far the picture or its text is rotated, degrees, positive clockwise; 0 when no
    /// evidence is good enough.
    pub skew_degrees: f64,
    /// How good that evidence is, 0 to 1.
    pub skew_confidence: f64,
    /// Distance from gray of the most neutral fifth of the picture, in CIELAB units as if the
    /// samples were sRGB; below 5 is neutral, sepia prints lie above 10.
    pub cast: f64,
    /// The direction of the cast as a CIELAB hue angle, 0 to 360: 0 red, 90 yellow, 180 green,
    /// 270 blue.
    pub cast_hue: f64,
    /// How much the picture looks like a monochrome print with one tone (sepia, cyanotype),
    /// 0 to 1; 0 for gray pictures.
    pub toned: f64,
    /// Per cent of the pixels that have a channel at either end of the range, without the border;
    /// 0 for pictures that are black and white only.
    pub clipped_percent: f64,
    /// The part of the range that the picture leaves unused: 1 − (p99.5 − p0.5) / white, 0 to 1,
    /// without the border.
    pub fading: f64,
    /// The share of the area that [`crate::ops::Crop`] takes for scanner bed or film rebate.
    pub border: f64,
}

impl Measures {
    /// Blur below this raises [`Flag::Blurred`].
    pub const BLURRED_BELOW: f64 = 20.0;
    /// Noise above this raises [`Flag::Noisy`].
    pub const NOISY_ABOVE: f64 = 5.0;
    /// A rotation of more degrees than this raises [`Flag::Skewed`].
    pub const SKEWED_ABOVE: f64 = 0.3;
    /// More per cent than this raises [`Flag::Clipped`].
    pub const CLIPPED_ABOVE: f64 = 15.0;
    /// A cast above this raises [`Flag::ColorCast`].
    pub const CAST_ABOVE: f64 = 12.0;

    /// The remarks that these figures call for.
    pub fn flags(&self) -> Flags {
        let remarks = [
            (self.blur < Self::BLURRED_BELOW, Flag::Blurred),
            (self.noise > Self::NOISY_ABOVE, Flag::Noisy),
            (self.clipped_percent > Self::CLIPPED_ABOVE, Flag::Clipped),
            (self.skew_degrees.abs() > Self::SKEWED_ABOVE, Flag::Skewed),
            (self.cast > Self::CAST_ABOVE, Flag::ColorCast),
        ];
        remarks
            .into_iter()
            .filter_map(|(holds, flag)| holds.then_some(flag))
            .collect()
    }
}

/// A measure by its name in a pipeline's `when` condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// [`Measures::blur`].
    Blur,
    /// [`Measures::noise`].
    Noise,
    /// [`Measures::chroma_noise`].
    ChromaNoise,
    /// [`Measures::blockiness`].
    Blockiness,
    /// The size of [`Measures::skew_degrees`], without its sign.
    Skew,
    /// [`Measures::cast`].
    Cast,
    /// [`Measures::clipped_percent`].
    Clipped,
    /// [`Measures::fading`].
    Fading,
    /// Where the darkest half per cent of the luma ends, without the border, 0 to 1.
    Black,
    /// Where the brightest half per cent of the luma begins, without the border, 0 to 1.
    White,
    /// [`damage`].
    Damage,
    /// [`Measures::border`].
    Border,
}

impl Measure {
    /// All measures.
    pub const ALL: [Self; 12] = [
        Self::Blur,
        Self::Noise,
        Self::ChromaNoise,
        Self::Blockiness,
        Self::Skew,
        Self::Cast,
        Self::Clipped,
        Self::Fading,
        Self::Black,
        Self::White,
        Self::Damage,
        Self::Border,
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blur => "blur",
            Self::Noise => "noise",
            Self::ChromaNoise => "chroma_noise",
            Self::Blockiness => "blockiness",
            Self::Skew => "skew",
            Self::Cast => "cast",
            Self::Clipped => "clipped",
            Self::Fading => "fading",
            Self::Black => "black",
            Self::White => "white",
            Self::Damage => "damage",
            Self::Border => "border",
        }
    }

    /// The measure of this name.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|measure| measure.as_str() == text)
    }

    /// One line for a reference: what it is, its unit, what is much.
    pub fn doc(self) -> &'static str {
        match self {
            Self::Blur => "variance of the Laplacian at reduced size; below 20 is blurred or empty",
            Self::Noise => "standard deviation of the noise in 8-bit code values; above 5 is noisy",
            Self::ChromaNoise => "the same of the colours; above 3 the colours are speckled",
            Self::Blockiness => {
                "steps at the edges of JPEG's blocks in 8-bit code values; 0.3 shows"
            }
            Self::Skew => "degrees that the text or the picture's border is rotated, without sign",
            Self::Cast => "distance of the most neutral parts from gray in CIELAB units; above 12",
            Self::Clipped => "per cent of the pixels with a channel at either end of the range",
            Self::Fading => "share of the range that is left unused, 0 to 1; above 0.15 is faded",
            Self::Black => {
                "the luma that 0.5 % of the pixels lie below, 0 to 1; above 0.08 is gray"
            }
            Self::White => {
                "the luma that 0.5 % of the pixels lie above, 0 to 1; below 0.97 is gray"
            }
            Self::Damage => "share of the pixels that despeckle would repair, 0 to 1",
            Self::Border => "share of the area that crop takes for scanner bed or film rebate",
        }
    }
}

/// A reduced copy of a picture and what is read from it; for those who want more than one figure.
#[derive(Debug)]
pub struct Survey<'a> {
    raster: &'a Raster,
    reduced: Reduced,
    luma: Plane<f32>,
}

impl<'a> Survey<'a> {
    /// Makes the reduced copy: one pass over the picture.
    pub fn new(raster: &'a Raster) -> Self {
        let reduced = Reduced::of(raster);
        let luma = reduced.luma();
        Self {
            raster,
            reduced,
            luma,
        }
    }

    /// All figures but the damage.
    pub fn measures(&self) -> Measures {
        let luma = &self.luma;
        let frame = border::find(&self.reduced, luma);
        let tones = tones::Tones::of(luma, frame.as_ref());
        let skew = skew::find(luma);
        let cast = cast::Cast::of(&self.reduced);
        Measures {
            blur: blur::laplacian_variance(luma),
            noise: noise::sigma(self.raster),
            chroma_noise: noise::chroma_sigma(self.raster),
            blockiness: blockiness::grid(self.raster).strength,
            skew_degrees: skew.map_or(0.0, |skew| skew.degrees),
            skew_confidence: skew.map_or(0.0, |skew| skew.confidence),
            cast: cast.chroma,
            cast_hue: cast.hue,
            toned: cast.toned,
            clipped_percent: tones::clipped_percent(self.raster, self.frame_box(frame)),
            fading: tones.fading(),
            border: frame.map_or(0.0, |frame| frame.removed_share(&self.reduced)),
        }
    }

    /// A 64-bit perceptual hash; see [`perceptual_hash`].
    pub fn perceptual_hash(&self) -> u64 {
        hash::of(&self.luma)
    }

    fn frame_box(&self, frame: Option<border::Frame>) -> border::Frame {
        let (width, height) = (self.raster.width() as usize, self.raster.height() as usize);
        match frame {
            Some(frame) => frame.scaled(&self.reduced, self.raster),
            None => border::Frame::whole(width, height),
        }
    }
}

/// Measures a picture: all figures but the damage.
pub fn measure(raster: &Raster) -> Measures {
    Survey::new(raster).measures()
}

/// One figure, computing no other.
pub fn value(raster: &Raster, measure: Measure) -> f64 {
    let survey = || Survey::new(raster);
    match measure {
        Measure::Noise => noise::sigma(raster),
        Measure::ChromaNoise => noise::chroma_sigma(raster),
        Measure::Blockiness => blockiness::grid(raster).strength,
        Measure::Damage => damage(raster),
        Measure::Blur => blur::laplacian_variance(&survey().luma),
        Measure::Skew => skew::find(&survey().luma).map_or(0.0, |skew| skew.degrees.abs()),
        Measure::Cast => cast::Cast::of(&survey().reduced).chroma,
        Measure::Clipped | Measure::Fading | Measure::Black | Measure::White | Measure::Border => {
            framed_value(&survey(), measure)
        }
    }
}

/// The share of pixels, 0 to 1, that [`Despeckle`] would repair at its default settings.
pub fn damage(raster: &Raster) -> f64 {
    Despeckle::default().damaged_share(raster)
}

/// A 64-bit perceptual hash of the luma (DCT of 32 × 32, 8 × 8 lowest frequencies against their
/// median): pictures that look alike differ in few bits, whatever their size or compression.
///
/// Up to about 6 differing bits mean the same picture, more than 16 mean different ones.
pub fn perceptual_hash(raster: &Raster) -> u64 {
    Survey::new(raster).perceptual_hash()
}

fn framed_value(survey: &Survey, measure: Measure) -> f64 {
    let frame = border::find(&survey.reduced, &survey.luma);
    let tones = || tones::Tones::of(&survey.luma, frame.as_ref());
    match measure {
        Measure::Clipped => tones::clipped_percent(survey.raster, survey.frame_box(frame)),
        Measure::Fading => tones().fading(),
        Measure::Black => tones().ends().0,
        Measure::White => tones().ends().1,
        _ => frame.map_or(0.0, |frame| frame.removed_share(&survey.reduced)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for measure in Measure::ALL {
            assert_eq!(Measure::from_text(measure.as_str()), Some(measure));
            assert!(!measure.doc().is_empty());
        }
        assert_eq!(Measure::from_text("sharpness"), None);
    }

    #[test]
    fn ends_are_those_of_the_luma() {
        let mut raster = Raster::new(64, 64, fonds_core::PixelFormat::GRAY8);
        let samples = raster.as_mut_slice::<u8>().unwrap();
        for (index, sample) in samples.iter_mut().enumerate() {
            *sample = 51 + (index % 103) as u8;
        }
        let near = |measure, expected: f64| {
            let found = value(&raster, measure);
            assert!((found - expected).abs() < 0.01, "{measure:?}: {found}");
        };
        near(Measure::Black, 0.2);
        near(Measure::White, 0.6);
        near(Measure::Fading, 0.6);
    }

    #[test]
    fn flags_follow_the_thresholds() {
        let clean = Measures {
            blur: 300.0,
            ..Measures::default()
        };
        assert!(clean.flags().is_empty());
        let bad = Measures {
            blur: 1.0,
            noise: 9.0,
            skew_degrees: -2.0,
            cast: 30.0,
            clipped_percent: 20.0,
            ..clean
        };
        assert_eq!(bad.flags().len(), 5);
    }
}
