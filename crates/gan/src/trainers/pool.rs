//! Made pictures of earlier steps, so that a discriminator does not forget what it has seen.

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::error::TensorResult;
use fonds_nn::train::{Chance, State};

/// Up to so many earlier pictures (Shrivastava et al. 2017; `CycleGAN` keeps 50). Until it is full a
/// picture is kept and returned; then every other one is exchanged for one that was kept.
#[derive(Debug, Clone)]
pub struct Pool {
    capacity: usize,
    /// Each `[channels, height, width]`.
    pictures: Vec<Tensor>,
}

impl Pool {
    /// An empty pool; of capacity 0 it gives everything back.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            pictures: Vec::new(),
        }
    }

    /// Takes a batch `[n, channels, height, width]` and gives one as large, of new and old pictures.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn exchange(&mut self, batch: &Tensor, chance: &mut Chance) -> Result<Tensor> {
        let batch = batch.detach();
        if self.capacity == 0 {
            return Ok(batch);
        }
        let mut given = Vec::new();
        for index in 0..batch.dims()[0] {
            // A copy, or the whole batch would stay in memory with it.
            let picture = batch.get(index).and_then(|picture| picture.copy());
            let picture = picture.in_network()?;
            if self.pictures.len() < self.capacity {
                self.pictures.push(picture.clone());
                given.push(picture);
            } else if chance.uniform() > 0.5 {
                let place = chance.below(self.capacity);
                given.push(std::mem::replace(&mut self.pictures[place], picture));
            } else {
                given.push(picture);
            }
        }
        Tensor::stack(&given, 0).in_network()
    }

    /// What is kept.
    pub fn state(&self) -> State {
        let mut state = State::default();
        for (index, picture) in self.pictures.iter().enumerate() {
            state.tensors.insert(format!("{index:06}"), picture.clone());
        }
        state
    }

    /// Takes back what [`Pool::state`] gave, on the device of `beside`.
    ///
    /// # Errors
    /// `model_error` when there are more than fit.
    pub fn restore(&mut self, state: State, device: &candle_core::Device) -> Result<()> {
        if state.tensors.len() > self.capacity {
            let message = format!(
                "{} pictures for a pool of {}",
                state.tensors.len(),
                self.capacity
            );
            return Err(Error::new(Code::ModelError, message));
        }
        let pictures = state.tensors.into_values();
        self.pictures = pictures
            .map(|picture| picture.to_device(device).in_network())
            .collect::<Result<_>>()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use fonds_core::Seed;

    use super::*;

    fn picture(value: f32) -> Tensor {
        Tensor::full(value, (1, 1, 1, 1), &Device::Cpu).unwrap()
    }

    fn value(tensor: &Tensor) -> f32 {
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
    }

    #[test]
    fn a_full_pool_gives_old_pictures_for_new_ones() {
        let mut chance = Chance::new(Seed::new(1), "pool");
        let mut pool = Pool::new(3);
        let mut given = Vec::new();
        for number in 0..200 {
            given.push(value(
                &pool.exchange(&picture(number as f32), &mut chance).unwrap(),
            ));
        }
        assert_eq!(given[..3], [0.0, 1.0, 2.0]);
        let old = given.iter().enumerate().filter(|(at, v)| **v < *at as f32);
        let old = old.count();
        assert!((60..140).contains(&old), "{old} of 200 are old");
        // Nothing is given twice after it was exchanged, and nothing is invented.
        let mut sorted = given[3..].to_vec();
        sorted.sort_by(f32::total_cmp);
        sorted.dedup();
        assert_eq!(sorted.len(), 197);
    }

    #[test]
    fn a_pool_that_comes_back_goes_on_the_same() {
        let mut pool = Pool::new(2);
        let mut chance = Chance::new(Seed::new(1), "pool");
        for number in 0..5 {
            pool.exchange(&picture(number as f32), &mut chance).unwrap();
        }
        let mut again = Pool::new(2);
        again.restore(pool.state(), &Device::Cpu).unwrap();
        for number in 5..20 {
            let give = |pool: &mut Pool| {
                let mut chance = Chance::at(Seed::new(1), "pool", number);
                value(&pool.exchange(&picture(number as f32), &mut chance).unwrap())
            };
            assert_eq!(give(&mut pool), give(&mut again));
        }
    }
}
