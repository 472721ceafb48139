//! `fonds inspect`: everything that ingest knows of a picture.

use std::path::{Path, PathBuf};

use fonds_core::{Error, Flag, Flags, Limits, RelPath};
use fonds_image::decode::Document;
use fonds_image::facts::{Metadata, PageFacts};
use fonds_image::measure::Measures;
use fonds_image::sniff::{Identity, extension_matches};
use fonds_ingest::{PageContent, PageDescription, Source, describe as describe_bytes, read_source};
use fonds_pipeline::{Judged, JudgedStep, Plan, judge};
use serde_json::{Map, Value, json};

use super::plan::gate_text;
use crate::exit::{Exit, Outcome};
use crate::{report, shipped};

/// What the gates of a pipeline were judged on.
const JUDGED_ON: &str = "the picture as it is read, also for later steps";

pub(crate) fn inspect(files: &[PathBuf], pipeline: Option<&str>, as_json: bool) -> Outcome {
    super::run::quiet_panics();
    let plan = match pipeline
        .map(|pipeline| shipped::plan(pipeline, None))
        .transpose()
    {
        Ok(plan) => plan,
        Err(errors) => {
            report::errors(&errors);
            return Ok(Exit::of_mistakes(&errors));
        }
    };
    let mut exit = Exit::Done;
    for (index, path) in files.iter().enumerate() {
        let described = on_quiet_thread(|| describe(path, plan.as_ref()))?;
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

/// Runs on a thread whose panics are not printed: the description says what went wrong.
fn on_quiet_thread<T: Send>(work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("fonds-inspect".to_owned());
        let handle = thread.spawn_scoped(scope, work)?;
        handle
            .join()
            .map_err(|_| anyhow::anyhow!("fonds panicked; this is a bug"))
    })
}

/// All that is known; what cannot be known is under `error`.
fn describe(path: &Path, plan: Option<&Plan>) -> Value {
    let mut object = Map::new();
    object.insert("file".to_owned(), json!(path.display().to_string()));
    match read_source(path, &Limits::DEFAULT) {
        Ok(source) => describe_source(path, &source, plan, &mut object),
        Err(error) => put_error(&mut object, &error),
    }
    Value::Object(object)
}

fn describe_source(
    path: &Path,
    source: &Source,
    plan: Option<&Plan>,
    object: &mut Map<String, Value>,
) {
    let name = path
        .file_name()
        .map(Path::new)
        .and_then(|name| RelPath::new(name).ok());
    let Some(name) = name else { return };
    let described = describe_bytes(&source.bytes, &name, &Limits::DEFAULT);
    object.insert("size".to_owned(), json!(source.fingerprint.stamp.size));
    object.insert(
        "sha256".to_owned(),
        json!(source.fingerprint.digest.to_string()),
    );
    object.insert("format".to_owned(), identity_json(&described.identity));
    let matches = extension_matches(&described.identity, name.extension());
    object.insert("extension_matches".to_owned(), json!(matches));
    object.insert("metadata".to_owned(), metadata_json(&described.metadata));
    object.insert("flags".to_owned(), words(&described.flags));
    if let Some(error) = described.error() {
        put_error(object, error);
    }
    if let Ok(pages) = &described.pages {
        let mut pages: Vec<Value> = pages.iter().map(page_json).collect();
        if let Some(plan) = plan {
            object.insert("pipeline".to_owned(), json!(plan.label()));
            object.insert("gates_judged_on".to_owned(), json!(JUDGED_ON));
            if let Err(error) = put_gates(plan, &source.bytes, &mut pages) {
                put_error(object, &error);
            }
        }
        object.insert("pages".to_owned(), Value::Array(pages));
    }
}

/// Reads the pages again, one at a time and within the pipeline's limits, for the steps' gates.
///
/// # Errors
/// The first that the pipeline would have with a page; those that could not be described say what
/// is wrong with them already.
fn put_gates(plan: &Plan, bytes: &[u8], pages: &mut [Value]) -> Result<(), Error> {
    let mut document = Document::open(bytes, &plan.limits)?;
    for (number, page) in (0..).zip(pages) {
        let Value::Object(page) = page else { continue };
        if page.contains_key("error") {
            continue;
        }
        let decoded = document.decode(number)?;
        let steps = judge(plan, &decoded.raster);
        let steps = steps.iter().map(|step| step_json(plan, step)).collect();
        page.insert("steps".to_owned(), steps);
    }
    Ok(())
}

