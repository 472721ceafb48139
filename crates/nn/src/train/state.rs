//! All that a training run has to remember, as bytes: tensors and counts by name.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result};

use crate::error::TensorResult;
use crate::weights::{self, Dtype, Tensors, read_safetensors, safetensors_bytes};

/// What a trainer hands out to be saved, and takes back.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Weights, moments, averages, pools.
    pub tensors: BTreeMap<String, Tensor>,
    /// Steps of optimisers and the like.
    pub counts: BTreeMap<String, u64>,
}

impl State {
    /// Adds all of another state under a prefix.
    pub fn nest(&mut self, prefix: &str, other: Self) {
        let tensors = other.tensors.into_iter();
        self.tensors
            .extend(tensors.map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)));
        let counts = other.counts.into_iter();
        self.counts
            .extend(counts.map(|(name, count)| (format!("{prefix}.{name}"), count)));
    }

    /// Takes out what was added under a prefix.
    #[must_use]
    pub fn take(&mut self, prefix: &str) -> Self {
        Self {
            tensors: take(&mut self.tensors, prefix),
            counts: take(&mut self.counts, prefix),
        }
    }

    /// The count of this name.
    ///
    /// # Errors
    /// `model_error` when there is none.
    pub fn count(&self, name: &str) -> Result<u64> {
        self.counts.get(name).copied().ok_or_else(|| {
            let message = format!("the state has no count `{name}`");
            Error::new(Code::ModelError, message)
        })
    }

    /// A safetensors file with these texts beside the tensors.
    ///
    /// # Errors
    /// `model_error` when a tensor has a number type that training does not use.
    pub fn to_bytes(&self, about: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let mut tensors = Tensors::new();
        for (name, tensor) in &self.tensors {
            tensors.insert(name.clone(), to_weights(tensor)?);
        }
        let mut metadata = about.clone();
        for (name, count) in &self.counts {
            metadata.insert(format!("{COUNT}{name}"), count.to_string());
        }
        safetensors_bytes(&tensors, &metadata)
    }

    /// What [`State::to_bytes`] wrote, and the texts beside it.
    ///
    /// # Errors
    /// `corrupt`, `truncated` or `model_error` when the bytes are no such file.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<(Self, BTreeMap<String, String>)> {
        let (tensors, metadata) = read_safetensors(bytes)?;
        let mut state = Self::default();
        for (name, tensor) in tensors.iter() {
            state.tensors.insert(name.to_owned(), to_candle(tensor)?);
        }
        let mut about = BTreeMap::new();
        for (name, text) in metadata {
            let Some(count) = name.strip_prefix(COUNT) else {
                about.insert(name, text);
                continue;
            };
            let Ok(number) = text.parse() else {
                let message = format!("the count `{count}` is `{text}`");
                return Err(Error::new(Code::ModelError, message));
            };
            state.counts.insert(count.to_owned(), number);
        }
        Ok((state, about))
    }
}

/// Before the name of a count in the file's metadata.
const COUNT: &str = "count ";

fn take<V>(from: &mut BTreeMap<String, V>, prefix: &str) -> BTreeMap<String, V> {
    let prefix = format!("{prefix}.");
    let names: Vec<String> = from
        .keys()
        .filter(|name| name.starts_with(&prefix))
        .cloned()
        .collect();
    let taken = names.into_iter().filter_map(|name| {
        let value = from.remove(&name)?;
        Some((name[prefix.len()..].to_owned(), value))
    });
    taken.collect()
}

/// A tensor of candle as weights, in its own number type.
///
/// # Errors
/// `model_error` for number types other than 32- and 64-bit floats.
pub fn to_weights(tensor: &Tensor) -> Result<weights::Tensor> {
    let flat = tensor.flatten_all().in_network()?;
    let (dtype, bytes) = match tensor.dtype() {
        DType::F32 => {
            let values = flat.to_vec1::<f32>().in_network()?;
            (
                Dtype::F32,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        }
        DType::F64 => {
            let values = flat.to_vec1::<f64>().in_network()?;
            (
                Dtype::F64,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        }
        other => {
            let message = format!("{} is not saved by training", other.as_str());
            return Err(Error::new(Code::ModelError, message));
        }
    };
    weights::Tensor::from_bytes(tensor.dims(), dtype, bytes)
}

/// Weights as a tensor of candle on the CPU: 64-bit floats stay, all others become 32-bit ones.
///
/// # Errors
/// `oom` when there is no memory.
pub fn to_candle(tensor: &weights::Tensor) -> Result<Tensor> {
    if tensor.dtype() != Dtype::F64 {
        return Tensor::from_vec(tensor.to_f32(), tensor.shape(), &Device::Cpu).in_network();
    }
    let bytes = tensor.to_bytes();
    let (eights, _) = bytes.as_chunks::<8>();
    let values: Vec<f64> = eights
        .iter()
        .map(|&eight| f64::from_le_bytes(eight))
        .collect();
    Tensor::from_vec(values, tensor.shape(), &Device::Cpu).in_network()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_to_the_bit() {
        let mut inner = State::default();
        let values = Tensor::new(&[1.0_f64, f64::MIN_POSITIVE, -0.1], &Device::Cpu).unwrap();
        let other = Tensor::new(&[[0.1_f32], [3.0]], &Device::Cpu).unwrap();
        inner.tensors.insert("wide".to_owned(), values);
        inner.tensors.insert("narrow".to_owned(), other);
        inner.counts.insert("steps".to_owned(), 7);
        let mut state = State::default();
        state.nest("generator", inner);
        let about = BTreeMap::from([("step".to_owned(), "7".to_owned())]);
        let bytes = state.to_bytes(&about).unwrap();
        let (mut again, texts) = State::from_bytes(bytes.clone()).unwrap();
        assert_eq!(texts, about);
        assert_eq!(again.to_bytes(&about).unwrap(), bytes);
        let inner = again.take("generator");
        assert!(again.tensors.is_empty() && again.counts.is_empty());
        assert_eq!(inner.count("steps").unwrap(), 7);
        assert_eq!(inner.tensors["wide"].dtype(), DType::F64);
        let wide = inner.tensors["wide"].to_vec1::<f64>().unwrap();
        assert_eq!(wide, [1.0, f64::MIN_POSITIVE, -0.1]);
        assert_eq!(inner.count("other").unwrap_err().code(), Code::ModelError);
    }
}
