//! The perceptual hash: signs of the lowest frequencies of a small luma.

use std::f32::consts::PI;

use crate::ops::support::plane::Plane;

/// Side of the picture that is transformed.
const SIDE: usize = 32;

/// Frequencies kept, each way, without the mean.
const KEPT: usize = 8;

/// 64 bits: the 8 × 8 lowest frequencies of the 32 × 32 luma (rows and columns 1 to 8 of the
/// DCT-II), each against the median of them all. Bit 63 is the lowest frequency.
pub(super) fn of(luma: &Plane<f32>) -> u64 {
    let small = shrink(luma);
    let basis = basis();
    let mut across = [[0.0_f32; KEPT]; SIDE];
    for (row, out) in small.iter().zip(&mut across) {
        for (wave, out) in basis.iter().zip(out) {
            *out = row.iter().zip(wave).map(|(v, w)| v * w).sum();
        }
    }
    let mut values = [0.0_f32; KEPT * KEPT];
    for (i, value) in values.iter_mut().enumerate() {
        let (v, u) = (i / KEPT, i % KEPT);
        *value = (0..SIDE).map(|y| across[y][u] * basis[v][y]).sum();
    }
    let mut sorted = values;
    sorted.sort_by(f32::total_cmp);
    let median = f32::midpoint(sorted[31], sorted[32]);
    values
        .iter()
        .fold(0, |bits, value| bits << 1 | u64::from(*value > median))
}

fn basis() -> [[f32; SIDE]; KEPT] {
    let mut basis = [[0.0; SIDE]; KEPT];
    for (k, wave) in basis.iter_mut().enumerate() {
        for (x, value) in wave.iter_mut().enumerate() {
            *value = (PI / SIDE as f32 * (x as f32 + 0.5) * (k + 1) as f32).cos();
        }
    }
    basis
}

/// Area averages on 32 × 32 cells; cells share pixels that they cut.
fn shrink(luma: &Plane<f32>) -> [[f32; SIDE]; SIDE] {
    let columns = cells(luma.width());
    let mut small = [[0.0; SIDE]; SIDE];
    for (row, cell) in small.iter_mut().zip(cells(luma.height())) {
        for (y, weight) in cell {
            let source = luma.row(y);
            for (out, cell) in row.iter_mut().zip(&columns) {
                let sum: f32 = cell.iter().map(|(x, w)| source[*x] * w).sum();
                *out += sum * weight;
            }
        }
    }
    small
}

/// For each of 32 cells along `length` pixels, the pixels in it and their weights, which sum to 1.
fn cells(length: usize) -> Vec<Vec<(usize, f32)>> {
    let size = length as f64 / SIDE as f64;
    (0..SIDE)
        .map(|cell| {
            let (from, to) = (cell as f64 * size, (cell + 1) as f64 * size);
            let last = (to.ceil() as usize).min(length);
            (from as usize..last)
                .map(|i| {
                    let part = to.min((i + 1) as f64) - from.max(i as f64);
                    (i, (part / size).max(0.0) as f32)
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cover_evenly() {
        for length in [1, 5, 32, 33, 700] {
            for cell in cells(length) {
                let sum: f32 = cell.iter().map(|(_, w)| w).sum();
                assert!((sum - 1.0).abs() < 1e-4, "{length}: {sum}");
            }
        }
    }

    #[test]
    fn one_bit_for_one_wave() {
        let data = (0..64 * 64).map(|i| (PI / 64.0 * ((i % 64) as f32 + 0.5)).cos() * 100.0);
        let hash = of(&Plane::from_vec(64, 64, data.collect()));
        assert_eq!(hash >> 63, 1);
    }
}
