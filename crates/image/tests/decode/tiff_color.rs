//! TIFF: what samples mean.

use fonds_core::{Code, Flag, PixelFormat, Samples};

use super::build::{PageSpec, Value, decode, numbers};

fn page(photometric: u16, samples: u16) -> PageSpec {
    PageSpec::new(2, 1)
        .tag(258, Value::Shorts(vec![8; samples.into()]))
        .short(262, photometric)
        .short(277, samples)
}

fn bytes_of(file: &[u8]) -> Vec<u8> {
    decode(file)
        .unwrap()
        .raster
        .as_slice::<u8>()
        .unwrap()
        .to_vec()
}

#[test]
fn white_is_zero_is_inverted() {
    assert_eq!(bytes_of(&page(0, 1).chunk(vec![0, 200]).file()), [255, 55]);
    let words = PageSpec::new(2, 1)
        .short(258, 16)
        .short(262, 0)
        .chunk(vec![1, 0, 0, 0x80])
        .file();
    let decoded = decode(&words).unwrap();
    assert_eq!(decoded.raster.as_slice::<u16>(), Some(&[65534, 32767][..]));
    assert_eq!(decoded.facts.color_space, "WhiteIsZero");
}

#[test]
fn alpha_straight_associated_or_unspecified() {
    let pixels = vec![100, 50, 25, 128, 10, 20, 30, 0];
    let file = |extra: u16| page(2, 4).short(338, extra).chunk(pixels.clone()).file();
    let straight = decode(&file(2)).unwrap();
    assert_eq!(straight.raster.format(), PixelFormat::RGBA8);
    assert_eq!(straight.raster.as_slice::<u8>(), Some(&pixels[..]));
    assert_eq!(bytes_of(&file(1)), [199, 100, 50, 128, 10, 20, 30, 0]);
    let dropped = decode(&file(0)).unwrap();
    assert_eq!(
        dropped.raster.as_slice::<u8>(),
        Some(&[100, 50, 25, 10, 20, 30][..])
    );
    assert!(dropped.flags.contains(&Flag::ExtraSamplesDropped));
    let gray = page(1, 2).short(338, 2).chunk(vec![7, 8, 9, 10]).file();
    assert_eq!(bytes_of(&gray), [7, 8, 9, 10]);
    assert!(decode(&gray).unwrap().raster.format().alpha);
}

#[test]
fn dropped_planes_need_not_exist() {
    let file = page(1, 2).short(284, 2).short(338, 0);
    let file = file.chunk(vec![5, 6]).chunk(Vec::new()).file();
    assert_eq!(bytes_of(&file), [5, 6]);
}

#[test]
fn palettes_of_all_widths() {
    for bits in [1_u16, 2, 4, 8] {
        let count = 1_usize << bits;
        let entries: Vec<u16> = numbers(3 * count, 256, bits.into())
            .iter()
            .map(|n| *n as u16 * 257)
            .collect();
        let last = count - 1;
        let index = [(last as u8) << (8 - bits)];
        let mut data = vec![index[0]];
        if bits == 8 {
            data.push(0);
        }
        let file = PageSpec::new(2, 1)
            .short(258, bits)
            .short(262, 3)
            .tag(320, Value::Shorts(entries.clone()))
            .chunk(data)
            .file();
        let color =
            |index: usize| [0, 1, 2].map(|channel| (entries[channel * count + index] >> 8) as u8);
        let expected = [color(last), color(0)].concat();
        assert_eq!(bytes_of(&file), expected, "{bits} bits");
        let page = decode(&file).unwrap();
        assert_eq!(
            (page.facts.color_space, page.facts.bits_per_sample),
            ("PaletteColor", bits)
        );
        assert!(!page.flags.contains(&Flag::ColorConverted));
    }
}

#[test]
fn palettes_keep_sixteen_bits_where_they_have_them() {
    let entries = vec![0, 0x1234, 0, 0xffff, 0, 0x8001];
    let file = PageSpec::new(2, 1).short(258, 1).short(262, 3);
    let file = file
        .tag(320, Value::Shorts(entries))
        .chunk(vec![0b1000_0000])
        .file();
    let expected = vec![0x1234, 0xffff, 0x8001, 0, 0, 0];
    assert_eq!(
        *decode(&file).unwrap().raster.samples(),
        Samples::U16(expected)
    );
}

#[test]
fn inks_become_light_and_are_flagged() {
    let inks = vec![0, 0, 0, 0, 255, 0, 0, 128];
    let interleaved = page(5, 4).chunk(inks).file();
    let decoded = decode(&interleaved).unwrap();
    assert_eq!(
        decoded.raster.as_slice::<u8>(),
        Some(&[255, 255, 255, 0, 127, 127][..])
    );
    assert!(decoded.flags.contains(&Flag::ColorConverted));
    assert_eq!(decoded.notes.len(), 1);
    assert_eq!(
        (decoded.facts.color_space, decoded.facts.samples_per_pixel),
        ("CMYK", 4)
    );
    let planes = page(5, 4).short(284, 2);
    let planes = [[0, 255], [0, 0], [0, 0], [0, 128]]
        .into_iter()
        .fold(planes, |page, plane| page.chunk(plane.to_vec()));
    assert_eq!(bytes_of(&planes.file()), [255, 255, 255, 0, 127, 127]);
}

