//! `fixtures/bad`: files that are empty, cut off, broken, hostile, or no pictures, each with what
//! fonds is to say about it.

use super::canvas::Canvas;
use super::chance::Chance;
use super::files::{self, Extras};
use super::tiff::{self, Page, Value, picture};
use super::{Fixture, Result, landscape};

/// A file, what is to come of it (an error code, `ok`, or the flag of a warning), and why.
struct Bad {
    name: &'static str,
    expect: &'static str,
    why: &'static str,
    bytes: Vec<u8>,
}

/// Every bad file, and the table `EXPECT.tsv` that lists them.
pub(crate) fn files() -> Result<Vec<Fixture>> {
    let mut all = cut_off()?;
    all.extend(disguised()?);
    all.extend(hostile()?);
    all.extend(broken_tiffs());
    all.extend(odd()?);
    all.sort_by_key(|bad| bad.name);
    let mut table = "file\texpect\twhy\n".to_owned();
    for bad in &all {
        table.push_str(&format!("{}\t{}\t{}\n", bad.name, bad.expect, bad.why));
    }
    let mut files = vec![("bad/EXPECT.tsv".to_owned(), table.into_bytes())];
    let named = |bad: Bad| (format!("bad/{}", bad.name), bad.bytes);
    files.extend(all.into_iter().map(named));
    Ok(files)
}

fn bad(name: &'static str, expect: &'static str, why: &'static str, bytes: Vec<u8>) -> Bad {
    Bad {
        name,
        expect,
        why,
        bytes,
    }
}

/// A small picture to spoil.
fn small() -> Canvas {
    landscape::lake(120, 90)
}

fn small_jpeg() -> Result<Vec<u8>> {
    files::jpeg(&small(), 80, &Extras::default())
}

fn cut(mut bytes: Vec<u8>, percent: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() * percent / 100);
    bytes
}

fn cut_off() -> Result<Vec<Bad>> {
    let jpeg = small_jpeg()?;
    let headers = start_of_scan(&jpeg).ok_or("the encoder writes a scan")?;
    Ok(vec![
        bad("empty.jpg", "empty_file", "no bytes", Vec::new()),
        bad(
            "truncated.jpg",
            "truncated",
            "ends after 60 % of its bytes",
            cut(jpeg.clone(), 60),
        ),
        bad(
            "truncated header.jpg",
            "truncated",
            "ends before the first scan",
            jpeg[..headers].to_vec(),
        ),
        bad(
            "truncated.png",
            "truncated",
            "ends after 60 % of its bytes",
            cut(files::png(&small(), false, None)?, 60),
        ),
        bad(
            "truncated.tif",
            "truncated",
            "its last strip is cut off",
            short_strip(),
        ),
        bad(
            "header only.gif",
            "truncated",
            "ends after the header",
            b"GIF89a\x78\0\x5a\0\xf7\0\0".to_vec(),
        ),
    ])
}

fn start_of_scan(jpeg: &[u8]) -> Option<usize> {
    jpeg.windows(2).position(|pair| pair == [0xff, 0xda])
}

/// The strip comes last in this file, and half of it is missing.
fn short_strip() -> Vec<u8> {
    let tags = || {
        let mut tags = picture(40, 40, 8, 1);
        tags.push((279, Value::Long(1600)));
        tags
    };
    let page = |offset: u32| {
        let mut tags = tags();
        tags.push((273, Value::Long(offset)));
        Page {
            tags,
            strips: Vec::new(),
        }
    };
    let end = tiff::write(vec![page(0)], |_| None).len() as u32;
    let mut bytes = tiff::write(vec![page(end)], |_| None);
    bytes.extend((0..800).map(|i| (i % 251) as u8));
    bytes
}

fn disguised() -> Result<Vec<Bad>> {
    let mut chance = Chance::new(99);
    let noise = (0..4096).map(|_| chance.byte()).collect();
    let pdf =
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n";
    let heif = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08free";
    Ok(vec![
        bad("noise.tif", "unsupported_format", "random bytes", noise),
        bad(
            "text.jpg",
            "unsupported_format",
            "a text",
            b"This is a letter, not a picture of one.\n".to_vec(),
        ),
        bad(
            "document.jpg",
            "unsupported_format",
            "a PDF document",
            pdf.to_vec(),
        ),
        bad(
            "phone.jpg",
            "unsupported_format",
            "the beginning of an HEIF file",
            heif.to_vec(),
        ),
        bad(
            "a jpeg.tif",
            "extension_mismatch",
            "a good JPEG file under another name",
            small_jpeg()?,
        ),
        bad(
            "100% sure; 'quoted', name.jpg",
            "ok",
            "a good file with a difficult name",
            small_jpeg()?,
        ),
    ])
}

fn hostile() -> Result<Vec<Bad>> {
    let mut wide = small_jpeg()?;
    let frame = wide.windows(2).position(|pair| pair == [0xff, 0xc0]);
    let frame = frame.ok_or("the encoder writes a baseline frame")?;
    let mut lossless = wide.clone();
    lossless[frame + 1] = 0xc3;
    wide[frame + 5..frame + 9].fill(0xff);
    let mut tall = picture(1000, 4_000_000, 8, 1);
    tall.push((279, Value::Long(16)));
    Ok(vec![
        bad(
            "bomb.png",
            "limits_exceeded",
            "claims 60,000 × 60,000 pixels",
            bomb(),
        ),
        bad(
            "bomb.jpg",
            "limits_exceeded",
            "claims 65,535 × 65,535 pixels",
            wide,
        ),
        bad(
            "bomb.tif",
            "limits_exceeded",
            "claims 4,000 megapixels",
            tiff::write(
                vec![Page {
                    tags: tall,
                    strips: vec![vec![0; 16]],
                }],
                |_| None,
            ),
        ),
        bad(
            "lossless.jpg",
            "unsupported_variant",
            "says that it is lossless JPEG",
            lossless,
        ),
    ])
}

