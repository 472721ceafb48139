//! LPIPS: how different two pictures look, by the features of a network and weights learned from
//! people's judgements.
//!
//! Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric* (2018),
//! arXiv:1801.03924, version 0.1 on `SqueezeNet` 1.1. Keys of the heads are `lin0.model.1.weight` to
//! `lin6.model.1.weight`, as its authors publish them.

use candle_core::DType;
use candle_nn::VarBuilder;
use fonds_core::{Code, Error, Result};

use crate::act::{Act, Dims};
use crate::backend::Backend;
use crate::error::TensorResult;
use crate::features::{Features, SqueezeNet, SqueezeNetConfig, SqueezeNetVersion, standardised};
use crate::load;
use crate::weights::Tensors;

/// The layers that are compared.
const LAYERS: [&str; 7] = [
    "relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9",
];
/// What the metric's own normalisation takes off, in −1..1.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
/// And divides by.
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Added to the length of a feature vector, as in the authors' implementation.
const EPS: f64 = 1e-10;

/// The metric.
#[derive(Debug)]
pub struct Lpips {
    network: SqueezeNet,
    /// For each layer one weight for each channel.
    heads: Vec<Vec<f32>>,
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
        let features = features
            .map(|(key, tensor)| (key, tensor.clone()))
            .collect();
        let heads = heads.iter().filter(|(key, _)| is_head(key));
        let heads = heads.map(|(key, tensor)| (key, tensor.clone())).collect();
        Ok(Self {
            network: SqueezeNet::load(&config, &features, backend)?,
            heads: load::load(
                "the heads of LPIPS",
                &heads,
                backend,
                |_| false,
                |vb| read_heads(&config, &vb),
            )?,
        })
    }

    /// The distance of each picture to the other of its pair: 0 for equal ones, about 0.7 for very
    /// different ones.
    ///
    /// # Shapes
    /// Two of `[n, 3, h, w]`, RGB from −1 to 1 → `n` distances.
    ///
    /// # Errors
    /// `internal` when sizes differ, `oom` when there is no memory.
    pub fn distance(&self, one: &Act, other: &Act) -> Result<Vec<f64>> {
        if one.dims() != other.dims() {
            let message = format!(
                "pictures of {} and {} are compared",
                one.dims(),
                other.dims()
            );
            return Err(Error::new(Code::Internal, message));
        }
        let see = |x: &Act| {
            let x = standardised(x, SHIFT, SCALE)?;
            self.network.features(&x, &LAYERS)
        };
        let mut distances = vec![0.0; one.dims().batch];
        for ((one, other), head) in see(one)?.iter().zip(&see(other)?).zip(&self.heads) {
            let (one, other) = (pixels(one)?, pixels(other)?);
            let pairs = one.iter().zip(&other);
            for (distance, (one, other)) in distances.iter_mut().zip(pairs) {
                *distance += lpips_layer(one, other, head)?;
            }
        }
        Ok(distances)
    }
}

/// For each picture its features, those of a pixel side by side.
fn pixels(features: &Act) -> Result<Vec<Vec<f32>>> {
    let Dims {
        channels,
        height,
        width,
        ..
    } = features.dims();
    let plane = height * width;
    let values = features.to_vec()?;
    let pictures = values.chunks_exact(channels * plane).map(|planes| {
        let mut pixels = vec![0.0; planes.len()];
        for (channel, plane) in planes.chunks_exact(plane).enumerate() {
            for (pixel, &value) in plane.iter().enumerate() {
                pixels[pixel * channels + channel] = value;
            }
        }
        pixels
    });
    Ok(pictures.collect())
}

/// One weight for each channel of each layer.
fn read_heads(config: &SqueezeNetConfig, vb: &VarBuilder<'_>) -> Result<Vec<Vec<f32>>> {
    let fires = config.fires[1..].iter().enumerate();
    // fire4 is not looked at: before the second pooling comes fire3, before the third fire5.
    let fires = fires.filter(|(place, _)| *place != 1);
    let fires = fires.map(|(_, fire)| fire.expand1x1 + fire.expand3x3);
    std::iter::once(config.features)
        .chain(fires)
        .enumerate()
        .map(|(layer, width)| {
            let vb = vb.pp(format!("lin{layer}.model.1"));
            let weight = vb.get((1, width, 1, 1), "weight").in_network()?;
            let weight = weight.to_dtype(DType::F32).in_network()?;
            weight.flatten_all().in_network()?.to_vec1().in_network()
        })
        .collect()
}

/// One layer's part of the learned perceptual distance (Zhang, Isola, Efros, Shechtman, Wang 2018,
/// equation 1): each pixel's features are brought to length one, the squared differences weighted
/// by the head (`lin0` … of the LPIPS weights, one weight a channel) and averaged over the pixels.
/// The distance of two pictures is the sum over the layers.
///
/// `a` and `b` are features of `pixels × channels`, the channels of a pixel side by side.
///
/// # Errors
/// [`Code::InvalidRequest`] if the sizes do not agree.
pub fn lpips_layer(a: &[f32], b: &[f32], head: &[f32]) -> Result<f64> {
    let channels = head.len();
    if a.len() != b.len() || a.is_empty() || channels == 0 || !a.len().is_multiple_of(channels) {
        return Err(Error::new(
            Code::InvalidRequest,
            format!(
                "{} and {} features do not fit a head of {channels} channels",
                a.len(),
                b.len()
            ),
        ));
    }
    let mut sum = 0.0;
    for (x, y) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
        let (x_scale, y_scale) = (1.0 / (length(x) + EPS), 1.0 / (length(y) + EPS));
        sum += x
            .iter()
            .zip(y)
            .zip(head)
            .map(|((&x, &y), &weight)| {
                let difference = f64::from(x) * x_scale - f64::from(y) * y_scale;
                f64::from(weight) * difference * difference
            })
            .sum::<f64>();
    }
    Ok(sum / (a.len() / channels) as f64)
}

fn length(features: &[f32]) -> f64 {
    features
        .iter()
        .map(|&v| f64::from(v) * f64::from(v))
        .sum::<f64>()
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_do_not_matter_and_directions_do() {
        let head = [1.0, 1.0];
        let found = lpips_layer(&[3.0, 0.0, 0.0, 2.0], &[5.0, 0.0, 0.0, 1.0], &head).unwrap();
        assert!(found.abs() < 1e-18);
        // At right angles the squared distance of unit vectors is 2; one of two pixels has it.
        let found = lpips_layer(&[3.0, 0.0, 0.0, 2.0], &[0.0, 5.0, 0.0, 1.0], &head).unwrap();
        assert!((found - 1.0).abs() < 1e-9);
        // Weights count each channel's share: (1 × 1 + 3 × 1) / 2 pixels.
        let found = lpips_layer(&[3.0, 0.0, 0.0, 2.0], &[0.0, 5.0, 0.0, 1.0], &[1.0, 3.0]).unwrap();
        assert!((found - 2.0).abs() < 1e-9);
    }

    #[test]
    fn empty_features_have_no_direction() {
        assert_eq!(
            lpips_layer(&[0.0, 0.0], &[0.0, 0.0], &[1.0, 1.0]).unwrap(),
            0.0
        );
        assert!(lpips_layer(&[], &[], &[1.0]).is_err());
        assert!(lpips_layer(&[1.0; 3], &[1.0; 3], &[1.0; 2]).is_err());
        assert!(lpips_layer(&[1.0; 2], &[1.0; 4], &[1.0; 2]).is_err());
    }
}
