//! Damage made on purpose: what time, cameras and computers do to pictures, from a seed.
//!
//! A [`Recipe`] is a list of effects, each with its probability and the ranges of its parameters,
//! applied in order or shuffled. What was done comes back as a list ([`Applied`]), and where damage
//! is local (dust, hair, scratches, folds, tears, stains, foxing, stamps) as a mask.
//!
//! ```
//! use fonds_core::Seed;
//! use fonds_ingest::Planes;
//! use fonds_ingest::degrade::Recipe;
//!
//! # fn main() -> fonds_core::Result<()> {
//! let clean = Planes::filled(3, 96, 128, 0.6);
//! let damaged = Recipe::scratches().apply(&clean, Seed::new(7))?;
//! assert_eq!((damaged.planes.width, damaged.mask.width), (128, 128));
//! assert_eq!(damaged, Recipe::scratches().apply(&clean, Seed::new(7))?);
//! # Ok(())
//! # }
//! ```
//!
//! Lengths are in *units*: a pixel of a sample for training, a thousandth of the longer side of a
//! whole picture that is larger than that ([`age()`]).

mod age;
mod blur;
mod canvas;
mod dust;
mod fade;
mod field;
mod fold;
mod foxing;
mod grain;
mod hair;
mod halftone;
mod jpeg;
mod kernel;
mod layer;
mod lens;
mod low_resolution;
mod monochrome;
mod motion;
mod noise;
mod polygons;
mod problems;
mod recipes;
mod resize;
mod round;
mod scratch;
mod sepia;
mod silver;
mod sinc;
mod stain;
mod stamp;
mod tear;
mod vignette;
pub mod wire;
mod yellow;

use fonds_core::{Code, Error, Result, Seed};

use crate::draw::Draw;
use crate::planes::Planes;

pub use age::{Aged, age};
pub use blur::Blur;
use canvas::Canvas;
pub use dust::Dust;
pub use fade::Fade;
pub use fold::Fold;
pub use foxing::Foxing;
pub use grain::Grain;
pub use hair::Hair;
pub use halftone::Halftone;
pub use jpeg::Jpeg;
pub use lens::Lens;
pub use low_resolution::LowResolution;
pub use monochrome::Monochrome;
pub use motion::Motion;
pub use noise::Noise;
pub use problems::Problem;
use problems::Problems;
pub use recipes::RECIPES;
pub use resize::{Base, Interpolation, Resize};
pub use round::Round;
pub use scratch::Scratch;
pub use sepia::Sepia;
pub use silver::Silver;
pub use sinc::Sinc;
pub use stain::Stain;
pub use stamp::Stamp;
pub use tear::Tear;
pub use vignette::Vignette;
pub use yellow::Yellow;

/// Effects and their order; what a picture goes through.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// How many times smaller the picture comes out, across and down: 1 to 16.
    pub scale: usize,
    /// The effects.
    pub effects: Vec<Step>,
    /// Whether they come in this order.
    pub order: Order,
}

/// An effect that may happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How often it happens: 0 to 1.
    pub probability: f32,
    /// What happens.
    pub effect: Effect,
}

/// In which order effects are applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// As they are written.
    #[default]
    Fixed,
    /// Shuffled for every picture.
    Random,
}

/// One kind of damage, or several.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Blur of many shapes.
    Blur(Blur),
    /// Ringing.
    Sinc(Sinc),
    /// An old lens.
    Lens(Lens),
    /// The camera moved.
    Motion(Motion),
    /// Another size.
    Resize(Resize),
    /// Smaller and back.
    LowResolution(LowResolution),
    /// Noise of sensors.
    Noise(Noise),
    /// Grain of film.
    Grain(Grain),
    /// Compression.
    Jpeg(Jpeg),
    /// Rounding to 8 bits.
    Round(Round),
    /// Halftone screens.
    Halftone(Halftone),
    /// Black and white.
    Monochrome(Monochrome),
    /// Fading.
    Fade(Fade),
    /// Yellowing.
    Yellow(Yellow),
    /// Sepia.
    Sepia(Sepia),
    /// Silver mirroring.
    Silver(Silver),
    /// Dark or light corners.
    Vignette(Vignette),
    /// Stains.
    Stain(Stain),
    /// Foxing.
    Foxing(Foxing),
    /// Dust.
    Dust(Dust),
    /// Hairs.
    Hair(Hair),
    /// Scratches.
    Scratch(Scratch),
    /// Folds.
    Fold(Fold),
    /// Tears and lost corners.
    Tear(Tear),
    /// Stamps of damage.
    Stamp(Stamp),
    /// Several effects in an order of their own.
    Group {
        /// The effects.
        effects: Vec<Step>,
        /// Their order.
        order: Order,
    },
    /// One of several effects; their probabilities are weights.
    OneOf(Vec<Step>),
}

