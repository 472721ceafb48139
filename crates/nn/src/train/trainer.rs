//! What a training loop knows of those who train: steps with named losses, a state, pictures to look
//! at, networks to keep.

use std::collections::BTreeMap;
use std::fmt::Debug;

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result};

use super::State;
use crate::error::TensorResult;
use crate::weights::Tensors;

/// What a step is fed with.
#[derive(Debug, Clone)]
pub struct Batch {
    /// One tensor `[n, channels, height, width]` from 0 to 1 for each kind of picture: one, or a
    /// source and its target, or two that have nothing to do with each other.
    pub pictures: Vec<Tensor>,
    /// What is known of each picture, `[n, conditions]`: 1 for its class or for attributes that it
    /// has, else 0.
    pub condition: Option<Tensor>,
}

impl Batch {
    /// Pictures of one kind.
    pub fn of(pictures: Tensor) -> Self {
        Self {
            pictures: vec![pictures],
            condition: None,
        }
    }

    /// Pairs of pictures.
    pub fn pairs(sources: Tensor, targets: Tensor) -> Self {
        Self {
            pictures: vec![sources, targets],
            condition: None,
        }
    }

    /// The pictures of a kind.
    ///
    /// # Errors
    /// `invalid_request` when there are none.
    pub fn kind(&self, index: usize) -> Result<&Tensor> {
        self.pictures.get(index).ok_or_else(|| {
            let message = format!(
                "this trainer needs {} pictures in a sample and the data set gives {}",
                index + 1,
                self.pictures.len()
            );
            let error = Error::new(Code::InvalidRequest, message);
            error.hint("give it pairs, two folders, or a degradation that makes pairs")
        })
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.pictures.first().map_or(0, |tensor| tensor.dims()[0])
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same on a device and in a number type.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<Self> {
        let moved = |tensor: &Tensor| {
            let tensor = tensor.to_dtype(dtype).in_network()?;
            tensor.to_device(device).in_network()
        };
        Ok(Self {
            pictures: self.pictures.iter().map(moved).collect::<Result<_>>()?,
            condition: self.condition.as_ref().map(moved).transpose()?,
        })
    }
}

/// The losses of one step by name, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms(Vec<(&'static str, f64)>);

impl Terms {
    /// Notes a loss, a single number.
    ///
    /// # Errors
    /// `model_error` that names the term when it is not finite. Trainers note losses before they
    /// take a step, so that the weights are then still good.
    pub fn note(&mut self, name: &'static str, loss: &Tensor) -> Result<()> {
        let value = loss.to_dtype(DType::F64).in_network()?;
        self.note_number(name, value.to_scalar::<f64>().in_network()?)
    }

    /// Notes a number.
    ///
    /// # Errors
    /// As [`Terms::note`].
    pub fn note_number(&mut self, name: &'static str, value: f64) -> Result<()> {
        if !value.is_finite() {
            let message = format!("the loss `{name}` is {value}");
            let error = Error::new(Code::ModelError, message);
            return Err(error
                .hint("lower the learning rates, or clip the gradients")
                .hint("look at the losses before it in train.csv"));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.0.iter().copied()
    }

    /// The value of a term.
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.0.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| *value)
    }
}

/// A network to be kept after training.
#[derive(Debug, Clone)]
pub struct Export {
    /// For the name of its file, such as `generator`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Its weights.
    pub tensors: Tensors,
    /// What a reader of the file cannot tell from keys and shapes, by name.
    pub about: BTreeMap<String, String>,
}

/// How well a discriminator tells real from made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The share of real pictures that it took for real, 0 to 1.
    pub real: f64,
    /// The share of made pictures that it took for made, 0 to 1.
    pub fake: f64,
}

/// Someone who trains networks, step by step.
pub trait Trainer: Debug + Send {
    /// How many batches a step takes: as many as the discriminator takes steps. The loop gives them
    /// as one batch of so many times the samples.
    fn batches_per_step(&self) -> usize {
        1
    }

    /// Takes step number `step` (from 0) and reports its losses.
    ///
    /// # Errors
    /// `model_error` when a loss or a gradient is not finite: the weights are then those of the step
    /// before. `invalid_request` when the batch does not fit.
    fn step(&mut self, batch: &Batch, step: u64) -> Result<Terms>;

    /// How the discriminator judged in the last step; none where none judges yet.
    fn verdict(&self) -> Option<Verdict>;

    /// Pictures to look at, made from a fixed batch: for each sample a row of tensors
    /// `[channels, height, width]` from 0 to 1, such as source, made, target.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    fn show(&self, fixed: &Batch) -> Result<Vec<Vec<Tensor>>>;

    /// Pictures `[n, channels, height, width]` from 0 to 1 that the generator makes for a batch, to
    /// be measured against the data.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    fn make(&self, batch: &Batch, draw: u64) -> Result<Tensor>;

    /// All that is to be saved.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    fn state(&self) -> Result<State>;

    /// Takes back what [`Trainer::state`] gave.
    ///
    /// # Errors
    /// `model_error` when it is the state of another trainer.
    fn restore(&mut self, state: State) -> Result<()>;

    /// The networks that training is for.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    fn exports(&self) -> Result<Vec<Export>>;
}
