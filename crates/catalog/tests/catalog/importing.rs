//! Edits come back: through every profile, every dialect, and with every mistake named.

use std::fs;
use std::path::PathBuf;

use fonds_catalog::{
    EDITS_FILE, ExportOptions, HumanMetadata, ImportOptions, ImportReport, Profile, Record,
    TableReader, content_text, export, import,
};
use fonds_core::Code;
use proptest::prelude::*;

use crate::exporting::items;
use crate::support::write;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("out"), &items());
        Self { folder }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// The table of a profile.
    fn exported(&self, profile: Profile) -> String {
        let target = self.folder.path().join(profile.as_str());
        if !target.exists() {
            export(&self.out(), profile, &target, &ExportOptions::default()).unwrap();
        }
        let name = match profile {
            Profile::CollectionBuilder => "_data/metadata.csv",
            Profile::OmekaS => "omeka-s.csv",
            Profile::IslandoraWorkbench => "workbench.csv",
            Profile::Archivematica => "metadata/metadata.csv",
            Profile::ArchivesSpace => "archivesspace.csv",
            Profile::Wax => "_data/fonds.csv",
            Profile::Tropy => "tropy.csv",
            Profile::DublinCore => "dublin-core.csv",
        };
        fs::read_to_string(target.join(name)).unwrap()
    }

    fn import(&self, text: &str) -> ImportReport {
        self.try_import(text)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_import(&self, text: &str) -> fonds_core::Result<ImportReport> {
        let path = self.folder.path().join("edited.csv");
        fs::write(&path, text).unwrap();
        import(&path, &self.out(), ImportOptions::default())
    }

    fn record(&self, id: &str) -> Record {
        let mut rows = TableReader::<Record>::open_in(&self.out()).unwrap();
        rows.find(|row| row.as_ref().unwrap().objectid == id)
            .unwrap()
            .unwrap()
    }

    fn catalog(&self) -> String {
        content_text::<Record>(&self.out().join("catalog.csv")).unwrap()
    }

    fn messages(&self, report: &ImportReport) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        let findings = report.findings.iter().map(ToString::to_string);
        findings
            .map(|text| text.replace(&format!("{folder}/edited.csv:"), ""))
            .collect()
    }
}

#[test]
fn an_export_that_nobody_edited_changes_nothing() {
    for profile in Profile::ALL {
        let bench = Bench::new();
        let before = bench.catalog();
        let report = bench.import(&bench.exported(profile));
        assert_eq!(report.changes, [], "{profile:?}");
        assert!(!report.written && report.vanished == 0, "{profile:?}");
        let remarks: Vec<_> = report
            .findings
            .iter()
            .filter(|found| found.line != 1)
            .collect();
        assert_eq!(
            remarks,
            Vec::<&fonds_catalog::Finding>::new(),
            "{profile:?}"
        );
        assert_eq!(bench.catalog(), before);
        assert!(!bench.out().join(EDITS_FILE).exists());
    }
    // The catalog itself is taken, too.
    let bench = Bench::new();
    let report = bench.import(&fs::read_to_string(bench.out().join("catalog.csv")).unwrap());
    assert_eq!((report.layout, report.changes.len()), ("catalog", 0));
    assert_eq!(bench.messages(&report), Vec::<String>::new());
}

#[test]
fn an_edit_comes_back_from_every_profile() {
    for profile in Profile::ALL {
        let bench = Bench::new();
        let text = bench.exported(profile).replace("Übersee", "Am See");
        let report = bench.import(&text);
        if profile == Profile::ArchivesSpace {
            // It has no place names.
            assert!(report.changes.is_empty());
            continue;
        }
        assert_eq!(
            report.layout,
            match profile {
                Profile::CollectionBuilder => "catalog",
                other => other.as_str(),
            }
        );
        let changes: Vec<_> = report
            .changes
            .iter()
            .map(|change| (change.column, change.from.as_str(), change.to.as_str()))
            .collect();
        assert_eq!(changes, [("location", "Übersee", "Am See")], "{profile:?}");
        assert!(report.written);
        assert_eq!(bench.record("a-bridge").location, "Am See", "{profile:?}");
        // A later run makes the same of it.
        let human = HumanMetadata::read(&bench.out().join(EDITS_FILE)).unwrap();
        let mut record = items().remove(0).record;
        assert!(human.apply(&mut record));
        assert_eq!(record.location, "Am See");
    }
}

