//! IPTC-IIM 4.2 records, as they stand in Photoshop resources, TIFF tags and PNG profiles.

use super::text;
use crate::facts::Metadata;

/// More data sets than any real record has.
const MAX_DATA_SETS: usize = 10_000;
/// The mark before each data set.
const MARK: u8 = 0x1C;
/// `ESC % G`, the ISO 2022 way to announce UTF-8.
const UTF8: &[u8] = b"\x1B%G";

/// What an IIM record says, and whether a part of it cannot be read; `None` when it is none.
pub(super) fn read(bytes: &[u8]) -> Option<(Metadata, bool)> {
    if bytes.first() != Some(&MARK) {
        return None;
    }
    let (sets, broken) = data_sets(bytes);
    let announced = sets
        .iter()
        .any(|set| set.number == (1, 90) && set.value.starts_with(UTF8));
    Some((Record { sets, announced }.metadata(), broken))
}

/// The IIM record inside Photoshop image resources (`8BIM`, resource 0x0404).
pub(super) fn in_photoshop(mut bytes: &[u8]) -> Option<&[u8]> {
    while let Some(resource) = resource(bytes) {
        if resource.number == 0x0404 {
            return Some(resource.data);
        }
        bytes = resource.rest;
    }
    None
}

/// A Photoshop resource, and what follows it.
struct Resource<'a> {
    number: u16,
    data: &'a [u8],
    rest: &'a [u8],
}

fn resource(bytes: &[u8]) -> Option<Resource<'_>> {
    let head = bytes.get(..7)?;
    if !matches!(&head[..4], b"8BIM" | b"AgHg" | b"DCSR" | b"PHUT" | b"MeSa") {
        return None;
    }
    let number = u16::from_be_bytes([head[4], head[5]]);
    // A name with its length before it, both together padded to an even number.
    let after_name = 6 + (1 + usize::from(head[6])).next_multiple_of(2);
    let size = bytes.get(after_name..after_name + 4)?;
    let size = u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize;
    let data = bytes.get(after_name + 4..)?;
    Some(Resource {
        number,
        data: data.get(..size)?,
        rest: data.get(size.next_multiple_of(2)..).unwrap_or_default(),
    })
}

struct DataSet<'a> {
    number: (u8, u8),
    value: &'a [u8],
}

fn data_sets(bytes: &[u8]) -> (Vec<DataSet<'_>>, bool) {
    let mut sets = Vec::new();
    let mut rest = bytes;
    while rest.first() == Some(&MARK) && sets.len() < MAX_DATA_SETS {
        let Some((set, tail)) = data_set(rest) else {
            return (sets, true);
        };
        sets.push(set);
        rest = tail;
    }
    // Writers pad with zeros.
    let broken = rest.iter().take(64).any(|byte| *byte != 0);
    (sets, broken)
}

fn data_set(bytes: &[u8]) -> Option<(DataSet<'_>, &[u8])> {
    let head = bytes.get(..5)?;
    let size = u16::from_be_bytes([head[3], head[4]]);
    let (start, size) = if size & 0x8000 == 0 {
        (5, usize::from(size))
    } else {
        // An extended data set: the low bits are the number of bytes of the size.
        let digits = usize::from(size & 0x7FFF);
        let size = bytes.get(5..5 + digits).filter(|_| digits <= 4)?;
        let add = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
        (5 + digits, size.iter().fold(0, add))
    };
    let value = bytes.get(start..start.checked_add(size)?)?;
    let set = DataSet {
        number: (head[1], head[2]),
        value,
    };
    Some((set, &bytes[start + size..]))
}

struct Record<'a> {
    sets: Vec<DataSet<'a>>,
    announced: bool,
}

