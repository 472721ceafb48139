//! Colour through ICC profiles: what a profile is, and the way to sRGB and back.
//!
//! Conversions are relative colorimetric. White maps to white; between profiles made of curves and
//! a matrix black maps to black as well. There is no black point compensation: the darkest inks of
//! a table profile (a scanner's, a press's) stay as dark as the profile says they are.
//!
//! Profiles come out of files, so nothing in them is trusted: parsing is bounded, a panic of the
//! colour engine is caught, and such a profile is [`ProfileFit::Invalid`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use fonds_core::{Code, ColorModel, Depth, Error, Raster, Result, Sample};
use moxcms::{
    CmsError, ColorProfile, DataColorSpace, Layout, ProfileClass, RenderingIntent,
    TransformExecutor, TransformOptions,
};
use rayon::prelude::*;

mod icc;

pub use icc::{ProfileFacts, describe, gray_profile, srgb_profile};

/// Samples that one task converts: scratch memory is this much per thread, whatever the picture.
const BAND: usize = 1 << 16;
/// Larger profiles are not believed; the largest real ones (CMYK, 16-bit tables) have about 4 MB.
const MAX_PROFILE: usize = 32 << 20;
/// Steps a channel in the grid on which two profiles are compared.
const GRID: usize = 9;

/// Whether a profile belongs to samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProfileFit {
    /// It describes samples of this kind.
    Fits,
    /// It is readable but for other channels (a CMYK profile on RGB, RGB on gray).
    WrongSpace,
    /// It is no readable profile.
    Invalid,
}

impl ProfileFit {
    /// Whether conversions can use it.
    pub fn is_usable(self) -> bool {
        self == Self::Fits
    }
}

/// Which way CMYK took to RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CmykPath {
    /// Through the embedded profile.
    Profile,
    /// By the formula `(1 − ink) × (1 − black)`, without any knowledge of the inks.
    Naive,
}

/// The description in a profile; `None` when it has none or is no profile.
pub fn profile_description(icc: &[u8]) -> Option<String> {
    describe(icc)?.description
}

/// Whether `icc` can be used for samples of `model`.
pub fn check_profile(icc: &[u8], model: ColorModel) -> ProfileFit {
    if *icc == *standard_bytes(model) {
        return ProfileFit::Fits;
    }
    if !is_declared_for(icc, model) {
        return match describe(icc).and_then(|_| parse(icc)) {
            Some(_) => ProfileFit::WrongSpace,
            None => ProfileFit::Invalid,
        };
    }
    let usable = parse(icc).and_then(|from| to_standard::<u8>(&from, model, false));
    match usable {
        Some(_) => ProfileFit::Fits,
        None => ProfileFit::Invalid,
    }
}

/// Brings samples from their profile to sRGB; gray stays gray, with the sRGB curve.
///
/// A raster without a profile counts as sRGB and comes back as it is, and so does one whose
/// profile maps every colour to itself within one 8-bit step. Alpha is not touched. Depth stays;
/// floats are clamped to 0 to 1 and keep 16 bits of precision, because colour outside of a
/// profile's range is not defined.
///
/// Fails with [`Code::Corrupt`] when the profile cannot be used for these samples.
pub fn to_srgb(mut raster: Raster) -> Result<Raster> {
    let model = raster.format().model;
    let Some(icc) = raster.icc().cloned() else {
        return Ok(raster);
    };
    if *icc == *standard_bytes(model) {
        return Ok(raster);
    }
    let from = parse_for(&icc, model)?;
    if is_standard(&from, model) {
        return Ok(raster);
    }
    transform(&mut raster, &from, standard(model))?;
    Ok(raster.with_icc(Some(standard_profile(model))))
}

/// Brings samples from their own profile (sRGB or its gray, without one) to another.
///
/// The way back for what was changed in sRGB. Alpha, depth and range as for [`to_srgb`]. Fails
/// with [`Code::Corrupt`] when one of the profiles cannot be used for these samples.
pub fn to_profile(mut raster: Raster, icc: Arc<[u8]>) -> Result<Raster> {
    let model = raster.format().model;
    let own = raster
        .icc()
        .cloned()
        .unwrap_or_else(|| standard_profile(model));
    if *own != *icc {
        let from = parse_for(&own, model)?;
        let to = parse_for(&icc, model)?;
        transform(&mut raster, &from, &to)?;
    }
    Ok(raster.with_icc(Some(icc)))
}

/// Converts CMYK samples (0 is no ink, 255 is full ink) to sRGB through `icc`, or by formula where
/// there is no usable CMYK profile. `cmyk` has four samples a pixel, `rgb` takes three.
///
/// # Panics
/// When the slices are for different numbers of pixels.
pub fn cmyk8_to_srgb(cmyk: &[u8], icc: Option<&[u8]>, rgb: &mut [u8]) -> CmykPath {
    cmyk_to_srgb(cmyk, icc, rgb)
}

