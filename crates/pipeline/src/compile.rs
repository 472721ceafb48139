//! From the file as written to a plan that can run, or to all that is wrong with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fonds_core::{Code, Depth, Error, Limits, PixelFormat};
use fonds_core::{ColorModel, Result};
use fonds_image::measure::Measure;
use fonds_ingest::Globs;
use toml::Spanned;
use toml::de::DeValue;

use crate::encoding;
use crate::filename::FilenamePattern;
use crate::plan::{
    Bounds, CatalogDefaults, Gate, NameRule, Node, Plan, PlannedOutput, PlannedStep, Policy,
    Thumbnails,
};
use crate::reader::{Args, At, Sink, near_miss};
use crate::registry::{Registry, StepKind};
use crate::run::{SMALL, THUMB};
use crate::spec::{CatalogSpec, GateSpec, LimitsSpec, OutputSpec, RunSpec, Spec, StepSpec};
use crate::spec::{Format, ThumbnailsSpec};

/// The longest that a file may take when the pipeline does not say: ten minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// The terms of the IPTC vocabulary that describe how an original was digitised.
const SOURCE_TYPES: [&str; 4] = ["print", "negativeFilm", "positiveFilm", "digitalCapture"];

/// Checks a pipeline file and resolves it.
///
/// # Errors
/// Every mistake in the file, in the order of their places, each with line, column and hints.
pub fn compile(text: &str, registry: &Registry) -> Result<Plan, Vec<Error>> {
    let sink = Sink::new(text);
    let spec = Spec::read(&sink, text);
    let plan = Compiler {
        sink: &sink,
        registry,
        ids: HashMap::new(),
        broken: HashSet::new(),
        step_places: Vec::new(),
    }
    .plan(spec);
    if sink.is_empty() {
        Ok(plan)
    } else {
        Err(sink.into_errors())
    }
}

/// Resolves names and checks values, reporting what is wrong and going on.
struct Compiler<'i, 's> {
    sink: &'s Sink<'i>,
    registry: &'s Registry,
    ids: HashMap<String, Option<usize>>,
    /// Ids of steps that are above and could not be built: reported there, not where they are used.
    broken: HashSet<String>,
    /// Where the steps that could be built stand in the file.
    step_places: Vec<usize>,
}

