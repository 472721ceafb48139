//! Checking one cell against its column alone.

use fonds_core::ObjectId;

use crate::column::{Column, ColumnKind};
use crate::edtf;
use crate::finding::Severity;
use crate::near::nearest;

/// What is wrong with a cell.
pub(crate) struct Remark {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What is wrong with a text in this column; `None` when nothing is.
pub(crate) fn check(column: &Column, text: &str) -> Option<Remark> {
    if text.is_empty() {
        return column.required.then(|| error("is empty".to_owned()));
    }
    match column.kind {
        ColumnKind::Text | ColumnKind::List => None,
        ColumnKind::Path => path(text),
        ColumnKind::Line => refuse(text.contains(['\n', '\r']), || {
            "has more than one line".to_owned()
        }),
        ColumnKind::Id => refuse(ObjectId::parse(text).is_none(), || {
            format!("`{text}` is not an object id (`a-z`, `0-9`, `_` and `-`)")
        }),
        ColumnKind::Edtf => date(text),
        ColumnKind::DateTime => refuse(!is_date_time(text), || {
            format!("`{text}` is not an ISO 8601 date and time")
        }),
        ColumnKind::Mime => refuse(!is_mime(text), || format!("`{text}` is not a MIME type")),
        ColumnKind::Uri => refuse(!is_uri(text), || format!("`{text}` is not an http URI")),
        ColumnKind::Rights => rights(text),
        ColumnKind::Location => refuse(!text.starts_with('/') && !is_uri(text), || {
            format!("`{text}` is neither a URL nor a path that starts with `/`")
        }),
        ColumnKind::Integer { min, max } => {
            let value: Option<u64> = text.parse().ok();
            let inside = value.is_some_and(|value| (min..=max).contains(&value));
            refuse(!inside, || format!("`{text}` is not {}", whole(min, max)))
        }
        ColumnKind::Number { min, max, .. } => {
            let value: Option<f64> = text.parse().ok();
            let inside = value.is_some_and(|value| (min..=max).contains(&value));
            refuse(!inside, || format!("`{text}` is not {}", decimal(min, max)))
        }
        ColumnKind::Hex(digits) => {
            let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let fits = text.len() == usize::from(digits) && text.bytes().all(hex);
            refuse(!fits, || {
                format!("`{text}` is not {digits} lower-case hexadecimal digits")
            })
        }
        ColumnKind::Bool => refuse(text != "true" && text != "false", || {
            format!("`{text}` is neither `true` nor `false`")
        }),
        ColumnKind::Word(words) => word(text, &words()),
        ColumnKind::Words(words) => {
            let words = words();
            text.split(';').find_map(|part| word(part, &words))
        }
    }
}

fn error(message: String) -> Remark {
    Remark {
        severity: Severity::Error,
        message,
        hint: None,
    }
}

fn refuse(wrong: bool, message: impl FnOnce() -> String) -> Option<Remark> {
    wrong.then(|| error(message()))
}

fn path(text: &str) -> Option<Remark> {
    let inside = !text.starts_with('/')
        && text
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    refuse(!inside, || {
        format!("`{text}` is not a relative path of plain parts")
    })
}

fn date(text: &str) -> Option<Remark> {
    let wrong = edtf::parse(text).err()?;
    Some(Remark {
        hint: wrong.suggestion.map(|date| format!("write `{date}`")),
        ..error(wrong.message)
    })
}

fn word(text: &str, words: &[&str]) -> Option<Remark> {
    if words.contains(&text) {
        return None;
    }
    let near = nearest(text, words.iter().copied());
    Some(Remark {
        hint: near.map(|near| format!("is `{near}` meant?")),
        ..error(format!("`{text}` is not one of the column's words"))
    })
}

fn whole(min: u64, max: u64) -> String {
    if max == u64::MAX {
        format!("a whole number from {min}")
    } else {
        format!("a whole number from {min} to {max}")
    }
}

fn decimal(min: f64, max: f64) -> String {
    if max == f64::MAX {
        format!("a number from {min}")
    } else {
        format!("a number from {min} to {max}")
    }
}

/// `http` or `https`, a host, and nothing that a URI cannot have.
fn is_uri(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\"\\^`{|}".contains(c);
    !host.is_empty() && host.contains(|c: char| c.is_alphanumeric()) && text.chars().all(plain)
}

/// Type and subtype of the letters that RFC 6838 allows, without parameters.
fn is_mime(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// `YYYY-MM-DD`, optionally `Thh:mm:ss`, optionally a fraction, optionally an offset.
fn is_date_time(text: &str) -> bool {
    // A fraction of a second is the one thing that EDTF does not have.
    let Some((before, fraction)) = text.split_once('.') else {
        return is_plain_date_time(text);
    };
    let digits = fraction.len()
        - fraction
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    digits > 0
        && before.contains('T')
        && is_plain_date_time(&format!("{before}{}", &fraction[digits..]))
}

fn is_plain_date_time(text: &str) -> bool {
    let letters = text.contains(['X', '/', '?', '~', '%', 'Y']);
    text.len() >= 10 && !letters && edtf::parse(text).is_ok()
}

/// The twelve statements of `RightsStatements.org`.
const STATEMENTS: [&str; 12] = [
    "InC",
    "InC-OW-EU",
    "InC-EDU",
    "InC-NC",
    "InC-RUU",
    "NoC-CR",
    "NoC-NC",
    "NoC-OKLR",
    "NoC-US",
    "CNE",
    "UND",
    "NKC",
];

/// The six licences of Creative Commons.
const LICENCES: [&str; 6] = ["by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"];

/// Whether a text is the URI of a statement of `RightsStatements.org` or a licence or mark of
/// Creative Commons.
pub fn is_rights_statement(text: &str) -> bool {
    rights(text).is_none()
}

fn rights(text: &str) -> Option<Remark> {
    if !is_uri(text) {
        return Some(Remark {
            hint: Some(
                "take one of https://rightsstatements.org/ or https://creativecommons.org/"
                    .to_owned(),
            ),
            ..error(format!("`{text}` is not a URI"))
        });
    }
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.strip_prefix("www.").unwrap_or(rest);
    if let Some(path) = rest.strip_prefix("rightsstatements.org/") {
        return rights_statement(path);
    }
    if let Some(path) = rest.strip_prefix("creativecommons.org/") {
        return refuse(!is_creative_commons(path), || {
            format!("`{text}` is not the URI of a Creative Commons licence or mark")
        });
    }
    Some(Remark {
        severity: Severity::Warning,
        ..error(format!(
            "`{text}` is of neither RightsStatements.org nor Creative Commons"
        ))
    })
}

/// `vocab/<statement>/1.0/`; the page of a statement has its URI with `vocab` for `page`.
fn rights_statement(path: &str) -> Option<Remark> {
    let parts: Vec<_> = path.trim_end_matches('/').split('/').collect();
    let [kind, statement, "1.0"] = parts[..] else {
        return Some(error(format!(
            "`{path}` is not `vocab/`, a statement, and `/1.0/`"
        )));
    };
    if !STATEMENTS.contains(&statement) {
        return Some(Remark {
            hint: nearest(statement, STATEMENTS).map(|near| format!("is `{near}` meant?")),
            ..error(format!(
                "`{statement}` is no statement of RightsStatements.org"
            ))
        });
    }
    match kind {
        "vocab" => None,
        "page" => Some(Remark {
            severity: Severity::Warning,
            message: "is the address of a page, not the URI of the statement".to_owned(),
            hint: Some(format!(
                "write `http://rightsstatements.org/vocab/{statement}/1.0/`"
            )),
        }),
        _ => Some(error(format!(
            "`{path}` is not `vocab/`, a statement, and `/1.0/`"
        ))),
    }
}

/// `licenses/by/4.0/` with an optional jurisdiction, `publicdomain/zero/1.0/`,
/// `publicdomain/mark/1.0/`.
fn is_creative_commons(path: &str) -> bool {
    let parts: Vec<_> = path.trim_end_matches('/').split('/').collect();
    match parts[..] {
        ["publicdomain", "zero" | "mark", "1.0"] => true,
        ["licenses", licence, version] => LICENCES.contains(&licence) && is_version(version),
        ["licenses", licence, version, place] => {
            LICENCES.contains(&licence)
                && is_version(version)
                && (2..=4).contains(&place.len())
                && place.bytes().all(|byte| byte.is_ascii_lowercase())
        }
        _ => false,
    }
}

fn is_version(text: &str) -> bool {
    ["1.0", "2.0", "2.1", "2.5", "3.0", "4.0"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::row::Row;

    fn remark(column: &str, text: &str) -> Option<Remark> {
        let column = Record::COLUMNS.iter().find(|found| found.name == column);
        check(column.unwrap(), text)
    }

    #[test]
    fn good_cells() {
        let statement = "http://rightsstatements.org/vocab/InC-OW-EU/1.0/";
        for (column, text) in [
            ("filename", "a b/ü.tif"),
            ("objectid", "a_b-1"),
            ("date", "1931~"),
            ("date", ""),
            ("format", "image/svg+xml"),
            ("format", "application/vnd.ms-pki.stl"),
            ("latitude", "-90"),
            ("rightsstatement", statement),
            (
                "rightsstatement",
                "https://creativecommons.org/licenses/by-sa/4.0/",
            ),
            (
                "rightsstatement",
                "https://creativecommons.org/licenses/by/3.0/us/",
            ),
            (
                "rightsstatement",
                "https://creativecommons.org/publicdomain/mark/1.0/",
            ),
            ("object_location", "/objects/a.tif"),
            ("object_location", "https://example.org/a%20b?x=1#y"),
            ("sha256", &"0f".repeat(32)),
            ("orientation", "8"),
            ("date_digitized", "2011-05-03T14:20:11"),
            ("date_digitized", "2011-05-03T14:20:11.25+02:00"),
            ("date_digitized", "2011-05-03"),
            ("processed_at", "2026-11-20T10:00:00.123456Z"),
            ("quality_flags", "blurred;low_ppi"),
            ("status", "cancelled"),
            ("error_code", "not_selected"),
        ] {
            let found = remark(column, text);
            assert!(
                found.is_none(),
                "{column} {text}: {}",
                found.unwrap().message
            );
        }
    }

    #[test]
    fn bad_cells() {
        for (column, text, hint) in [
            ("filename", "", None),
            ("filename", "/a", None),
            ("filename", "a/../b", None),
            ("filename", "a//b", None),
            ("objectid", "A", None),
            ("date", "ca. 1931", Some("write `1931~`")),
            ("format", "TIFF", None),
            ("format", "image/", None),
            ("latitude", "90.1", None),
            ("latitude", "NaN", None),
            (
                "rightsstatement",
                "public domain",
                Some("take one of https://rightsstatements.org/ or https://creativecommons.org/"),
            ),
            (
                "rightsstatement",
                "http://rightsstatements.org/vocab/InC-OWEU/1.0/",
                Some("is `InC-OW-EU` meant?"),
            ),
            (
                "rightsstatement",
                "http://rightsstatements.org/vocab/InC/",
                None,
            ),
            (
                "rightsstatement",
                "https://rightsstatements.org/page/InC/1.0/",
                Some("write `http://rightsstatements.org/vocab/InC/1.0/`"),
            ),
            (
                "rightsstatement",
                "https://creativecommons.org/licenses/by/",
                None,
            ),
            (
                "rightsstatement",
                "https://creativecommons.org/licenses/sa/4.0/",
                None,
            ),
            ("rightsstatement", "https://example.org/terms", None),
            ("object_location", "objects/a.tif", None),
            ("object_location", "http://", None),
            ("object_location", "https://example.org/a b", None),
            ("sha256", &"0F".repeat(32), None),
            ("orientation", "9", None),
            ("image_width", "-1", None),
            ("date_digitized", "2011:05:03 14:20:11", None),
            ("date_digitized", "2011", None),
            ("date_digitized", "2011-05-03T14:20:11.", None),
            ("date_digitized", "2011-05-XX", None),
            ("scanner", "a\nb", None),
            ("quality_flags", "blured", Some("is `blurred` meant?")),
            ("quality_flags", "blurred;", None),
            ("status", "done", None),
        ] {
            let found = remark(column, text);
            assert!(found.is_some(), "{column} {text}");
            assert_eq!(found.unwrap().hint.as_deref(), hint, "{column} {text}");
        }
    }
}