/// An effect that was applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Its name, as recipes spell it.
    pub effect: &'static str,
    /// Its parameters as they were drawn.
    pub parameters: Vec<(&'static str, Value)>,
}

/// A parameter of an effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number, in the unit that the effect's documentation names.
    Number(f64),
    /// A choice.
    Text(String),
}

/// A picture with its damage.
#[derive(Debug, Clone, PartialEq)]
pub struct Degraded {
    /// The picture, [`Recipe::scale`] times smaller than it was, values 0 to 1.
    pub planes: Planes,
    /// Where local damage lies, 0 to 1: one plane of the same size.
    pub mask: Planes,
    /// What was done, in this order.
    pub applied: Vec<Applied>,
}

/// What every effect can do.
trait Damage {
    /// The name, as recipes spell it.
    const NAME: &'static str;

    /// Writes down which parameters are out of range.
    fn check(&self, problems: &mut Problems);

    /// Makes the damage this many times as strong, within its range.
    fn strengthen(&mut self, by: f32);

    /// Damages the picture.
    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> Result<()>;
}

/// Does something with the parameters of whichever effect it is.
macro_rules! each {
    ($effect:expr, $own:ident => $do:expr, { $($other:tt)* }) => {
        match $effect {
            Effect::Blur($own) => $do,
            Effect::Sinc($own) => $do,
            Effect::Lens($own) => $do,
            Effect::Motion($own) => $do,
            Effect::Resize($own) => $do,
            Effect::LowResolution($own) => $do,
            Effect::Noise($own) => $do,
            Effect::Grain($own) => $do,
            Effect::Jpeg($own) => $do,
            Effect::Round($own) => $do,
            Effect::Halftone($own) => $do,
            Effect::Monochrome($own) => $do,
            Effect::Fade($own) => $do,
            Effect::Yellow($own) => $do,
            Effect::Sepia($own) => $do,
            Effect::Silver($own) => $do,
            Effect::Vignette($own) => $do,
            Effect::Stain($own) => $do,
            Effect::Foxing($own) => $do,
            Effect::Dust($own) => $do,
            Effect::Hair($own) => $do,
            Effect::Scratch($own) => $do,
            Effect::Fold($own) => $do,
            Effect::Tear($own) => $do,
            Effect::Stamp($own) => $do,
            $($other)*
        }
    };
}

impl Recipe {
    /// Refuses parameters out of range; the message names all of them.
    pub fn validate(&self) -> Result<()> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Err(Error::new(Code::InvalidRequest, all.join("; ")))
    }

    /// What is wrong with the parameters, each with the key at which it stands.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        if !(1..=16).contains(&self.scale) {
            problems.add("scale", &format!("it is 1 to 16 (found {})", self.scale));
        }
        check(&self.effects, "effect", &mut problems);
        problems.all
    }

    /// Reads what the recipe needs from files (its stamps), so that what is wrong with them is known
    /// before any picture is damaged.
    pub fn prepare(&self) -> Result<()> {
        prepare(&self.effects)
    }

    /// The same recipe, stronger or milder: 0 does nothing, 1 changes nothing, 2 doubles.
    ///
    /// Effects become more or less frequent (p becomes 1 − (1 − p)ˢ), and their amounts are
    /// multiplied within their ranges. Sizes of the picture and the choices stay.
    #[must_use]
    pub fn with_strength(&self, strength: f32) -> Self {
        let mut recipe = self.clone();
        // Rounding would change the probabilities a little.
        if strength != 1.0 {
            strengthen(&mut recipe.effects, strength.max(0.0));
        }
        recipe
    }

    /// Damages a picture; the same seed gives the same damage. A unit is a pixel.
    ///
    /// Fails with [`Code::InvalidRequest`] when the picture's sides are no multiples of the scale or
    /// parameters are out of range, and as reading does when the recipe has stamps.
    pub fn apply(&self, planes: &Planes, seed: Seed) -> Result<Degraded> {
        let (width, height) = (planes.width, planes.height);
        let scale = self.scale.max(1);
        if width % scale != 0 || height % scale != 0 {
            let message =
                format!("{width} × {height} pixels are no multiples of the scale {scale}");
            return Err(Error::new(Code::InvalidRequest, message));
        }
        self.damage(planes.clone(), seed, 1.0)
    }

    /// The same with units of so many pixels, and sides rounded up to the next pixel.
    fn damage(&self, planes: Planes, seed: Seed, unit: f32) -> Result<Degraded> {
        self.validate()?;
        let mut canvas = Canvas::new(planes, self.scale, unit);
        run(&self.effects, self.order, &mut canvas, &mut Draw::new(seed))?;
        Ok(canvas.finish())
    }
}

