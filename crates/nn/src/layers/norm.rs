//! Normalisation: by running statistics, by those of the batch, by those of each picture.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use fonds_core::Result;

use super::conv::flat;
use super::{Activation, Conv2d};
use crate::act::{Act, Data};
use crate::engine::{ChannelSums, Engine, Normalization};
use crate::error::TensorResult;
use crate::gradient::{self, Convolution, Offset, Seen};
use crate::statistics::Statistics;

/// Which statistics a batch normalisation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchNormMode {
    /// Those of the checkpoint.
    #[default]
    Running,
    /// Those of the batch that goes through, as published pix2pix results were made.
    Batch,
    /// Those of the batch, and in training the running ones follow: a tenth of each new mean and
    /// unbiased variance, as in PyTorch. They stay where no gradient is wanted.
    Train,
}

/// The share of a new batch in running statistics; PyTorch's.
const MOMENTUM: f64 = 0.1;

/// Batch normalisation. Keys: `weight`, `bias`, `running_mean`, `running_var`, all `[channels]`;
/// `num_batches_tracked` is not needed.
#[derive(Debug)]
pub struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    eps: f64,
    mode: BatchNormMode,
}

impl BatchNorm2d {
    /// A batch normalisation; PyTorch's `eps` is 1e-5.
    ///
    /// # Errors
    /// `model_error` when a key is missing or has another shape.
    pub fn new(channels: usize, eps: f64, mode: BatchNormMode, vb: VarBuilder<'_>) -> Result<Self> {
        let get = |name: &str, value: f64| {
            let hint = candle_nn::Init::Const(value);
            vb.get_with_hints(channels, name, hint).in_network()
        };
        Ok(Self {
            weight: get("weight", 1.0)?,
            bias: get("bias", 0.0)?,
            running_mean: get("running_mean", 0.0)?,
            running_var: get("running_var", 1.0)?,
            eps,
            mode,
        })
    }

    /// Factor and shift of each channel, when the statistics are fixed.
    pub(super) fn fixed_factors(&self) -> Result<Option<(Tensor, Tensor)>> {
        match self.mode {
            BatchNormMode::Running => self.factors().in_network().map(Some),
            BatchNormMode::Batch | BatchNormMode::Train => Ok(None),
        }
    }

    /// Factor and shift of each channel by the statistics of the checkpoint.
    fn factors(&self) -> candle_core::Result<(Tensor, Tensor)> {
        let scale = (&self.weight / (&self.running_var + self.eps)?.sqrt()?)?;
        let shift = (&self.bias - (&self.running_mean * &scale)?)?;
        Ok((scale, shift))
    }

    /// The normalisation alone.
    ///
    /// # Errors
    /// `internal` when the channels do not fit.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        match (self.mode, &x.data) {
            (BatchNormMode::Running, Data::Tensor(tensor)) => {
                let made = self.running_on_tensor(tensor).in_network()?;
                Ok(x.with_data(Data::Tensor(made)))
            }
            (BatchNormMode::Running, _) => {
                let (scale, shift) = self.factors().in_network()?;
                x.channel_affine(&flat(&scale)?, &flat(&shift)?)
            }
            (BatchNormMode::Batch | BatchNormMode::Train, Data::Tensor(tensor)) => {
                let made = self.batch_on_tensor(tensor).in_network()?;
                Ok(x.with_data(Data::Tensor(made)))
            }
            (BatchNormMode::Batch | BatchNormMode::Train, Data::Engine(engine, _)) => {
                let buffer = x.to_buffer()?;
                let sums = engine.batch_sums(&buffer);
                let (weight, bias) = (flat(&self.weight)?, flat(&self.bias)?);
                let how = Normalization {
                    epsilon: self.eps,
                    weight: Some(&weight),
                    bias: Some(&bias),
                    ..Normalization::default()
                };
                let made = engine.instance_norm_by(&buffer, &[sums], &how)?;
                Ok(x.with_buffer(engine, made))
            }
            (BatchNormMode::Batch | BatchNormMode::Train, Data::Traced(traced)) => {
                Ok(x.with_data(Data::Traced(traced.whole())))
            }
        }
    }

    fn running_on_tensor(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (scale, shift) = self.factors()?;
        let row = |values: Tensor| values.reshape((1, values.elem_count(), 1, 1));
        x.broadcast_mul(&row(scale)?)?.broadcast_add(&row(shift)?)
    }

    fn batch_on_tensor(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        if self.follows() {
            self.follow(&Seen::Values(x.detach()))?;
        }
        gradient::batch_norm(x, &self.weight, &self.bias, self.eps)
    }
}