#[test]
fn lists_and_formulas_come_back_exactly() {
    let bench = Bench::new();
    let text = bench
        .exported(Profile::IslandoraWorkbench)
        .replace(
            "subject:bridges;subject:@rivers",
            "subject:bridges;subject:piers",
        )
        .replace(
            "relators:cre:person:A. Ansel",
            "relators:pht:corporate_body:Ansel: Sons",
        );
    bench.import(&text);
    let record = bench.record("a-bridge");
    assert_eq!(record.subject, ["bridges", "piers"]);
    assert_eq!(record.creator, "Ansel: Sons;B. Bert");
    assert_eq!(record.title, "=SUM(1) \"The\nbridge\"");
    // A person types a formula-like text, with or without the quote.
    let report = bench.import("objectid,title,description\na-bridge,=x,'=y\n");
    assert_eq!(report.changes.len(), 2);
    let record = bench.record("a-bridge");
    assert_eq!(
        (record.title.as_str(), record.description.as_str()),
        ("=x", "=y")
    );
    let edits = fs::read_to_string(bench.out().join(EDITS_FILE)).unwrap();
    assert!(
        edits.contains(",'=x,") && edits.contains(",'=y,"),
        "{edits}"
    );
}

/// Excel in German: a mark, semicolons, decimal commas, `\r\n`, dates and numbers as it likes them.
#[test]
fn the_dialects_of_spreadsheet_programs() {
    let bench = Bench::new();
    bench.import("objectid,date\na-bridge,1931-05-09\n");
    let text = "\u{feff}objectid;title;latitude;longitude;date;identifier;subject\r\n\
        a-bridge;\"=SUM(1) \"\"The\r\nbridge\"\"\";-33,9;18,5;09.05.1931;7;bridges; piers\r\n;;;;;;\r\n";
    let text = text.replace("bridges; piers", "\"bridges; piers\"");
    let report = bench.import(&text);
    assert_eq!(
        bench.messages(&report),
        [
            "2: warning: date: `09.05.1931` is `1931-05-09` as a spreadsheet program writes it; \
             nothing is changed",
            "2: warning: identifier: `7` is `007` without its zeros; nothing is changed",
        ]
    );
    let record = bench.record("a-bridge");
    assert_eq!(
        (record.latitude, record.longitude),
        (Some(-33.9), Some(18.5))
    );
    assert_eq!(
        (record.date.as_str(), record.identifier.as_str()),
        ("1931-05-09", "007")
    );
    assert_eq!(record.subject, ["bridges", "piers"]);
    let tabs = "objectid\ttitle\nb-album\tAn album\n";
    assert_eq!(bench.import(tabs).changes.len(), 1);
}

#[test]
fn every_mistake_is_named_and_nothing_is_written() {
    let bench = Bench::new();
    let before = bench.catalog();
    let text = "objectid,titel,date,rightsstatement,latitude,display_template,title\n\
        a-bridge,x,ca. 1931,public domain,north,pictur,new\n\
        b-album,,1931-13,https://rightsstatements.org/page/InC/1.0/,91,image,A\n\
        b-album,,,,,image,B\n\
        ,,,,,,lost\n\
        a-bridge_x,,,,,,v,surplus\n";
    let report = bench.import(text);
    assert!(report.has_errors() && !report.written);
    insta::assert_snapshot!("mistakes", bench.messages(&report).join("\n"));
    assert_eq!(bench.catalog(), before);
    assert!(!bench.out().join(EDITS_FILE).exists());
}

#[test]
fn what_is_no_table_is_refused() {
    let bench = Bench::new();
    for (text, expected) in [
        ("", "no column names the object"),
        ("title,date\nx,1931\n", "no column names the object"),
        (
            "objectid,title,Title\na,b,c\n",
            "column `Title` is there twice, as column 3",
        ),
        ("PK\u{3}\u{4}", "is a spreadsheet, not CSV"),
    ] {
        let error = bench.try_import(text).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(error.message().starts_with(expected), "{error}");
    }
}

