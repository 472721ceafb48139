//! The resolved pipeline: every name looked up, every default filled in, nothing left to check.

use std::sync::Arc;
use std::time::Duration;

use fonds_core::{Digest, Limits};
use fonds_image::encode::Encoding;
use fonds_image::measure::{self, Measure};
use serde_json::{Value, json};

use crate::filename::FilenamePattern;
use crate::spec::{OnError, OnExisting, Profile, Unchanged, Use, VerifySources};
use crate::step::Step;

/// Raised when fonds itself would make other content from the same steps (decoders, encoders,
/// labels, sidecars): earlier results are then made anew.
const CONTENT_VERSION: u32 = 1;

/// Where a step or an output takes its picture from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// The decoded picture.
    Source,
    /// The result of the step with this index.
    Step(usize),
}

/// A measured condition for a step; outside of it the picture passes untouched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// What is measured.
    pub measure: Measure,
    /// The step acts only above this value.
    pub above: Option<f64>,
    /// The step acts only below this value.
    pub below: Option<f64>,
}

impl Gate {
    /// Whether a measured value lets the step act.
    pub fn admits(&self, value: f64) -> bool {
        self.above.is_none_or(|bound| value > bound) && self.below.is_none_or(|bound| value < bound)
    }
}

/// How far a step may change a picture before it is undone. Figures are those of
/// [`fonds_image::measure::compared`], at the size that the picture had.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// The largest share of pixels that it may change, 0 to 1.
    pub max_change: Option<f64>,
    /// The smallest signal-to-noise ratio between the picture before and after, in dB.
    pub min_psnr: Option<f64>,
    /// The smallest structural similarity of the picture before and after, 0 to 1.
    pub min_ssim: Option<f64>,
}

impl Bounds {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.max_change.is_some() || self.min_psnr.is_some() || self.min_ssim.is_some()
    }
}

/// A step in its place.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// Its id, unique in the pipeline.
    pub id: String,
    /// The name of its operation.
    pub operation: String,
    /// Where its picture comes from.
    pub from: Node,
    /// All must admit the picture.
    pub gates: Vec<Gate>,
    /// How far it may go; beyond that it is undone.
    pub bounds: Bounds,
    /// The operation.
    pub step: Arc<dyn Step>,
}

/// A derivative to write for each picture.
#[derive(Debug, Clone)]
pub struct PlannedOutput {
    /// Its id, unique among outputs.
    pub id: String,
    /// Where its picture comes from.
    pub from: Node,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The profile that it is written in.
    pub profile: Profile,
    /// 8 or 16 bits a sample; the picture's own depth when not given.
    pub bit_depth: Option<u8>,
    /// The rule for its name.
    pub name: NameRule,
    /// What it is for.
    pub purpose: Use,
    /// Whether the mask of damage is written that the step found, and not its picture.
    pub mask: bool,
}

/// Thumbnails under `objects/`, named as `CollectionBuilder` expects them.
#[derive(Debug, Clone)]
pub struct Thumbnails {
    /// The box of the small picture, in pixels.
    pub small: u32,
    /// The box of the thumbnail, in pixels.
    pub thumb: u32,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// Which picture they show.
    pub from: Node,
}

/// How derivatives are named: a template with `{folder}`, `{stem}`, `{ext}`, `{page}`, `{id}` and
/// `{objectid}`; the format's extension is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRule(pub(crate) String);

impl NameRule {
    /// `{folder}/{stem}.{ext}{page}.{id}`: two files of one stem, and two outputs of one file,
    /// never meet.
    pub const DEFAULT: &str = "{folder}/{stem}.{ext}{page}.{id}";
    /// What a template may name.
    pub const FIELDS: [&str; 6] = ["folder", "stem", "ext", "page", "id", "objectid"];
}

/// What happens when something is in the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The seed of the run.
    pub seed: u64,
    /// A foreign file in a derivative's place.
    pub on_existing: OnExisting,
    /// A file that fails.
    pub on_error: OnError,
    /// The share of failed files that stops the run, counted after 100 files.
    pub max_failure_rate: Option<f64>,
    /// A picture on which no step acted.
    pub unchanged: Unchanged,
    /// How sources are checked after their reading.
    pub verify_sources: VerifySources,
    /// The byte budget of all pictures in flight; a share of the machine's memory when not given.
    pub memory_bytes: Option<u64>,
    /// The longest that one file may take.
    pub timeout: Option<Duration>,
}

