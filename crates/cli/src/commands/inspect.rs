//! `fonds inspect`: everything that ingest knows of a picture.

use std::path::{Path, PathBuf};

use fonds_core::{Error, Limits};
use fonds_image::decode::{Document, Page};
use fonds_image::facts::{Metadata, PageFacts};
use fonds_image::measure::{self, Measure};
use fonds_image::sniff::{Identity, extension_matches, identify};
use fonds_ingest::{Source, read_source};
use serde_json::{Map, Value, json};

use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn inspect(files: &[PathBuf], as_json: bool) -> Outcome {
    let mut exit = Exit::Done;
    for (index, path) in files.iter().enumerate() {
        let described = describe(path);
        if described.get("error").is_some() {
            exit = Exit::SomeFailed;
        }
        if as_json {
            report::line(&described.to_string());
        } else {
            if index > 0 {
                report::line("");
            }
            report::raw(&text(&described));
        }
    }
    Ok(exit)
}

/// All that is known; what cannot be known is under `error`.
fn describe(path: &Path) -> Value {
    let mut object = Map::new();
    object.insert("file".to_owned(), json!(path.display().to_string()));
    match read_source(path, &Limits::DEFAULT) {
        Ok(source) => describe_source(path, &source, &mut object),
        Err(error) => put_error(&mut object, &error),
    }
    Value::Object(object)
}

fn describe_source(path: &Path, source: &Source, object: &mut Map<String, Value>) {
    let identity = identify(&source.bytes);
    object.insert("size".to_owned(), json!(source.fingerprint.stamp.size));
    object.insert(
        "sha256".to_owned(),
        json!(source.fingerprint.digest.to_string()),
    );
    object.insert("format".to_owned(), identity_json(&identity));
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    object.insert(
        "extension_matches".to_owned(),
        json!(extension_matches(&identity, extension)),
    );
    if let Some(format) = identity.format {
        let (metadata, flags) = fonds_image::metadata::read(&source.bytes, format);
        object.insert("metadata".to_owned(), metadata_json(&metadata));
        if !flags.is_empty() {
            object.insert(
                "metadata_flags".to_owned(),
                words(flags.iter().map(|f| f.as_str())),
            );
        }
    }
    match Document::open(&source.bytes, &Limits::DEFAULT) {
        Ok(mut document) => {
            let pages = (0..document.page_count()).map(|page| match document.decode(page) {
                Ok(page) => page_json(&page),
                Err(error) => {
                    let mut object = Map::new();
                    put_error(&mut object, &error);
                    Value::Object(object)
                }
            });
            let pages: Vec<Value> = pages.collect();
            if let Some(error) = pages.iter().find_map(|page| page.get("error")) {
                object.insert("error".to_owned(), error.clone());
            }
            object.insert("pages".to_owned(), Value::Array(pages));
        }
        Err(error) => put_error(object, &error),
    }
}

fn put_error(object: &mut Map<String, Value>, error: &Error) {
    object.insert("error".to_owned(), json!(error.code().as_str()));
    object.insert("message".to_owned(), json!(error.detail()));
    if !error.hints().is_empty() {
        object.insert("hints".to_owned(), json!(error.hints()));
    }
}

fn identity_json(identity: &Identity) -> Value {
    json!({
        "name": identity.name, "mime": identity.mime, "puid": identity.puid,
        "version": identity.version,
    })
}

fn page_json(page: &Page) -> Value {
    let Value::Object(mut object) = facts_json(&page.facts) else {
        return Value::Null;
    };
    object.insert(
        "decoded_as".to_owned(),
        json!(page.raster.format().to_string()),
    );
    let survey = measure::measure(&page.raster);
    let mut measures = Map::new();
    for measure in Measure::ALL {
        let value = measure::value(&page.raster, measure);
        measures.insert(
            measure.as_str().to_owned(),
            json!((value * 1e5).round() / 1e5),
        );
    }
    object.insert("measures".to_owned(), Value::Object(measures));
    let hash = measure::perceptual_hash(&page.raster);
    object.insert("perceptual_hash".to_owned(), json!(format!("{hash:016x}")));
    let flags = page.flags.iter().copied().chain(survey.flags());
    object.insert(
        "flags".to_owned(),
        words(flags.map(fonds_core::Flag::as_str)),
    );
    if !page.notes.is_empty() {
        object.insert("notes".to_owned(), json!(page.notes));
    }
    Value::Object(object)
}

fn facts_json(facts: &PageFacts) -> Value {
    json!({
        "width": facts.width, "height": facts.height,
        "bits_per_sample": facts.bits_per_sample, "samples_per_pixel": facts.samples_per_pixel,
        "color_space": facts.color_space, "compression": facts.compression_scheme,
        "icc_profile": facts.icc_profile,
        "ppi": facts.ppi.map(|ppi| [ppi.x, ppi.y]), "ppi_source": facts.ppi_source.as_str(),
        "orientation": facts.orientation,
    })
}

fn metadata_json(metadata: &Metadata) -> Value {
    let mut object = Map::new();
    let texts = [
        ("title", &metadata.title),
        ("creator", &metadata.creator),
        ("description", &metadata.description),
        ("location", &metadata.location),
        ("rights", &metadata.rights),
        ("rights_uri", &metadata.rights_uri),
        ("source", &metadata.source),
        ("identifier", &metadata.identifier),
        ("language", &metadata.language),
        ("alt_text", &metadata.alt_text),
        ("digital_source_type", &metadata.digital_source_type),
        ("scanner", &metadata.scanner),
        ("software", &metadata.software),
        ("date_digitized", &metadata.date_digitized),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            object.insert(name.to_owned(), json!(text));
        }
    }
    if !metadata.subjects.is_empty() {
        object.insert("subjects".to_owned(), json!(metadata.subjects));
    }
    for (name, degrees) in [
        ("latitude", metadata.latitude),
        ("longitude", metadata.longitude),
    ] {
        if let Some(degrees) = degrees {
            object.insert(name.to_owned(), json!(degrees));
        }
    }
    Value::Object(object)
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(words.map(|word| json!(word)).collect())
}

/// The same as indented lines for people.
fn text(value: &Value) -> String {
    let mut out = String::new();
    if let Value::Object(object) = value {
        put_object(object, 0, &mut out);
    }
    out
}

fn put_object(object: &Map<String, Value>, depth: usize, out: &mut String) {
    for (name, value) in object {
        let name = name.replace('_', " ");
        let margin = "  ".repeat(depth);
        match value {
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(inner) => {
                out.push_str(&format!("{margin}{name}\n"));
                put_object(inner, depth + 1, out);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (number, item) in items.iter().enumerate() {
                    out.push_str(&format!("{margin}page {}\n", number + 1));
                    if let Value::Object(inner) = item {
                        put_object(inner, depth + 1, out);
                    }
                }
            }
            Value::Array(items) if items.is_empty() => {}
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(plain).collect();
                out.push_str(&format!("{margin}{name:<20} {}\n", items.join("; ")));
            }
            Value::Null => {}
            other => out.push_str(&format!("{margin}{name:<20} {}\n", plain(other))),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