#[test]
fn what_is_said_of_vanished_objects_is_kept() {
    let bench = Bench::new();
    let report = bench.import("objectid,title,date\ngone,A title,1931\na-bridge,,\n");
    assert_eq!((report.vanished, report.written), (1, true));
    assert_eq!(
        bench.messages(&report),
        [
            "2: warning: the catalog has no `gone` (what the row says is kept in edits.csv for \
             the case that the file comes back)",
            "3: warning: date: is empty where the catalog has a value, which stays",
            "3: warning: title: is empty where the catalog has a value, which stays",
        ]
    );
    // A later import of something else keeps it.
    bench.import("objectid,title\nb-album,Album\n");
    let human = HumanMetadata::read(&bench.out().join(EDITS_FILE)).unwrap();
    let id = fonds_core::ObjectId::parse("gone").unwrap();
    let mut record = Record::new("somewhere.tif", &id);
    human.apply(&mut record);
    assert_eq!(
        (record.title.as_str(), record.date.as_str()),
        ("A title", "1931")
    );
}

#[test]
fn what_fonds_fills_is_not_taken() {
    let bench = Bench::new();
    let report =
        bench.import("objectid,file_size,sha256,status\na-bridge,1,,failed\nb-album,1,,\n");
    assert!(report.changes.is_empty() && !report.written);
    assert_eq!(
        bench.messages(&report),
        [
            "2: warning: file_size: 2 rows differ in what fonds fills itself, and these changes \
             are not taken",
            "2: warning: sha256: 2 rows differ in what fonds fills itself, and these changes are \
             not taken",
            "2: warning: status: 2 rows differ in what fonds fills itself, and these changes are \
             not taken",
        ]
    );
}

#[test]
fn pages_follow_their_file_unless_they_say_something_else() {
    let bench = Bench::new();
    bench.import("objectid,creator\nb-album_p0001,Page\n");
    let report = bench.import("objectid,creator\nb-album,File\n");
    assert_eq!(report.changes.len(), 1);
    let creators = ["b-album", "b-album_p0001", "b-album_p0002"].map(|id| bench.record(id).creator);
    assert_eq!(creators, ["File", "Page", "File"]);
}

#[test]
fn a_trial_writes_nothing() {
    let bench = Bench::new();
    let path = bench.folder.path().join("edited.csv");
    fs::write(&path, "objectid,title\na-bridge,new\n").unwrap();
    let options = ImportOptions {
        dry_run: true,
        ..ImportOptions::default()
    };
    let report = import(&path, &bench.out(), options).unwrap();
    assert_eq!((report.changes.len(), report.written), (1, false));
    assert_ne!(bench.record("a-bridge").title, "new");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What a person types comes back from an export as it was, whatever it is.
    #[test]
    fn texts_survive_export_and_import(
        title in "[='+@;,\"a\\\\-]{1,8}|\\PC{1,12}",
        lines in "[a=\n]{0,6}",
    ) {
        let mut items = items();
        items[0].record.title.clone_from(&title);
        items[0].record.description.clone_from(&lines);
        for profile in [Profile::CollectionBuilder, Profile::Wax, Profile::DublinCore] {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("out");
            write(&out, &items);
            let bench = Bench { folder };
            let text = bench.exported(profile);
            let report = bench.import(&text);
            prop_assert_eq!(report.changes, vec![]);
            prop_assert!(report.findings.is_empty());
            // Into a catalog that says something else it brings all of it.
            let mut others = items.clone();
            others[0].record.title = "other".into();
            write(&out, &others);
            if !title.trim().is_empty() {
                bench.import(&text);
                let found = bench.record("a-bridge").title;
                prop_assert_eq!(found.trim(), title.trim());
            }
        }
    }

    /// Bytes of any kind are a report or an error, never a panic.
    #[test]
    fn hostile_files(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let bench = Bench::new();
        let path = bench.folder.path().join("edited.csv");
        let mut text = b"objectid,title,date\na-bridge,".to_vec();
        text.extend(bytes);
        fs::write(&path, text).unwrap();
        let _ = import(&path, &bench.out(), ImportOptions::default());
    }
}
