//! What is said of the fixtures, good and bad.

use std::fs;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Flag, Limits, PixelFormat, RelPath};
use fonds_image::facts::PpiSource;
use fonds_ingest::{Description, describe};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn of(path: &str) -> Description {
    let bytes = fs::read(fixtures().join(path)).unwrap();
    describe(
        &bytes,
        &RelPath::new(Path::new(path)).unwrap(),
        &Limits::DEFAULT,
    )
}

/// The error's code, or the flags of a warning, or `ok`.
fn verdict(description: &Description) -> String {
    if let Some(error) = description.error() {
        return error.code().to_string();
    }
    let remarks = [
        Flag::ExtensionMismatch,
        Flag::IccInvalid,
        Flag::IccMismatch,
        Flag::MetadataUnreadable,
        Flag::TrailingData,
    ];
    let flags = description.all_flags();
    let found = remarks.iter().filter(|flag| flags.contains(flag));
    let found: Vec<_> = found.map(|flag| flag.as_str()).collect();
    if found.is_empty() {
        "ok".to_owned()
    } else {
        found.join(";")
    }
}

#[test]
fn bad_files_are_called_what_they_are() {
    let table = fs::read_to_string(fixtures().join("bad/EXPECT.tsv")).unwrap();
    let mut wrong = Vec::new();
    let mut listed = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<_> = line.split('\t').collect();
        let description = of(&format!("bad/{}", cells[0]));
        let found = verdict(&description);
        if found != cells[1] {
            let error = description.error().map(ToString::to_string);
            wrong.push(format!(
                "{}: {found}, {} expected; {error:?}",
                cells[0], cells[1]
            ));
        }
        listed += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let entries = fs::read_dir(fixtures().join("bad")).unwrap();
    let files = entries.filter(|entry| entry.as_ref().unwrap().path().is_file());
    let files = files.count();
    assert_eq!(
        listed,
        files - 1,
        "every file but the table is in the table"
    );
}

#[test]
fn all_of_the_archive_is_readable() {
    let root = fixtures().join("archive");
    let selection = fonds_ingest::Selection::new(&fonds_ingest::WalkOptions::default()).unwrap();
    let mut seen = 0;
    for found in fonds_ingest::walk(&root, &selection).unwrap().files {
        if matches!(found.fate, fonds_ingest::Fate::Selected) {
            let bytes = fs::read(found.on_disk(&root)).unwrap();
            let description = describe(&bytes, &found.path, &Limits::DEFAULT);
            assert_eq!(
                verdict(&description),
                "ok",
                "{}: {:?}",
                found.path,
                description.error()
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 16);
}

#[test]
fn facts_and_metadata() {
    let farm = of("archive/photographs/1974/mill farm.jpg");
    assert_eq!(
        farm.metadata.title.as_deref(),
        Some("Mill farm from the south")
    );
    assert_eq!(farm.metadata.scanner.as_deref(), Some("Lichtwerk F4800"));
    assert_eq!(
        (farm.metadata.latitude, farm.metadata.longitude),
        (Some(47.5), Some(8.25))
    );
    assert_eq!(
        farm.metadata.date_digitized.as_deref(),
        Some("2019-06-03T10:31:02")
    );

    let portrait = of("archive/photographs/portrait No. 7.jpg");
    assert_eq!(portrait.metadata.title.as_deref(), Some("The surveyor?"));
    assert_eq!(
        portrait.metadata.rights.as_deref(),
        Some("No known copyright")
    );
    assert_eq!(portrait.metadata.subjects, ["portraits", "studio"]);

    let pages = of("archive/letters/accounts/accounts 1911.tif")
        .pages
        .unwrap();
    assert_eq!(pages.len(), 3);
    let facts = pages[2].facts.as_ref().unwrap();
    assert_eq!(
        (facts.width, facts.height, facts.bits_per_sample),
        (330, 420, 8)
    );
    assert_eq!(facts.ppi.map(|ppi| ppi.x.round()), Some(200.0));
    assert_eq!(facts.compression_scheme, "LZW");

    let plate = of("archive/photographs/negatives/plate 07.tif")
        .pages
        .unwrap();
    assert_eq!(
        plate[0].content.as_ref().unwrap().format,
        PixelFormat::GRAY16
    );

    let slide = of("archive/slides/lake, Display P3.png").pages.unwrap();
    let facts = slide[0].facts.as_ref().unwrap();
    assert_eq!(facts.icc_profile.as_deref(), Some("Display P3"));
    assert_eq!(facts.ppi_source, PpiSource::Phys);

    let receipt = of("archive/letters/accounts/receipt.tif").pages.unwrap();
    assert_eq!(receipt[0].facts.as_ref().unwrap().bits_per_sample, 1);
}

#[test]
fn turned_pictures_stand_upright() {
    let upright = of("archive/postcards/boat.jpg").pages.unwrap();
    let hash = upright[0].content.as_ref().unwrap().perceptual_hash;
    for name in ["turned left", "turned right"] {
        let pages = of(&format!("archive/postcards/{name}.jpg")).pages.unwrap();
        let facts = pages[0].facts.as_ref().unwrap();
        assert_eq!((facts.width, facts.height), (200, 150), "{name}");
        let content = pages[0].content.as_ref().unwrap();
        assert!((content.perceptual_hash ^ hash).count_ones() <= 8, "{name}");
    }
}

#[test]
fn measures_see_the_damage_and_only_that() {
    let measures = |path: &str| {
        let pages = of(path).pages.unwrap();
        pages[0].content.as_ref().unwrap().measures
    };
    let clean = measures("archive/photographs/1974/lake, clean.jpg");
    assert!(clean.flags().is_empty(), "{clean:?}");
    assert!(clean.fading < 0.1 && clean.border < 0.01, "{clean:?}");
    let farm = measures("archive/photographs/1974/mill farm.jpg");
    assert!((farm.skew_degrees - 2.3).abs() < 0.25, "{farm:?}");
    assert!(farm.fading > 0.1, "{farm:?}");
    let letter = measures("archive/letters/1911-03-14 Marie to Anna.jpg");
    assert!((letter.skew_degrees - 1.7).abs() < 0.2, "{letter:?}");
    let street = measures("archive/photographs/Übersicht Straße 1902.jpg");
    assert!(street.fading > 0.2 && street.cast > 10.0, "{street:?}");
    let portrait = measures("archive/photographs/portrait No. 7.jpg");
    assert!(portrait.noise > clean.noise + 2.0, "{portrait:?}");
}

#[test]
fn names_earn_remarks() {
    use std::ffi::OsStr;
    let bytes = fs::read(fixtures().join("bad/a jpeg.tif")).unwrap();
    let path = RelPath::new(Path::new("a.jpg")).unwrap();
    assert!(describe(&bytes, &path, &Limits::DEFAULT).flags.is_empty());
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let raw = RelPath::new(Path::new(OsStr::from_bytes(b"\xff.png"))).unwrap();
        let flags = describe(&bytes, &raw, &Limits::DEFAULT).flags;
        assert!(flags.contains(&Flag::NameNotUtf8) && flags.contains(&Flag::ExtensionMismatch));
    }
    let empty = describe(b"", &path, &Limits::DEFAULT);
    assert_eq!(
        empty.error().map(fonds_core::Error::code),
        Some(Code::EmptyFile)
    );
}