impl<'i> Compiler<'i, '_> {
    fn plan(&mut self, spec: Spec<'i>) -> Plan {
        self.check_selection(&spec);
        let policy = self.policy(&spec.run, &spec.limits);
        let steps = self.steps(spec.steps);
        let step_places = std::mem::take(&mut self.step_places);
        let last = steps.len().checked_sub(1).map_or(Node::Source, Node::Step);
        let outputs = self.outputs(&spec.outputs, last);
        let plan = Plan {
            name: spec.name.map(|at| self.name(at)).unwrap_or_default(),
            description: spec.description,
            include: spec
                .input
                .include
                .into_iter()
                .map(|glob| glob.value)
                .collect(),
            exclude: spec
                .input
                .exclude
                .into_iter()
                .map(|glob| glob.value)
                .collect(),
            follow_links: spec.input.follow_links,
            limits: self.limits(&spec.limits),
            policy,
            catalog: self.catalog(spec.catalog),
            thumbnails: spec.thumbnails.map(|spec| self.thumbnails(&spec)),
            steps,
            outputs,
        };
        self.check_formats(&plan, &spec.outputs, &step_places);
        self.check_use(&plan, &step_places);
        plan
    }

    fn bad(&self, offset: usize, message: impl Into<String>) {
        self.sink
            .report(offset, Error::new(Code::InvalidRequest, message));
    }

    fn bad_with(&self, offset: usize, message: impl Into<String>, hint: impl Into<String>) {
        self.sink
            .report(offset, Error::new(Code::InvalidRequest, message).hint(hint));
    }

    fn name(&self, at: At<String>) -> String {
        self.check_id("the name of a pipeline", &at);
        at.value
    }

    fn check_id(&self, what: &str, at: &At<String>) {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if at.value.is_empty() || !at.value.chars().all(valid) {
            let message = format!("`{}` cannot be {what}", at.value);
            self.bad_with(
                at.offset,
                message,
                "use lower-case letters, digits, `_` and `-`",
            );
        }
    }

    fn check_selection(&self, spec: &Spec<'_>) {
        for glob in spec.input.include.iter().chain(&spec.input.exclude) {
            if let Err(error) = Globs::new(&[&glob.value]) {
                self.sink.report(glob.offset, error);
            }
        }
    }

    fn in_range<T: PartialOrd + std::fmt::Display + Copy>(
        &self,
        key: &str,
        at: &At<T>,
        range: std::ops::RangeInclusive<T>,
    ) {
        if !range.contains(&at.value) {
            let (low, high) = (range.start(), range.end());
            let message = format!("`{key}` is {}, allowed is {low} to {high}", at.value);
            self.bad(at.offset, message);
        }
    }

    fn limits(&self, spec: &LimitsSpec) -> Limits {
        let mut limits = Limits::DEFAULT;
        if let Some(at) = &spec.max_megapixels {
            self.in_range("max_megapixels", at, 1..=4_000_000);
            limits.max_pixels = at.value.saturating_mul(1_000_000);
        }
        if let Some(at) = &spec.max_decode_mib {
            self.in_range("max_decode_mib", at, 1..=16 << 20);
            limits.max_decode_bytes = at.value.saturating_mul(1 << 20);
        }
        if let Some(at) = &spec.max_file_mib {
            self.in_range("max_file_mib", at, 1..=16 << 20);
            limits.max_file_bytes = at.value.saturating_mul(1 << 20);
        }
        if let Some(at) = &spec.max_pages {
            self.in_range("max_pages", at, 1..=1_000_000);
            limits.max_pages = at.value;
        }
        limits
    }

    fn policy(&self, run: &RunSpec, limits: &LimitsSpec) -> Policy {
        if let Some(rate) = &run.max_failure_rate {
            self.in_range("max_failure_rate", rate, 0.0..=1.0);
        }
        if let Some(memory) = &run.memory_mib {
            self.in_range("memory_mib", memory, 64..=16 << 20);
        }
        let timeout = match &limits.timeout_per_file {
            None => Some(DEFAULT_TIMEOUT),
            Some(at) => {
                self.in_range("timeout_per_file", at, 0.0..=1e6);
                (at.value > 0.0).then(|| Duration::from_secs_f64(at.value.min(1e6)))
            }
        };
        Policy {
            seed: run.seed,
            on_existing: run.on_existing,
            on_error: run.on_error,
            max_failure_rate: run.max_failure_rate.as_ref().map(|at| at.value),
            unchanged: run.unchanged,
            verify_sources: run.verify_sources,
            memory_bytes: run
                .memory_mib
                .as_ref()
                .map(|at| at.value.saturating_mul(1 << 20)),
            timeout,
        }
    }

    fn catalog(&self, spec: CatalogSpec) -> CatalogDefaults {
        if let Some(at) = &spec.rightsstatement
            && !fonds_catalog::is_rights_statement(&at.value)
        {
            let message = format!("`{}` is not a rights statement", at.value);
            let hint = "use a URI of rightsstatements.org or creativecommons.org";
            self.bad_with(at.offset, message, hint);
        }
        if let Some(at) = &spec.source_type
            && !SOURCE_TYPES.contains(&at.value.as_str())
        {
            let message = format!("unknown `source_type` `{}`", at.value);
            self.bad_with(
                at.offset,
                message,
                near_miss(&at.value, SOURCE_TYPES.into_iter()),
            );
        }
        let mut filename_patterns = Vec::new();
        for at in &spec.filename_patterns {
            match FilenamePattern::new(&at.value) {
                Ok(pattern) => filename_patterns.push(pattern),
                Err(error) => self.sink.report(at.offset, error),
            }
        }
        CatalogDefaults {
            filename_patterns,
            metadata: spec.metadata.unwrap_or_else(|| "metadata.csv".to_owned()),
            measures: spec.measures.unwrap_or(true),
            source: spec.source.unwrap_or_default(),
            language: spec.language.unwrap_or_default(),
            rights: spec.rights.unwrap_or_default(),
            rightsstatement: spec.rightsstatement.map(|at| at.value).unwrap_or_default(),
            source_type: spec.source_type.map(|at| at.value),
        }
    }

    fn thumbnails(&self, spec: &ThumbnailsSpec) -> Thumbnails {
        self.in_range("small", &spec.small, 16..=4096);
        self.in_range("thumb", &spec.thumb, 16..=4096);
        self.in_range("quality", &spec.quality, 1..=100);
        Thumbnails {
            small: spec.small.value,
            thumb: spec.thumb.value,
            quality: spec.quality.value,
            from: self.node(spec.from.as_ref(), Node::Source),
        }
    }

    fn steps(&mut self, specs: Vec<StepSpec<'i>>) -> Vec<PlannedStep> {
        // Ids are known before any `from` is resolved, so that "defined below" can be told from
        // "not defined"; an id stands for `None` until its step has been read.
        for spec in &specs {
            if let Some(id) = &spec.id {
                self.check_id("the id of a step", id);
                self.ids.entry(id.value.clone()).or_insert(None);
            }
        }
        let mut steps: Vec<PlannedStep> = Vec::new();
        for (number, spec) in specs.into_iter().enumerate() {
            let offset = spec.offset;
            let id = spec.id.as_ref().map(|id| id.value.clone());
            if let Some(step) = self.step(spec, number, &steps) {
                self.ids.insert(step.id.clone(), Some(steps.len()));
                self.step_places.push(offset);
                steps.push(step);
            } else {
                self.broken.extend(id);
            }
        }
        steps
    }

    fn step(
        &mut self,
        spec: StepSpec<'i>,
        number: usize,
        before: &[PlannedStep],
    ) -> Option<PlannedStep> {
        let last = before.len().checked_sub(1).map_or(Node::Source, Node::Step);
        let from = self.node(spec.from.as_ref(), last);
        let gates = spec
            .when
            .iter()
            .filter_map(|gate| self.gate(gate))
            .collect();
        if let Some(at) = &spec.max_change {
            self.in_range("max_change", at, 0.0..=1.0);
        }
        if let Some(at) = &spec.min_psnr {
            self.in_range("min_psnr", at, 0.0..=100.0);
        }
        if let Some(at) = &spec.min_ssim {
            self.in_range("min_ssim", at, 0.0..=1.0);
        }
        let Some((operation, arguments)) = spec.run else {
            let hint = "add a line such as: run.tone = { }";
            self.bad_with(spec.offset, "a step without `run` does nothing", hint);
            return None;
        };
        let id = self.step_id(spec.id, &operation, number);
        let step = self.build(&operation, arguments)?;
        Some(PlannedStep {
            id,
            operation: operation.value,
            from,
            gates,
            bounds: Bounds {
                max_change: spec.max_change.map(|at| at.value),
                min_psnr: spec.min_psnr.map(|at| at.value),
                min_ssim: spec.min_ssim.map(|at| at.value),
            },
            step: Arc::from(step),
        })
    }

    fn step_id(&mut self, id: Option<At<String>>, operation: &At<String>, number: usize) -> String {
        let Some(id) = id else {
            let plain = operation.value.clone();
            let taken = self.ids.contains_key(&plain) || plain == "source";
            return if taken {
                format!("{plain}-{}", number + 1)
            } else {
                plain
            };
        };
        if id.value == "source" {
            self.bad(
                id.offset,
                "`source` names the picture as decoded, not a step",
            );
        } else if matches!(self.ids.get(&id.value), Some(Some(_))) {
            self.bad(
                id.offset,
                format!("the id `{}` is taken by a step above", id.value),
            );
        }
        id.value
    }

    fn build(
        &self,
        operation: &At<String>,
        arguments: Spanned<DeValue<'i>>,
    ) -> Option<Box<dyn crate::step::Step>> {
        let Some(kind) = self.registry.get(&operation.value) else {
            let message = format!("unknown operation `{}`", operation.value);
            let hint = near_miss(&operation.value, self.registry.iter().map(StepKind::name));
            self.bad_with(operation.offset, message, hint);
            return None;
        };
        let offset = arguments.span().start;
        let name = format!("run.{}", operation.value);
        let reader = Args::absent(self.sink, &name);
        let mut args = reader.as_table(&name, arguments)?;
        let built = kind.build(&mut args);
        let offset = args.blamed().unwrap_or(offset);
        args.finish();
        built.map_err(|error| self.sink.report(offset, error)).ok()
    }

    fn gate(&self, spec: &GateSpec) -> Option<Gate> {
        let Some(measure) = Measure::from_text(&spec.measure.value) else {
            let message = format!("unknown measure `{}`", spec.measure.value);
            let names = Measure::ALL.iter().map(|measure| measure.as_str());
            self.bad_with(
                spec.measure.offset,
                message,
                near_miss(&spec.measure.value, names),
            );
            return None;
        };
        let (above, below) = (spec.above.as_ref(), spec.below.as_ref());
        if let (Some(above), Some(below)) = (above, below)
            && above.value >= below.value
        {
            let message = format!(
                "no value is above {} and below {}",
                above.value, below.value
            );
            self.bad(above.offset, message);
        }
        for at in [above, below].into_iter().flatten() {
            if at.value.is_nan() {
                self.bad(at.offset, "a bound is a number, found nan");
            }
        }
        let value = |at: Option<&At<f64>>| at.map(|at| at.value);
        Some(Gate {
            measure,
            above: value(above),
            below: value(below),
        })
    }

    fn node(&self, from: Option<&At<String>>, default: Node) -> Node {
        let Some(from) = from else { return default };
        if from.value == "source" {
            return Node::Source;
        }
        match self.ids.get(&from.value) {
            Some(Some(index)) => return Node::Step(*index),
            Some(None) if self.broken.contains(&from.value) => {}
            Some(None) => {
                let message = format!("`{}` is not a step above this one", from.value);
                self.bad_with(
                    from.offset,
                    message,
                    "move that step up, or take an earlier one",
                );
            }
            None => {
                let message = format!("there is no step `{}`", from.value);
                let names = self.ids.keys().map(String::as_str).chain(["source"]);
                self.bad_with(from.offset, message, near_miss(&from.value, names));
            }
        }
        default
    }

    fn outputs(&self, specs: &[OutputSpec], last: Node) -> Vec<PlannedOutput> {
        let mut outputs: Vec<PlannedOutput> = Vec::new();
        for spec in specs {
            let output = self.output(spec, last);
            if let Some(output) = output {
                if outputs.iter().any(|other| other.id == output.id) {
                    let at = spec.id.as_ref().map_or(spec.offset, |id| id.offset);
                    let message = format!("the id `{}` is taken by an output above", output.id);
                    self.bad_with(at, message, "give each [[output]] an `id` of its own");
                }
                self.check_names(spec, &output, &outputs);
                outputs.push(output);
            }
        }
        outputs
    }

    /// Two outputs of one picture must not have one name.
    fn check_names(&self, spec: &OutputSpec, output: &PlannedOutput, above: &[PlannedOutput]) {
        let extension = output.encoding.extension();
        let same = above
            .iter()
            .find(|other| other.name == output.name && other.encoding.extension() == extension);
        if let (Some(other), Some(name)) = (same, &spec.name)
            && !name.value.contains("{id}")
        {
            let message = format!("output `{}` above writes the same names", other.id);
            self.bad_with(name.offset, message, "put {id} into the name");
        }
    }

    fn output(&self, spec: &OutputSpec, last: Node) -> Option<PlannedOutput> {
        let from = self.node(spec.from.as_ref(), last);
        let id = match (&spec.id, from) {
            (Some(id), _) => {
                self.check_id("the id of an output", id);
                if [SMALL, THUMB].contains(&id.value.as_str()) {
                    self.bad(
                        id.offset,
                        format!("the id `{}` is kept for thumbnails", id.value),
                    );
                }
                id.value.clone()
            }
            (None, Node::Source) => "copy".to_owned(),
            (None, Node::Step(index)) => self.id_of(index),
        };
        let name = self.name_rule(spec);
        let encoding = encoding::resolve(spec, self.sink)?;
        Some(PlannedOutput {
            id,
            from,
            encoding,
            profile: spec.profile,
            bit_depth: spec.bit_depth.as_ref().map(|at| at.value),
            name,
            purpose: spec.purpose,
            mask: spec
                .format
                .as_ref()
                .is_some_and(|at| at.value == Format::Mask),
        })
    }

    fn id_of(&self, index: usize) -> String {
        let found = self.ids.iter().find(|(_, known)| **known == Some(index));
        found.map(|(id, _)| id.clone()).unwrap_or_default()
    }

    fn name_rule(&self, spec: &OutputSpec) -> NameRule {
        let Some(name) = &spec.name else {
            return NameRule(NameRule::DEFAULT.to_owned());
        };
        let rule = &name.value;
        for part in rule.split('{').skip(1) {
            let field = part.split('}').next().unwrap_or_default();
            if !NameRule::FIELDS.contains(&field) {
                let message = format!("unknown field `{{{field}}}` in a name");
                let hint = near_miss(field, NameRule::FIELDS.into_iter());
                self.bad_with(name.offset, message, hint);
            }
        }
        let climbs = rule.split('/').any(|part| part == "..") || rule.starts_with('/');
        if climbs || rule.contains('\\') {
            self.bad(
                name.offset,
                format!("the name `{rule}` leaves the output folder"),
            );
        }
        let tells_apart =
            rule.contains("{objectid}") || (rule.contains("{stem}") && rule.contains("{page}"));
        if !tells_apart {
            let hint = "use {objectid}, or {stem} together with {page}";
            let message = format!("the name `{rule}` is the same for several pictures");
            self.bad_with(name.offset, message, hint);
        }
        NameRule(rule.clone())
    }

    /// Sends every pixel format through the graph: a step or an output that can take none of those
    /// that may reach it is a mistake in the file, not in a picture.
    fn check_formats(&self, plan: &Plan, outputs: &[OutputSpec], places: &[usize]) {
        let mut reach: Vec<Vec<PixelFormat>> = Vec::new();
        for (index, planned) in plan.steps.iter().enumerate() {
            let inputs = match planned.from {
                Node::Source => all_formats(),
                Node::Step(before) => reach[before].clone(),
            };
            let results: Vec<_> = inputs
                .iter()
                .map(|&input| planned.step.output(input))
                .collect();
            if let (false, Some(Err(error))) = (results.iter().any(Result::is_ok), results.first())
            {
                let place = places.get(index).copied().unwrap_or_default();
                let message = format!("nothing that reaches this step suits it: {error}");
                self.bad(place, message);
            }
            reach.push(results.into_iter().filter_map(Result::ok).collect());
        }
        // An output that could not be resolved has been reported, and would shift the pairs.
        let pairs = outputs
            .iter()
            .filter(|spec| spec.format.is_some())
            .zip(&plan.outputs);
        for (spec, output) in pairs {
            self.check_mask(plan, spec, output);
            if output.bit_depth == Some(16)
                && output.encoding.fit(PixelFormat::RGB16).depth == Depth::U8
            {
                let at = spec.bit_depth.as_ref().map_or(spec.offset, |at| at.offset);
                let message = format!(
                    "`{}` files have 8 bits a sample",
                    output.encoding.extension()
                );
                self.bad_with(at, message, "use format = \"png\" or \"tiff\" for 16 bits");
            }
        }
    }

    /// Only a step that finds damage has a mask to show.
    fn check_mask(&self, plan: &Plan, spec: &OutputSpec, output: &PlannedOutput) {
        let makes_mask = match output.from {
            Node::Source => false,
            Node::Step(index) => plan.steps[index].step.makes_mask(),
        };
        if output.mask && !makes_mask {
            let name = plan.node_name(output.from);
            let message = format!("`{name}` finds no damage whose mask could be written");
            let hint = "take it from a step of run.repair: from = \"…\"";
            let at = spec.format.as_ref().map_or(spec.offset, |at| at.offset);
            self.bad_with(at, message, hint);
        }
    }

    /// A step whose result nothing uses is a mistake: work that nobody sees. What uses it may be
    /// among what could not be read, so other mistakes come first.
    fn check_use(&self, plan: &Plan, places: &[usize]) {
        if !self.sink.is_empty() {
            return;
        }
        for (index, step) in plan.steps.iter().enumerate() {
            if plan.readers(Node::Step(index)) == 0 {
                let place = places.get(index).copied().unwrap_or_default();
                let message = format!("nothing uses what step `{}` makes", step.id);
                let hint = format!("add an [[output]] with from = \"{}\"", step.id);
                self.bad_with(place, message, hint);
            }
        }
    }
}

