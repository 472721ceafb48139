//! The weights of a network in training: made up by a recipe, or taken from a checkpoint.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{D, DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use fonds_core::{Code, Error, Result, Seed};

use super::Chance;
use crate::error::{TensorResult, to_candle};
use crate::weights::{self, Tensors};

/// How weights are made up before the first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initialization {
    /// As PyTorch's layers do: uniform within ±1/√(inputs of a neuron), biases too
    /// (He et al. 2015 with a = √5).
    PyTorch,
    /// Normal with this deviation around 0; factors of normalisations around 1; biases 0. Radford et
    /// al. 2016 and Isola et al. 2017 take 0.02.
    Normal {
        /// The standard deviation.
        deviation: f64,
    },
    /// Normal with deviation √(2 / inputs) times `scale`; biases 0. Wang et al. 2018 (ESRGAN) take a
    /// scale of 0.1.
    Kaiming {
        /// A factor on the deviation.
        scale: f64,
    },
    /// As [`Initialization::PyTorch`], but within residual dense blocks (keys with `rdb` in them) as [`Initialization::Kaiming`]: how ESRGAN and BasicSR begin.
    DenseBlocks {
        /// A factor on the deviation in the blocks; ESRGAN's is 0.1.
        scale: f64,
    },
    /// Uniform within ±√(6 / (inputs + outputs)); biases 0. Glorot and Bengio 2010; Miyato et al. 2018.
    Xavier,
}

impl Initialization {
    /// The values at a key of this shape, of which the layer says `hint`.
    fn values(self, name: &str, shape: &Shape, hint: Init, chance: &mut Chance) -> Result<Tensor> {
        if let Self::DenseBlocks { scale } = self {
            let how = if name.to_lowercase().contains("rdb") {
                Self::Kaiming { scale }
            } else {
                Self::PyTorch
            };
            return how.values(name, shape, hint, chance);
        }
        let (dtype, device) = (DType::F64, &Device::Cpu);
        let dims = shape.dims();
        if is_singular_vector(name) {
            let vector = chance.normal_tensor(shape.clone(), (0.0, 1.0), dtype, device)?;
            return unit(&vector).in_network();
        }
        if let (true, Init::Const(value)) = (dims.len() < 2, hint) {
            let factor = value == 1.0 && name.ends_with("weight");
            return match self {
                Self::Normal { deviation } if factor => {
                    chance.normal_tensor(shape.clone(), (1.0, deviation), dtype, device)
                }
                _ => Tensor::full(value, shape.clone(), device).in_network(),
            };
        }
        if dims.len() < 2 {
            return match (self, hint) {
                (Self::PyTorch, Init::Uniform { lo, up }) => {
                    chance.uniform_tensor(shape.clone(), (lo, up), dtype, device)
                }
                _ => Tensor::zeros(shape.clone(), dtype, device).in_network(),
            };
        }
        let field: usize = dims[2..].iter().product();
        let (inputs, outputs) = ((dims[1] * field) as f64, (dims[0] * field) as f64);
        match self {
            Self::PyTorch | Self::DenseBlocks { .. } => {
                let bound = 1.0 / inputs.sqrt();
                chance.uniform_tensor(shape.clone(), (-bound, bound), dtype, device)
            }
            Self::Normal { deviation } => {
                chance.normal_tensor(shape.clone(), (0.0, deviation), dtype, device)
            }
            Self::Kaiming { scale } => {
                let deviation = (2.0 / inputs).sqrt() * scale;
                chance.normal_tensor(shape.clone(), (0.0, deviation), dtype, device)
            }
            Self::Xavier => {
                let bound = (6.0 / (inputs + outputs)).sqrt();
                chance.uniform_tensor(shape.clone(), (-bound, bound), dtype, device)
            }
        }
    }
}

/// Named weights of one network, on one device.
///
/// Gradient steps change them in place; networks built from [`Parameters::live`] and
/// [`Parameters::frozen`] share their memory and follow.
#[derive(Debug)]
pub struct Parameters {
    vars: BTreeMap<String, Var>,
    dtype: DType,
    device: Device,
}