/// What the catalog says of every item, and what it measures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogDefaults {
    /// The human metadata file, relative to the archive's root.
    pub metadata: String,
    /// Patterns by which names of files fill columns; the first that matches holds.
    pub filename_patterns: Vec<FilenamePattern>,
    /// Whether blur, noise, clipping and the perceptual hash are measured.
    pub measures: bool,
    /// The holding institution or collection.
    pub source: String,
    /// ISO 639 language code.
    pub language: String,
    /// A rights statement in words.
    pub rights: String,
    /// A rights statement URI.
    pub rightsstatement: String,
    /// What the originals are, as an IPTC Digital Source Type term: `print`, `negativeFilm`, ….
    pub source_type: Option<String>,
}

/// A pipeline that can run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Globs of files to take; all pictures when empty.
    pub include: Vec<String>,
    /// Globs of files to leave.
    pub exclude: Vec<String>,
    /// Whether links to folders are followed.
    pub follow_links: bool,
    /// Bounds on what is decoded.
    pub limits: Limits,
    /// What happens when something is in the way.
    pub policy: Policy,
    /// What the catalog says of every item.
    pub catalog: CatalogDefaults,
    /// Thumbnails, if any.
    pub thumbnails: Option<Thumbnails>,
    /// The steps; each comes after the one that it takes its picture from.
    pub steps: Vec<PlannedStep>,
    /// The derivatives.
    pub outputs: Vec<PlannedOutput>,
}

impl Plan {
    /// The digest of all that decides the content of the results: not of comments, threads,
    /// memory, or which files are selected.
    pub fn digest(&self) -> Digest {
        let steps: Vec<Value> = self.steps.iter().map(|step| self.step_json(step)).collect();
        let outputs: Vec<Value> = self
            .outputs
            .iter()
            .map(|out| self.output_json(out))
            .collect();
        let thumbnails = self.thumbnails.as_ref().map(|thumbnails| {
            json!({
                "small": thumbnails.small, "thumb": thumbnails.thumb,
                "quality": thumbnails.quality, "from": self.node_name(thumbnails.from),
            })
        });
        let mut catalog = json!([
            self.catalog.source,
            self.catalog.language,
            self.catalog.rights,
            self.catalog.rightsstatement,
            self.catalog.source_type,
            self.catalog.measures,
        ]);
        // Only where there are some, so that plans without them keep their digests.
        let patterns = self.catalog.filename_patterns.iter();
        if let Some(list) = catalog.as_array_mut() {
            list.extend(patterns.map(|pattern| json!(pattern.as_str())));
        }
        let content = json!({
            "content_version": CONTENT_VERSION,
            "name": self.name,
            "seed": self.policy.seed,
            "unchanged": self.policy.unchanged,
            "verify_sources": self.policy.verify_sources,
            "limits": [
                self.limits.max_pixels, self.limits.max_decode_bytes,
                self.limits.max_file_bytes, u64::from(self.limits.max_pages),
            ],
            "catalog": catalog,
            "thumbnails": thumbnails,
            "steps": steps,
            "outputs": outputs,
        });
        Digest::of(content.to_string().as_bytes())
    }

    /// `name @ digest`, as the catalog's `pipeline` column says it.
    pub fn label(&self) -> String {
        format!("{} @ {}", self.name, self.digest().prefix(12))
    }

    /// The id of a node: a step's id, or `source`.
    pub fn node_name(&self, node: Node) -> &str {
        match node {
            Node::Source => "source",
            Node::Step(index) => &self.steps[index].id,
        }
    }

