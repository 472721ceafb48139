//! Means and covariances of colours, and the linear map between two of them.

/// A symmetric matrix of three rows.
pub(super) type Matrix = [[f64; 3]; 3];

/// Sums over values with `N` axes, from which means and covariances follow.
#[derive(Debug, Clone)]
pub(super) struct Moments<const N: usize> {
    count: f64,
    sums: [f64; N],
    products: [[f64; N]; N],
}

impl<const N: usize> Default for Moments<N> {
    fn default() -> Self {
        Self {
            count: 0.0,
            sums: [0.0; N],
            products: [[0.0; N]; N],
        }
    }
}

impl<const N: usize> Moments<N> {
    pub(super) fn add(&mut self, value: [f64; N]) {
        self.count += 1.0;
        for row in 0..N {
            self.sums[row] += value[row];
            for column in 0..=row {
                self.products[row][column] += value[row] * value[column];
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for row in 0..N {
            self.sums[row] += other.sums[row];
            for column in 0..=row {
                self.products[row][column] += other.products[row][column];
            }
        }
    }

    pub(super) fn mean(&self) -> [f64; N] {
        self.sums.map(|sum| sum / self.count)
    }

    /// Divided by the number of values.
    pub(super) fn covariance(&self) -> [[f64; N]; N] {
        let mean = self.mean();
        std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                let (high, low) = (row.max(column), row.min(column));
                self.products[high][low] / self.count - mean[row] * mean[column]
            })
        })
    }

    pub(super) fn deviation(&self) -> [f64; N] {
        let covariance = self.covariance();
        std::array::from_fn(|axis| covariance[axis][axis].max(0.0).sqrt())
    }
}

/// The map that gives colours of covariance `from` the covariance `to` and moves them least:
/// `A^-½ (A^½ B A^½)^½ A^-½` for normal distributions. No direction is widened more than `widest`
/// times.
pub(super) fn transport(from: &Matrix, to: &Matrix, widest: f64) -> Matrix {
    let root = of_eigenvalues(from, |value| value.max(0.0).sqrt());
    // Directions without any spread have nothing to be widened.
    let inverse = of_eigenvalues(from, |value| {
        if value > 1e-10 {
            1.0 / value.sqrt()
        } else {
            0.0
        }
    });
    let inner = product(&product(&root, to), &root);
    let inner = of_eigenvalues(&symmetric(&inner), |value| value.max(0.0).sqrt());
    let map = symmetric(&product(&product(&inverse, &inner), &inverse));
    of_eigenvalues(&map, |value| value.clamp(0.0, widest))
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let at = |row: usize, column: usize| (0..3).map(|k| a[row][k] * b[k][column]).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| at(row, column)))
}

/// Without the rounding that makes a product of symmetric matrices a little asymmetric.
fn symmetric(a: &Matrix) -> Matrix {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| f64::midpoint(a[row][column], a[column][row]))
    })
}

/// The matrix with the same directions and other eigenvalues.
fn of_eigenvalues(matrix: &Matrix, change: impl Fn(f64) -> f64) -> Matrix {
    let (values, directions) = eigen(matrix);
    let values = values.map(change);
    let at = |row: usize, column: usize| {
        (0..3)
            .map(|k| values[k] * directions[row][k] * directions[column][k])
            .sum()
    };
    std::array::from_fn(|row| std::array::from_fn(|column| at(row, column)))
}

/// Eigenvalues of a symmetric matrix, and the directions as columns (Jacobi's rotations).
fn eigen(matrix: &Matrix) -> ([f64; 3], Matrix) {
    let mut a = *matrix;
    let mut v: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // They converge quadratically; four sweeps are usual.
    for _ in 0..16 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q] == 0.0 {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let (c, s) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
            for row in &mut a {
                let (x, y) = (row[p], row[q]);
                (row[p], row[q]) = (c * x - s * y, s * x + c * y);
            }
            for k in 0..3 {
                let (x, y) = (a[p][k], a[q][k]);
                (a[p][k], a[q][k]) = (c * x - s * y, s * x + c * y);
                let (x, y) = (v[k][p], v[k][q]);
                (v[k][p], v[k][q]) = (c * x - s * y, s * x + c * y);
            }
        }
    }
    ([a[0][0], a[1][1], a[2][2]], v)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Matrix = [[0.04, 0.02, 0.01], [0.02, 0.05, 0.015], [0.01, 0.015, 0.03]];
    const B: Matrix = [[0.02, -0.004, 0.0], [-0.004, 0.06, 0.01], [0.0, 0.01, 0.01]];

    fn assert_close(a: &Matrix, b: &Matrix) {
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            assert!((a - b).abs() < 1e-9, "{a} and {b}");
        }
    }

    #[test]
    fn eigenvalues_make_the_matrix_again() {
        assert_close(&of_eigenvalues(&A, |value| value), &A);
        let root = of_eigenvalues(&A, f64::sqrt);
        assert_close(&product(&root, &root), &A);
        let diagonal = [[3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]];
        assert_eq!(eigen(&diagonal).0, [3.0, 1.0, 2.0]);
    }

    #[test]
    fn the_map_carries_one_covariance_to_the_other() {
        let map = transport(&A, &B, 100.0);
        assert_close(&map, &symmetric(&map));
        assert_close(&product(&product(&map, &A), &map), &B);
        assert_close(&transport(&A, &A, 4.0), &of_eigenvalues(&A, |_| 1.0));
    }

    #[test]
    fn nothing_is_widened_without_bound() {
        let flat = [[1e-6, 0.0, 0.0], [0.0, 0.05, 0.0], [0.0, 0.0, 0.0]];
        let map = transport(&flat, &B, 4.0);
        let (values, _) = eigen(&map);
        assert!(
            values
                .iter()
                .all(|value| (0.0..=4.0 + 1e-9).contains(value)),
            "{values:?}"
        );
    }
}