impl BatchNorm2d {
    /// Takes a batch into the running statistics.
    fn follow(&self, seen: &Seen) -> candle_core::Result<()> {
        let (mean, variance) = match seen {
            Seen::Sums(sums) => {
                let row = |values: Vec<f64>| Tensor::new(values, self.running_mean.device());
                // One value has no variance.
                let variances = if sums.count() > 1 {
                    sums.unbiased_variances().collect()
                } else {
                    vec![0.0; sums.channels()]
                };
                (row(sums.means().collect())?, row(variances)?)
            }
            Seen::Values(x) => {
                let x = wide(x)?;
                let (batch, channels, height, width) = x.dims4()?;
                let count = (batch * height * width) as f64;
                let sum = |x: &Tensor| x.flatten_from(2)?.sum(2)?.sum(0);
                let mean = (sum(&x)? / count)?;
                let centred = x.broadcast_sub(&mean.reshape((1, channels, 1, 1))?)?;
                let variance = (sum(&centred.sqr()?)? / (count - 1.0).max(1.0))?;
                (mean, variance)
            }
        };
        for (running, new) in [(&self.running_mean, mean), (&self.running_var, variance)] {
            let new = new.to_dtype(running.dtype())?;
            let kept = (running.detach() * (1.0 - MOMENTUM))?;
            Var::from_tensor(running)?.set(&(kept + (new * MOMENTUM)?)?)?;
        }
        Ok(())
    }

    /// Whether running statistics follow the batches.
    fn follows(&self) -> bool {
        self.mode == BatchNormMode::Train && self.running_mean.is_variable()
    }
}

/// Instance normalisation: each channel of each picture to mean 0 and variance 1, then weight and
/// bias where the checkpoint has them (keys `weight` and `bias`, `[channels]`).
#[derive(Debug)]
pub struct InstanceNorm2d {
    affine: Option<(Tensor, Tensor)>,
    eps: f64,
}

impl InstanceNorm2d {
    /// Without weights.
    pub fn plain(eps: f64) -> Self {
        Self { affine: None, eps }
    }

    /// With weight and bias under these names.
    ///
    /// # Errors
    /// `model_error` when a key is missing or has another shape.
    pub fn affine(
        channels: usize,
        eps: f64,
        names: [&str; 2],
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let get = |name: &str, value: f64| {
            let hint = candle_nn::Init::Const(value);
            vb.get_with_hints(channels, name, hint).in_network()
        };
        let [weight, bias] = names;
        Ok(Self {
            affine: Some((get(weight, 1.0)?, get(bias, 0.0)?)),
            eps,
        })
    }

    /// The normalisation, followed by an activation.
    ///
    /// Uses the statistics of the activation's [`Book`](crate::statistics::Book) when that is to be
    /// read, and writes its own there when it is to be filled.
    ///
    /// # Errors
    /// `internal` when the channels do not fit.
    pub fn forward(&self, x: &Act, activation: &Activation) -> Result<Act> {
        match &x.data {
            Data::Tensor(tensor) => {
                let made = self.on_tensor(x, tensor)?;
                let made = activation.on_tensor(&made).in_network()?;
                Ok(x.with_data(Data::Tensor(made)))
            }
            Data::Engine(engine, _) => self.on_engine(x, engine, activation),
            Data::Traced(traced) => Ok(x.with_data(Data::Traced(traced.whole()))),
        }
    }

