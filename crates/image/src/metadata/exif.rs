//! TIFF directories: Exif blocks and the tags of TIFF files themselves, classic and `BigTIFF`.
//!
//! Values are borrowed from the file and only those of known tags are looked at, so that a TIFF of
//! any size costs a few reads and a hostile one cannot make it allocate.

use super::text;
use crate::facts::Metadata;

/// Exif 2.32 and TIFF 6.0 tag numbers.
mod tag {
    pub(super) const DESCRIPTION: u16 = 270;
    pub(super) const MAKE: u16 = 271;
    pub(super) const MODEL: u16 = 272;
    pub(super) const SOFTWARE: u16 = 305;
    pub(super) const DATE_TIME: u16 = 306;
    pub(super) const ARTIST: u16 = 315;
    pub(super) const XMP: u16 = 700;
    pub(super) const COPYRIGHT: u16 = 33_432;
    pub(super) const IPTC: u16 = 33_723;
    pub(super) const PHOTOSHOP: u16 = 34_377;
    pub(super) const EXIF_IFD: u16 = 34_665;
    pub(super) const GPS_IFD: u16 = 34_853;
    pub(super) const DATE_TIME_ORIGINAL: u16 = 36_867;
    pub(super) const DATE_TIME_DIGITIZED: u16 = 36_868;
    pub(super) const OFFSET_TIME: u16 = 36_880;
    pub(super) const OFFSET_TIME_ORIGINAL: u16 = 36_881;
    pub(super) const OFFSET_TIME_DIGITIZED: u16 = 36_882;
    pub(super) const XP_TITLE: u16 = 40_091;
    pub(super) const XP_COMMENT: u16 = 40_092;
    pub(super) const XP_AUTHOR: u16 = 40_093;
    pub(super) const XP_KEYWORDS: u16 = 40_094;
    pub(super) const GPS_LATITUDE_REF: u16 = 1;
    pub(super) const GPS_LATITUDE: u16 = 2;
    pub(super) const GPS_LONGITUDE_REF: u16 = 3;
    pub(super) const GPS_LONGITUDE: u16 = 4;
}

/// More entries than any real directory has; the rest is not looked at.
const MAX_ENTRIES: u64 = 4_096;

/// Other metadata inside a TIFF file.
#[derive(Debug, Default)]
pub(super) struct Embedded<'a> {
    pub(super) xmp: Option<&'a [u8]>,
    pub(super) iptc: Option<&'a [u8]>,
    pub(super) photoshop: Option<&'a [u8]>,
}

/// What an Exif block (or a TIFF file) says, and whether a part of it cannot be read; `None` when
/// it is no TIFF structure at all.
pub(super) fn read(bytes: &[u8]) -> Option<(Metadata, bool)> {
    let tiff = Tiff::open(bytes)?;
    let main = tiff.directory(tiff.first)?;
    let mut broken = main.broken;
    let mut sub = |pointer: u16| {
        let offset = main.unsigned(pointer)?;
        let directory = tiff.directory(offset);
        broken |= directory.as_ref().is_none_or(|directory| directory.broken);
        directory
    };
    let exif = sub(tag::EXIF_IFD);
    let gps = sub(tag::GPS_IFD);
    let mut metadata = describe(&main);
    metadata.date_digitized = date_digitized(&main, exif.as_ref());
    if let Some((latitude, longitude)) = gps.and_then(|gps| position(&gps)) {
        metadata.latitude = Some(latitude);
        metadata.longitude = Some(longitude);
    }
    Some((metadata, broken))
}

/// The XMP, IPTC and Photoshop blocks of a TIFF file.
pub(super) fn embedded(bytes: &[u8]) -> Embedded<'_> {
    let main = Tiff::open(bytes).and_then(|tiff| tiff.directory(tiff.first));
    main.map_or_else(Embedded::default, |main| Embedded {
        xmp: main.bytes(tag::XMP),
        iptc: main.bytes(tag::IPTC),
        photoshop: main.bytes(tag::PHOTOSHOP),
    })
}

