//! `CollectionBuilder-CSV`: the metadata of a static site, and the list of its pictures.

use fonds_core::Result;

use super::{Export, ExportReport, Field};
use crate::writer::quote_from;

/// The columns of the template, in its order.
pub(super) const FIELDS: &[Field] = &[
    Field::id("objectid"),
    Field::of("parentid", "parentid"),
    Field::of("title", "title"),
    Field::of("creator", "creator"),
    Field::of("date", "date"),
    Field::of("description", "description"),
    Field::of("subject", "subject"),
    Field::of("location", "location"),
    Field::of("latitude", "latitude"),
    Field::of("longitude", "longitude"),
    Field::of("source", "source"),
    Field::of("identifier", "identifier"),
    Field::of("type", "type"),
    Field::of("format", "format"),
    Field::of("language", "language"),
    Field::of("rights", "rights"),
    Field::of("rightsstatement", "rightsstatement"),
    Field::of("display_template", "display_template"),
    Field::of("object_location", "object_location"),
    Field::of("image_small", "image_small"),
    Field::of("image_thumb", "image_thumb"),
    Field::of("image_alt_text", "image_alt_text"),
    Field::of("object_transcript", "object_transcript"),
];

const GUIDE: &str = "\
For CollectionBuilder-CSV.

1. Copy _data/metadata.csv into the folder _data of the site, and objects/object_list.csv into its
   folder objects.
2. In _config.yml write `metadata: metadata` (the name without .csv).
3. Copy the originals into the folder objects of the site, keeping their folders, and the folders
   objects/small and objects/thumbs of the output there, too.

The file has no byte order mark: it would become part of the first header. Cells that a spreadsheet
program would run as formulas begin with a single quote; `fonds catalog import` takes it away again.
";

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    export.table("_data/metadata.csv", true)?;
    let mut list = "filename,object_location,image_small,image_thumb\n".to_owned();
    export.each(|_, item| {
        let record = &item.record;
        let name = record.filename.rsplit('/').next().unwrap_or_default();
        let cells = [
            name,
            &record.object_location,
            &record.image_small,
            &record.image_thumb,
        ];
        for (i, cell) in cells.into_iter().enumerate() {
            if i > 0 {
                list.push(',');
            }
            let start = list.len();
            list.push_str(cell);
            quote_from(start, &mut list);
        }
        list.push('\n');
        Ok(())
    })?;
    export.side_file("objects/object_list.csv", &list)?;
    export.finish(GUIDE)
}
