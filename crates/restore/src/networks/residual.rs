//! The residual block of EDSR, without normalisation, which other networks took over.
//!
//! Lim et al., *Enhanced Deep Residual Networks for Single Image Super-Resolution* (2017),
//! arXiv:1707.02921.

use fonds_core::Result;
use fonds_nn::layers::{Activation, Conv2d, ConvConfig};
use fonds_nn::{Act, VarBuilder};

/// Convolution, `ReLU`, convolution; and the input again.
#[derive(Debug)]
pub(super) struct Block {
    conv1: Conv2d,
    conv2: Conv2d,
    scale: f32,
}

impl Block {
    /// A block of so many channels whose convolutions count `scale`. Keys are `conv1` and `conv2`.
    pub(super) fn new(features: usize, scale: f32, vb: &VarBuilder<'_>) -> Result<Self> {
        let conv1 = conv(features, features, vb.pp("conv1"))?;
        Ok(Self {
            conv1: conv1.with_activation(Activation::Relu),
            conv2: conv(features, features, vb.pp("conv2"))?,
            scale,
        })
    }

    /// # Shapes
    /// `[n, features, h, w]` → the same.
    pub(super) fn forward(&self, x: &Act) -> Result<Act> {
        self.conv2
            .forward_add(&self.conv1.forward(x)?, self.scale, x)
    }
}

/// A convolution of 3 × 3 that keeps the size.
pub(super) fn conv(inner: usize, outer: usize, vb: VarBuilder<'_>) -> Result<Conv2d> {
    Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb)
}
