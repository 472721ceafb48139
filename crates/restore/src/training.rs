//! Teaching [`MendNet`](crate::networks::mend): to find damage, and to fill what is missing.
//!
//! Both learn from pictures that were damaged on purpose, with the mask of the damage: a batch has the
//! damaged picture, the picture before, and the mask from 0 to 1. Clearing pictures needs no mask and
//! is taught by `fonds_gan::trainers::SuperResolution`.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result, Seed};
use fonds_nn::VarBuilder;
use fonds_nn::error::TensorResult;
use fonds_nn::loss::{PixelLoss, cross_entropy, dice_loss, softplus, weighted};
use fonds_nn::network::Network;
use fonds_nn::train::{
    Batch, Export, Learner, Lesson, State, Terms, Trainer, export, for_use, forward, rows,
    translate,
};
use fonds_nn::weights::Tensors;

use crate::networks::mend::{Config, Mend, Role};

/// Who learns, and what counts how much.
#[derive(Debug, Clone)]
pub struct MendingSetup {
    /// The network; its role is [`Role::Detect`] or [`Role::Fill`].
    pub network: Config,
    /// How it learns.
    pub lesson: Lesson,
    /// How much of a pixel has to be hidden for it to be damaged, 0 to 1.
    pub threshold: f64,
    /// Finding: what a damaged pixel counts against a sound one in the cross entropy. Filling: what
    /// the mean difference within holes counts against that outside of them.
    pub damaged_weight: f64,
    /// Finding: what Dice's loss counts beside the cross entropy.
    pub dice_weight: f64,
}

impl MendingSetup {
    /// That there is such a network, and a trainer for it.
    ///
    /// # Errors
    /// `invalid_request` for another role or a threshold out of range; those of [`Config::validate`].
    pub fn validate(&self) -> Result<()> {
        if self.network.role == Role::Clear {
            let error = Error::new(
                Code::InvalidRequest,
                "a network that clears pictures needs no masks",
            );
            return Err(error.hint("train it by train.super_resolution"));
        }
        if !(self.threshold > 0.0 && self.threshold < 1.0) {
            let message = format!(
                "`threshold` is {}, and lies between 0 and 1",
                self.threshold
            );
            return Err(Error::new(Code::InvalidRequest, message));
        }
        self.network.validate()
    }
}

/// Trains a network to find damage or to fill holes.
#[derive(Debug)]
pub struct Mending {
    setup: MendingSetup,
    learner: Learner<dyn Network>,
}

impl Mending {
    /// The network with made-up weights; `at` gives the numbers of weights and where they are.
    ///
    /// # Errors
    /// As [`MendingSetup::validate`].
    pub fn new(setup: MendingSetup, seed: Seed, at: (DType, &Device)) -> Result<Self> {
        setup.validate()?;
        let config = setup.network.clone();
        let make = Arc::new(move |vb: VarBuilder<'static>| -> Result<Box<dyn Network>> {
            Ok(Box::new(Mend::new(&config, vb)?))
        });
        let name = match setup.network.role {
            Role::Detect => "detector",
            _ => "filler",
        };
        let learner = Learner::new(name, make, setup.lesson.clone(), seed, at)?;
        Ok(Self { setup, learner })
    }

    /// Begins with a checkpoint's weights.
    ///
    /// # Errors
    /// As [`Learner::load`].
    pub fn begin_with(&mut self, tensors: &Tensors) -> Result<()> {
        self.learner.load(tensors, |_| false)
    }

    /// The network, for tests and tools.
    pub fn learner(&self) -> &Learner<dyn Network> {
        &self.learner
    }

    /// 1 where the damage hides as much as is asked for, else 0: `[n, 1, h, w]`.
    fn damaged(&self, mask: &Tensor) -> Result<Tensor> {
        let over = || mask.ge(self.setup.threshold)?.to_dtype(mask.dtype());
        over().in_network()
    }

    /// The losses of odds against what is damaged.
    fn found(&self, odds: &Tensor, damaged: &Tensor, terms: &mut Terms) -> Result<Tensor> {
        let entropy = cross_entropy(odds, damaged, self.setup.damaged_weight)?;
        let dice = dice_loss(odds, damaged)?;
        terms.note("entropy", &entropy)?;
        terms.note("dice", &dice)?;
        sum(&[(1.0, entropy), (self.setup.dice_weight, dice)])
    }

    /// The losses of a filled picture.
    fn filled(
        &self,
        (made, target): (&Tensor, &Tensor),
        hole: &Tensor,
        terms: &mut Terms,
    ) -> Result<Tensor> {
        let within = |mask: &Tensor| -> Result<Tensor> {
            let masked = |x: &Tensor| x.broadcast_mul(mask).in_network();
            let loss = PixelLoss::Absolute.between(&masked(made)?, &masked(target)?)?;
            // The mean over the masked pixels alone; at least of one, when there is no hole.
            let share = || {
                let least = 1.0 / mask.elem_count() as f64;
                mask.mean_all()?.clamp(least, 1.0)
            };
            loss.div(&share().in_network()?).in_network()
        };
        let inside = within(hole)?;
        let outside = within(&hole.affine(-1.0, 1.0).in_network()?)?;
        terms.note("inside", &inside)?;
        terms.note("outside", &outside)?;
        sum(&[(self.setup.damaged_weight, inside), (1.0, outside)])
    }

    /// What the trained network makes of a batch: how likely damage is, as gray pictures; or the filled
    /// pictures, which outside of the holes are as they were.
    fn restored(&self, batch: &Batch) -> Result<Tensor> {
        let backend = for_use(self.learner.parameters().device());
        let network = Mend::load(&self.setup.network, &self.learner.best()?, &backend)?;
        let damaged = batch.kind(0)?;
        if self.setup.network.role == Role::Detect {
            let odds = translate(&network, &backend, damaged)?;
            return likely(&odds).in_network();
        }
        let hole = self.damaged(batch.kind(2)?)?;
        let made = translate(&network, &backend, &with_holes(damaged, &hole)?)?;
        let filled = || {
            let kept = damaged.broadcast_mul(&hole.affine(-1.0, 1.0)?)?;
            made.broadcast_mul(&hole)? + kept
        };
        filled().in_network()
    }
}

