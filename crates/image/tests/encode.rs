//! Derivatives read back with other crates than those that wrote them, where there are any.

use std::io::{self, Cursor, Seek, SeekFrom, Write};

use fonds_core::{Code, ColorModel, Depth, PixelFormat, Ppi, Raster, Samples};
use fonds_image::color::{gray_profile, srgb_profile};
use fonds_image::encode::{
    Embedded, Encoding, PngLevel, Subsampling, TiffCompression, convert, encode,
};
use image::ImageDecoder;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

const XMP: &str = "<?xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>ö";

/// A picture with structure in every channel; odd sides, so that no padding is needless.
fn picture(format: PixelFormat) -> Raster {
    let (width, height) = (37, 29);
    let channels = format.channels() as u32;
    let values = (0..width * height * channels).map(|i| {
        let (pixel, channel) = (i / channels, i % channels);
        ((pixel % width * 900 + pixel / width * 700 + channel * 9_000) % 65_536) as u16
    });
    let samples = match format.depth {
        Depth::U8 => Samples::U8(values.map(|value| (value >> 8) as u8).collect()),
        Depth::U16 => Samples::U16(values.collect()),
        Depth::F32 => Samples::F32(values.map(|value| f32::from(value) / 65_535.0).collect()),
    };
    let icc = match format.model {
        ColorModel::Gray => gray_profile(),
        ColorModel::Rgb => srgb_profile(),
    };
    Raster::from_samples(width, height, format.model, format.alpha, samples)
        .expect("whole pixels")
        .with_icc(Some(icc.into()))
        .with_ppi(Some(Ppi { x: 300.0, y: 299.5 }))
}

fn formats() -> Vec<PixelFormat> {
    let mut formats = Vec::new();
    for depth in [Depth::U8, Depth::U16, Depth::F32] {
        for model in [ColorModel::Gray, ColorModel::Rgb] {
            formats.extend([false, true].map(|alpha| PixelFormat::new(depth, model, alpha)));
        }
    }
    formats
}

fn embedded() -> Embedded<'static> {
    Embedded {
        xmp: Some(XMP),
        copyright: Some("© Archiv"),
        artist: Some("A. Müller"),
        software: Some("fonds 0.1.0"),
    }
}

fn written(raster: &Raster, encoding: Encoding) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    encode(raster, &encoding, &embedded(), &mut out).expect("memory takes it");
    out.into_inner()
}

/// The samples as 16-bit numbers of their own depth.
fn plain(raster: &Raster) -> Vec<u16> {
    match raster.samples() {
        Samples::U8(samples) => samples.iter().copied().map(u16::from).collect(),
        Samples::U16(samples) => samples.clone(),
        Samples::F32(_) => panic!("no format stores floats"),
    }
}

fn same_file_twice(raster: &Raster, encoding: Encoding) -> Vec<u8> {
    let file = written(raster, encoding);
    assert!(file == written(raster, encoding), "{encoding:?}");
    file
}

#[test]
fn png_keeps_everything() {
    for format in formats() {
        for level in [PngLevel::Fast, PngLevel::Default, PngLevel::Best] {
            let encoding = Encoding::Png { level };
            let raster = picture(format);
            let expected = convert(raster.clone(), encoding.fit(format));
            let file = same_file_twice(&raster, encoding);
            let mut decoder = image::codecs::png::PngDecoder::new(Cursor::new(&file)).unwrap();
            assert_eq!(
                decoder.icc_profile().unwrap().as_deref(),
                raster.icc().map(|icc| &icc[..])
            );
            let mut bytes = vec![0; decoder.total_bytes() as usize];
            decoder.read_image(&mut bytes).unwrap();
            let found: Vec<u16> = match encoding.fit(format).depth {
                Depth::U8 => bytes.iter().copied().map(u16::from).collect(),
                _ => bytes
                    .chunks(2)
                    .map(|b| u16::from_ne_bytes([b[0], b[1]]))
                    .collect(),
            };
            assert!(found == plain(&expected), "{format} {level:?}");
        }
    }
}

