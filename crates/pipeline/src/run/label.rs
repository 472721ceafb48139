//! The label of a derivative: its XMP packet, its notice, its digital source type.

use fonds_catalog::provenance::{ActKind, digital_source_type};
use fonds_core::{Change, Digest};
use fonds_image::metadata::label::{DerivedFrom, HistoryEvent, Label as Xmp};

use crate::plan::{Node, PlannedStep};
use crate::run::chain::{Trace, Verdict};
use crate::run::output::{Derivative, PageContext};
use crate::step::Act;

/// The scheme of IPTC's digital source types.
const SOURCE_TYPES: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/";

/// A derivative's label.
#[derive(Debug)]
pub(super) struct Label {
    xmp: Xmp,
    notice: String,
}

impl Label {
    pub(super) fn new(
        page: &PageContext<'_>,
        node: Node,
        acts: &[Act],
        traces: &[Trace],
        derivative: &Derivative,
    ) -> Self {
        let notice = notice(page, acts);
        let source = source_term(page);
        let kinds: Vec<ActKind> = acts.iter().map(|act| act_kind(*act)).collect();
        let digest = page.source.fingerprint.digest;
        let mut xmp = Xmp::from_original(page.metadata);
        let record = page.record;
        xmp.title = Some(format!("{}{}", record.title, suffix(acts)));
        // The catalog's values are the original's own where people wrote none, so they come last.
        set(&mut xmp.creator, &record.creator);
        set(&mut xmp.description, &record.description);
        set(&mut xmp.rights, &record.rights);
        set(&mut xmp.rights_uri, &record.rightsstatement);
        set(&mut xmp.identifier, &record.identifier);
        set(&mut xmp.language, &record.language);
        set(&mut xmp.alt_text, &record.image_alt_text);
        if !record.subject.is_empty() {
            xmp.subjects.clone_from(&record.subject);
        }
        xmp.source = Some(record.filename.clone());
        xmp.derived_from = Some(DerivedFrom {
            path: record.filename.clone(),
            sha256: digest,
        });
        let identity = format!(
            "{digest} {} {} {}",
            page.context.plan_digest, page.id, derivative.output
        );
        xmp.document = Some(Digest::of(identity.as_bytes()));
        xmp.digital_source_type = digital_source_type(&kinds, source.as_deref()).map(str::to_owned);
        set(&mut xmp.ai_system_used, &derivative.ai_system);
        set(
            &mut xmp.ai_system_version_used,
            &derivative.ai_system_version,
        );
        xmp.creator_tool = Some(tool());
        xmp.history = history(page, node, traces);
        xmp.notice = Some(notice.clone());
        Self { xmp, notice }
    }

    /// The label of a mask of damage: no picture of what the original shows.
    pub(super) fn of_mask(
        page: &PageContext<'_>,
        node: Node,
        traces: &[Trace],
        derivative: &Derivative,
    ) -> Self {
        let mut label = Self::new(page, node, &[], traces, derivative);
        label.notice = label.notice.replacen("Copy;", "Mask of damage found;", 1);
        label.xmp.notice = Some(label.notice.clone());
        label.xmp.title = Some(format!("{} (mask of damage)", page.record.title));
        label.xmp.digital_source_type = None;
        label
    }

    pub(super) fn packet(&self) -> String {
        self.xmp.to_packet()
    }

    pub(super) fn notice(&self) -> &str {
        &self.notice
    }

    pub(super) fn source_type(&self) -> Option<&str> {
        self.xmp.digital_source_type.as_deref()
    }
}

/// The IPTC term of the original: the pipeline file's, else the one that the file carries.
pub(super) fn source_term(page: &PageContext<'_>) -> Option<String> {
    let configured = page.context.plan.catalog.source_type.as_ref();
    configured
        .map(|term| format!("{SOURCE_TYPES}{term}"))
        .or_else(|| page.metadata.digital_source_type.clone())
}

fn set(field: &mut Option<String>, value: &str) {
    if !value.is_empty() {
        *field = Some(value.to_owned());
    }
}

fn tool() -> String {
    format!("fonds {}", env!("CARGO_PKG_VERSION"))
}

fn act_kind(act: Act) -> ActKind {
    match act {
        Act::Geometry => ActKind::Geometry,
        Act::Enhancement => ActKind::Enhancement,
        Act::Generative => ActKind::Generative,
    }
}

fn suffix(acts: &[Act]) -> &'static str {
    match acts.iter().max() {
        Some(Act::Generative) => " (AI restored)",
        Some(Act::Enhancement) => " (restored)",
        _ => "",
    }
}

fn notice(page: &PageContext<'_>, acts: &[Act]) -> String {
    let kind = match acts.iter().max() {
        Some(Act::Generative) => "AI-restored derivative",
        Some(Act::Enhancement) => "Digitally restored derivative",
        Some(Act::Geometry) => "Resized or cropped copy",
        None => "Copy",
    };
    let path = &page.record.filename;
    match page.number {
        Some(number) => format!("{kind}; the unaltered original is page {number} of {path}"),
        None => format!("{kind}; the unaltered original is {path}"),
    }
}

fn history(page: &PageContext<'_>, node: Node, traces: &[Trace]) -> Vec<HistoryEvent> {
    let plan = &page.context.plan;
    let acted = plan
        .chain(node)
        .into_iter()
        .filter_map(|index| match &traces[index].verdict {
            Verdict::Acted(change) => Some(step_event(&plan.steps[index], change)),
            _ => None,
        });
    acted.collect()
}

fn step_event(planned: &PlannedStep, change: &Change) -> HistoryEvent {
    let agent = planned
        .step
        .model()
        .map(|model| format!("{} {}", model.name, model.version));
    HistoryEvent {
        action: match planned.step.act() {
            Act::Geometry => "resized",
            Act::Enhancement | Act::Generative => "filtered",
        }
        .to_owned(),
        parameters: Some(format!("{}: {}", planned.operation, change.summary)),
        changed: Some("/content".to_owned()),
        software_agent: Some(agent.unwrap_or_else(tool)),
    }
}
