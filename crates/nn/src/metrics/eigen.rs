//! Eigenvalues and eigenvectors of symmetric matrices: Householder's reduction to three diagonals,
//! then QL steps with implicit shifts (Golub and Van Loan, *Matrix Computations*, sections 8.2, 8.3).

use fonds_core::{Code, Error, Result};

/// More steps than one eigenvalue ever takes.
const STEPS: usize = 256;

/// The eigenvalues of a symmetric matrix, in no particular order, and the matrix (row by row) whose
/// columns are the eigenvectors.
///
/// # Errors
/// `model_error` when values are no finite numbers.
pub(super) fn symmetric_eigen(matrix: &[f64], len: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    if matrix.iter().any(|value| !value.is_finite()) {
        let message = "features that are no finite numbers";
        return Err(Error::new(Code::ModelError, message));
    }
    let mut a = matrix.to_vec();
    let mut vectors = identity(len);
    let (mut diagonal, mut beside) = reduce(&mut a, &mut vectors, len);
    // Rows of the transpose: a rotation of two columns is then one of two rows in memory.
    let mut rows = transposed(&vectors, len);
    // Reflections gather what is large at the top, and the steps converge where it is at the bottom:
    // the same matrix, read backwards.
    diagonal.reverse();
    beside[..len.saturating_sub(1)].reverse();
    let mut backwards: Vec<&[f64]> = rows.chunks_exact(len.max(1)).collect();
    backwards.reverse();
    rows = backwards.concat();
    solve(&mut diagonal, &mut beside, &mut rows, len)?;
    Ok((diagonal, transposed(&rows, len)))
}

fn identity(len: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; len * len];
    for i in 0..len {
        matrix[i * len + i] = 1.0;
    }
    matrix
}

fn transposed(matrix: &[f64], len: usize) -> Vec<f64> {
    let mut out = vec![0.0; len * len];
    for i in 0..len {
        for j in 0..len {
            out[j * len + i] = matrix[i * len + j];
        }
    }
    out
}

/// Makes `a` tridiagonal by reflections, which `q` collects (`a = q t qᵀ`); the diagonal of `t` and
/// what stands beside it.
fn reduce(a: &mut [f64], q: &mut [f64], len: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.0; len];
    for k in 0..len.saturating_sub(2) {
        // The reflection that leaves of column k, below the diagonal, one entry.
        let mut v: Vec<f64> = (k + 1..len).map(|i| a[i * len + k]).collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm == 0.0 {
            continue;
        }
        let alpha = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= alpha;
        let square: f64 = v.iter().map(|x| x * x).sum();
        let beta = 2.0 / square;
        beside[k] = alpha;
        // a ← h a h on the remaining block: a − v wᵀ − w vᵀ.
        let block = k + 1;
        let p: Vec<f64> = (block..len)
            .map(|i| {
                let row = &a[i * len + block..(i + 1) * len];
                beta * row.iter().zip(&v).map(|(x, y)| x * y).sum::<f64>()
            })
            .collect();
        let half = beta / 2.0 * p.iter().zip(&v).map(|(x, y)| x * y).sum::<f64>();
        let w: Vec<f64> = p.iter().zip(&v).map(|(p, v)| p - half * v).collect();
        for i in block..len {
            let (vi, wi) = (v[i - block], w[i - block]);
            let row = &mut a[i * len + block..(i + 1) * len];
            for ((x, vj), wj) in row.iter_mut().zip(&v).zip(&w) {
                *x -= vi * wj + wi * vj;
            }
        }
        // q ← q h
        for row in q.chunks_exact_mut(len) {
            let row = &mut row[block..];
            let factor = beta * row.iter().zip(&v).map(|(x, y)| x * y).sum::<f64>();
            for (x, y) in row.iter_mut().zip(&v) {
                *x -= factor * y;
            }
        }
    }
    if len >= 2 {
        beside[len - 2] = a[(len - 1) * len + len - 2];
    }
    let diagonal = (0..len).map(|i| a[i * len + i]).collect();
    (diagonal, beside)
}

