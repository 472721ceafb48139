//! PREMIS 3: the originals and derivatives of an output as objects, what the sidecars tell as
//! events, and the programs and networks as agents.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use fonds_core::{Code, Error, Result};
use serde_json::Value;

use crate::atomic::AtomicFile;
use crate::provenance::{Agent, Event, EventOutcome, EventType, Model, SIDECAR_SUFFIX, Sidecar};
use crate::reader::ItemReader;
use crate::record::{DerivativeRecord, Item, Record};
use crate::run_file::{RUN_FILE, RunFile};
use crate::xml;

/// How much a PREMIS file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PremisReport {
    /// Originals and derivatives.
    pub objects: u64,
    /// What happened to them.
    pub events: u64,
    /// Programs and networks.
    pub agents: u64,
}

/// Writes the PREMIS 3 document of an output root.
///
/// Objects are the originals that were worked on and the derivatives that have sidecars; events are
/// those of the sidecars, each linked to its objects (as `source` and `outcome`) and agents.
pub fn write_premis(output: &Path, target: &Path) -> Result<PremisReport> {
    let name = |item: &Item, row: Option<&DerivativeRecord>| {
        let path = row.map_or(&item.record.filename, |row| &row.path);
        Some(path.clone())
    };
    write(output, target, Unlinked::Keep, name)
}

/// What becomes of originals to which nothing happened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlinked {
    Keep,
    /// Some readers take an object without events for an error.
    Leave,
}

/// The same with other names for the files; one without a name is left out, with its events.
pub(crate) fn write(
    output: &Path,
    target: &Path,
    unlinked: Unlinked,
    name: impl Fn(&Item, Option<&DerivativeRecord>) -> Option<String>,
) -> Result<PremisReport> {
    let mut premis = Premis {
        output,
        file: AtomicFile::create(target)?,
        text: String::new(),
        agents: BTreeMap::new(),
        tool: tool(output),
        report: PremisReport::default(),
    };
    premis.text.push_str(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <premis:premis xmlns:premis=\"http://www.loc.gov/premis/v3\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"http://www.loc.gov/premis/v3 \
         http://www.loc.gov/standards/premis/premis.xsd\" version=\"3.0\">\n",
    );
    // The schema wants all objects before all events.
    premis.each(|premis, item| {
        let derived: Vec<_> = derived(item)
            .filter_map(|row| Some((row, name(item, Some(row))?)))
            .collect();
        let Some(original) = name(item, None) else {
            return Ok(());
        };
        if unlinked == Unlinked::Keep || !derived.is_empty() {
            premis.original(&item.record, &original);
        }
        for (row, name) in derived {
            premis.derivative(item, row, &name)?;
        }
        Ok(())
    })?;
    premis.each(|premis, item| {
        if name(item, None).is_none() {
            return Ok(());
        }
        let mut seen = HashSet::new();
        for row in derived(item).filter(|row| name(item, Some(row)).is_some()) {
            let sidecar = premis.sidecar(row)?;
            for event in &sidecar.events {
                // Several derivatives of one original tell of its reading, each in its own words.
                if is_made(event.kind) || seen.insert((event.kind, event.time.clone(), row.page)) {
                    premis.event(item, row, event);
                }
            }
        }
        Ok(())
    })?;
    premis.finish()
}

/// The derivatives that have sidecars and were not rejected.
fn derived(item: &Item) -> impl Iterator<Item = &DerivativeRecord> {
    let rows = item.derivatives.iter();
    rows.filter(|row| !row.is_for_site() && !row.is_set_aside())
}

/// Whether an event made the derivative; the others are about the original.
fn is_made(kind: EventType) -> bool {
    matches!(kind, EventType::Modification | EventType::Normalization)
}

/// The program that made the output, for events that do not name theirs.
fn tool(output: &Path) -> Agent {
    let run = std::fs::read_to_string(output.join(RUN_FILE)).ok();
    let run = run.and_then(|text| RunFile::from_json(&text).ok());
    run.and_then(|run| run.tool).unwrap_or_else(|| Agent {
        kind: "software".to_owned(),
        name: "fonds".to_owned(),
        version: "unknown".to_owned(),
    })
}

struct Premis<'a> {
    output: &'a Path,
    file: AtomicFile,
    text: String,
    /// Agents by their ids, each with its element.
    agents: BTreeMap<String, String>,
    tool: Agent,
    report: PremisReport,
}

