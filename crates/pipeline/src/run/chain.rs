//! One picture through the steps: gates, limits on change, and a trace of what happened.

use std::collections::HashMap;
use std::fmt;

use fonds_core::{Change, Error, Raster, Result, Seed, with_samples};
use fonds_image::measure::compared::{Compared, Sample};
use fonds_image::measure::{self, Measure};

use crate::plan::{Bounds, Node, Plan, PlannedStep};
use crate::run::Clock;
use crate::step::{Act, StepContext};

/// What a step did to a picture.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// It changed the picture.
    Acted(Change),
    /// It found nothing to do.
    Nothing,
    /// A gate kept it from acting.
    Gated { measure: Measure, value: f64 },
    /// It changed more than allowed and was undone.
    Refused { change: Change, passed: Passed },
}

/// A bound that a step passed, with what was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Passed {
    /// The share of pixels that would have changed.
    Change { found: f64, bound: f64 },
    /// The signal-to-noise ratio in dB.
    Psnr { found: f64, bound: f64 },
    /// The structural similarity.
    Ssim { found: f64, bound: f64 },
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change { found, bound } => write!(
                f,
                "{:.1} % of the pixels would have changed, at most {:.1} % are allowed",
                found * 100.0,
                bound * 100.0
            ),
            Self::Psnr { found, bound } => write!(
                f,
                "the signal-to-noise ratio to the picture before is {found:.1} dB, allowed is \
                 {bound:.1} dB and more"
            ),
            Self::Ssim { found, bound } => write!(
                f,
                "the structural similarity to the picture before is {found:.3}, allowed is \
                 {bound:.3} and more"
            ),
        }
    }
}

/// A step's verdict on a picture, with what its gates measured.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    pub(super) measured: Vec<(Measure, f64)>,
    /// How far the result is from what came in, where pixels have counterparts.
    pub(super) compared: Option<Compared>,
    pub(super) verdict: Verdict,
}

impl Trace {
    /// The damage that the step found, also when what it did was undone.
    pub(super) fn mask(&self) -> Option<&Raster> {
        match &self.verdict {
            Verdict::Acted(change) | Verdict::Refused { change, .. } => change.mask.as_ref(),
            Verdict::Nothing | Verdict::Gated { .. } => None,
        }
    }

    pub(super) fn acted(&self) -> bool {
        matches!(self.verdict, Verdict::Acted(_))
    }
}

/// Takes what is at a node, with the traces so far.
pub(super) type Visit<'a> = dyn FnMut(Node, &Raster, &[Trace]) -> Result<()> + 'a;

/// Sends a picture through all steps of a plan. `visit` sees the picture at each node as soon as
/// it is there, with the traces so far; nothing is kept longer than a later step needs it.
pub(super) fn run(
    plan: &Plan,
    source: Raster,
    seed: Seed,
    clock: &Clock,
    (path, page): (&str, Option<u32>),
    visit: &mut Visit<'_>,
) -> Result<Vec<Trace>> {
    let mut walk = Walk {
        plan,
        seed,
        clock,
        path,
        page,
        rasters: HashMap::new(),
        content: vec![0; plan.steps.len() + 1],
        cache: HashMap::new(),
    };
    let mut traces = Vec::with_capacity(plan.steps.len());
    visit(Node::Source, &source, &traces)?;
    walk.keep(Node::Source, source);
    for (index, planned) in plan.steps.iter().enumerate() {
        let input = walk.input(index, planned);
        let (raster, trace) = walk
            .apply(index, planned, input)
            .map_err(|error| error.in_step(&planned.id))?;
        traces.push(trace);
        visit(Node::Step(index), &raster, &traces)?;
        walk.keep(Node::Step(index), raster);
    }
    Ok(traces)
}

/// The acts of the steps that changed what is at a node.
pub(super) fn acts(plan: &Plan, node: Node, traces: &[Trace]) -> Vec<Act> {
    let chain = plan.chain(node).into_iter();
    chain
        .filter(|&index| traces[index].acted())
        .map(|index| plan.steps[index].step.act())
        .collect()
}