#[test]
fn png_texts_and_resolution() {
    let file = written(&picture(PixelFormat::GRAY8), Encoding::PNG);
    let reader = png::Decoder::new(Cursor::new(&file)).read_info().unwrap();
    let info = reader.info();
    let size = info.pixel_dims.unwrap();
    assert_eq!((size.xppu, size.yppu), (11_811, 11_791));
    let text = &info.utf8_text[0];
    assert_eq!(
        (&*text.keyword, text.get_text().unwrap()),
        ("XML:com.adobe.xmp", XMP.to_owned())
    );
    let texts: Vec<(&str, &str)> = info
        .uncompressed_latin1_text
        .iter()
        .map(|text| (&*text.keyword, &*text.text))
        .collect();
    let expected = [
        ("Author", "A. Müller"),
        ("Copyright", "© Archiv"),
        ("Software", "fonds 0.1.0"),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn tiff_keeps_everything() {
    let compressions = [
        TiffCompression::None,
        TiffCompression::Lzw,
        TiffCompression::Deflate,
        TiffCompression::PackBits,
    ];
    for format in formats() {
        for compression in compressions {
            let encoding = Encoding::Tiff { compression };
            let raster = picture(format);
            let expected = convert(raster.clone(), encoding.fit(format));
            let file = same_file_twice(&raster, encoding);
            let mut decoder = Decoder::new(Cursor::new(&file)).unwrap();
            let found = match decoder.read_image().unwrap() {
                DecodingResult::U8(samples) => samples.into_iter().map(u16::from).collect(),
                DecodingResult::U16(samples) => samples,
                _ => panic!("another depth"),
            };
            assert!(found == plain(&expected), "{format} {compression:?}");
            assert_eq!(
                decoder.get_tag_u8_vec(Tag::IccProfile).unwrap(),
                raster.icc().unwrap()[..]
            );
            assert_eq!(
                decoder.get_tag_u8_vec(Tag::Unknown(700)).unwrap(),
                XMP.as_bytes()
            );
            assert_eq!(decoder.get_tag_u32(Tag::Orientation).unwrap(), 1);
        }
    }
}

#[test]
fn tiff_in_many_strips_equals_its_picture() {
    // 1,500 × 1,200 × 3 bytes are 21 strips: more than are compressed at a time.
    let samples: Vec<u8> = (0..1_500 * 1_200 * 3_u32)
        .map(|i| (i / 7 % 251) as u8)
        .collect();
    let raster = Raster::from_samples(1_500, 1_200, ColorModel::Rgb, false, Samples::U8(samples));
    let raster = raster.unwrap();
    for compression in [TiffCompression::Lzw, TiffCompression::PackBits] {
        let file = written(&raster, Encoding::Tiff { compression });
        let mut decoder = Decoder::new(Cursor::new(&file)).unwrap();
        assert!(decoder.get_tag_u64_vec(Tag::StripOffsets).unwrap().len() > 16);
        let DecodingResult::U8(found) = decoder.read_image().unwrap() else {
            panic!("another depth");
        };
        assert!(found == raster.as_slice::<u8>().unwrap());
    }
}

#[test]
fn tiff_tags_are_readable_as_exif() {
    let file = written(&picture(PixelFormat::RGB16), Encoding::TIFF);
    let exif = exif::Reader::new().read_raw(file).unwrap();
    let shown = |tag| {
        let field = exif.get_field(tag, exif::In::PRIMARY).unwrap();
        field.display_value().with_unit(&exif).to_string()
    };
    assert_eq!(shown(exif::Tag::XResolution), "300 pixels per inch");
    assert_eq!(shown(exif::Tag::YResolution), "299.5 pixels per inch");
    assert_eq!(shown(exif::Tag::Software), "\"fonds 0.1.0\"");
}

#[test]
fn jpeg_is_close_and_complete() {
    for format in formats() {
        for (subsampling, progressive) in [
            (Subsampling::Full, false),
            (Subsampling::Half, false),
            (Subsampling::Quarter, false),
            (Subsampling::Quarter, true),
        ] {
            let encoding = Encoding::Jpeg {
                quality: 92,
                subsampling,
                progressive,
            };
            let raster = picture(format);
            let expected = convert(raster.clone(), encoding.fit(format));
            let file = same_file_twice(&raster, encoding);
            let mut decoder = zune_jpeg::JpegDecoder::new(Cursor::new(&file));
            decoder.decode_headers().unwrap();
            let info = decoder.info().unwrap();
            assert_eq!(
                decoder.icc_profile().as_deref(),
                raster.icc().map(|icc| &icc[..])
            );
            assert_eq!((info.width, info.height), (37, 29));
            // Version 1.02, dots per inch, 300 across and down.
            assert_eq!(&file[6..18], b"JFIF\0\x01\x02\x01\x01\x2C\x01\x2C");
            let gray = format.model == ColorModel::Gray;
            let space = if gray {
                zune_core::colorspace::ColorSpace::Luma
            } else {
                zune_core::colorspace::ColorSpace::RGB
            };
            let options = zune_core::options::DecoderOptions::default();
            decoder.set_options(options.jpeg_set_out_colorspace(space));
            let found = decoder.decode().unwrap();
            let expected = expected.as_slice::<u8>().unwrap();
            assert_eq!(found.len(), expected.len());
            let pairs = found.iter().zip(expected);
            let error: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = error as f64 / found.len() as f64;
            assert!(mean < 9.0, "{format} {encoding:?}: {mean}");
        }
    }
}

#[test]
fn jpeg_exif_and_xmp_are_where_they_belong() {
    let file = written(&picture(PixelFormat::RGB8), Encoding::JPEG);
    assert_eq!(&file[..4], b"\xFF\xD8\xFF\xE0");
    let exif = exif::Reader::new()
        .read_from_container(&mut Cursor::new(&file))
        .unwrap();
    let orientation = exif
        .get_field(exif::Tag::Orientation, exif::In::PRIMARY)
        .unwrap();
    assert_eq!(orientation.value.get_uint(0), Some(1));
    let head = b"http://ns.adobe.com/xap/1.0/\0";
    let at = file
        .windows(head.len())
        .position(|window| window == head)
        .unwrap();
    assert!(file[at + head.len()..].starts_with(XMP.as_bytes()));
    let size = usize::from(u16::from_be_bytes([file[at - 2], file[at - 1]]));
    assert_eq!(size, 2 + head.len() + XMP.len());
}

#[test]
fn webp_lossless_keeps_eight_bits() {
    for format in formats() {
        let raster = picture(format);
        let expected = convert(raster.clone(), Encoding::WEBP_LOSSLESS.fit(format));
        let file = same_file_twice(&raster, Encoding::WEBP_LOSSLESS);
        let mut decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(&file)).unwrap();
        assert_eq!(
            decoder.icc_profile().unwrap().as_deref(),
            Some(srgb_profile())
        );
        assert_eq!(
            decoder.xmp_metadata().unwrap().as_deref(),
            Some(XMP.as_bytes())
        );
        let exif = decoder.exif_metadata().unwrap().unwrap();
        assert!(exif::Reader::new().read_raw(exif).is_ok());
        let mut found = vec![0; decoder.total_bytes() as usize];
        decoder.read_image(&mut found).unwrap();
        assert!(found == expected.as_slice::<u8>().unwrap(), "{format}");
    }
}

#[test]
fn webp_lossy_is_close_and_its_container_whole() {
    for format in formats() {
        let raster = picture(format);
        let file = same_file_twice(&raster, Encoding::WEBP);
        let size = u32::from_le_bytes(file[4..8].try_into().unwrap());
        assert_eq!((&file[..4], size as usize + 8), (&b"RIFF"[..], file.len()));
        assert_eq!(&file[12..16], b"VP8X");
        let decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(&file)).unwrap();
        assert_eq!(decoder.dimensions(), (37, 29));
        assert_eq!(decoder.color_type().has_alpha(), format.alpha);
    }
}

