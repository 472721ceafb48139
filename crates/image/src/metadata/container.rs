//! Where each format keeps its metadata: walks the headers and hands out the blocks, unread.

use std::borrow::Cow;
use std::io::Read as _;

use super::{exif, iptc, text};
use crate::sniff::Format;

/// The compressed texts of a file are unpacked up to this size altogether, and so is what is put
/// together from parts.
const MAX_UNPACKED: usize = 16 << 20;
/// More blocks of a kind than any real file has.
const MAX_BLOCKS: usize = 256;

/// The blocks of one file, in file order.
#[derive(Debug, Default)]
pub(super) struct Blocks<'a> {
    pub(super) exif: Vec<Cow<'a, [u8]>>,
    pub(super) xmp: Vec<Cow<'a, [u8]>>,
    pub(super) iptc: Vec<Cow<'a, [u8]>>,
    /// Keyword and text of PNG.
    pub(super) texts: Vec<(String, String)>,
    /// A block is there and cannot be unpacked.
    pub(super) broken: bool,
    unpacked: usize,
}

impl<'a> Blocks<'a> {
    /// The metadata blocks of a file.
    pub(super) fn find(bytes: &'a [u8], format: Format) -> Self {
        let mut blocks = Self::default();
        match format {
            Format::Jpeg => blocks.jpeg(bytes),
            Format::Tiff => blocks.tiff(bytes),
            Format::Png => blocks.png(bytes),
            Format::WebP => blocks.webp(bytes),
            Format::Gif => blocks.gif(bytes),
            Format::Jpeg2000 => blocks.jpeg2000(bytes),
            Format::Bmp | Format::Pnm => {}
        }
        blocks
    }

    fn add_exif(&mut self, block: impl Into<Cow<'a, [u8]>>) {
        if self.exif.len() < MAX_BLOCKS {
            self.exif.push(strip(block.into(), b"Exif\0\0"));
        }
    }

    fn add_xmp(&mut self, block: impl Into<Cow<'a, [u8]>>) {
        if self.xmp.len() < MAX_BLOCKS {
            self.xmp.push(block.into());
        }
    }

    /// An IIM record, bare or inside Photoshop resources.
    fn add_iptc(&mut self, block: Cow<'a, [u8]>) {
        let record = match block {
            Cow::Borrowed(block) if block.starts_with(b"8BIM") => {
                iptc::in_photoshop(block).map(Cow::Borrowed)
            }
            Cow::Owned(block) if block.starts_with(b"8BIM") => {
                iptc::in_photoshop(&block).map(|record| record.to_vec().into())
            }
            bare => Some(bare),
        };
        if let Some(record) = record.filter(|record| !record.is_empty())
            && self.iptc.len() < MAX_BLOCKS
        {
            self.iptc.push(record);
        }
    }

    /// Segments up to the first scan.
    fn jpeg(&mut self, bytes: &'a [u8]) {
        let mut photoshop = Vec::new();
        let mut extended = Vec::new();
        for (marker, data) in JpegSegments(bytes.get(2..).unwrap_or_default()) {
            if let (0xE1, Some(block)) = (marker, data.strip_prefix(b"Exif\0")) {
                self.add_exif(block.get(1..).unwrap_or_default());
            } else if let (0xE1, Some(block)) = (marker, data.strip_prefix(XMP)) {
                self.add_xmp(block);
            } else if let (0xE1, Some(block)) = (marker, data.strip_prefix(EXTENDED_XMP)) {
                extended.push(block);
            } else if let (0xED, Some(block)) = (marker, data.strip_prefix(b"Photoshop 3.0\0")) {
                photoshop.extend_from_slice(block);
            }
        }
        if photoshop.starts_with(b"8BIM") {
            self.add_iptc(photoshop.into());
        }
        self.join_extended(&extended);
    }

