//! How many rows a second are written, read, and taken through the journal.
//!
//! `cargo run --release -p fonds-catalog --example catalog_speed [ROWS [FOLDER]]`

#![expect(clippy::print_stdout, reason = "examples talk to the terminal")]

use std::path::Path;
use std::time::Instant;

use fonds_catalog::{
    CatalogWriter, ExportOptions, Hash64, ImportOptions, Item, ItemEntry, ItemReader, Profile,
    Query, Record, TableReader, ValidateOptions, WellFormed, export, import, query, similar,
    validate,
};
use fonds_core::{Code, Digest, Error, ObjectId, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rows = arguments.next().and_then(|text| text.parse().ok());
    let rows: u32 = rows.unwrap_or(1000);
    match arguments.next() {
        Some(folder) => tables(rows, Path::new(&folder)),
        None => temporary().and_then(|folder| tables(rows, folder.path())),
    }?;
    journal(rows)
}

fn temporary() -> Result<tempfile::TempDir> {
    tempfile::tempdir()
        .map_err(|error| Error::from_io(error, Code::WriteFailed, "cannot make a folder"))
}

/// Measures the three tables, which stay in the folder for other programs to be measured on.
fn tables(rows: u32, folder: &Path) -> Result<()> {
    timed("build rows in memory", rows, || {
        (0..rows).try_for_each(|i| item(i).map(|item| drop(std::hint::black_box(item))))
    })?;
    timed("write the tables", rows, || {
        let mut writer = CatalogWriter::create(folder)?;
        (0..rows).try_for_each(|i| writer.push(item(i)?))?;
        writer.finish().map(drop)
    })?;
    timed("read the catalog", rows, || {
        let mut reader = TableReader::<Record>::open_in(folder)?;
        let mut row = Record::default();
        while reader.read(&mut row)? {}
        Ok(())
    })?;
    timed("read items", rows, || {
        ItemReader::open(folder)?.try_for_each(|item| item.map(drop))
    })?;
    timed("validate", rows, || {
        let found = validate(folder, &ValidateOptions::default())?;
        found.first().map_or(Ok(()), |finding| {
            Err(Error::new(Code::Internal, finding.to_string()))
        })
    })?;
    let late = Query::parse("blur_score > 10 and title ~ img_00 and not status = failed")?;
    timed("query", rows, || query(folder, &late, |_| true).map(drop))?;
    for distance in [3, 6] {
        timed(
            &format!("group what looks alike within {distance} bits"),
            rows,
            || similar(folder, distance).map(drop),
        )?;
    }
    exchange(rows, folder)
}

/// Measures the way to another program and back, with a changed title in every hundredth row.
fn exchange(rows: u32, folder: &Path) -> Result<()> {
    let place = temporary()?;
    let target = place.path().join("export");
    let options = ExportOptions::default();
    timed("export to CollectionBuilder", rows, || {
        export(folder, Profile::CollectionBuilder, &target, &options).map(drop)
    })?;
    let file = target.join("_data/metadata.csv");
    let unread = |error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&file);
    let text = std::fs::read_to_string(&file).map_err(unread)?;
    // A row is two lines, because its description is; the header is one.
    let lines = text.lines().enumerate();
    let edited: String = lines
        .map(|(i, line)| match i % 200 {
            199 => line.replacen(",IMG_", ",edited IMG_", 1) + "\n",
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&file, edited)
        .map_err(|error| Error::from_io(error, Code::WriteFailed, "cannot be written"))?;
    let options = ImportOptions {
        dry_run: true,
        ..ImportOptions::default()
    };
    timed("compare with an edited export", rows, || {
        let report = import(&file, folder, options)?;
        assert_eq!(
            report.changes.len() as u32,
            rows / 100,
            "every edit is found"
        );
        Ok(())
    })
}

/// Measures the journal's form of the same rows.
fn journal(rows: u32) -> Result<()> {
    let mut journal = Vec::new();
    timed("write the journal", rows, || {
        for i in 0..rows {
            journal.push(ItemEntry::from(item(i)?).to_json()?);
        }
        Ok(())
    })?;
    let bytes: usize = journal.iter().map(String::len).sum();
    println!("{} bytes of journal a row", bytes / rows.max(1) as usize);
    timed("read the journal", rows, || {
        journal
            .iter()
            .try_for_each(|line| ItemEntry::from_json(line).map(drop))
    })
}

fn timed(what: &str, rows: u32, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    run()?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what}: {seconds:.2} s, {:.0} rows a second",
        f64::from(rows) / seconds
    );
    Ok(())
}

/// A row with as much in it as a picture of a real archive has.
fn item(i: u32) -> Result<Item> {
    let path = format!("series {:03}/box {:04}/IMG_{i:07}.tif", i / 10_000, i / 100);
    let id = ObjectId::parse(&fonds_core::slug(&path[..path.len() - 4]))
        .ok_or_else(|| Error::new(Code::Internal, "a slug is an id"))?;
    let record = Record {
        title: format!("IMG_{i:07}"),
        description: "A letter, \"with quotes\", and\na second line".to_owned(),
        subject: vec!["letters".to_owned(), "town council".to_owned()],
        types: vec!["Image".to_owned(), "StillImage".to_owned()],
        format: "image/tiff".to_owned(),
        display_template: "image".to_owned(),
        object_location: format!("/objects/{}", path.replace(' ', "%20")),
        image_small: format!("/objects/small/{id}_sm.jpg"),
        image_thumb: format!("/objects/thumbs/{id}_th.jpg"),
        file_size: Some(u64::from(i) * 31),
        sha256: Some(Digest::of(&i.to_be_bytes())),
        puid: "fmt/353".to_owned(),
        well_formed: Some(WellFormed::Valid),
        image_width: Some(4000 + i % 100),
        image_height: Some(3000),
        page_count: Some(1),
        bits_per_sample: Some(16),
        samples_per_pixel: Some(3),
        color_space: "RGB".to_owned(),
        compression_scheme: "LZW".to_owned(),
        icc_profile: "Adobe RGB (1998)".to_owned(),
        ppi_x: Some(300.0),
        ppi_y: Some(300.0),
        ppi_source: "exif".to_owned(),
        orientation: Some(1),
        scanner: "Phase One P65+".to_owned(),
        date_digitized: "2011-05-03T14:20:11".to_owned(),
        perceptual_hash: Some(Hash64(u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        blur_score: Some(f64::from(i % 9973) / 7.0),
        noise_score: Some(f64::from(i % 977) / 70.0),
        clipped_percent: Some(f64::from(i % 97) / 70.0),
        pipeline: "restore-photographs@0123456789ab".to_owned(),
        run_id: "01932b3e-6a52-7c61-9d3a-3f6d8f2b1c00".to_owned(),
        processed_at: "2026-11-20T10:00:00Z".to_owned(),
        ..Record::new(path, &id)
    };
    Ok(Item {
        record,
        ..Item::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_rows_take_all_ways() {
        let folder = temporary().unwrap();
        tables(50, folder.path()).unwrap();
        journal(50).unwrap();
    }
}
