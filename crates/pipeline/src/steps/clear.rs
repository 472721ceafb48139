//! `run.clear`: noise and compression taken out by a network, where they are measured.

use std::sync::Arc;

use fonds_core::{Change, Outcome, PixelFormat, Raster, Result};
use fonds_image::measure::{self, Measure, blockiness};
use fonds_image::ops::keep_grain;
use fonds_restore::tasks::TaskSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::classical::step_args;
use super::network::{Asked, in_range, tiles};
use crate::networks::Networks;
use crate::plan::Gate;
use crate::registry::StepKind;
use crate::step::{Act, Cost, ModelInfo, RunsOn, Step, StepContext};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GrainOf {
    Keep,
    Reduce,
}

step_args! {
    ClearArgs {
        /// The weights: the name of a shipped network, or a file, its path relative to the
        /// pipeline's folder.
        model: String = "fonds-clear".to_owned(),
        /// Share of the network's picture in the result, 0 to 1; the rest is the input.
        strength: f64 = 1.0,
        /// "keep": blocks of compression and speckled colours go, the grain of the luma stays;
        /// "reduce": the grain goes, too.
        grain: GrainOf = GrainOf::Keep,
        /// JPEG's blocks that stand out at least so much make the step act; 8-bit code values, 0 to
        /// 60.
        min_blockiness: f64 = 0.3,
        /// So much noise makes the step act, that of the colours with grain = "keep" and that of
        /// the luma, too, with "reduce"; standard deviation in 8-bit code values, 0 to 60.
        min_noise: f64 = 3.0,
        /// Side of a tile in pixels, without its margin; chosen by what the network needs of memory
        /// when absent.
        tile: Option<u32> = None,
        /// Pixels that neighbouring tiles share, for networks that see further than tiles can.
        overlap: Option<u32> = None,
        /// Tiles give the same picture, to the bit, as the whole; costs time.
        exact: bool = false,
        /// Whether the network makes content up, for labels; as its file says when absent.
        generative: Option<bool> = None,
    }
}

pub(super) fn kind(networks: &Arc<Networks>) -> StepKind {
    let summary = "Take noise and JPEG compression out by a network, where they are measured";
    let networks = Arc::clone(networks);
    StepKind::new("clear", summary, ClearArgs::params(), move |args| {
        let place = args.place("model");
        let keys = ClearArgs::read(args);
        let asked = Asked {
            operation: "clear",
            model: Some(keys.model.clone()),
            options: fonds_restore::zoo::Options {
                scale: Some(1),
                ..Default::default()
            },
            settings: TaskSettings {
                scale: Some(1),
                strength: keys.strength as f32,
                tiles: tiles(keys.tile, keys.overlap, keys.exact),
                ..TaskSettings::default()
            },
            generative: keys.generative,
            enlarges: Some(false),
            parameters: keys.json(),
            ..Asked::default()
        };
        in_range("min_blockiness", Some(keys.min_blockiness), 0.0..=60.0)?;
        in_range("min_noise", Some(keys.min_noise), 0.0..=60.0)?;
        Ok(Box::new(Clear {
            network: asked.build(&networks, args, place)?,
            grain: keys.grain,
            min_blockiness: keys.min_blockiness,
            min_noise: keys.min_noise,
        }))
    })
}

/// A network between a measurement and the grain that is put back.
#[derive(Debug)]
struct Clear {
    network: Box<dyn Step>,
    grain: GrainOf,
    min_blockiness: f64,
    min_noise: f64,
}

impl Step for Clear {
    fn version(&self) -> u32 {
        1
    }

    fn act(&self) -> Act {
        self.network.act()
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        self.network.output(input)
    }

    fn cost(&self) -> Cost {
        let cost = self.network.cost();
        // The picture before, and the luma of both.
        let grain = match self.grain {
            GrainOf::Keep => 8.0 + 4.0,
            GrainOf::Reduce => 0.0,
        };
        Cost {
            scratch_per_pixel: cost.scratch_per_pixel + grain,
            ..cost
        }
    }

    fn parameters(&self) -> Value {
        self.network.parameters()
    }

    fn model(&self) -> Option<ModelInfo> {
        self.network.model()
    }

    fn prepare(&self) -> Result<()> {
        self.network.prepare()
    }

    fn runs_on(&self) -> Option<RunsOn> {
        self.network.runs_on()
    }

    fn acts_when_any(&self) -> Vec<Gate> {
        let above = |measure, bound: f64| Gate {
            measure,
            above: Some(bound),
            below: None,
        };
        let mut gates = vec![
            above(Measure::Blockiness, self.min_blockiness),
            above(Measure::ChromaNoise, self.min_noise),
        ];
        if self.grain == GrainOf::Reduce {
            gates.push(above(Measure::Noise, self.min_noise));
        }
        gates
    }

    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome> {
        let grid = blockiness::grid(&raster);
        let blocks = grid.strength > self.min_blockiness;
        let colors = measure::value(&raster, Measure::ChromaNoise);
        let grain = measure::value(&raster, Measure::Noise);
        let noise = match self.grain {
            GrainOf::Keep => colors,
            GrainOf::Reduce => colors.max(grain),
        };
        if !blocks && noise <= self.min_noise {
            return Ok(Outcome::unchanged(raster));
        }
        let before = (self.grain == GrainOf::Keep).then(|| raster.clone());
        let made = self.network.apply(raster, context)?;
        let measured = |change: Change| {
            change
                .value("blockiness", grid.strength)
                .value("chroma_noise", colors)
                .value("noise", grain)
        };
        let (Some(before), Some(mut change)) = (before, made.change.clone()) else {
            return Ok(Outcome {
                raster: made.raster,
                change: made.change.map(measured),
            });
        };
        let (raster, share) = keep_grain(made.raster, &before, blocks.then_some(grid))?;
        change.summary.push_str(", grain kept");
        let change = measured(change).value("grain_kept", share);
        Ok(Outcome::changed(raster, change))
    }
}
