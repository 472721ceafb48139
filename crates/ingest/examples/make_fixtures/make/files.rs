//! Canvases as files: JPEG and PNG with what scanners write into them.

use super::Result;
use super::canvas::Canvas;
use jpeg_encoder::{ColorType, Encoder, PixelDensity, SamplingFactor};

/// What a JPEG file carries besides its pixels.
#[derive(Default)]
pub(crate) struct Extras {
    /// Pixels per inch in the JFIF header.
    pub(crate) ppi: u16,
    /// An Exif block, from `Exif\0\0` on.
    pub(crate) exif: Option<Vec<u8>>,
    /// An XMP packet.
    pub(crate) xmp: Option<String>,
    /// An IPTC-IIM block.
    pub(crate) iptc: Option<Vec<u8>>,
    /// Whether each component has a scan of its own, as some programs write it.
    pub(crate) separate_scans: bool,
}

/// A colour JPEG.
pub(crate) fn jpeg(canvas: &Canvas, quality: u8, extras: &Extras) -> Result<Vec<u8>> {
    encode(canvas, &canvas.rgb8(), ColorType::Rgb, quality, extras)
}

/// A gray JPEG.
pub(crate) fn jpeg_gray(canvas: &Canvas, quality: u8, extras: &Extras) -> Result<Vec<u8>> {
    encode(canvas, &canvas.gray8(), ColorType::Luma, quality, extras)
}

/// A CMYK JPEG as print shops make them: Adobe marker, inks inverted.
pub(crate) fn jpeg_cmyk(canvas: &Canvas, quality: u8) -> Result<Vec<u8>> {
    let inks: Vec<u8> = canvas.rgb8().chunks_exact(3).flat_map(inks).collect();
    encode(canvas, &inks, ColorType::Cmyk, quality, &Extras::default())
}

/// A PNG file of 8-bit RGB, or of gray when `gray` says so.
pub(crate) fn png(canvas: &Canvas, gray: bool, icc: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let mut info = png::Info::with_size(canvas.width as u32, canvas.height as u32);
    info.bit_depth = png::BitDepth::Eight;
    info.color_type = if gray {
        png::ColorType::Grayscale
    } else {
        png::ColorType::Rgb
    };
    info.icc_profile = icc.map(Into::into);
    // 11,811 pixels a metre are 300 an inch.
    info.pixel_dims = Some(png::PixelDimensions {
        xppu: 11_811,
        yppu: 11_811,
        unit: png::Unit::Meter,
    });
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::with_info(&mut bytes, info)?;
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    let samples = if gray { canvas.gray8() } else { canvas.rgb8() };
    writer.write_image_data(&samples)?;
    writer.finish()?;
    Ok(bytes)
}

/// An XMP packet with a title and a rights statement.
pub(crate) fn xmp(title: &str, rights: &str) -> String {
    format!(
        r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
   <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt></dc:rights>
   <dc:subject><rdf:Bag><rdf:li>portraits</rdf:li><rdf:li>studio</rdf:li></rdf:Bag></dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"#
    )
}

/// An IPTC-IIM block, as a Photoshop resource, of these data sets of record 2.
pub(crate) fn iptc(data_sets: &[(u8, &str)]) -> Vec<u8> {
    let mut records = vec![0x1c, 1, 90, 0, 3, 0x1b, b'%', b'G']; // What follows is UTF-8.
    for &(number, text) in data_sets {
        records.extend([0x1c, 2, number]);
        records.extend((text.len() as u16).to_be_bytes());
        records.extend(text.as_bytes());
    }
    let mut block = b"Photoshop 3.0\08BIM\x04\x04\0\0".to_vec();
    block.extend((records.len() as u32).to_be_bytes());
    block.extend(&records);
    block.extend(std::iter::repeat_n(0, records.len() % 2));
    block
}

fn encode(
    canvas: &Canvas,
    samples: &[u8],
    color: ColorType,
    quality: u8,
    extras: &Extras,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    let whole = color == ColorType::Cmyk;
    encoder.set_sampling_factor(if whole {
        SamplingFactor::F_1_1
    } else {
        SamplingFactor::F_2_2
    });
    // This encoder separates the components whenever it fits its tables to them.
    encoder.set_optimized_huffman_tables(extras.separate_scans);
    if extras.ppi > 0 {
        encoder.set_density(PixelDensity::dpi(extras.ppi));
    }
    if let Some(exif) = &extras.exif {
        encoder.add_app_segment(1, exif.clone())?;
    }
    if let Some(xmp) = &extras.xmp {
        let segment = [b"http://ns.adobe.com/xap/1.0/\0", xmp.as_bytes()].concat();
        encoder.add_app_segment(1, segment)?;
    }
    if let Some(iptc) = &extras.iptc {
        encoder.add_app_segment(13, iptc.clone())?;
    }
    encoder.encode(samples, canvas.width as u16, canvas.height as u16, color)?;
    Ok(bytes)
}

/// The inks of a colour, with black taken out; 0 is no ink.
fn inks(rgb: &[u8]) -> [u8; 4] {
    let white = rgb.iter().copied().max().unwrap_or(0);
    let ink = |c: usize| {
        let short = u32::from(white - rgb[c]) * 255;
        short.checked_div(u32::from(white)).unwrap_or(0) as u8
    };
    [ink(0), ink(1), ink(2), 255 - white]
}