impl Record<'_> {
    fn metadata(&self) -> Metadata {
        let creators: Vec<Option<String>> = self.all(80).into_iter().map(Some).collect();
        let place = [
            self.first(92),
            self.first(90),
            self.first(95),
            self.first(101),
        ];
        Metadata {
            title: self.first(5),
            creator: text::join(&creators, "; "),
            description: self.first(120),
            subjects: self.all(25),
            location: text::join(&place, ", "),
            rights: self.first(116),
            credit: self.first(110),
            source: self.first(115),
            identifier: self.first(103),
            language: self.first(135),
            software: self.first(65),
            date_digitized: self.date(),
            ..Metadata::default()
        }
    }

    fn all(&self, number: u8) -> Vec<String> {
        let own = self.sets.iter().filter(|set| set.number == (2, number));
        own.filter_map(|set| text::clean(&self.decode(set.value)))
            .collect()
    }

    fn first(&self, number: u8) -> Option<String> {
        self.all(number).into_iter().next()
    }

    /// Without an announcement the character set is unknown: UTF-8 where it can be, as many
    /// programs forget to announce it, else Latin letters.
    fn decode(&self, bytes: &[u8]) -> String {
        if self.announced {
            String::from_utf8_lossy(bytes).into_owned()
        } else {
            text::decode(bytes)
        }
    }

    /// Digital creation date and time; the date created (2:55) is that of the original.
    fn date(&self) -> Option<String> {
        let day = self.first(62)?;
        match self.first(63) {
            Some(time) => text::date(&format!("{day}T{time}"), None),
            None => text::date(&day, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(record: u8, number: u8, value: &[u8]) -> Vec<u8> {
        let size = (value.len() as u16).to_be_bytes();
        [&[MARK, record, number], &size[..], value].concat()
    }

    #[test]
    fn character_sets() {
        let latin = read(&set(2, 5, b"K\xF6ln")).unwrap().0;
        assert_eq!(latin.title.as_deref(), Some("Köln"));
        let silent = read(&set(2, 5, "Köln".as_bytes())).unwrap().0;
        assert_eq!(silent.title.as_deref(), Some("Köln"));
        let bytes = [set(1, 90, UTF8), set(2, 5, b"K\xF6ln")].concat();
        let announced = read(&bytes).unwrap().0;
        assert_eq!(announced.title.as_deref(), Some("K\u{FFFD}ln"));
    }

    #[test]
    fn fields_lists_and_dates() {
        let bytes = [
            set(2, 25, b"dam"),
            set(2, 25, b"river"),
            set(2, 90, b"Moscow"),
            set(2, 101, b"USA"),
            set(2, 80, b"A"),
            set(2, 80, b"B"),
            set(2, 55, b"19120503"),
            set(2, 62, b"20110503"),
            set(2, 63, b"142011+0200"),
            vec![0; 3],
        ];
        let (found, broken) = read(&bytes.concat()).unwrap();
        assert_eq!(found.subjects, ["dam", "river"]);
        assert_eq!(found.location.as_deref(), Some("Moscow, USA"));
        assert_eq!(found.creator.as_deref(), Some("A; B"));
        assert_eq!(
            found.date_digitized.as_deref(),
            Some("2011-05-03T14:20:11+02:00")
        );
        assert!(!broken);
    }

    #[test]
    fn extended_and_broken_sizes() {
        let extended = [&[MARK, 2, 5, 0x80, 4, 0, 0, 0, 3][..], b"abc"].concat();
        assert_eq!(read(&extended).unwrap().0.title.as_deref(), Some("abc"));
        for broken in [
            &[MARK, 2, 5, 0x80, 200][..],
            &[MARK, 2, 5, 0, 9, 1],
            &[MARK, 2],
        ] {
            assert!(read(broken).unwrap().1, "{broken:?}");
        }
        assert!(read(b"no").is_none());
    }

    #[test]
    fn photoshop_resources_are_walked() {
        let mut bytes = b"8BIM\x04\x25\x03abc\0\0\0\x03xyz\0".to_vec();
        bytes.extend(b"8BIM\x04\x04\0\0\0\0\0\x04\x1C\x02\x05\0");
        assert_eq!(in_photoshop(&bytes), Some(&b"\x1C\x02\x05\0"[..]));
        assert_eq!(in_photoshop(b"8BIM\x04\x04\0\0\xFF\xFF\xFF\xFF"), None);
    }
}