/// Rotates what stands beside the diagonal away; row `i` of `rows` becomes the eigenvector of
/// `diagonal[i]`.
fn solve(diagonal: &mut [f64], beside: &mut [f64], rows: &mut [f64], len: usize) -> Result<()> {
    // Where rank is lacking, whole blocks are rounding errors of the largest values, and steps among
    // them need not end.
    let largest = |values: &[f64]| values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    let floor = f64::EPSILON * largest(diagonal).max(largest(beside));
    for low in 0..len {
        for step in 0.. {
            let end = (low..len - 1)
                .find(|&i| {
                    let size = diagonal[i].abs() + diagonal[i + 1].abs();
                    beside[i].abs() <= (f64::EPSILON * size).max(floor)
                })
                .unwrap_or(len - 1);
            if end == low {
                break;
            }
            if step == STEPS {
                let message = "the eigenvalues of a covariance were not found";
                return Err(Error::new(Code::Internal, message));
            }
            // Wilkinson's shift from the upper corner.
            let gap = (diagonal[low + 1] - diagonal[low]) / (2.0 * beside[low]);
            let root = gap.hypot(1.0).copysign(gap);
            let shift = diagonal[low] - beside[low] / (gap + root);
            let (mut sine, mut cosine, mut carried) = (1.0_f64, 1.0_f64, 0.0_f64);
            let mut g = diagonal[end] - shift;
            let mut vanished = false;
            for i in (low..end).rev() {
                let f = sine * beside[i];
                let b = cosine * beside[i];
                let r = f.hypot(g);
                beside[i + 1] = r;
                if r == 0.0 {
                    diagonal[i + 1] -= carried;
                    beside[end] = 0.0;
                    vanished = true;
                    break;
                }
                sine = f / r;
                cosine = g / r;
                g = diagonal[i + 1] - carried;
                let t = (diagonal[i] - g) * sine + 2.0 * cosine * b;
                carried = sine * t;
                diagonal[i + 1] = g + carried;
                g = cosine * t - b;
                let (upper, lower) = rows[i * len..(i + 2) * len].split_at_mut(len);
                for (x, y) in upper.iter_mut().zip(lower) {
                    (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                }
            }
            if !vanished {
                diagonal[low] -= carried;
                beside[low] = g;
                beside[end] = 0.0;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Chance;
    use fonds_core::Seed;

    /// The largest entry of `a − v d vᵀ`, and of `vᵀ v − 1`.
    fn residuals(matrix: &[f64], len: usize) -> (f64, f64) {
        let (values, vectors) = symmetric_eigen(matrix, len).unwrap();
        let (mut product, mut unity) = (0.0_f64, 0.0_f64);
        for i in 0..len {
            for j in 0..len {
                let entry: f64 = (0..len)
                    .map(|k| vectors[i * len + k] * values[k] * vectors[j * len + k])
                    .sum();
                product = product.max((entry - matrix[i * len + j]).abs());
                let dot: f64 = (0..len)
                    .map(|k| vectors[k * len + i] * vectors[k * len + j])
                    .sum();
                unity = unity.max((dot - f64::from(u8::from(i == j))).abs());
            }
        }
        (product, unity)
    }

    #[test]
    fn the_decomposition_gives_the_matrix_back() {
        let mut chance = Chance::new(Seed::new(5), "eigen");
        for len in [1, 2, 3, 7, 40] {
            let mut matrix = vec![0.0; len * len];
            for i in 0..len {
                for j in 0..=i {
                    let value = chance.normal();
                    matrix[i * len + j] = value;
                    matrix[j * len + i] = value;
                }
            }
            let (product, unity) = residuals(&matrix, len);
            assert!(
                product < 1e-12 * len as f64 && unity < 1e-12 * len as f64,
                "{len}: {product} {unity}"
            );
        }
    }

    #[test]
    fn values_of_all_sizes_are_found() {
        // Features as networks give them: few directions with large values, most with tiny ones.
        let len = 96;
        let mut chance = Chance::new(Seed::new(6), "graded");
        let count = 40;
        let vectors: Vec<Vec<f64>> = (0..count)
            .map(|_| {
                let graded = |k: usize| 10_f64.powf(-(k as f64) / 6.0);
                (0..len)
                    .map(|k| graded(k) * chance.normal().max(0.0))
                    .collect()
            })
            .collect();
        let mut matrix = vec![0.0; len * len];
        for vector in &vectors {
            for i in 0..len {
                for j in 0..len {
                    matrix[i * len + j] += vector[i] * vector[j] / count as f64;
                }
            }
        }
        let (product, unity) = residuals(&matrix, len);
        assert!(product < 1e-12 && unity < 1e-11, "{product} {unity}");
        let small: Vec<f64> = matrix.iter().map(|value| value * 1e-16).collect();
        let (product, unity) = residuals(&small, len);
        assert!(product < 1e-27 && unity < 1e-11, "{product} {unity}");
    }

    #[test]
    fn degenerate_matrices_are_no_exception() {
        let ones = vec![1.0; 36];
        let zeros = vec![0.0; 36];
        let mut diagonal = zeros.clone();
        for i in 0..6 {
            diagonal[7 * i] = (i % 2) as f64;
        }
        for matrix in [ones.clone(), zeros, diagonal] {
            let (product, unity) = residuals(&matrix, 6);
            assert!(product < 1e-12 && unity < 1e-12, "{product} {unity}");
        }
        let (mut values, _) = symmetric_eigen(&ones, 6).unwrap();
        values.sort_by(f64::total_cmp);
        assert!((values[5] - 6.0).abs() < 1e-12 && values[4].abs() < 1e-12);
        let error = symmetric_eigen(&[f64::NAN], 1).unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
    }
}