/// The same for 16-bit samples (65,535 is full ink).
///
/// # Panics
/// When the slices are for different numbers of pixels.
pub fn cmyk16_to_srgb(cmyk: &[u16], icc: Option<&[u8]>, rgb: &mut [u16]) -> CmykPath {
    cmyk_to_srgb(cmyk, icc, rgb)
}

/// Whether the header says that this is a profile for `model`; far cheaper than [`check_profile`].
pub(crate) fn is_declared_for(icc: &[u8], model: ColorModel) -> bool {
    let wanted = match model {
        ColorModel::Gray => "GRAY",
        ColorModel::Rgb => "RGB",
    };
    describe(icc).is_some_and(|facts| facts.space == wanted)
}

/// The profile that [`to_srgb`] leads to.
pub(crate) fn standard_profile(model: ColorModel) -> Arc<[u8]> {
    Arc::from(standard_bytes(model))
}

/// A depth that the colour engine converts directly.
trait Engine: Sample + Ord {
    fn executor(
        from: &ColorProfile,
        source: Layout,
        to: &ColorProfile,
        target: Layout,
    ) -> Result<Arc<Executor<Self>>, CmsError>;
}

type Executor<T> = dyn TransformExecutor<T> + Send + Sync;

impl Engine for u8 {
    fn executor(
        from: &ColorProfile,
        source: Layout,
        to: &ColorProfile,
        target: Layout,
    ) -> Result<Arc<Executor<Self>>, CmsError> {
        from.create_transform_8bit(source, to, target, options())
    }
}

impl Engine for u16 {
    fn executor(
        from: &ColorProfile,
        source: Layout,
        to: &ColorProfile,
        target: Layout,
    ) -> Result<Arc<Executor<Self>>, CmsError> {
        from.create_transform_16bit(source, to, target, options())
    }
}

fn options() -> TransformOptions {
    TransformOptions {
        rendering_intent: RenderingIntent::RelativeColorimetric,
        // A `cicp` tag is a hint for video; the curves are what every other reader follows.
        allow_use_cicp_transfer: false,
        // Thirteen fractional bits are too few for 16-bit samples.
        prefer_fixed_point: false,
        ..TransformOptions::default()
    }
}

fn standard_bytes(model: ColorModel) -> &'static [u8] {
    match model {
        ColorModel::Gray => gray_profile(),
        ColorModel::Rgb => srgb_profile(),
    }
}

fn standard(model: ColorModel) -> &'static ColorProfile {
    static SRGB: LazyLock<ColorProfile> = LazyLock::new(|| parse_own(srgb_profile()));
    static GRAY: LazyLock<ColorProfile> = LazyLock::new(|| parse_own(gray_profile()));
    match model {
        ColorModel::Gray => &GRAY,
        ColorModel::Rgb => &SRGB,
    }
}

fn parse_own(icc: &[u8]) -> ColorProfile {
    ColorProfile::new_from_slice(icc).expect("our own profile is valid")
}

/// Parses a profile of a class that describes samples.
fn parse(icc: &[u8]) -> Option<ColorProfile> {
    if icc.len() > MAX_PROFILE {
        return None;
    }
    let profile = guarded(|| ColorProfile::new_from_slice(icc).ok())?;
    let describes_samples = matches!(
        profile.profile_class,
        ProfileClass::InputDevice
            | ProfileClass::DisplayDevice
            | ProfileClass::OutputDevice
            | ProfileClass::ColorSpace
    );
    describes_samples.then_some(profile)
}

fn parse_for(icc: &[u8], model: ColorModel) -> Result<ColorProfile> {
    let wanted = match model {
        ColorModel::Gray => DataColorSpace::Gray,
        ColorModel::Rgb => DataColorSpace::Rgb,
    };
    parse(icc)
        .filter(|profile| profile.color_space == wanted)
        .ok_or_else(|| {
            Error::new(
                Code::Corrupt,
                "the ICC profile is not one for these samples",
            )
        })
}

/// Runs the colour engine; its panics on hostile profiles count as "cannot".
fn guarded<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

fn layout(model: ColorModel, alpha: bool) -> Layout {
    match (model, alpha) {
        (ColorModel::Gray, false) => Layout::Gray,
        (ColorModel::Gray, true) => Layout::GrayAlpha,
        (ColorModel::Rgb, false) => Layout::Rgb,
        (ColorModel::Rgb, true) => Layout::Rgba,
    }
}

fn to_standard<T: Engine>(
    from: &ColorProfile,
    model: ColorModel,
    alpha: bool,
) -> Option<Arc<Executor<T>>> {
    let layout = layout(model, alpha);
    guarded(|| T::executor(from, layout, standard(model), layout).ok())
}

