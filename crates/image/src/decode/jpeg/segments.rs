//! The marker segments of a JPEG stream, read without decoding anything.

/// What the segments before the first scan say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segments<'a> {
    /// The frame header.
    pub(crate) frame: Option<Frame>,
    /// The JFIF header.
    pub(crate) jfif: Option<Jfif>,
    /// The Exif block, from its TIFF header on.
    pub(crate) exif: Option<&'a [u8]>,
    /// The colour transform of the Adobe segment.
    pub(crate) adobe_transform: Option<u8>,
    /// The ICC profile, put together from its parts.
    pub(crate) icc: Option<Vec<u8>>,
    /// Where the data of the first scan begins.
    pub(crate) scan: Option<usize>,
    /// How many components the first scan has.
    pub(crate) scan_components: u8,
}

/// A start-of-frame segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The second byte of the marker: 0xC0 for baseline, 0xC2 for progressive.
    pub(crate) marker: u8,
    /// Bits of a sample.
    pub(crate) precision: u8,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) components: u8,
    /// Whether the components are called R, G and B.
    pub(crate) named_rgb: bool,
}

/// A JFIF header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jfif {
    pub(crate) version: (u8, u8),
    /// 0 for a pixel shape, 1 for inches, 2 for centimetres.
    pub(crate) unit: u8,
    pub(crate) x: u16,
    pub(crate) y: u16,
}

/// Reads the segments up to the first scan, as far as they are readable.
pub(crate) fn read(bytes: &[u8]) -> Segments<'_> {
    let mut found = Segments::default();
    let mut parts = Vec::new();
    let mut at = 2;
    while let Some((marker, body, next)) = segment(bytes, at) {
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                found.frame = found.frame.or_else(|| frame(marker, body));
            }
            0xe0 => found.jfif = found.jfif.or_else(|| jfif(body)),
            0xe1 => found.exif = found.exif.or_else(|| body.strip_prefix(b"Exif\0\0")),
            0xe2 => parts.extend(icc_part(body)),
            0xee if body.starts_with(b"Adobe") => {
                found.adobe_transform = body.get(11).copied();
            }
            0xda => {
                found.scan = Some(next);
                found.scan_components = body.first().copied().unwrap_or(0);
                break;
            }
            0xd9 => break,
            _ => {}
        }
        at = next;
    }
    found.icc = joined(parts);
    found
}

/// Where the coded data of each scan ends, and where the stream does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scans {
    /// Offsets of the markers that end coded data, the end mark among them.
    pub(crate) ends: Vec<usize>,
    /// Just behind the end mark.
    pub(crate) end: usize,
}

/// Walks over the scans from the data of the first one on; `None` when there is no end mark.
pub(crate) fn scans(bytes: &[u8], first: usize) -> Option<Scans> {
    let (mut at, mut ends, mut coded) = (first, Vec::new(), true);
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match *bytes.get(at + 1)? {
            // Stuffed zeros and restarts belong to the scan, a second 0xff is a fill byte.
            0x00 | 0x01 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            marker => {
                if coded {
                    ends.push(at);
                }
                if marker == 0xd9 {
                    return Some(Scans { ends, end: at + 2 });
                }
                at = segment(bytes, at).map_or(at + 2, |(_, _, next)| next);
                coded = marker == 0xda;
            }
        }
    }
}

/// The stream up to its end mark, with ones behind the coded data that stops at each of `ends`.
///
/// No Huffman code consists of ones alone, so that a decoder that still wants data there finds an
/// error; at a marker it would go on with zeros, which are pixels. A decoder that has all of its
/// data skips them like any bytes before a marker.
pub(crate) fn with_stops(bytes: &[u8], ends: &[usize], end: usize) -> Vec<u8> {
    // Decoders read up to eight bytes ahead; codes and their bits take less than four.
    const STOP: [u8; 32] = {
        let mut stop = [0xff; 32];
        let mut at = 1;
        while at < 32 {
            stop[at] = 0;
            at += 2;
        }
        stop
    };
    let mut stream = Vec::with_capacity(end + ends.len() * STOP.len());
    let mut from = 0;
    for stop in ends {
        stream.extend_from_slice(&bytes[from..*stop]);
        stream.extend_from_slice(&STOP);
        from = *stop;
    }
    stream.extend_from_slice(&bytes[from..end]);
    stream
}