#[test]
fn without_metadata_there_is_none() {
    let raster = Raster::new(3, 2, PixelFormat::RGB8);
    for encoding in [
        Encoding::PNG,
        Encoding::JPEG,
        Encoding::TIFF,
        Encoding::WEBP,
    ] {
        let mut out = Cursor::new(Vec::new());
        encode(&raster, &encoding, &Embedded::default(), &mut out).unwrap();
        let file = out.into_inner();
        let has = |what: &[u8]| file.windows(what.len()).any(|window| window == what);
        for what in [&b"Exif"[..], b"EXIF", b"iTXt", b"pHYs", b"acsp", b"xap"] {
            assert!(!has(what), "{encoding:?}");
        }
    }
}

#[test]
fn profiles_for_other_channels_are_left_out() {
    let raster = picture(PixelFormat::GRAY8).with_icc(Some(srgb_profile().into()));
    for encoding in [Encoding::PNG, Encoding::JPEG, Encoding::TIFF] {
        let file = written(&raster, encoding);
        assert!(
            !file
                .windows(4)
                .any(|window| window == b"iCCP" || window == b"acsp")
        );
    }
}

#[test]
fn a_fit_is_a_fixed_point() {
    let encodings = [
        Encoding::PNG,
        Encoding::JPEG,
        Encoding::TIFF,
        Encoding::WEBP,
    ];
    for encoding in encodings {
        for format in formats() {
            let fit = encoding.fit(format);
            assert!(encoding.supports(fit), "{encoding:?} {format}");
            assert_eq!(encoding.supports(format), fit == format);
        }
    }
    assert_eq!(Encoding::TIFF.fit(PixelFormat::GRAY16), PixelFormat::GRAY16);
    assert_eq!(Encoding::JPEG.fit(PixelFormat::RGBA8), PixelFormat::RGB8);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let wide = Raster::new(70_000, 1, PixelFormat::GRAY8);
    let refused = |raster: &Raster, encoding: &Encoding| {
        let mut out = Cursor::new(Vec::new());
        let error = encode(raster, encoding, &Embedded::default(), &mut out).unwrap_err();
        assert!(out.get_ref().is_empty());
        error
    };
    for encoding in [Encoding::JPEG, Encoding::WEBP] {
        let error = refused(&wide, &encoding);
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(error.hints()[0].contains("tiff"));
    }
    let small = Raster::new(1, 1, PixelFormat::GRAY8);
    for quality in [0, 101] {
        let jpeg = Encoding::Jpeg {
            quality,
            subsampling: Subsampling::Full,
            progressive: false,
        };
        assert_eq!(refused(&small, &jpeg).code(), Code::InvalidRequest);
        let webp = Encoding::WebP {
            quality: Some(quality),
        };
        assert_eq!(refused(&small, &webp).code(), Code::InvalidRequest);
    }
    assert!(written(&wide, Encoding::PNG).len() < 70_000);
}

