//! Style by optimisation: a picture that shows one thing in the style of others, found by descent.
//!
//! Gatys, Ecker, Bethge, *Image Style Transfer Using Convolutional Neural Networks* (2016). There is
//! no network that makes pictures; one that has learned to name things looks at the picture, and the
//! picture is changed until what it sees is the content of one and the style of others. [`optimize`]
//! does so from coarse to fine; [`Objective`] and [`minimize`] are its parts.
//!
//! With `alpha = 0` what comes of it is texture alone; with `beta = 0` and a start from noise or from
//! the style it is what the layers know of the content.

mod lbfgs;
mod minimize;
mod objective;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use fonds_core::{Change, Code, ColorModel, Error, Outcome, PixelFormat, Raster, Result, Seed};
use fonds_nn::error::TensorResult;
use fonds_nn::picture::planes;
use fonds_nn::train::Chance;

pub use lbfgs::{Lbfgs, Search};
pub use minimize::{Descent, Method, Watch, minimize};
pub use objective::{Losses, Objective, Statistics, StyleTensors, Weights};

use super::extractor::Extractor;
use super::palette::{self, KeepColors, Manner, Style, canvas, canvas_of, exactly, fitted, whole};

/// The shorter side of the coarsest picture is at least so many pixels, when levels are not given.
const COARSEST: u32 = 96;

/// What the descent starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// The content.
    #[default]
    Content,
    /// Noise around the content's mean, by the seed.
    Noise,
    /// The first style, stretched to the content's size.
    Style,
}

/// How a picture is given a style by optimisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How the parts of the loss count.
    pub weights: Weights,
    /// How the picture descends.
    pub method: Method,
    /// Iterations at each level, 1 to 100,000.
    pub iterations: usize,
    /// The longest side in pixels at which it is optimised; what is larger is shrunk before and
    /// enlarged after. 32 to 8192.
    pub size: u32,
    /// Levels from coarse to fine, each twice as large as the one before, 1 to 6; by the size when
    /// absent.
    pub levels: Option<usize>,
    /// What it starts from.
    pub start: Start,
    /// What becomes of the content's colours.
    pub keep_colors: KeepColors,
    /// Whether gray pictures take the style's colours.
    pub color_on_gray: bool,
    /// Share of the content's detail in what is finer than the optimised size, 0 to 1.
    pub detail: f32,
    /// For the noise.
    pub seed: Seed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            method: Method::default(),
            iterations: 100,
            size: 512,
            levels: None,
            start: Start::default(),
            keep_colors: KeepColors::default(),
            color_on_gray: false,
            detail: 1.0,
            seed: Seed::new(0),
        }
    }
}

impl Settings {
    /// That all values are in range.
    ///
    /// # Errors
    /// `invalid_request` that names the value.
    pub fn validate(&self) -> Result<()> {
        self.weights.validate()?;
        self.method.validate()?;
        let range = |name: &str, fine: bool, value: String, range: &str| {
            if fine {
                return Ok(());
            }
            let message = format!("`{name}` is {value}, allowed is {range}");
            Err(Error::new(Code::InvalidRequest, message))
        };
        let iterations = (1..=100_000).contains(&self.iterations);
        range(
            "iterations",
            iterations,
            self.iterations.to_string(),
            "1 to 100000",
        )?;
        let size = (32..=8192).contains(&self.size);
        range("size", size, self.size.to_string(), "32 to 8192")?;
        let levels = self.levels.is_none_or(|levels| (1..=6).contains(&levels));
        let given = self.levels.unwrap_or_default();
        range("levels", levels, given.to_string(), "1 to 6")?;
        let detail = (0.0..=1.0).contains(&self.detail);
        range("detail", detail, self.detail.to_string(), "0 to 1")
    }

    /// The format that comes out for a format that goes in.
    pub fn output(&self, input: PixelFormat) -> PixelFormat {
        match input.model {
            ColorModel::Gray if self.color_on_gray => PixelFormat {
                model: ColorModel::Rgb,
                ..input
            },
            _ => input,
        }
    }

    /// How many levels there are for a picture that is optimised at this size.
    fn levels(&self, width: u32, height: u32) -> usize {
        self.levels.unwrap_or_else(|| {
            let shorter = width.min(height);
            (0..3)
                .take_while(|level| shorter >> level >= COARSEST)
                .count()
                .max(1)
        })
    }
}

/// Where a descent is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The level, from 0 (coarsest).
    pub level: usize,
    /// How many levels there are.
    pub levels: usize,
    /// The iteration of this level, from 0.
    pub iteration: usize,
    /// The losses of the picture as it is.
    pub losses: Losses,
    size: (u32, u32),
    picture: &'a [f32],
}

impl Progress<'_> {
    /// The picture as it is, in sRGB, before any colours are brought back.
    pub fn picture(&self) -> Raster {
        canvas_of(self.size.0, self.size.1, self.picture)
    }
}

