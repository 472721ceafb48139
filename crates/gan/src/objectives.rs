//! Adversarial objectives: what a discriminator and a generator make of the discriminator's outputs.
//!
//! All take unbounded outputs (logits) of any shape, one or more for each picture, and give single
//! numbers, the mean over all of them.

use candle_core::{D, DType, Tensor, Var};
use fonds_core::{Code, Error, Result};
use fonds_nn::error::TensorResult;
use fonds_nn::loss::softplus;
use fonds_nn::train::Verdict;

/// The game that a generator and a discriminator play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// Goodfellow et al. 2014, equation 1: the discriminator maximises `log D(x) + log(1 − D(G(z)))`
    /// and the generator minimises the same. Its gradient vanishes where the discriminator is sure.
    Minimax,
    /// The same discriminator; the generator maximises `log D(G(z))` (Goodfellow et al. 2014,
    /// section 3).
    NonSaturating,
    /// Mao et al. 2017: squared distances to 1 for real and 0 for made.
    LeastSquares,
    /// Lim and Ye 2017; Miyato et al. 2018: only what is on the wrong side of a margin of 1 counts.
    Hinge,
    /// Arjovsky et al. 2017: the difference of means; needs a critic that is kept Lipschitz.
    Wasserstein,
    /// Jolicoeur-Martineau 2018: how much more real than the other kind on average. Halved, as in
    /// ESRGAN.
    RelativisticAverage,
}

/// The two parts of a discriminator's loss.
#[derive(Debug, Clone)]
pub struct CriticLoss {
    /// What it makes of real pictures.
    pub real: Tensor,
    /// What it makes of made ones.
    pub fake: Tensor,
}

impl CriticLoss {
    /// The sum of both.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn sum(&self) -> Result<Tensor> {
        (&self.real + &self.fake).in_network()
    }
}

impl Objective {
    /// What the discriminator minimises, given its outputs for real and for made pictures.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn critic(self, real: &Tensor, fake: &Tensor) -> Result<CriticLoss> {
        let parts = || {
            Ok::<_, candle_core::Error>(match self {
                Self::Minimax | Self::NonSaturating => (above(real)?, below(fake)?),
                Self::LeastSquares => ((real - 1.0)?.sqr()?.mean_all()?, fake.sqr()?.mean_all()?),
                Self::Hinge => {
                    let real = real.affine(-1.0, 1.0)?.relu()?.mean_all()?;
                    (real, (fake + 1.0)?.relu()?.mean_all()?)
                }
                Self::Wasserstein => (real.mean_all()?.neg()?, fake.mean_all()?),
                Self::RelativisticAverage => {
                    let real_over = real.broadcast_sub(&fake.mean_all()?)?;
                    let fake_over = fake.broadcast_sub(&real.mean_all()?)?;
                    ((above(&real_over)? * 0.5)?, (below(&fake_over)? * 0.5)?)
                }
            })
        };
        let (real, fake) = parts().in_network()?;
        Ok(CriticLoss { real, fake })
    }

    /// What the generator minimises, given the discriminator's outputs for its pictures; the
    /// relativistic objective compares them with those for real ones.
    ///
    /// # Errors
    /// `internal` when real ones are needed and not given, `oom` when the device has no memory.
    pub fn generator(self, fake: &Tensor, real: Option<&Tensor>) -> Result<Tensor> {
        let loss = || match self {
            Self::Minimax => below(fake)?.neg(),
            Self::NonSaturating => above(fake),
            Self::LeastSquares => (fake - 1.0)?.sqr()?.mean_all(),
            Self::Hinge | Self::Wasserstein => fake.mean_all()?.neg(),
            Self::RelativisticAverage => {
                let Some(real) = real else {
                    candle_core::bail!("a relativistic objective has no real pictures");
                };
                let fake_over = fake.broadcast_sub(&real.mean_all()?)?;
                let real_over = real.broadcast_sub(&fake.mean_all()?)?;
                (above(&fake_over)? + below(&real_over)?)? * 0.5
            }
        };
        if self.needs_real() && real.is_none() {
            let message = "a relativistic objective was given no real pictures";
            return Err(Error::new(Code::Internal, message));
        }
        loss().in_network()
    }

    /// Whether the generator's loss needs the discriminator's outputs for real pictures.
    pub fn needs_real(self) -> bool {
        self == Self::RelativisticAverage
    }

    /// The shares of real and of made pictures that the discriminator recognised; none for critics,
    /// whose outputs have no threshold.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn verdict(self, real: &Tensor, fake: &Tensor) -> Result<Option<Verdict>> {
        let threshold = match self {
            Self::Minimax | Self::NonSaturating | Self::Hinge => 0.0,
            Self::LeastSquares => 0.5,
            Self::Wasserstein => return Ok(None),
            Self::RelativisticAverage => {
                let means = || (real.mean_all()? + fake.mean_all()?)? * 0.5;
                let middle = means().in_network()?.to_dtype(DType::F64).in_network()?;
                middle.to_scalar::<f64>().in_network()?
            }
        };
        let share = |x: &Tensor| {
            let above = x.detach().gt(threshold)?.to_dtype(DType::F64)?;
            above.mean_all()?.to_scalar::<f64>()
        };
        Ok(Some(Verdict {
            real: share(real).in_network()?,
            fake: 1.0 - share(fake).in_network()?,
        }))
    }
}