    fn on_engine(&self, x: &Act, engine: &Arc<Engine>, activation: &Activation) -> Result<Act> {
        let buffer = x.to_buffer()?;
        let channels = buffer.shape().channels;
        let affine = match &self.affine {
            Some((weight, bias)) => Some((flat(weight)?, flat(bias)?)),
            None => None,
        };
        let given = match &x.book {
            Some(book) => book.next(channels)?,
            None => None,
        };
        let activation = activation.for_engine()?;
        let made = if let Some(given) = given {
            let affine = affine
                .as_ref()
                .map(|(weight, bias)| (&weight[..], &bias[..]));
            let (scale, shift) = given.factors(self.eps, affine);
            engine.affine(&buffer, &scale, &shift, &activation)?
        } else {
            let sums = engine.channel_sums(&buffer);
            if let Some(book) = &x.book {
                book.write(|| Ok(Statistics::of(&sums[0])))?;
            }
            let how = Normalization {
                epsilon: self.eps,
                weight: affine.as_ref().map(|(weight, _)| &weight[..]),
                bias: affine.as_ref().map(|(_, bias)| &bias[..]),
                residual: None,
                activation: &activation,
            };
            engine.instance_norm_by(&buffer, &sums, &how)?
        };
        Ok(x.with_buffer(engine, made))
    }

    fn on_tensor(&self, x: &Act, tensor: &Tensor) -> Result<Tensor> {
        let channels = x.dims().channels;
        let given = match &x.book {
            Some(book) => book.next(channels)?,
            None => None,
        };
        let (mean, variance) = match given {
            Some(given) => given.on(tensor).in_network()?,
            None => own_statistics(tensor).in_network()?,
        };
        if let Some(book) = &x.book {
            book.write(|| statistics_of(&mean, &variance))?;
        }
        self.normalised(tensor, &mean, &variance).in_network()
    }

    fn normalised(
        &self,
        x: &Tensor,
        mean: &Tensor,
        variance: &Tensor,
    ) -> candle_core::Result<Tensor> {
        // Sums and small differences need 32 bits, whatever the network runs in.
        let kind = x.dtype();
        let wide = wide(x)?;
        let y = wide
            .broadcast_sub(mean)?
            .broadcast_div(&(variance + self.eps)?.sqrt()?)?
            .to_dtype(kind)?;
        let Some((weight, bias)) = &self.affine else {
            return Ok(y);
        };
        let row = |values: &Tensor| values.reshape((1, values.elem_count(), 1, 1));
        y.broadcast_mul(&row(weight)?)?.broadcast_add(&row(bias)?)
    }
}

/// Half precision as 32 bits; others as they are.
fn wide(x: &Tensor) -> candle_core::Result<Tensor> {
    match x.dtype() {
        candle_core::DType::F16 | candle_core::DType::BF16 => x.to_dtype(candle_core::DType::F32),
        _ => Ok(x.clone()),
    }
}

/// Mean and biased variance of each channel of each picture, `[n, c, 1, 1]`.
fn own_statistics(x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let x = wide(x)?;
    let (batch, channels, _, _) = x.dims4()?;
    let flat = x.flatten_from(2)?;
    let mean = flat.mean_keepdim(2)?;
    let variance = flat.broadcast_sub(&mean)?.sqr()?.mean_keepdim(2)?;
    let shape = (batch, channels, 1, 1);
    Ok((mean.reshape(shape)?, variance.reshape(shape)?))
}

/// The statistics of a batch of one picture as a page of a book.
fn statistics_of(mean: &Tensor, variance: &Tensor) -> Result<Statistics> {
    let first = |tensor: &Tensor| flat(&tensor.get(0).in_network()?);
    Ok(Statistics {
        mean: first(mean)?,
        variance: first(variance)?,
    })
}

impl Statistics {
    /// The statistics of one picture's sums.
    fn of(sums: &ChannelSums) -> Self {
        Self {
            mean: sums.means().map(|mean| mean as f32).collect(),
            variance: sums.variances().map(|variance| variance as f32).collect(),
        }
    }

