//! Omeka S: items for its module CSV Import, with headers that it maps by itself.

use fonds_core::Result;

use super::{Export, ExportReport, Exported, Field};

pub(super) const FIELDS: &[Field] = &[
    Field::id("dcterms:identifier"),
    Field::mapped("dcterms:title", "title", safe, str::to_owned),
    Field::mapped("dcterms:creator", "creator", safe, str::to_owned),
    Field::of("dcterms:date", "date"),
    Field::mapped("dcterms:description", "description", safe, str::to_owned),
    Field::mapped("dcterms:subject", "subject", safe, str::to_owned),
    Field::mapped("dcterms:spatial", "location", safe, str::to_owned),
    Field::mapped("dcterms:source", "source", safe, str::to_owned),
    Field::mapped("bibo:identifier", "identifier", safe, str::to_owned),
    Field::of("dcterms:type", "type"),
    Field::of("dcterms:format", "format"),
    Field::of("dcterms:language", "language"),
    Field::mapped("dcterms:rights", "rights", safe, str::to_owned),
    Field::of("dcterms:license", "rightsstatement"),
    Field::of("dcterms:isPartOf", "parentid"),
    Field::made("media_original", original),
    Field::made("media_derivative", derivative),
];

const GUIDE: &str = "\
For Omeka S with its module CSV Import.

1. Import omeka-s.csv as items; separator of columns `,`, of values `;`.
2. The columns that begin with dcterms: and bibo: are mapped by themselves.
3. Map media_original, or media_derivative, to `Media source`: as URL when the export was given
   --base-url, else as Sideload, with the archive (or the output) as the folder of sideloaded files.
4. For a later update choose dcterms:identifier as the resource identifier.

Where a backslash stood before a quote or at the end of a cell there is a `/` now: the module would
take it for an escape and join the cells. Cells that a spreadsheet program would run as formulas
begin with a single quote; `fonds catalog import` takes it away again.
";

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    export.table("omeka-s.csv", false)?;
    export.finish(GUIDE)
}

/// The module reads a backslash before a quote as an escape (PHP's `fgetcsv`), and a cell that ends
/// in one would run into the next.
fn safe(text: &str) -> String {
    let mut out = text.replace("\\\"", "/\"");
    if out.ends_with('\\') {
        out.pop();
        out.push('/');
    }
    out
}

fn original(row: &Exported<'_>) -> String {
    match row.options.base_url {
        Some(_) => row.url(&row.record.object_location),
        None => row.record.filename.clone(),
    }
}

fn derivative(row: &Exported<'_>) -> String {
    row.derivative()
        .map_or_else(String::new, |derivative| match row.options.base_url {
            Some(_) => row.url(&format!("/{}", derivative.path)),
            None => derivative.path.clone(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_backslash_meets_a_quote() {
        assert_eq!(safe("C:\\scans\\"), "C:\\scans/");
        assert_eq!(safe("a\\\"b\\\\"), "a/\"b\\/");
    }
}
