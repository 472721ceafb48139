//! Layers: a configuration, weights under the names of the checkpoint, and a forward on [`Act`]s.
//!
//! Constructors take the configuration first and the [`VarBuilder`] last; names of fields and
//! prefixes follow the keys of published checkpoints. Nothing here chooses between candle and the
//! CPU engine but the layer itself, so a network reads the same whatever it runs on.
//!
//! [`Act`]: crate::Act
//! [`VarBuilder`]: candle_nn::VarBuilder

#![expect(
    clippy::needless_pass_by_value,
    reason = "a builder of weights is passed by value, as in candle: `vb.pp(name)` makes one"
)]

mod activation;
mod conv;
mod conv_transpose;
mod conv_transpose_norm;
mod norm;
mod pad;
mod pool;
mod resample;
mod spectral;

pub use activation::Activation;
pub use conv::{Conv2d, ConvConfig};
pub use conv_transpose::{ConvTranspose2d, ConvTransposeConfig};
pub use conv_transpose_norm::ConvTransposeNorm;
pub use norm::{BatchNorm2d, BatchNormMode, ConvNorm, InstanceNorm2d, Norm};
pub use pad::{PadMode, Padding};
pub use pool::Pool;
pub use spectral::SpectralConv2d;