impl Parameters {
    /// Weights made up for the network that `make` builds: equal for equal seeds, whatever the
    /// device.
    ///
    /// # Errors
    /// Those of `make`; `oom` when the device has no memory.
    pub fn fresh<N>(
        make: impl FnOnce(VarBuilder<'static>) -> Result<N>,
        how: Initialization,
        seed: Seed,
        (dtype, device): (DType, &Device),
    ) -> Result<Self> {
        let fresh = Fresh {
            how,
            seed,
            vars: Arc::default(),
        };
        let backend: Box<dyn SimpleBackend> = Box::new(fresh.clone());
        make(VarBuilder::from_backend(backend, dtype, device.clone()))?;
        let mut vars = fresh.vars.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Self {
            vars: std::mem::take(&mut *vars),
            dtype,
            device: device.clone(),
        })
    }

    /// Takes values from a checkpoint for all weights, which must be all there.
    ///
    /// # Errors
    /// `model_error` that lists keys that are missing, unexpected (unless `ignore` is true for them)
    /// or of another shape.
    pub fn load(&self, what: &str, tensors: &Tensors, ignore: impl Fn(&str) -> bool) -> Result<()> {
        let shapes = self.vars.iter();
        let expected: Vec<(String, Vec<usize>)> = shapes
            .map(|(name, var)| (name.clone(), var.dims().to_vec()))
            .collect();
        weights::expect(what, &expected, tensors, ignore)?;
        for (name, var) in &self.vars {
            let Some(tensor) = tensors.get(name) else {
                continue;
            };
            let value = Tensor::from_vec(tensor.to_f32(), tensor.shape(), &Device::Cpu);
            set(var, &value.in_network()?)?;
        }
        Ok(())
    }

    /// Weights for a network whose gradients are wanted. With `numbers` the network computes in that
    /// type, and gradients come back in the type of the weights (mixed precision).
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn live(&self, numbers: Option<DType>) -> Result<VarBuilder<'static>> {
        self.builder(numbers, |var| var.as_tensor().clone())
    }

    /// The same weights for a network that is only used: no gradient reaches them, and its running
    /// statistics stay.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn frozen(&self, numbers: Option<DType>) -> Result<VarBuilder<'static>> {
        self.builder(numbers, |var| var.as_tensor().detach())
    }

    fn builder(
        &self,
        numbers: Option<DType>,
        take: impl Fn(&Var) -> Tensor,
    ) -> Result<VarBuilder<'static>> {
        let dtype = numbers.unwrap_or(self.dtype);
        let mut tensors = HashMap::new();
        for (name, var) in &self.vars {
            let tensor = take(var);
            // Running statistics are sums of many small shares, which 8 bits cannot add.
            let tensor = if is_statistic(name) {
                tensor
            } else {
                tensor.to_dtype(dtype).in_network()?
            };
            tensors.insert(name.clone(), tensor);
        }
        let backend: Box<dyn SimpleBackend> = Box::new(AsTheyAre(tensors));
        Ok(VarBuilder::from_backend(
            backend,
            dtype,
            self.device.clone(),
        ))
    }

    /// What an optimiser changes: all but running statistics and singular vectors.
    pub fn trained(&self) -> Vec<(String, Var)> {
        let trained = self.vars.iter().filter(|(name, _)| !is_statistic(name));
        trained
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect()
    }

    /// Everything by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.vars.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// Copies of all values by name.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let copies = self.vars.iter().map(|(name, var)| {
            let copy = var.as_tensor().detach().copy().in_network()?;
            Ok((name.clone(), copy))
        });
        copies.collect()
    }

    /// Takes back what [`Parameters::state`] gave.
    ///
    /// # Errors
    /// `model_error` when a name is missing or has another shape.
    pub fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, var) in &self.vars {
            let Some(value) = state.get(name) else {
                let message = format!("the state has no `{name}`");
                return Err(Error::new(Code::ModelError, message));
            };
            if value.dims() != var.dims() {
                let message = format!(
                    "`{name}` is {:?} in the state and {:?} in the network",
                    value.dims(),
                    var.dims()
                );
                return Err(Error::new(Code::ModelError, message));
            }
            set(var, value)?;
        }
        Ok(())
    }

    /// One step of the power iteration that follows the largest singular values of weights under
    /// spectral normalisation; PyTorch takes one before each forward in training.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn iterate_spectral(&self) -> Result<()> {
        for (name, weight) in &self.vars {
            let Some(stem) = name.strip_suffix("weight_orig") else {
                continue;
            };
            let vector = |word: &str| self.vars.get(&format!("{stem}{word}"));
            if let (Some(u), Some(v)) = (vector("weight_u"), vector("weight_v")) {
                iterate(weight, u, v).in_network()?;
            }
        }
        Ok(())
    }

    /// The number type of the weights.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where they are.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// Whether a tensor follows from others and is not trained by gradients.