fn step_json(plan: &Plan, judged: &JudgedStep) -> Value {
    let step = &plan.steps[judged.index];
    let gates = |gates: &[Judged]| -> Value { gates.iter().map(gate_json).collect() };
    json!({
        "id": step.id,
        "operation": step.operation,
        "gated": judged.has_gates(),
        "open": judged.is_open(),
        "when": gates(&judged.when),
        "acts_when_any": gates(&judged.acts_when_any),
    })
}

fn gate_json(judged: &Judged) -> Value {
    json!({
        "gate": gate_text(&judged.gate),
        "measure": judged.gate.measure.as_str(),
        "above": judged.gate.above,
        "below": judged.gate.below,
        "measured": judged.measured,
        "open": judged.is_open(),
    })
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

fn page_json(page: &PageDescription) -> Value {
    let facts = page.facts.as_ref().map_or(Value::Null, facts_json);
    let Value::Object(mut object) = facts else {
        return json!({ "error": "no header" });
    };
    match &page.content {
        Ok(content) => put_content(&mut object, content),
        Err(error) => put_error(&mut object, error),
    }
    Value::Object(object)
}

fn put_content(object: &mut Map<String, Value>, content: &PageContent) {
    object.insert("decoded_as".to_owned(), json!(content.format.to_string()));
    object.insert("measures".to_owned(), measures_json(&content.measures));
    let hash = format!("{:016x}", content.perceptual_hash);
    object.insert("perceptual_hash".to_owned(), json!(hash));
    object.insert("flags".to_owned(), words(&content.flags));
    object.insert("notes".to_owned(), json!(content.notes));
}

fn measures_json(measures: &Measures) -> Value {
    let values = [
        ("blur", measures.blur),
        ("noise", measures.noise),
        ("chroma_noise", measures.chroma_noise),
        ("blockiness", measures.blockiness),
        ("skew", measures.skew_degrees),
        ("cast", measures.cast),
        ("clipped", measures.clipped_percent),
        ("fading", measures.fading),
        ("border", measures.border),
    ];
    let rounded = |value: f64| json!((value * 1e4).round() / 1e4);
    Value::Object(
        values
            .map(|(name, value)| (name.to_owned(), rounded(value)))
            .into_iter()
            .collect(),
    )
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

fn words(flags: &Flags) -> Value {
    flags.iter().copied().map(Flag::as_str).collect()
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
            Value::Array(steps) if name == "steps" => {
                out.push_str(&format!("{margin}{name}\n"));
                for step in steps {
                    put_step(step, depth + 1, out);
                }
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

/// A step of a pipeline, and below it a line for each of its gates.
fn put_step(step: &Value, depth: usize, out: &mut String) {
    let margin = "  ".repeat(depth);
    let gated = step["gated"] == true;
    let name = format!("{} ({})", plain(&step["id"]), plain(&step["operation"]));
    let state = if gated {
        open_or_closed(step)
    } else {
        "no gates"
    };
    out.push_str(&format!("{margin}{name:<26} {state}\n"));
    for (key, words) in [("when", "when"), ("acts_when_any", "acts when any")] {
        for gate in step[key].as_array().into_iter().flatten() {
            let state = open_or_closed(gate);
            let measured = figure(gate["measured"].as_f64().unwrap_or(f64::NAN));
            let bound = plain(&gate["gate"]);
            out.push_str(&format!("{margin}  {words} {bound}: {measured}, {state}\n"));
        }
    }
}

fn open_or_closed(value: &Value) -> &'static str {
    if value["open"] == true {
        "open"
    } else {
        "closed"
    }
}

/// Six significant digits: enough to tell a figure from its bound.
fn figure(value: f64) -> f64 {
    let text = format!("{value:.5e}");
    text.parse().unwrap_or(value)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
