//! `run.stylize`: a picture in the style of others.

use std::sync::Arc;

use fonds_core::{Code, Error, Result, Seed};
use fonds_restore::style::optimize::{Lbfgs, Method, Search, Settings, Start, Statistics, Weights};
use fonds_restore::style::palette::KeepColors;
use serde::{Deserialize, Serialize};

use super::classical::step_args;
use super::network::tiles;
use crate::networks::Networks;
use crate::registry::StepKind;
use crate::stylize::{Stylize, StylizeMethod, StylizeStep};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Gatys,
    Feedforward,
    Adain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Colors {
    Style,
    Luma,
    Matched,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Optimizer {
    Lbfgs,
    Adam,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    Content,
    Noise,
    Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Measured {
    Gram,
    Moments,
}

step_args! {
    StylizeArgs {
        /// `gatys`: by optimisation, the best and the slowest; `feedforward`: a network that has learned
        /// one style; `adain`: any style in one pass.
        method: By = By::Gatys,
        /// The style pictures, each with its weight: `["print.jpg", "other.jpg:0.5"]`; paths are relative
        /// to the pipeline's folder. A network of method `feedforward` takes none.
        styles: Vec<String> = Vec::new(),
        /// A mask for each style, as large as the picture: white is where the style holds; "" for none.
        masks: Vec<String> = Vec::new(),
        /// Longest sides at which each style is looked at, in longest sides of the picture (`adain`: of
        /// `style_size`); 0.05 to 4.
        scales: Vec<f64> = vec![1.0],
        /// The weights: VGG-19, VGG-16 or `SqueezeNet` (`gatys`), a style network (`feedforward`), or the
        /// encoder (`adain`).
        model: Option<String> = None,
        /// The decoder that belongs to the encoder of `adain`.
        decoder: Option<String> = None,
        /// `style`: colours become those of the style; `luma`: each place keeps its colour; `matched`:
        /// the style is brought to the picture's colours first.
        colors: Colors = Colors::Style,
        /// Lets gray pictures take the style's colours; gray stays gray otherwise.
        color_on_gray: bool = false,
        /// `gatys`: weight of what the picture shows.
        alpha: f64 = Weights::default().alpha,
        /// `gatys`: weight of the style.
        beta: f64 = Weights::default().beta,
        /// `gatys`: weight of total variation, against speckles.
        variation: f64 = Weights::default().variation,
        /// `gatys`: weight of the squared excess over what a picture can hold.
        range: f64 = Weights::default().range,
        /// `gatys`: layers that say what is shown, with weights: `["relu4_2", "relu3_2:0.5"]`.
        content_layers: Vec<String> = Vec::new(),
        /// `gatys`: layers whose statistics are the style, with weights.
        style_layers: Vec<String> = Vec::new(),
        /// `gatys`: `gram`: products of channels; `moments`: their means and deviations.
        statistics: Measured = Measured::Gram,
        /// `gatys`: divides each layer's loss by its target's mean square, so that weights serve any
        /// network; without it losses are those of the papers.
        balanced: bool = true,
        /// `gatys`: `lbfgs`, or `adam`, which takes less memory and more iterations.
        optimizer: Optimizer = Optimizer::Lbfgs,
        /// `gatys`: the step; 1 for `lbfgs` and 0.02 for `adam` when absent.
        rate: Option<f64> = None,
        /// `gatys`: iterations at each level.
        iterations: u32 = 100,
        /// `gatys`: the longest side in pixels at which the picture is optimised.
        size: u32 = Settings::default().size,
        /// `gatys`: levels from coarse to fine, 1 to 6; by the size when absent.
        levels: Option<u32> = None,
        /// `gatys`: `content`, `noise` or `style`.
        start: From = From::Content,
        /// `gatys`: share of the picture's own detail in what is finer than `size`, 0 to 1.
        detail: f64 = f64::from(Settings::default().detail),
        /// `gatys`: for the noise.
        seed: u64 = 0,
        /// `feedforward`, `adain`: share of the style, 0 to 1.
        strength: f64 = 1.0,
        /// `adain`: the longest side in pixels at which styles are looked at; larger is a coarser fabric.
        style_size: u32 = 512,
        /// `feedforward`, `adain`: side of a tile in pixels; by the memory that it takes when absent.
        tile: Option<u32> = None,
    }
}

/// Keys that only some methods have.
const OF_GATYS: [&str; 16] = [
    "alpha",
    "beta",
    "variation",
    "range",
    "content_layers",
    "style_layers",
    "statistics",
    "balanced",
    "optimizer",
    "rate",
    "iterations",
    "size",
    "levels",
    "start",
    "detail",
    "seed",
];
const OF_ONE_PASS: [&str; 2] = ["strength", "tile"];
const OF_ADAIN: [&str; 2] = ["decoder", "style_size"];

pub(super) fn kind(networks: &Arc<Networks>) -> StepKind {
    let summary = "Give the picture the style of others: by optimisation, or in one pass";
    let networks = Arc::clone(networks);
    StepKind::new("stylize", summary, StylizeArgs::params(), move |args| {
        let keys = [
            &OF_GATYS[..],
            &OF_ONE_PASS[..],
            &OF_ADAIN[..],
            &["styles", "masks", "scales", "model"],
        ]
        .concat();
        let places: Vec<(&str, usize)> = keys
            .into_iter()
            .filter_map(|key| Some((key, args.place(key)?)))
            .collect();
        let place = |key: &str| {
            places
                .iter()
                .find(|(known, _)| *known == key)
                .map(|(_, at)| *at)
        };
        let keys = StylizeArgs::read(args);
        if let Some((key, methods)) = stray(&keys, |key| place(key).is_some()) {
            if let Some(at) = place(key) {
                args.blame(at);
            }
            let message = format!("`{key}` is for method {methods}");
            return Err(Error::new(Code::InvalidRequest, message)
                .hint("leave it out, or choose another `method`"));
        }
        let mut parameters = keys.json();
        let stylist = keys.asked()?.stylist(&networks).map_err(|(key, error)| {
            if let Some(at) = place(key) {
                args.blame(at);
            }
            error
        })?;
        if let Some(parameters) = parameters.as_object_mut() {
            let own = |key: &str| !of_others(keys.method).any(|other| other == key);
            parameters.retain(|key, _| own(key));
            if let Some(record) = stylist.record().as_object() {
                parameters.extend(record.clone());
            }
        }
        Ok(Box::new(StylizeStep {
            stylist,
            parameters,
        }))
    })
}

/// The keys that a method does not have.
fn of_others(method: By) -> impl Iterator<Item = &'static str> {
    let (gatys, one_pass, adain): (&[&str], &[&str], &[&str]) = match method {
        By::Gatys => (&[], &OF_ONE_PASS, &OF_ADAIN),
        By::Feedforward => (&OF_GATYS, &[], &OF_ADAIN),
        By::Adain => (&OF_GATYS, &[], &[]),
    };
    gatys.iter().chain(one_pass).chain(adain).copied()
}

/// A key that is given and that the method does not have, and whose it is.
fn stray(keys: &StylizeArgs, given: impl Fn(&str) -> bool) -> Option<(&'static str, &'static str)> {
    let key = of_others(keys.method).find(|key| given(key))?;
    let methods = if OF_GATYS.contains(&key) {
        "`gatys`"
    } else if OF_ADAIN.contains(&key) {
        "`adain`"
    } else {
        "`feedforward` and `adain`"
    };
    Some((key, methods))
}

impl StylizeArgs {
    fn asked(&self) -> Result<Stylize> {
        if !(0.0..=1.0).contains(&self.strength) {
            let message = format!("`strength` is {}, allowed is 0 to 1", self.strength);
            return Err(Error::new(Code::InvalidRequest, message));
        }
        let settings = Settings {
            weights: Weights {
                alpha: self.alpha,
                beta: self.beta,
                variation: self.variation,
                range: self.range,
                statistics: match self.statistics {
                    Measured::Gram => Statistics::Gram,
                    Measured::Moments => Statistics::Moments,
                },
                balanced: self.balanced,
                ..Weights::default()
            },
            method: match self.optimizer {
                Optimizer::Lbfgs => Method::Lbfgs(Lbfgs {
                    rate: self.rate.unwrap_or(1.0),
                    search: Search::StrongWolfe,
                    ..Lbfgs::default()
                }),
                Optimizer::Adam => Method::Adam {
                    rate: self.rate.unwrap_or(0.02),
                },
            },
            iterations: self.iterations as usize,
            size: self.size,
            levels: self.levels.map(|levels| levels as usize),
            start: match self.start {
                From::Content => Start::Content,
                From::Noise => Start::Noise,
                From::Style => Start::Style,
            },
            keep_colors: match self.colors {
                Colors::Style => KeepColors::No,
                Colors::Luma => KeepColors::Luma,
                Colors::Matched => KeepColors::Matched,
            },
            color_on_gray: self.color_on_gray,
            detail: self.detail as f32,
            seed: Seed::new(self.seed),
        };
        Ok(Stylize {
            method: match self.method {
                By::Gatys => StylizeMethod::Gatys,
                By::Feedforward => StylizeMethod::Feedforward,
                By::Adain => StylizeMethod::Adain,
            },
            styles: self.styles.clone(),
            masks: self.masks.clone(),
            scales: self.scales.clone(),
            model: self.model.clone(),
            decoder: self.decoder.clone(),
            content_layers: self.content_layers.clone(),
            style_layers: self.style_layers.clone(),
            settings,
            strength: self.strength,
            style_size: self.style_size,
            tiles: tiles(self.tile, None, false),
        })
    }
}
