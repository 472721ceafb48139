//! ICC profiles as bytes: what their header and description say, and two that fonds makes itself.

use std::sync::LazyLock;

use fonds_core::ColorModel;

/// Bytes of the header and the tag count.
const HEAD: usize = 132;
/// Longer descriptions are cut: they are shown in one catalog cell.
const MAX_DESCRIPTION: usize = 256;
/// More tags than any real profile has.
const MAX_TAGS: usize = 256;

/// X, Y and Z of the D50 illuminant, in s15Fixed16.
const D50: [i32; 3] = [0xF6D6, 0x1_0000, 0xD32D];
/// The red, green and blue primaries of sRGB adapted to D50, in s15Fixed16, rounded such that
/// they add up to D50 exactly.
const SRGB_COLORANTS: [[i32; 3]; 3] = [
    [0x6FA0, 0x38F2, 0x038F],
    [0x6296, 0xB789, 0x18DA],
    [0x24A0, 0x0F85, 0xB6C4],
];
/// The Bradford adaptation from D65 to D50, row by row, in s15Fixed16.
const BRADFORD: [i32; 9] = [
    0x1_0C42, 0x05DE, -0x0CDB, 0x0793, 0xFD90, -0x045F, -0x025E, 0x03DC, 0xC06E,
];
/// The sRGB curve of IEC 61966-2-1 as parameters g, a, b, c, d of ICC function type 3.
const SRGB_CURVE: [f64; 5] = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045];

/// What the header of a profile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFacts {
    /// The description tag, where there is a readable one.
    pub description: Option<String>,
    /// Major and minor version, `(4, 2)`.
    pub version: (u8, u8),
    /// The colour space of the device side: `RGB`, `GRAY`, `CMYK`, `Lab`.
    pub space: String,
    /// The device class: `mntr` (display), `scnr` (input), `prtr` (output), `spac`.
    pub class: String,
}

/// Reads header and description; `None` when this is no ICC profile or it ends too early.
pub fn describe(icc: &[u8]) -> Option<ProfileFacts> {
    let size = u32_at(icc, 0)? as usize;
    if icc.len() < HEAD || icc[36..40] != *b"acsp" || size < HEAD || size > icc.len() {
        return None;
    }
    Some(ProfileFacts {
        description: description(icc),
        version: (icc[8], icc[9] >> 4),
        space: signature(&icc[16..20]),
        class: signature(&icc[12..16]),
    })
}

/// The sRGB profile (version 4.2, parametric curve, fixed date): under 600 bytes, so that it does
/// not weigh on a thumbnail.
pub fn srgb_profile() -> &'static [u8] {
    static PROFILE: LazyLock<Vec<u8>> = LazyLock::new(|| build(ColorModel::Rgb));
    &PROFILE
}

/// A gray profile with the sRGB curve: gray samples mean what equal RGB samples mean in sRGB.
pub fn gray_profile() -> &'static [u8] {
    static PROFILE: LazyLock<Vec<u8>> = LazyLock::new(|| build(ColorModel::Gray));
    &PROFILE
}

fn build(model: ColorModel) -> Vec<u8> {
    let (space, name): (&[u8; 4], _) = match model {
        ColorModel::Rgb => (b"RGB ", "sRGB IEC61966-2.1"),
        ColorModel::Gray => (b"GRAY", "Gray with sRGB curve"),
    };
    let mut tags: Vec<(&[u8; 4], Vec<u8>)> = vec![
        (b"desc", text_tag(name)),
        (b"cprt", text_tag("CC0")),
        (b"wtpt", numbers_tag(*b"XYZ ", &D50)),
        (b"chad", numbers_tag(*b"sf32", &BRADFORD)),
    ];
    match model {
        ColorModel::Rgb => {
            for (name, colorant) in [b"rXYZ", b"gXYZ", b"bXYZ"].into_iter().zip(&SRGB_COLORANTS) {
                tags.push((name, numbers_tag(*b"XYZ ", colorant)));
            }
            tags.extend([b"rTRC", b"gTRC", b"bTRC"].map(|name| (name, curve_tag())));
        }
        ColorModel::Gray => tags.push((b"kTRC", curve_tag())),
    }
    assemble(header(*space), &tags)
}

fn header(space: [u8; 4]) -> [u8; 128] {
    let mut header = [0; 128];
    header[8..12].copy_from_slice(&[4, 0x20, 0, 0]);
    header[12..16].copy_from_slice(b"mntr");
    header[16..20].copy_from_slice(&space);
    header[20..24].copy_from_slice(b"XYZ ");
    // A fixed date (2026-01-01): the same bytes in every run.
    header[24..30].copy_from_slice(&[0x07, 0xEA, 0, 1, 0, 1]);
    header[36..40].copy_from_slice(b"acsp");
    for (bytes, value) in header[68..80].chunks_exact_mut(4).zip(D50) {
        bytes.copy_from_slice(&value.to_be_bytes());
    }
    header
}

/// Header, tag table and tag data; tags of equal content share their data.
fn assemble(header: [u8; 128], tags: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data: Vec<u8> = Vec::new();
    let data_start = HEAD + tags.len() * 12;
    let mut placed: Vec<(usize, &[u8])> = Vec::new();
    for (name, content) in tags {
        let known = placed
            .iter()
            .find(|(_, other)| *other == content.as_slice());
        let offset = known.map_or(data_start + data.len(), |(offset, _)| *offset);
        if known.is_none() {
            data.extend_from_slice(content);
            data.resize(data.len().next_multiple_of(4), 0);
            placed.push((offset, content));
        }
        table.extend_from_slice(*name);
        table.extend_from_slice(&(offset as u32).to_be_bytes());
        table.extend_from_slice(&(content.len() as u32).to_be_bytes());
    }
    let mut profile = header.to_vec();
    profile.extend(table);
    profile.extend(data);
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    profile
}

