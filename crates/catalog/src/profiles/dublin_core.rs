//! Dublin Core: a CSV with `dc:` headers (Preservica's csv2dc among others), and the same as
//! records of `oai_dc`.

use fonds_core::Result;

use super::{Export, ExportReport, Field};
use crate::record::Record;
use crate::xml;

pub(super) const FIELDS: &[Field] = &[
    Field::path("filename", ""),
    Field::made("objectid", |row| row.record.objectid.clone()),
    Field::of("dc:title", "title"),
    Field::of("dc:creator", "creator"),
    Field::of("dc:subject", "subject"),
    Field::of("dc:description", "description"),
    Field::of("dc:date", "date"),
    Field::of("dc:type", "type"),
    Field::of("dc:format", "format"),
    Field::of("dc:identifier", "identifier"),
    Field::of("dc:source", "source"),
    Field::of("dc:language", "language"),
    Field::of("dc:relation", "parentid"),
    Field::of("dc:coverage", "location"),
    Field::of("dc:rights", "rights"),
    Field::of("dcterms:license", "rightsstatement"),
];

const GUIDE: &str = "\
Dublin Core, version 1.1.

dublin-core.csv has one row a file, with several values in a cell joined by `;`. dublin-core.xml has
the same as oai_dc records, each value in an element of its own; the first dc:identifier is the object
id. In the CSV, cells that a spreadsheet program would run as formulas begin with a single quote;
`fonds catalog import` takes it away again.
";

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    export.table("dublin-core.csv", false)?;
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <records xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n",
    );
    export.each(|_, item| {
        put_record(&item.record, &mut text);
        Ok(())
    })?;
    text.push_str("</records>\n");
    export.side_file("dublin-core.xml", &text)?;
    export.finish(GUIDE)
}

fn put_record(record: &Record, out: &mut String) {
    out.push_str("  <oai_dc:dc>\n");
    let lists = |text: &str| text.split(';').map(|part| part.trim().to_owned()).collect();
    let one = |text: &str| vec![text.to_owned()];
    let elements: [(&str, Vec<String>); 14] = [
        ("identifier", one(&record.objectid)),
        ("title", one(&record.title)),
        ("creator", lists(&record.creator)),
        ("subject", record.subject.clone()),
        ("description", one(&record.description)),
        ("date", one(&record.date)),
        ("type", record.types.clone()),
        ("format", one(&record.format)),
        ("identifier", one(&record.identifier)),
        ("source", one(&record.source)),
        ("language", lists(&record.language)),
        ("relation", one(&record.parentid)),
        ("coverage", one(&record.location)),
        (
            "rights",
            vec![record.rights.clone(), record.rightsstatement.clone()],
        ),
    ];
    for (name, values) in elements {
        for value in values.iter().filter(|value| !value.is_empty()) {
            out.push_str(&format!("    <dc:{name}>"));
            xml::put_text(value, out);
            out.push_str(&format!("</dc:{name}>\n"));
        }
    }
    out.push_str("  </oai_dc:dc>\n");
}
