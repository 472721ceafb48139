//! TIFF files tag by tag, also ones that no decent program would write, and Exif blocks.

use std::io::Cursor;

use tiff::encoder::colortype::{ColorType, Gray8, Gray16};
use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{Compression, Predictor, Rational, TiffEncoder, TiffValue};
use tiff::tags::ResolutionUnit;

use super::Result;
use super::canvas::Canvas;

/// The value of a tag.
pub(crate) enum Value {
    Ascii(&'static str),
    Short(u16),
    Long(u32),
    Longs(Vec<u32>),
    Rational(u32, u32),
    Rationals(Vec<(u32, u32)>),
    Bytes(Vec<u8>),
    /// A directory of its own: Exif, GPS.
    Directory(Vec<(u16, Value)>),
}

/// A page: its tags and its strips. The tags of the strips are added unless they are there.
pub(crate) struct Page {
    pub(crate) tags: Vec<(u16, Value)>,
    pub(crate) strips: Vec<Vec<u8>>,
}

/// The tags that every picture needs.
pub(crate) fn picture(width: u32, height: u32, bits: u16, photometric: u16) -> Vec<(u16, Value)> {
    vec![
        (256, Value::Long(width)),
        (257, Value::Long(height)),
        (258, Value::Short(bits)),
        (259, Value::Short(1)),
        (262, Value::Short(photometric)),
        (277, Value::Short(1)),
        (278, Value::Long(height)),
    ]
}

/// A little-endian TIFF file. `next` gives the page that follows page `i`, when one does.
pub(crate) fn write(pages: Vec<Page>, next: impl Fn(usize) -> Option<usize>) -> Vec<u8> {
    let mut out = b"II\x2a\0\0\0\0\0".to_vec();
    let mut places = Vec::new();
    for page in pages {
        places.push(write_page(&mut out, page));
    }
    put(&mut out, 4, places[0].0);
    for (i, &(_, end)) in places.iter().enumerate() {
        put(&mut out, end, next(i).map_or(0, |page| places[page].0));
    }
    out
}

/// An Exif block for a JPEG file, from `Exif\0\0` on.
pub(crate) fn exif(tags: Vec<(u16, Value)>) -> Vec<u8> {
    let mut out = b"II\x2a\0\0\0\0\0".to_vec();
    let (start, _) = write_directory(&mut out, tags);
    put(&mut out, 4, start);
    [b"Exif\0\0".as_slice(), &out].concat()
}

/// A bilevel page in CCITT Group 4, 300 pixels an inch; dark pixels are ink.
pub(crate) fn fax(canvas: &Canvas) -> Result<Vec<u8>> {
    let mut encoder = fax::encoder::Encoder::new(fax::VecWriter::new());
    for row in canvas.gray8().chunks_exact(canvas.width) {
        let ink = |&v: &u8| {
            if v < 128 {
                fax::Color::Black
            } else {
                fax::Color::White
            }
        };
        encoder.encode_line(row.iter().map(ink), canvas.width as u32)?;
    }
    let strip = encoder.finish()?.finish();
    let mut tags = picture(canvas.width as u32, canvas.height as u32, 1, 0);
    tags.retain(|(tag, _)| *tag != 259);
    tags.extend([
        (259, Value::Short(4)),
        (282, Value::Rational(300, 1)),
        (283, Value::Rational(300, 1)),
        (296, Value::Short(2)),
    ]);
    Ok(write(
        vec![Page {
            tags,
            strips: vec![strip],
        }],
        |_| None,
    ))
}

/// Gray pages in 8 bits, LZW, 200 pixels an inch.
pub(crate) fn pages(canvases: &[Canvas]) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file)?.with_compression(Compression::Lzw);
    for canvas in canvases {
        add::<_, Gray8>(&mut encoder, canvas, &canvas.gray8(), 200)?;
    }
    Ok(file.into_inner())
}

/// Gray in 16 bits, Deflate with differences, 600 pixels an inch.
pub(crate) fn deep(canvas: &Canvas) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file)?
        .with_compression(Compression::Deflate(DeflateLevel::Best))
        .with_predictor(Predictor::Horizontal);
    add::<_, Gray16>(&mut encoder, canvas, &canvas.gray16(), 600)?;
    Ok(file.into_inner())
}

fn add<W, C>(
    encoder: &mut TiffEncoder<W>,
    canvas: &Canvas,
    samples: &[C::Inner],
    ppi: u32,
) -> Result<()>
where
    W: std::io::Write + std::io::Seek,
    C: ColorType,
    [C::Inner]: TiffValue,
{
    let mut image = encoder.new_image::<C>(canvas.width as u32, canvas.height as u32)?;
    image.resolution(ResolutionUnit::Inch, Rational { n: ppi, d: 1 });
    image.write_data(samples)?;
    Ok(())
}

/// Where the page's directory begins, and where its pointer to the next one lies.
fn write_page(out: &mut Vec<u8>, page: Page) -> (u32, usize) {
    let Page { mut tags, strips } = page;
    let offsets = strips.iter().map(|strip| append(out, strip)).collect();
    let counts = strips.iter().map(|strip| strip.len() as u32).collect();
    for (tag, value) in [(273, Value::Longs(offsets)), (279, Value::Longs(counts))] {
        if !tags.iter().any(|(there, _)| *there == tag) {
            tags.push((tag, value));
        }
    }
    write_directory(out, tags)
}

fn write_directory(out: &mut Vec<u8>, mut tags: Vec<(u16, Value)>) -> (u32, usize) {
    tags.sort_by_key(|(tag, _)| *tag);
    let count = tags.len() as u16;
    let mut directory = count.to_le_bytes().to_vec();
    for (tag, value) in tags {
        let (kind, count, mut bytes) = value.encode(out);
        if bytes.len() > 4 {
            bytes = append(out, &bytes).to_le_bytes().to_vec();
        }
        bytes.resize(4, 0);
        directory.extend(tag.to_le_bytes());
        directory.extend(kind.to_le_bytes());
        directory.extend(count.to_le_bytes());
        directory.extend(bytes);
    }
    directory.extend([0; 4]);
    let start = append(out, &directory);
    (start, start as usize + directory.len() - 4)
}

impl Value {
    /// Type, count and bytes; a directory is appended to the file first.
    fn encode(self, out: &mut Vec<u8>) -> (u16, u32, Vec<u8>) {
        let longs = |values: &[u32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        match self {
            Self::Ascii(text) => {
                let bytes = [text.as_bytes(), b"\0"].concat();
                (2, bytes.len() as u32, bytes)
            }
            Self::Short(value) => (3, 1, value.to_le_bytes().to_vec()),
            Self::Long(value) => (4, 1, longs(&[value])),
            Self::Longs(values) => (4, values.len() as u32, longs(&values)),
            Self::Rational(n, d) => (5, 1, longs(&[n, d])),
            Self::Rationals(values) => {
                let flat: Vec<u32> = values.iter().flat_map(|&(n, d)| [n, d]).collect();
                (5, values.len() as u32, longs(&flat))
            }
            Self::Bytes(bytes) => (7, bytes.len() as u32, bytes),
            Self::Directory(tags) => {
                let (start, _) = write_directory(out, tags);
                (4, 1, longs(&[start]))
            }
        }
    }
}

/// Appends at an even offset, as TIFF wants it.
fn append(out: &mut Vec<u8>, bytes: &[u8]) -> u32 {
    out.resize(out.len().next_multiple_of(2), 0);
    let start = out.len() as u32;
    out.extend_from_slice(bytes);
    start
}

fn put(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
