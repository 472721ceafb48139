//! JPEG: colours, profiles, orientation, and everything that may be missing.

use fonds_core::{Code, Flag, PixelFormat};
use fonds_image::facts::PpiSource;
use jpeg_encoder::{ColorType, Encoder, PixelDensity, PixelDensityUnit, SamplingFactor};

use super::build::decode;

fn picture(channels: usize) -> Vec<u8> {
    let value = |x: usize, y: usize, channel: usize| 20 + x * 3 + y * 2 * (channel + 1) % 120;
    (0..40 * 24 * channels)
        .map(|i| value(i / channels % 40, i / channels / 40, i % channels) as u8)
        .collect()
}

fn encoded(
    color: ColorType,
    channels: usize,
    setup: impl Fn(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 96);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    setup(&mut encoder);
    encoder.encode(&picture(channels), 40, 24, color).unwrap();
    file
}

#[test]
fn gray_and_colour_baseline_and_progressive() {
    for progressive in [false, true] {
        for (color, channels, format) in [
            (ColorType::Luma, 1, PixelFormat::GRAY8),
            (ColorType::Rgb, 3, PixelFormat::RGB8),
        ] {
            let file = encoded(color, channels, |encoder| {
                encoder.set_progressive(progressive);
            });
            let page = decode(&file).unwrap();
            assert_eq!(page.raster.format(), format);
            let found = page.raster.as_slice::<u8>().unwrap();
            let worst = found
                .iter()
                .zip(picture(channels))
                .map(|(a, b)| a.abs_diff(b))
                .max();
            assert!(
                worst < Some(12),
                "{color:?}, progressive {progressive}: {worst:?}"
            );
        }
    }
}

#[test]
fn inks_are_converted_once_with_a_note() {
    for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        // The encoder takes inks as they are and stores them in Adobe's polarity.
        let page = decode(&encoded(color, 4, |_| {})).unwrap();
        assert_eq!(page.raster.format(), PixelFormat::RGB8);
        assert!(page.flags.contains(&Flag::ColorConverted));
        assert_eq!(page.facts.color_space, "CMYK");
        assert_eq!(page.notes, ["CMYK converted to sRGB without a profile"]);
        let inks = picture(4);
        let found = page.raster.as_slice::<u8>().unwrap();
        for (pixel, ink) in found.chunks_exact(3).zip(inks.chunks_exact(4)) {
            for channel in 0..3 {
                let light = (255.0 - f64::from(ink[channel])) * (255.0 - f64::from(ink[3])) / 255.0;
                let off = (f64::from(pixel[channel]) - light).abs();
                assert!(off < 14.0, "{color:?}: {pixel:?} from {ink:?}");
            }
        }
    }
}

#[test]
fn density_and_orientation() {
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
    let file = encoded(ColorType::Luma, 1, |encoder| {
        encoder.set_density(PixelDensity {
            density: (300, 150),
            unit: PixelDensityUnit::Inches,
        });
        encoder
            .add_app_segment(1, [b"Exif\0\0", &exif[..]].concat())
            .unwrap();
    });
    let page = decode(&file).unwrap();
    assert_eq!((page.raster.width(), page.raster.height()), (24, 40));
    assert_eq!(page.facts.orientation, 8);
    let ppi = page.raster.ppi().unwrap();
    assert_eq!((ppi.x, ppi.y), (150.0, 300.0));
    assert_eq!(page.facts.ppi_source, PpiSource::Jfif);
}

#[test]
fn nothing_that_is_cut_is_filled_in() {
    for progressive in [false, true] {
        let file = encoded(ColorType::Rgb, 3, |encoder| {
            encoder.set_progressive(progressive);
        });
        for len in (2..file.len()).step_by(7).chain([file.len() - 1]) {
            let error = decode(&file[..len]).expect_err("a cut file");
            assert!(
                matches!(error.code(), Code::Truncated | Code::UnsupportedFormat),
                "{error:?}"
            );
        }
        // With an end mark put behind what is left, the pixels are still missing.
        let scan = file
            .windows(2)
            .position(|pair| pair == [0xff, 0xda])
            .unwrap();
        for len in (scan + 20..file.len() - 6).step_by(11) {
            let mut mended = file[..len].to_vec();
            if mended.ends_with(&[0xff]) {
                mended.pop();
            }
            mended.extend([0xff, 0xd9]);
            let result = decode(&mended);
            // Later scans of a progressive file refine; between two of them it is a whole file.
            assert!(result.is_err() || progressive, "cut at {len}");
        }
    }
}

#[test]
fn trailing_data_is_flagged_and_padding_is_not() {
    let file = encoded(ColorType::Luma, 1, |_| {});
    let flags = |rest: &[u8]| decode(&[&file[..], rest].concat()).unwrap().flags;
    assert!(flags(b"").is_empty());
    assert!(flags(&[0; 9]).is_empty());
    assert!(flags(b"MotionPhoto").contains(&Flag::TrailingData));
}

#[test]
fn fill_bytes_and_empty_application_segments_are_harmless() {
    let file = encoded(ColorType::Luma, 1, |_| {});
    let plain = decode(&file).unwrap();
    let odd = [
        &[0xff, 0xd8][..],
        b"\xff\xee\0\x0dAdobe\0\x64\0\0\0\0",
        b"\xff\xff\xff",
        &file[2..],
    ]
    .concat();
    assert_eq!(
        decode(&odd).unwrap().raster.samples(),
        plain.raster.samples()
    );
}

#[test]
fn variants_that_are_not_decoded_say_so() {
    let file = encoded(ColorType::Luma, 1, |_| {});
    let frame = file
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    for (at, byte, word) in [
        (1, 0xc3, "lossless"),
        (1, 0xc9, "arithmetic"),
        (4, 12, "8 bits"),
    ] {
        let mut other = file.clone();
        other[frame + at] = byte;
        let error = decode(&other).unwrap_err();
        assert_eq!(error.code(), Code::UnsupportedVariant);
        assert!(
            error.message().contains(word) && !error.hints().is_empty(),
            "{error}"
        );
    }
}