fn describe(main: &Directory) -> Metadata {
    let keywords = main.wide_text(tag::XP_KEYWORDS).unwrap_or_default();
    Metadata {
        title: main.wide_text(tag::XP_TITLE),
        creator: main
            .text(tag::ARTIST)
            .or_else(|| main.wide_text(tag::XP_AUTHOR)),
        description: main
            .text(tag::DESCRIPTION)
            .or_else(|| main.wide_text(tag::XP_COMMENT)),
        subjects: keywords.split(';').filter_map(text::clean).collect(),
        rights: main.copyright(),
        scanner: text::device(main.text(tag::MAKE), main.text(tag::MODEL)),
        software: main.text(tag::SOFTWARE),
        ..Metadata::default()
    }
}

/// The date of digitisation, else that of the exposure (of a scan: the scan), else the file's.
fn date_digitized(main: &Directory, exif: Option<&Directory>) -> Option<String> {
    let sources = [
        (exif, tag::DATE_TIME_DIGITIZED, tag::OFFSET_TIME_DIGITIZED),
        (exif, tag::DATE_TIME_ORIGINAL, tag::OFFSET_TIME_ORIGINAL),
        (Some(main), tag::DATE_TIME, tag::OFFSET_TIME),
    ];
    sources.into_iter().find_map(|(directory, date, offset)| {
        let offset = exif.and_then(|exif| exif.text(offset));
        text::date(&directory?.text(date)?, offset.as_deref())
    })
}

/// Latitude and longitude in decimal degrees; both exactly 0 is a receiver without a fix.
fn position(gps: &Directory) -> Option<(f64, f64)> {
    let coordinate = |value, reference, most: f64| {
        let parts = gps.rationals(value)?;
        let degrees = parts
            .iter()
            .zip([1.0, 60.0, 3600.0])
            .map(|(part, by)| part / by);
        let degrees: f64 = degrees.sum();
        let negative = gps
            .text(reference)
            .is_some_and(|text| text.starts_with(['S', 'W', 's', 'w']));
        (degrees.is_finite() && degrees <= most).then_some(if negative {
            -degrees
        } else {
            degrees
        })
    };
    let latitude = coordinate(tag::GPS_LATITUDE, tag::GPS_LATITUDE_REF, 90.0)?;
    let longitude = coordinate(tag::GPS_LONGITUDE, tag::GPS_LONGITUDE_REF, 180.0)?;
    (latitude != 0.0 || longitude != 0.0).then_some((latitude, longitude))
}

/// A TIFF structure.
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    /// `BigTIFF`: offsets and counts have 64 bits.
    big: bool,
    first: u64,
}

impl<'a> Tiff<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let mut tiff = Self {
            bytes,
            big_endian,
            big: false,
            first: 0,
        };
        match tiff.number(2, 2)? {
            42 => tiff.first = tiff.number(4, 4)?,
            43 => {
                tiff.big = true;
                tiff.first = tiff.number(8, 8)?;
            }
            _ => return None,
        }
        Some(tiff)
    }

    /// An unsigned number of `size` bytes (at most 8).
    fn number(&self, at: u64, size: usize) -> Option<u64> {
        let bytes = self.slice(at, size as u64)?;
        Some(number(bytes, self.big_endian))
    }

    fn slice(&self, at: u64, size: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(at).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.bytes.get(start..end)
    }

    fn directory(&self, at: u64) -> Option<Directory<'a>> {
        let (count_size, entry_size) = if self.big { (8, 20) } else { (2, 12) };
        let count = self.number(at, count_size)?;
        let mut directory = Directory {
            big_endian: self.big_endian,
            entries: Vec::new(),
            broken: count > MAX_ENTRIES,
        };
        let first = at.checked_add(count_size as u64)?;
        for i in 0..count.min(MAX_ENTRIES) {
            let Some(entry) = self.slice(first + i * entry_size, entry_size) else {
                directory.broken = true;
                break;
            };
            match self.entry(entry) {
                Ok(Some(entry)) => directory.entries.push(entry),
                Ok(None) => {}
                Err(Outside) => directory.broken = true,
            }
        }
        Some(directory)
    }

    /// A known tag with its value; fails when the value lies outside of the file.
    fn entry(&self, bytes: &'a [u8]) -> Result<Option<Entry<'a>>, Outside> {
        let tag = number(&bytes[..2], self.big_endian) as u16;
        let kind = number(&bytes[2..4], self.big_endian) as u16;
        let Some(size) = size_of(kind).filter(|_| is_known(tag)) else {
            return Ok(None);
        };
        let inline = (bytes.len() - 4) / 2;
        let (count, value) = bytes[4..].split_at(inline);
        let count = number(count, self.big_endian);
        let length = count.checked_mul(size).ok_or(Outside)?;
        let data = if length <= inline as u64 {
            &value[..length as usize]
        } else {
            self.slice(number(value, self.big_endian), length)
                .ok_or(Outside)?
        };
        Ok(Some(Entry { tag, kind, data }))
    }
}

