//! Optimisers: SGD with momentum, `RMSprop`, Adam and `AdamW`, as PyTorch defines them.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use fonds_core::{Code, Error, Result};

use super::update::{Moments, update};
use crate::error::TensorResult;

/// How a step follows from a gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Against the gradient, with momentum (0 for none).
    Sgd {
        /// Share of the last step that is kept, 0 to 1.
        momentum: f64,
    },
    /// Tieleman and Hinton 2012: gradients divided by the root of their mean square.
    RmsProp {
        /// Share of the mean that is kept, 0 to 1; usually 0.99.
        decay: f64,
        /// Added to the root; usually 1e-8.
        epsilon: f64,
    },
    /// Kingma and Ba 2015, arXiv:1412.6980; with `decoupled`, weight decay as in Loshchilov and
    /// Hutter 2019, arXiv:1711.05101 (`AdamW`).
    Adam {
        /// Shares of the means of gradients and of their squares that are kept, 0 to 1.
        betas: (f64, f64),
        /// Added to the root; usually 1e-8.
        epsilon: f64,
        /// Whether weight decay bypasses the moments.
        decoupled: bool,
    },
}

/// What an optimiser is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerConfig {
    /// How a step follows from a gradient.
    pub rule: Rule,
    /// Step size before any schedule.
    pub learning_rate: f64,
    /// Pull towards zero; 0 for none.
    pub weight_decay: f64,
}

impl OptimizerConfig {
    /// Adam with the betas that GANs use (Radford et al. 2016: 0.5, 0.999).
    pub fn adam(learning_rate: f64, betas: (f64, f64)) -> Self {
        Self {
            rule: Rule::Adam {
                betas,
                epsilon: 1e-8,
                decoupled: false,
            },
            learning_rate,
            weight_decay: 0.0,
        }
    }

    /// That all values are in range.
    ///
    /// # Errors
    /// `invalid_request` that names the value.
    pub fn validate(&self) -> Result<()> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let rule = match self.rule {
            Rule::Sgd { momentum } => share(momentum),
            Rule::RmsProp { decay, epsilon } => share(decay) && epsilon > 0.0,
            Rule::Adam { betas, epsilon, .. } => share(betas.0) && share(betas.1) && epsilon > 0.0,
        };
        let rates = self.learning_rate > 0.0
            && self.learning_rate.is_finite()
            && self.weight_decay >= 0.0
            && self.weight_decay.is_finite();
        if rule && rates {
            return Ok(());
        }
        let message = format!("an optimiser with {self:?} is out of range");
        let error = Error::new(Code::InvalidRequest, message);
        Err(error.hint("rates are positive, momenta and betas from 0 to below 1"))
    }
}

/// A set of parameters and what is remembered of their gradients.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    parameters: Vec<Parameter>,
    steps: u64,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    var: Var,
    /// Momentum, or the mean of gradients.
    first: Option<Tensor>,
    /// The mean of squares.
    second: Option<Tensor>,
}

impl Optimizer {
    /// An optimiser for these parameters.
    ///
    /// # Errors
    /// `invalid_request` when a value is out of range.
    pub fn new(config: OptimizerConfig, parameters: Vec<(String, Var)>) -> Result<Self> {
        config.validate()?;
        let parameters = parameters.into_iter().map(|(name, var)| Parameter {
            name,
            var,
            first: None,
            second: None,
        });
        Ok(Self {
            config,
            parameters: parameters.collect(),
            steps: 0,
        })
    }

    /// The parameters by name.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.parameters.iter().map(|p| (p.name.as_str(), &p.var))
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes a step against the gradients, with the learning rate times `factor` (from a
    /// [`Schedule`](super::Schedule)). Parameters without a gradient stay.
    ///
    /// # Errors
    /// `model_error` when a gradient has another shape.
    pub fn step(&mut self, gradients: &GradStore, factor: f64) -> Result<()> {
        self.steps += 1;
        for parameter in &mut self.parameters {
            // Without `detach` the next step would remember this one's graph.
            let Some(gradient) = gradients.get(parameter.var.as_tensor()) else {
                continue;
            };
            let gradient = gradient.detach();
            parameter
                .step(&self.config, &gradient, self.steps, factor)
                .in_network()?;
        }
        Ok(())
    }

    /// All that is remembered, by the parameter's name and `.first` or `.second`.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let mut state = BTreeMap::new();
        for parameter in &self.parameters {
            let moments = [("first", &parameter.first), ("second", &parameter.second)];
            for (word, moment) in moments {
                if let Some(moment) = moment {
                    state.insert(format!("{}.{word}", parameter.name), moment.clone());
                }
            }
        }
        state
    }

