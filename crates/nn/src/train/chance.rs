//! Random numbers of a training run: a function of seed, purpose and step, never of what was drawn
//! before, so that a run that is resumed draws what an unbroken one would have drawn.

use candle_core::{DType, Device, Shape, Tensor};
use fonds_core::{Result, Seed};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use crate::error::TensorResult;

/// A source of random numbers for one purpose at one step.
#[derive(Debug, Clone)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The numbers for a purpose: a name of your own, such as `"noise"`.
    pub fn new(seed: Seed, purpose: &str) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed.derive(purpose).value()))
    }

    /// The numbers for a purpose at a step.
    pub fn at(seed: Seed, purpose: &str, step: u64) -> Self {
        Self::new(seed, &format!("{purpose} {step}"))
    }

    /// A number from 0 to below 1.
    pub fn uniform(&mut self) -> f64 {
        // 53 bits fill the fraction of a 64-bit float.
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of the normal distribution with mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// An index below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The product's upper half: the bias is below end / 2⁶⁴.
        ((u128::from(self.0.next_u64()) * end as u128) >> 64) as usize
    }

    /// A tensor of normal numbers with this mean and deviation.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn normal_tensor(
        &mut self,
        shape: impl Into<Shape>,
        (mean, deviation): (f64, f64),
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        self.tensor(shape.into(), dtype, device, |chance| {
            mean + deviation * chance.normal()
        })
    }

    /// A tensor of numbers from `low` to below `high`, all equally likely.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn uniform_tensor(
        &mut self,
        shape: impl Into<Shape>,
        (low, high): (f64, f64),
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        self.tensor(shape.into(), dtype, device, |chance| {
            low + (high - low) * chance.uniform()
        })
    }

    fn tensor(
        &mut self,
        shape: Shape,
        dtype: DType,
        device: &Device,
        draw: impl Fn(&mut Self) -> f64,
    ) -> Result<Tensor> {
        let values: Vec<f64> = (0..shape.elem_count()).map(|_| draw(self)).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).in_network()?;
        // Converted before it crosses to the device: half the bytes.
        let tensor = tensor.to_dtype(dtype).in_network()?;
        tensor.to_device(device).in_network()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_seed_purpose_and_step_alone() {
        let draw = |seed, purpose, step| Chance::at(Seed::new(seed), purpose, step).uniform();
        assert_eq!(draw(1, "noise", 5), draw(1, "noise", 5));
        for other in [draw(2, "noise", 5), draw(1, "drop", 5), draw(1, "noise", 6)] {
            assert_ne!(draw(1, "noise", 5), other);
        }
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut chance = Chance::new(Seed::new(3), "moments");
        let normal = chance
            .normal_tensor(20_000, (1.0, 2.0), DType::F64, &Device::Cpu)
            .unwrap();
        let uniform = chance
            .uniform_tensor(20_000, (-1.0, 3.0), DType::F64, &Device::Cpu)
            .unwrap();
        let moments = |tensor: &Tensor| {
            let values = tensor.to_vec1::<f64>().unwrap();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            (mean, (square / values.len() as f64).sqrt())
        };
        let (mean, deviation) = moments(&normal);
        assert!((mean - 1.0).abs() < 0.05 && (deviation - 2.0).abs() < 0.05);
        let (mean, deviation) = moments(&uniform);
        assert!((mean - 1.0).abs() < 0.05 && (deviation - 4.0 / 12f64.sqrt()).abs() < 0.05);
    }

    #[test]
    fn indices_reach_both_ends() {
        let mut chance = Chance::new(Seed::new(4), "indices");
        let mut seen = [0; 5];
        for _ in 0..500 {
            seen[chance.below(5)] += 1;
        }
        assert!(seen.iter().all(|&times| times > 50), "{seen:?}");
        assert_eq!(chance.below(0), 0);
    }
}