/// Cross entropy with the target 1: the mean of `log(1 + e^−x)`.
fn above(x: &Tensor) -> candle_core::Result<Tensor> {
    softplus(&x.neg()?)?.mean_all()
}

/// Cross entropy with the target 0: the mean of `log(1 + e^x)`.
fn below(x: &Tensor) -> candle_core::Result<Tensor> {
    softplus(x)?.mean_all()
}

/// The gradient penalty of WGAN-GP (Gulrajani et al. 2017): `weight · mean (‖∇D(x)‖ − 1)²` at points
/// between real and made pictures; `epsilon` `[n, 1, 1, 1]` from 0 to 1 is the share of the real one.
///
/// # Errors
/// `model_error` when the critic does not depend on its input. The thread must have second-order
/// gradients switched on: see [`fonds_nn::train::check_second_order`].
pub fn gradient_penalty(
    critic: impl Fn(&Tensor) -> Result<Tensor>,
    real: &Tensor,
    fake: &Tensor,
    epsilon: &Tensor,
    weight: f64,
) -> Result<Tensor> {
    let between = || {
        let real = real.detach().broadcast_mul(epsilon)?;
        real + fake.detach().broadcast_mul(&epsilon.affine(-1.0, 1.0)?)?
    };
    let gradient = input_gradient(critic, &between().in_network()?)?;
    let penalty = || {
        // A tiny floor: the root has no gradient at 0.
        let norm = (squared_norm(&gradient)? + 1e-16)?.sqrt()?;
        (norm - 1.0)?.sqr()?.mean_all()? * weight
    };
    penalty().in_network()
}

/// The R1 penalty (Mescheder et al. 2018): `γ / 2 · mean ‖∇D(x)‖²` at real pictures.
///
/// # Errors
/// As [`gradient_penalty`].
pub fn r1_penalty(
    critic: impl Fn(&Tensor) -> Result<Tensor>,
    real: &Tensor,
    gamma: f64,
) -> Result<Tensor> {
    let gradient = input_gradient(critic, &real.detach())?;
    let penalty = || squared_norm(&gradient)?.mean_all()? * (gamma / 2.0);
    penalty().in_network()
}