#[test]
fn packets_too_long_for_jpeg_are_refused_by_jpeg_only() {
    let long = "x".repeat(70_000);
    let embedded = Embedded {
        xmp: Some(&long),
        ..Embedded::default()
    };
    let raster = Raster::new(1, 1, PixelFormat::GRAY8);
    for encoding in [Encoding::PNG, Encoding::TIFF, Encoding::WEBP] {
        encode(&raster, &encoding, &embedded, &mut Cursor::new(Vec::new())).unwrap();
    }
    let error = encode(
        &raster,
        &Encoding::JPEG,
        &embedded,
        &mut Cursor::new(Vec::new()),
    );
    assert_eq!(error.unwrap_err().code(), Code::InvalidRequest);
}

/// A disk that takes some bytes and is full then.
struct Full {
    left: usize,
    at: u64,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.left);
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left -= taken;
        self.at += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(self.at)
    }
}

#[test]
fn a_full_disk_is_named_as_such() {
    let raster = picture(PixelFormat::RGB16);
    let encodings = [
        Encoding::PNG,
        Encoding::JPEG,
        Encoding::TIFF,
        Encoding::WEBP,
    ];
    for encoding in encodings {
        let whole = written(&raster, encoding).len();
        for left in [0, whole / 2, whole - 1] {
            let mut out = Full { left, at: 0 };
            let error = encode(&raster, &encoding, &embedded(), &mut out).unwrap_err();
            assert_eq!(error.code(), Code::DiskFull, "{encoding:?} after {left}");
        }
    }
}
