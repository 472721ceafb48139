//! Writes one picture in every format, depth and compression with its label, and reads the label
//! back: `cargo run -p fonds-image --example write_derivative [FOLDER]`.
//!
//! Sample `(x, y, channel)` of the picture is `(400 x + 300 y + 9000 channel) mod 65536` in 16
//! bits, and the upper half of that in 8; `tools/check_encode.py` compares other programs' reading
//! of the files with it.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::fs::File;
use std::path::PathBuf;

use fonds_core::{ColorModel, Depth, Digest, PixelFormat, Ppi, Raster, Result, Samples};
use fonds_image::encode::{Embedded, Encoding, PngLevel, Subsampling, TiffCompression, encode};
use fonds_image::metadata::label::{DerivedFrom, HistoryEvent, Label};
use fonds_image::sniff::Format;
use fonds_image::{color, metadata};

const WIDTH: u32 = 96;
const HEIGHT: u32 = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("fonds-write-derivative"));
    std::fs::create_dir_all(&folder)?;
    let packet = label().to_packet();
    let embedded = Embedded {
        xmp: Some(&packet),
        copyright: Some("© Stadtarchiv Köln"),
        artist: Some("A. Müller"),
        software: Some("fonds 0.1.0"),
    };
    for raster in rasters() {
        for (name, format, encoding) in encodings() {
            let file = format!(
                "{}-{name}.{}",
                describe(raster.format()),
                encoding.extension()
            );
            let path = folder.join(file);
            encode(&raster, &encoding, &embedded, &mut File::create(&path)?)?;
            let bytes = std::fs::read(&path)?;
            let (found, flags) = metadata::read(&bytes, format);
            println!(
                "{:>7} bytes  {}  title {:?}  flags {flags:?}",
                bytes.len(),
                path.display(),
                found.title.unwrap_or_default(),
            );
        }
    }
    Ok(())
}

fn label() -> Label {
    let step = |action: &str, parameters: &str| HistoryEvent {
        action: action.into(),
        parameters: Some(parameters.into()),
        changed: Some("/".into()),
        software_agent: Some("fonds 0.1.0".into()),
    };
    Label {
        title: Some("Brücke <1905> & Damm (AI restored)".into()),
        creator: Some("A. Müller; B. Schmidt".into()),
        description: Some("The bridge, seen from the south".into()),
        subjects: vec!["bridges".into(), "rivers".into()],
        rights: Some("© Stadtarchiv Köln".into()),
        rights_uri: Some("http://rightsstatements.org/vocab/NoC-US/1.0/".into()),
        source: Some("a/IMG_1.tif".into()),
        identifier: Some("Best. 7, Nr. 12".into()),
        alt_text: Some("A stone bridge".into()),
        derived_from: Some(DerivedFrom {
            path: "a/IMG_1.tif".into(),
            sha256: Digest::of(b"the original"),
        }),
        document: Some(Digest::of(b"the derivative")),
        digital_source_type: Some(
            "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
                .into(),
        ),
        ai_system_used: Some("carn_m".into()),
        ai_system_version_used: Some("1.0 sha256:ba7816bf".into()),
        creator_tool: Some("fonds 0.1.0".into()),
        history: vec![step("edited", "rotated by 1.25°"), step("saved", "png")],
        notice: Some("AI-restored derivative; the unaltered original is a/IMG_1.tif".into()),
        ..Label::default()
    }
}

fn rasters() -> Vec<Raster> {
    let mut rasters = Vec::new();
    for model in [ColorModel::Gray, ColorModel::Rgb] {
        for alpha in [false, true] {
            for depth in [Depth::U8, Depth::U16] {
                rasters.push(picture(PixelFormat::new(depth, model, alpha)));
            }
        }
    }
    rasters
}

fn picture(format: PixelFormat) -> Raster {
    let channels = format.channels() as u32;
    let samples = (0..WIDTH * HEIGHT * channels).map(|i| {
        let (pixel, channel) = (i / channels, i % channels);
        ((pixel % WIDTH * 400 + pixel / WIDTH * 300 + channel * 9000) % 65_536) as u16
    });
    let samples = match format.depth {
        Depth::U8 => Samples::U8(samples.map(|sample| (sample >> 8) as u8).collect()),
        Depth::U16 | Depth::F32 => Samples::U16(samples.collect()),
    };
    let icc = match format.model {
        ColorModel::Gray => color::gray_profile(),
        ColorModel::Rgb => color::srgb_profile(),
    };
    Raster::from_samples(WIDTH, HEIGHT, format.model, format.alpha, samples)
        .expect("as many samples as pixels and channels")
        .with_icc(Some(icc.into()))
        .with_ppi(Some(Ppi { x: 300.0, y: 299.5 }))
}

fn encodings() -> Vec<(&'static str, Format, Encoding)> {
    let png = |level| Encoding::Png { level };
    let jpeg = |subsampling, progressive| Encoding::Jpeg {
        quality: 90,
        subsampling,
        progressive,
    };
    let tiff = |compression| Encoding::Tiff { compression };
    vec![
        ("fast", Format::Png, png(PngLevel::Fast)),
        ("default", Format::Png, png(PngLevel::Default)),
        ("best", Format::Png, png(PngLevel::Best)),
        ("444", Format::Jpeg, jpeg(Subsampling::Full, false)),
        ("422", Format::Jpeg, jpeg(Subsampling::Half, false)),
        ("420", Format::Jpeg, jpeg(Subsampling::Quarter, false)),
        ("progressive", Format::Jpeg, jpeg(Subsampling::Full, true)),
        ("none", Format::Tiff, tiff(TiffCompression::None)),
        ("lzw", Format::Tiff, tiff(TiffCompression::Lzw)),
        ("deflate", Format::Tiff, tiff(TiffCompression::Deflate)),
        ("packbits", Format::Tiff, tiff(TiffCompression::PackBits)),
        ("lossy", Format::WebP, Encoding::WEBP),
        ("lossless", Format::WebP, Encoding::WEBP_LOSSLESS),
    ]
}

fn describe(format: PixelFormat) -> String {
    let model = match format.model {
        ColorModel::Gray => "gray",
        ColorModel::Rgb => "rgb",
    };
    let alpha = if format.alpha { "a" } else { "" };
    format!("{model}{alpha}{}", format.depth.bytes() * 8)
}