/// Sees each iteration, and says whether to go on.
pub type Watching<'a> = dyn FnMut(&Progress<'_>) -> Result<ControlFlow<()>> + 'a;

/// The content in the style of others. The weights of the extractor are on `device`.
///
/// Profile, depth, alpha and size are those of the content. A descent that runs away is taken back to
/// its best picture; the figures of the change say how often (`returns`).
///
/// # Errors
/// `invalid_request` when a value is out of range, a layer is unknown, there is no style, or a mask is
/// of another size than the content; `oom`; those of `watch`.
pub fn optimize(
    extractor: &Extractor,
    device: &Device,
    content: &Raster,
    styles: &[Style],
    settings: &Settings,
    watch: &mut Watching<'_>,
) -> Result<Outcome> {
    settings.validate()?;
    palette::check(styles, (content.width(), content.height()))?;
    let manner = Manner::of(content, settings.keep_colors, settings.color_on_gray);
    let mut made = palette::standard(content, manner)?;
    let small = fitted(&made, settings.size, false)?;
    let (width, height) = (small.width(), small.height());
    let styles = prepared(styles, &small, manner, settings)?;
    let seen = if manner.sees_gray() {
        palette::gray(small.clone())?
    } else {
        small.clone()
    };
    let canvas = canvas(&seen);
    let job = Job {
        extractor,
        device,
        settings,
        styles: &styles,
        canvas: &canvas,
    };
    let found = job.descend(watch)?;
    let change = change(&found, settings, styles.len(), (width, height));
    // What is finer than the optimised picture is the content's.
    let differs = (width, height) != (made.width(), made.height());
    let own = match manner {
        Manner::Colors(KeepColors::Luma) => 1.0,
        _ if differs => settings.detail,
        _ => 0.0,
    };
    let field = field(&found.picture, &small, manner, own);
    palette::paint(&mut made, &field, (width as usize, height as usize), own);
    Ok(Outcome::changed(
        palette::own_profile(made, content)?,
        change,
    ))
}

/// What came of all levels.
struct Found {
    picture: Vec<f32>,
    first: Losses,
    losses: Losses,
    iterations: usize,
    levels: usize,
    returns: usize,
    gave_up: bool,
}

fn change(found: &Found, settings: &Settings, styles: usize, size: (u32, u32)) -> Change {
    let times = if found.gave_up {
        "; the descent ran away and ended at its best picture"
    } else if found.returns > 0 {
        "; the descent ran away and was taken back"
    } else {
        ""
    };
    Change::new(format!(
        "given the style of {styles} pictures by optimisation{times}"
    ))
    .value("iterations", found.iterations as f64)
    .value("levels", found.levels as f64)
    .value("optimised_width", f64::from(size.0))
    .value("optimised_height", f64::from(size.1))
    .value("first_loss", found.first.total)
    .value("loss", found.losses.total)
    .value("content_loss", found.losses.content)
    .value("style_loss", found.losses.style)
    .value("alpha", settings.weights.alpha)
    .value("beta", settings.weights.beta)
    .value("returns", found.returns as f64)
}

/// A style, ready to be looked at: at most as large as it will be needed.
struct Prepared {
    picture: Raster,
    weight: f64,
    scales: Vec<f64>,
    mask: Option<Raster>,
}

fn prepared(
    styles: &[Style],
    content: &Raster,
    manner: Manner,
    settings: &Settings,
) -> Result<Vec<Prepared>> {
    let prepared = styles.iter().map(|style| {
        let most = style.scales.iter().copied().fold(0.0, f64::max);
        let longest = (f64::from(settings.size) * most).round() as u32;
        let picture = fitted(&style.picture, longest.max(64), false)?;
        Ok(Prepared {
            picture: canvas(&palette::style_for(&picture, content, manner)?),
            weight: style.weight,
            scales: style.scales.clone(),
            mask: match &style.mask {
                Some(mask) => {
                    let mask = palette::gray(mask.clone())?;
                    Some(exactly(&canvas(&mask), content.width(), content.height())?)
                }
                None => None,
            },
        })
    });
    prepared.collect()
}

/// A descent over all levels.
struct Job<'a> {
    extractor: &'a Extractor,
    device: &'a Device,
    settings: &'a Settings,
    styles: &'a [Prepared],
    /// The content as the network sees it, at the finest level.
    canvas: &'a Raster,
}

