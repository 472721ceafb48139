//! LPIPS: how different two pictures look, by the features of a network and weights learned from
//! people's judgements.
//!
//! Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric* (2018),
//! arXiv:1801.03924, version 0.1 on `SqueezeNet` 1.1. Keys of the heads are `lin0.model.1.weight` to
//! `lin6.model.1.weight`, as its authors publish them.

use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use fonds_core::{Code, Error, Result};

use crate::act::Act;
use crate::backend::Backend;
use crate::error::TensorResult;
use crate::features::{Features, SqueezeNet, SqueezeNetConfig, SqueezeNetVersion, standardised};
use crate::load;
use crate::weights::Tensors;

/// The layers that are compared.
const LAYERS: [&str; 7] = ["relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9"];
/// What the metric's own normalisation takes off, in −1..1.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
/// And divides by.
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Keeps a pixel without features from dividing by zero.
const EPS: f64 = 1e-10;

/// The metric.
#[derive(Debug)]
pub struct Lpips {
    network: SqueezeNet,
    /// For each layer one weight for each channel, `[1, c, 1, 1]`.
    heads: Vec<Tensor>,
}

impl Lpips {
    /// The metric from the tensors of a `SqueezeNet` 1.1 and of the heads, which may be the same.
    ///
    /// # Errors
    /// `model_error` when the network is another, or keys are missing or have other shapes.
    pub fn load(network: &Tensors, heads: &Tensors, backend: &Backend) -> Result<Self> {
        let Some(config) = SqueezeNetConfig::recognize(network) else {
            let message = "the weights are not those of SqueezeNet, which LPIPS compares by";
            return Err(Error::new(Code::ModelError, message));
        };
        if config.version != SqueezeNetVersion::V1_1 {
            let message = "the weights are those of SqueezeNet 1.0, and LPIPS compares by 1.1";
            return Err(Error::new(Code::ModelError, message));
        }
        let config = SqueezeNetConfig {
            classes: None,
            ..config
        };
        let is_head = |key: &str| key.starts_with("lin");
        let features = network.iter().filter(|(key, _)| !is_head(key));
        let features = features.map(|(key, tensor)| (key, tensor.clone())).collect();
        let heads = heads.iter().filter(|(key, _)| is_head(key));
        let heads = heads.map(|(key, tensor)| (key, tensor.clone())).collect();
        Ok(Self {
            network: SqueezeNet::load(&config, &features, backend)?,
            heads: load::load("the heads of LPIPS", &heads, backend, |_| false, |vb| {
                read_heads(&config, &vb)
            })?,
        })
    }

    /// The distance of each picture to the other of its pair: 0 for equal ones, about 0.7 for very
    /// different ones.
    ///
    /// # Shapes
    /// Two of `[n, 3, h, w]`, RGB from −1 to 1 → `[n]`.
    ///
    /// # Errors
    /// `internal` when sizes differ, `oom` when there is no memory.
    pub fn distance(&self, one: &Act, other: &Act) -> Result<Tensor> {
        let see = |x: &Act| {
            let x = standardised(x, SHIFT, SCALE)?;
            self.network.features(&x, &LAYERS)
        };
        if one.dims() != other.dims() {
            let message = format!("pictures of {} and {} are compared", one.dims(), other.dims());
            return Err(Error::new(Code::Internal, message));
        }
        let mut total: Option<Tensor> = None;
        for ((one, other), head) in see(one)?.iter().zip(&see(other)?).zip(&self.heads) {
            let part = difference(&one.to_tensor()?, &other.to_tensor()?, head).in_network()?;
            total = Some(match total {
                Some(total) => (total + part).in_network()?,
                None => part,
            });
        }
        Ok(total.expect("there are seven layers"))
    }
}

/// One weight for each channel of each layer.
fn read_heads(config: &SqueezeNetConfig, vb: &VarBuilder<'_>) -> Result<Vec<Tensor>> {
    let fires = config.fires[1..].iter().enumerate();
    // fire4 is not looked at: before the second pooling comes fire3, before the third fire5.
    let fires = fires.filter(|(place, _)| *place != 1);
    let fires = fires.map(|(_, fire)| fire.expand1x1 + fire.expand3x3);
    std::iter::once(config.features)
        .chain(fires)
        .enumerate()
        .map(|(layer, width)| {
            let vb = vb.pp(format!("lin{layer}.model.1"));
            vb.get((1, width, 1, 1), "weight").in_network()
        })
        .collect()
}

/// The weighted squares of differences between directions of features, their mean over a picture.
fn difference(one: &Tensor, other: &Tensor, head: &Tensor) -> candle_core::Result<Tensor> {
    let difference = (direction(one)? - direction(other)?)?;
    let weighted = difference.sqr()?.broadcast_mul(&head.to_dtype(DType::F32)?)?;
    weighted.sum(1)?.mean((1, 2))
}

/// Features of each pixel, divided by their length.
fn direction(features: &Tensor) -> candle_core::Result<Tensor> {
    let features = features.to_dtype(DType::F32)?;
    let length = (features.sqr()?.sum_keepdim(1)?.sqrt()? + EPS)?;
    features.broadcast_div(&length)
}
