//! Wax: a collection of a static site with IIIF pictures, its entry in the configuration, and the
//! originals under the names that it looks for.

use fonds_core::Result;

use super::{Export, ExportReport, Field};
use crate::transfer;

/// Headers that Wax and Jekyll keep for themselves (`layout`, `order`, `collection`, `thumbnail`,
/// `full`, `manifest`, `date`) are not among these: Jekyll refuses a `date` that it cannot parse.
pub(super) const FIELDS: &[Field] = &[
    Field::id("pid"),
    Field::of("label", "title"),
    Field::of("creator", "creator"),
    Field::of("_date", "date"),
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
    Field::of("image_alt_text", "image_alt_text"),
];

/// The endings of the pictures that Wax takes.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "tiff", "tif"];

const CONFIG: &str = "\
# Add this to the _config.yml of the site.
collections:
  fonds:
    output: true
    layout: 'generic_collection_item'
    metadata:
      source: 'fonds.csv'
    images:
      source: 'raw_images/fonds'
";

const GUIDE: &str = "\
For Wax.

1. Copy the folder _data into the site, and add config-fragment.yml to its _config.yml.
2. The pictures belong into _data/raw_images/fonds, each named by its pid; give the export --archive
   and they are there already.
3. bundle exec rake wax:derivatives:iiif fonds
   bundle exec rake wax:pages fonds

The date is in the column _date, because Jekyll refuses to build a page whose `date` it cannot read.
Cells that a spreadsheet program would run as formulas begin with a single quote;
`fonds catalog import` takes it away again.
";

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    export.table("_data/fonds.csv", false)?;
    export.side_file("config-fragment.yml", CONFIG)?;
    let Some(archive) = export.options.archive.clone() else {
        return export.finish(GUIDE);
    };
    let mut unfit = 0;
    export.each(|export, item| {
        let record = &item.record;
        let ending = record.filename.rsplit('.').next().unwrap_or_default();
        let ending = ending.to_lowercase();
        if !ENDINGS.contains(&ending.as_str()) {
            unfit += 1;
            return Ok(());
        }
        let name = format!("_data/raw_images/fonds/{}.{ending}", record.objectid);
        let source = transfer::inside(&archive, &record.filename)?;
        transfer::copy(&source, &export.place(&name)?, record.sha256)?;
        export.report.copied += 1;
        Ok(())
    })?;
    if unfit > 0 {
        let message = format!("{unfit} originals are of kinds that Wax does not take");
        export.remark(
            "_data/fonds.csv",
            message,
            "convert them to PNG, JPEG or TIFF",
        );
    }
    export.finish(GUIDE)
}
