//! A minimal Exif block for readers that know no XMP.

use super::Embedded;
use fonds_core::Ppi;

const ASCII: u16 = 2;
const SHORT: u16 = 3;
const RATIONAL: u16 = 5;
/// Longer texts are in the XMP packet; a JPEG segment holds 64 KB in all.
const MAX_TEXT: usize = 4_000;

/// A TIFF structure with orientation 1, resolution and texts; `None` when there is no text, for
/// then nothing in it would be news.
pub(super) fn block(embedded: &Embedded, ppi: Option<Ppi>) -> Option<Vec<u8>> {
    let texts = [
        (305, embedded.software),
        (315, embedded.artist),
        (33_432, embedded.copyright),
    ];
    if texts.iter().all(|(_, text)| text.is_none()) {
        return None;
    }
    let mut entries = vec![(274, SHORT, 1, vec![1, 0])];
    if let Some(ppi) = ppi {
        entries.push((282, RATIONAL, 1, rational_bytes(ppi.x)));
        entries.push((283, RATIONAL, 1, rational_bytes(ppi.y)));
        entries.push((296, SHORT, 1, vec![2, 0]));
    }
    for (tag, text) in texts {
        if let Some(text) = text {
            let bytes = text_bytes(text);
            entries.push((tag, ASCII, bytes.len() as u32, bytes));
        }
    }
    Some(assemble(&entries))
}

/// A positive number as numerator and denominator: whole where it is, else to a ten-thousandth.
pub(super) fn rational(value: f64) -> (u32, u32) {
    if (value - value.round()).abs() < 1e-6 {
        return (value.round() as u32, 1);
    }
    // 1e6, the largest resolution, times the largest denominator fits.
    let scale = if value < 400_000.0 { 10_000 } else { 1_000 };
    ((value * f64::from(scale)).round() as u32, scale)
}

/// UTF-8 without NULs, cut at a letter, with the closing NUL.
pub(super) fn text_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len().min(MAX_TEXT) + 1);
    for letter in text.chars().filter(|letter| *letter != '\0') {
        if bytes.len() + letter.len_utf8() > MAX_TEXT {
            break;
        }
        bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    bytes.push(0);
    bytes
}

fn rational_bytes(value: f64) -> Vec<u8> {
    let (numerator, denominator) = rational(value);
    [numerator.to_le_bytes(), denominator.to_le_bytes()].concat()
}

/// Header, one directory (entries in order of their tags), then the values that do not fit in it.
fn assemble(entries: &[(u16, u16, u32, Vec<u8>)]) -> Vec<u8> {
    let mut block = b"II\x2A\0\x08\0\0\0".to_vec();
    block.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    let mut values: Vec<u8> = Vec::new();
    let values_start = 8 + 2 + entries.len() * 12 + 4;
    for (tag, kind, count, bytes) in entries {
        block.extend_from_slice(&tag.to_le_bytes());
        block.extend_from_slice(&kind.to_le_bytes());
        block.extend_from_slice(&count.to_le_bytes());
        if bytes.len() <= 4 {
            block.extend_from_slice(bytes);
            block.resize(block.len() + 4 - bytes.len(), 0);
        } else {
            block.extend_from_slice(&((values_start + values.len()) as u32).to_le_bytes());
            values.extend_from_slice(bytes);
            values.resize(values.len().next_multiple_of(2), 0);
        }
    }
    block.extend_from_slice(&[0; 4]);
    block.extend(values);
    block
}

#[cfg(test)]
mod tests {
    use exif::{In, Reader, Tag, Value};

    use super::*;

    #[test]
    fn an_independent_reader_finds_everything() {
        let embedded = Embedded {
            copyright: Some("© Archiv Köln"),
            artist: Some("A"),
            software: Some("fonds 0.1.0"),
            xmp: None,
        };
        let block = block(&embedded, Some(Ppi { x: 300.0, y: 299.5 })).unwrap();
        let exif = Reader::new().read_raw(block).unwrap();
        let field = |tag| &exif.get_field(tag, In::PRIMARY).unwrap().value;
        let text = |tag| match field(tag) {
            Value::Ascii(texts) => String::from_utf8(texts[0].clone()).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(Tag::Copyright), "© Archiv Köln");
        assert_eq!(text(Tag::Artist), "A");
        assert_eq!(text(Tag::Software), "fonds 0.1.0");
        assert_eq!(field(Tag::Orientation).get_uint(0), Some(1));
        let Value::Rational(y) = field(Tag::YResolution) else {
            panic!()
        };
        assert_eq!(y[0].to_f64(), 299.5);
    }

    #[test]
    fn nothing_to_say_is_no_block() {
        assert_eq!(block(&Embedded::default(), Some(Ppi::square(300.0))), None);
    }

    #[test]
    fn rationals_and_long_texts_stay_in_range() {
        assert_eq!(rational(300.0), (300, 1));
        assert_eq!(rational(118.11), (1_181_100, 10_000));
        assert_eq!(rational(999_999.5), (999_999_500, 1_000));
        let long = text_bytes(&"ä".repeat(9_000));
        assert_eq!(long.len(), MAX_TEXT + 1);
        assert!(std::str::from_utf8(&long).is_ok());
    }
}
