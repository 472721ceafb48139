//! The JSON form of a sidecar, field by field.

use std::collections::BTreeMap;

use fonds_core::{Change, Code, Digest, Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{EventOutcome, EventType, SIDECAR_SCHEMA};

/// The sidecar of one derivative, `<derivative>.prov.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sidecar {
    /// [`SIDECAR_SCHEMA`].
    pub schema: String,
    /// The file that was written.
    pub derivative: Derivative,
    /// The file that it was made from.
    #[serde(rename = "wasDerivedFrom")]
    pub source: Source,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The steps that left the picture alone, in order, so that a reader can see why.
    #[serde(
        rename = "skippedSteps",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub skipped: Vec<SkippedStep>,
    /// What a viewer should read beside the picture, by language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label: BTreeMap<String, String>,
    /// The machine; not content.
    pub environment: Environment,
    /// The run's id; not content.
    pub run: String,
    /// The digest of the resolved configuration.
    pub config_sha256: DigestWire,
}

/// The file that was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Derivative {
    /// Path relative to the output root.
    pub path: String,
    /// Its digest.
    pub sha256: DigestWire,
    /// MIME type.
    pub format: String,
    /// PRONOM id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puid: Option<String>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pixels per inch across, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ppi: Option<f64>,
    /// PCDM use URI.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// IPTC term, see [`super::digital_source_type`].
    #[serde(
        rename = "digitalSourceType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub digital_source_type: Option<String>,
}

/// The file that a derivative was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Path relative to the archive's root.
    pub path: String,
    /// The page, counted from 1.
    pub page: u32,
    /// Digest before the work.
    pub sha256: DigestWire,
    /// Digest after the work, where the run took it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256_after: Option<DigestWire>,
    /// Bytes.
    pub size: u64,
    /// PRONOM id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puid: Option<String>,
    /// IPTC term, where the file or the configuration says it.
    #[serde(
        rename = "digitalSourceType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub digital_source_type: Option<String>,
}

/// A PREMIS event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its own id; not content.
    #[serde(with = "uuid_text")]
    pub id: Uuid,
    /// What kind of event.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When, ISO 8601 with offset; not content.
    #[serde(rename = "dateTime")]
    pub time: String,
    /// What was done, in words: `rotated by 1.25°`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The id of the pipeline's step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The operation that the step runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Its parameters, resolved.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// The seed, for operations that draw random numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How it ended.
    pub outcome: EventOutcome,
    /// More about how it ended.
    #[serde(
        rename = "outcomeDetail",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub outcome_detail: Option<String>,
    /// The share of pixels that differ, in per cent.
    #[serde(
        rename = "changedPixelsPercent",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub changed_pixels_percent: Option<f64>,
    /// What was measured or chosen on the way.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub measured: Map<String, Value>,
    /// How far the picture is from what the step was given, at the size that it had then.
    #[serde(
        rename = "comparedWithInput",
        default,
        skip_serializing_if = "Map::is_empty"
    )]
    pub compared: Map<String, Value>,
    /// What did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// The network that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// `software`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A trained network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its weights.
    pub sha256: DigestWire,
    /// The licence of its weights.
    pub licence: String,
    /// What it was trained on.
    #[serde(rename = "trainingData")]
    pub training_data: String,
}

/// A step that left the picture alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkippedStep {
    /// The id of the pipeline's step.
    pub step: String,
    /// The operation that it would have run.
    pub operation: String,
    /// Why it did not act.
    pub reason: SkipReason,
    /// The step's `when`, as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Value>,
    /// What was measured, by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub measured: Map<String, Value>,
}

/// Why a step left the picture alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `when` was not met.
    ConditionNotMet,
    /// It looked, and found nothing to do.
    NothingToDo,
}

/// The machine that the work was done on; not content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Operating system and architecture.
    pub os: String,
    /// Processor.
    pub cpu: String,
    /// What networks ran on: `cpu`, `cuda:0`.
    pub device: String,
    /// The kernels chosen: `avx512`, `avx2`, `neon`, `portable`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel: String,
    /// Worker threads.
    pub threads: u32,
}

/// A SHA-256 digest as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestWire(pub Digest);

impl Sidecar {
    /// A sidecar without events, steps or label.
    pub fn new(derivative: Derivative, source: Source, config: Digest) -> Self {
        Self {
            schema: SIDECAR_SCHEMA.to_owned(),
            derivative,
            source,
            events: Vec::new(),
            skipped: Vec::new(),
            label: BTreeMap::new(),
            environment: Environment::default(),
            run: String::new(),
            config_sha256: DigestWire(config),
        }
    }

    /// The sidecar as it is written: indented JSON with a final line feed.
    pub fn to_json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| {
            Error::new(Code::Internal, "cannot write a sidecar").caused_by(error)
        })?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a sidecar.
    ///
    /// Fails with [`Code::Corrupt`] when the text is not one, or of another schema.
    pub fn from_json(text: &str) -> Result<Self> {
        let sidecar: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(Code::Corrupt, "is not a provenance sidecar").caused_by(error)
        })?;
        if sidecar.schema == SIDECAR_SCHEMA {
            return Ok(sidecar);
        }
        let message = format!(
            "has the schema `{}`, not `{SIDECAR_SCHEMA}`",
            sidecar.schema
        );
        Err(Error::new(Code::Corrupt, message))
    }
}

impl Event {
    /// An event with nothing but its kind and outcome; `time` is ISO 8601 with offset.
    pub fn new(id: Uuid, kind: EventType, time: impl Into<String>, outcome: EventOutcome) -> Self {
        Self {
            id,
            kind,
            time: time.into(),
            detail: None,
            step: None,
            operation: None,
            parameters: Map::new(),
            seed: None,
            outcome,
            outcome_detail: None,
            changed_pixels_percent: None,
            measured: Map::new(),
            compared: Map::new(),
            agent: None,
            model: None,
        }
    }

