//! Exports: what each importer's documentation asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fonds_catalog::{
    DerivativeRecord, ExportOptions, ExportReport, Item, Profile, Record, Status, export,
};
use fonds_core::{Code, Digest, ObjectId};

use crate::support::write;

const RESTORED: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

/// Two pictures, a text that was skipped, and a file of two pages.
pub(crate) fn items() -> Vec<Item> {
    let mut bridge = item("a/bridge.tif", "a-bridge");
    let record = &mut bridge.record;
    record.title = "=SUM(1) \"The\nbridge\"".into();
    record.creator = "A. Ansel; B. Bert".into();
    record.date = "1931~".into();
    record.description = "-1+1, with a \\".into();
    record.subject = vec!["bridges".into(), "@rivers".into()];
    record.location = "Übersee".into();
    (record.latitude, record.longitude) = (Some(-33.9), Some(18.4));
    record.identifier = "007".into();
    record.rights = "In copyright".into();
    record.rightsstatement = "http://rightsstatements.org/vocab/InC/1.0/".into();
    derive(&mut bridge, None, RESTORED);
    let mut album = item("b/album.tif", "b-album");
    album.record.page_count = Some(2);
    album.record.display_template = "multiple".into();
    for page in [1, 2] {
        album.pages.push(album.record.page_row(page));
        derive(&mut album, Some(page), "");
    }
    let mut notes = item("notes.txt", "notes");
    notes.record.status = Status::Skipped;
    notes.record.error_code = fonds_catalog::Reason::from_text("not_selected");
    vec![bridge, album, notes]
}

fn item(path: &str, id: &str) -> Item {
    let record = Record {
        sha256: Some(Digest::of(path.as_bytes())),
        file_size: Some(path.len() as u64),
        format: "image/tiff".into(),
        types: vec!["Image".into(), "StillImage".into()],
        object_location: format!("/objects/{path}"),
        ..Record::new(path, &ObjectId::parse(id).unwrap())
    };
    Item {
        record,
        ..Item::default()
    }
}

fn derive(item: &mut Item, page: Option<u32>, source_type: &str) {
    let path = format!(
        "derivatives/{}.{}.png",
        item.record.filename,
        page.unwrap_or(0)
    );
    item.derivatives.push(DerivativeRecord {
        filename: item.record.filename.clone(),
        page,
        output_id: "out".into(),
        sha256: Some(Digest::of(path.as_bytes())),
        path,
        usage: "http://pcdm.org/use#ServiceFile".into(),
        digital_source_type: source_type.into(),
        ..DerivativeRecord::default()
    });
}

/// An archive whose files have their paths for content.
pub(crate) fn originals(root: &Path, items: &[Item]) {
    for item in items {
        let path = root.join(&item.record.filename);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &item.record.filename).unwrap();
    }
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let items = items();
        write(&folder.path().join("out"), &items);
        originals(&folder.path().join("in"), &items);
        Self { folder }
    }

    fn export(&self, profile: Profile, options: &ExportOptions) -> ExportReport {
        let target = self.folder.path().join(profile.as_str());
        export(&self.folder.path().join("out"), profile, &target, options)
            .unwrap_or_else(|error| panic!("{profile:?}: {error}"))
    }

    fn archive(&self) -> ExportOptions {
        ExportOptions {
            archive: Some(self.folder.path().join("in")),
            ..ExportOptions::default()
        }
    }

    fn read(&self, profile: Profile, name: &str) -> String {
        let path = self.folder.path().join(profile.as_str()).join(name);
        fs::read_to_string(path).unwrap()
    }

    /// The rows of a table as (header, cell) pairs.
    fn rows(&self, profile: Profile, name: &str) -> Vec<Vec<(String, String)>> {
        let text = self.read(profile, name);
        let mut reader = csv_reader(&text);
        let header = reader.headers().unwrap().clone();
        let rows = reader.records().map(Result::unwrap);
        rows.map(|row| {
            let pairs = header.iter().zip(&row);
            pairs
                .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
                .collect()
        })
        .collect()
    }
}

