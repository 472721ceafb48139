//! Colour on the way in: does a profile fit its pixels, and what to do with CMYK and `CIELab`.

use std::sync::Arc;

use fonds_core::{ColorModel, Sample};
use moxcms::{
    ColorProfile, DataColorSpace, Layout, ProfileText, Transform8BitExecutor,
    Transform16BitExecutor, TransformOptions,
};

/// Whether a profile describes the pixels that it is embedded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Gray for gray, RGB for RGB.
    Fits,
    /// A readable profile for another colour space.
    WrongSpace,
    /// Not a readable profile.
    Invalid,
}

/// Judges a profile by its header and its tags.
pub(super) fn fit(icc: &[u8], model: ColorModel) -> Fit {
    let Some(profile) = parse(icc) else {
        return Fit::Invalid;
    };
    match (profile.color_space, model) {
        (DataColorSpace::Gray, ColorModel::Gray) | (DataColorSpace::Rgb, ColorModel::Rgb) => {
            Fit::Fits
        }
        _ => Fit::WrongSpace,
    }
}

/// The profile's own name, in English where it has several.
pub(super) fn describe(icc: &[u8]) -> Option<String> {
    let text = match parse(icc)?.description? {
        ProfileText::PlainString(text) => text,
        ProfileText::Description(description) => description.ascii_string,
        ProfileText::Localizable(texts) => {
            let english = texts.iter().position(|text| text.language == "en");
            texts.into_iter().nth(english.unwrap_or(0))?.value
        }
    };
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    (!text.is_empty()).then(|| text.to_owned())
}

/// Turns CMYK samples into sRGB; 0 is no ink, the type's white is full ink.
pub(super) enum CmykToRgb {
    /// Through the embedded profile, for 8 and for 16 bit.
    Profile(Arc<Transform8BitExecutor>, Arc<Transform16BitExecutor>),
    /// `(1 - ink) (1 - black)`: there is no profile that says more.
    Naive,
}

impl CmykToRgb {
    /// The best conversion that an embedded profile allows.
    pub(super) fn new(icc: Option<&[u8]>) -> Self {
        icc.and_then(Self::through).unwrap_or(Self::Naive)
    }

    fn through(icc: &[u8]) -> Option<Self> {
        let profile = parse(icc).filter(|profile| profile.color_space == DataColorSpace::Cmyk)?;
        let srgb = ColorProfile::new_srgb();
        let options = TransformOptions::default();
        let bytes = profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, options);
        let words = profile.create_transform_16bit(Layout::Rgba, &srgb, Layout::Rgb, options);
        Some(Self::Profile(bytes.ok()?, words.ok()?))
    }

    /// What the sidecar says about it.
    pub(super) fn note(&self) -> &'static str {
        match self {
            Self::Profile(..) => "CMYK converted to sRGB through the embedded profile",
            Self::Naive => "CMYK converted to sRGB without a profile",
        }
    }

    /// Converts pixels of four samples into as many pixels of three.
    pub(super) fn convert<T: Ink>(&self, cmyk: &[T], rgb: &mut [T]) {
        let done = match self {
            Self::Profile(bytes, words) => T::through_profile(&**bytes, &**words, cmyk, rgb),
            Self::Naive => false,
        };
        if !done {
            naive(cmyk, rgb);
        }
    }
}

/// Sample types that CMYK comes in.
pub(super) trait Ink: Sample {
    /// Converts through the transform of this type; false when there is none.
    fn through_profile(
        bytes: &Transform8BitExecutor,
        words: &Transform16BitExecutor,
        cmyk: &[Self],
        rgb: &mut [Self],
    ) -> bool;
}

impl Ink for u8 {
    fn through_profile(
        bytes: &Transform8BitExecutor,
        _: &Transform16BitExecutor,
        cmyk: &[Self],
        rgb: &mut [Self],
    ) -> bool {
        bytes.transform(cmyk, rgb).is_ok()
    }
}

