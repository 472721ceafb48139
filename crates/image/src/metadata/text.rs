//! Texts and dates as old programs wrote them into files.

/// Longer texts are cut: a spreadsheet cell holds 32,767 letters.
const MAX_LETTERS: usize = 32_000;
/// No picture was digitised before; earlier dates are those of the original, or a clock not set.
const FIRST_DIGITAL_YEAR: u32 = 1980;

/// Windows-1252 for the bytes 0x80 to 0x9F, where Latin-1 has control characters that nobody
/// means. Undefined bytes stay control characters and are dropped later.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text without surrounding space, NULs and control characters other than line ends and
/// tabs; `None` when nothing is left.
pub(super) fn clean(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept: String = text
        .chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'))
        .collect();
    let kept: String = kept.trim().chars().take(MAX_LETTERS).collect();
    let kept = kept.trim_end();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Bytes that are UTF-8 if they can be, else Windows-1252.
///
/// Text with letters beyond ASCII is hardly ever valid UTF-8 by accident.
pub(super) fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => decode_latin(bytes),
    }
}

/// Bytes of Windows-1252, which includes the letters of Latin-1.
pub(super) fn decode_latin(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            0x80..=0x9F => WINDOWS[usize::from(byte - 0x80)],
            _ => char::from(*byte),
        })
        .collect()
}

/// UTF-16 in the given byte order, up to the first NUL.
pub(super) fn decode_utf16(bytes: &[u8], big_endian: bool) -> String {
    let unit = |pair: &[u8]| {
        if big_endian {
            u16::from_be_bytes([pair[0], pair[1]])
        } else {
            u16::from_le_bytes([pair[0], pair[1]])
        }
    };
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(unit)
        .take_while(|unit| *unit != 0)
        .collect();
    String::from_utf16_lossy(&units)
}

/// The parts that are not empty, joined; `None` when none is.
pub(super) fn join<'a>(
    parts: impl IntoIterator<Item = &'a Option<String>>,
    separator: &str,
) -> Option<String> {
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(separator))
}

/// Make and model as one name; the maker's name once (`NIKON CORPORATION`, `NIKON D90` is
/// `NIKON D90`).
pub(super) fn device(make: Option<String>, model: Option<String>) -> Option<String> {
    let (Some(make), Some(model)) = (&make, &model) else {
        return make.or(model);
    };
    let first = |text: &str| text.split_whitespace().next().map(str::to_lowercase);
    if first(make) == first(model) {
        Some(model.clone())
    } else {
        Some(format!("{make} {model}"))
    }
}

/// When a scan was made, in ISO 8601, from `2011:05:03 14:20:11` (Exif), `20110503` or
/// ISO 8601 itself, and an offset (`+02:00`) that belongs to it. `None` for what is no date.
pub(super) fn date(text: &str, offset: Option<&str>) -> Option<String> {
    let text = text.trim().trim_end_matches('\0').trim();
    if !text.is_ascii() {
        return None;
    }
    let (day, time) = match text.split_once(['T', ' ']) {
        Some((day, time)) => (day, time.trim()),
        None => (text, ""),
    };
    let (mut date, is_full) = day_of(day)?;
    if !is_full || time.is_empty() {
        return Some(date);
    }
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let Some(clock) = clock_of(clock) else {
        return Some(date);
    };
    date.push('T');
    date.push_str(&clock);
    let zone = if zone.is_empty() {
        offset.unwrap_or_default()
    } else {
        zone
    };
    date.push_str(&zone_of(zone.trim()).unwrap_or_default());
    Some(date)
}

/// Year, month, day with `:`, `-`, `/` or nothing between them; month and day may be missing.
fn day_of(text: &str) -> Option<(String, bool)> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = if digits && text.len() == 8 {
        vec![&text[..4], &text[4..6], &text[6..]]
    } else {
        text.split([':', '-', '/', '.']).collect()
    };
    let number = |i: usize| parts.get(i).map_or(Some(0), |part| digits_of(part));
    let (year, month, day) = (number(0)?, number(1)?, number(2)?);
    let is_date = parts.len() <= 3
        && parts[0].len() == 4
        && year >= FIRST_DIGITAL_YEAR
        && month <= 12
        && day <= days_in(year, month)
        && (month > 0 || day == 0);
    if !is_date {
        return None;
    }
    Some(match (month, day) {
        (0, _) => (format!("{year:04}"), false),
        (_, 0) => (format!("{year:04}-{month:02}"), false),
        _ => (format!("{year:04}-{month:02}-{day:02}"), true),
    })
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `14:20:11`, `14:20`, `142011`, with a fraction that is dropped.
fn clock_of(text: &str) -> Option<String> {
    let text = text.trim().split(['.', ',']).next().unwrap_or_default();
    let parts: Vec<&str> = if text.len() == 6 && !text.contains(':') {
        vec![&text[..2], &text[2..4], &text[4..]]
    } else {
        text.split(':').collect()
    };
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let number = |i: usize| parts.get(i).map_or(Some(0), |part| digits_of(part));
    let (hour, minute, second) = (number(0)?, number(1)?, number(2)?);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    is_time.then(|| format!("{hour:02}:{minute:02}:{second:02}"))
}