/// A value lies outside of the file.
struct Outside;

struct Directory<'a> {
    big_endian: bool,
    entries: Vec<Entry<'a>>,
    broken: bool,
}

struct Entry<'a> {
    tag: u16,
    kind: u16,
    data: &'a [u8],
}

impl<'a> Directory<'a> {
    fn find(&self, tag: u16) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.find(tag)
            .map(|entry| entry.data)
            .filter(|data| !data.is_empty())
    }

    fn text(&self, tag: u16) -> Option<String> {
        let bytes = self.bytes(tag)?;
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        text::clean(&text::decode(&bytes[..end]))
    }

    /// Photographer's and editor's copyright, separated by a NUL.
    fn copyright(&self) -> Option<String> {
        let bytes = self.bytes(tag::COPYRIGHT)?;
        let mut parts = bytes.splitn(3, |byte| *byte == 0);
        let mut part = || {
            parts
                .next()
                .and_then(|part| text::clean(&text::decode(part)))
        };
        text::join([&part(), &part()], "; ")
    }

    /// The UTF-16 texts that Windows writes.
    fn wide_text(&self, tag: u16) -> Option<String> {
        text::clean(&text::decode_utf16(self.bytes(tag)?, false))
    }

    fn unsigned(&self, tag: u16) -> Option<u64> {
        let is_integer = |entry: &&Entry| matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18);
        let entry = self.find(tag).filter(is_integer)?;
        let size = size_of(entry.kind)? as usize;
        let bytes = entry.data.get(..size)?;
        Some(number(bytes, self.big_endian))
    }

    /// Up to three fractions; a part that is not written (0/0) counts as 0, save the first.
    fn rationals(&self, tag: u16) -> Option<Vec<f64>> {
        let entry = self
            .find(tag)
            .filter(|entry| matches!(entry.kind, 5 | 10))?;
        let fraction = |pair: &[u8]| {
            let (above, below) = pair.split_at(4);
            number(above, self.big_endian) as f64 / number(below, self.big_endian) as f64
        };
        let mut parts: Vec<f64> = entry.data.chunks_exact(8).take(3).map(fraction).collect();
        for part in parts.iter_mut().skip(1) {
            *part = if part.is_nan() { 0.0 } else { *part };
        }
        (!parts.is_empty()).then_some(parts)
    }
}

fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
    if big_endian {
        bytes.iter().fold(0, add)
    } else {
        bytes.iter().rev().fold(0, add)
    }
}

/// Bytes of one value of a TIFF type.
fn size_of(kind: u16) -> Option<u64> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 | 17 | 18 => Some(8),
        _ => None,
    }
}

