//! Conversions between profiles against the formulas that the profiles stand for, and what is
//! made of hostile profiles.

use std::sync::Arc;

use fonds_core::{Code, ColorModel, Depth, PixelFormat, Raster, Samples};
use fonds_image::color::{
    CmykPath, ProfileFit, check_profile, cmyk8_to_srgb, cmyk16_to_srgb, gray_profile,
    profile_description, srgb_profile, to_profile, to_srgb,
};
use proptest::prelude::*;

/// One of our profiles with a pure power for its curve (ICC function type 0).
fn with_gamma(profile: &[u8], gamma: f64) -> Arc<[u8]> {
    let mut profile = profile.to_vec();
    let curve = profile
        .windows(4)
        .position(|window| window == b"para")
        .expect("our profiles have a parametric curve");
    profile[curve + 8..curve + 10].copy_from_slice(&[0, 0]);
    let gamma = (gamma * 65536.0).round() as i32;
    profile[curve + 12..curve + 16].copy_from_slice(&gamma.to_be_bytes());
    profile.into()
}

/// IEC 61966-2-1: linear light to sRGB.
fn srgb_encode(linear: f64) -> f64 {
    if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}

fn raster(model: ColorModel, alpha: bool, samples: Samples) -> Raster {
    let channels = PixelFormat::new(samples.depth(), model, alpha).channels();
    let width = (samples.len() / channels) as u32;
    Raster::from_samples(width, 1, model, alpha, samples).expect("whole pixels")
}

fn units(raster: &Raster) -> Vec<f64> {
    match raster.samples() {
        Samples::U8(samples) => samples.iter().map(|v| f64::from(*v) / 255.0).collect(),
        Samples::U16(samples) => samples.iter().map(|v| f64::from(*v) / 65_535.0).collect(),
        Samples::F32(samples) => samples.iter().map(|v| f64::from(*v)).collect(),
    }
}

fn all_depths(values: &[u8]) -> [(Samples, f64); 3] {
    let wide = values.iter().map(|v| u16::from(*v) * 257).collect();
    let floats = values.iter().map(|v| f32::from(*v) / 255.0).collect();
    // Half a step for rounding, and what the engine's tables of 4,096 or 65,536 entries cost in
    // the shadows, where the curve is steepest.
    [
        (Samples::U8(values.to_vec()), 0.9 / 255.0),
        (Samples::U16(wide), 12.0 / 65_535.0),
        (Samples::F32(floats), 12.0 / 65_535.0),
    ]
}

#[test]
fn gray_follows_the_curves_and_stays_gray() {
    let values: Vec<u8> = (0..=255).collect();
    for (samples, tolerance) in all_depths(&values) {
        let icc = with_gamma(gray_profile(), 1.8);
        let made = to_srgb(raster(ColorModel::Gray, false, samples).with_icc(Some(icc))).unwrap();
        assert_eq!(made.format().model, ColorModel::Gray);
        assert_eq!(made.icc().unwrap()[..], *gray_profile());
        for (value, found) in values.iter().zip(units(&made)) {
            let expected = srgb_encode((f64::from(*value) / 255.0).powf(1.8));
            assert!(
                (found - expected).abs() <= tolerance,
                "{value}: {found} {expected}"
            );
        }
    }
}

#[test]
fn rgb_follows_the_curves_and_keeps_alpha() {
    // The primaries are those of sRGB, so that the channels are independent.
    let values: Vec<u8> = (0..=255)
        .flat_map(|v| [v, v / 2, 255 - v, v ^ 0x55])
        .collect();
    for (samples, tolerance) in all_depths(&values) {
        let icc = with_gamma(srgb_profile(), 1.8);
        let own = raster(ColorModel::Rgb, true, samples).with_icc(Some(icc));
        let made = to_srgb(own.clone()).unwrap();
        assert_eq!(made.format(), own.format());
        // The matrices there and back are rounded to 16 bits, which mixes the channels a little.
        let tolerance = tolerance + 0.002;
        for ((i, before), after) in units(&own).into_iter().enumerate().zip(units(&made)) {
            let is_alpha = i % 4 == 3;
            let expected = if is_alpha {
                before
            } else {
                srgb_encode(before.powf(1.8))
            };
            let tolerance = if is_alpha { 0.0 } else { tolerance };
            assert!(
                (after - expected).abs() <= tolerance,
                "{i}: {after} {expected}"
            );
        }
    }
}

