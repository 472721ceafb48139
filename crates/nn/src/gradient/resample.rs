//! Enlargement and reduction of tensors.

use candle_core::{Result, Tensor, bail};

/// Each pixel of `x` `[n, c, h, w]` as a block of `factor × factor`.
///
/// # Errors
/// When the factor is zero.
pub fn upsample_nearest(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    if factor == 0 {
        bail!("a picture cannot be enlarged by zero");
    }
    if factor == 1 {
        return Ok(x.clone());
    }
    x.reshape((batch, channels, height, 1, width, 1))?
        .broadcast_as((batch, channels, height, factor, width, factor))?
        .reshape((batch, channels, height * factor, width * factor))
}

/// `x` `[n, c, h, w]` at another size by linear interpolation, with PyTorch's coordinates, as the
/// engine's `resize_bilinear`.
///
/// # Errors
/// When a size is zero.
pub fn resize_bilinear(
    x: &Tensor,
    height: usize,
    width: usize,
    align_corners: bool,
) -> Result<Tensor> {
    let rows = resize(x, 2, height, align_corners)?;
    resize(&rows, 3, width, align_corners)
}

fn resize(x: &Tensor, dim: usize, count: usize, align_corners: bool) -> Result<Tensor> {
    let side = x.dim(dim)?;
    if side == 0 || count == 0 {
        bail!("a side of {side} pixels cannot become {count}");
    }
    let (mut first, mut second, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..count {
        let position = if align_corners {
            i as f64 * ((side - 1) as f64 / count.saturating_sub(1).max(1) as f64)
        } else {
            ((i as f64 + 0.5) * (side as f64 / count as f64) - 0.5).max(0.0)
        };
        let at = (position as usize).min(side - 1);
        first.push(at as u32);
        second.push((at + 1).min(side - 1) as u32);
        shares.push(position - at as f64);
    }
    let mut dims = vec![1; x.rank()];
    dims[dim] = count;
    let share = Tensor::new(shares, x.device())?
        .to_dtype(x.dtype())?
        .reshape(dims)?;
    let x = x.contiguous()?;
    let pick = |indices: Vec<u32>| x.index_select(&Tensor::new(indices, x.device())?, dim);
    let (first, second) = (pick(first)?, pick(second)?);
    first.broadcast_mul(&share.affine(-1.0, 1.0)?)? + second.broadcast_mul(&share)?
}
