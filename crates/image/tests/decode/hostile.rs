//! Damaged files: no panic, no abort, and nothing cut passes for whole.

use fonds_core::{Code, Limits};
use fonds_image::decode::Document;
use fonds_image::sniff::identify;
use proptest::prelude::*;

use super::build::{PageSpec, Value, numbers};

const LIMITS: Limits = Limits {
    max_pixels: 1 << 20,
    max_decode_bytes: 1 << 22,
    max_pages: 20,
    max_file_bytes: 1 << 20,
};

/// A file of each format and, for TIFF, of each codec.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let pixels: Vec<u8> = numbers(24 * 16 * 3, 200, 1)
        .iter()
        .map(|n| *n as u8)
        .collect();
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder
        .encode(&pixels, 24, 16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    let mut progressive = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut progressive, 80);
    encoder.set_progressive(true);
    encoder
        .encode(&pixels, 24, 16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 24, 16);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    let mut webp = Vec::new();
    image::codecs::webp::WebPEncoder::new_lossless(&mut webp)
        .encode(&pixels, 24, 16, image::ExtendedColorType::Rgb8)
        .unwrap();
    let lzw = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
        .encode(&pixels)
        .unwrap();
    let pnm = [b"P6 24 16 255\n", &pixels[..]].concat();
    let mut bmp = Vec::new();
    image::codecs::bmp::BmpEncoder::new(&mut bmp)
        .encode(&pixels, 24, 16, image::ExtendedColorType::Rgb8)
        .unwrap();
    vec![
        ("TIFF", tiff(1, pixels.clone())),
        ("TIFF", tiff(5, lzw)),
        ("TIFF", tiff(7, jpeg.clone())),
        ("JPEG", jpeg),
        ("JPEG", progressive),
        ("PNG", png),
        ("WebP", webp),
        ("BMP", bmp),
        ("PNM", pnm),
    ]
}

/// The directory comes last, so that no cut leaves both it and the strip whole.
fn tiff(compression: u16, strip: Vec<u8>) -> Vec<u8> {
    PageSpec::new(24, 16)
        .tag(258, Value::Shorts(vec![8; 3]))
        .short(259, compression)
        .short(262, if compression == 7 { 6 } else { 2 })
        .short(277, 3)
        .chunk(strip)
        .file()
}

/// Decodes everything; panics inside would come back as `Code::Panic`.
fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    identify(bytes);
    let mut codes = Vec::new();
    match Document::open(bytes, &LIMITS) {
        Ok(mut document) => {
            for page in 0..document.page_count() {
                codes.extend(document.probe(page).err());
                codes.extend(document.decode(page).err());
            }
        }
        Err(error) => codes.push(error),
    }
    for error in codes {
        prop_assert!(
            !matches!(error.code(), Code::Panic | Code::Internal),
            "{:?}",
            error
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_survived(
        which in 0..9_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (_, mut bytes) = samples().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survives(&bytes)?;
    }

    #[test]
    fn what_is_cut_is_never_whole(which in 0..9_usize, cut in any::<prop::sample::Index>()) {
        let (name, mut bytes) = samples().swap_remove(which);
        // The last two bytes of a TIFF directory's link may go: its pages are all there.
        let last = if name == "TIFF" { bytes.len() - 4 } else { bytes.len() };
        bytes.truncate(cut.index(last));
        let result = Document::open(&bytes, &LIMITS).and_then(|mut document| document.decode(0));
        prop_assert!(result.is_err(), "{} of {} bytes", name, bytes.len());
    }

    #[test]
    fn noise_is_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..400), start in 0..8_usize) {
        let starts: [&[u8]; 8] = [
            b"II\x2a\0\x08\0\0\0", b"MM\0\x2b\0\x08\0\0", b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n",
            b"GIF89a", b"\xff\x4f\xff\x51", b"RIFF\x40\0\0\0WEBPVP8L", b"P5 ",
        ];
        let start = starts[start];
        let len = start.len().min(bytes.len());
        bytes[..len].copy_from_slice(&start[..len]);
        survives(&bytes)?;
    }
}

#[test]
fn the_samples_themselves_are_whole() {
    for (name, bytes) in samples() {
        let mut document = Document::open(&bytes, &LIMITS).expect(name);
        let page = document.decode(0).expect(name);
        assert_eq!(
            (page.raster.width(), page.raster.height()),
            (24, 16),
            "{name}"
        );
    }
}
