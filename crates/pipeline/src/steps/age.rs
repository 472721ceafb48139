//! `run.age`: the damage of time, made on purpose, for tests and for training pairs.

use std::collections::BTreeSet;

use fonds_core::{Change, Code, Error, Outcome, PixelFormat, Raster, Result};
use fonds_ingest::degrade::{Applied, RECIPES, Recipe, Value, age};

use super::classical::step_args;
use crate::registry::StepKind;
use crate::step::{Act, Cost, Step, StepContext};

step_args! {
    AgeArgs {
        /// What is done: `"old_photograph"`, "scratches", "faded", "film", "newspaper", "digital",
        /// `"real_esrgan"` or "bicubic".
        recipe: String = "old_photograph".to_owned(),
        /// How much: 0 does nothing, 1 is usual, 2 doubles; 0 to 4.
        strength: f32 = 1.0,
        /// How many times smaller the picture becomes; 1 to 8.
        scale: usize = 1,
        /// Another number gives other damage; the same one gives every picture its own, the same in
        /// every run.
        seed: u64 = 0,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Age a picture: fading, stains, scratches, grain, blur, noise, JPEG, by a recipe";
    StepKind::new("age", summary, AgeArgs::params(), |args| {
        let keys = AgeArgs::read(args);
        if !(0.0..=4.0).contains(&keys.strength) || !(1..=8).contains(&keys.scale) {
            let message = format!(
                "a strength of {} and a scale of {} are out of range",
                keys.strength, keys.scale
            );
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("`strength` is 0 to 4, `scale` is 1 to 8"));
        }
        if !RECIPES.contains(&keys.recipe.as_str()) {
            let message = format!("there is no recipe `{}`", keys.recipe);
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint(crate::reader::near_miss(
                &keys.recipe,
                RECIPES.iter().copied(),
            )));
        }
        let recipe = Recipe::named(&keys.recipe, keys.scale)?;
        let recipe = if keys.strength == 1.0 {
            recipe
        } else {
            recipe.with_strength(keys.strength)
        };
        Ok(Box::new(Ageing { recipe, keys }))
    })
}

#[derive(Debug)]
struct Ageing {
    recipe: Recipe,
    keys: AgeArgs,
}

impl Step for Ageing {
    fn version(&self) -> u32 {
        1
    }

    fn act(&self) -> Act {
        Act::Enhancement
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        Ok(input)
    }

    fn cost(&self) -> Cost {
        Cost {
            // Planes of 32-bit floats, before, after, and a layer of damage.
            scratch_per_pixel: 48.0,
            ..Cost::IN_PLACE
        }
    }

    fn parameters(&self) -> serde_json::Value {
        self.keys.json()
    }

    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome> {
        let seed = context.seed.derive(&format!("age {}", self.keys.seed));
        let aged = age(&raster, &self.recipe, seed)?;
        if aged.applied.is_empty() {
            return Ok(Outcome::unchanged(raster));
        }
        let names: BTreeSet<&str> = aged.applied.iter().map(|applied| applied.effect).collect();
        let damaged = share(&aged.mask);
        let change = Change::new(format!("aged: {}", manifest(&aged.applied)))
            .value("effects", aged.applied.len() as f64)
            .value("kinds", names.len() as f64)
            .value("damaged_share", damaged);
        Ok(Outcome::changed(aged.raster, change))
    }
}

/// What was done, in its order, with the parameters that were drawn.
fn manifest(applied: &[Applied]) -> String {
    let effects = applied.iter().map(|applied| {
        let parameters = applied.parameters.iter().map(|(name, value)| match value {
            Value::Number(number) => format!("{name} {}", rounded(*number)),
            Value::Text(text) => format!("{name} {text}"),
        });
        let parameters: Vec<String> = parameters.collect();
        if parameters.is_empty() {
            applied.effect.to_owned()
        } else {
            format!("{} ({})", applied.effect, parameters.join(", "))
        }
    });
    effects.collect::<Vec<_>>().join("; ")
}

/// Three decimals at most: `0.25`, `12`.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// The share of a mask that is not black.
fn share(mask: &Raster) -> f64 {
    let samples = mask.samples();
    let (damaged, all) = fonds_core::with_samples!(samples, samples => {
        let damaged = samples.iter().filter(|&&sample| fonds_core::Sample::to_unit(sample) > 0.0);
        (damaged.count(), samples.len())
    });
    damaged as f64 / all.max(1) as f64
}