fn text_tag(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut tag = b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0CenUS".to_vec();
    tag.extend_from_slice(&(units.len() as u32).to_be_bytes());
    tag.extend_from_slice(&28_u32.to_be_bytes());
    tag.extend(units);
    tag
}

fn numbers_tag(kind: [u8; 4], numbers: &[i32]) -> Vec<u8> {
    let mut tag = kind.to_vec();
    tag.extend([0; 4]);
    tag.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    tag
}

fn curve_tag() -> Vec<u8> {
    let fixed = SRGB_CURVE.map(|value| (value * 65536.0).round() as i32);
    let mut tag = numbers_tag(*b"para", &[3 << 16]);
    tag.extend(fixed.iter().flat_map(|number| number.to_be_bytes()));
    tag
}

fn description(icc: &[u8]) -> Option<String> {
    let count = (u32_at(icc, 128)? as usize).min(MAX_TAGS);
    let entries = icc.get(HEAD..)?.chunks_exact(12).take(count);
    let entry = entries
        .into_iter()
        .find(|entry| entry.starts_with(b"desc"))?;
    let start = u32_at(entry, 4)? as usize;
    let length = u32_at(entry, 8)? as usize;
    let tag = icc.get(start..start.checked_add(length)?)?;
    let text = match tag.get(..4)? {
        b"desc" => ascii(tag.get(12..)?, u32_at(tag, 8)? as usize),
        b"text" => ascii(tag.get(8..)?, tag.len()),
        b"mluc" => localized(tag)?,
        _ => return None,
    };
    let text: String = text.trim().chars().take(MAX_DESCRIPTION).collect();
    (!text.is_empty()).then_some(text)
}

/// Bytes up to the first NUL; old profiles have Latin letters in what should be ASCII.
fn ascii(bytes: &[u8], length: usize) -> String {
    let bytes = &bytes[..length.min(bytes.len()).min(4 * MAX_DESCRIPTION)];
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    text.iter()
        .map(|byte| char::from(*byte))
        .filter(|letter| !letter.is_control())
        .collect()
}

/// The English text of a `mluc` tag, or the first one.
fn localized(tag: &[u8]) -> Option<String> {
    let count = (u32_at(tag, 8)? as usize).min(MAX_TAGS);
    let mut records = tag.get(16..)?.chunks_exact(12).take(count);
    let first = records.next()?;
    let english = std::iter::once(first)
        .chain(records)
        .find(|record| record.starts_with(b"en"));
    let record = english.unwrap_or(first);
    let length = (u32_at(record, 4)? as usize).min(4 * MAX_DESCRIPTION);
    let start = u32_at(record, 8)? as usize;
    let units = tag.get(start..start.checked_add(length)?)?.chunks_exact(2);
    let units: Vec<u16> = units
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    let text = String::from_utf16_lossy(&units);
    Some(text.chars().filter(|letter| !letter.is_control()).collect())
}

fn signature(bytes: &[u8]) -> String {
    ascii(bytes, 4).trim_end().to_owned()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_profiles_describe_themselves() {
        let facts = describe(srgb_profile()).unwrap();
        assert_eq!(facts.description.as_deref(), Some("sRGB IEC61966-2.1"));
        assert_eq!(
            (facts.version, &*facts.space, &*facts.class),
            ((4, 2), "RGB", "mntr")
        );
        assert_eq!(describe(gray_profile()).unwrap().space, "GRAY");
        assert!(srgb_profile().len() < 600, "{}", srgb_profile().len());
    }

    #[test]
    fn the_colorants_follow_from_the_primaries() {
        // Primaries and white of IEC 61966-2-1 as x, y; the way from there to D50 through the
        // Bradford matrix is written out in full here.
        let xyz = |x: f64, y: f64| [x / y, 1.0, (1.0 - x - y) / y];
        let primaries = [xyz(0.64, 0.33), xyz(0.30, 0.60), xyz(0.15, 0.06)];
        let columns = |m: [[f64; 3]; 3], v: [f64; 3]| {
            [0, 1, 2].map(|row| (0..3).map(|k| m[k][row] * v[k]).sum::<f64>())
        };
        // Cramer's rule for the amounts of the primaries that make the white.
        let det = |m: [[f64; 3]; 3]| {
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
                - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
                + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        };
        let white = xyz(0.3127, 0.3290);
        let amounts = [0, 1, 2].map(|k| {
            let mut replaced = primaries;
            replaced[k] = white;
            det(replaced) / det(primaries)
        });
        assert!((columns(primaries, amounts)[2] - white[2]).abs() < 1e-12);
        for (k, expected) in SRGB_COLORANTS.iter().enumerate() {
            let xyz = primaries[k].map(|value| value * amounts[k]);
            for (row, expected) in expected.iter().enumerate() {
                let adapted: f64 = (0..3)
                    .map(|j| f64::from(BRADFORD[row * 3 + j]) * xyz[j])
                    .sum();
                assert!(
                    (adapted - f64::from(*expected)).abs() < 12.0,
                    "{k} {row} {adapted}"
                );
            }
        }
        for row in 0..3 {
            assert_eq!(SRGB_COLORANTS.iter().map(|c| c[row]).sum::<i32>(), D50[row]);
        }
    }

    #[test]
    fn broken_profiles_say_nothing() {
        let whole = srgb_profile();
        for length in 0..whole.len() {
            assert_eq!(describe(&whole[..length]), None, "{length}");
        }
        for place in 0..whole.len() {
            let mut broken = whole.to_vec();
            broken[place] ^= 0xFF;
            let _ = describe(&broken);
        }
    }
}