impl Step {
    /// An effect that happens so often.
    pub fn new(probability: f32, effect: Effect) -> Self {
        Self {
            probability,
            effect,
        }
    }

    /// An effect that always happens.
    pub fn always(effect: Effect) -> Self {
        Self::new(1.0, effect)
    }
}

fn run(steps: &[Step], order: Order, canvas: &mut Canvas, draw: &mut Draw) -> Result<()> {
    let mut turns: Vec<usize> = (0..steps.len()).collect();
    if order == Order::Random {
        draw.shuffle(&mut turns);
    }
    for turn in turns {
        let step = &steps[turn];
        // An effect draws from a generator of its own, so that what one takes moves no other.
        let mut own = Draw::new(Seed::new(draw.bits()));
        if draw.chance(step.probability) {
            step.effect.apply(canvas, &mut own)?;
        }
    }
    Ok(())
}

fn prepare(steps: &[Step]) -> Result<()> {
    steps.iter().try_for_each(|step| match &step.effect {
        Effect::Stamp(stamp) => stamp.prepare(),
        Effect::Group { effects, .. } | Effect::OneOf(effects) => prepare(effects),
        _ => Ok(()),
    })
}

/// A range of amounts so many times as large, up to `most`.
fn stronger((low, high): (f32, f32), by: f32, most: f32) -> (f32, f32) {
    ((low * by).min(most), (high * by).min(most))
}

fn strengthen(steps: &mut [Step], by: f32) {
    for step in steps {
        step.probability = 1.0 - (1.0 - step.probability.clamp(0.0, 1.0)).powf(by);
        step.effect.strengthen(by);
    }
}

fn check(steps: &[Step], key: &str, problems: &mut Problems) {
    for (i, step) in steps.iter().enumerate() {
        problems.within(format!("{key}[{i}]"), |problems| {
            problems.number("probability", step.probability, 0.0, 1.0);
            step.effect.check(problems);
        });
    }
}

impl Effect {
    /// The name of an effect, as recipes spell it.
    pub fn name(&self) -> &'static str {
        fn name<T: Damage>(_: &T) -> &'static str {
            T::NAME
        }
        each!(self, own => name(own), {
            Self::Group { .. } => "group",
            Self::OneOf(_) => "one_of",
        })
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> Result<()> {
        each!(self, own => own.apply(canvas, draw), {
            Self::Group { effects, order } => run(effects, *order, canvas, draw),
            Self::OneOf(steps) => {
                let weights: Vec<f32> = steps.iter().map(|step| step.probability).collect();
                steps[draw.weighted(&weights)].effect.apply(canvas, draw)
            }
        })
    }

    fn strengthen(&mut self, by: f32) {
        each!(self, own => own.strengthen(by), {
            Self::Group { effects, .. } => strengthen(effects, by),
            Self::OneOf(steps) => steps.iter_mut().for_each(|step| step.effect.strengthen(by)),
        });
    }

    fn check(&self, problems: &mut Problems) {
        problems.within(self.name().to_owned(), |problems| {
            each!(self, own => own.check(problems), {
                Self::Group { effects, .. } => check(effects, "effect", problems),
                Self::OneOf(steps) => {
                    if steps.iter().map(|step| step.probability).sum::<f32>() <= 0.0 {
                        problems.add("effect", "none of them has a probability above 0");
                    }
                    check(steps, "effect", problems);
                }
            });
        });
    }
}

/// What light or dark damage looks like on a print: nearly white or nearly black, never quite.
fn shade(light: bool, draw: &mut Draw) -> [f32; 3] {
    if light {
        let white = draw.between(0.88, 1.0);
        [
            white,
            white * draw.between(0.97, 1.0),
            white * draw.between(0.92, 1.0),
        ]
    } else {
        let black = draw.between(0.02, 0.16);
        [black * 1.1, black, black * draw.between(0.7, 1.0)]
    }
}

/// Bare paper.
fn paper(draw: &mut Draw) -> [f32; 3] {
    let white = draw.between(0.85, 0.97);
    [
        white,
        white * draw.between(0.95, 0.99),
        white * draw.between(0.84, 0.96),
    ]
}

#[cfg(test)]
mod tests;
