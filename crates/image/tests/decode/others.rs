//! PNG, GIF, BMP, PNM, WebP and files that are no pictures.

use fonds_core::{Code, ColorModel, Depth, Flag, Limits, PixelFormat};
use fonds_image::decode::Document;
use fonds_image::facts::PpiSource;
use fonds_image::sniff::Format;
use image::{ExtendedColorType, ImageEncoder};
use png::{BitDepth, ColorType, Encoder, PixelDimensions, Unit};

use super::build::{decode, numbers};

fn png(
    color: ColorType,
    depth: BitDepth,
    data: &[u8],
    setup: impl Fn(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 4, 2);
    encoder.set_color(color);
    encoder.set_depth(depth);
    setup(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn png_of_all_kinds() {
    for (color, channels) in [
        (ColorType::Grayscale, 1),
        (ColorType::GrayscaleAlpha, 2),
        (ColorType::Rgb, 3),
        (ColorType::Rgba, 4),
    ] {
        let data: Vec<u8> = numbers(8 * channels * 2, 256, 5)
            .iter()
            .map(|n| *n as u8)
            .collect();
        let words = png(color, BitDepth::Sixteen, &data, |_| {});
        let page = decode(&words).unwrap();
        let expected: Vec<u16> = data
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        assert_eq!(
            page.raster.as_slice::<u16>(),
            Some(&expected[..]),
            "{color:?}"
        );
        assert_eq!(page.facts.bits_per_sample, 16);
        let bytes = png(color, BitDepth::Eight, &data[..8 * channels], |_| {});
        assert_eq!(
            decode(&bytes).unwrap().raster.as_slice::<u8>(),
            Some(&data[..8 * channels])
        );
    }
    let bits = png(
        ColorType::Grayscale,
        BitDepth::One,
        &[0b1010_0000, 0b0001_0000],
        |_| {},
    );
    let page = decode(&bits).unwrap();
    assert_eq!(
        page.raster.as_slice::<u8>(),
        Some(&[255, 0, 255, 0, 0, 0, 0, 255][..])
    );
    assert_eq!(page.facts.bits_per_sample, 1);
}

#[test]
fn png_palette_transparency_and_density() {
    let file = png(
        ColorType::Indexed,
        BitDepth::Two,
        &[0b0001_0101, 0b0001_0101],
        |encoder| {
            encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
            encoder.set_trns(vec![0]);
            let (xppu, yppu, unit) = (11811, 23622, Unit::Meter);
            encoder.set_pixel_dims(Some(PixelDimensions { xppu, yppu, unit }));
        },
    );
    let page = decode(&file).unwrap();
    assert_eq!(page.raster.format(), PixelFormat::RGBA8);
    let row = [
        10, 20, 30, 0, 40, 50, 60, 255, 40, 50, 60, 255, 40, 50, 60, 255,
    ];
    assert_eq!(
        page.raster.as_slice::<u8>().map(|all| &all[..16]),
        Some(&row[..])
    );
    let ppi = page.raster.ppi().unwrap();
    assert_eq!(
        (ppi.x, ppi.y, page.facts.ppi_source),
        (300.0, 600.0, PpiSource::Phys)
    );
    assert_eq!(page.facts.color_space, "PaletteColor");
}

#[test]
fn png_cuts_and_animations() {
    let data = vec![7; 8];
    let file = png(ColorType::Grayscale, BitDepth::Eight, &data, |_| {});
    for len in 8..file.len() {
        let code = decode(&file[..len]).unwrap_err().code();
        assert!(
            matches!(code, Code::Truncated | Code::Corrupt),
            "{len}: {code}"
        );
    }
    let trailing = [&file[..], b"more"].concat();
    assert!(
        decode(&trailing)
            .unwrap()
            .flags
            .contains(&Flag::TrailingData)
    );
    let mut animation = Vec::new();
    let mut encoder = Encoder::new(&mut animation, 4, 2);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&data).unwrap();
    writer.write_image_data(&[9; 8]).unwrap();
    writer.finish().unwrap();
    let page = decode(&animation).unwrap();
    assert!(page.flags.contains(&Flag::AnimationFirstFrame));
    assert_eq!(page.raster.as_slice::<u8>(), Some(&data[..]));
}

#[test]
fn lossless_formats_of_the_image_crate() {
    let rgb: Vec<u8> = numbers(12 * 9 * 3, 256, 3)
        .iter()
        .map(|n| *n as u8)
        .collect();
    let (size, kind) = ((12, 9), ExtendedColorType::Rgb8);
    let write = |name: &str| {
        let mut file = Vec::new();
        match name {
            "BMP" => image::codecs::bmp::BmpEncoder::new(&mut file)
                .write_image(&rgb, size.0, size.1, kind),
            "WebP" => image::codecs::webp::WebPEncoder::new_lossless(&mut file)
                .write_image(&rgb, size.0, size.1, kind),
            _ => image::codecs::pnm::PnmEncoder::new(&mut file)
                .write_image(&rgb, size.0, size.1, kind),
        }
        .unwrap();
        file
    };
    for name in ["BMP", "WebP", "PNM"] {
        let file = write(name);
        let page = decode(&file).expect(name);
        assert_eq!(page.raster.as_slice::<u8>(), Some(&rgb[..]), "{name}");
        let document = Document::open(&file, &Limits::DEFAULT).unwrap();
        assert_eq!(document.identity().format.map(Format::name), Some(name));
        let half = decode(&file[..file.len() / 2]).expect_err(name);
        assert!(
            matches!(half.code(), Code::Truncated | Code::Corrupt),
            "{name}: {half:?}"
        );
    }
}

#[test]
fn pnm_of_sixteen_bits_and_of_one() {
    let page = decode(b"P5 2 1 65535\n\x12\x34\xff\xff").unwrap();
    assert_eq!(page.raster.as_slice::<u16>(), Some(&[0x1234, 0xffff][..]));
    let page = decode(b"P4 9 1\n\x80\x00").unwrap();
    assert_eq!(
        page.raster.as_slice::<u8>(),
        Some(&[0, 255, 255, 255, 255, 255, 255, 255, 255][..])
    );
    assert_eq!(page.facts.bits_per_sample, 1);
    let page = decode(b"P2 2 1 255\n7 200\n").unwrap();
    assert_eq!(page.raster.as_slice::<u8>(), Some(&[7, 200][..]));
}

/// Two frames of 2 × 1 pixels; written out from the GIF 89a specification.
const GIF: &[u8] = b"GIF89a\x02\0\x01\0\x80\0\0\xff\0\0\0\0\xff\
    \x2c\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x0a\0\
    \x2c\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x0a\0\x3b";

#[test]
fn gif_gives_its_first_frame() {
    let page = decode(GIF).unwrap();
    assert_eq!(page.raster.format(), PixelFormat::RGB8);
    assert_eq!(
        page.raster.as_slice::<u8>(),
        Some(&[255, 0, 0, 0, 0, 255][..])
    );
    assert!(page.flags.contains(&Flag::AnimationFirstFrame));
    assert_eq!(
        (page.facts.bits_per_sample, page.facts.color_space),
        (1, "PaletteColor")
    );
    assert_eq!(decode(&GIF[..30]).unwrap_err().code(), Code::Truncated);
}

/// The head of a bare codestream (ISO 15444-1, A.5.1), one gray component of 8 bit.
#[test]
fn jpeg_2000_heads_are_checked_before_the_decoder() {
    let mut head = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
    for number in [100_000_u32, 100_000, 0, 0, 100_000, 100_000, 0, 0] {
        head.extend(number.to_be_bytes());
    }
    head.extend([0, 1, 7, 1, 1]);
    assert_eq!(decode(&head).unwrap_err().code(), Code::LimitsExceeded);
    assert_eq!(decode(&head[..30]).unwrap_err().code(), Code::Truncated);
    head[8..16].copy_from_slice(&[0, 0, 0, 2, 0, 0, 0, 2]);
    assert!(decode(&head).is_err());
    let mut document = Document::open(&head, &Limits::DEFAULT).unwrap();
    let facts = document.probe(0).unwrap();
    assert_eq!(
        (facts.width, facts.height, facts.color_space),
        (2, 2, "BlackIsZero")
    );
}

#[test]
fn empty_files_and_non_pictures() {
    assert_eq!(decode(b"").unwrap_err().code(), Code::EmptyFile);
    for (bytes, name) in [
        (&b"%PDF-1.7\n..."[..], "PDF"),
        (b"\0\0\0\x20ftypheic\0\0\0\0", "HEIF"),
        (b"filename,title\n", "text"),
        (b"\x01\x02\x03\x04", "unknown data"),
    ] {
        let error = decode(bytes).unwrap_err();
        assert_eq!(error.code(), Code::UnsupportedFormat);
        assert!(
            error.message().contains(name) && !error.hints().is_empty(),
            "{error}"
        );
    }
    let small = Limits {
        max_file_bytes: 3,
        ..Limits::DEFAULT
    };
    assert_eq!(
        Document::open(GIF, &small).unwrap_err().code(),
        Code::LimitsExceeded
    );
    let format = PixelFormat::new(Depth::U8, ColorModel::Rgb, false);
    assert_eq!(decode(GIF).unwrap().raster.format(), format);
}
