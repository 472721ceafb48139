//! Three files of an archive become a catalog: written, completed by a person, checked, printed.
//!
//! Run it with `cargo run -p fonds-catalog --example make_catalog [FOLDER]`; the folder must
//! exist, and without one it works in a folder that it makes for itself and removes.

#![expect(clippy::print_stdout, reason = "examples talk to the terminal")]

use std::path::Path;

use fonds_catalog::{
    CatalogWriter, FailureRecord, HumanMetadata, Item, Record, Status, TableReader,
    ValidateOptions, validate,
};
use fonds_core::{Code, Digest, Error, Flag, ObjectIds, RelPath, Result};

/// What a person knows of the archive; in practice a file beside it.
const METADATA: &str = "\
filename,title,creator,date,rightsstatement
letters/1902 Müller.tif,Letter to the council,Anna Müller,1902-05,http://rightsstatements.org/vocab/NKC/1.0/
";

fn main() -> Result<()> {
    let text = match std::env::args_os().nth(1) {
        Some(folder) => make(Path::new(&folder)),
        None => temporary().and_then(|folder| make(folder.path())),
    };
    print!("{}", text?);
    Ok(())
}

/// Writes the catalog and tells what is in it.
fn make(folder: &Path) -> Result<String> {
    let human = HumanMetadata::parse(METADATA, "metadata.csv")?;
    let mut writer = CatalogWriter::create(folder)?;
    for mut item in items()? {
        human.apply(&mut item.record);
        writer.push(item)?;
    }
    let summary = writer.finish()?;
    let mut text = format!(
        "{} files, {} failed, {} identical to another\n",
        summary.files.total(),
        summary.files.get(Status::Failed),
        summary.duplicates
    );
    for row in TableReader::<Record>::open_in(folder)? {
        let row = row?;
        let (id, title, status) = (&row.objectid, &row.title, row.status.as_str());
        text += &format!("{id}: {title} ({status})\n");
    }
    for finding in validate(folder, &ValidateOptions::default())? {
        text += &format!("{finding}\n");
    }
    Ok(text)
}

fn temporary() -> Result<tempfile::TempDir> {
    tempfile::tempdir()
        .map_err(|error| Error::from_io(error, Code::WriteFailed, "cannot make a folder"))
}

/// What a run would have found out, in the order of the paths.
fn items() -> Result<Vec<Item>> {
    let paths = ["copy.tif", "letters/1902 Müller.tif", "letters/broken.jpg"];
    let paths = paths.map(|path| RelPath::new(Path::new(path)));
    let paths: Vec<_> = paths.into_iter().collect::<Result<_>>()?;
    let ids = ObjectIds::resolve(&paths);
    let mut items: Vec<_> = paths
        .iter()
        .map(|path| Item {
            record: picture(path, &ids),
            ..Item::default()
        })
        .collect();
    if let Some(broken) = items.last_mut() {
        fail(broken);
    }
    Ok(items)
}

fn picture(path: &RelPath, ids: &ObjectIds) -> Record {
    Record {
        title: path.stem().to_owned(),
        quality_flags: [Flag::TitleFromFilename].into(),
        types: vec!["Image".to_owned(), "StillImage".to_owned()],
        format: "image/tiff".to_owned(),
        display_template: "image".to_owned(),
        sha256: Some(Digest::of(b"the same bytes")),
        image_width: Some(4000),
        image_height: Some(3000),
        ppi_x: Some(300.0),
        ppi_y: Some(300.0),
        ppi_source: "exif".to_owned(),
        ..Record::new(path.as_str(), &ids.id(path))
    }
}

fn fail(item: &mut Item) {
    let message = "the scan ends after 310 of 8192 bytes";
    item.record = Record {
        filename: item.record.filename.clone(),
        objectid: item.record.objectid.clone(),
        title: item.record.title.clone(),
        display_template: "record".to_owned(),
        status: Status::Failed,
        error_code: Some(Code::Truncated.into()),
        error_message: message.to_owned(),
        ..Record::default()
    };
    item.failures.push(FailureRecord {
        filename: item.record.filename.clone(),
        stage: "decode".to_owned(),
        error_code: Some(Code::Truncated),
        error_message: message.to_owned(),
        attempts: Some(1),
        ..FailureRecord::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_files_are_catalogued() {
        let folder = temporary().unwrap();
        let text = make(folder.path()).unwrap();
        assert_eq!(
            text,
            "3 files, 1 failed, 1 identical to another\n\
             copy: copy (ok)\n\
             letters-1902-muller: Letter to the council (ok)\n\
             letters-broken: broken (failed)\n"
        );
    }
}