fn is_statistic(name: &str) -> bool {
    name.ends_with("running_mean") || name.ends_with("running_var") || is_singular_vector(name)
}

fn is_singular_vector(name: &str) -> bool {
    name.ends_with("weight_u") || name.ends_with("weight_v")
}

/// Sets a variable, whatever number type and device the value has.
fn set(var: &Var, value: &Tensor) -> Result<()> {
    let value = value.to_dtype(var.dtype()).in_network()?;
    let value = value.to_device(var.device()).in_network()?;
    var.set(&value).in_network()
}

fn unit(vector: &Tensor) -> candle_core::Result<Tensor> {
    let norm = vector.sqr()?.sum_all()?.sqrt()?;
    // PyTorch's floor under the norm.
    vector.broadcast_div(&norm.maximum(1e-12)?)
}

fn iterate(weight: &Var, u: &Var, v: &Var) -> candle_core::Result<()> {
    let matrix = weight.as_tensor().detach().flatten_from(1)?;
    let column = matrix
        .t()?
        .matmul(&u.as_tensor().detach().unsqueeze(1)?)?
        .squeeze(D::Minus1)?;
    v.set(&unit(&column)?)?;
    let row = matrix
        .matmul(&v.as_tensor().detach().unsqueeze(1)?)?
        .squeeze(D::Minus1)?;
    u.set(&unit(&row)?)
}

/// Makes weights up when they are first asked for.
#[derive(Clone)]
struct Fresh {
    how: Initialization,
    seed: Seed,
    vars: Arc<Mutex<BTreeMap<String, Var>>>,
}

impl SimpleBackend for Fresh {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        hint: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(var) = vars.get(name) {
            return Ok(var.as_tensor().clone());
        }
        let mut chance = Chance::new(self.seed, name);
        let values = self.how.values(name, &shape, hint, &mut chance);
        let values = values.map_err(to_candle)?;
        let var = Var::from_tensor(&values.to_dtype(dtype)?.to_device(device)?)?;
        let tensor = var.as_tensor().clone();
        vars.insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("`{name}` was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        let vars = self.vars.lock().unwrap_or_else(PoisonError::into_inner);
        vars.contains_key(name)
    }
}

/// Gives tensors in the number type that they have.
struct AsTheyAre(HashMap<String, Tensor>);

impl SimpleBackend for AsTheyAre {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if *tensor.shape() != shape {
            candle_core::bail!("`{name}` is {:?}, not {shape:?}", tensor.shape());
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        match self.0.get(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("there is no `{name}`"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::needless_pass_by_value,
        reason = "a builder of weights is passed by value, as in candle"
    )]

    use super::*;
    use crate::layers::{BatchNorm2d, BatchNormMode, Conv2d, ConvConfig};

    fn layers(vb: VarBuilder<'static>) -> Result<(Conv2d, BatchNorm2d)> {
        let conv = Conv2d::new(8, 16, 3, ConvConfig::same(3), vb.pp("conv"))?;
        let norm = BatchNorm2d::new(16, 1e-5, BatchNormMode::Batch, vb.pp("norm"))?;
        Ok((conv, norm))
    }

    fn fresh(how: Initialization, seed: u64) -> Parameters {
        let cpu = (DType::F32, &Device::Cpu);
        Parameters::fresh(layers, how, Seed::new(seed), cpu).unwrap()
    }

    fn values(parameters: &Parameters, name: &str) -> Vec<f32> {
        let state = parameters.state().unwrap();
        state[name].flatten_all().unwrap().to_vec1().unwrap()
    }

    fn deviation(values: &[f32]) -> f32 {
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square: f32 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (square / values.len() as f32).sqrt()
    }