impl Ink for u16 {
    fn through_profile(
        _: &Transform8BitExecutor,
        words: &Transform16BitExecutor,
        cmyk: &[Self],
        rgb: &mut [Self],
    ) -> bool {
        words.transform(cmyk, rgb).is_ok()
    }
}

impl Ink for f32 {
    fn through_profile(
        _: &Transform8BitExecutor,
        _: &Transform16BitExecutor,
        _: &[Self],
        _: &mut [Self],
    ) -> bool {
        false
    }
}

/// `CIELab` with white D50, L 0 to 100, to sRGB of 0 to 1, clipped to its gamut.
pub(super) fn lab_to_srgb([l, a, b]: [f32; 3]) -> [f32; 3] {
    // The standard formulas of CIE 15; 6/29 is where the cube root becomes a line.
    let f_y = (l + 16.0) / 116.0;
    let inverse = |f: f32| {
        if f > 6.0 / 29.0 {
            f * f * f
        } else {
            (f - 4.0 / 29.0) * 3.0 * (6.0_f32 / 29.0).powi(2)
        }
    };
    let x = 0.964_22 * inverse(f_y + a / 500.0);
    let y = inverse(f_y);
    let z = 0.825_21 * inverse(f_y - b / 200.0);
    // XYZ at D50 to linear sRGB, adapted to D65 by the Bradford method (Lindbloom).
    [
        gamma(3.133_856 * x - 1.616_867 * y - 0.490_615 * z),
        gamma(-0.978_768 * x + 1.916_142 * y + 0.033_454 * z),
        gamma(0.071_945 * x - 0.228_991 * y + 1.405_243 * z),
    ]
}

fn gamma(linear: f32) -> f32 {
    let linear = linear.clamp(0.0, 1.0);
    if linear <= 0.003_130_8 {
        12.92 * linear
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}

fn naive<T: Sample>(cmyk: &[T], rgb: &mut [T]) {
    for (inks, pixel) in cmyk.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        let light = 1.0 - inks[3].to_unit();
        for (ink, sample) in inks.iter().zip(pixel) {
            *sample = T::from_unit((1.0 - ink.to_unit()) * light);
        }
    }
}

fn parse(icc: &[u8]) -> Option<ColorProfile> {
    // A profile is small and comes from anywhere; what panics on it must not cost the picture.
    super::guard::catch("ICC", || Ok(ColorProfile::new_from_slice(icc).ok()))
        .ok()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_told_apart() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        let gray = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
        assert_eq!(fit(&srgb, ColorModel::Rgb), Fit::Fits);
        assert_eq!(fit(&srgb, ColorModel::Gray), Fit::WrongSpace);
        assert_eq!(fit(&gray, ColorModel::Gray), Fit::Fits);
        assert_eq!(fit(&srgb[..100], ColorModel::Rgb), Fit::Invalid);
        assert_eq!(fit(b"", ColorModel::Rgb), Fit::Invalid);
        assert!(describe(&srgb).is_some());
    }

    #[test]
    fn inks_without_a_profile() {
        let mut rgb = [0_u8; 9];
        let cmyk = [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255];
        CmykToRgb::new(None).convert(&cmyk, &mut rgb);
        assert_eq!(rgb, [255, 255, 255, 0, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn lab_matches_published_values() {
        // Lindbloom's calculator, Lab D50 to sRGB (8 bit).
        for (lab, rgb) in [
            ([100.0, 0.0, 0.0], [255.0, 255.0, 255.0]),
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
            ([53.585, 0.0, 0.0], [128.0, 128.0, 128.0]),
            ([54.29, 80.81, 69.89], [255.0, 0.0, 0.0]),
        ] {
            for (found, expected) in lab_to_srgb(lab).into_iter().zip(rgb) {
                assert!((found * 255.0 - expected).abs() < 1.0, "{lab:?}: {found}");
            }
        }
    }
}
