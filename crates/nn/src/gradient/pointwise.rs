//! Values by channel and gates, on tensors `[n, channels, …]`: what biases, slopes and normalisations
//! are made of, closed under differentiation.
//!
//! On CPU tensors of 32 and 64 bits they run over the planes in parallel, each in one pass; sums are
//! made in one order, so that they do not depend on the number of threads. Elsewhere they are
//! composed of candle's own operations.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor, WithDType, bail,
};
use rayon::prelude::*;

use super::product::values;

/// Values that one thread takes at a time, at least.
const PIECE: usize = 1 << 14;

/// Sums side by side.
const LANES: usize = 8;

/// `x + bias[c]`, with `x` `[n, c, …]` and `bias` `[c]`.
///
/// # Errors
/// When there is not one value for each channel.
pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if !ours(x) {
        return x.broadcast_add(&across(bias, x)?);
    }
    Pair::Add.of(x, bias)
}

/// `x · factor[c]`, with `x` `[n, c, …]` and `factor` `[c]`.
///
/// # Errors
/// When there is not one factor for each channel.
pub fn scale_channels(x: &Tensor, factor: &Tensor) -> Result<Tensor> {
    if !ours(x) {
        return x.broadcast_mul(&across(factor, x)?);
    }
    Pair::Scale.of(x, factor)
}

/// The sum of each channel: `[n, c, …]` → `[c]`.
///
/// # Errors
/// When there are fewer than two dimensions.
pub fn channel_sums(x: &Tensor) -> Result<Tensor> {
    if !ours(x) {
        return x.transpose(0, 1)?.flatten_from(1)?.sum(1);
    }
    x.contiguous()?.apply_op1(ChannelSums)
}

/// The sum of the products of each channel: twice `[n, c, …]` → `[c]`.
///
/// # Errors
/// When the shapes differ.
pub fn channel_products(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if !ours(x) {
        return channel_sums(&(x * y)?);
    }
    Pair::Products.of(x, y)
}

/// `x` where positive, else `x · slope`.
///
/// # Errors
/// When there is no memory.
pub fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    gate(x, x, [1.0, slope])
}

/// `x` where positive, else `x · slopes[c]`; one slope may serve all channels.
///
/// # Errors
/// When there is neither one slope nor one for each channel.
pub fn prelu(x: &Tensor, slopes: &Tensor) -> Result<Tensor> {
    let slopes = slopes.flatten_all()?;
    let slopes = match slopes.elem_count() {
        1 => slopes.broadcast_as(x.dim(1)?)?,
        _ => slopes,
    };
    let negative = gate(x, x, [0.0, 1.0])?;
    gate(x, x, [1.0, 0.0])? + scale_channels(&negative, &slopes)?
}

/// `y` times the first factor where `x` is positive, else times the second. The gradient does not
/// reach `x`.
fn gate(x: &Tensor, y: &Tensor, factors: [f64; 2]) -> Result<Tensor> {
    if !ours(x) {
        let positive = x.detach().gt(0.0)?.to_dtype(x.dtype())?;
        let [high, low] = factors;
        return y * positive.affine(high - low, low)?;
    }
    // Detached: candle expects a gradient for each argument that it tracks.
    Pair::Gate(factors).of(&x.detach(), y)
}

/// Values of channels as a tensor that goes across all others.
fn across(values: &Tensor, x: &Tensor) -> Result<Tensor> {
    let mut dims = vec![1; x.rank()];
    dims[1] = values.elem_count();
    values.reshape(dims)
}

fn ours(x: &Tensor) -> bool {
    matches!(x.dtype(), DType::F32 | DType::F64) && x.device().is_cpu() && x.elem_count() > 0
}

/// Batch, channels and values of a plane.
fn planes(layout: &Layout) -> Result<[usize; 3]> {
    match layout.dims() {
        [batch, channels, others @ ..] => Ok([*batch, *channels, others.iter().product()]),
        dims => bail!("{dims:?} has no channels"),
    }
}

/// The sum of each channel.
struct ChannelSums;

impl CustomOp1 for ChannelSums {
    fn name(&self) -> &'static str {
        "channel sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = planes(layout)?;
        let storage = match x {
            CpuStorage::F32(x) => CpuStorage::F32(sums(sizes, values(x, layout)?, |x, _| x, None)),
            CpuStorage::F64(x) => CpuStorage::F64(sums(sizes, values(x, layout)?, |x, _| x, None)),
            _ => bail!("there are no channel sums of {:?}", x.dtype()),
        };
        Ok((storage, Shape::from_dims(&sizes[1..2])))
    }

    fn bwd(&self, x: &Tensor, _sums: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        across(upstream, x)?.broadcast_as(x.shape()).map(Some)
    }
}