    /// Takes back what [`Optimizer::state`] gave, after so many steps.
    ///
    /// # Errors
    /// `model_error` when a moment has another shape than its parameter or belongs to none.
    pub fn restore(&mut self, steps: u64, mut state: BTreeMap<String, Tensor>) -> Result<()> {
        for parameter in &mut self.parameters {
            let shape = parameter.var.shape().clone();
            let device = parameter.var.device().clone();
            let mut take = |word: &str| {
                let name = format!("{}.{word}", parameter.name);
                let moment = state.remove(&name);
                match moment {
                    Some(moment) if *moment.shape() != shape => {
                        let message = format!("the moment `{name}` has another shape");
                        Err(Error::new(Code::ModelError, message))
                    }
                    Some(moment) => moment.to_device(&device).in_network().map(Some),
                    None => Ok(None),
                }
            };
            let (first, second) = (take("first")?, take("second")?);
            parameter.first = first;
            parameter.second = second;
        }
        if let Some(name) = state.keys().next() {
            let message = format!("the moment `{name}` belongs to no parameter");
            return Err(Error::new(Code::ModelError, message));
        }
        self.steps = steps;
        Ok(())
    }
}

impl Parameter {
    fn step(
        &mut self,
        config: &OptimizerConfig,
        gradient: &Tensor,
        steps: u64,
        factor: f64,
    ) -> candle_core::Result<()> {
        let rate = config.learning_rate * factor;
        let value = self.var.as_tensor().detach();
        let moments = Moments {
            first: self.first.as_ref(),
            second: self.second.as_ref(),
        };
        if let Some(made) = update(config, rate, steps, &value, gradient, moments)? {
            self.first = made.first;
            self.second = made.second;
            return self.var.set(&made.value);
        }
        self.step_composed(config, gradient, steps, rate)
    }

    /// A step by candle's operations, for GPUs.
    fn step_composed(
        &mut self,
        config: &OptimizerConfig,
        gradient: &Tensor,
        steps: u64,
        rate: f64,
    ) -> candle_core::Result<()> {
        let value = self.var.as_tensor().detach();
        let decoupled = matches!(
            config.rule,
            Rule::Adam {
                decoupled: true,
                ..
            }
        );
        let gradient = if config.weight_decay > 0.0 && !decoupled {
            (gradient + (&value * config.weight_decay)?)?
        } else {
            gradient.clone()
        };
        let value = if decoupled {
            (value * (1.0 - rate * config.weight_decay))?
        } else {
            value
        };
        let step = match config.rule {
            Rule::Sgd { momentum: 0.0 } => gradient,
            Rule::Sgd { momentum } => {
                let velocity = match &self.first {
                    Some(velocity) => ((velocity * momentum)? + gradient)?,
                    None => gradient,
                };
                self.first = Some(velocity.clone());
                velocity
            }
            Rule::RmsProp { decay, epsilon } => {
                let square = mixed(self.second.as_ref(), &gradient.sqr()?, decay)?;
                self.second = Some(square.clone());
                (gradient / (square.sqrt()? + epsilon)?)?
            }
            Rule::Adam {
                betas: (first, second),
                epsilon,
                ..
            } => {
                let mean = mixed(self.first.as_ref(), &gradient, first)?;
                let square = mixed(self.second.as_ref(), &gradient.sqr()?, second)?;
                self.first = Some(mean.clone());
                self.second = Some(square.clone());
                let steps = i32::try_from(steps).unwrap_or(i32::MAX);
                let unbiased = (1.0 - second.powi(steps)).sqrt();
                let root = ((square.sqrt()? / unbiased)? + epsilon)?;
                (mean / root)?.affine(1.0 / (1.0 - first.powi(steps)), 0.0)?
            }
        };
        self.var.set(&(value - (step * rate)?)?)
    }
}