#[test]
fn the_way_back_leads_back() {
    let icc = with_gamma(srgb_profile(), 1.8);
    let samples: Vec<u16> = (0..3 * 5_000_u32)
        .map(|i| (i * 40_503 % 65_536) as u16)
        .collect();
    let own = raster(ColorModel::Rgb, false, Samples::U16(samples)).with_icc(Some(icc.clone()));
    let back = to_profile(to_srgb(own.clone()).unwrap(), icc.clone()).unwrap();
    assert_eq!(back.icc(), Some(&icc));
    for (before, after) in units(&own).into_iter().zip(units(&back)) {
        assert!((before - after).abs() < 0.004, "{before} {after}");
    }
}

#[test]
fn what_is_srgb_already_is_not_touched() {
    let samples: Vec<u8> = (0..=255).cycle().take(768).collect();
    let plain = raster(ColorModel::Rgb, false, Samples::U8(samples));
    assert_eq!(to_srgb(plain.clone()).unwrap(), plain);
    // Another profile of the same meaning: another name.
    let mut renamed = srgb_profile().to_vec();
    let name = renamed
        .windows(4)
        .position(|window| window == b"\0s\0R")
        .unwrap();
    renamed[name + 1] = b'S';
    let renamed = plain.with_icc(Some(renamed.into()));
    assert_eq!(to_srgb(renamed.clone()).unwrap(), renamed);
}

#[test]
fn bands_equal_single_pixels() {
    let icc = with_gamma(srgb_profile(), 2.6);
    let samples: Vec<u8> = (0..3 * 70_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let whole = raster(ColorModel::Rgb, false, Samples::U8(samples.clone()));
    let whole = to_srgb(whole.with_icc(Some(icc.clone()))).unwrap();
    let whole = whole.as_slice::<u8>().unwrap();
    for start in (0..samples.len()).step_by(29_997) {
        let pixel = Samples::U8(samples[start..start + 3].to_vec());
        let pixel = raster(ColorModel::Rgb, false, pixel).with_icc(Some(icc.clone()));
        let pixel = to_srgb(pixel).unwrap();
        assert_eq!(
            pixel.as_slice::<u8>().unwrap(),
            &whole[start..start + 3],
            "{start}"
        );
    }
}

#[test]
fn profiles_are_told_apart() {
    let check = |icc: &[u8], model| check_profile(icc, model);
    assert_eq!(check(srgb_profile(), ColorModel::Rgb), ProfileFit::Fits);
    assert_eq!(
        check(srgb_profile(), ColorModel::Gray),
        ProfileFit::WrongSpace
    );
    assert_eq!(check(gray_profile(), ColorModel::Gray), ProfileFit::Fits);
    assert_eq!(
        check(gray_profile(), ColorModel::Rgb),
        ProfileFit::WrongSpace
    );
    for nothing in [&b""[..], b"acsp", &[0; 4_096], &srgb_profile()[..300]] {
        assert_eq!(check(nothing, ColorModel::Rgb), ProfileFit::Invalid);
        assert_eq!(profile_description(nothing), None);
    }
    let name = profile_description(srgb_profile());
    assert_eq!(name.as_deref(), Some("sRGB IEC61966-2.1"));
    let wrong = Raster::new(1, 1, PixelFormat::GRAY8).with_icc(Some(srgb_profile().into()));
    assert_eq!(to_srgb(wrong).unwrap_err().code(), Code::Corrupt);
}

#[test]
fn cmyk_without_a_profile_goes_by_the_formula() {
    let cmyk = [0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 128, 9, 9, 9, 255];
    let mut rgb = [0; 12];
    assert_eq!(cmyk8_to_srgb(&cmyk, None, &mut rgb), CmykPath::Naive);
    assert_eq!(rgb, [255, 255, 255, 0, 255, 255, 127, 0, 127, 0, 0, 0]);
    // A profile for RGB is of no use.
    let path = cmyk8_to_srgb(&cmyk, Some(srgb_profile()), &mut rgb);
    assert_eq!(path, CmykPath::Naive);
    let mut wide = [0; 3];
    cmyk16_to_srgb(&[65_535, 0, 32_768, 0], None, &mut wide);
    assert_eq!(wide, [0, 65_535, 32_767]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_profiles_never_panic(
        places in prop::collection::vec((0_usize..600, any::<u8>()), 1..6),
    ) {
        let both = [(srgb_profile(), ColorModel::Rgb), (gray_profile(), ColorModel::Gray)];
        for (whole, model) in both {
            let mut damaged = whole.to_vec();
            for (place, value) in &places {
                if let Some(byte) = damaged.get_mut(*place) {
                    *byte = *value;
                }
            }
            let fit = check_profile(&damaged, model);
            let picture = Raster::new(2, 2, PixelFormat::new(Depth::U8, model, false));
            let made = to_srgb(picture.with_icc(Some(damaged.into())));
            prop_assert!(made.is_ok() || fit != ProfileFit::Fits);
        }
    }
}
