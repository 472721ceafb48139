//! Shuffling between channels and pixels, each way the gradient of the other.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::product::values;

/// `[n, c · factor², h, w]` → `[n, c, h · factor, w · factor]`: channel `c · factor² + dy · factor +
/// dx` goes to pixel `(dy, dx)` of channel `c`.
///
/// # Errors
/// When the channels are no multiple of `factor²`.
pub fn pixel_shuffle(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (_, channels, _, _) = x.dims4()?;
    if factor == 0 || !channels.is_multiple_of(factor * factor) {
        bail!("{channels} channels cannot be shuffled to {factor} times the size");
    }
    if !ours(x) {
        return candle_nn::ops::pixel_shuffle(x, factor);
    }
    x.contiguous()?.apply_op1(Shuffle {
        factor,
        back: false,
    })
}

/// The converse of [`pixel_shuffle`].
///
/// # Errors
/// When the sides are no multiples of `factor`.
pub fn pixel_unshuffle(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    if factor == 0 || !height.is_multiple_of(factor) || !width.is_multiple_of(factor) {
        bail!("{height} × {width} cannot be shuffled to 1/{factor} of the size");
    }
    if !ours(x) {
        return candle_nn::ops::pixel_unshuffle(x, factor);
    }
    x.contiguous()?.apply_op1(Shuffle { factor, back: true })
}

fn ours(x: &Tensor) -> bool {
    matches!(x.dtype(), DType::F32 | DType::F64) && x.device().is_cpu() && x.elem_count() > 0
}

struct Shuffle {
    factor: usize,
    /// From pixels to channels.
    back: bool,
}

impl Shuffle {
    /// The result's size.
    fn dims(&self, [batch, channels, height, width]: [usize; 4]) -> [usize; 4] {
        let Self { factor, back } = *self;
        if back {
            let channels = channels * factor * factor;
            [batch, channels, height / factor, width / factor]
        } else {
            let channels = channels / (factor * factor);
            [batch, channels, height * factor, width * factor]
        }
    }

    fn run<T: WithDType>(&self, x: &[T], dims: [usize; 4]) -> Vec<T> {
        let factor = self.factor;
        let mut made = vec![T::zero(); x.len()];
        // Height and width with as many channels as there are at most.
        let [_, _, height, width] = if self.back { self.dims(dims) } else { dims };
        let group = factor * factor * height * width;
        made.par_chunks_mut(group)
            .zip(x.par_chunks(group))
            .for_each(|(to, from)| {
                for (index, row) in (0..factor * factor * height).enumerate() {
                    let (channel, y) = (row / height, row % height);
                    let (dy, dx) = (channel / factor, channel % factor);
                    let wide = ((y * factor + dy) * width) * factor + dx;
                    let narrow = index * width;
                    if self.back {
                        let from = from[wide..].iter().step_by(factor);
                        to[narrow..][..width]
                            .iter_mut()
                            .zip(from)
                            .for_each(|(to, from)| *to = *from);
                    } else {
                        let to = to[wide..].iter_mut().step_by(factor);
                        to.zip(&from[narrow..][..width])
                            .for_each(|(to, from)| *to = *from);
                    }
                }
            });
        made
    }
}

impl CustomOp1 for Shuffle {
    fn name(&self) -> &'static str {
        "pixel shuffle"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let dims = [batch, channels, height, width];
        let storage = match x {
            CpuStorage::F32(x) => CpuStorage::F32(self.run(values(x, layout)?, dims)),
            CpuStorage::F64(x) => CpuStorage::F64(self.run(values(x, layout)?, dims)),
            _ => bail!("pixels of {:?} are not shuffled", x.dtype()),
        };
        Ok((storage, Shape::from_dims(&self.dims(dims))))
    }

    fn bwd(&self, _x: &Tensor, _made: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        let converse = if self.back {
            pixel_shuffle
        } else {
            pixel_unshuffle
        };
        converse(upstream, self.factor).map(Some)
    }
}
