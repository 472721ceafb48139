//! Sharpness as the variance of the Laplacian.

use crate::ops::support::plane::Plane;

/// Variance of the four-neighbour Laplacian over the inner pixels, in squared code values; 0 for
/// planes without inner pixels. Source: Pech-Pacheco et al., ICPR 2000.
pub(super) fn laplacian_variance(luma: &Plane<f32>) -> f64 {
    let (width, height) = (luma.width(), luma.height());
    if width < 3 || height < 3 {
        return 0.0;
    }
    let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
    for y in 1..height - 1 {
        let (row_sum, row_squares) = row_sums(luma.row(y - 1), luma.row(y), luma.row(y + 1));
        sum += f64::from(row_sum);
        squares += f64::from(row_squares);
    }
    let count = ((width - 2) * (height - 2)) as f64;
    (squares / count - (sum / count).powi(2)).max(0.0)
}

fn row_sums(above: &[f32], row: &[f32], below: &[f32]) -> (f32, f32) {
    const LANES: usize = 8;
    let (mut sums, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let inner = row.len() - 2;
    let laplacian = |x: usize| above[x] + below[x] + row[x - 1] + row[x + 1] - 4.0 * row[x];
    for first in (1..=inner).step_by(LANES) {
        for lane in 0..LANES.min(inner + 1 - first) {
            let value = laplacian(first + lane);
            sums[lane] += value;
            squares[lane] += value * value;
        }
    }
    (sums.iter().sum(), squares.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition() {
        let data: Vec<f32> = (0..20 * 13).map(|i| (i * i % 251) as f32).collect();
        let plane = Plane::from_vec(20, 13, data);
        let mut values = Vec::new();
        for y in 1..12 {
            for x in 1..19 {
                let around = plane.at(x - 1, y) + plane.at(x + 1, y) + plane.at(x, y - 1);
                values.push(f64::from(
                    around + plane.at(x, y + 1) - 4.0 * plane.at(x, y),
                ));
            }
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let found = laplacian_variance(&plane);
        assert!((found / variance - 1.0).abs() < 1e-4, "{found} {variance}");
        assert_eq!(laplacian_variance(&Plane::new(2, 9)), 0.0);
    }
}
