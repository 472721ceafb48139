//! RO-Crate 1.1: an output described as a data set in JSON-LD (schema.org), with an action for each
//! derivative that says from what and with what it was made.

use std::collections::BTreeMap;
use std::path::Path;

use fonds_core::{Code, Error, Result};
use serde_json::{Map, Value, json};

use crate::atomic::AtomicFile;
use crate::profiles::encode_path;
use crate::provenance::{Model, SIDECAR_SUFFIX, Sidecar};
use crate::reader::ItemReader;
use crate::record::{DerivativeRecord, FailureRecord, Item, Record};
use crate::row::Row;
use crate::run_file::{RUN_FILE, RunFile};
use crate::validate::is_rights_statement;

/// The name that RO-Crate gives the file, at the root of what it describes.
pub const RO_CRATE_FILE: &str = "ro-crate-metadata.json";

/// Writes `ro-crate-metadata.json` into an output root; says how many entities it has.
///
/// Fails when the output has no `run.json`: the description of a data set needs its date.
pub fn write_ro_crate(output: &Path) -> Result<u64> {
    let path = output.join(RUN_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&path)
    })?;
    let run = RunFile::from_json(&text).map_err(|error| error.at_path(&path))?;
    let mut graph = Graph {
        file: AtomicFile::create(&output.join(RO_CRATE_FILE))?,
        entities: 0,
        models: BTreeMap::new(),
    };
    graph
        .file
        .write(b"{\n\"@context\": \"https://w3id.org/ro/crate/1.1/context\",\n\"@graph\": [\n")?;
    graph.put(&json!({
        "@id": RO_CRATE_FILE,
        "@type": "CreativeWork",
        "conformsTo": { "@id": "https://w3id.org/ro/crate/1.1" },
        "about": { "@id": "./" },
    }))?;
    graph.root(output, &run)?;
    for (file, name) in TABLES {
        graph.put(&json!({
            "@id": file, "@type": "File", "name": name, "encodingFormat": "text/csv",
        }))?;
    }
    let tool = run.tool.as_ref();
    graph.put(&json!({
        "@id": TOOL,
        "@type": "SoftwareApplication",
        "name": tool.map_or("fonds", |tool| tool.name.as_str()),
        "softwareVersion": tool.map_or("unknown", |tool| tool.version.as_str()),
    }))?;
    let mut items = ItemReader::open(output)?;
    while let Some(item) = items.read()? {
        if crate::profiles::is_exported(&item.record) {
            graph.item(output, &item)?;
        }
    }
    graph.finish()
}

const TOOL: &str = "#fonds";

const TABLES: [(&str, &str); 3] = [
    (
        Record::FILE,
        "The catalog: a row for every file of the archive",
    ),
    (DerivativeRecord::FILE, "Every file that was written"),
    (FailureRecord::FILE, "Everything that went wrong"),
];

struct Graph {
    file: AtomicFile,
    entities: u64,
    /// Networks, by their ids.
    models: BTreeMap<String, Model>,
}

impl Graph {
    fn put(&mut self, entity: &Value) -> Result<()> {
        if self.entities > 0 {
            self.file.write(b",\n")?;
        }
        self.entities += 1;
        self.file.write(entity.to_string().as_bytes())
    }

    /// The data set itself, with all its files.
    fn root(&mut self, output: &Path, run: &RunFile) -> Result<()> {
        let mut parts: Vec<Value> = TABLES
            .iter()
            .map(|(file, _)| json!({ "@id": file }))
            .collect();
        let mut rights: Option<String> = None;
        let mut mixed = false;
        let mut items = ItemReader::open(output)?;
        while let Some(item) = items.read()? {
            if !crate::profiles::is_exported(&item.record) {
                continue;
            }
            let found = &item.record.rightsstatement;
            mixed |= rights.as_ref().is_some_and(|rights| rights != found);
            rights.get_or_insert_with(|| found.clone());
            let paths = item.derivatives.iter().map(|row| &row.path);
            parts.extend(paths.map(|path| json!({ "@id": encode_path(path) })));
        }
        let licence = match rights {
            Some(uri) if !mixed && is_rights_statement(&uri) && !uri.is_empty() => {
                json!({ "@id": uri })
            }
            _ => json!("See the columns rights and rightsstatement of catalog.csv."),
        };
        self.put(&json!({
            "@id": "./",
            "@type": "Dataset",
            "name": format!("Derivatives and catalog by `{}`", run.plan),
            "description": "Derivatives of an archive with a catalog of its originals, made by fonds.",
            "datePublished": run.finished_at,
            "license": licence,
            "hasPart": parts,
        }))
    }