    /// The steps from the source to this node, in the order in which they run.
    pub fn chain(&self, node: Node) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut at = node;
        while let Node::Step(index) = at {
            chain.push(index);
            at = self.steps[index].from;
        }
        chain.reverse();
        chain
    }

    /// Bytes that one page takes on its way, raster and scratch memory together; an upper bound.
    pub fn memory_per_page(&self, pixels: u64, bytes_per_pixel: u64) -> u64 {
        let mut sizes = vec![0.0; self.steps.len()];
        let size_of = |sizes: &[f64], node| match node {
            Node::Source => pixels as f64,
            Node::Step(index) => sizes[index],
        };
        let mut peak_scratch: f64 = 0.0;
        let mut kept = pixels as f64;
        for (index, planned) in self.steps.iter().enumerate() {
            let input = size_of(&sizes, planned.from);
            let cost = planned.step.cost();
            sizes[index] = input * cost.growth;
            let copy = if self.readers(planned.from) > 1 || planned.bounds.any() {
                input * bytes_per_pixel as f64
            } else {
                0.0
            };
            let output = sizes[index] * bytes_per_pixel as f64;
            // What is compared before and after.
            let sample = input.min(measure::compared::SAMPLE as f64) * 12.0;
            let scratch = input * cost.scratch_per_pixel + sample;
            peak_scratch = peak_scratch.max(scratch + output + copy);
            kept = kept.max(sizes[index]);
        }
        // An encoded derivative is at most about as large as the picture that it holds.
        let encode = if self.outputs.is_empty() {
            0.0
        } else {
            kept * bytes_per_pixel as f64
        };
        (kept * bytes_per_pixel as f64 + peak_scratch.max(encode)) as u64
    }

    /// Bytes that the steps take once for all pictures.
    pub fn memory_shared(&self) -> u64 {
        let shared = self.steps.iter().map(|planned| planned.step.cost().shared);
        shared.fold(0, u64::saturating_add)
    }

    /// How many steps, outputs and thumbnails take their picture from this node.
    pub fn readers(&self, node: Node) -> usize {
        self.steps.iter().filter(|step| step.from == node).count()
            + self
                .outputs
                .iter()
                .filter(|output| output.from == node)
                .count()
            + usize::from(
                self.thumbnails
                    .as_ref()
                    .is_some_and(|thumbs| thumbs.from == node),
            )
    }

    fn step_json(&self, planned: &PlannedStep) -> Value {
        let gates: Vec<Value> = planned
            .gates
            .iter()
            .map(|gate| json!([gate.measure.as_str(), gate.above, gate.below]))
            .collect();
        let mut text = json!({
            "id": planned.id,
            "operation": planned.operation,
            "version": planned.step.version(),
            "parameters": planned.step.parameters(),
            "model": planned.step.model().map(|model| model.sha256),
            "from": self.node_name(planned.from),
            "when": gates,
            "max_change": planned.bounds.max_change,
        });
        // Only where there are some, so that plans without them keep their digests.
        for (key, bound) in [
            ("min_psnr", planned.bounds.min_psnr),
            ("min_ssim", planned.bounds.min_ssim),
        ] {
            if let Some(bound) = bound {
                text[key] = json!(bound);
            }
        }
        text
    }

    fn output_json(&self, output: &PlannedOutput) -> Value {
        let mut text = json!({
            "id": output.id,
            "from": self.node_name(output.from),
            "encoding": format!("{:?}", output.encoding),
            "profile": output.profile,
            "bit_depth": output.bit_depth,
            "name": output.name.0,
            "use": output.purpose,
        });
        // Only where it is so, so that plans without masks keep their digests.
        if output.mask {
            text["mask"] = json!(true);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, compile};

    #[test]
    fn gates_are_open_between_their_bounds_only() {
        let gate = |above, below| Gate {
            measure: Measure::Blur,
            above,
            below,
        };
        for (gate, value, admits) in [
            (gate(None, None), 1.0, true),
            (gate(Some(1.0), None), 1.0, false),
            (gate(Some(1.0), None), 1.1, true),
            (gate(None, Some(1.0)), 1.0, false),
            (gate(Some(1.0), Some(2.0)), 1.5, true),
            (gate(Some(1.0), Some(2.0)), 2.5, false),
            (gate(Some(1.0), None), f64::NAN, false),
        ] {
            assert_eq!(gate.admits(value), admits, "{gate:?} {value}");
        }
    }

    #[test]
    fn memory_grows_with_what_is_kept() {
        let plan = |text: &str| compile(text, &Registry::builtin()).unwrap();
        let nothing = plan("name = \"x\"");
        assert_eq!(nothing.memory_per_page(1_000_000, 3), 3_000_000);
        let copy = plan("name = \"x\"\n[[output]]\nformat = \"png\"");
        assert_eq!(copy.memory_per_page(1_000_000, 3), 6_000_000);
        let step = "name = \"x\"\n[[step]]\nrun.tone = {}\n[[output]]\nformat = \"png\"\n";
        let one = plan(step).memory_per_page(1_000_000, 3);
        assert!(one > 6_000_000, "{one}");
        let bounded = step.replace("[[output]]", "max_change = 0.5\n[[output]]");
        assert!(plan(&bounded).memory_per_page(1_000_000, 3) >= one + 3_000_000);
        // Numbers from a hostile header must not overflow.
        assert!(plan(step).memory_per_page(u64::MAX, 8) > one);
    }
}
