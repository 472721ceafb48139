//! What spreadsheets call CSV: the encoding and the separator of a file that a person saved.

use fonds_core::{Code, Error, Result};

/// The text of a file, without its byte order mark.
///
/// Fails with a hint when it is UTF-16, not UTF-8, or a spreadsheet that was not exported.
pub(crate) fn text(bytes: &[u8]) -> Result<&str> {
    let how = "save it as `CSV UTF-8 (comma delimited)`";
    let refused = |message: &str| Error::new(Code::InvalidRequest, message).hint(how);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(refused("is UTF-16, not UTF-8"));
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(refused("is a spreadsheet, not CSV"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        refused("is not UTF-8")
            .on_line(line as u32)
            .caused_by(error)
    })
}

/// The separator of the first line: whichever of `,`, `;` and tab stands in it most often outside
/// quotes.
pub(crate) fn delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0_u32), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                for (delimiter, count) in &mut counts {
                    *count += u32::from(byte == *delimiter);
                }
            }
        }
    }
    // The comma comes last because `max_by_key` keeps the last of equals.
    counts.reverse();
    counts
        .iter()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(delimiter, _)| *delimiter)
}

/// The lines on which rows begin, counted in the text itself: the CSV reader is one behind after
/// `\r\n`, and blank lines belong to no row.
pub(crate) struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// The line on which a row begins; rows come in the order of the text.
    pub(crate) fn line(&mut self, cells: &csv::StringRecord) -> u32 {
        let start = cells
            .position()
            .map_or(0, |position| position.byte() as usize);
        let bytes = self.text.as_bytes();
        let blank = bytes.iter().skip(start);
        let blank = blank
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let start = (start + blank).clamp(self.at, bytes.len());
        let breaks = bytes[self.at..start].iter().filter(|byte| **byte == b'\n');
        self.line += breaks.count() as u32;
        self.at = start;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_text() {
        for text in ["h\na\n\n\"b\nb\"\nc", "h\r\na\r\n\r\n\"b\r\nb\"\r\nc\r\n"] {
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let mut lines = Lines::of(text);
            let found: Vec<_> = reader
                .records()
                .map(|row| lines.line(&row.unwrap()))
                .collect();
            assert_eq!(found, [2, 4, 6], "{text:?}");
        }
    }

    #[test]
    fn delimiters() {
        for (text, expected) in [
            ("", b','),
            ("filename", b','),
            ("filename,title\na;b;c;d", b','),
            ("filename;title", b';'),
            ("filename\ttitle\tdate,x", b'\t'),
            ("\"a,b,c\";title", b';'),
            ("a;b,c", b','),
        ] {
            assert_eq!(delimiter(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_utf8_csv_is_refused_with_a_hint() {
        assert_eq!(text("\u{feff}ä".as_bytes()).unwrap(), "ä");
        for (bytes, message) in [
            (&b"\xff\xfef\0"[..], "is UTF-16, not UTF-8"),
            (b"PK\x03\x04...", "is a spreadsheet, not CSV"),
            (b"a\nb\xe4", "line 2: is not UTF-8"),
        ] {
            let error = text(bytes).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.hints().len(), 1);
        }
    }
}
