//! A transposed convolution with the normalisation that follows it.

use std::sync::{Arc, Mutex, PoisonError};

use fonds_core::Result;

use super::{Activation, ConvTranspose2d, Norm};
use crate::act::{Act, Data};

/// A transposed convolution, the normalisation that follows it, and an activation. On the CPU
/// engine a batch normalisation by running statistics becomes part of the weights.
#[derive(Debug)]
pub struct ConvTransposeNorm {
    conv: ConvTranspose2d,
    norm: Norm,
    activation: Activation,
    folded: Mutex<Option<Arc<ConvTranspose2d>>>,
}

impl ConvTransposeNorm {
    /// The three, in this order.
    pub fn new(conv: ConvTranspose2d, norm: Norm, activation: Activation) -> Self {
        Self {
            conv,
            norm,
            activation,
            folded: Mutex::new(None),
        }
    }

    /// Transposed convolution, normalisation, activation.
    ///
    /// # Errors
    /// Those of the parts.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        if let Some(conv) = self.folded(x)? {
            return conv.forward(x);
        }
        match self.norm.fused(x, self.conv.bare(), &self.activation)? {
            Some(made) => Ok(made),
            None => self.norm.forward(&self.conv.forward(x)?, &self.activation),
        }
    }

    /// The transposed convolution with the normalisation in its weights, where that can be.
    fn folded(&self, x: &Act) -> Result<Option<Arc<ConvTranspose2d>>> {
        let (Norm::Batch(norm), Data::Engine(..)) = (&self.norm, &x.data) else {
            return Ok(None);
        };
        let mut folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(conv) = folded.as_ref() {
            return Ok(Some(Arc::clone(conv)));
        }
        let Some((scale, shift)) = norm.fixed_factors()? else {
            return Ok(None);
        };
        let conv = self.conv.folded(&scale, &shift)?;
        let conv = Arc::new(conv.with_activation(self.activation.clone()));
        *folded = Some(Arc::clone(&conv));
        Ok(Some(conv))
    }
}
