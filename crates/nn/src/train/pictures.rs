//! Pictures on their way between a trainer and its networks: ranges, the trained network at work, rows
//! to look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use fonds_core::Result;

use super::{Export, Learner};
use crate::act::{Act, Dims};
use crate::backend::Backend;
use crate::error::TensorResult;
use crate::network::{Network, Range};

/// Where a finished network is used during training: the engine on the CPU, else the device.
pub fn for_use(device: &Device) -> Backend {
    if device.is_cpu() {
        return Backend::Engine(Arc::clone(crate::gradient::engine()));
    }
    Backend::Tensors {
        device: device.clone(),
        dtype: DType::F32,
    }
}

/// Pictures from 0 to 1 in a network's range.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn into_range(pictures: &Tensor, range: Range) -> Result<Tensor> {
    scaled(pictures, range.from_unit())
}

/// Pictures in a network's range as 0 to 1.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn from_range(pictures: &Tensor, range: Range) -> Result<Tensor> {
    scaled(pictures, range.to_unit())
}

fn scaled(pictures: &Tensor, (scale, shift): (f32, f32)) -> Result<Tensor> {
    if (scale, shift) == (1.0, 0.0) {
        return Ok(pictures.clone());
    }
    let (scale, shift) = (f64::from(scale), f64::from(shift));
    pictures.affine(scale, shift).in_network()
}

/// One picture of a batch, `[channels, height, width]`, within 0 to 1.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn shown(pictures: &Tensor, index: usize) -> Result<Tensor> {
    let picture = pictures.get(index).and_then(|picture| {
        let picture = picture.detach().to_dtype(DType::F32)?;
        picture.clamp(0.0, 1.0)?.to_device(&Device::Cpu)
    });
    picture.in_network()
}

/// Rows of one picture from each of several batches.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn rows(columns: &[&Tensor]) -> Result<Vec<Vec<Tensor>>> {
    let count = columns.first().map_or(0, |column| column.dims()[0]);
    (0..count)
        .map(|index| columns.iter().map(|column| shown(column, index)).collect())
        .collect()
}

/// A learner's network, to be kept.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn export<N: ?Sized>(
    name: &'static str,
    what: &'static str,
    learner: &Learner<N>,
) -> Result<Export> {
    Ok(Export {
        name,
        what,
        tensors: learner.best()?,
        about: BTreeMap::new(),
    })
}

/// What a network makes of pictures from 0 to 1, on whatever it runs, from 0 to 1.
///
/// # Errors
/// Those of the network's forward.
pub fn translate(network: &dyn Network, backend: &Backend, pictures: &Tensor) -> Result<Tensor> {
    let interface = network.interface();
    let pictures = into_range(pictures, interface.input)?;
    let (batch, channels, height, width) = pictures.dims4().in_network()?;
    let values = pictures.to_dtype(DType::F32).and_then(|t| t.flatten_all());
    let values = values.and_then(|t| t.to_vec1::<f32>()).in_network()?;
    let dims = Dims {
        batch,
        channels,
        height,
        width,
    };
    let made = network
        .forward(&backend.import(dims, &values)?)?
        .to_tensor()?;
    from_range(&made, interface.output)
}

/// What a learning network makes of pictures in its range, in the numbers of its weights.
///
/// # Errors
/// Those of the network's forward.
pub fn forward(
    learner: &Learner<dyn Network>,
    network: &dyn Network,
    pictures: &Tensor,
) -> Result<Tensor> {
    let pictures = pictures.to_dtype(learner.numbers()).in_network()?;
    let made = network.forward(&Act::from_tensor(pictures)?)?.to_tensor()?;
    made.to_dtype(learner.parameters().dtype()).in_network()
}
