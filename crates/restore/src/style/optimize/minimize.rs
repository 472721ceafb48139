//! Descent on the picture, with its way watched and taken back where it runs away.

use std::ops::ControlFlow;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use fonds_core::{Code, Error, Result};
use fonds_nn::error::TensorResult;
use fonds_nn::train::{Optimizer, OptimizerConfig};

use super::lbfgs::{Lbfgs, Memory, Moved, Place};
use super::objective::{Losses, Objective};

/// How the picture descends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// L-BFGS, which needs the fewest iterations.
    Lbfgs(Lbfgs),
    /// Adam, which needs the least memory.
    Adam {
        /// The most that a value moves in an iteration, in units of 0 to 1.
        rate: f64,
    },
}

impl Default for Method {
    fn default() -> Self {
        Self::Lbfgs(Lbfgs::default())
    }
}

impl Method {
    /// That values are in range.
    ///
    /// # Errors
    /// `invalid_request` that names the value.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Lbfgs(config) => config.validate(),
            Self::Adam { rate } if *rate > 0.0 && *rate <= 1.0 => Ok(()),
            Self::Adam { rate } => {
                let message = format!("a rate of {rate} is not between 0 and 1");
                Err(Error::new(Code::InvalidRequest, message))
            }
        }
    }

    /// The same, more careful.
    fn slower(self) -> Self {
        match self {
            Self::Lbfgs(config) => Self::Lbfgs(Lbfgs {
                rate: config.rate / 4.0,
                ..config
            }),
            Self::Adam { rate } => Self::Adam { rate: rate / 4.0 },
        }
    }
}

/// A loss of so many times the first one is a way that runs away.
const AWAY: f64 = 10.0;

/// How often it is taken back before it is given up.
const RETURNS: usize = 3;

/// The way of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Descent {
    /// The picture with the least loss, planes `[3, h, w]` of about 0 to 1, not clamped.
    pub picture: Vec<f32>,
    /// Its loss.
    pub losses: Losses,
    /// The loss before each iteration, and at the end.
    pub history: Vec<Losses>,
    /// How often the way ran away and was taken back to the best picture so far.
    pub returns: usize,
    /// Whether it was given up because it ran away once more.
    pub gave_up: bool,
}

/// Sees each iteration: its number, the losses and the picture. Says whether to go on.
pub type Watch<'a> = dyn FnMut(usize, &Losses, &[f32]) -> Result<ControlFlow<()>> + 'a;

/// Descends from a picture `[1, 3, h, w]`, so many iterations.
///
/// When the loss is no number or ten times what it was at the start, the picture with the least loss
/// is taken up again and the steps become four times as small; the fourth time it stays with that
/// picture.
///
/// # Errors
/// `invalid_request` when a value of the method is out of range, `oom`, and those of `watch`.
pub fn minimize(
    objective: &Objective,
    start: &Tensor,
    method: Method,
    iterations: usize,
    watch: &mut Watch<'_>,
) -> Result<Descent> {
    method.validate()?;
    let var = Var::from_tensor(&start.contiguous().in_network()?).in_network()?;
    let mut picture: Vec<f32> = start.flatten_all().in_network()?.to_vec1().in_network()?;
    let mut descent = Descent {
        picture: picture.clone(),
        losses: evaluate(objective, &var, &picture)?.losses,
        history: Vec::new(),
        returns: 0,
        gave_up: false,
    };
    if !descent.losses.total.is_finite() {
        let message = "the loss of the picture to start from is no number";
        return Err(Error::new(Code::ModelError, message));
    }
    let mut method = method;
    let mut run = Run::start(method, &var)?;
    let mut next: Option<Seen> = None;
    for iteration in 0..iterations {
        let seen = match next.take() {
            Some(known) => known,
            None => evaluate(objective, &var, &picture)?,
        };
        let losses = seen.losses;
        let first = descent.history.first().copied().unwrap_or(losses);
        let fine = losses.total.is_finite()
            && losses.total <= AWAY * first.total
            && seen.place.gradient.iter().all(|value| value.is_finite());
        if !fine {
            picture.clone_from(&descent.picture);
            if descent.returns == RETURNS {
                descent.gave_up = true;
                break;
            }
            descent.returns += 1;
            method = method.slower();
            set(&var, &picture)?;
            run = Run::start(method, &var)?;
            continue;
        }
        descent.note(losses, &picture);
        if watch(iteration, &losses, &picture)?.is_break() {
            return Ok(descent);
        }
        match run.step(objective, &var, &mut picture, seen)? {
            Step::Known(seen) => next = Some(seen),
            Step::Unknown => {}
            Step::End => break,
        }
    }
    let last = match next {
        Some(known) => known.losses,
        None => evaluate(objective, &var, &picture)?.losses,
    };
    if last.total.is_finite() {
        descent.note(last, &picture);
    }
    Ok(descent)
}