    /// Joins the parts of an extended packet that the main packet names by its digest.
    fn join_extended(&mut self, parts: &[&'a [u8]]) {
        let named = |name: &[u8]| {
            let mut packets = self.xmp.iter();
            packets.any(|packet| packet.windows(name.len()).any(|window| window == name))
        };
        let Some(name) = parts
            .iter()
            .find_map(|part| part.get(..32))
            .filter(|name| named(name))
        else {
            return;
        };
        let mut own: Vec<(u32, &[u8])> = parts
            .iter()
            .filter(|part| part.starts_with(name))
            .filter_map(|part| Some((u32_be(part, 36)?, part.get(40..)?)))
            .collect();
        own.sort_by_key(|(offset, _)| *offset);
        let mut packet = Vec::new();
        for (offset, part) in own {
            if offset as usize != packet.len() || packet.len() + part.len() > MAX_UNPACKED {
                self.broken = true;
                return;
            }
            packet.extend_from_slice(part);
        }
        self.add_xmp(packet);
    }

    fn tiff(&mut self, bytes: &'a [u8]) {
        self.add_exif(bytes);
        let embedded = exif::embedded(bytes);
        if let Some(xmp) = embedded.xmp {
            self.add_xmp(xmp);
        }
        if let Some(record) = embedded.iptc {
            self.add_iptc(unswapped(record));
        }
        if let Some(record) = embedded.photoshop.and_then(iptc::in_photoshop) {
            self.add_iptc(record.into());
        }
    }

    fn png(&mut self, bytes: &'a [u8]) {
        let mut rest = bytes.get(8..).unwrap_or_default();
        while let Some((name, data, tail)) = png_chunk(rest) {
            match &name {
                b"eXIf" => self.add_exif(data),
                b"tEXt" | b"zTXt" | b"iTXt" => self.png_text(name, data),
                b"IEND" => break,
                _ => {}
            }
            rest = tail;
        }
    }

    fn png_text(&mut self, name: [u8; 4], data: &'a [u8]) {
        let keyword = data.split(|byte| *byte == 0).next().unwrap_or_default();
        let keyword = text::decode_latin(keyword);
        let profile = keyword.strip_prefix("Raw profile type ");
        let is_known = TEXTS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&keyword));
        if (!is_known && profile.is_none()) || self.unpacked > MAX_UNPACKED {
            return;
        }
        let Some(text) = png_text(name, data) else {
            self.broken = true;
            self.unpacked += MAX_UNPACKED / 4;
            return;
        };
        self.unpacked += text.len();
        match profile {
            Some(kind) => self.raw_profile(kind, &text),
            None if keyword == XMP_KEYWORD => self.add_xmp(text),
            None if self.texts.len() < MAX_BLOCKS => {
                self.texts.push((keyword, text::decode(&text)));
            }
            None => {}
        }
    }

    /// Profiles that `ImageMagick` writes as hexadecimal digits.
    fn raw_profile(&mut self, kind: &str, text: &[u8]) {
        let kind = kind.to_ascii_lowercase();
        if !matches!(kind.as_str(), "exif" | "app1" | "xmp" | "iptc" | "8bim") {
            return;
        }
        let Some(profile) = from_hexadecimal(text) else {
            self.broken = true;
            return;
        };
        match kind.as_str() {
            "iptc" | "8bim" => self.add_iptc(profile.into()),
            "xmp" => self.add_xmp(profile),
            _ if profile.starts_with(XMP) => self.add_xmp(profile[XMP.len()..].to_vec()),
            _ => self.add_exif(profile),
        }
    }

    fn webp(&mut self, bytes: &'a [u8]) {
        let mut rest = bytes.get(12..).unwrap_or_default();
        while let Some(head) = rest.get(..8) {
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let Some(data) = rest.get(8..).and_then(|data| data.get(..size)) else {
                self.broken |= matches!(&head[..4], b"EXIF" | b"XMP ");
                return;
            };
            match &head[..4] {
                b"EXIF" => self.add_exif(data),
                b"XMP " => self.add_xmp(data),
                _ => {}
            }
            rest = rest.get(8 + size + size % 2..).unwrap_or_default();
        }
    }

    /// Extension blocks and the sub-blocks of pictures, up to the trailer.
    fn gif(&mut self, bytes: &'a [u8]) {
        let table = |flags: u8| {
            if flags & 0x80 == 0 {
                0
            } else {
                3 << ((flags & 7) + 1)
            }
        };
        let flags = bytes.get(10).copied().unwrap_or_default();
        let mut rest = bytes.get(13 + table(flags)..).unwrap_or_default();
        loop {
            let skipped = match rest {
                [0x21, 0xFF, 11, tail @ ..] if tail.starts_with(b"XMP DataXMP") => {
                    let blocks = &tail[11..];
                    let length = sub_blocks(blocks);
                    // The packet stands there as it is, and 257 bytes behind it lead readers
                    // that take it for sub-blocks to the end.
                    match length
                        .checked_sub(257 + 1)
                        .and_then(|end| blocks.get(..end))
                    {
                        Some(packet) => self.add_xmp(packet),
                        None => self.broken = true,
                    }
                    14 + length
                }
                [0x21, _, tail @ ..] => 2 + sub_blocks(tail),
                [0x2C, tail @ ..] => {
                    let Some(flags) = tail.get(8) else { return };
                    let head = 1 + 9 + table(*flags) + 1;
                    head + sub_blocks(rest.get(head..).unwrap_or_default())
                }
                _ => return,
            };
            rest = rest.get(skipped..).unwrap_or_default();
        }
    }

    fn jpeg2000(&mut self, bytes: &'a [u8]) {
        let mut rest = bytes;
        while let Some((name, data, tail)) = jp2_box(rest) {
            match &name {
                b"uuid" => self.jp2_uuid(data),
                b"xml " if data.windows(7).any(|window| window == b"rdf:RDF") => self.add_xmp(data),
                _ => {}
            }
            rest = tail;
        }
    }

    fn jp2_uuid(&mut self, data: &'a [u8]) {
        let Some((uuid, data)) = data.split_at_checked(16) else {
            self.broken = true;
            return;
        };
        match uuid {
            b"\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC" => {
                self.add_xmp(data);
            }
            b"JpgTiffExif->JP2"
            | b"\x05\x37\xCD\xAB\x9D\x0C\x44\x31\xA7\x2A\xFA\x56\x1F\x2A\x11\x3E" => {
                self.add_exif(data);
            }
            b"\x33\xC7\xA4\xD2\xB8\x1D\x47\x23\xA0\xBA\xF1\xA3\xE0\x97\xAD\x38"
            | b"\x09\xA1\x4E\x97\xC0\xB4\x42\xE0\xBE\xBF\x36\xDF\x6F\x0C\xE3\x6F" => {
                self.add_iptc(data.into());
            }
            _ => {}
        }
    }
}