/// A PNG header with its checksum, and one small piece of data.
fn bomb() -> Vec<u8> {
    let side = 60_000_u32.to_be_bytes();
    let header = [&side[..], &side[..], &[8, 2, 0, 0, 0]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let data = [0x78, 0x9c, 0x63, 0, 0, 0, 1, 0, 1];
    for (name, body) in [(b"IHDR", &header[..]), (b"IDAT", &data), (b"IEND", &[])] {
        bytes.extend((body.len() as u32).to_be_bytes());
        let start = bytes.len();
        bytes.extend(name);
        bytes.extend(body);
        let sum = checksum(&bytes[start..]);
        bytes.extend(sum.to_be_bytes());
    }
    bytes
}

/// CRC-32 as PNG counts it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            let odd = sum & 1 == 1;
            sum = (sum >> 1) ^ if odd { 0xedb8_8320 } else { 0 };
        }
    }
    !sum
}

fn broken_tiffs() -> Vec<Bad> {
    let strip = || vec![(0..=255).cycle().take(1600).collect::<Vec<u8>>()];
    let with = |extra: Vec<(u16, Value)>| {
        let mut tags = picture(40, 40, 8, 1);
        tags.retain(|(tag, _)| !extra.iter().any(|(other, _)| other == tag));
        tags.extend(extra);
        Page {
            tags,
            strips: strip(),
        }
    };
    let one = |extra| tiff::write(vec![with(extra)], |_| None);
    let doubles = (0..1600_u32).flat_map(|i| (f64::from(i) / 1600.0).to_le_bytes());
    let deep = Page {
        tags: {
            let mut tags = picture(40, 40, 64, 1);
            tags.push((339, Value::Short(3)));
            tags
        },
        strips: vec![doubles.collect()],
    };
    vec![
        bad(
            "loop.tif",
            "ok",
            "the second page is followed by the first: two pages",
            tiff::write(vec![with(vec![]), with(vec![])], |i| Some(1 - i)),
        ),
        bad(
            "beyond.tif",
            "truncated",
            "its strip lies beyond the end",
            one(vec![(273, Value::Long(1 << 20))]),
        ),
        bad(
            "zero.tif",
            "corrupt",
            "0 pixels wide",
            one(vec![(256, Value::Long(0))]),
        ),
        bad(
            "compression.tif",
            "unsupported_variant",
            "compressed in a way that nobody knows",
            one(vec![(259, Value::Short(34_887))]),
        ),
        bad(
            "bits.tif",
            "unsupported_variant",
            "7 bits a sample, float",
            one(vec![(258, Value::Short(7)), (339, Value::Short(3))]),
        ),
        bad(
            "samples.tif",
            "unsupported_variant",
            "0 samples a pixel",
            one(vec![(277, Value::Short(0))]),
        ),
        bad(
            "deep.tif",
            "ok",
            "64-bit floats",
            tiff::write(vec![deep], |_| None),
        ),
        bad(
            "directory.tif",
            "truncated",
            "its directory lies beyond the end",
            b"II\x2a\0\xff\xff\0\0".to_vec(),
        ),
    ]
}

fn odd() -> Result<Vec<Bad>> {
    let mut damaged = files::png(&small(), false, None)?;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let bmp = |width: u32| {
        let mut bytes = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(b"\x02\0\0\0\x01\0\x18\0");
        bytes.resize(70, 0);
        bytes
    };
    let exif = Extras {
        exif: Some(b"Exif\0\0II\x2a\0\xff\xff\xff\xff".to_vec()),
        ..Extras::default()
    };
    let trailing = [small_jpeg()?, vec![0x55; 500]].concat();
    Ok(vec![
        bad(
            "damaged.png",
            "corrupt",
            "one byte of its data is wrong",
            damaged,
        ),
        bad("zero.bmp", "unsupported_variant", "0 pixels wide", bmp(0)),
        bad(
            "cmyk profile.png",
            "icc_mismatch",
            "RGB pixels, a CMYK profile",
            files::png(&small(), false, Some(cmyk_profile()))?,
        ),
        bad(
            "broken profile.png",
            "icc_invalid",
            "its profile is none",
            files::png(&small(), false, Some(vec![7; 200]))?,
        ),
        bad(
            "broken exif.jpg",
            "metadata_unreadable",
            "its Exif directory lies nowhere",
            files::jpeg(&small(), 80, &exif)?,
        ),
        bad(
            "trailing.jpg",
            "trailing_data",
            "500 bytes follow its end",
            trailing,
        ),
    ])
}

/// A profile for four inks, with a header and no more than a description.
fn cmyk_profile() -> Vec<u8> {
    let text = b"text\0\0\0\0Four inks\0";
    let tags: [(&[u8; 4], &[u8]); 2] = [(b"desc", text), (b"cprt", text)];
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    profile[68..80].copy_from_slice(&[0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d]);
    profile.extend((tags.len() as u32).to_be_bytes());
    let mut place = 132 + 12 * tags.len() as u32;
    for (name, body) in tags {
        profile.extend(name);
        profile.extend(place.to_be_bytes());
        profile.extend((body.len() as u32).to_be_bytes());
        place += body.len().next_multiple_of(4) as u32;
    }
    for (_, body) in tags {
        profile.extend(body);
        profile.resize(profile.len().next_multiple_of(4), 0);
    }
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    profile
}
