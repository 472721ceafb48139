//! From a checkpoint's tensors to a network: keys compared first, then built.
//!
//! A network's constructor is run twice: first on a builder that only notes which keys and shapes
//! it asks for; these are compared with the checkpoint, and all differences are reported together.
//! Only then it is built from the weights. Nothing is ever made up for a missing key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use fonds_core::Result;

use crate::backend::Backend;
use crate::error::TensorResult;
use crate::weights::{Tensors, expect};

/// The keys and shapes that a constructor asks for, in its order.
///
/// # Errors
/// Those of the constructor.
pub fn expected_keys<N>(
    make: impl FnOnce(VarBuilder<'static>) -> Result<N>,
) -> Result<Vec<(String, Vec<usize>)>> {
    let asked = Asked::default();
    let backend: Box<dyn SimpleBackend> = Box::new(asked.clone());
    make(VarBuilder::from_backend(backend, DType::F32, Device::Cpu))?;
    let mut asked = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *asked))
}

/// Builds a network from a checkpoint's tensors, on a backend.
///
/// `what` names the network in messages; tensors for which `ignore` is true may be there and are
/// not used.
///
/// # Errors
/// `model_error` when keys are missing, unexpected or of other shapes (all in one report), or when
/// weights are no numbers.
pub fn load<N>(
    what: &str,
    tensors: &Tensors,
    backend: &Backend,
    ignore: impl Fn(&str) -> bool,
    make: impl Fn(VarBuilder<'static>) -> Result<N>,
) -> Result<N> {
    let expected = expected_keys(&make)?;
    expect(what, &expected, tensors, ignore)?;
    let mut found = HashMap::new();
    for (key, _) in expected {
        let Some(tensor) = tensors.get(&key) else {
            continue;
        };
        let values = tensor.to_f32();
        let tensor = Tensor::from_vec(values, tensor.shape(), backend.device()).in_network()?;
        found.insert(key, tensor.to_dtype(backend.dtype()).in_network()?);
    }
    make(VarBuilder::from_tensors(
        found,
        backend.dtype(),
        backend.device(),
    ))
}

/// Notes what is asked for; answers with zeros that take no memory.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Keys>>);

/// Names and shapes.
type Keys = Vec<(String, Vec<usize>)>;

impl SimpleBackend for Asked {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.iter().all(|(key, _)| key != name) {
            asked.push((name.to_owned(), shape.dims().to_vec()));
        }
        Tensor::zeros((), dtype, device)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("`{name}` was asked for without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        false
    }
}