/// `Z`, `+02:00`, `+0200`; `None` for what is no offset.
fn zone_of(text: &str) -> Option<String> {
    if text == "Z" {
        return Some("Z".to_owned());
    }
    let sign = text
        .chars()
        .next()
        .filter(|sign| matches!(sign, '+' | '-'))?;
    let digits: String = text[1..].chars().filter(|letter| *letter != ':').collect();
    if digits.len() != 4 {
        return None;
    }
    let (hour, minute) = (digits_of(&digits[..2])?, digits_of(&digits[2..])?);
    (hour <= 14 && minute < 60).then(|| format!("{sign}{hour:02}:{minute:02}"))
}

fn digits_of(text: &str) -> Option<u32> {
    let text = text.trim();
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_in_all_their_forms() {
        let cases = [
            ("2011:05:03 14:20:11", None, Some("2011-05-03T14:20:11")),
            (
                "2011:05:03 14:20:11",
                Some("+02:00"),
                Some("2011-05-03T14:20:11+02:00"),
            ),
            (
                "2011:05:03 14:20:11\0",
                Some("   "),
                Some("2011-05-03T14:20:11"),
            ),
            (
                "2011-05-03T14:20:11.53-0430",
                None,
                Some("2011-05-03T14:20:11-04:30"),
            ),
            (
                "2011-05-03T14:20Z",
                Some("+02:00"),
                Some("2011-05-03T14:20:00Z"),
            ),
            ("2012-02-29", None, Some("2012-02-29")),
            ("2011-05", None, Some("2011-05")),
            ("2011", None, Some("2011")),
            ("20110503", None, Some("2011-05-03")),
            ("20110503T142011", None, Some("2011-05-03T14:20:11")),
            ("2011:05:03 24:61:00", None, Some("2011-05-03")),
            ("2011:00:00 00:00:00", None, Some("2011")),
            ("0000:00:00 00:00:00", None, None),
            ("    :  :     :  :  ", None, None),
            ("2011:02:29 10:00:00", None, None),
            ("2011:13:01 10:00:00", None, None),
            ("1912:05:03 10:00:00", None, None),
            ("31.12.2011", None, None),
            ("gestern", None, None),
            ("", None, None),
            ("２０１１", None, None),
        ];
        for (text, offset, expected) in cases {
            assert_eq!(date(text, offset).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn devices_name_their_maker_once() {
        let name = |make: &str, model: &str| device(clean(make), clean(model)).unwrap_or_default();
        assert_eq!(name("NIKON CORPORATION", "NIKON D90"), "NIKON D90");
        assert_eq!(name("EPSON", "Perfection V700"), "EPSON Perfection V700");
        assert_eq!(name("", "D90"), "D90");
        assert_eq!(name("Canon", ""), "Canon");
        assert_eq!(name("", ""), "");
    }

    #[test]
    fn bytes_become_text() {
        assert_eq!(decode("Köln".as_bytes()), "Köln");
        assert_eq!(decode(b"K\xF6ln \x96 Dom"), "Köln – Dom");
        assert_eq!(decode_utf16(b"K\0\xF6\0\0\0x\0", false), "Kö");
        assert_eq!(clean(" a\r\nb\0\u{7} ").as_deref(), Some("a\nb"));
        assert_eq!(clean(" \0 "), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_none(text in "\\PC{0,24}", digits in "[0-9:T Z+.-]{0,26}") {
            for text in [text, digits] {
                if let Some(found) = date(&text, Some("+01:00")) {
                    prop_assert!(found.len() >= 4 && found.is_ascii());
                }
            }
        }
    }
}
