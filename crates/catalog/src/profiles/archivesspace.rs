//! `ArchivesSpace`: digital objects, with original, derivative and thumbnail as file versions.

use fonds_core::Result;

use super::{Export, ExportReport, Exported, Field};
use crate::edtf;
use crate::record::DerivativeRecord;

pub(super) const FIELDS: &[Field] = &[
    Field::id("digital_object_id"),
    Field::of("digital_object_title", "title"),
    Field::made("digital_object_publish", |_| "FALSE".to_owned()),
    Field::made("digital_object_type", |_| "still_image".to_owned()),
    Field::made("digital_object_level", |_| "image".to_owned()),
    Field::made("date_1_begin", |row| dates(&row.record.date).0),
    Field::made("date_1_end", |row| dates(&row.record.date).1),
    Field::of("date_1_expression", "date"),
    Field::made("date_1_type", |row| date_type(&row.record.date)),
    Field::made("date_1_label", |row| {
        if row.record.date.is_empty() {
            ""
        } else {
            "creation"
        }
        .to_owned()
    }),
    Field::made("file_version_file_uri_1", |row| {
        row.url(&row.record.object_location)
    }),
    Field::made("file_version_publish_1", |_| "FALSE".to_owned()),
    Field::made("file_version_use_statement_1", |_| {
        "image-master".to_owned()
    }),
    Field::made("file_version_file_format_name_1", |row| {
        format_name(&row.record.format)
    }),
    Field::made("file_version_file_size_bytes_1", |row| {
        row.record
            .file_size
            .map(|size| size.to_string())
            .unwrap_or_default()
    }),
    Field::made("file_version_checksum_1", |row| {
        row.record
            .sha256
            .map(|digest| digest.to_string())
            .unwrap_or_default()
    }),
    Field::made("file_version_checksum_method_1", |row| {
        method(row.record.sha256.is_some())
    }),
    Field::made("file_version_caption_1", |_| "Original".to_owned()),
    Field::made("file_version_file_uri_2", |row| {
        of_derivative(row, |found| row.url(&format!("/{}", found.path)))
    }),
    Field::made("file_version_publish_2", |row| {
        of_derivative(row, |_| "FALSE".to_owned())
    }),
    Field::made("file_version_use_statement_2", |row| {
        of_derivative(row, |_| "image-service".to_owned())
    }),
    Field::made("file_version_file_format_name_2", |row| {
        of_derivative(row, |found| {
            let ending = found.path.rsplit('.').next().unwrap_or_default();
            format_name(match ending {
                "jpg" => "image/jpeg",
                "tif" => "image/tiff",
                other => other,
            })
        })
    }),
    Field::made("file_version_checksum_2", |row| {
        of_derivative(row, |found| {
            found
                .sha256
                .map(|digest| digest.to_string())
                .unwrap_or_default()
        })
    }),
    Field::made("file_version_checksum_method_2", |row| {
        of_derivative(row, |found| method(found.sha256.is_some()))
    }),
    Field::made("file_version_caption_2", |row| {
        of_derivative(row, |found| {
            match found.digital_source_type.rsplit('/').next() {
                Some("compositeWithTrainedAlgorithmicMedia") => "AI-restored derivative".to_owned(),
                _ => "Derivative".to_owned(),
            }
        })
    }),
    Field::made("file_version_file_uri_3", |row| {
        row.url(&row.record.image_thumb)
    }),
    Field::made("file_version_publish_3", |row| {
        if row.record.image_thumb.is_empty() {
            ""
        } else {
            "FALSE"
        }
        .to_owned()
    }),
    Field::made("file_version_use_statement_3", |row| {
        if row.record.image_thumb.is_empty() {
            ""
        } else {
            "image-thumbnail"
        }
        .to_owned()
    }),
];

const GUIDE: &str = "\
For ArchivesSpace.

Create > Background Job > Import Data, kind `Digital Object CSV`, with archivesspace.csv.

Nothing is published: set digital_object_publish and the columns file_version_publish_… to TRUE where
that is wanted. Give the export --base-url, so that the file versions have URLs. Dates are normalised
from EDTF; what cannot be is in date_1_expression alone. Cells that a spreadsheet program would run as
formulas begin with a single quote; `fonds catalog import` takes it away again.
";

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    export.table("archivesspace.csv", false)?;
    if export.options.base_url.is_none() {
        let hint = "give --base-url with the address under which they will be found";
        let message = "the file versions have paths where ArchivesSpace expects URLs";
        export.remark("archivesspace.csv", message, hint);
    }
    export.finish(GUIDE)
}

fn of_derivative(row: &Exported<'_>, make: impl Fn(&DerivativeRecord) -> String) -> String {
    row.derivative().map(make).unwrap_or_default()
}

fn method(known: bool) -> String {
    if known { "sha-256" } else { "" }.to_owned()
}

/// The last part of a MIME type, as the controlled list has it.
fn format_name(mime: &str) -> String {
    mime.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Begin and end as ISO 8601 dates, as far as the EDTF date has them.
fn dates(text: &str) -> (String, String) {
    let Ok(date) = edtf::parse(text) else {
        return Default::default();
    };
    let year = |year: Option<i64>| match year {
        Some(year @ 0..=9999) => format!("{year:04}"),
        _ => String::new(),
    };
    let (start, end) = match text.split_once('/') {
        Some((start, end)) => (start, end),
        None if date.from == date.to => (text, ""),
        None => return (year(date.from), year(date.to)),
    };
    let part = |text: &str, known: Option<i64>| {
        plain(text).unwrap_or_else(|| {
            if text.is_empty() {
                String::new()
            } else {
                year(known)
            }
        })
    };
    (part(start, date.from), part(end, date.to))
}

/// A calendar date without qualifiers, unknown digits, seasons and times.
fn plain(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['?', '~', '%']);
    let text = text.split('T').next()?;
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let season = text.len() == 7 && text.as_bytes()[5] == b'2';
    (digits && matches!(text.len(), 4 | 7 | 10) && !season).then(|| text.to_owned())
}

fn date_type(text: &str) -> String {
    let (begin, end) = dates(text);
    match (begin.is_empty(), end.is_empty()) {
        _ if text.is_empty() => "",
        (_, false) => "inclusive",
        _ => "single",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_normalised() {
        for (text, begin, end, kind) in [
            ("", "", "", ""),
            ("1931", "1931", "", "single"),
            ("1931-05-09", "1931-05-09", "", "single"),
            ("1931~", "1931", "", "single"),
            ("1931-21", "1931", "", "single"),
            ("1931-XX", "1931", "", "single"),
            ("193X", "1930", "1939", "inclusive"),
            ("1931/1935-02", "1931", "1935-02", "inclusive"),
            ("193X/1945", "1930", "1945", "inclusive"),
            ("1931/..", "1931", "", "single"),
            ("../1931", "", "1931", "inclusive"),
            ("-0044", "", "", "single"),
            ("some time", "", "", "single"),
        ] {
            assert_eq!(dates(text), (begin.to_owned(), end.to_owned()), "{text}");
            assert_eq!(date_type(text), kind, "{text}");
        }
    }
}
