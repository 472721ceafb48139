//! TIFF: depths, byte orders, strips, tiles, planes, codecs, predictors, pages.

use fonds_core::{Code, Flag, Limits, Samples};
use fonds_image::decode::Document;
use fonds_image::sniff::identify;

use super::build::{PageSpec, Tiff, Value, decode, numbers, pack};

const WIDTH: usize = 21;
const HEIGHT: usize = 13;

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one axis of the table"
)]
struct Case {
    bits: u32,
    samples: usize,
    compression: u16,
    predictor: bool,
    big_endian: bool,
    wide: bool,
    planar: bool,
    tile: bool,
    lsb: bool,
}

#[test]
fn every_depth_layout_and_codec() {
    let mut failures = Vec::new();
    let mut count = 0;
    for bits in [1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 24, 32] {
        for (samples, planar) in [(1, false), (3, false), (3, true)] {
            for compression in [1_u16, 5, 8, 32773, 50000] {
                for variant in 0..8 {
                    let case = Case {
                        bits,
                        samples,
                        compression,
                        predictor: variant & 1 == 1 && matches!(bits, 8 | 16 | 32),
                        big_endian: variant & 2 == 2,
                        wide: variant == 5,
                        planar,
                        tile: variant & 4 == 4,
                        lsb: variant == 3,
                    };
                    count += 1;
                    if let Err(what) = check(case) {
                        failures.push(format!("{case:?}: {what}"));
                    }
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn check(case: Case) -> Result<(), String> {
    let below = 1_u64 << case.bits;
    let values = numbers(WIDTH * HEIGHT * case.samples, below, u64::from(case.bits));
    let bytes = file(case, &values);
    let page = decode(&bytes).map_err(|error| format!("{error:?}"))?;
    if page.flags.contains(&Flag::DepthReduced) != (case.bits > 16) {
        return Err(format!("flags {:?}", page.flags));
    }
    let most = (below - 1) as f64;
    for (index, value) in values.iter().enumerate() {
        let (found, white) = match page.raster.samples() {
            Samples::U8(found) => (f64::from(found[index]), 255.0),
            Samples::U16(found) => (f64::from(found[index]), 65535.0),
            Samples::F32(_) => return Err("floats".into()),
        };
        let expected = f64::from(*value) / most * white;
        if (found - expected).abs() > 0.51 {
            return Err(format!("sample {index}: {found} instead of {expected}"));
        }
    }
    Ok(())
}

fn file(case: Case, values: &[u32]) -> Vec<u8> {
    let (chunk_width, chunk_height) = if case.tile { (16, 16) } else { (WIDTH, 5) };
    let planes = if case.planar { case.samples } else { 1 };
    let mut page = PageSpec::new(WIDTH as u32, HEIGHT as u32)
        .tag(258, Value::Shorts(vec![case.bits as u16; case.samples]))
        .short(259, case.compression)
        .short(262, if case.samples == 3 { 2 } else { 1 })
        .short(277, case.samples as u16)
        .short(284, if case.planar { 2 } else { 1 })
        .short(317, if case.predictor { 2 } else { 1 });
    if case.tile {
        page.tiled = true;
        page = page.short(322, 16).short(323, 16);
    } else {
        page = page.short(278, 5);
    }
    if case.lsb {
        page = page.short(266, 2);
    }
    for plane in 0..planes {
        for top in (0..HEIGHT).step_by(chunk_height) {
            for left in (0..WIDTH).step_by(chunk_width) {
                let bottom = if case.tile {
                    top + chunk_height
                } else {
                    (top + chunk_height).min(HEIGHT)
                };
                let rows: Vec<Vec<u32>> = (top..bottom)
                    .map(|y| row(case, values, plane, y, left..left + chunk_width))
                    .collect();
                let chunk = pack(&rows, case.bits, case.big_endian);
                let chunk = compress(case.compression, &chunk);
                page = page.chunk(if case.lsb { reversed(&chunk) } else { chunk });
            }
        }
    }
    let (big_endian, wide) = (case.big_endian, case.wide);
    Tiff {
        big_endian,
        wide,
        pages: vec![page],
    }
    .bytes()
}

/// A row of a chunk with the predictor applied; zero outside the page.
fn row(
    case: Case,
    values: &[u32],
    plane: usize,
    y: usize,
    span: std::ops::Range<usize>,
) -> Vec<u32> {
    let value = |x: usize, sample: usize| {
        if x < WIDTH && y < HEIGHT {
            values[(y * WIDTH + x) * case.samples + sample]
        } else {
            0
        }
    };
    let stored = |x| -> Vec<u32> {
        if case.planar {
            vec![value(x, plane)]
        } else {
            (0..case.samples).map(|sample| value(x, sample)).collect()
        }
    };
    let mut row: Vec<u32> = span.flat_map(stored).collect();
    if case.predictor {
        let stride = if case.planar { 1 } else { case.samples };
        let mask = ((1_u64 << case.bits) - 1) as u32;
        for index in (stride..row.len()).rev() {
            row[index] = row[index].wrapping_sub(row[index - stride]) & mask;
        }
    }
    row
}

fn compress(compression: u16, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match compression {
        5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .encode(bytes)
            .unwrap(),
        8 => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        32773 => bytes
            .chunks(100)
            .flat_map(|run| [&[run.len() as u8 - 1], run].concat())
            .collect(),
        50000 => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte.reverse_bits()).collect()
}

/// Coded by libtiff 4.7 through Pillow: the picture below with photometric interpretation 1 and
/// compression `tiff_ccitt`, `group3` (with `T4Options` 0, 1, 4) and `group4`.
#[test]
fn fax_codings_of_libtiff() {
    let picture = [
        "###.#..##..#.#####.",
        "##.#.....#.##..##.#",
        "#.#....#.#.....#.#.",
        "#.....#.#....#.#...",
    ];
    let expected: Vec<u8> = picture
        .iter()
        .flat_map(|row| row.bytes())
        .map(|mark| if mark == b'#' { 0 } else { 255 })
        .collect();
    for (compression, options, hex) in [
        (2, 0, "843ef8eb1074398e9f74381d0ec74398e8741cc743b1d0f0"),
        (
            3,
            0,
            "001843ef8eb1000ba1cc74fba1c004743b1d0e63a1d0008e63a1d8e878",
        ),
        (
            3,
            1,
            "001c21f7c7588004920c2b3ba800c743b1d0e63a1d000a29241058c0",
        ),
        (
            3,
            4,
            "0001843ef8eb10000174398e9f743800011d0ec74398e87400011cc743b1d0f0",
        ),
        (4, 0, "3088f97c8e952418567754904163496292 41058c00400 4"),
    ] {
        let data = from_hex(hex);
        for lsb in [false, true] {
            let page = |data: &[u8]| {
                PageSpec::new(19, 4)
                    .short(259, compression)
                    .short(262, 1)
                    .short(266, if lsb { 2 } else { 1 })
                    .short(278, 4)
                    .tag(292, Value::Longs(vec![options]))
                    .chunk(if lsb { reversed(data) } else { data.to_vec() })
                    .file()
            };
            let what = format!("compression {compression}, options {options}, lsb {lsb}");
            let decoded = decode(&page(&data)).expect(&what);
            assert_eq!(
                decoded.raster.as_slice::<u8>(),
                Some(&expected[..]),
                "{what}"
            );
            assert_eq!(decoded.facts.bits_per_sample, 1);
            for len in 0..data.len() - 5 {
                assert!(decode(&page(&data[..len])).is_err(), "{what} cut at {len}");
            }
        }
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|pair| value(pair[0]) << 4 | value(pair[1]))
        .collect()
}

#[test]
fn floats_of_all_sizes() {
    let values = [0.0_f64, 1.0, 0.5, -0.25, 1.75, 0.125];
    let half = [0x0000_u16, 0x3c00, 0x3800, 0xb400, 0x3f00, 0x3000];
    let bytes = |bits: u16| -> Vec<u8> {
        match bits {
            16 => half.iter().flat_map(|half| half.to_le_bytes()).collect(),
            32 => values
                .iter()
                .flat_map(|value| (*value as f32).to_le_bytes())
                .collect(),
            _ => values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    };
    for bits in [16_u16, 32, 64] {
        let file = PageSpec::new(3, 2)
            .short(258, bits)
            .short(262, 1)
            .short(339, 3)
            .chunk(bytes(bits))
            .file();
        let page = decode(&file).unwrap();
        let expected: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        assert_eq!(
            page.raster.as_slice::<f32>(),
            Some(&expected[..]),
            "{bits} bits"
        );
        assert_eq!(page.flags.contains(&Flag::DepthReduced), bits == 64);
    }
}

fn gray(width: u32, height: u32) -> PageSpec {
    PageSpec::new(width, height).short(258, 8).short(262, 1)
}

#[test]
fn pages_are_full_pictures_in_order_and_none_is_lost() {
    let page = |kind: u32, value: u8| {
        gray(2, 1)
            .tag(254, Value::Longs(vec![kind]))
            .chunk(vec![value; 2])
    };
    let mut file = Tiff {
        // A picture, its thumbnail, a page, a mask, another page.
        pages: vec![page(0, 1), page(1, 2), page(2, 3), page(4, 4), page(0, 5)],
        ..Tiff::default()
    }
    .bytes();
    let mut document = Document::open(&file, &Limits::DEFAULT).unwrap();
    assert_eq!(document.page_count(), 3);
    for (index, value) in [1, 3, 5].into_iter().enumerate() {
        let page = document.decode(index as u32).unwrap();
        assert_eq!(page.raster.as_slice::<u8>(), Some(&[value; 2][..]));
        assert_eq!(document.probe(index as u32).unwrap(), page.facts);
    }
    let error = document.decode(3).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);

    drop(document);

    // The last directory's link now leads nowhere: that is a page that cannot be read.
    let end = file.len();
    file[end - 4..].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    let mut document = Document::open(&file, &Limits::DEFAULT).unwrap();
    assert_eq!(document.page_count(), 4);
    let error = document.decode(3).unwrap_err();
    assert_eq!(
        (error.code(), error.place().page),
        (Code::Truncated, Some(4))
    );

    let few = Limits {
        max_pages: 2,
        ..Limits::DEFAULT
    };
    assert_eq!(
        Document::open(&file, &few).unwrap_err().code(),
        Code::LimitsExceeded
    );
}

#[test]
fn resolution_orientation_and_identity() {
    let file = gray(3, 2)
        .short(274, 6)
        .tag(282, Value::Rational(118, 1))
        .tag(283, Value::Rational(236, 1))
        .short(296, 3)
        .chunk(vec![1, 2, 3, 4, 5, 6])
        .file();
    let page = decode(&file).unwrap();
    assert_eq!(
        (page.facts.width, page.facts.height, page.facts.orientation),
        (2, 3, 6)
    );
    assert_eq!(page.raster.as_slice::<u8>(), Some(&[4, 1, 5, 2, 6, 3][..]));
    let ppi = page.raster.ppi().unwrap();
    assert_eq!((ppi.x, ppi.y), (599.44, 299.72));
    assert_eq!(page.facts.ppi, Some(ppi));
    assert_eq!(identify(&file).puid, "fmt/353");
}

#[test]
fn sizes_that_cannot_be_true_fail_before_memory_is_taken() {
    let error = decode(&gray(1 << 30, 1 << 30).chunk(vec![0; 9]).file()).unwrap_err();
    assert_eq!(error.code(), Code::LimitsExceeded);
    assert!(!error.hints().is_empty());
    for compression in [1, 5, 8, 32773] {
        let file = gray(30_000, 30_000)
            .short(259, compression)
            .chunk(vec![0; 9])
            .file();
        assert_eq!(
            decode(&file).unwrap_err().code(),
            Code::Truncated,
            "{compression}"
        );
    }
    let many = gray(100, 100).short(278, 1).chunk(vec![0; 100]).file();
    assert_eq!(decode(&many).unwrap_err().code(), Code::Corrupt);
}

#[test]
fn strips_that_end_early_are_named() {
    let plain = gray(4, 4).short(278, 2);
    let plain = plain.chunk(vec![9; 8]).chunk(vec![9; 7]).file();
    assert_eq!(decode(&plain).unwrap_err().code(), Code::Truncated);
    let file = gray(4, 4).short(259, 32773).short(278, 2);
    let strip = [&[7_u8][..], &[9; 8]].concat();
    let file = file.chunk(strip.clone()).chunk(strip[..6].to_vec()).file();
    let error = decode(&file).unwrap_err();
    assert_eq!(error.code(), Code::Truncated);
    assert!(error.message().starts_with("strip 1: "), "{error}");
}

#[test]
fn what_is_not_decoded_says_so() {
    for (tag, value, word) in [
        (259, 34712, "JPEG 2000"),
        (259, 34925, "LZMA"),
        (262, 32803, "raw sensor data"),
        (262, 32845, "SGI Log"),
        (339, 6, "sample format"),
    ] {
        let mut page = PageSpec::new(2, 2).short(258, 8).chunk(vec![0; 4]);
        page = page.short(tag, value);
        let error = decode(&page.file()).unwrap_err();
        if error.code() != Code::UnsupportedFormat {
            assert_eq!(error.code(), Code::UnsupportedVariant, "{word}");
            assert!(error.message().contains(word), "{error}");
        }
        assert!(!error.hints().is_empty());
    }
}
