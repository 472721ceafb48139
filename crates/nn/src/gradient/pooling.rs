//! Maxima of windows. The gradient goes to the first maximum of each window, row by row, as
//! PyTorch's on the CPU; where NaN stands, to the first NaN.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use crate::engine::Window;

/// The maximum of each window of `x` `[n, c, h, w]`, as the engine's `max_pool`.
///
/// # Errors
/// When there are no such windows.
pub fn max_pool2d(x: &Tensor, window: &Window) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let output = window
        .output(height, width)
        .map_err(candle_core::Error::wrap)?;
    if x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) {
        return pick_maxima(&x.contiguous()?, window, output);
    }
    fold_taps(x, window, output)
}

/// Finds where the maxima are, then picks them.
fn pick_maxima(x: &Tensor, window: &Window, [height, width]: [usize; 2]) -> Result<Tensor> {
    let input = [x.dim(2)?, x.dim(3)?];
    let (batch, channels, _, _) = x.dims4()?;
    let places = match x.dtype() {
        DType::F64 => maxima::<f64>(x, window, [height, width])?,
        _ => maxima::<f32>(x, window, [height, width])?,
    };
    let pick = Pick {
        places: Arc::new(places),
        source: [batch, channels, input[0], input[1]],
        result: [batch, channels, height, width],
    };
    x.apply_op1(pick)
}

/// The index of each window's maximum within its plane.
fn maxima<T: WithDType>(x: &Tensor, window: &Window, output: [usize; 2]) -> Result<Vec<u32>> {
    let (storage, layout) = x.storage_and_layout();
    let candle_core::Storage::Cpu(storage) = &*storage else {
        bail!("maxima are picked on the CPU");
    };
    let values = contiguous(storage.as_slice::<T>()?, layout)?;
    let (height, width) = (x.dim(2)?, x.dim(3)?);
    let mut places = vec![0; values.len() / (height * width).max(1) * output[0] * output[1]];
    if places.is_empty() {
        return Ok(places);
    }
    let span = |axis: usize, index: usize, side: usize| {
        let start = index * window.stride[axis];
        let inside = |position: usize| position.saturating_sub(window.padding[axis]).min(side);
        inside(start)..inside(start + window.kernel[axis])
    };
    places
        .par_chunks_mut(output[0] * output[1])
        .zip(values.par_chunks(height * width))
        .for_each(|(places, plane)| {
            for (index, place) in places.iter_mut().enumerate() {
                let rows = span(0, index / output[1], height);
                let columns = span(1, index % output[1], width);
                let mut best = rows.start * width + columns.start;
                for y in rows {
                    for at in y * width + columns.start..y * width + columns.end {
                        let (value, greatest) = (plane[at].to_f64(), plane[best].to_f64());
                        if value > greatest || (value.is_nan() && !greatest.is_nan()) {
                            best = at;
                        }
                    }
                }
                *place = best as u32;
            }
        });
    Ok(places)
}

/// Values picked from the planes of a tensor. Its gradient puts values where they were picked.
struct Pick {
    places: Arc<Vec<u32>>,
    source: [usize; 4],
    result: [usize; 4],
}

/// Values put into planes of zeros, added where several go to one place. Its gradient picks them.
struct Put {
    places: Arc<Vec<u32>>,
    source: [usize; 4],
    result: [usize; 4],
}

impl Pick {
    fn apply<T: WithDType>(&self, from: &[T]) -> Vec<T> {
        let mut to = vec![T::zero(); self.places.len()];
        let sizes = [self.source, self.result].map(|dims| dims[2] * dims[3]);
        if to.is_empty() {
            return to;
        }
        to.par_chunks_mut(sizes[1])
            .zip(self.places.par_chunks(sizes[1]))
            .zip(from.par_chunks(sizes[0]))
            .for_each(|((to, places), from)| {
                for (to, place) in to.iter_mut().zip(places) {
                    *to = from[*place as usize];
                }
            });
        to
    }
}

impl Put {
    fn apply<T: WithDType>(&self, from: &[T]) -> Vec<T> {
        let mut to = vec![T::zero(); self.source.iter().product()];
        let sizes = [self.source, self.result].map(|dims| dims[2] * dims[3]);
        if from.is_empty() {
            return to;
        }
        to.par_chunks_mut(sizes[0])
            .zip(self.places.par_chunks(sizes[1]))
            .zip(from.par_chunks(sizes[1]))
            .for_each(|((to, places), from)| {
                for (place, from) in places.iter().zip(from) {
                    to[*place as usize] += *from;
                }
            });
        to
    }
}