struct Walk<'a> {
    plan: &'a Plan,
    seed: Seed,
    clock: &'a Clock,
    path: &'a str,
    page: Option<u32>,
    /// Pictures that a later step still takes.
    rasters: HashMap<usize, (Raster, usize)>,
    /// For each node the node that last changed what is there: equal numbers, equal pictures.
    content: Vec<usize>,
    /// What was measured on which content.
    cache: HashMap<(usize, Measure), f64>,
}

impl Walk<'_> {
    fn keep(&mut self, node: Node, raster: Raster) {
        let readers = self
            .plan
            .steps
            .iter()
            .filter(|step| step.from == node)
            .count();
        if readers > 0 {
            self.rasters.insert(slot(node), (raster, readers));
        }
    }

    fn input(&mut self, index: usize, planned: &PlannedStep) -> Raster {
        let from = slot(planned.from);
        self.content[index + 1] = self.content[from];
        let (raster, readers) = self
            .rasters
            .remove(&from)
            .expect("a node is kept until its last reader took it");
        if readers > 1 {
            self.rasters.insert(from, (raster.clone(), readers - 1));
        }
        raster
    }

    fn apply(
        &mut self,
        index: usize,
        planned: &PlannedStep,
        input: Raster,
    ) -> Result<(Raster, Trace)> {
        let mut trace = Trace {
            measured: Vec::new(),
            compared: None,
            verdict: Verdict::Nothing,
        };
        for gate in &planned.gates {
            let value = self.measure(index, &input, gate.measure);
            trace.measured.push((gate.measure, value));
            if !gate.admits(value) {
                trace.verdict = Verdict::Gated {
                    measure: gate.measure,
                    value,
                };
                return Ok((input, trace));
            }
        }
        let before = planned.bounds.any().then(|| input.clone());
        // Pixels that only moved have no counterparts.
        let sample = (planned.step.act() != Act::Geometry).then(|| Sample::of(&input));
        let seed = self.seed.derive(&planned.id);
        let context =
            StepContext::timed(&planned.id, seed, self.clock).of_page(self.path, self.page);
        let outcome = planned.step.apply(input, &context)?;
        let Some(change) = outcome.change else {
            // The same picture as before: what kept the step from acting can still be measured.
            for gate in planned.step.acts_when_any() {
                let value = self.measure(index, &outcome.raster, gate.measure);
                trace.measured.push((gate.measure, value));
            }
            return Ok((outcome.raster, trace));
        };
        trace.compared = sample.and_then(|sample| sample.compare(&outcome.raster));
        if let Some(before) = before {
            let passed = passed(&planned.bounds, trace.compared, &before, &outcome.raster);
            if let Some(passed) = passed {
                trace.verdict = Verdict::Refused { change, passed };
                return Ok((before, trace));
            }
        }
        self.content[index + 1] = index + 1;
        trace.verdict = Verdict::Acted(change);
        Ok((outcome.raster, trace))
    }

    fn measure(&mut self, index: usize, raster: &Raster, measure: Measure) -> f64 {
        let content = self.content[index + 1];
        *self
            .cache
            .entry((content, measure))
            .or_insert_with(|| measure::value(raster, measure))
    }
}

fn slot(node: Node) -> usize {
    match node {
        Node::Source => 0,
        Node::Step(index) => index + 1,
    }
}

/// The first bound that a step passed.
fn passed(
    bounds: &Bounds,
    compared: Option<Compared>,
    before: &Raster,
    after: &Raster,
) -> Option<Passed> {
    if let Some(bound) = bounds.max_change {
        let found = changed_share(before, after, compared);
        if found > bound {
            return Some(Passed::Change { found, bound });
        }
    }
    let compared = compared?;
    if let Some(bound) = bounds.min_psnr.filter(|bound| compared.psnr < *bound) {
        let found = compared.psnr;
        return Some(Passed::Psnr { found, bound });
    }
    let bound = bounds.min_ssim.filter(|bound| compared.ssim < *bound)?;
    let found = compared.ssim;
    Some(Passed::Ssim { found, bound })
}