fn is_known(tag: u16) -> bool {
    matches!(
        tag,
        1..=4 | 270..=272 | 305 | 306 | 315 | 700 | 33_432 | 33_723 | 34_377 | 34_665 | 34_853
            | 36_867 | 36_868 | 36_880..=36_882 | 40_091..=40_094
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory at offset 8 with these entries, and data behind it.
    fn block(big_endian: bool, entries: &[(u16, u16, u32, u32)], data: &[u8]) -> Vec<u8> {
        let short = |n: u16| {
            if big_endian {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let long = |n: u32| {
            if big_endian {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let mut bytes = if big_endian {
            b"MM".to_vec()
        } else {
            b"II".to_vec()
        };
        bytes.extend(short(42));
        bytes.extend(long(8));
        bytes.extend(short(entries.len() as u16));
        for (tag, kind, count, value) in entries {
            bytes.extend(short(*tag));
            bytes.extend(short(*kind));
            bytes.extend(long(*count));
            bytes.extend(long(*value));
        }
        bytes.extend(long(0));
        bytes.extend(data);
        bytes
    }

    #[test]
    fn texts_of_both_byte_orders() {
        for big_endian in [false, true] {
            let data = b"Archiv K\xF6ln\0A\0";
            let start = 8 + 2 + 24 + 4;
            let entries = [(315, 2, 12, start), (33_432, 2, 14, start)];
            let (metadata, broken) = read(&block(big_endian, &entries, data)).unwrap();
            assert_eq!(metadata.creator.as_deref(), Some("Archiv Köln"));
            assert_eq!(metadata.rights.as_deref(), Some("Archiv Köln; A"));
            assert!(!broken);
        }
    }

    #[test]
    fn values_outside_of_the_block_are_reported_and_the_rest_is_read() {
        let text = u32::from_le_bytes(*b"abc\0");
        let entries = [
            (270, 2, 4, text),
            (315, 2, 100, 9_999),
            (305, 2, u32::MAX, 8),
        ];
        let (metadata, broken) = read(&block(false, &entries, b"")).unwrap();
        assert_eq!(metadata.description.as_deref(), Some("abc"));
        assert_eq!((metadata.creator, broken), (None, true));
    }

    #[test]
    fn directories_that_point_at_themselves_end() {
        let entries = [(34_665, 4, 1, 8), (34_853, 4, 1, 8)];
        assert!(read(&block(true, &entries, b"")).is_some());
        assert!(read(b"II*\0\xFF\xFF\xFF\xFF").is_none());
        assert!(read(b"").is_none());
    }

    #[test]
    fn positions_need_both_parts_and_a_fix() {
        let gps = |parts: [[u32; 2]; 3], reference: &[u8; 4]| {
            let data: Vec<u8> = parts
                .iter()
                .flatten()
                .flat_map(|n| n.to_le_bytes())
                .collect();
            let start = 8 + 2 + 12 + 4;
            let reference = u32::from_le_bytes(*reference);
            let entries = [
                (1, 2, 2, reference),
                (2, 5, 3, 100),
                (3, 2, 2, reference),
                (4, 5, 3, 100),
            ];
            let mut bytes = block(false, &[(34_853, 4, 1, start)], b"");
            let directory = block(false, &entries, b"");
            bytes.extend(&directory[8..]);
            bytes.resize(100, 0);
            bytes.extend(data);
            let (metadata, _) = read(&bytes).unwrap();
            metadata.latitude.zip(metadata.longitude)
        };
        let south = gps([[33, 1], [30, 1], [36, 1]], b"S\0\0\0").unwrap();
        assert!((south.0 + 33.51).abs() < 1e-9);
        let north = gps([[33, 1], [3_051, 100], [0, 0]], b"N\0\0\0").unwrap();
        assert!((north.0 - 33.5085).abs() < 1e-9);
        assert_eq!(gps([[0, 1], [0, 1], [0, 1]], b"N\0\0\0"), None);
        assert_eq!(gps([[0, 0], [0, 0], [0, 0]], b"N\0\0\0"), None);
        assert_eq!(gps([[91, 1], [0, 1], [0, 1]], b"N\0\0\0"), None);
    }
}
