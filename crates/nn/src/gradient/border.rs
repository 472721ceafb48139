//! Borders added to tensors.

use candle_core::{Result, Tensor, bail};

use crate::engine::{PadMode, Padding};

/// `x` `[n, c, h, w]` with rows and columns added, as the engine's `pad`.
///
/// # Errors
/// When a reflection would need more pixels than there are.
pub fn pad(x: &Tensor, padding: Padding, mode: PadMode) -> Result<Tensor> {
    let rows = extend(x, 2, [padding.top, padding.bottom], mode)?;
    extend(&rows, 3, [padding.left, padding.right], mode)
}

fn extend(x: &Tensor, dim: usize, [before, after]: [usize; 2], mode: PadMode) -> Result<Tensor> {
    if before == 0 && after == 0 {
        return Ok(x.clone());
    }
    let len = x.dim(dim)?;
    match mode {
        PadMode::Zero => return x.pad_with_zeros(dim, before, after),
        PadMode::Reflection if before.max(after) >= len => {
            bail!("a side of {len} pixels cannot be mirrored for {before} and {after} more")
        }
        PadMode::Replication if len == 0 => bail!("no pixel can be repeated"),
        PadMode::Reflection | PadMode::Replication => {}
    }
    let piece = |start: usize, count: usize, inside: usize| {
        if mode == PadMode::Reflection {
            return x.narrow(dim, start, count)?.contiguous()?.flip(&[dim]);
        }
        let mut dims = x.dims().to_vec();
        dims[dim] = count;
        x.narrow(dim, inside, 1)?.broadcast_as(dims)
    };
    let mut pieces = Vec::with_capacity(3);
    if before > 0 {
        pieces.push(piece(1, before, 0)?);
    }
    pieces.push(x.clone());
    if after > 0 {
        pieces.push(piece((len - 1).saturating_sub(after), after, len - 1)?);
    }
    Tensor::cat(&pieces, dim)
}
