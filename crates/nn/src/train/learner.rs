//! A network that learns: its weights, its optimiser, its schedule, and the average of its weights.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Var};
use candle_nn::VarBuilder;
use fonds_core::{Code, Error, Result, Seed};

use super::state::to_weights;
use super::{
    Average, Initialization, Optimizer, OptimizerConfig, Parameters, Schedule, State, clip_by_norm,
};
use crate::weights::Tensors;

/// Builds a network from weights.
pub type Make<N> = Arc<dyn Fn(VarBuilder<'static>) -> Result<Box<N>> + Send + Sync>;

/// How a network learns.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// How weights are made up.
    pub initialization: Initialization,
    /// How a step follows from gradients.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// The largest common norm of the gradients; they are scaled down to it.
    pub clip: Option<f64>,
    /// The share of the averaged weights that is kept in each step; none without an average.
    pub average: Option<f64>,
    /// In what numbers the network computes, when not in those of its weights.
    pub numbers: Option<DType>,
}

impl Lesson {
    /// Adam at this rate and these betas, weights as PyTorch makes them up, nothing else.
    pub fn adam(learning_rate: f64, betas: (f64, f64)) -> Self {
        Self {
            initialization: Initialization::PyTorch,
            optimizer: OptimizerConfig::adam(learning_rate, betas),
            schedule: Schedule::Constant,
            clip: None,
            average: None,
            numbers: None,
        }
    }
}

/// A network that learns.
pub struct Learner<N: ?Sized> {
    name: &'static str,
    make: Make<N>,
    parameters: Parameters,
    optimizer: Optimizer,
    average: Option<Average>,
    lesson: Lesson,
}

impl<N: ?Sized> fmt::Debug for Learner<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learner")
            .field("name", &self.name)
            .field("lesson", &self.lesson)
            .finish_non_exhaustive()
    }
}

impl<N: ?Sized> Learner<N> {
    /// A network with made-up weights; `name` distinguishes it in a run's state and errors.
    ///
    /// # Errors
    /// Those of `make`; `invalid_request` when the lesson is out of range.
    pub fn new(
        name: &'static str,
        make: Make<N>,
        lesson: Lesson,
        seed: Seed,
        (dtype, device): (DType, &Device),
    ) -> Result<Self> {
        let how = lesson.initialization;
        let seed = seed.derive(name);
        let parameters = Parameters::fresh(|vb| make(vb), how, seed, (dtype, device))?;
        if lesson
            .clip
            .is_some_and(|limit| limit.is_nan() || limit <= 0.0)
        {
            let error = Error::new(
                Code::InvalidRequest,
                "a norm of gradients that is not positive",
            );
            return Err(error.hint("give `clip` a positive number, or leave it out"));
        }
        let optimizer = Optimizer::new(lesson.optimizer, parameters.trained())?;
        let average = match lesson.average {
            Some(kept) => Some(Average::new(kept, parameters.all())?),
            None => None,
        };
        Ok(Self {
            name,
            make,
            parameters,
            optimizer,
            average,
            lesson,
        })
    }

    /// Begins with the weights of a checkpoint instead of made-up ones.
    ///
    /// # Errors
    /// As [`Parameters::load`].
    pub fn load(&mut self, tensors: &Tensors, ignore: impl Fn(&str) -> bool) -> Result<()> {
        self.parameters.load(self.name, tensors, ignore)?;
        if let Some(kept) = self.lesson.average {
            self.average = Some(Average::new(kept, self.parameters.all())?);
        }
        Ok(())
    }

    /// The network, to be learned with.
    ///
    /// # Errors
    /// Those of its constructor.
    pub fn live(&self) -> Result<Box<N>> {
        (self.make)(self.parameters.live(self.lesson.numbers)?)
    }

    /// The network, to be used only: no gradient reaches its weights.
    ///
    /// # Errors
    /// Those of its constructor.
    pub fn frozen(&self) -> Result<Box<N>> {
        (self.make)(self.parameters.frozen(self.lesson.numbers)?)
    }

    /// In what numbers it computes.
    pub fn numbers(&self) -> DType {
        self.lesson.numbers.unwrap_or(self.parameters.dtype())
    }

    /// Its weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Takes a step, number `step` from 0, against the gradients of its weights; the norm of these
    /// before clipping.
    ///
    /// # Errors
    /// `model_error` when a gradient is no number; the weights are then as before.
    pub fn learn(&mut self, gradients: &mut GradStore, step: u64) -> Result<f64> {
        let trained = self.parameters.trained();
        let vars: Vec<&Var> = trained.iter().map(|(_, var)| var).collect();
        let limit = self.lesson.clip.unwrap_or(f64::INFINITY);
        let norm = clip_by_norm(gradients, &vars, limit)?;
        if !norm.is_finite() {
            let message = format!("the gradient of the {} is not finite", self.name);
            return Err(Error::new(Code::ModelError, message));
        }
        let factor = self.lesson.schedule.factor(step);
        self.optimizer.step(gradients, factor)?;
        if let Some(average) = &mut self.average {
            average.update(self.parameters.all())?;
        }
        Ok(norm)
    }

    /// The weights that are to be used after training: the averaged ones where there is an average.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn best(&self) -> Result<Tensors> {
        let current = self.parameters.state()?;
        let values = match &self.average {
            Some(average) => average.values(),
            None => &current,
        };
        let mut tensors = Tensors::new();
        for (name, value) in values {
            let value = to_weights(value)?.cast(crate::weights::Dtype::F32)?;
            tensors.insert(name.clone(), value);
        }
        Ok(tensors)
    }

    /// All that is to be saved.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn state(&self) -> Result<State> {
        let mut state = State::default();
        let mut add = |prefix: &str, tensors| {
            let counts = BTreeMap::new();
            state.nest(prefix, State { tensors, counts });
        };
        add("weights", self.parameters.state()?);
        add("moments", self.optimizer.state());
        if let Some(average) = &self.average {
            add("average", average.values().clone());
        }
        let steps = self.optimizer.steps();
        state.counts.insert("steps".to_owned(), steps);
        Ok(state)
    }

    /// Takes back what [`Learner::state`] gave.
    ///
    /// # Errors
    /// `model_error` when something is missing or has another shape.
    pub fn restore(&mut self, mut state: State) -> Result<()> {
        let steps = state.count("steps")?;
        self.parameters.restore(&state.take("weights").tensors)?;
        self.optimizer
            .restore(steps, state.take("moments").tensors)?;
        let averaged = state.take("average").tensors;
        if let Some(average) = &mut self.average {
            let device = self.parameters.device();
            let dtype = self.parameters.dtype();
            average.restore(averaged, dtype, device)?;
        }
        Ok(())
    }
}
