//! The sidecar of a derivative: where it comes from, what was done, what was measured, by what.

use std::collections::BTreeMap;

use fonds_catalog::DerivativeRecord;
use fonds_catalog::provenance::{
    Agent, Derivative, DigestWire, Event, EventOutcome, EventType, Model, Sidecar, SkipReason,
    SkippedStep, Source,
};
use fonds_core::{Digest, PixelFormat, Raster, Result};
use fonds_image::measure::compared::Compared;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::plan::{Gate, PlannedOutput, PlannedStep};
use crate::run::chain::{Trace, Verdict};
use crate::run::label::Label;
use crate::run::output::PageContext;
use crate::run::work::now;
use crate::spec::VerifySources;

/// The derivative that the sidecar belongs to.
pub(super) struct Made<'a> {
    pub(super) output: &'a PlannedOutput,
    pub(super) raster: &'a Raster,
    pub(super) row: &'a DerivativeRecord,
    pub(super) label: &'a Label,
    pub(super) format: PixelFormat,
}

/// The sidecar's text.
pub(super) fn text(page: &PageContext<'_>, made: &Made<'_>, traces: &[Trace]) -> Result<String> {
    let config: Digest = page.context.plan_digest.parse()?;
    let mut sidecar = Sidecar::new(derivative(made), source(page), config);
    sidecar.events = vec![
        event(EventType::MessageDigestCalculation),
        format_event(page),
        validation_event(page),
    ];
    for index in page.context.plan.chain(made.output.from) {
        let planned = &page.context.plan.steps[index];
        step(planned, &traces[index], &mut sidecar);
    }
    sidecar.events.push(encoding_event(made));
    sidecar.label = BTreeMap::from([("en".to_owned(), made.label.notice().to_owned())]);
    sidecar.environment = page.context.environment.clone();
    sidecar.run.clone_from(&page.context.run_id);
    sidecar.to_json()
}

fn derivative(made: &Made<'_>) -> Derivative {
    Derivative {
        path: made.row.path.clone(),
        sha256: DigestWire(made.row.sha256.unwrap_or_else(|| Digest::of(b""))),
        format: made.output.encoding.mime().to_owned(),
        puid: Some(made.output.encoding.puid().to_owned()),
        width: made.raster.width(),
        height: made.raster.height(),
        ppi: made.raster.ppi().map(|ppi| ppi.x),
        usage: Some(made.row.usage.clone()),
        digital_source_type: made.label.source_type().map(str::to_owned),
    }
}

fn source(page: &PageContext<'_>) -> Source {
    let digest = DigestWire(page.source.fingerprint.digest);
    // The run ends in an error for this file when a second reading gives another digest, so a
    // sidecar that exists may state it.
    let read_again = page.context.plan.policy.verify_sources == VerifySources::Always;
    Source {
        path: page.job.path.as_str().to_owned(),
        page: page.number.unwrap_or(1),
        sha256: digest,
        sha256_after: read_again.then_some(digest),
        size: page.source.fingerprint.stamp.size,
        puid: Some(page.record.puid.clone()).filter(|puid| !puid.is_empty()),
        digital_source_type: super::label::source_term(page),
    }
}

fn event(kind: EventType) -> Event {
    Event::new(Uuid::new_v4(), kind, now(), EventOutcome::Pass)
}

fn format_event(page: &PageContext<'_>) -> Event {
    let mut event = event(EventType::FormatIdentification);
    event.detail = Some(
        format!("{} {}", page.record.format, page.record.puid)
            .trim()
            .to_owned(),
    );
    event
}

fn validation_event(page: &PageContext<'_>) -> Event {
    let mut event = event(EventType::Validation);
    let mut detail = "decoded".to_owned();
    for note in page.notes {
        detail.push_str("; ");
        detail.push_str(note);
    }
    event.outcome_detail = Some(detail);
    event
}

