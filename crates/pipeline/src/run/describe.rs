//! Catalog rows filled from what is known: identity, facts, metadata, measures, derivatives.

use fonds_catalog::{Hash64, Record, WellFormed};
use fonds_core::{Code, Flag, Flags, RelPath};
use fonds_image::decode::Page;
use fonds_image::facts::{Metadata, PageFacts};
use fonds_image::measure::Survey;
use fonds_image::sniff::{Identity, extension_matches};

use crate::filename::FilenamePattern;
use crate::plan::CatalogDefaults;
use crate::run::chain::{Trace, Verdict};
use crate::run::output::Derivative;

/// Below this many pixels per inch a reproduction is too coarse to work with (OCR-D's minimum).
const LOW_PPI: f64 = 150.0;

/// Format, PRONOM id and version.
pub(super) fn identity(record: &mut Record, identity: &Identity) {
    identity.mime.clone_into(&mut record.format);
    identity.puid.clone_into(&mut record.puid);
    record.format_version.clone_from(&identity.version);
}

/// What the pipeline file says of every item.
pub(super) fn defaults(record: &mut Record, defaults: &CatalogDefaults) {
    record.types = vec!["Image".to_owned(), "StillImage".to_owned()];
    record.source.clone_from(&defaults.source);
    record.language.clone_from(&defaults.language);
    record.rights.clone_from(&defaults.rights);
    record.rightsstatement.clone_from(&defaults.rightsstatement);
    "image".clone_into(&mut record.display_template);
}

/// What the name of the file says; it wins over what was written into the file.
pub(super) fn filename(record: &mut Record, patterns: &[FilenamePattern], path: &RelPath) {
    let mut patterns = patterns.iter();
    patterns.find(|pattern| pattern.fill(path, record));
}

/// Where a web site that copies the archive to `/objects` finds the original.
pub(super) fn location(record: &mut Record) {
    record.object_location = format!("/objects/{}", record.filename);
}

/// What was written into the file; what the pipeline file says stands where the file says nothing.
pub(super) fn metadata(
    record: &mut Record,
    metadata: &Metadata,
    patterns: &[FilenamePattern],
    path: &RelPath,
    flags: &mut Flags,
) {
    let set = |cell: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            cell.clone_from(value);
        }
    };
    set(&mut record.title, &metadata.title);
    set(&mut record.creator, &metadata.creator);
    set(&mut record.description, &metadata.description);
    set(&mut record.location, &metadata.location);
    set(&mut record.source, &metadata.source);
    set(&mut record.identifier, &metadata.identifier);
    set(&mut record.language, &metadata.language);
    set(&mut record.rights, &metadata.rights);
    set(&mut record.image_alt_text, &metadata.alt_text);
    set(&mut record.scanner, &metadata.scanner);
    set(&mut record.date_digitized, &metadata.date_digitized);
    if let Some(uri) = metadata
        .rights_uri
        .as_ref()
        .filter(|uri| fonds_catalog::is_rights_statement(uri))
    {
        record.rightsstatement.clone_from(uri);
    }
    record.subject.clone_from(&metadata.subjects);
    record.latitude = metadata.latitude;
    record.longitude = metadata.longitude;
    filename(record, patterns, path);
    if record.title.is_empty() {
        path.stem().clone_into(&mut record.title);
        flags.insert(Flag::TitleFromFilename);
    }
}

/// Remarks that the name earns.
pub(super) fn name(path: &RelPath, identity: &Identity, flags: &mut Flags) {
    if !path.is_exact() {
        flags.insert(Flag::NameNotUtf8);
    }
    if !extension_matches(identity, path.extension()) {
        flags.insert(Flag::ExtensionMismatch);
    }
}

/// The row of a page before anything is known of it.
pub(super) fn page_row(parent: &Record, number: u32) -> Record {
    let mut row = parent.page_row(number);
    row.title = format!("{} (page {number})", parent.title);
    row.creator.clone_from(&parent.creator);
    row.date.clone_from(&parent.date);
    row.source.clone_from(&parent.source);
    row.language.clone_from(&parent.language);
    row.rights.clone_from(&parent.rights);
    row.rightsstatement.clone_from(&parent.rightsstatement);
    row.types.clone_from(&parent.types);
    row.format.clone_from(&parent.format);
    row.puid.clone_from(&parent.puid);
    row.format_version.clone_from(&parent.format_version);
    "image".clone_into(&mut row.display_template);
    row.pipeline.clone_from(&parent.pipeline);
    row.run_id.clone_from(&parent.run_id);
    row.processed_at.clone_from(&parent.processed_at);
    row
}

