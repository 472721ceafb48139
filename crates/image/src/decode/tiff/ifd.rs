//! Image file directories of TIFF, `BigTIFF` and Exif: a reader that trusts no offset and no count.

use fonds_core::{Code, Error, Result};

/// A TIFF structure in memory: where multi-byte numbers start, and how wide offsets are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    wide: bool,
}

/// One directory, in file order.
#[derive(Debug, Clone)]
pub(crate) struct Ifd<'a> {
    tree: Tree<'a>,
    entries: Vec<Entry>,
    /// Offset of the directory after this one, 0 for none.
    pub(crate) next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    at: u64,
}

impl<'a> Tree<'a> {
    /// Reads the file header; gives the offset of the first directory too.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<(Self, u64)> {
        let big_endian = match bytes.get(..2) {
            Some(b"II") => false,
            Some(b"MM") => true,
            _ => return Err(Error::new(Code::Corrupt, "no TIFF byte order mark")),
        };
        let mut tree = Self {
            bytes,
            big_endian,
            wide: false,
        };
        let first = match tree.u16(2) {
            Some(42) => tree.u32(4).map(u64::from),
            Some(43) => {
                tree.wide = true;
                tree.u64(8)
            }
            Some(_) => return Err(Error::new(Code::Corrupt, "no TIFF version number")),
            None => None,
        };
        let first = first.ok_or_else(|| Error::new(Code::Truncated, "the file header is cut"))?;
        Ok((tree, first))
    }

    /// Whether numbers have their most significant byte first.
    pub(crate) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// Whether this is `BigTIFF`.
    pub(crate) fn is_big(&self) -> bool {
        self.wide
    }

    /// The bytes from `at`, as many as there are up to `len`.
    pub(crate) fn slice_up_to(&self, at: u64, len: u64) -> &'a [u8] {
        let size = self.bytes.len() as u64;
        let start = at.min(size);
        let end = start.saturating_add(len).min(size);
        self.bytes.get(start as usize..end as usize).unwrap_or(&[])
    }

    /// Reads the directory at an offset.
    pub(crate) fn ifd(&self, offset: u64) -> Result<Ifd<'a>> {
        let cut = || Error::new(Code::Truncated, format!("the directory at {offset} is cut"));
        let (count, start, size) = if self.wide {
            (self.u64(offset), offset.saturating_add(8), 20)
        } else {
            (
                self.u16(offset).map(u64::from),
                offset.saturating_add(2),
                12,
            )
        };
        let count = count.ok_or_else(cut)?;
        let end = count
            .checked_mul(size)
            .and_then(|len| len.checked_add(start));
        let end = end
            .filter(|end| *end <= self.bytes.len() as u64)
            .ok_or_else(cut)?;
        let entries = (0..count).filter_map(|index| self.entry(start + index * size));
        let entries = entries.collect();
        // Writers that forget the final pointer exist; the pages before it are fine.
        let next = self.offset(end).unwrap_or(0);
        Ok(Ifd {
            tree: *self,
            entries,
            next,
        })
    }

    fn entry(&self, at: u64) -> Option<Entry> {
        let (tag, kind) = (self.u16(at)?, self.u16(at + 2)?);
        let (count, value, inline) = if self.wide {
            (self.u64(at + 4)?, at + 12, 8)
        } else {
            (self.u32(at + 4)?.into(), at + 8, 4)
        };
        let len = count.checked_mul(kind_size(kind)?)?;
        let at = if len <= inline {
            value
        } else {
            self.offset(value)?
        };
        Some(Entry {
            tag,
            kind,
            count,
            at,
        })
    }

    fn offset(&self, at: u64) -> Option<u64> {
        if self.wide {
            self.u64(at)
        } else {
            self.u32(at).map(u64::from)
        }
    }

    fn take<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let start = usize::try_from(at).ok()?;
        let end = start.checked_add(N)?;
        let mut taken: [u8; N] = self.bytes.get(start..end)?.try_into().ok()?;
        if self.big_endian {
            taken.reverse();
        }
        Some(taken)
    }

    fn u16(&self, at: u64) -> Option<u16> {
        self.take(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: u64) -> Option<u32> {
        self.take(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: u64) -> Option<u64> {
        self.take(at).map(u64::from_le_bytes)
    }

    fn uint(&self, kind: u16, at: u64) -> Option<u64> {
        match kind {
            1 | 6 | 7 => self.take::<1>(at).map(|[byte]| byte.into()),
            3 | 8 => self.u16(at).map(u64::from),
            4 | 9 | 13 => self.u32(at).map(u64::from),
            16..=18 => self.u64(at),
            _ => None,
        }
    }

    fn float(&self, kind: u16, at: u64) -> Option<f64> {
        match kind {
            5 => Some(f64::from(self.u32(at)?) / f64::from(self.u32(at.saturating_add(4))?)),
            10 => {
                let (over, under) = (self.u32(at)? as i32, self.u32(at.saturating_add(4))? as i32);
                Some(f64::from(over) / f64::from(under))
            }
            11 => self.u32(at).map(|bits| f32::from_bits(bits).into()),
            12 => self.u64(at).map(f64::from_bits),
            _ => self.uint(kind, at).map(|value| value as f64),
        }
    }
}

impl<'a> Ifd<'a> {
    /// The structure that this directory belongs to.
    pub(crate) fn tree(&self) -> Tree<'a> {
        self.tree
    }

    /// Whether the directory has this tag.
    pub(crate) fn has(&self, tag: u16) -> bool {
        self.find(tag).is_some()
    }

    /// The first number of an integer tag.
    pub(crate) fn uint(&self, tag: u16) -> Option<u64> {
        let entry = self.find(tag).filter(|entry| entry.count > 0)?;
        self.tree.uint(entry.kind, entry.at)
    }

    /// All numbers of an integer tag; nothing when a single one lies outside the file.
    pub(crate) fn uints(&self, tag: u16) -> Option<Vec<u64>> {
        self.list(tag, Tree::uint)
    }

    /// The first number of a rational, float or integer tag, when it is finite.
    pub(crate) fn float(&self, tag: u16) -> Option<f64> {
        let entry = self.find(tag).filter(|entry| entry.count > 0)?;
        let value = self.tree.float(entry.kind, entry.at)?;
        value.is_finite().then_some(value)
    }

    /// All numbers of a rational, float or integer tag.
    pub(crate) fn floats(&self, tag: u16) -> Option<Vec<f64>> {
        self.list(tag, Tree::float)
    }

    /// The bytes of a tag, whatever its type.
    pub(crate) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.find(tag)?;
        let len = entry.count.checked_mul(kind_size(entry.kind)?)?;
        let found = self.tree.slice_up_to(entry.at, len);
        (found.len() as u64 == len).then_some(found)
    }

    fn find(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().copied().find(|entry| entry.tag == tag)
    }

    fn list<T>(&self, tag: u16, read: impl Fn(&Tree<'a>, u16, u64) -> Option<T>) -> Option<Vec<T>> {
        let entry = self.find(tag)?;
        let size = kind_size(entry.kind)?;
        let end = entry.count.checked_mul(size)?.checked_add(entry.at)?;
        if end > self.tree.bytes.len() as u64 {
            return None;
        }
        let at = |index| entry.at + index * size;
        (0..entry.count)
            .map(|index| read(&self.tree, entry.kind, at(index)))
            .collect()
    }
}