/// `Σ term(x, y)` over the pixels of each channel; `y` is zero where there is none.
fn sums<T: WithDType>(
    [batch, channels, plane]: [usize; 3],
    x: &[T],
    term: impl Fn(f64, f64) -> f64 + Sync,
    y: Option<&[T]>,
) -> Vec<T> {
    let of_plane = |index: usize| {
        let range = index * plane..(index + 1) * plane;
        let x = x[range.clone()].as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        let mut rest = 0.0;
        if let Some(y) = y {
            let y = y[range].as_chunks::<LANES>();
            for (x, y) in x.0.iter().zip(y.0) {
                for lane in 0..LANES {
                    lanes[lane] += term(x[lane].to_f64(), y[lane].to_f64());
                }
            }
            for (x, y) in x.1.iter().zip(y.1) {
                rest += term(x.to_f64(), y.to_f64());
            }
        } else {
            for x in x.0 {
                for (sum, x) in lanes.iter_mut().zip(x) {
                    *sum += term(x.to_f64(), 0.0);
                }
            }
            for x in x.1 {
                rest += term(x.to_f64(), 0.0);
            }
        }
        lanes.iter().sum::<f64>() + rest
    };
    (0..channels)
        .into_par_iter()
        .with_min_len(PIECE.div_ceil(batch * plane + 1))
        .map(|channel| {
            let of_pictures = (0..batch).map(|picture| of_plane(picture * channels + channel));
            T::from_f64(of_pictures.sum())
        })
        .collect()
}

/// An operation on two tensors.
#[derive(Debug, Clone, Copy)]
enum Pair {
    /// A tensor and a value for each channel that is added.
    Add,
    /// A tensor and a factor for each channel.
    Scale,
    /// Two tensors, whose products are summed up by channel.
    Products,
    /// Two tensors: the second times a factor for positive values of the first and one for others.
    Gate([f64; 2]),
}

impl Pair {
    fn of(self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let fits = match self {
            Self::Add | Self::Scale => y.dims() == &x.dims()[1..2],
            Self::Products | Self::Gate(_) => x.dims() == y.dims(),
        };
        if !fits || x.dtype() != y.dtype() {
            bail!(
                "{self:?} of {:?} {:?} and {:?} {:?} is not possible",
                x.dtype(),
                x.dims(),
                y.dtype(),
                y.dims()
            );
        }
        x.contiguous()?.apply_op2(&y.contiguous()?, self)
    }

    fn run<T: WithDType>(self, sizes: [usize; 3], x: &[T], y: &[T]) -> Vec<T> {
        let [_, channels, plane] = sizes;
        match self {
            Self::Add => by_channel(x, y, channels, plane, |x, value| x + value),
            Self::Scale => by_channel(x, y, channels, plane, |x, value| x * value),
            Self::Products => sums(sizes, x, |x, y| x * y, Some(y)),
            Self::Gate(factors) => {
                let [high, low] = factors.map(T::from_f64);
                x.par_iter()
                    .with_min_len(PIECE)
                    .zip(y)
                    .map(|(x, y)| if *x > T::zero() { *y * high } else { *y * low })
                    .collect()
            }
        }
    }
}

/// A function of each value and its channel's.
fn by_channel<T: WithDType>(
    x: &[T],
    of_channels: &[T],
    channels: usize,
    plane: usize,
    function: impl Fn(T, T) -> T + Sync + Send,
) -> Vec<T> {
    let mut made = vec![T::zero(); x.len()];
    made.par_chunks_mut(plane)
        .with_min_len(PIECE.div_ceil(plane))
        .zip(x.par_chunks(plane))
        .enumerate()
        .for_each(|(index, (made, x))| {
            let value = of_channels[index % channels];
            for (made, x) in made.iter_mut().zip(x) {
                *made = function(*x, value);
            }
        });
    made
}

impl CustomOp2 for Pair {
    fn name(&self) -> &'static str {
        "values by channel"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = planes(x_layout)?;
        let storage = match (x, y) {
            (CpuStorage::F32(x), CpuStorage::F32(y)) => {
                CpuStorage::F32(self.run(sizes, values(x, x_layout)?, values(y, y_layout)?))
            }
            (CpuStorage::F64(x), CpuStorage::F64(y)) => {
                CpuStorage::F64(self.run(sizes, values(x, x_layout)?, values(y, y_layout)?))
            }
            _ => bail!(
                "{self:?} of {:?} and {:?} is not possible",
                x.dtype(),
                y.dtype()
            ),
        };
        let shape = match self {
            Self::Products => Shape::from_dims(&sizes[1..2]),
            _ => x_layout.shape().clone(),
        };
        Ok((storage, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _made: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_x = || match self {
            Self::Add => Ok(Some(upstream.clone())),
            Self::Scale => scale_channels(upstream, y).map(Some),
            Self::Products => scale_channels(y, upstream).map(Some),
            Self::Gate(_) => Ok(None),
        };
        let of_y = || match self {
            Self::Add => channel_sums(upstream),
            Self::Scale => channel_products(x, upstream),
            Self::Products => scale_channels(x, upstream),
            Self::Gate(factors) => gate(x, upstream, *factors),
        };
        Ok((
            x.track_op().then(of_x).transpose()?.flatten(),
            y.track_op().then(of_y).transpose()?,
        ))
    }
}