impl Premis<'_> {
    /// Hands on the items that were worked on, and writes what was made of each.
    fn each(&mut self, mut visit: impl FnMut(&mut Self, &Item) -> Result<()>) -> Result<()> {
        let mut items = ItemReader::open(self.output)?;
        while let Some(item) = items.read()? {
            if crate::profiles::is_exported(&item.record) {
                visit(self, &item)?;
                self.file.write(self.text.as_bytes())?;
                self.text.clear();
            }
        }
        Ok(())
    }

    fn original(&mut self, record: &Record, name: &str) {
        self.report.objects += 1;
        self.open("object xsi:type=\"premis:file\"");
        self.identifier("object", "local", &record.objectid);
        let digest = record.sha256.map(|digest| digest.to_string());
        self.characteristics(
            digest.as_deref(),
            record.file_size,
            &record.format,
            &record.format_version,
            &record.puid,
        );
        self.element("originalName", name);
        self.close("object");
    }

    fn derivative(&mut self, item: &Item, row: &DerivativeRecord, name: &str) -> Result<()> {
        let sidecar = self.sidecar(row)?;
        let size = std::fs::metadata(self.output.join(&row.path)).ok();
        self.report.objects += 1;
        self.open("object xsi:type=\"premis:file\"");
        self.identifier("object", "local", &row.path);
        self.characteristics(
            Some(&sidecar.derivative.sha256.0.to_string()),
            size.map(|found| found.len()),
            &sidecar.derivative.format,
            "",
            sidecar.derivative.puid.as_deref().unwrap_or_default(),
        );
        self.element("originalName", name);
        self.open("relationship");
        self.element("relationshipType", "derivation");
        self.element("relationshipSubType", "has source");
        self.identifier("relatedObject", "local", &item.record.objectid);
        for event in sidecar.events.iter().filter(|event| is_made(event.kind)) {
            self.identifier("relatedEvent", "UUID", &event.id.to_string());
        }
        self.close("relationship");
        self.close("object");
        Ok(())
    }

    fn characteristics(
        &mut self,
        digest: Option<&str>,
        size: Option<u64>,
        format: &str,
        version: &str,
        puid: &str,
    ) {
        self.open("objectCharacteristics");
        self.element("compositionLevel", "0");
        if let Some(digest) = digest {
            self.open("fixity");
            self.element("messageDigestAlgorithm", "SHA-256");
            self.element("messageDigest", digest);
            self.close("fixity");
        }
        if let Some(size) = size {
            self.element("size", &size.to_string());
        }
        self.open("format");
        self.open("formatDesignation");
        self.element(
            "formatName",
            if format.is_empty() { "unknown" } else { format },
        );
        if !version.is_empty() {
            self.element("formatVersion", version);
        }
        self.close("formatDesignation");
        if !puid.is_empty() {
            self.open("formatRegistry");
            self.element("formatRegistryName", "PRONOM");
            self.element("formatRegistryKey", puid);
            self.close("formatRegistry");
        }
        self.close("format");
        self.close("objectCharacteristics");
    }

    fn event(&mut self, item: &Item, row: &DerivativeRecord, event: &Event) {
        self.report.events += 1;
        self.open("event");
        self.identifier("event", "UUID", &event.id.to_string());
        let kind = event.kind;
        self.text.push_str(&format!(
            "<premis:eventType authority=\"eventType\" valueURI=\"{}\">{}</premis:eventType>\n",
            kind.uri(),
            kind.as_str()
        ));
        self.element("eventDateTime", &event.time);
        let detail = detail(event, row);
        if !detail.is_empty() {
            self.open("eventDetailInformation");
            self.element("eventDetail", &detail);
            self.close("eventDetailInformation");
        }
        self.open("eventOutcomeInformation");
        self.element(
            "eventOutcome",
            match event.outcome {
                EventOutcome::Pass => "pass",
                EventOutcome::Warning => "warning",
                EventOutcome::Fail => "fail",
            },
        );
        if let Some(note) = &event.outcome_detail {
            self.open("eventOutcomeDetail");
            self.element("eventOutcomeDetailNote", note);
            self.close("eventOutcomeDetail");
        }
        self.close("eventOutcomeInformation");
        let program = event.agent.clone().unwrap_or_else(|| self.tool.clone());
        let program = self.program(&program);
        self.linked_agent(&program);
        if let Some(model) = &event.model {
            let model = self.model(model);
            self.linked_agent(&model);
        }
        self.linked_object(&item.record.objectid, "source");
        if is_made(kind) {
            self.linked_object(&row.path, "outcome");
        }
        self.close("event");
    }

    fn linked_agent(&mut self, id: &str) {
        self.open("linkingAgentIdentifier");
        self.element("linkingAgentIdentifierType", "local");
        self.element("linkingAgentIdentifierValue", id);
        self.element("linkingAgentRole", "executing program");
        self.close("linkingAgentIdentifier");
    }

    fn linked_object(&mut self, id: &str, role: &str) {
        self.open("linkingObjectIdentifier");
        self.element("linkingObjectIdentifierType", "local");
        self.element("linkingObjectIdentifierValue", id);
        self.element("linkingObjectRole", role);
        self.close("linkingObjectIdentifier");
    }

    /// The id of a program, which is noted as an agent.
    fn program(&mut self, agent: &Agent) -> String {
        let id = format!("{} {}", agent.name, agent.version);
        self.agent(&id, &agent.name, &agent.version, &[]);
        id
    }

    /// The id of a network, which is noted as an agent.
    fn model(&mut self, model: &Model) -> String {
        let id = format!("{} sha256:{}", model.name, model.sha256.0);
        let notes = [
            format!("sha256 of the weights: {}", model.sha256.0),
            format!("licence: {}", model.licence),
            format!("training data: {}", model.training_data),
        ];
        self.agent(&id, &model.name, &model.version, &notes);
        id
    }

    fn agent(&mut self, id: &str, name: &str, version: &str, notes: &[String]) {
        if self.agents.contains_key(id) {
            return;
        }
        let before = std::mem::take(&mut self.text);
        self.open("agent");
        self.identifier("agent", "local", id);
        self.element("agentName", name);
        self.element("agentType", "software");
        if !version.is_empty() {
            self.element("agentVersion", version);
        }
        for note in notes {
            self.element("agentNote", note);
        }
        self.close("agent");
        let element = std::mem::replace(&mut self.text, before);
        self.agents.insert(id.to_owned(), element);
    }

    fn sidecar(&self, row: &DerivativeRecord) -> Result<Sidecar> {
        let path = self.output.join(format!("{}{SIDECAR_SUFFIX}", row.path));
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&path)
        })?;
        Sidecar::from_json(&text).map_err(|error| error.at_path(&path))
    }

    fn finish(mut self) -> Result<PremisReport> {
        for element in std::mem::take(&mut self.agents).into_values() {
            self.report.agents += 1;
            self.text.push_str(&element);
        }
        self.close("premis");
        self.file.write(self.text.as_bytes())?;
        self.file.commit()?;
        Ok(self.report)
    }

    fn identifier(&mut self, what: &str, kind: &str, value: &str) {
        self.open(&format!("{what}Identifier"));
        self.element(&format!("{what}IdentifierType"), kind);
        self.element(&format!("{what}IdentifierValue"), value);
        self.close(&format!("{what}Identifier"));
    }

    fn element(&mut self, name: &str, text: &str) {
        self.text.push_str(&format!("<premis:{name}>"));
        xml::put_text(text, &mut self.text);
        self.text.push_str(&format!("</premis:{name}>\n"));
    }

    fn open(&mut self, name: &str) {
        self.text.push_str(&format!("<premis:{name}>\n"));
    }

    fn close(&mut self, name: &str) {
        self.text.push_str(&format!("</premis:{name}>\n"));
    }
}

/// What was done, with all that it takes to do it again.
fn detail(event: &Event, row: &DerivativeRecord) -> String {
    let mut parts = Vec::new();
    parts.extend(event.detail.clone());
    let mut note = |key: &str, value: Option<String>| {
        parts.extend(value.map(|value| format!("{key}={value}")));
    };
    note("page", row.page.map(|page| page.to_string()));
    note("step", event.step.clone());
    note("operation", event.operation.clone());
    let json = |map: &serde_json::Map<String, Value>| {
        (!map.is_empty()).then(|| Value::from(map.clone()).to_string())
    };
    note("parameters", json(&event.parameters));
    note("measured", json(&event.measured));
    note("seed", event.seed.map(|seed| seed.to_string()));
    let changed = event.changed_pixels_percent;
    note(
        "changedPixelsPercent",
        changed.map(|share| share.to_string()),
    );
    parts.join("; ")
}