/// The share of pixels that differ; of an enlarged picture at the size that it had, and for a
/// picture of any other size the share of area gained or lost.
fn changed_share(before: &Raster, after: &Raster, compared: Option<Compared>) -> f64 {
    if (before.width(), before.height()) != (after.width(), after.height()) {
        if let Some(compared) = compared {
            return compared.changed_percent / 100.0;
        }
        let (a, b) = (before.pixels() as f64, after.pixels() as f64);
        return (a - b).abs() / a.max(b);
    }
    if before.format() != after.format() {
        return 1.0;
    }
    let channels = before.format().channels();
    let differing = with_samples!(before.samples(), a => differing(a, after, channels));
    differing as f64 / before.pixels() as f64
}

fn differing<T: fonds_core::Sample>(before: &[T], after: &Raster, channels: usize) -> usize {
    let after = after.as_slice::<T>().expect("formats were compared");
    let pairs = before
        .chunks_exact(channels)
        .zip(after.chunks_exact(channels));
    pairs.filter(|(a, b)| a != b).count()
}

/// A step that failed takes its page with it; the stage is the step's id.
pub(super) fn stage_of(error: &Error, otherwise: &str) -> String {
    error
        .place()
        .step
        .clone()
        .unwrap_or_else(|| otherwise.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::PixelFormat;

    #[test]
    fn share_of_pixels_not_of_samples() {
        let before = Raster::new(2, 2, PixelFormat::RGB8);
        let mut after = before.clone();
        after.as_mut_slice::<u8>().unwrap()[..2].fill(9);
        assert_eq!(changed_share(&before, &after, None), 0.25);
        assert_eq!(
            changed_share(&before, &Raster::new(2, 1, PixelFormat::RGB8), None),
            0.5
        );
    }
    /// A branch sees the picture as it was before its sibling changed it, a condition measures
    /// what reaches its step, and a refused step leaves no trace in the pixels.
    #[test]
    fn branches_conditions_and_limits() {
        let text = "name = \"x\"\n\
            [[step]]\nid = \"a\"\nrun.resize = { longest = 10 }\n\
            [[step]]\nid = \"b\"\nfrom = \"source\"\nrun.resize = { longest = 20 }\n\
            [[step]]\nid = \"c\"\nfrom = \"a\"\nrun.gray = {}\nwhen = { blur = { below = -1.0 } }\n\
            [[step]]\nid = \"d\"\nfrom = \"a\"\nrun.resize = { longest = 5 }\nmax_change = 0.1\n\
            [[output]]\nfrom = \"b\"\nformat = \"png\"\n\
            [[output]]\nfrom = \"c\"\nformat = \"png\"\n\
            [[output]]\nfrom = \"d\"\nformat = \"png\"\n";
        let plan = crate::compile(text, &crate::Registry::builtin()).unwrap();
        let source = Raster::new(40, 30, PixelFormat::RGB8);
        let mut seen = Vec::new();
        let mut visit = |node, raster: &Raster, traces: &[Trace]| {
            seen.push((node, raster.width(), raster.format(), traces.len()));
            Ok(())
        };
        let traces = run(
            &plan,
            source,
            Seed::new(0),
            &Clock::start(),
            ("a.png", None),
            &mut visit,
        )
        .unwrap();
        let rgb = PixelFormat::RGB8;
        let expected = [
            (Node::Source, 40, rgb, 0),
            (Node::Step(0), 10, rgb, 1),
            (Node::Step(1), 20, rgb, 2),
            (Node::Step(2), 10, rgb, 3),
            (Node::Step(3), 10, rgb, 4),
        ];
        assert_eq!(seen, expected);
        assert!(matches!(
            traces[2].verdict,
            Verdict::Gated {
                measure: Measure::Blur,
                ..
            }
        ));
        assert!(matches!(
            traces[3].verdict,
            Verdict::Refused { passed: Passed::Change { found, .. }, .. } if found > 0.5
        ));
        assert_eq!(acts(&plan, Node::Step(1), &traces), [Act::Geometry]);
        assert_eq!(
            acts(&plan, Node::Step(3), &traces),
            [Act::Geometry],
            "that of `a` alone"
        );
    }
}