fn csv_reader(text: &str) -> csv::Reader<&[u8]> {
    csv::Reader::from_reader(text.as_bytes())
}

fn cell<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    let found = row.iter().find(|(header, _)| header == name);
    &found.unwrap_or_else(|| panic!("no column {name}")).1
}

/// The header of `docs/metadata-template.csv` of CollectionBuilder-CSV (91944f7, 2026-06).
const COLLECTIONBUILDER: &str = "objectid,parentid,title,creator,date,description,subject,\
    location,latitude,longitude,source,identifier,type,format,language,rights,rightsstatement,\
    display_template,object_location,image_small,image_thumb,image_alt_text,object_transcript\n";

#[test]
fn collectionbuilder_has_the_header_of_the_template() {
    let bench = Bench::new();
    let report = bench.export(Profile::CollectionBuilder, &ExportOptions::default());
    assert_eq!((report.rows, report.left_out, report.escaped), (4, 1, 3));
    let text = bench.read(Profile::CollectionBuilder, "_data/metadata.csv");
    assert!(text.starts_with(COLLECTIONBUILDER), "{text}");
    insta::assert_snapshot!("collectionbuilder", text);
    let ids: Vec<_> = bench
        .rows(Profile::CollectionBuilder, "_data/metadata.csv")
        .iter()
        .map(|row| cell(row, "objectid").to_owned())
        .collect();
    assert_eq!(
        ids,
        ["a-bridge", "b-album", "b-album_p0001", "b-album_p0002"]
    );
    let list = bench.read(Profile::CollectionBuilder, "objects/object_list.csv");
    assert!(list.starts_with("filename,object_location,image_small,image_thumb\nbridge.tif,"));
}

#[test]
fn formulas_can_be_kept() {
    let bench = Bench::new();
    let options = ExportOptions {
        keep_formulas: true,
        ..ExportOptions::default()
    };
    let report = bench.export(Profile::CollectionBuilder, &options);
    assert_eq!(report.escaped, 0);
    let rows = bench.rows(Profile::CollectionBuilder, "_data/metadata.csv");
    assert_eq!(cell(&rows[0], "title"), "=SUM(1) \"The\nbridge\"");
}

#[test]
fn omeka_maps_the_headers_and_meets_no_escape() {
    let bench = Bench::new();
    let options = ExportOptions {
        base_url: Some("https://example.org/x".into()),
        ..ExportOptions::default()
    };
    bench.export(Profile::OmekaS, &options);
    let rows = bench.rows(Profile::OmekaS, "omeka-s.csv");
    assert_eq!(rows.len(), 2);
    assert_eq!(cell(&rows[0], "dcterms:identifier"), "a-bridge");
    assert_eq!(cell(&rows[0], "dcterms:subject"), "bridges;'@rivers");
    assert_eq!(
        cell(&rows[0], "media_original"),
        "https://example.org/x/objects/a/bridge.tif"
    );
    assert_eq!(
        cell(&rows[0], "media_derivative"),
        "https://example.org/x/derivatives/a/bridge.tif.0.png"
    );
    let text = bench.read(Profile::OmekaS, "omeka-s.csv");
    assert!(
        !text.contains("\\\"") && text.contains("with a /\""),
        "{text}"
    );
}

