//! Damage made on purpose: what time, cameras and computers do to pictures, from a seed.
//!
//! A [`Recipe`] is a list of effects, each with its probability and the ranges of its parameters,
//! applied in order or shuffled. What was done comes back as a list ([`Applied`]), and where damage
//! is local (dust, hair, scratches, folds, tears, stains) as a mask.

mod canvas;
mod resize;

use fonds_core::{Code, Error, Result, Seed};

use crate::draw::Draw;
use crate::planes::Planes;

pub(crate) use canvas::Canvas;
pub use resize::{Base, Interpolation, Resize};

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

/// One kind of damage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Another size.
    Resize(Resize),
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

impl Recipe {
    /// The picture made smaller as MATLAB's `imresize` does: the standard of super-resolution.
    pub fn bicubic(scale: usize) -> Self {
        Self {
            scale,
            effects: vec![Step::always(Effect::Resize(Resize::matlab()))],
            order: Order::Fixed,
        }
    }

    /// Refuses parameters out of range, with their names.
    pub fn validate(&self) -> Result<()> {
        if !(1..=16).contains(&self.scale) {
            let message = format!("`scale` is 1 to 16 (found {})", self.scale);
            return Err(Error::new(Code::InvalidRequest, message));
        }
        Ok(())
    }

    /// Damages a picture; the same seed gives the same damage.
    ///
    /// Fails with [`Code::InvalidRequest`] when the picture's sides are no multiples of the scale.
    pub fn apply(&self, planes: &Planes, seed: Seed) -> Result<Degraded> {
        let (width, height) = (planes.width, planes.height);
        if width % self.scale != 0 || height % self.scale != 0 {
            let scale = self.scale;
            let message =
                format!("{width} × {height} pixels are no multiples of the scale {scale}");
            return Err(Error::new(Code::InvalidRequest, message));
        }
        let mut canvas = Canvas::new(planes.clone(), self.scale);
        let mut draw = Draw::new(seed);
        run(&self.effects, self.order, &mut canvas, &mut draw)?;
        Ok(canvas.finish())
    }
}

impl Step {
    /// An effect that always happens.
    pub fn always(effect: Effect) -> Self {
        Self {
            probability: 1.0,
            effect,
        }
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

impl Effect {
    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> Result<()> {
        match self {
            Self::Resize(resize) => resize.apply(canvas, draw),
        }
        Ok(())
    }
}