/// The next segment at or after `at`: its marker, its body and where it ends.
fn segment(bytes: &[u8], at: usize) -> Option<(u8, &[u8], usize)> {
    let mut at = at;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        while bytes.get(at + 1) == Some(&0xff) {
            at += 1;
        }
        let marker = *bytes.get(at + 1)?;
        at += 2;
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            0xd9 => return Some((marker, &[], at)),
            _ => {
                let len = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]);
                let end = at + usize::from(len).max(2);
                return Some((marker, bytes.get(at + 2..end)?, end));
            }
        }
    }
}

fn frame(marker: u8, body: &[u8]) -> Option<Frame> {
    let [precision, h1, h0, w1, w0, components, rest @ ..] = body else {
        return None;
    };
    let names: Vec<u8> = rest.chunks_exact(3).map(|component| component[0]).collect();
    Some(Frame {
        marker,
        precision: *precision,
        width: u16::from_be_bytes([*w1, *w0]).into(),
        height: u16::from_be_bytes([*h1, *h0]).into(),
        components: *components,
        named_rgb: names == *b"RGB",
    })
}

fn jfif(body: &[u8]) -> Option<Jfif> {
    match body.strip_prefix(b"JFIF\0")? {
        [major, minor, unit, x1, x0, y1, y0, ..] => Some(Jfif {
            version: (*major, *minor),
            unit: *unit,
            x: u16::from_be_bytes([*x1, *x0]),
            y: u16::from_be_bytes([*y1, *y0]),
        }),
        _ => None,
    }
}

fn icc_part(body: &[u8]) -> Option<(u8, &[u8])> {
    match body.strip_prefix(b"ICC_PROFILE\0")? {
        [number, _, data @ ..] => Some((*number, data)),
        _ => None,
    }
}

/// Parts in their order. A missing one leaves a profile that its own length betrays.
fn joined(mut parts: Vec<(u8, &[u8])>) -> Option<Vec<u8>> {
    parts.sort_by_key(|(number, _)| *number);
    parts.dedup_by_key(|(number, _)| *number);
    let data: Vec<u8> = parts.iter().flat_map(|(_, data)| *data).copied().collect();
    (!data.is_empty()).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[u8] = &[
        0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 2, 1, 1, 44, 1, 44, 0, 0,
        0xff, 0xc2, 0, 17, 8, 0, 5, 0, 7, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 0xff, 0xda, 0, 2,
        1, 0xff, 0, 2, 0xff, 0xd1, 3, 0xff, 0xd9, 9, 9,
    ];

    #[test]
    fn headers_and_end() {
        let found = read(SMALL);
        let frame = found.frame.unwrap();
        assert_eq!((frame.width, frame.height, frame.components), (7, 5, 3));
        assert_eq!(frame.marker, 0xc2);
        assert_eq!(found.jfif.unwrap().version, (1, 2));
        assert_eq!(found.jfif.unwrap().x, 300);
        let scan = found.scan.unwrap();
        let scans = scans(SMALL, scan).unwrap();
        assert_eq!(scans.end, SMALL.len() - 2);
        assert_eq!(scans.ends, [SMALL.len() - 4]);
        assert_eq!(super::scans(&SMALL[..SMALL.len() - 3], scan), None);
        let stopped = with_stops(SMALL, &scans.ends, scans.end);
        assert_eq!(stopped.len(), scans.end + 32);
    }

    #[test]
    fn every_cut_is_survived() {
        for len in 0..SMALL.len() {
            let found = read(&SMALL[..len]);
            if let Some(scan) = found.scan {
                scans(&SMALL[..len], scan);
            }
        }
    }
}