/// The rules of `check_input()` (Islandora Workbench 537c585, 2026-05) that need no server.
#[test]
fn workbench_checks_hold() {
    let bench = Bench::new();
    bench.export(Profile::IslandoraWorkbench, &bench.archive());
    let rows = bench.rows(Profile::IslandoraWorkbench, "workbench.csv");
    let config = bench.read(Profile::IslandoraWorkbench, "workbench.yml");
    let headers: Vec<_> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers.iter().collect::<BTreeSet<_>>().len(), headers.len());
    let reserved = ["id", "title", "file", "checksum", "image_alt_text"];
    let ignored = config
        .lines()
        .find(|line| line.starts_with("ignore_csv_columns:"));
    for header in &headers {
        let known = header.starts_with("field_")
            || reserved.contains(header)
            || ignored.unwrap().contains(&format!("\"{header}\""));
        assert!(known, "{header}");
    }
    let input = bench.folder.path().join("in");
    assert!(config.contains(&format!("input_dir: {:?}", input.display().to_string())));
    let mut ids = BTreeSet::new();
    for row in &rows {
        assert!(ids.insert(cell(row, "id")));
        assert!(cell(row, "title").chars().count() <= 255 && !cell(row, "field_model").is_empty());
        let file = fs::read(input.join(cell(row, "file"))).unwrap();
        assert_eq!(Digest::of(&file).to_string(), cell(row, "checksum"));
    }
    assert_eq!(
        cell(&rows[0], "field_linked_agent"),
        "relators:cre:person:A. Ansel;relators:cre:person:B. Bert"
    );
    assert_eq!(cell(&rows[0], "field_coordinates"), "-33.9,18.4");
    insta::assert_snapshot!(
        "workbench",
        config.replace(&bench.folder.path().display().to_string(), "FOLDER")
    );
}

#[test]
fn an_archivematica_transfer_is_whole() {
    let bench = Bench::new();
    let report = bench.export(Profile::Archivematica, &bench.archive());
    assert_eq!(report.copied, 3, "two originals, one access copy");
    let text = bench.read(Profile::Archivematica, "metadata/metadata.csv");
    let header = text.lines().next().unwrap();
    assert!(header.starts_with("filename,dc.title,dc.creator,dc.creator,dc.subject,dc.subject,"));
    let rows = bench.rows(Profile::Archivematica, "metadata/metadata.csv");
    assert_eq!(cell(&rows[0], "filename"), "objects/a/bridge.tif");
    let root = bench.folder.path().join("archivematica");
    let objects = root.join("objects");
    // As many lines as files, each with the digest of its file.
    let sums = bench.read(Profile::Archivematica, "metadata/checksum.sha256");
    let files = crate::support::tree(&objects);
    assert_eq!(sums.lines().count(), files.len());
    for line in sums.lines() {
        let (digest, path) = line.split_once("  ").unwrap();
        assert_eq!(
            Digest::of(&fs::read(objects.join(path)).unwrap()).to_string(),
            digest
        );
    }
    assert_eq!(
        bench.read(
            Profile::Archivematica,
            "objects/manualNormalization/normalization.csv"
        ),
        "a/bridge.tif,manualNormalization/access/a/bridge.png,\n"
    );
    let events = bench.read(Profile::Archivematica, "metadata/premis.xml");
    let names: Vec<_> = events
        .lines()
        .filter_map(|line| line.strip_prefix("<premis:originalName>"))
        .map(|rest| rest.split('<').next().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "one original and its access copy");
    assert!(
        names.iter().all(|name| root.join(name).is_file()),
        "{names:?}"
    );
    let tops: BTreeSet<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        tops,
        BTreeSet::from(["metadata".to_owned(), "objects".to_owned()])
    );
    let messages: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert!(
        messages[0].contains("2 derivatives have no place"),
        "{messages:?}"
    );
}

#[test]
fn an_original_that_changed_stops_a_transfer() {
    let bench = Bench::new();
    fs::write(bench.folder.path().join("in/a/bridge.tif"), "other").unwrap();
    let target = bench.folder.path().join("transfer");
    let output = bench.folder.path().join("out");
    let error = export(&output, Profile::Archivematica, &target, &bench.archive()).unwrap_err();
    assert_eq!(error.code(), Code::ChecksumMismatch);
    assert!(
        error.to_string().contains("a/bridge.tif: has the digest"),
        "{error}"
    );
}