/// The gradient of the sum of a critic's outputs with respect to its input, itself differentiable.
fn input_gradient(critic: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Tensor> {
    let x = Var::from_tensor(x).in_network()?;
    let sum = critic(x.as_tensor())?.sum_all().in_network()?;
    let gradients = sum.backward().in_network()?;
    let gradient = gradients.get(x.as_tensor()).cloned();
    gradient.ok_or_else(|| {
        let message = "the discriminator does not depend on its input";
        Error::new(Code::ModelError, message)
    })
}

/// `Σ x²` of each picture, `[n]`.
fn squared_norm(x: &Tensor) -> candle_core::Result<Tensor> {
    x.sqr()?.flatten_from(1)?.sum(D::Minus1)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const ALL: [Objective; 6] = [
        Objective::Minimax,
        Objective::NonSaturating,
        Objective::LeastSquares,
        Objective::Hinge,
        Objective::Wasserstein,
        Objective::RelativisticAverage,
    ];

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    fn number(tensor: &Tensor) -> f64 {
        tensor.to_scalar().unwrap()
    }

    fn critic(objective: Objective, real: &Tensor, fake: &Tensor) -> Tensor {
        objective.critic(real, fake).unwrap().sum().unwrap()
    }

    fn generator(objective: Objective, real: &Tensor, fake: &Tensor) -> Tensor {
        objective.generator(fake, Some(real)).unwrap()
    }

    #[test]
    fn values_by_their_definitions() {
        let (r, f) = (0.3_f64, -1.2_f64);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let expected = [
            (
                -sigmoid(r).ln() - (1.0 - sigmoid(f)).ln(),
                (1.0 - sigmoid(f)).ln(),
            ),
            (-sigmoid(r).ln() - (1.0 - sigmoid(f)).ln(), -sigmoid(f).ln()),
            ((r - 1.0).powi(2) + f * f, (f - 1.0).powi(2)),
            ((1.0 - r).max(0.0) + (1.0 + f).max(0.0), -f),
            (f - r, -f),
            (
                0.5 * (-sigmoid(r - f).ln() - (1.0 - sigmoid(f - r)).ln()),
                0.5 * (-sigmoid(f - r).ln() - (1.0 - sigmoid(r - f)).ln()),
            ),
        ];
        let (real, fake) = (tensor(&[r]), tensor(&[f]));
        for (objective, (of_critic, of_generator)) in ALL.into_iter().zip(expected) {
            let found = number(&critic(objective, &real, &fake));
            assert!((found - of_critic).abs() < 1e-12, "{objective:?}: {found}");
            let found = number(&generator(objective, &real, &fake));
            assert!(
                (found - of_generator).abs() < 1e-12,
                "{objective:?}: {found}"
            );
        }
    }

    #[test]
    fn sure_discriminators_give_finite_losses() {
        let (real, fake) = (tensor(&[800.0, 900.0]), tensor(&[-800.0, 1000.0]));
        for objective in ALL {
            assert!(number(&critic(objective, &real, &fake)).is_finite());
            assert!(number(&generator(objective, &real, &fake)).is_finite());
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        // No value at a corner of the hinge.
        let values = [0.4, -0.7, 1.6, -1.3, 0.9, 0.1];
        let split = |x: &Tensor| (x.narrow(0, 0, 3).unwrap(), x.narrow(0, 3, 3).unwrap());
        for objective in ALL {
            for (name, loss) in [
                ("critic", critic as fn(_, &_, &_) -> _),
                ("generator", generator),
            ] {
                let at = |values: &[f64]| {
                    let x = Var::from_tensor(&tensor(values)).unwrap();
                    let (real, fake) = split(x.as_tensor());
                    (loss(objective, &real, &fake), x)
                };
                let (value, x) = at(&values);
                let gradients = value.backward().unwrap();
                let found = match gradients.get(x.as_tensor()) {
                    Some(gradient) => gradient.to_vec1::<f64>().unwrap(),
                    None => vec![0.0; 6],
                };
                for place in 0..6 {
                    let moved = |by: f64| {
                        let mut values = values;
                        values[place] += by;
                        number(&at(&values).0)
                    };
                    let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    let error = (found[place] - expected).abs();
                    assert!(error < 1e-8, "{objective:?}, {name}, {place}: {error}");
                }
            }
        }
    }

    #[test]
    fn verdicts_count_both_sides() {
        let (real, fake) = (
            tensor(&[0.6, 2.0, -1.0, 0.7]),
            tensor(&[0.1, -2.0, 0.2, -0.5]),
        );
        let verdict = |objective: Objective| objective.verdict(&real, &fake).unwrap();
        let expected = |real, fake| Some(Verdict { real, fake });
        assert_eq!(verdict(Objective::NonSaturating), expected(0.75, 0.5));
        assert_eq!(verdict(Objective::LeastSquares), expected(0.75, 1.0));
        assert_eq!(verdict(Objective::Wasserstein), None);
    }
}