    /// An original, its derivatives, and how they were made.
    fn item(&mut self, output: &Path, item: &Item) -> Result<()> {
        let record = &item.record;
        let original = format!("#{}", record.objectid);
        let mut entity = Map::new();
        entity.insert("@id".into(), json!(original));
        entity.insert("@type".into(), json!("ImageObject"));
        for (key, text) in [
            ("name", &record.title),
            ("identifier", &record.filename),
            ("creator", &record.creator),
            ("dateCreated", &record.date),
            ("description", &record.description),
            ("encodingFormat", &record.format),
            ("license", &record.rightsstatement),
        ] {
            if !text.is_empty() {
                entity.insert(key.into(), json!(text));
            }
        }
        if let Some(digest) = record.sha256 {
            entity.insert("sha256".into(), json!(digest.to_string()));
        }
        if let Some(size) = record.file_size {
            entity.insert("contentSize".into(), json!(size.to_string()));
        }
        self.put(&entity.into())?;
        for row in &item.derivatives {
            self.derivative(output, &original, row)?;
        }
        Ok(())
    }

    fn derivative(&mut self, output: &Path, original: &str, row: &DerivativeRecord) -> Result<()> {
        let id = encode_path(&row.path);
        let sidecar = sidecar(output, row)?;
        let ending = row.path.rsplit('.').next().unwrap_or_default();
        let format = match (&sidecar, ending) {
            (Some(sidecar), _) => sidecar.derivative.format.clone(),
            (None, "jpg") => "image/jpeg".to_owned(),
            (None, other) => format!("image/{other}"),
        };
        let mut entity = Map::new();
        entity.insert("@id".into(), json!(id));
        entity.insert("@type".into(), json!(["File", "ImageObject"]));
        entity.insert("name".into(), json!(row.path.rsplit('/').next()));
        entity.insert("encodingFormat".into(), json!(format));
        entity.insert("isBasedOn".into(), json!({ "@id": original }));
        if let Some(digest) = row.sha256 {
            entity.insert("sha256".into(), json!(digest.to_string()));
        }
        for (key, value) in [("width", row.width), ("height", row.height)] {
            entity.extend(value.map(|value| (key.to_owned(), json!(value))));
        }
        if !row.digital_source_type.is_empty() {
            let kind = json!({ "@id": row.digital_source_type });
            entity.insert("additionalType".into(), kind);
        }
        let label = sidecar.as_ref().and_then(|sidecar| sidecar.label.get("en"));
        if let Some(label) = label {
            entity.insert("description".into(), json!(label));
        }
        self.put(&entity.into())?;
        match sidecar {
            Some(sidecar) => self.action(original, &id, &sidecar),
            None => Ok(()),
        }
    }

    fn action(&mut self, original: &str, result: &str, sidecar: &Sidecar) -> Result<()> {
        let mut instruments = vec![json!({ "@id": TOOL })];
        let mut steps = Vec::new();
        for event in &sidecar.events {
            steps.extend(event.detail.clone());
            if let Some(model) = &event.model {
                let id = format!("#model-{}", model.sha256.0.prefix(16));
                instruments.push(json!({ "@id": id }));
                self.models.entry(id).or_insert_with(|| model.clone());
            }
        }
        instruments.dedup();
        let mut action = Map::new();
        action.insert("@id".into(), json!(format!("#action-{result}")));
        action.insert("@type".into(), json!("CreateAction"));
        action.insert("object".into(), json!({ "@id": original }));
        action.insert("result".into(), json!({ "@id": result }));
        action.insert("instrument".into(), instruments.into());
        if let Some(event) = sidecar.events.last() {
            action.insert("endTime".into(), json!(event.time));
        }
        action.insert("description".into(), json!(steps.join("; ")));
        self.put(&action.into())
    }

    fn finish(mut self) -> Result<u64> {
        for (id, model) in std::mem::take(&mut self.models) {
            self.put(&json!({
                "@id": id,
                "@type": "SoftwareApplication",
                "name": model.name,
                "softwareVersion": model.version,
                "license": model.licence,
                "identifier": format!("sha256:{}", model.sha256.0),
                "description": format!("Trained network. Training data: {}", model.training_data),
            }))?;
        }
        self.file.write(b"\n]\n}\n")?;
        self.file.commit()?;
        Ok(self.entities)
    }
}

/// The sidecar of a derivative that has one.
fn sidecar(output: &Path, row: &DerivativeRecord) -> Result<Option<Sidecar>> {
    if row.path.starts_with("objects/") {
        return Ok(None);
    }
    let path = output.join(format!("{}{SIDECAR_SUFFIX}", row.path));
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&path)
    })?;
    Sidecar::from_json(&text)
        .map(Some)
        .map_err(|error| error.at_path(&path))
}
