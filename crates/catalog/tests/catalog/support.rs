//! Made-up archives, small and the same in every run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fonds_catalog::provenance::{
    Agent, Derivative, DigestWire, Event, EventOutcome, EventType, Model, Sidecar, Source,
};
use fonds_catalog::{
    CatalogSummary, CatalogWriter, DerivativeRecord, FailureRecord, Item, RUN_SCHEMA, Record,
    RunFile, Shard, Status,
};
use fonds_core::{Code, Digest, ObjectIds, RelPath};

/// The items of an archive of `count` files in the order of their paths: every third has the
/// content of another one, some have pages, some failed, all others have a derivative.
pub(crate) fn archive(count: usize) -> Vec<Item> {
    let names: BTreeSet<String> = (0..count)
        .map(|i| format!("box {}/ß{:03}, \"{i}\".tif", i % 3, i * 7919 % 1000))
        .collect();
    let paths: Vec<_> = names
        .iter()
        .map(|name| RelPath::new(Path::new(name)).unwrap())
        .collect();
    let ids = ObjectIds::resolve(&paths);
    let items = paths.iter().enumerate();
    items
        .map(|(i, path)| item(i, path.as_str(), &ids.id(path)))
        .collect()
}

fn item(i: usize, path: &str, id: &fonds_core::ObjectId) -> Item {
    let digest = Digest::of(&[i as u8 % 50]);
    let mut item = Item {
        record: Record {
            title: format!("title, of\n{i}"),
            subject: vec!["one".into(), "two words".into()],
            sha256: Some(digest),
            file_size: Some(i as u64),
            blur_score: Some(i as f64 / 7.0),
            pipeline: "test@0123abcd".into(),
            run_id: format!("run {i}"),
            image_thumb: format!("/objects/thumbs/{id}_th.jpg"),
            ..Record::new(path, id)
        },
        ..Item::default()
    };
    match i % 5 {
        0 => fail(&mut item),
        1 => {
            item.record.page_count = Some(2);
            for page in [1, 2] {
                item.pages.push(item.record.page_row(page));
                item.derivatives.push(derivative(path, Some(page)));
            }
        }
        _ => item.derivatives.push(derivative(path, None)),
    }
    if let Some(first) = item.derivatives.first() {
        item.record.derivative_path.clone_from(&first.path);
        item.record.derivative_sha256 = first.sha256;
    }
    item
}

fn fail(item: &mut Item) {
    item.record.status = Status::Failed;
    item.record.error_code = Some(Code::Corrupt.into());
    item.record.image_thumb.clear();
    item.failures.push(FailureRecord {
        filename: item.record.filename.clone(),
        stage: "decode".into(),
        error_code: Some(Code::Corrupt),
        error_message: "strip 14, of 20".into(),
        attempts: Some(1),
        ..FailureRecord::default()
    });
}

fn derivative(path: &str, page: Option<u32>) -> DerivativeRecord {
    let name = format!("derivatives/{path}.{}.png", page.unwrap_or(0));
    DerivativeRecord {
        filename: path.into(),
        page,
        output_id: "out".into(),
        sha256: Some(Digest::of(name.as_bytes())),
        path: name,
        usage: "http://pcdm.org/use#ServiceFile".into(),
        width: Some(10),
        height: Some(20),
        ..DerivativeRecord::default()
    }
}

/// Writes the tables of these items, and the files that they name.
pub(crate) fn write(root: &Path, items: &[Item]) -> CatalogSummary {
    fs::create_dir_all(root).unwrap();
    let mut writer = CatalogWriter::create(root).unwrap();
    for item in items {
        for derivative in &item.derivatives {
            file(root, &derivative.path, &derivative.path);
            let sidecar = sidecar(&item.record, derivative);
            file(root, &format!("{}.prov.json", derivative.path), &sidecar);
        }
        if !item.record.image_thumb.is_empty() {
            file(root, &item.record.image_thumb[1..], "thumb");
        }
        writer.push(item.clone()).unwrap();
    }
    writer.finish().unwrap()
}

/// The sidecar of a derivative that a network had its part in.
pub(crate) fn sidecar(record: &Record, row: &DerivativeRecord) -> String {
    let derivative = Derivative {
        path: row.path.clone(),
        sha256: DigestWire(row.sha256.unwrap()),
        format: "image/png".into(),
        puid: Some("fmt/13".into()),
        width: row.width.unwrap_or(1),
        height: row.height.unwrap_or(1),
        ppi: None,
        usage: None,
        digital_source_type: Some(row.digital_source_type.clone()),
    };
    let source = Source {
        path: record.filename.clone(),
        page: row.page.unwrap_or(1),
        sha256: DigestWire(record.sha256.unwrap()),
        sha256_after: record.sha256.map(DigestWire),
        size: record.file_size.unwrap_or(0),
        puid: None,
        digital_source_type: None,
    };
    let mut sidecar = Sidecar::new(derivative, source, Digest::of(b""));
    let seed = u128::from(Digest::of(row.path.as_bytes()).to_u64()) << 8;
    let event = |number: u128, kind: EventType| {
        let id = uuid::Uuid::from_u128(seed + number);
        Event::new(id, kind, "2026-11-25T07:10:19Z", EventOutcome::Pass)
    };
    let mut changed = event(3, EventType::Modification).of_step("clear", "network");
    changed.detail = Some("restored by a <network> & more".into());
    changed.seed = Some(42);
    changed.outcome = EventOutcome::Warning;
    changed.outcome_detail = Some("3 tiles at the limit".into());
    changed.agent = Some(Agent {
        kind: "software".into(),
        name: "fonds".into(),
        version: "0.1.0".into(),
    });
    changed.model = Some(Model {
        name: "clear-1".into(),
        version: "1".into(),
        sha256: DigestWire(Digest::of(b"weights")),
        licence: "MIT".into(),
        training_data: "photographs".into(),
    });
    sidecar.events = vec![
        event(1, EventType::MessageDigestCalculation),
        event(2, EventType::Validation),
        changed,
        event(4, EventType::Normalization),
    ];
    let label = "AI-restored derivative; the unaltered original is kept";
    sidecar.label.insert("en".into(), label.into());
    sidecar.to_json().unwrap()
}

fn file(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Writes part `index` of `count` of these items as a run of its own.
pub(crate) fn write_shard(root: &Path, items: &[Item], index: u32, count: u32) -> PathBuf {
    let part = root.join(format!("part{index}"));
    let mine = items
        .iter()
        .filter(|item| shard_of(item, count) == index)
        .cloned();
    write(&part, &mine.collect::<Vec<_>>());
    let run = RunFile {
        schema: RUN_SCHEMA.into(),
        run_id: format!("run {index}"),
        plan: "test".into(),
        shard: Some(Shard { index, count }),
        ..RunFile::default()
    };
    fs::write(part.join("run.json"), run.to_json().unwrap()).unwrap();
    part
}

fn shard_of(item: &Item, count: u32) -> u32 {
    let digest = Digest::of(item.record.filename.as_bytes());
    (digest.to_u64() % u64::from(count)) as u32 + 1
}

/// Every file below `root` with its content, sorted by path.
pub(crate) fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    collect(root, root, &mut files);
    files.sort();
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_owned();
            files.push((name, fs::read(&path).unwrap()));
        }
    }
}