/// One step of the chain: an event when it acted or was undone, else the reason why not.
fn step(planned: &PlannedStep, trace: &Trace, sidecar: &mut Sidecar) {
    match &trace.verdict {
        Verdict::Acted(change) => {
            sidecar
                .events
                .push(modification(planned).with_change_of(change, trace));
        }
        Verdict::Refused { change, passed } => {
            let event = modification(planned).with_change_of(change, trace);
            sidecar.events.push(event.refused(&passed.to_string()));
        }
        Verdict::Nothing => {
            let skipped = skipped(planned, trace, SkipReason::NothingToDo);
            sidecar.skipped.push(skipped);
        }
        Verdict::Gated { measure, value } => {
            let mut skipped = skipped(planned, trace, SkipReason::ConditionNotMet);
            skipped
                .measured
                .insert(measure.as_str().to_owned(), rounded(*value));
            sidecar.skipped.push(skipped);
        }
    }
}

trait WithChange {
    fn with_change_of(self, change: &fonds_core::Change, trace: &Trace) -> Self;
}

impl WithChange for Event {
    /// What the operation did, and before it what its gates measured.
    fn with_change_of(self, change: &fonds_core::Change, trace: &Trace) -> Self {
        let mut event = self.with_change(change);
        let mut all = gates_measured(trace);
        all.append(&mut event.measured);
        event.measured = all;
        if let Some(compared) = trace.compared {
            event.compared = compared_figures(&compared);
        }
        event
    }
}

fn compared_figures(compared: &Compared) -> Map<String, Value> {
    let figures = [
        ("psnr", compared.psnr),
        ("ssim", compared.ssim),
        ("color_shift", compared.color_shift),
        ("clipped_added_percent", compared.clipped_added_percent),
        ("changed_percent", compared.changed_percent),
    ];
    let figures = figures.map(|(name, value)| (name.to_owned(), rounded(value)));
    figures.into_iter().collect()
}

fn modification(planned: &PlannedStep) -> Event {
    let mut event = event(EventType::Modification).of_step(&planned.id, &planned.operation);
    if let Value::Object(parameters) = planned.step.parameters() {
        event.parameters = parameters;
    }
    event.agent = Some(Agent::software("fonds", env!("CARGO_PKG_VERSION")));
    event.model = model(planned);
    event
}

/// The model behind a step, as it is written down.
pub(super) fn model(planned: &PlannedStep) -> Option<Model> {
    let model = planned.step.model()?;
    Some(Model {
        name: model.name,
        version: model.version,
        sha256: DigestWire(model.sha256.parse().ok()?),
        licence: model.licence,
        training_data: model.training_data,
    })
}

fn skipped(planned: &PlannedStep, trace: &Trace, reason: SkipReason) -> SkippedStep {
    let mut conditions: Map<String, Value> = planned.gates.iter().map(condition).collect();
    if reason == SkipReason::NothingToDo {
        let any = planned.step.acts_when_any();
        let any: Map<String, Value> = any.iter().map(condition).collect();
        if !any.is_empty() {
            conditions.insert("any".to_owned(), Value::Object(any));
        }
    }
    let condition = (!conditions.is_empty()).then_some(Value::Object(conditions));
    SkippedStep {
        step: planned.id.clone(),
        operation: planned.operation.clone(),
        reason,
        condition,
        measured: gates_measured(trace),
    }
}

fn condition(gate: &Gate) -> (String, Value) {
    let mut bounds = Map::new();
    if let Some(above) = gate.above {
        bounds.insert("above".to_owned(), json!(above));
    }
    if let Some(below) = gate.below {
        bounds.insert("below".to_owned(), json!(below));
    }
    (gate.measure.as_str().to_owned(), Value::Object(bounds))
}

fn gates_measured(trace: &Trace) -> Map<String, Value> {
    let values = trace.measured.iter();
    values
        .map(|(measure, value)| (measure.as_str().to_owned(), rounded(*value)))
        .collect()
}

/// Four digits after the point say all that an indicative measure can.
fn rounded(value: f64) -> Value {
    json!((value * 1e4).round() / 1e4)
}

fn encoding_event(made: &Made<'_>) -> Event {
    let mut event = event(EventType::Normalization);
    let detail = format!(
        "written as {} ({})",
        made.output.encoding.mime(),
        made.format
    );
    event.detail = Some(detail);
    event.agent = Some(Agent::software("fonds", env!("CARGO_PKG_VERSION")));
    event
}