#[test]
fn luma_and_chroma_in_blocks() {
    // 3 × 3 pixels in blocks of 2 × 2: four lumas, Cb, Cr.
    let gray = |a: u8, b: u8, c: u8, d: u8| vec![a, b, c, d, 128, 128];
    let blocks = [
        gray(1, 2, 4, 5),
        gray(3, 0, 6, 0),
        gray(7, 8, 0, 0),
        gray(9, 0, 0, 0),
    ]
    .concat();
    let file = PageSpec::new(3, 3)
        .tag(258, Value::Shorts(vec![8; 3]))
        .short(262, 6)
        .short(277, 3)
        .tag(530, Value::Shorts(vec![2, 2]))
        .chunk(blocks)
        .file();
    let expected: Vec<u8> = (1..=9).flat_map(|value| [value; 3]).collect();
    assert_eq!(bytes_of(&file), expected);
    let red = page(6, 3)
        .tag(530, Value::Shorts(vec![1, 1]))
        .chunk(vec![76, 85, 255, 150, 44, 21])
        .file();
    let rgb = bytes_of(&red);
    for (found, expected) in rgb.iter().zip([254_u8, 0, 0, 0, 255, 1]) {
        assert!(found.abs_diff(expected) <= 3, "{rgb:?}");
    }
}

#[test]
fn lab_becomes_srgb() {
    // L 100 and L 53.6 without colour, then L 54.3, a 81, b 70: sRGB red.
    let file = |photometric: u16, pixels: Vec<u8>| page(photometric, 3).chunk(pixels).file();
    let neutral = bytes_of(&file(8, vec![255, 0, 0, 137, 0, 0]));
    assert!(
        neutral[..3].iter().all(|sample| *sample >= 254),
        "{neutral:?}"
    );
    assert!(
        neutral[3..].iter().all(|sample| sample.abs_diff(128) <= 2),
        "{neutral:?}"
    );
    for (photometric, red) in [(8, [138, 81, 70]), (9, [138, 209, 198])] {
        let decoded = bytes_of(&file(photometric, [red, red].concat()));
        for (found, expected) in decoded.iter().zip([255_u8, 0, 0]) {
            assert!(found.abs_diff(expected) <= 6, "{photometric}: {decoded:?}");
        }
    }
}

#[test]
fn profiles_must_fit_the_pixels() {
    let rgb = moxcms::ColorProfile::new_srgb().encode().unwrap();
    let file = |icc: Vec<u8>, photometric, samples| {
        let page = page(photometric, samples).tag(34675, Value::Bytes(icc));
        decode(&page.chunk(vec![0; 2 * usize::from(samples)]).file()).unwrap()
    };
    let fits = file(rgb.clone(), 2, 3);
    assert_eq!(fits.raster.icc().map(|icc| icc.to_vec()), Some(rgb.clone()));
    assert!(fits.facts.icc_profile.is_some());
    let wrong = file(rgb.clone(), 1, 1);
    assert!(wrong.raster.icc().is_none() && wrong.flags.contains(&Flag::IccMismatch));
    let broken = file(rgb[..200].to_vec(), 2, 3);
    assert!(broken.raster.icc().is_none() && broken.flags.contains(&Flag::IccInvalid));
}

#[test]
fn jpeg_strips_with_shared_or_own_tables() {
    let mut stream = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut stream, 95);
    let pixels: Vec<u8> = (0..32 * 16)
        .flat_map(|i| [(i % 32) * 8, (i / 32) * 16, 128].map(|v| v as u8))
        .collect();
    encoder
        .encode(&pixels, 32, 16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    let file = PageSpec::new(32, 16)
        .tag(258, Value::Shorts(vec![8; 3]))
        .short(259, 7)
        .short(262, 6)
        .short(277, 3)
        .tag(530, Value::Shorts(vec![2, 2]));
    let whole = decode(&file.clone().chunk(stream.clone()).file()).unwrap();
    let off = whole.raster.as_slice::<u8>().unwrap().iter().zip(&pixels);
    assert!(
        off.clone()
            .all(|(found, expected)| found.abs_diff(*expected) < 24)
    );
    assert_eq!(whole.facts.compression_scheme, "JPEG");

    // All segments before the frame header become tables of the page.
    let frame = stream
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    let tables = [&stream[..frame], &[0xff, 0xd9]].concat();
    let rest = [&[0xff, 0xd8], &stream[frame..]].concat();
    let split = file
        .clone()
        .tag(347, Value::Bytes(tables))
        .chunk(rest)
        .file();
    assert_eq!(decode(&split).unwrap().raster, whole.raster);

    let cut = file.chunk(stream[..stream.len() - 40].to_vec()).file();
    assert_eq!(decode(&cut).unwrap_err().code(), Code::Truncated);
}