fn kind_size(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: &[u8] = &[
        b'I', b'I', 42, 0, 8, 0, 0, 0, // header
        2, 0, // two entries
        0x00, 0x01, 3, 0, 1, 0, 0, 0, 7, 0, 0, 0, // width 7
        0x1a, 0x01, 5, 0, 1, 0, 0, 0, 38, 0, 0, 0, // x resolution at 38
        0, 0, 0, 0, // no next
        0x2c, 0x01, 0, 0, 1, 0, 0, 0, // 300/1
    ];

    #[test]
    fn reads_numbers_and_rationals() {
        let (tree, first) = Tree::open(LITTLE).unwrap();
        let ifd = tree.ifd(first).unwrap();
        assert_eq!(ifd.uint(256), Some(7));
        assert_eq!(ifd.float(282), Some(300.0));
        assert_eq!(ifd.uint(257), None);
        assert_eq!(ifd.next, 0);
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_survived() {
        for len in 0..LITTLE.len() {
            walk(&LITTLE[..len]);
        }
        for at in 0..LITTLE.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut broken = LITTLE.to_vec();
                broken[at] = byte;
                walk(&broken);
            }
        }
    }

    fn walk(bytes: &[u8]) {
        if let Ok((tree, first)) = Tree::open(bytes)
            && let Ok(ifd) = tree.ifd(first)
        {
            let _ = (ifd.uints(256), ifd.floats(282), ifd.bytes(282));
        }
    }
}