/// What the header of a page says.
pub(super) fn facts(row: &mut Record, facts: &PageFacts) {
    row.image_width = Some(facts.width);
    row.image_height = Some(facts.height);
    row.bits_per_sample = Some(facts.bits_per_sample);
    row.samples_per_pixel = Some(facts.samples_per_pixel);
    facts.color_space.clone_into(&mut row.color_space);
    row.compression_scheme.clone_from(&facts.compression_scheme);
    row.icc_profile = facts.icc_profile.clone().unwrap_or_default();
    row.ppi_x = facts.ppi.map(|ppi| ppi.x);
    row.ppi_y = facts.ppi.map(|ppi| ppi.y);
    facts.ppi_source.as_str().clone_into(&mut row.ppi_source);
    row.orientation = Some(facts.orientation);
}

/// How the page looks, measured where the plan wants it, and the remarks that follow.
pub(super) fn measures(row: &mut Record, page: &Page, measured: bool) -> Flags {
    let mut flags = Flags::new();
    let remarks = page.flags.iter().any(|flag| flag.is_warning());
    row.well_formed = Some(if remarks {
        WellFormed::WellFormed
    } else {
        WellFormed::Valid
    });
    if page.facts.ppi.is_some_and(|ppi| ppi.x.min(ppi.y) < LOW_PPI) {
        flags.insert(Flag::LowPpi);
    }
    if measured {
        let survey = Survey::new(&page.raster);
        let measures = survey.measures();
        row.blur_score = Some(measures.blur);
        row.noise_score = Some(measures.noise);
        row.clipped_percent = Some(measures.clipped_percent);
        row.perceptual_hash = Some(Hash64(survey.perceptual_hash()));
        flags.extend(measures.flags());
    }
    flags
}

/// A file that could not be decoded; a file of a kind that is not decoded is not blamed.
pub(super) fn not_well_formed(row: &mut Record, code: Code) {
    if matches!(code, Code::Truncated | Code::Corrupt | Code::EmptyFile) {
        row.well_formed = Some(WellFormed::NotWellFormed);
    }
}

/// Remarks that the steps earned.
pub(super) fn verdicts(traces: &[Trace], flags: &mut Flags) {
    for trace in traces {
        if let Verdict::Refused { .. } = trace.verdict {
            flags.insert(Flag::MaxChangeRefused);
        }
    }
}

/// How much of the page the steps took for damaged: the most that one of them did.
pub(super) fn damage(row: &mut Record, traces: &[Trace]) {
    let shares = traces.iter().filter_map(|trace| match &trace.verdict {
        Verdict::Acted(change) | Verdict::Refused { change, .. } => {
            let found = change.mask.is_some().then_some(change.changed_share);
            found.flatten()
        }
        Verdict::Nothing | Verdict::Gated { .. } => None,
    });
    row.damaged_percent = shares.map(|share| share * 100.0).reduce(f64::max);
}

/// Where the page's derivatives are; the first output's has the columns of the catalog.
pub(super) fn derivative(row: &mut Record, derivative: &Derivative) {
    let Some(written) = &derivative.written else {
        return;
    };
    let made = &written.row;
    let location = format!("/{}", made.path);
    match derivative.output.as_str() {
        super::output::SMALL => row.image_small = location,
        super::output::THUMB => row.image_thumb = location,
        _ if row.derivative_path.is_empty() => {
            row.derivative_path.clone_from(&made.path);
            row.derivative_sha256 = made.sha256;
            row.derivative_use.clone_from(&made.usage);
            row.digital_source_type
                .clone_from(&made.digital_source_type);
            row.ai_system.clone_from(&derivative.ai_system);
            row.ai_system_version
                .clone_from(&derivative.ai_system_version);
        }
        _ => {}
    }
}

/// The row of a file with several pages, when its pages are done.
pub(super) fn parent(record: &mut Record, pages: &[Record]) {
    "multiple".clone_into(&mut record.display_template);
    let Some(first) = pages.first() else { return };
    record.image_width = first.image_width;
    record.image_height = first.image_height;
    record.bits_per_sample = first.bits_per_sample;
    record.samples_per_pixel = first.samples_per_pixel;
    record.color_space.clone_from(&first.color_space);
    record
        .compression_scheme
        .clone_from(&first.compression_scheme);
    record.icc_profile.clone_from(&first.icc_profile);
    record.ppi_x = first.ppi_x;
    record.ppi_y = first.ppi_y;
    record.ppi_source.clone_from(&first.ppi_source);
    record.orientation = first.orientation;
    record.image_small.clone_from(&first.image_small);
    record.image_thumb.clone_from(&first.image_thumb);
    let worst = |row: &Record| match row.well_formed {
        Some(WellFormed::NotWellFormed) => 2,
        Some(WellFormed::WellFormed) => 1,
        _ => 0,
    };
    record.well_formed = pages
        .iter()
        .max_by_key(|row| worst(row))
        .and_then(|row| row.well_formed);
    for page in pages {
        record.quality_flags.extend(
            page.quality_flags
                .iter()
                .filter(|flag| flag.is_warning())
                .copied(),
        );
    }
}
