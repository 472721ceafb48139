//! Bags, and the proof of outputs and bags: whatever is missing or tampered with is named.

use std::fs;
use std::path::{Path, PathBuf};

use fonds_catalog::provenance::Agent;
use fonds_catalog::{
    BagOptions, BagReport, CatalogWriter, Counts, Finding, Item, RO_CRATE_FILE, RUN_SCHEMA, Reason,
    RunFile, Severity, VerifyOptions, VerifyReport, catalog_schema, verify, write_bag,
    write_premis, write_ro_crate,
};
use fonds_core::{Code, Digest};

use crate::exporting::{items, originals};
use crate::support::sidecar;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// An archive and an output in which everything fits.
    fn new() -> Self {
        Self::of(items())
    }

    fn of(mut items: Vec<Item>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (archive, out) = (folder.path().join("in"), folder.path().join("out"));
        originals(&archive, &items);
        fs::create_dir_all(&out).unwrap();
        let mut writer = CatalogWriter::create(&out).unwrap();
        for item in &mut items {
            for row in &mut item.derivatives {
                (row.width, row.height) = (Some(3), Some(2));
                put(&out, &row.path, row.path.as_bytes());
                let sidecar = sidecar(&item.record, row);
                put(&out, &format!("{}.prov.json", row.path), sidecar.as_bytes());
            }
            writer.push(item.clone()).unwrap();
        }
        let summary = writer.finish().unwrap();
        let run = RunFile {
            schema: RUN_SCHEMA.into(),
            input: archive.display().to_string(),
            tool: Some(Agent {
                kind: "software".into(),
                name: "fonds".into(),
                version: "0.1.0".into(),
            }),
            counts: Counts::from(&summary),
            ..RunFile::default()
        };
        put(&out, "run.json", run.to_json().unwrap().as_bytes());
        put(&out, ".fonds/lock", b"");
        assert_eq!(
            fs::read_to_string(out.join("catalog.schema.json")).unwrap(),
            catalog_schema()
        );
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bag(&self, archive: bool) -> BagReport {
        let options = BagOptions {
            archive: archive.then(|| self.path("in")),
            date: "2026-11-25".into(),
            agent: "fonds".into(),
            info: vec![("Source-Organization".into(), "Town\narchive".into())],
        };
        write_bag(&self.path("out"), &self.path("bag"), &options)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn verify(&self, name: &str) -> VerifyReport {
        verify(&self.path(name), &VerifyOptions::default()).unwrap()
    }

    /// Errors and warnings with the folders left out.
    fn messages(&self, report: &VerifyReport) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let findings = report.findings.iter().map(ToString::to_string);
        findings.map(|text| text.replace(&folder, "")).collect()
    }
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_fits_is_proved() {
    let bench = Bench::new();
    let report = bench.verify("out");
    assert_eq!(bench.messages(&report), Vec::<String>::new());
    assert_eq!(
        (report.sources, report.derivatives, report.sidecars),
        (3, 3, 3)
    );
    let packed = bench.bag(true);
    assert!(!packed.has_errors());
    let report = bench.verify("bag");
    assert_eq!(bench.messages(&report), Vec::<String>::new());
    assert!(report.is_bag && report.sources == 3);
}

#[test]
fn a_bag_is_what_the_rfc_says() {
    let bench = Bench::new();
    let packed = bench.bag(true);
    let bag = bench.path("bag");
    let read = |name: &str| fs::read_to_string(bag.join(name)).unwrap();
    assert_eq!(
        read("bagit.txt"),
        "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    );
    assert_eq!(
        read("bag-info.txt"),
        format!(
            "Source-Organization: Town archive\nBagging-Date: 2026-11-25\n\
             Bag-Software-Agent: fonds\nPayload-Oxum: {}.{}\n",
            packed.bytes, packed.files
        )
    );
    let payload = crate::support::tree(&bag.join("data"));
    assert_eq!(payload.len() as u64, packed.files);
    let bytes: usize = payload.iter().map(|(_, content)| content.len()).sum();
    assert_eq!(bytes as u64, packed.bytes);
    for name in ["manifest-sha256.txt", "manifest-sha512.txt"] {
        let text = read(name);
        let mut listed: Vec<_> = text
            .lines()
            .map(|line| line.split_once("  ").unwrap().1)
            .collect();
        assert!(listed.is_sorted(), "{name}");
        listed.dedup();
        assert_eq!(listed.len(), payload.len(), "{name}");
    }
    let tags = read("tagmanifest-sha256.txt");
    for name in [
        "bagit.txt",
        "bag-info.txt",
        "manifest-sha256.txt",
        "manifest-sha512.txt",
    ] {
        let digest = Digest::of(read(name).as_bytes());
        assert!(tags.contains(&format!("{digest}  {name}\n")), "{name}");
    }
    // Nothing of a run's own, and the originals as they are.
    assert!(!bag.join("data/.fonds").exists());
    assert_eq!(read("data/originals/a/bridge.tif"), "a/bridge.tif");
}

/// A way to damage a folder, and what must be said about it.
type Case = (&'static str, fn(&Path), &'static [&'static str]);

const OUTPUT_DAMAGES: [Case; 11] = [
    (
        "a flipped bit in a derivative",
        |root| flip(&root.join("out/derivatives/a/bridge.tif.0.png")),
        &["derivatives/a/bridge.tif.0.png: error: has the digest "],
    ),
    (
        "a missing derivative",
        |root| fs::remove_file(root.join("out/derivatives/b/album.tif.2.png")).unwrap(),
        &["derivatives.csv:4: error: path: `derivatives/b/album.tif.2.png` is not on the disk"],
    ),
    (
        "a missing sidecar",
        |root| {
            fs::remove_file(root.join("out/derivatives/a/bridge.tif.0.png.prov.json")).unwrap();
        },
        &["derivatives/a/bridge.tif.0.png.prov.json: error: is missing"],
    ),
    (
        "a sidecar of another picture",
        |root| {
            let folder = root.join("out/derivatives/b");
            let from = folder.join("album.tif.1.png.prov.json");
            fs::copy(from, folder.join("album.tif.2.png.prov.json")).unwrap();
        },
        &[
            "album.tif.2.png.prov.json: error: `path` is `derivatives/b/album.tif.1.png`",
            "album.tif.2.png.prov.json: error: `sha256` is ",
        ],
    ),
    (
        "a sidecar that is none",
        |root| put(root, "out/derivatives/a/bridge.tif.0.png.prov.json", b"{}"),
        &["bridge.tif.0.png.prov.json: error: is not a provenance sidecar"],
    ),
    (
        "a changed original",
        |root| flip(&root.join("in/a/bridge.tif")),
        &["in/a/bridge.tif: error: has the digest "],
    ),
    (
        "a missing original",
        |root| fs::remove_file(root.join("in/notes.txt")).unwrap(),
        &["in/notes.txt: error: is missing, and the catalog has a row for it"],
    ),
    (
        "an edited digest",
        |root| {
            let path = root.join("out/derivatives.csv");
            let text = fs::read_to_string(&path).unwrap();
            let digest = Digest::of(b"derivatives/a/bridge.tif.0.png").to_string();
            fs::write(path, text.replace(&digest, &"0".repeat(64))).unwrap();
        },
        &[
            "derivatives/a/bridge.tif.0.png: error: has the digest ",
            "derivatives/a/bridge.tif.0.png.prov.json: error: `sha256` is ",
        ],
    ),
    (
        "a row taken away",
        |root| {
            let path = root.join("out/derivatives.csv");
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<_> = text.lines().take(3).collect();
            fs::write(path, lines.join("\n") + "\n").unwrap();
        },
        &[
            "run.json: error: counts 3 derivatives where the tables have 2",
            "derivatives/b/album.tif.2.png: warning: is in no table",
        ],
    ),
    (
        "a file too many",
        |root| put(root, "out/objects/small/x.jpg", b"x"),
        &["objects/small/x.jpg: warning: is in no table"],
    ),
    (
        "a damaged table",
        |root| {
            let path = root.join("out/catalog.csv");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("image/tiff", "image/tiff,x")).unwrap();
        },
        &["catalog.csv:2: error: has 66 cells where the header has 65"],
    ),
];

#[test]
fn every_damage_to_an_output_is_named() {
    let mut failures = Vec::new();
    for (name, damage, expected) in OUTPUT_DAMAGES {
        let bench = Bench::new();
        damage(bench.folder.path());
        let report = bench.verify("out");
        let messages = bench.messages(&report);
        for expected in expected {
            if !messages.iter().any(|message| message.contains(expected)) {
                failures.push(format!("{name}: `{expected}` is not in {messages:#?}"));
            }
        }
        let only_warnings = expected.iter().all(|text| text.contains("warning"));
        if report.has_errors() == only_warnings {
            failures.push(format!("{name}: errors {}", report.has_errors()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_damage_to_a_bag_is_named() {
    let cases: [Case; 9] = [
        (
            "a flipped bit",
            |bag| flip(&bag.join("data/originals/a/bridge.tif")),
            &[
                "data/originals/a/bridge.tif: error: has the digest ",
                " where manifest-sha512.txt has ",
            ],
        ),
        (
            "a missing file",
            |bag| fs::remove_file(bag.join("data/run.json")).unwrap(),
            &[
                "data/run.json: error: is missing, and manifest-sha256.txt names it",
                "bag-info.txt:4: error: Payload-Oxum is ",
            ],
        ),
        (
            "a file too many",
            |bag| put(bag, "data/extra.txt", b"x"),
            &["data/extra.txt: error: is not in manifest-sha256.txt"],
        ),
        (
            "a changed tag file",
            |bag| put(bag, "bag-info.txt", b"Contact-Name: X\n"),
            &["bag-info.txt: error: has the digest "],
        ),
        (
            "a manifest less a line",
            |bag| {
                let path = bag.join("manifest-sha256.txt");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, text.split_once('\n').unwrap().1).unwrap();
            },
            &[
                "is not in manifest-sha256.txt",
                "manifest-sha256.txt: error: has the digest ",
            ],
        ),
        (
            "another version",
            |bag| put(bag, "bagit.txt", b"BagIt-Version: 3.0\n"),
            &[
                "bagit.txt:1: error: is not `BagIt-Version",
                "bagit.txt:2: error: ",
            ],
        ),
        (
            "a file to be fetched",
            |bag| put(bag, "fetch.txt", b"https://example.org/a 1 data/a\n"),
            &["fetch.txt: error: "],
        ),
        (
            "an unknown algorithm",
            |bag| put(bag, "manifest-md5.txt", b""),
            &["manifest-md5.txt: warning: is of `md5`, which is not checked"],
        ),
        (
            "a sidecar that a new manifest hides",
            |bag| {
                let name = "derivatives/a/bridge.tif.0.png.prov.json";
                let path = bag.join("data").join(name);
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, text.replace("\"width\": 3", "\"width\": 4")).unwrap();
            },
            &[
                "data/derivatives/a/bridge.tif.0.png.prov.json: error: has the digest ",
                "`width` is `4`",
            ],
        ),
    ];
    let mut failures = Vec::new();
    for (name, damage, expected) in cases {
        let bench = Bench::new();
        bench.bag(true);
        damage(&bench.path("bag"));
        let report = bench.verify("bag");
        let messages = bench.messages(&report);
        for expected in expected {
            if !messages.iter().any(|message| message.contains(expected)) {
                failures.push(format!("{name}: `{expected}` is not in {messages:#?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_is_not_as_recorded_is_not_packed() {
    let bench = Bench::new();
    flip(&bench.path("in/a/bridge.tif"));
    fs::remove_file(bench.path("in/b/album.tif")).unwrap();
    fs::remove_file(bench.path("out/derivatives/b/album.tif.1.png")).unwrap();
    let report = bench.bag(true);
    let errors: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(!bench.path("bag").exists());
    let left = fs::read_dir(bench.folder.path()).unwrap();
    assert_eq!(left.count(), 2, "only the archive and the output");
}

#[test]
fn what_systems_leave_behind_is_not_packed_nor_missed() {
    let mut all = items();
    let mut clutter = all[2].clone();
    clutter.record.filename = "z/Thumbs.db".into();
    clutter.record.objectid = "z-thumbs".into();
    clutter.record.pid = "z-thumbs".into();
    clutter.record.sha256 = None;
    clutter.record.error_code = Some(Reason::Clutter);
    all.push(clutter);
    let bench = Bench::of(all);
    bench.bag(true);
    assert!(!bench.path("bag/data/originals/z").exists());
    assert_eq!(bench.messages(&bench.verify("bag")), Vec::<String>::new());
    // In the archive itself it is there, or the catalog is not right any more.
    fs::remove_file(bench.path("in/z/Thumbs.db")).unwrap();
    assert!(bench.verify("out").has_errors());
}

#[cfg(unix)]
#[test]
fn strange_names_survive() {
    let mut all = items();
    let path = "a/100%25, \"ß\"\r\n.tif";
    all[0].record.filename = path.into();
    all[0].record.sha256 = Some(Digest::of(path.as_bytes()));
    for row in &mut all[0].derivatives {
        row.filename = path.into();
        row.path = format!("derivatives/{path}.0.png");
        row.sha256 = Some(Digest::of(row.path.as_bytes()));
    }
    let bench = Bench::of(all);
    let packed = bench.bag(true);
    assert_eq!(
        packed.findings.len(),
        3,
        "picture, sidecar and original have a `%`"
    );
    let text = fs::read_to_string(bench.path("bag/manifest-sha256.txt")).unwrap();
    assert!(
        text.contains("data/originals/a/100%2525, \"ß\"%0D%0A.tif\n"),
        "{text}"
    );
    assert_eq!(bench.messages(&bench.verify("bag")), Vec::<String>::new());
    // As most programs write it.
    fs::write(
        bench.path("bag/manifest-sha256.txt"),
        text.replace("%25", "%"),
    )
    .unwrap();
    let messages = bench.messages(&bench.verify("bag"));
    assert!(
        messages
            .iter()
            .any(|text| text.contains("not encoded as RFC 8493")),
        "{messages:?}"
    );
}

#[test]
fn events_agents_and_objects_as_premis() {
    let bench = Bench::new();
    let target = bench.path("premis.xml");
    let report = write_premis(&bench.path("out"), &target).unwrap();
    assert_eq!((report.objects, report.agents), (5, 2));
    // Digest and validation once for each page of an original, two events for each derivative.
    assert_eq!(report.events, 3 * 4);
    insta::assert_snapshot!("premis", fs::read_to_string(target).unwrap());
}

#[test]
fn an_output_as_a_research_object() {
    let bench = Bench::new();
    let out = bench.path("out");
    let entities = write_ro_crate(&out).unwrap();
    let text = fs::read_to_string(out.join(RO_CRATE_FILE)).unwrap();
    let crated: serde_json::Value = serde_json::from_str(&text).unwrap();
    let graph = crated["@graph"].as_array().unwrap();
    assert_eq!(graph.len() as u64, entities);
    let by_id = |id: &str| graph.iter().find(|entity| entity["@id"] == id);
    // Every part of the data set is described, and every file of it is there.
    for part in by_id("./").unwrap()["hasPart"].as_array().unwrap() {
        let id = part["@id"].as_str().unwrap();
        assert!(by_id(id).is_some(), "{id}");
        assert!(out.join(id).is_file(), "{id}");
    }
    let action = by_id("#action-derivatives/a/bridge.tif.0.png").unwrap();
    assert_eq!(action["object"]["@id"], "#a-bridge");
    let instruments = action["instrument"].as_array().unwrap();
    assert!(
        instruments
            .iter()
            .all(|used| by_id(used["@id"].as_str().unwrap()).is_some())
    );
    assert_eq!(instruments.len(), 2);
    // It belongs to what is packed and proved.
    assert_eq!(bench.messages(&bench.verify("out")), Vec::<String>::new());
}

#[test]
fn wrong_requests() {
    let bench = Bench::new();
    let options = BagOptions::default();
    let (out, archive) = (bench.path("out"), bench.path("in"));
    for (bag, expected) in [
        (out.join("bag"), "lies in"),
        (archive.clone(), "is not empty"),
    ] {
        let error = write_bag(&out, &bag, &options).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(error.message().contains(expected), "{error}");
    }
    for label in ["", "a:b", "Payload-Oxum", "bagging-date"] {
        let options = BagOptions {
            info: vec![(label.into(), "x".into())],
            ..BagOptions::default()
        };
        assert!(
            write_bag(&out, &bench.path("bag"), &options).is_err(),
            "{label}"
        );
    }
    let error = verify(&archive, &VerifyOptions::default()).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("is neither a bag nor an output")
    );
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}