impl Job<'_> {
    fn descend(&self, watch: &mut Watching<'_>) -> Result<Found> {
        let (width, height) = (self.canvas.width(), self.canvas.height());
        let levels = self.settings.levels(width, height);
        let mut before: Option<Raster> = None;
        let mut found: Option<Found> = None;
        for level in 0..levels {
            let shift = levels - 1 - level;
            let side = |len: u32| (len >> shift).max(1);
            let content = exactly(self.canvas, side(width), side(height))?;
            let start = match before.take() {
                Some(before) => exactly(&before, content.width(), content.height())?,
                None => self.start(&content)?,
            };
            let objective = self.objective(&content)?;
            let size = (content.width(), content.height());
            let mut stopped = false;
            let descent = minimize(
                &objective,
                &self.tensor(&start)?,
                self.settings.method,
                self.settings.iterations,
                &mut |iteration, losses, picture| {
                    let went = watch(&Progress {
                        level,
                        levels,
                        iteration,
                        losses: *losses,
                        size,
                        picture,
                    })?;
                    stopped = went.is_break();
                    Ok(went)
                },
            )?;
            before = Some(canvas_of(size.0, size.1, &descent.picture));
            let so_far = found.take();
            let earlier = so_far.as_ref();
            found = Some(Found {
                first: descent.history.first().copied().unwrap_or(descent.losses),
                losses: descent.losses,
                iterations: earlier.map_or(0, |found| found.iterations)
                    + descent.history.len().saturating_sub(1),
                levels: level + 1,
                returns: earlier.map_or(0, |found| found.returns) + descent.returns,
                gave_up: descent.gave_up || earlier.is_some_and(|found| found.gave_up),
                picture: descent.picture,
            });
            if stopped {
                break;
            }
        }
        let mut found = found.expect("there is at least one level");
        if let Some(picture) = before {
            // Stopped before the finest level.
            let picture = exactly(&picture, width, height)?;
            found.picture = planes(&picture, &whole(&picture));
        }
        Ok(found)
    }

    fn objective(&self, content: &Raster) -> Result<Objective> {
        let longest = f64::from(content.width().max(content.height()));
        let mut styles = Vec::new();
        for style in self.styles {
            let mut pictures = Vec::new();
            for scale in &style.scales {
                let side = (longest * scale).round() as u32;
                pictures.push(self.tensor(&fitted(&style.picture, side.max(32), false)?)?);
            }
            let mask = match &style.mask {
                Some(mask) => {
                    let mask = exactly(mask, content.width(), content.height())?;
                    let mask = self.tensor(&mask)?.narrow(1, 0, 1).in_network()?;
                    Some(
                        mask.clamp(0.0, 1.0)
                            .in_network()?
                            .contiguous()
                            .in_network()?,
                    )
                }
                None => None,
            };
            styles.push(StyleTensors {
                pictures,
                weight: style.weight,
                mask,
            });
        }
        let weights = self.settings.weights.clone();
        Objective::new(self.extractor, &self.tensor(content)?, &styles, weights)
    }

    fn start(&self, content: &Raster) -> Result<Raster> {
        let (width, height) = (content.width(), content.height());
        match (self.settings.start, self.styles.first()) {
            (Start::Content, _) | (Start::Style, None) => Ok(content.clone()),
            (Start::Style, Some(style)) => exactly(&style.picture, width, height),
            (Start::Noise, _) => {
                let values = planes(content, &whole(content));
                let area = values.len() / 3;
                let mut chance = Chance::new(self.settings.seed, "style noise");
                let noise = values.chunks_exact(area).flat_map(|plane| {
                    let mean = plane.iter().sum::<f32>() / area as f32;
                    (0..area)
                        .map(|_| mean + 0.1 * chance.normal() as f32)
                        .collect::<Vec<_>>()
                });
                Ok(canvas_of(width, height, &noise.collect::<Vec<f32>>()))
            }
        }
    }

    fn tensor(&self, canvas: &Raster) -> Result<Tensor> {
        let (width, height) = (canvas.width() as usize, canvas.height() as usize);
        let values = planes(canvas, &whole(canvas));
        Tensor::from_vec(values, (1, 3, height, width), self.device).in_network()
    }
}

/// What is to be added to the content, of which a share `own` stays.
fn field(made: &[f32], content: &Raster, manner: Manner, own: f32) -> Vec<f32> {
    let area = content.pixels();
    let clamped = |channel: usize, at: usize| made[channel * area + at].clamp(0.0, 1.0);
    let luma = |at: usize| palette::luma([clamped(0, at), clamped(1, at), clamped(2, at)]);
    let content = planes(content, &whole(content));
    match manner {
        Manner::Gray => (0..area).map(|at| luma(at) - own * content[at]).collect(),
        Manner::Colors(KeepColors::Luma) => (0..area)
            .map(|at| {
                let own = [0, 1, 2].map(|channel| content[channel * area + at]);
                luma(at) - palette::luma(own)
            })
            .collect(),
        Manner::Colors(_) => (0..3 * area)
            .map(|at| made[at].clamp(0.0, 1.0) - own * content[at])
            .collect(),
    }
}
