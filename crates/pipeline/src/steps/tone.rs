//! `run.tone`: fading undone by stretching the tones, within limits.

use fonds_image::ops::{Tone, ToneMode};
use serde::{Deserialize, Serialize};

use super::classical::{Classical, step_args};
use crate::registry::StepKind;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Joint,
    PerChannel,
}

step_args! {
    ToneArgs {
        /// `joint`: all channels alike, colours keep their hue; `per_channel`: each by its own
        /// ends, for colour materials whose dyes faded unevenly.
        mode: Mode = Mode::Joint,
        /// Per cent of the pixels beyond the black point, and beyond the white point; 0 to 5.
        clip: f64 = Tone::default().clip,
        /// The most that either end moves, as a share of the range; 0 to 0.5.
        limit: f64 = Tone::default().limit,
        /// The share of the range that must be unused before anything happens; 0 to 1.
        min_fading: f64 = Tone::default().min_fading,
        /// How much of the stretch is applied, 0 to 1.
        strength: f64 = Tone::default().strength,
        /// How much of a colour cast is removed, 0 to 1.
        cast: f64 = Tone::default().cast,
        /// Turns a toned monochrome print (sepia, cyanotype) into neutral gray.
        neutral: bool = Tone::default().neutral,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Stretch faded tones to the full range; leave pictures that use it alone";
    StepKind::new("tone", summary, ToneArgs::params(), |args| {
        let keys = ToneArgs::read(args);
        let tone = Tone {
            mode: match keys.mode {
                Mode::Joint => ToneMode::Joint,
                Mode::PerChannel => ToneMode::PerChannel,
            },
            clip: keys.clip,
            limit: keys.limit,
            min_fading: keys.min_fading,
            strength: keys.strength,
            cast: keys.cast,
            neutral: keys.neutral,
        };
        tone.validate()?;
        Ok(Classical::enhancement(keys.json(), move |raster| tone.apply(raster)).boxed())
    })
}