impl CustomOp1 for Pick {
    fn name(&self) -> &'static str {
        "pick"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = match storage {
            CpuStorage::F32(values) => CpuStorage::F32(self.apply(contiguous(values, layout)?)),
            CpuStorage::F64(values) => CpuStorage::F64(self.apply(contiguous(values, layout)?)),
            _ => bail!("values are picked from floats of 32 or 64 bits"),
        };
        Ok((storage, Shape::from_dims(&self.result)))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        let put = Put {
            places: Arc::clone(&self.places),
            source: self.source,
            result: self.result,
        };
        upstream.contiguous()?.apply_op1(put).map(Some)
    }
}

impl CustomOp1 for Put {
    fn name(&self) -> &'static str {
        "put"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = match storage {
            CpuStorage::F32(values) => CpuStorage::F32(self.apply(contiguous(values, layout)?)),
            CpuStorage::F64(values) => CpuStorage::F64(self.apply(contiguous(values, layout)?)),
            _ => bail!("values are put into floats of 32 or 64 bits"),
        };
        Ok((storage, Shape::from_dims(&self.source)))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        let pick = Pick {
            places: Arc::clone(&self.places),
            source: self.source,
            result: self.result,
        };
        upstream.contiguous()?.apply_op1(pick).map(Some)
    }
}

fn contiguous<'a, T>(values: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("maxima were asked of a tensor that is not contiguous"),
    }
}

/// The same from tensor operations, for GPUs: each tap of the windows is a tensor of the result's
/// size, and a tap replaces the greatest so far where it is greater.
pub(super) fn fold_taps(x: &Tensor, window: &Window, output: [usize; 2]) -> Result<Tensor> {
    let mut framed = x.clone();
    for (axis, windows) in output.into_iter().enumerate() {
        // So much that every tap of every window, in whole strides, is there. The least number
        // stands in for minus infinity, which times a gradient of zero would be NaN.
        let (dim, stride) = (2 + axis, window.stride[axis]);
        let needed = window.kernel[axis] + windows * stride;
        let before = window.padding[axis];
        let after = needed.saturating_sub(framed.dim(dim)? + before);
        framed = surround(&framed, dim, before, after)?;
    }
    let tap = |dy: usize, dx: usize| -> Result<Tensor> {
        let rows = strided(&framed, 2, dy, window.stride[0], output[0])?;
        strided(&rows, 3, dx, window.stride[1], output[1])?.contiguous()
    };
    let mut greatest = tap(0, 0)?;
    for index in 1..window.kernel[0] * window.kernel[1] {
        let tap = tap(index / window.kernel[1], index % window.kernel[1])?;
        // NaN is unlike itself.
        let nan = tap.ne(&tap)?.mul(&greatest.eq(&greatest)?)?;
        let replaces = tap.gt(&greatest)?.add(&nan)?;
        greatest = replaces.where_cond(&tap, &greatest)?;
    }
    Ok(greatest)
}

/// A border of the least number.
fn surround(x: &Tensor, dim: usize, before: usize, after: usize) -> Result<Tensor> {
    let least = match x.dtype() {
        DType::F16 => -65_504.0,
        DType::F64 => f64::MIN,
        // Also for bf16, which rounds to its own infinity above this.
        _ => -3.0e38,
    };
    let border = |len: usize| {
        let mut dims = x.dims().to_vec();
        dims[dim] = len;
        Tensor::full(least, dims, x.device())?.to_dtype(x.dtype())
    };
    match (before, after) {
        (0, 0) => Ok(x.clone()),
        (0, after) => Tensor::cat(&[x, &border(after)?], dim),
        (before, 0) => Tensor::cat(&[&border(before)?, x], dim),
        (before, after) => Tensor::cat(&[&border(before)?, x, &border(after)?], dim),
    }
}

/// Every `stride`th of a dimension, `count` of them from `start` on.
fn strided(x: &Tensor, dim: usize, start: usize, stride: usize, count: usize) -> Result<Tensor> {
    let part = x.narrow(dim, start, count * stride)?;
    if stride == 1 {
        return Ok(part);
    }
    let mut dims = x.dims().to_vec();
    dims[dim] = count;
    dims.insert(dim + 1, stride);
    part.reshape(dims)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)
}