    #[test]
    fn recipes_give_the_deviations_of_the_papers() {
        let cases = [
            (Initialization::PyTorch, 1.0 / 72f32.sqrt() / 3f32.sqrt()),
            (Initialization::Normal { deviation: 0.02 }, 0.02),
            (
                Initialization::Kaiming { scale: 0.1 },
                0.1 * (2f32 / 72.0).sqrt(),
            ),
            (Initialization::Xavier, (6f32 / 216.0).sqrt() / 3f32.sqrt()),
        ];
        for (how, expected) in cases {
            let parameters = fresh(how, 1);
            let found = deviation(&values(&parameters, "conv.weight"));
            assert!((found / expected - 1.0).abs() < 0.1, "{how:?}: {found}");
            let bias = deviation(&values(&parameters, "conv.bias"));
            assert_eq!(
                bias > 0.0,
                how == Initialization::PyTorch,
                "{how:?}: {bias}"
            );
            let factor = deviation(&values(&parameters, "norm.weight"));
            let spread = matches!(how, Initialization::Normal { .. });
            assert_eq!(factor > 0.0, spread, "{how:?}: {factor}");
        }
    }

    #[test]
    fn equal_seeds_give_equal_weights() {
        let how = Initialization::PyTorch;
        let weights = |seed| values(&fresh(how, seed), "conv.weight");
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
    }

    #[test]
    fn statistics_are_not_trained() {
        let parameters = fresh(Initialization::PyTorch, 1);
        let names: Vec<String> = parameters.trained().into_iter().map(|(n, _)| n).collect();
        assert_eq!(
            names,
            ["conv.bias", "conv.weight", "norm.bias", "norm.weight"]
        );
        assert_eq!(parameters.all().count(), 6);
    }

    #[test]
    fn gradients_reach_live_weights_in_their_own_number_type() {
        let cpu = (DType::F64, &Device::Cpu);
        let how = Initialization::PyTorch;
        let parameters = Parameters::fresh(layers, how, Seed::new(1), cpu).unwrap();
        let x = Tensor::ones((1, 8, 4, 4), DType::F32, &Device::Cpu).unwrap();
        let x = crate::Act::from_tensor(x).unwrap();
        let gradient = |vb| {
            let (conv, _) = layers(vb).unwrap();
            let y = conv.forward(&x).unwrap().to_tensor().unwrap();
            let gradients = y.sum_all().unwrap().backward().unwrap();
            let (_, var) = parameters.trained().swap_remove(1);
            gradients.get(var.as_tensor()).map(Tensor::dtype)
        };
        let live = parameters.live(Some(DType::F32)).unwrap();
        assert_eq!(gradient(live), Some(DType::F64));
        let frozen = parameters.frozen(Some(DType::F32)).unwrap();
        assert_eq!(gradient(frozen), None);
    }

    #[test]
    fn frozen_networks_follow_the_weights() {
        let parameters = fresh(Initialization::PyTorch, 1);
        let (conv, _) = layers(parameters.frozen(None).unwrap()).unwrap();
        for (name, var) in parameters.trained() {
            if name == "conv.weight" {
                var.set(&var.zeros_like().unwrap()).unwrap();
            }
        }
        let sum = conv.weight().abs().unwrap().sum_all().unwrap();
        assert_eq!(sum.to_scalar::<f32>().unwrap(), 0.0);
    }

    #[test]
    fn power_iteration_finds_the_largest_singular_value() {
        let cpu = (DType::F64, &Device::Cpu);
        let make = |vb: VarBuilder<'static>| {
            let config = ConvConfig::same(3).bias(false);
            crate::layers::SpectralConv2d::new(3, 4, 3, config, vb)
        };
        let how = Initialization::PyTorch;
        let parameters = Parameters::fresh(make, how, Seed::new(5), cpu).unwrap();
        for _ in 0..200 {
            parameters.iterate_spectral().unwrap();
        }
        let layer = make(parameters.frozen(None).unwrap()).unwrap();
        let sigma = layer.sigma().unwrap().to_scalar::<f64>().unwrap();
        // The largest eigenvalue of W Wᵀ by repeated squaring of the 4 × 4 matrix: its trace to a
        // high power is dominated by the largest.
        let weight = parameters.state().unwrap()["weight_orig"].clone();
        let matrix = weight.flatten_from(1).unwrap();
        let mut square = matrix.matmul(&matrix.t().unwrap()).unwrap();
        let mut logarithm = 0.0;
        for power in 1..=20 {
            let trace: f64 = (0..4).map(|i| square.to_vec2::<f64>().unwrap()[i][i]).sum();
            square = (square / trace).unwrap();
            logarithm += trace.ln() / f64::from(1 << (power - 1));
            square = square.matmul(&square).unwrap();
        }
        let expected = (logarithm / 2.0).exp();
        assert!((sigma - expected).abs() < 1e-4, "{sigma} and {expected}");
    }
}