impl Descent {
    fn note(&mut self, losses: Losses, picture: &[f32]) {
        if losses.total <= self.losses.total {
            self.losses = losses;
            self.picture.clear();
            self.picture.extend_from_slice(picture);
        }
        self.history.push(losses);
    }
}

/// A method at work.
enum Run {
    Lbfgs(Box<Memory>),
    Adam(Box<Optimizer>),
}

enum Step {
    /// What is to be known of the new picture is known already.
    Known(Seen),
    Unknown,
    /// There is nothing lower.
    End,
}

impl Run {
    fn start(method: Method, var: &Var) -> Result<Self> {
        Ok(match method {
            Method::Lbfgs(config) => Self::Lbfgs(Box::new(Memory::new(config))),
            Method::Adam { rate } => {
                let config = OptimizerConfig::adam(rate, (0.9, 0.999));
                let parameters = vec![("picture".to_owned(), var.clone())];
                Self::Adam(Box::new(Optimizer::new(config, parameters)?))
            }
        })
    }

    fn step(
        &mut self,
        objective: &Objective,
        var: &Var,
        picture: &mut [f32],
        at: Seen,
    ) -> Result<Step> {
        match self {
            Self::Lbfgs(memory) => {
                // The search ends at one of the places that it evaluated.
                let mut seen: Vec<(f64, Losses)> = Vec::new();
                let moved = memory.step(picture, at.place, &mut |x| {
                    let Seen { place, losses, .. } = evaluate(objective, var, x)?;
                    seen.push((place.loss, losses));
                    Ok(place)
                })?;
                let Moved::To(place) = moved else {
                    return Ok(Step::End);
                };
                let known = seen.into_iter().rev().find(|(loss, _)| *loss == place.loss);
                Ok(known.map_or(Step::Unknown, |(_, losses)| {
                    Step::Known(Seen {
                        place,
                        losses,
                        gradients: None,
                    })
                }))
            }
            Self::Adam(optimizer) => {
                let lost = || Error::new(Code::Internal, "a picture without a gradient");
                let gradients = at.gradients.ok_or_else(lost)?;
                optimizer.step(&gradients, 1.0)?;
                let values = var.as_tensor().detach().flatten_all().in_network()?;
                picture.copy_from_slice(&values.to_vec1::<f32>().in_network()?);
                Ok(Step::Unknown)
            }
        }
    }
}

/// What is known of a picture.
struct Seen {
    place: Place,
    losses: Losses,
    /// The gradient as candle keeps it.
    gradients: Option<GradStore>,
}

fn set(var: &Var, picture: &[f32]) -> Result<()> {
    let tensor = Tensor::from_slice(picture, var.shape(), var.device()).in_network()?;
    var.set(&tensor).in_network()
}

/// Loss and gradient at a picture.
fn evaluate(objective: &Objective, var: &Var, picture: &[f32]) -> Result<Seen> {
    set(var, picture)?;
    let (loss, losses) = objective.of(var.as_tensor())?;
    let gradients = loss.backward().in_network()?;
    let gradient = match gradients.get(var.as_tensor()) {
        Some(gradient) => {
            let flat = gradient.flatten_all().in_network()?;
            flat.to_vec1().in_network()?
        }
        None => vec![0.0; picture.len()],
    };
    Ok(Seen {
        place: Place {
            loss: losses.total,
            gradient,
        },
        losses,
        gradients: Some(gradients),
    })
}
