//! Small files put together byte by byte, and a short way to decode them.

use fonds_core::{Limits, Result};
use fonds_image::decode::{Document, Page};

/// Decodes the first page of a file.
pub(crate) fn decode(bytes: &[u8]) -> Result<Page> {
    Document::open(bytes, &Limits::DEFAULT)?.decode(0)
}

/// The value of a tag.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Shorts(Vec<u16>),
    Longs(Vec<u32>),
    Rational(u32, u32),
    Bytes(Vec<u8>),
}

/// A TIFF file of one or more pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tiff {
    pub(crate) big_endian: bool,
    pub(crate) wide: bool,
    pub(crate) pages: Vec<PageSpec>,
}

/// A page: its tags and the bytes of its strips or tiles, whose place is filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct PageSpec {
    pub(crate) tags: Vec<(u16, Value)>,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) tiled: bool,
}

impl PageSpec {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self::default()
            .tag(256, Value::Longs(vec![width]))
            .tag(257, Value::Longs(vec![height]))
    }

    pub(crate) fn tag(mut self, tag: u16, value: Value) -> Self {
        self.tags.push((tag, value));
        self
    }

    pub(crate) fn short(self, tag: u16, value: u16) -> Self {
        self.tag(tag, Value::Shorts(vec![value]))
    }

    pub(crate) fn chunk(mut self, bytes: Vec<u8>) -> Self {
        self.chunks.push(bytes);
        self
    }

    pub(crate) fn file(self) -> Vec<u8> {
        Tiff {
            pages: vec![self],
            ..Tiff::default()
        }
        .bytes()
    }
}

impl Tiff {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(if self.big_endian { b"MM" } else { b"II" });
        self.u16(&mut out, if self.wide { 43 } else { 42 });
        if self.wide {
            self.u16(&mut out, 8);
            self.u16(&mut out, 0);
        }
        let mut link = out.len();
        self.offset(&mut out, 0);
        for page in &self.pages {
            let offsets: Vec<u32> = page
                .chunks
                .iter()
                .map(|chunk| append(&mut out, chunk))
                .collect();
            let counts = page.chunks.iter().map(|chunk| chunk.len() as u32).collect();
            let mut tags = page.tags.clone();
            let (at, len) = if page.tiled { (324, 325) } else { (273, 279) };
            tags.push((at, Value::Longs(offsets)));
            tags.push((len, Value::Longs(counts)));
            tags.sort_by_key(|(tag, _)| *tag);
            link = self.directory(&mut out, link, &tags);
        }
        out
    }

    fn directory(&self, out: &mut Vec<u8>, link: usize, tags: &[(u16, Value)]) -> usize {
        let values: Vec<(u16, u32, Vec<u8>)> =
            tags.iter().map(|(_, value)| self.value(value)).collect();
        let inline = if self.wide { 8 } else { 4 };
        let places: Vec<Option<u32>> = values
            .iter()
            .map(|(_, _, bytes)| (bytes.len() > inline).then(|| append(out, bytes)))
            .collect();
        let start = append(out, &[]);
        let mut pointer = Vec::new();
        self.offset(&mut pointer, start);
        out[link..link + pointer.len()].copy_from_slice(&pointer);
        if self.wide {
            self.u64(out, tags.len() as u64);
        } else {
            self.u16(out, tags.len() as u16);
        }
        for (((tag, _), (kind, count, bytes)), place) in tags.iter().zip(&values).zip(places) {
            self.u16(out, *tag);
            self.u16(out, *kind);
            self.offset(out, *count);
            let field = out.len();
            match place {
                Some(place) => self.offset(out, place),
                None => out.extend(bytes),
            }
            out.resize(field + inline, 0);
        }
        let next = out.len();
        self.offset(out, 0);
        next
    }

    fn value(&self, value: &Value) -> (u16, u32, Vec<u8>) {
        let mut bytes = Vec::new();
        match value {
            Value::Shorts(list) => {
                for number in list {
                    self.u16(&mut bytes, *number);
                }
                (3, list.len() as u32, bytes)
            }
            Value::Longs(list) => {
                for number in list {
                    self.u32(&mut bytes, *number);
                }
                (4, list.len() as u32, bytes)
            }
            Value::Rational(over, under) => {
                self.u32(&mut bytes, *over);
                self.u32(&mut bytes, *under);
                (5, 1, bytes)
            }
            Value::Bytes(list) => (7, list.len() as u32, list.clone()),
        }
    }

    pub(crate) fn u16(&self, out: &mut Vec<u8>, value: u16) {
        out.extend(if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    pub(crate) fn u32(&self, out: &mut Vec<u8>, value: u32) {
        out.extend(if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    fn u64(&self, out: &mut Vec<u8>, value: u64) {
        out.extend(if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    fn offset(&self, out: &mut Vec<u8>, value: u32) {
        if self.wide {
            self.u64(out, value.into());
        } else {
            self.u32(out, value);
        }
    }
}

/// Appends bytes at an even offset, which it gives.
fn append(out: &mut Vec<u8>, bytes: &[u8]) -> u32 {
    if out.len() % 2 == 1 {
        out.push(0);
    }
    let at = out.len() as u32;
    out.extend(bytes);
    at
}

/// Samples of `bits` bits, highest bit first, each row starting on a byte; 16, 24 and 32 bits as
/// whole numbers in the file's order.
pub(crate) fn pack(rows: &[Vec<u32>], bits: u32, big_endian: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        let mut line = vec![0_u8; (row.len() * bits as usize).div_ceil(8)];
        for (index, sample) in row.iter().enumerate() {
            for bit in 0..bits {
                let at = index * bits as usize + bit as usize;
                let set = sample >> (bits - 1 - bit) & 1;
                line[at / 8] |= (set as u8) << (7 - at % 8);
            }
        }
        if !big_endian && matches!(bits, 16 | 24 | 32) {
            line.chunks_exact_mut(bits as usize / 8)
                .for_each(<[u8]>::reverse);
        }
        out.extend(line);
    }
    out
}

/// Reproducible numbers below `below`.
pub(crate) fn numbers(count: usize, below: u64, seed: u64) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) % below
    };
    (0..count).map(|_| next() as u32).collect()
}