/// Odds as a share, in three equal channels.
fn likely(odds: &Tensor) -> candle_core::Result<Tensor> {
    let share = (odds - softplus(odds)?)?.exp()?;
    Tensor::cat(&[&share, &share, &share], 1)
}

/// Pictures whose holes are ½, and the holes as a last channel.
fn with_holes(pictures: &Tensor, hole: &Tensor) -> Result<Tensor> {
    let made = || {
        let kept = pictures.broadcast_mul(&hole.affine(-1.0, 1.0)?)?;
        let gray = kept.broadcast_add(&(hole * 0.5)?)?;
        Tensor::cat(&[&gray, hole], 1)
    };
    made().in_network()
}

fn sum(parts: &[(f64, Tensor)]) -> Result<Tensor> {
    let nothing = || Error::new(Code::InvalidRequest, "all losses count nothing");
    weighted(parts)?.ok_or_else(nothing)
}

impl Trainer for Mending {
    fn step(&mut self, batch: &Batch, step: u64) -> Result<Terms> {
        let parameters = self.learner.parameters();
        let batch = batch.to(parameters.dtype(), parameters.device())?;
        let hole = self.damaged(batch.kind(2)?)?;
        let network = self.learner.live()?;
        let mut terms = Terms::default();
        let loss = if self.setup.network.role == Role::Detect {
            let odds = forward(&self.learner, &*network, batch.kind(0)?)?;
            self.found(&odds, &hole, &mut terms)?
        } else {
            let given = with_holes(batch.kind(0)?, &hole)?;
            let made = forward(&self.learner, &*network, &given)?;
            self.filled((&made, batch.kind(1)?), &hole, &mut terms)?
        };
        let mut gradients = loss.backward().in_network()?;
        self.learner.learn(&mut gradients, step)?;
        Ok(terms)
    }

    fn verdict(&self) -> Option<fonds_nn::train::Verdict> {
        None
    }

    /// Each row: the damaged picture, what is found or filled, what was to be found or filled.
    fn show(&self, fixed: &Batch) -> Result<Vec<Vec<Tensor>>> {
        let made = self.restored(fixed)?;
        if self.setup.network.role == Role::Detect {
            let mask = self.damaged(fixed.kind(2)?)?;
            let mask = Tensor::cat(&[&mask, &mask, &mask], 1).in_network()?;
            return rows(&[fixed.kind(0)?, &made, &mask]);
        }
        rows(&[fixed.kind(0)?, &made, fixed.kind(1)?])
    }

    fn make(&self, batch: &Batch, _: u64) -> Result<Tensor> {
        self.restored(batch)
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        state.nest("network", self.learner.state()?);
        Ok(state)
    }

    fn restore(&mut self, mut state: State) -> Result<()> {
        self.learner.restore(state.take("network"))
    }