/// The keyword of XMP in PNG.
const XMP_KEYWORD: &str = "XML:com.adobe.xmp";
/// The keywords that are read; others are not even unpacked.
const TEXTS: [&str; 7] = [
    XMP_KEYWORD,
    "Title",
    "Author",
    "Description",
    "Copyright",
    "Source",
    "Software",
];
/// What segments of XMP in JPEG begin with.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXTENDED_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";

/// Marker and data of each segment up to the first scan.
struct JpegSegments<'a>(&'a [u8]);

impl<'a> Iterator for JpegSegments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let fill = self.0.iter().take_while(|byte| **byte == 0xFF).count();
        let marker = *self.0.get(fill).filter(|_| fill > 0)?;
        let rest = &self.0[fill + 1..];
        if matches!(marker, 0x01 | 0xD0..=0xD8) {
            self.0 = rest;
            return Some((marker, &[]));
        }
        if matches!(marker, 0xD9 | 0xDA) {
            return None;
        }
        let size = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        let data = rest.get(2..size)?;
        self.0 = &rest[size..];
        Some((marker, data))
    }
}

/// Name, data and what follows of a PNG chunk.
fn png_chunk(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let size = u32_be(bytes, 0)? as usize;
    let name = bytes.get(4..8)?.try_into().ok()?;
    let data = bytes.get(8..)?.get(..size)?;
    Some((name, data, bytes.get(8 + size + 4..).unwrap_or_default()))
}

/// The text of a text chunk, unpacked.
fn png_text(name: [u8; 4], data: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (_keyword, rest) = split_at_nul(data)?;
    if name == *b"tEXt" {
        return Some(rest.into());
    }
    if name == *b"zTXt" {
        return Some(inflate(rest.get(1..)?)?.into());
    }
    let (packed, rest) = (*rest.first()?, rest.get(2..)?);
    let (_language, rest) = split_at_nul(rest)?;
    let (_translated, text) = split_at_nul(rest)?;
    match packed {
        0 => Some(text.into()),
        _ => Some(inflate(text)?.into()),
    }
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    let mut limited = flate2::read::ZlibDecoder::new(bytes).take(MAX_UNPACKED as u64 + 1);
    limited.read_to_end(&mut unpacked).ok()?;
    (unpacked.len() <= MAX_UNPACKED).then_some(unpacked)
}

/// Name and length on lines of their own, then the digits.
fn from_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_prefix(b"\n").unwrap_or(text);
    let mut lines = text.splitn(3, |byte| *byte == b'\n');
    let (_name, length, digits) = (lines.next()?, lines.next()?, lines.next()?);
    let length: usize = std::str::from_utf8(length).ok()?.trim().parse().ok()?;
    let digits = digits
        .iter()
        .filter_map(|byte| char::from(*byte).to_digit(16));
    let digits: Vec<u8> = digits.map(|digit| digit as u8).collect();
    let mut bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    bytes.truncate(length);
    (bytes.len() == length).then_some(bytes)
}

/// The length of a chain of GIF sub-blocks with its closing zero.
fn sub_blocks(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(size) = bytes.get(at) {
        at += 1 + usize::from(*size);
        if *size == 0 {
            break;
        }
    }
    at
}

/// Name, data and what follows of a JPEG 2000 box.
fn jp2_box(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let name = bytes.get(4..8)?.try_into().ok()?;
    let (head, size) = match u32_be(bytes, 0)? {
        0 => (8, bytes.len() as u64),
        1 => (
            16,
            u64::from(u32_be(bytes, 8)?) << 32 | u64::from(u32_be(bytes, 12)?),
        ),
        size => (8, u64::from(size)),
    };
    let size = usize::try_from(size).ok()?;
    let data = bytes.get(head..size)?;
    Some((name, data, &bytes[size..]))
}

/// Some writers stored the record as 32-bit numbers of the other byte order.
fn unswapped(record: &[u8]) -> Cow<'_, [u8]> {
    if record.len() < 4 || record[0] == 0x1C || record[3] != 0x1C {
        return record.into();
    }
    let words = record.chunks_exact(4);
    words
        .flat_map(|word| [word[3], word[2], word[1], word[0]])
        .collect::<Vec<u8>>()
        .into()
}

fn strip<'a>(block: Cow<'a, [u8]>, prefix: &[u8]) -> Cow<'a, [u8]> {
    match block {
        Cow::Borrowed(block) => block.strip_prefix(prefix).unwrap_or(block).into(),
        Cow::Owned(block) => match block.strip_prefix(prefix) {
            Some(rest) => rest.to_vec().into(),
            None => block.into(),
        },
    }
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}
