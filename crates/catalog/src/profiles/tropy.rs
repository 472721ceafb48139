//! Tropy: items with their photographs, for its CSV plugin, whose headers are URIs of properties.

use std::path::Path;

use fonds_core::Result;

use super::{Export, ExportReport, Exported, Field};

pub(super) const FIELDS: &[Field] = &[
    Field::id("http://purl.org/dc/elements/1.1/identifier"),
    Field::of("http://purl.org/dc/elements/1.1/title", "title"),
    Field::of("http://purl.org/dc/elements/1.1/creator", "creator"),
    Field::of("http://purl.org/dc/elements/1.1/date", "date"),
    Field::of("http://purl.org/dc/elements/1.1/description", "description"),
    Field::of("http://purl.org/dc/elements/1.1/subject", "subject"),
    Field::of("http://purl.org/dc/elements/1.1/coverage", "location"),
    Field::of("http://purl.org/dc/elements/1.1/source", "source"),
    Field::of("http://purl.org/dc/terms/identifier", "identifier"),
    Field::of("http://purl.org/dc/elements/1.1/type", "type"),
    Field::of("http://purl.org/dc/elements/1.1/format", "format"),
    Field::of("http://purl.org/dc/elements/1.1/language", "language"),
    Field::of("http://purl.org/dc/elements/1.1/rights", "rights"),
    Field::of("http://purl.org/dc/terms/license", "rightsstatement"),
    // The plugin takes all columns from this one on for those of photographs.
    Field::made("https://tropy.org/v1/tropy#path", path),
];

const GUIDE: &str = "\
For Tropy with the plugin tropy-plugin-csv.

File > Import > the plugin, with tropy.csv. The path of each photograph is absolute when the export
was given --archive; else it starts at the folder of tropy.csv, which then belongs into the archive's
root. Cells that a spreadsheet program would run as formulas begin with a single quote;
`fonds catalog import` takes it away again.
";

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    export.table("tropy.csv", false)?;
    export.finish(GUIDE)
}

fn path(row: &Exported<'_>) -> String {
    let name = &row.record.filename;
    let archive = row.options.archive.as_deref();
    match archive.and_then(|archive| std::path::absolute(archive).ok()) {
        Some(archive) => archive.join(Path::new(name)).display().to_string(),
        None if name.starts_with(|c: char| c.is_alphanumeric()) => name.clone(),
        None => format!("./{name}"),
    }
}
