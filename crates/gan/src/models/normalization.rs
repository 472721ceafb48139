//! Which normalisation follows a convolution, in families of networks that have either.

use fonds_core::Result;
use fonds_nn::VarBuilder;
use fonds_nn::layers::{BatchNorm2d, BatchNormMode, InstanceNorm2d, Norm};
use fonds_nn::weights::Tensors;

/// PyTorch's.
const EPS: f64 = 1e-5;

/// A normalisation without its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// Batch normalisation; convolutions before it have no bias.
    Batch(BatchNormMode),
    /// Instance normalisation without weights; convolutions before it have a bias.
    Instance,
}

impl Normalization {
    /// Whether the convolutions that it follows have a bias.
    pub fn conv_bias(self) -> bool {
        self == Self::Instance
    }

    /// The normalisation with its weights.
    pub(crate) fn build(self, channels: usize, vb: VarBuilder<'_>) -> Result<Norm> {
        Ok(match self {
            Self::Batch(mode) => Norm::Batch(BatchNorm2d::new(channels, EPS, mode, vb)?),
            Self::Instance => Norm::Instance(InstanceNorm2d::plain(EPS)),
        })
    }

    /// That which follows the convolution at this key, by its bias.
    pub(crate) fn after(conv: &str, tensors: &Tensors) -> Self {
        if tensors.contains(&format!("{conv}.bias")) {
            Self::Instance
        } else {
            Self::Batch(BatchNormMode::Running)
        }
    }
}

/// Whether a key is the counter of a batch normalisation, which nothing needs.
pub(crate) fn is_counter(key: &str) -> bool {
    key.ends_with(".num_batches_tracked")
}

/// The sides of a kernel `[out, in, k, k]` at a key: out, in, k.
pub(crate) fn kernel(tensors: &Tensors, key: &str) -> Option<[usize; 3]> {
    match *tensors.get(key)?.shape() {
        [outer, inner, rows, columns] if rows == columns => Some([outer, inner, rows]),
        _ => None,
    }
}

/// The number of `N` = 0, 1, 2 … for which a key exists.
pub(crate) fn count(tensors: &Tensors, key: impl Fn(usize) -> String) -> usize {
    let numbers = 0..tensors.len();
    numbers.take_while(|&n| tensors.contains(&key(n))).count()
}