fn all_formats() -> Vec<PixelFormat> {
    let mut formats = Vec::new();
    for depth in [Depth::U8, Depth::U16, Depth::F32] {
        for model in [ColorModel::Gray, ColorModel::Rgb] {
            formats.extend([false, true].map(|alpha| PixelFormat::new(depth, model, alpha)));
        }
    }
    formats
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> Plan {
        compile(text, &Registry::builtin()).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    #[test]
    fn steps_form_a_chain_unless_they_branch() {
        let plan = ok(
            "name = \"x\"\n[[step]]\nrun.gray = {}\n[[step]]\nrun.tone = {}\n\
             [[step]]\nid = \"b\"\nfrom = \"gray\"\nrun.crop = {}\n\
             [[step]]\nid = \"c\"\nfrom = \"source\"\nrun.gray = {}\n\
             [[output]]\nfrom = \"tone\"\nformat = \"png\"\n\
             [[output]]\nfrom = \"b\"\nformat = \"png\"\n[[output]]\nformat = \"tiff\"\n\
             [[output]]\nfrom = \"source\"\nformat = \"jpeg\"\n",
        );
        let from: Vec<Node> = plan.steps.iter().map(|step| step.from).collect();
        let expected = [Node::Source, Node::Step(0), Node::Step(0), Node::Source];
        assert_eq!(from, expected);
        let ids: Vec<&str> = plan
            .outputs
            .iter()
            .map(|output| output.id.as_str())
            .collect();
        assert_eq!(ids, ["tone", "b", "c", "copy"]);
        assert_eq!(plan.chain(Node::Step(2)), [0, 2]);
        assert_eq!(plan.readers(Node::Step(0)), 2);
        assert_eq!(plan.readers(Node::Source), 3);
    }

    #[test]
    fn steps_without_an_id_get_their_own() {
        let plan = ok(
            "name = \"x\"\n[[step]]\nrun.tone = {}\n[[step]]\nrun.tone = {}\n\
             [[step]]\nrun.tone = {}\n[[output]]\nformat = \"png\"\n",
        );
        let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["tone", "tone-2", "tone-3"]);
    }

    #[test]
    fn zero_seconds_mean_no_timeout() {
        let timeout = |limits: &str| ok(&format!("name = \"x\"\n{limits}")).policy.timeout;
        assert_eq!(timeout(""), Some(DEFAULT_TIMEOUT));
        assert_eq!(timeout("[limits]\ntimeout_per_file = 0"), None);
        let half = timeout("[limits]\ntimeout_per_file = 0.5");
        assert_eq!(half, Some(Duration::from_millis(500)));
    }

    #[test]
    fn numbers_that_are_none_are_out_of_range() {
        for text in [
            "[run]\nmax_failure_rate = nan",
            "[limits]\ntimeout_per_file = inf",
            "[[step]]\nrun.tone = { clip = nan }\n[[output]]\nformat = \"png\"",
            "[[step]]\nrun.tone = {}\nmax_change = nan\n[[output]]\nformat = \"png\"",
            "[[step]]\nrun.resize = { scale = nan }\n[[output]]\nformat = \"png\"",
            "[[step]]\nrun.tone = {}\nwhen = { blur = { above = nan } }\n\
             [[output]]\nformat = \"png\"",
        ] {
            let text = format!("name = \"x\"\n{text}\n");
            assert!(compile(&text, &Registry::builtin()).is_err(), "{text}");
        }
    }
}