/// `kept · old + (1 − kept) · new`, with zero for what is not there.
fn mixed(old: Option<&Tensor>, new: &Tensor, kept: f64) -> candle_core::Result<Tensor> {
    let share = (new * (1.0 - kept))?;
    match old {
        Some(old) => (old * kept)? + share,
        None => Ok(share),
    }
}

/// Scales gradients so that their common norm is at most `limit`; the norm before.
///
/// # Errors
/// `model_error` when a tensor operation fails.
pub fn clip_by_norm(gradients: &mut GradStore, parameters: &[&Var], limit: f64) -> Result<f64> {
    let mut square = 0.0;
    for parameter in parameters {
        if let Some(gradient) = gradients.get(parameter.as_tensor()) {
            let sum = gradient.to_dtype(DType::F64).in_network()?;
            let sum = sum.sqr().in_network()?.sum_all().in_network()?;
            square += sum.to_scalar::<f64>().in_network()?;
        }
    }
    let norm = square.sqrt();
    if norm > limit {
        for parameter in parameters {
            if let Some(gradient) = gradients.remove(parameter.as_tensor()) {
                let scaled = (gradient * (limit / norm)).in_network()?;
                gradients.insert(parameter.as_tensor(), scaled);
            }
        }
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Minimises Σ (x − target)² for some steps.
    fn run(config: OptimizerConfig, steps: usize) -> Vec<f64> {
        let var = Var::new(&[1.0_f64, -2.0, 0.5], &Device::Cpu).unwrap();
        let target = Tensor::new(&[0.0_f64, 1.0, 0.25], &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(config, vec![("x".to_owned(), var.clone())]).unwrap();
        for _ in 0..steps {
            let loss = (var.as_tensor() - &target).unwrap().sqr().unwrap();
            let gradients = loss.sum_all().unwrap().backward().unwrap();
            optimizer.step(&gradients, 1.0).unwrap();
        }
        var.to_vec1().unwrap()
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        // torch.optim.{Adam,AdamW,RMSprop,SGD} in float64 on the same problem, three steps.
        let adam = OptimizerConfig::adam(0.1, (0.5, 0.999));
        let decoupled = OptimizerConfig {
            rule: Rule::Adam {
                betas: (0.9, 0.999),
                epsilon: 1e-8,
                decoupled: true,
            },
            learning_rate: 0.1,
            weight_decay: 0.1,
        };
        let rms = OptimizerConfig {
            rule: Rule::RmsProp {
                decay: 0.99,
                epsilon: 1e-8,
            },
            learning_rate: 0.01,
            weight_decay: 0.0,
        };
        let sgd = OptimizerConfig {
            rule: Rule::Sgd { momentum: 0.9 },
            learning_rate: 0.05,
            weight_decay: 0.01,
        };
        for (config, expected) in [
            (adam, REFERENCE[0]),
            (decoupled, REFERENCE[1]),
            (rms, REFERENCE[2]),
            (sgd, REFERENCE[3]),
        ] {
            let found = run(config, 3);
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{config:?}: {found} {expected}"
                );
            }
        }
    }

    const REFERENCE: [[f64; 3]; 4] = [
        [
            0.706_971_313_565_921_5,
            -1.702_087_935_823_843_9,
            0.245_062_413_903_160_08,
        ],
        [
            0.675_101_221_640_069_7,
            -1.644_058_605_196_522_7,
            0.210_030_774_347_385_48,
        ],
        [
            0.779_982_273_243_635_1,
            -1.773_888_569_391_669,
            0.316_142_317_368_951_3,
        ],
        [
            0.483_661_124_874_999_96,
            -0.453_552_224_750_000_2,
            0.370_273_068_687_5,
        ],
    ];

    #[test]
    fn a_restored_optimiser_goes_on_as_if_it_had_not_stopped() {
        let config = OptimizerConfig::adam(0.1, (0.9, 0.999));
        let straight = run(config, 6);
        let var = Var::new(&[1.0_f64, -2.0, 0.5], &Device::Cpu).unwrap();
        let target = Tensor::new(&[0.0_f64, 1.0, 0.25], &Device::Cpu).unwrap();
        let parameters = || vec![("x".to_owned(), var.clone())];
        let mut optimizer = Optimizer::new(config, parameters()).unwrap();
        for step in 0..6 {
            if step == 3 {
                let state = optimizer.state();
                optimizer = Optimizer::new(config, parameters()).unwrap();
                optimizer.restore(3, state).unwrap();
            }
            let loss = (var.as_tensor() - &target).unwrap().sqr().unwrap();
            let gradients = loss.sum_all().unwrap().backward().unwrap();
            optimizer.step(&gradients, 1.0).unwrap();
        }
        assert_eq!(var.to_vec1::<f64>().unwrap(), straight);
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let var = Var::new(&[3.0_f64, 4.0], &Device::Cpu).unwrap();
        let loss = var.as_tensor().sqr().unwrap().sum_all().unwrap();
        let mut gradients = loss.backward().unwrap();
        let norm = clip_by_norm(&mut gradients, &[&var], 1.0).unwrap();
        assert!((norm - 10.0).abs() < 1e-12);
        let clipped: Vec<f64> = gradients.get(var.as_tensor()).unwrap().to_vec1().unwrap();
        assert!((clipped[0] - 0.6).abs() < 1e-12 && (clipped[1] - 0.8).abs() < 1e-12);
    }

    /// One pass over the values gives what candle's operations give one after the other.
    #[test]
    fn both_ways_agree() {
        let adam = |decoupled| Rule::Adam {
            betas: (0.5, 0.999),
            epsilon: 1e-8,
            decoupled,
        };
        let rms = Rule::RmsProp {
            decay: 0.99,
            epsilon: 1e-8,
        };
        let rules = [
            adam(false),
            adam(true),
            rms,
            Rule::Sgd { momentum: 0.0 },
            Rule::Sgd { momentum: 0.9 },
        ];
        for rule in rules {
            for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
                let config = OptimizerConfig {
                    rule,
                    learning_rate: 0.02,
                    weight_decay: 0.1,
                };
                let start = Tensor::randn(0.0_f64, 1.0, (3, 11_000), &Device::Cpu).unwrap();
                let start = start.to_dtype(dtype).unwrap();
                let parameter = || Parameter {
                    name: "x".to_owned(),
                    var: Var::from_tensor(&start).unwrap(),
                    first: None,
                    second: None,
                };
                let (mut one, mut other) = (parameter(), parameter());
                for step in 1..=3 {
                    let gradient = (&start * (0.3 * step as f64)).unwrap().sin().unwrap();
                    one.step(&config, &gradient, step, 0.5).unwrap();
                    let rate = config.learning_rate * 0.5;
                    other.step_composed(&config, &gradient, step, rate).unwrap();
                }
                let pairs = [
                    (Some(one.var.as_tensor()), Some(other.var.as_tensor())),
                    (one.first.as_ref(), other.first.as_ref()),
                    (one.second.as_ref(), other.second.as_ref()),
                ];
                for (found, expected) in pairs {
                    let (Some(found), Some(expected)) = (found, expected) else {
                        assert!(found.is_none() && expected.is_none(), "{rule:?}");
                        continue;
                    };
                    let error = (found - expected).unwrap().abs().unwrap();
                    let error = error.flatten_all().unwrap().max(0).unwrap();
                    let error = error.to_dtype(DType::F64).unwrap();
                    let error = error.to_scalar::<f64>().unwrap();
                    assert!(error < tolerance, "{rule:?} {dtype:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for config in [
            OptimizerConfig::adam(0.0, (0.5, 0.9)),
            OptimizerConfig::adam(f64::NAN, (0.5, 0.9)),
            OptimizerConfig::adam(0.1, (1.0, 0.9)),
        ] {
            let error = Optimizer::new(config, Vec::new()).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest);
        }
    }
}