    /// Mean and variance as tensors `[1, channels, 1, 1]` beside this one.
    fn on(&self, beside: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let row = |values: &[f32]| {
            let row = Tensor::from_slice(values, (1, values.len(), 1, 1), beside.device())?;
            match beside.dtype() {
                candle_core::DType::F64 => row.to_dtype(candle_core::DType::F64),
                _ => Ok(row),
            }
        };
        Ok((row(&self.mean)?, row(&self.variance)?))
    }

    /// Factor and shift of each channel that normalise by these statistics.
    pub(crate) fn factors(
        &self,
        eps: f64,
        affine: Option<(&[f32], &[f32])>,
    ) -> (Vec<f32>, Vec<f32>) {
        let channels = self.mean.len();
        let mut scale = Vec::with_capacity(channels);
        let mut shift = Vec::with_capacity(channels);
        for channel in 0..channels {
            let (weight, bias) = affine.map_or((1.0, 0.0), |(weight, bias)| {
                (f64::from(weight[channel]), f64::from(bias[channel]))
            });
            let factor = weight / (f64::from(self.variance[channel]) + eps).sqrt();
            scale.push(factor as f32);
            shift.push((bias - f64::from(self.mean[channel]) * factor) as f32);
        }
        (scale, shift)
    }
}

/// The normalisation that a family of networks uses, where it may be one or the other.
#[derive(Debug)]
pub enum Norm {
    /// None.
    None,
    /// By running or batch statistics.
    Batch(BatchNorm2d),
    /// By each picture's own.
    Instance(InstanceNorm2d),
}

impl Norm {
    /// The normalisation, followed by an activation.
    ///
    /// # Errors
    /// Those of the normalisation.
    pub fn forward(&self, x: &Act, activation: &Activation) -> Result<Act> {
        match self {
            Self::None => x.activate(activation),
            Self::Batch(norm) => norm.forward(x)?.activate(activation),
            Self::Instance(norm) => norm.forward(x, activation),
        }
    }

    /// The normalisation of a tensor's convolution by the statistics of the batch, followed by an
    /// activation, all in one; `None` where that cannot be.
    pub(super) fn fused(
        &self,
        x: &Act,
        conv: Option<(&Tensor, Convolution)>,
        activation: &Activation,
    ) -> Result<Option<Act>> {
        let (Self::Batch(norm), Data::Tensor(tensor)) = (self, &x.data) else {
            return Ok(None);
        };
        let (BatchNormMode::Batch | BatchNormMode::Train, Some((weight, convolution))) =
            (norm.mode, conv)
        else {
            return Ok(None);
        };
        let offset = Offset::Batch {
            weight: &norm.weight,
            bias: &norm.bias,
            epsilon: norm.eps,
        };
        let made = gradient::block_seen(tensor, weight, convolution, offset, activation);
        let (made, seen) = made.in_network()?;
        if let (true, Some(seen)) = (norm.follows(), seen) {
            norm.follow(&seen).in_network()?;
        }
        Ok(Some(x.with_data(Data::Tensor(made))))
    }
}

/// A convolution, the normalisation that follows it, and an activation. On the CPU engine a batch
/// normalisation by running statistics becomes part of the convolution's weights.
#[derive(Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: Norm,
    activation: Activation,
    folded: Mutex<Option<Arc<Conv2d>>>,
}

impl ConvNorm {
    /// The three, in this order.
    pub fn new(conv: Conv2d, norm: Norm, activation: Activation) -> Self {
        Self {
            conv,
            norm,
            activation,
            folded: Mutex::new(None),
        }
    }

    /// Convolution, normalisation, activation.
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

    /// The same, plus a residual after the activation.
    ///
    /// # Errors
    /// Those of the parts, and when the residual has another size.
    pub fn forward_add(&self, x: &Act, residual: &Act) -> Result<Act> {
        match self.folded(x)? {
            Some(conv) => conv.forward_add(x, 1.0, residual),
            None => self.forward(x)?.add(residual),
        }
    }

    /// The convolution with the normalisation in its weights, where that can be.
    fn folded(&self, x: &Act) -> Result<Option<Arc<Conv2d>>> {
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