    fn exports(&self) -> Result<Vec<Export>> {
        let role = self.setup.network.role;
        let name = if role == Role::Detect {
            "detector"
        } else {
            "filler"
        };
        Ok(vec![export(name, "MendNet", &self.learner)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(role: Role) -> MendingSetup {
        MendingSetup {
            network: Config {
                role,
                widths: vec![8, 8],
                blocks: 1,
                middle: 1,
            },
            lesson: Lesson::adam(1e-2, (0.9, 0.99)),
            threshold: 0.2,
            damaged_weight: 2.0,
            dice_weight: 1.0,
        }
    }

    fn trainer(role: Role) -> Mending {
        Mending::new(setup(role), Seed::new(3), (DType::F32, &Device::Cpu)).unwrap()
    }

    /// Gray ramps with a bright line each, the ramps, and where the lines are.
    fn batch() -> Batch {
        let (count, side) = (2, 16);
        let mut planes: [Vec<f32>; 3] = [const { Vec::new() }; 3];
        for n in 0..count {
            for channel in 0..3 {
                for y in 0..side {
                    for x in 0..side {
                        let clean = 0.2 + 0.4 * (x + y) as f32 / 32.0;
                        let line = x == 5 + 3 * n;
                        planes[0].push(if line { 1.0 } else { clean });
                        planes[1].push(clean);
                        if channel == 0 {
                            planes[2].push(f32::from(u8::from(line)) * 0.8);
                        }
                    }
                }
            }
        }
        let channels = [3, 3, 1];
        let pictures = planes.iter().zip(channels).map(|(values, channels)| {
            Tensor::from_slice(values, (count, channels, side, side), &Device::Cpu).unwrap()
        });
        Batch {
            pictures: pictures.collect(),
            condition: None,
        }
    }

    fn mean(values: &Tensor) -> f32 {
        values.mean_all().unwrap().to_scalar::<f32>().unwrap()
    }

    #[test]
    fn lines_are_learned_to_be_found() {
        let (mut trainer, batch) = (trainer(Role::Detect), batch());
        for step in 0..120 {
            trainer.step(&batch, step).unwrap();
        }
        let likely = trainer.make(&batch, 0).unwrap();
        let line = likely.broadcast_mul(&batch.pictures[2]).unwrap();
        // Two lines of 16 pixels among 512, each with 0.8 in the mask.
        assert!(mean(&line) > 0.9 * 0.8 / 16.0, "{}", mean(&line));
        assert!(mean(&likely) < 1.3 / 16.0, "{}", mean(&likely));
        let rows = trainer.show(&batch).unwrap();
        assert_eq!((rows.len(), rows[0].len()), (2, 3));
        assert_eq!(rows[0][1].dims(), [3, 16, 16]);
    }

    #[test]
    fn holes_are_learned_to_be_filled_and_nothing_else_changes() {
        let (mut trainer, batch) = (trainer(Role::Fill), batch());
        let distance = |trainer: &Mending| {
            let made = trainer.make(&batch, 0).unwrap();
            mean(&(made - &batch.pictures[1]).unwrap().abs().unwrap())
        };
        let before = distance(&trainer);
        for step in 0..120 {
            trainer.step(&batch, step).unwrap();
        }
        assert!(
            distance(&trainer) < before / 4.0,
            "{before} {}",
            distance(&trainer)
        );
        let made = trainer.make(&batch, 0).unwrap();
        let sound = batch.pictures[2].affine(-1.25, 1.0).unwrap();
        let changed = (made - &batch.pictures[0])
            .unwrap()
            .broadcast_mul(&sound)
            .unwrap();
        assert_eq!(mean(&changed.abs().unwrap()), 0.0);
    }

    #[test]
    fn a_batch_without_holes_has_losses() {
        let mut batch = batch();
        batch.pictures[2] = batch.pictures[2].zeros_like().unwrap();
        for role in [Role::Detect, Role::Fill] {
            let terms = trainer(role).step(&batch, 0).unwrap();
            assert!(
                terms.iter().all(|(_, value)| value.is_finite()),
                "{terms:?}"
            );
        }
    }

    #[test]
    fn a_state_comes_back() {
        let batch = batch();
        let mut one = trainer(Role::Fill);
        one.step(&batch, 0).unwrap();
        let mut other = trainer(Role::Fill);
        other.restore(one.state().unwrap()).unwrap();
        let [one, other] = [&mut one, &mut other].map(|trainer| trainer.step(&batch, 1).unwrap());
        assert_eq!(one, other);
    }

    #[test]
    fn what_cannot_be_trained_is_refused() {
        let error = setup(Role::Clear).validate().unwrap_err();
        assert_eq!(error.hints(), ["train it by train.super_resolution"]);
        let odd = MendingSetup {
            threshold: 1.0,
            ..setup(Role::Fill)
        };
        assert_eq!(odd.validate().unwrap_err().code(), Code::InvalidRequest);
    }
}
