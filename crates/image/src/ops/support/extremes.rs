//! Gray morphology with squares: running minimum and maximum, closing and opening, on bytes.

/// Minimum or maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The least value (erosion).
    Min,
    /// The greatest value (dilation).
    Max,
}

impl Pick {
    /// The other one.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Min => Self::Max,
            Self::Max => Self::Min,
        }
    }

    fn into_left(self, a: &mut [u8], b: &[u8]) {
        match self {
            Self::Min => a.iter_mut().zip(b).for_each(|(a, b)| *a = (*a).min(*b)),
            Self::Max => a.iter_mut().zip(b).for_each(|(a, b)| *a = (*a).max(*b)),
        }
    }
}

/// The extreme value in the square of `2 × radius + 1` around each pixel of `rows`, of which
/// there are `width` in a row; outside counts for nothing.
///
/// Windows grow by doubling, so that the cost grows with the logarithm of the radius, and each
/// step is one pass that the compiler turns into vector instructions.
pub(crate) fn extreme(rows: &[u8], width: usize, radius: usize, pick: Pick) -> Vec<u8> {
    let mut across = rows.to_vec();
    let mut scratch = rows.to_vec();
    for row in across.chunks_exact_mut(width) {
        window(row, &mut scratch[..width], 1, radius, pick);
    }
    window(&mut across, &mut scratch, width, radius, pick);
    across
}

/// Closing (`Max`: fills dark details) or opening (`Min`: removes bright ones) by a square.
pub(crate) fn close_or_open(rows: &[u8], width: usize, radius: usize, first: Pick) -> Vec<u8> {
    let grown = extreme(rows, width, radius, first);
    extreme(&grown, width, radius, first.opposite())
}

/// The extreme of the elements at distances −radius..=radius in steps of `stride`.
fn window(values: &mut [u8], scratch: &mut [u8], stride: usize, radius: usize, pick: Pick) {
    let count = values.len() / stride;
    let length = radius.min(count.saturating_sub(1)) + 1;
    // The run of `length` elements ahead, clipped at the end, then the same behind it.
    let mut behind = values.to_vec();
    grow(length, |span| {
        scratch.copy_from_slice(values);
        let step = span * stride;
        pick.into_left(values, &scratch[step..]);
    });
    grow(length, |span| {
        scratch.copy_from_slice(&behind);
        let step = span * stride;
        pick.into_left(&mut behind[step..], scratch);
    });
    pick.into_left(values, &behind);
}

/// Calls `join` with the distances that make runs of `length` out of runs of one.
fn grow(length: usize, mut join: impl FnMut(usize)) {
    let mut span = 1;
    while span < length {
        let step = span.min(length - span);
        join(step);
        span += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(rows: &[u8], width: usize, radius: usize, pick: Pick) -> Vec<u8> {
        let height = rows.len() / width;
        let mut out = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let mut best = rows[y * width + x];
                for yy in y.saturating_sub(radius)..height.min(y + radius + 1) {
                    for xx in x.saturating_sub(radius)..width.min(x + radius + 1) {
                        let value = rows[yy * width + xx];
                        best = match pick {
                            Pick::Min => best.min(value),
                            Pick::Max => best.max(value),
                        };
                    }
                }
                out.push(best);
            }
        }
        out
    }

    #[test]
    fn equals_the_slow_version() {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (5, 4), (37, 23)] {
            let rows: Vec<u8> = (0..width * height)
                .map(|i| (i * i * 31 + i * 7) as u8)
                .collect();
            for radius in [0, 1, 2, 3, 5, 12] {
                for pick in [Pick::Min, Pick::Max] {
                    let fast = extreme(&rows, width, radius, pick);
                    assert_eq!(fast, slow(&rows, width, radius, pick), "{width} {radius}");
                }
            }
        }
    }

    #[test]
    fn closing_fills_small_dark_spots_only() {
        let mut rows = vec![200_u8; 21 * 21];
        rows[10 * 21 + 10] = 0;
        assert!(
            close_or_open(&rows, 21, 1, Pick::Max)
                .iter()
                .all(|v| *v == 200)
        );
        assert_eq!(close_or_open(&rows, 21, 1, Pick::Min), rows);
    }
}