    /// The event of this step and operation.
    #[must_use]
    pub fn of_step(mut self, step: &str, operation: &str) -> Self {
        self.step = Some(step.to_owned());
        self.operation = Some(operation.to_owned());
        self
    }

    /// Takes over what an operation says that it did.
    #[must_use]
    pub fn with_change(mut self, change: &Change) -> Self {
        self.detail = Some(change.summary.clone());
        self.measured = measured(&change.values);
        self.changed_pixels_percent = change.changed_share.map(|share| rounded(share * 100.0));
        self
    }

    /// The event of a step that was undone: a warning, with the reason.
    #[must_use]
    pub fn refused(mut self, reason: &str) -> Self {
        self.outcome = EventOutcome::Warning;
        self.outcome_detail = Some(format!("refused: {reason}"));
        self
    }

    /// Whether the step was undone.
    pub fn is_refused(&self) -> bool {
        let detail = self.outcome_detail.as_deref().unwrap_or_default();
        self.outcome == EventOutcome::Warning && detail.starts_with("refused: ")
    }
}

impl Agent {
    /// A program.
    pub fn software(name: &str, version: &str) -> Self {
        Self {
            kind: "software".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }
}

impl From<Digest> for DigestWire {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl Serialize for DigestWire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DigestWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A UUID as text.
mod uuid_text {
    use super::{Deserialize, Deserializer, Serializer, Uuid, de};

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Uuid, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Figures by name, as a sidecar holds them; what is not finite is `null`.
pub fn measured<'a>(
    values: impl IntoIterator<Item = &'a (&'static str, f64)>,
) -> Map<String, Value> {
    let entries = values.into_iter();
    entries
        .map(|(name, value)| ((*name).to_owned(), Value::from(rounded(*value))))
        .collect()
}

/// Six decimals say all that a measurement knows, and read better than seventeen digits.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sidecar() -> Sidecar {
        let digest = DigestWire(Digest::of(b"x"));
        let derivative = Derivative {
            path: "derivatives/a.tif.restored.png".into(),
            sha256: digest,
            format: "image/png".into(),
            puid: Some("fmt/13".into()),
            width: 6000,
            height: 4000,
            ppi: Some(600.0),
            usage: Some("http://pcdm.org/use#ServiceFile".into()),
            digital_source_type: None,
        };
        let source = Source {
            path: "a.tif".into(),
            page: 1,
            sha256: digest,
            sha256_after: Some(digest),
            size: 123,
            puid: None,
            digital_source_type: None,
        };
        Sidecar::new(derivative, source, digest.0)
    }

    fn event(kind: EventType) -> Event {
        Event::new(
            Uuid::nil(),
            kind,
            "2026-11-20T10:00:00Z",
            EventOutcome::Pass,
        )
    }

    #[test]
    fn sidecars_round_trip() {
        let mut sidecar = sidecar();
        let change = Change::new("rotated by 1.25°")
            .value("angle_degrees", 1.25)
            .value("confidence", f64::NAN)
            .share(0.031_000_000_4);
        let mut rotated = event(EventType::Modification)
            .of_step("straight", "deskew")
            .with_change(&change);
        rotated.agent = Some(Agent::software("fonds", "0.1.0"));
        let refused = event(EventType::Modification)
            .of_step("clean", "denoise")
            .refused("would change 71 % of the pixels");
        assert!(refused.is_refused() && !rotated.is_refused());
        sidecar.events = vec![event(EventType::Validation), rotated, refused];
        sidecar.skipped.push(SkippedStep {
            step: "sharp".into(),
            operation: "sharpen".into(),
            reason: SkipReason::ConditionNotMet,
            condition: Some(json!({ "blur": { "below": 100.0 } })),
            measured: measured(&[("blur", 321.5)]),
        });
        let text = sidecar.to_json().unwrap();
        assert!(text.ends_with("}\n"));
        let mut back = Sidecar::from_json(&text).unwrap();
        // What is not finite comes back as null, and compares by its text.
        assert_eq!(back.to_json().unwrap(), text);
        back.events.clear();
        sidecar.events.clear();
        assert_eq!(back, sidecar);
    }

    #[test]
    fn the_names_are_the_documented_ones() {
        let mut sidecar = sidecar();
        let change = Change::new("x").value("v", 1.0).share(0.031);
        sidecar
            .events
            .push(event(EventType::Modification).with_change(&change));
        let value: Value = serde_json::from_str(&sidecar.to_json().unwrap()).unwrap();
        assert_eq!(value["schema"], "prov-sidecar/1");
        assert_eq!(
            value["derivative"]["use"],
            "http://pcdm.org/use#ServiceFile"
        );
        assert_eq!(value["wasDerivedFrom"]["size"], 123);
        let event = &value["events"][0];
        assert_eq!(event["type"], "modification");
        assert_eq!(event["outcome"], "pass");
        assert_eq!(event["changedPixelsPercent"], 3.1);
        assert_eq!(event["measured"]["v"], 1.0);
        assert!(event.get("model").is_none());
    }

    #[test]
    fn foreign_files_are_refused() {
        for text in ["", "{}", "[]"] {
            assert_eq!(Sidecar::from_json(text).unwrap_err().code(), Code::Corrupt);
        }
        let other = sidecar()
            .to_json()
            .unwrap()
            .replace("sidecar/1", "sidecar/2");
        let error = Sidecar::from_json(&other).unwrap_err();
        assert!(error.message().contains("prov-sidecar/2"));
    }
}