/// Whether every colour of a grid comes out of the conversion as it went in.
fn is_standard(from: &ColorProfile, model: ColorModel) -> bool {
    let Some(executor) = to_standard::<u8>(from, model, false) else {
        return false;
    };
    let grid: Vec<u8> = match model {
        ColorModel::Gray => (0..=255).collect(),
        ColorModel::Rgb => (0..GRID.pow(3))
            .flat_map(|i| [i / (GRID * GRID), i / GRID % GRID, i % GRID])
            .map(|step| (step * 255 / (GRID - 1)) as u8)
            .collect(),
    };
    let mut out = vec![0; grid.len()];
    let done = guarded(|| executor.transform(&grid, &mut out).ok());
    done.is_some() && grid.iter().zip(&out).all(|(a, b)| a.abs_diff(*b) <= 1)
}

fn transform(raster: &mut Raster, from: &ColorProfile, to: &ColorProfile) -> Result<()> {
    let format = raster.format();
    let done = match format.depth {
        Depth::U8 => {
            let samples = raster.as_mut_slice::<u8>().expect("the depth is U8");
            transform_bands(samples, from, to, layout(format.model, format.alpha))
        }
        Depth::U16 => {
            let samples = raster.as_mut_slice::<u16>().expect("the depth is U16");
            transform_bands(samples, from, to, layout(format.model, format.alpha))
        }
        Depth::F32 => {
            let samples = raster.as_mut_slice::<f32>().expect("the depth is F32");
            let colors = format.color_channels();
            transform_floats(
                samples,
                from,
                to,
                layout(format.model, false),
                colors,
                format.channels(),
            )
        }
    };
    done.ok_or_else(|| {
        Error::new(
            Code::Corrupt,
            "the ICC profile cannot be used for a conversion",
        )
    })
}

fn transform_bands<T: Engine>(
    samples: &mut [T],
    from: &ColorProfile,
    to: &ColorProfile,
    layout: Layout,
) -> Option<()> {
    let band = BAND / layout.channels() * layout.channels();
    guarded(|| {
        let executor = T::executor(from, layout, to, layout).ok()?;
        samples.par_chunks_mut(band).try_for_each(|out| {
            let own = out.to_vec();
            executor.transform(&own, out).ok()?;
            restore_alpha(&own, out, layout);
            Some(())
        })
    })
}

/// Alpha is no colour: it is put back whatever the engine did to it.
fn restore_alpha<T: Copy>(own: &[T], out: &mut [T], layout: Layout) {
    if !layout.has_alpha() {
        return;
    }
    let channels = layout.channels();
    let pixels = own
        .chunks_exact(channels)
        .zip(out.chunks_exact_mut(channels));
    for (own, out) in pixels {
        out[channels - 1] = own[channels - 1];
    }
}

fn transform_floats(
    samples: &mut [f32],
    from: &ColorProfile,
    to: &ColorProfile,
    layout: Layout,
    colors: usize,
    channels: usize,
) -> Option<()> {
    guarded(|| {
        let executor = u16::executor(from, layout, to, layout).ok()?;
        samples
            .par_chunks_mut(BAND / channels * channels)
            .try_for_each(|out| {
                let own: Vec<u16> = out
                    .chunks_exact(channels)
                    .flat_map(|pixel| pixel[..colors].iter().map(|value| u16::from_unit(*value)))
                    .collect();
                let mut made = vec![0_u16; own.len()];
                executor.transform(&own, &mut made).ok()?;
                for (pixel, made) in out
                    .chunks_exact_mut(channels)
                    .zip(made.chunks_exact(colors))
                {
                    for (value, made) in pixel.iter_mut().zip(made) {
                        *value = made.to_unit();
                    }
                }
                Some(())
            })
    })
}

fn cmyk_to_srgb<T: Engine>(cmyk: &[T], icc: Option<&[u8]>, rgb: &mut [T]) -> CmykPath {
    assert_eq!(
        cmyk.len() / 4,
        rgb.len() / 3,
        "one RGB pixel for each CMYK pixel"
    );
    let profile = icc
        .and_then(parse)
        .filter(|profile| profile.color_space == DataColorSpace::Cmyk);
    if let Some(profile) = profile
        && cmyk_by_profile(cmyk, &profile, rgb).is_some()
    {
        return CmykPath::Profile;
    }
    for (pixel, out) in cmyk.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        let light = 1.0 - pixel[3].to_unit();
        for (out, ink) in out.iter_mut().zip(pixel) {
            *out = T::from_unit((1.0 - ink.to_unit()) * light);
        }
    }
    CmykPath::Naive
}

fn cmyk_by_profile<T: Engine>(cmyk: &[T], from: &ColorProfile, rgb: &mut [T]) -> Option<()> {
    guarded(|| {
        // The engine's name for four interleaved channels.
        let executor = T::executor(from, Layout::Rgba, standard(ColorModel::Rgb), Layout::Rgb);
        let executor = executor.ok()?;
        let bands = cmyk.par_chunks(BAND).zip(rgb.par_chunks_mut(BAND / 4 * 3));
        bands
            .into_par_iter()
            .try_for_each(|(cmyk, rgb)| executor.transform(cmyk, rgb).ok())
    })
}