#[test]
fn archivesspace_has_dates_and_file_versions() {
    let bench = Bench::new();
    bench.export(Profile::ArchivesSpace, &ExportOptions::default());
    let rows = bench.rows(Profile::ArchivesSpace, "archivesspace.csv");
    for (name, expected) in [
        ("digital_object_id", "a-bridge"),
        ("date_1_begin", "1931"),
        ("date_1_expression", "1931~"),
        ("date_1_type", "single"),
        ("date_1_label", "creation"),
        ("file_version_use_statement_1", "image-master"),
        ("file_version_file_format_name_1", "tiff"),
        ("file_version_file_format_name_2", "png"),
        ("file_version_checksum_method_1", "sha-256"),
        ("file_version_caption_2", "AI-restored derivative"),
        ("file_version_use_statement_3", ""),
    ] {
        assert_eq!(cell(&rows[0], name), expected, "{name}");
    }
}

#[test]
fn wax_finds_a_picture_for_each_pid() {
    let bench = Bench::new();
    bench.export(Profile::Wax, &bench.archive());
    let rows = bench.rows(Profile::Wax, "_data/fonds.csv");
    for row in &rows {
        let name = format!("wax/_data/raw_images/fonds/{}.tif", cell(row, "pid"));
        assert!(bench.folder.path().join(&name).is_file(), "{name}");
        for taken in [
            "order",
            "layout",
            "collection",
            "thumbnail",
            "full",
            "manifest",
            "date",
        ] {
            assert!(row.iter().all(|(header, _)| header != taken), "{taken}");
        }
    }
    assert!(
        bench
            .read(Profile::Wax, "config-fragment.yml")
            .contains("source: 'fonds.csv'")
    );
}

#[test]
fn tropy_has_properties_and_then_the_path() {
    let bench = Bench::new();
    bench.export(Profile::Tropy, &bench.archive());
    let rows = bench.rows(Profile::Tropy, "tropy.csv");
    let (last, path) = rows[0].last().unwrap();
    assert_eq!(last, "https://tropy.org/v1/tropy#path");
    assert!(Path::new(path).is_file(), "{path}");
    assert!(rows[0].iter().all(|(header, _)| header.starts_with("http")));
}

#[test]
fn dublin_core_as_csv_and_xml() {
    let bench = Bench::new();
    bench.export(Profile::DublinCore, &ExportOptions::default());
    let rows = bench.rows(Profile::DublinCore, "dublin-core.csv");
    assert_eq!(cell(&rows[0], "filename"), "a/bridge.tif");
    insta::assert_snapshot!(
        "dublin-core",
        bench.read(Profile::DublinCore, "dublin-core.xml")
    );
}

/// Whatever the profile, no cell begins with what a spreadsheet program evaluates, whichever of
/// the three separators it takes.
#[test]
fn nothing_is_evaluated() {
    let bench = Bench::new();
    for profile in Profile::ALL {
        let report = bench.export(profile, &ExportOptions::default());
        let is_table = |name: &str| {
            Path::new(name)
                .extension()
                .is_some_and(|found| found == "csv")
                && !name.contains("normalization")
                && !name.contains("object_list")
        };
        for name in report.files.iter().filter(|name| is_table(name)) {
            let text = bench.read(profile, name);
            for separator in [b',', b';', b'\t'] {
                let mut reader = csv::ReaderBuilder::new()
                    .delimiter(separator)
                    .flexible(true)
                    .from_reader(text.as_bytes());
                for row in reader.records() {
                    for cell in &row.unwrap() {
                        let starts = cell.starts_with(['=', '+', '@', '\t', '\r', '-']);
                        let numbers = cell.split(',').all(|part| part.parse::<f64>().is_ok());
                        assert!(!starts || numbers, "{name}: {cell:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn wrong_folders_are_refused() {
    let bench = Bench::new();
    let (out, target) = (
        bench.folder.path().join("out"),
        bench.folder.path().join("in"),
    );
    let options = ExportOptions::default();
    let error = export(&out, Profile::Wax, &target, &options).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    let new = bench.folder.path().join("new");
    assert!(export(&target, Profile::Wax, &new, &options).is_err());
    assert!(!new.exists());
}
