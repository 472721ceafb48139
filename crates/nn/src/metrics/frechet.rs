//! Distances between two sets of pictures by the features of a network: Fréchet and kernel distance.
//!
//! Heusel et al. 2017, arXiv:1706.08500, equation 6, and Bińkowski et al. 2018, arXiv:1801.01401,
//! section 4. Both papers take the features of Inception and call the result FID and KID; of any other
//! network they are other numbers, which compare only with their like.

use fonds_core::{Code, Error, Result};
use rayon::prelude::*;

use super::eigen::symmetric_eigen;

/// Mean and covariance of features.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// The mean of each feature.
    pub mean: Vec<f64>,
    /// The unbiased covariance, row by row.
    pub covariance: Vec<f64>,
}

impl Moments {
    /// The moments of vectors of one length, one for each picture.
    ///
    /// # Errors
    /// `invalid_request` when there are fewer than two, or they have different lengths.
    pub fn of(features: &[Vec<f64>]) -> Result<Self> {
        let count = features.len();
        let len = features.first().map_or(0, Vec::len);
        if count < 2 || features.iter().any(|vector| vector.len() != len) {
            let message =
                format!("{count} pictures are too few to compare, or of unequal features");
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("give at least two pictures; hundreds make a steady figure"));
        }
        let mut mean = vec![0.0; len];
        for vector in features {
            for (sum, value) in mean.iter_mut().zip(vector) {
                *sum += value / count as f64;
            }
        }
        let centred: Vec<Vec<f64>> = features
            .iter()
            .map(|vector| vector.iter().zip(&mean).map(|(v, m)| v - m).collect())
            .collect();
        let rows = (0..len).into_par_iter().map(|i| {
            let mut row = vec![0.0; len];
            for vector in &centred {
                let factor = vector[i] / (count - 1) as f64;
                for (sum, value) in row.iter_mut().zip(vector) {
                    *sum += factor * value;
                }
            }
            row
        });
        let covariance = rows.collect::<Vec<_>>().concat();
        Ok(Self { mean, covariance })
    }
}

/// The Fréchet distance, squared as usual, between normal distributions with these moments:
/// `‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)`.
///
/// # Errors
/// `invalid_request` when they have different numbers of features, `model_error` when features are no
/// finite numbers.
pub fn frechet_distance(one: &Moments, other: &Moments) -> Result<f64> {
    let len = one.mean.len();
    if other.mean.len() != len {
        let message = format!("{len} and {} features are compared", other.mean.len());
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let means = one.mean.iter().zip(&other.mean);
    let shift: f64 = means.map(|(a, b)| (a - b).powi(2)).sum();
    let trace = |matrix: &[f64]| (0..len).map(|i| matrix[i * len + i]).sum::<f64>();
    // With Σ₁ = V D Vᵀ the trace of (Σ₁ Σ₂)^½ is that of (D^½ Vᵀ Σ₂ V D^½)^½, which is symmetric.
    let (values, vectors) = symmetric_eigen(&one.covariance, len)?;
    let roots: Vec<f64> = values.iter().map(|value| value.max(0.0).sqrt()).collect();
    let half: Vec<Vec<f64>> = (0..len)
        .into_par_iter()
        .map(|i| {
            let mut row = vec![0.0; len];
            for k in 0..len {
                let factor = vectors[k * len + i];
                let source = &other.covariance[k * len..(k + 1) * len];
                for (sum, value) in row.iter_mut().zip(source) {
                    *sum += factor * value;
                }
            }
            row
        })
        .collect();
    let inner: Vec<Vec<f64>> = (0..len)
        .into_par_iter()
        .map(|i| {
            let mut row = vec![0.0; len];
            for k in 0..len {
                let factor = half[i][k] * roots[i];
                let source = &vectors[k * len..(k + 1) * len];
                for (sum, value) in row.iter_mut().zip(source) {
                    *sum += factor * value;
                }
            }
            row.iter_mut().zip(&roots).for_each(|(v, root)| *v *= root);
            row
        })
        .collect();
    let mut symmetric = vec![0.0; len * len];
    for i in 0..len {
        for j in 0..len {
            symmetric[i * len + j] = f64::midpoint(inner[i][j], inner[j][i]);
        }
    }
    let (values, _) = symmetric_eigen(&symmetric, len)?;
    let root: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
    // Rounding can take the distance of equal sets below zero.
    let distance = shift + trace(&one.covariance) + trace(&other.covariance) - 2.0 * root;
    Ok(distance.max(0.0))
}

/// The kernel distance: the unbiased estimate of the squared maximum mean discrepancy with the
/// kernel `(x·y / d + 1)³`. Around 0, and sometimes below it, for sets of one kind.
///
/// # Errors
/// As [`Moments::of`].
pub fn kernel_distance(one: &[Vec<f64>], other: &[Vec<f64>]) -> Result<f64> {
    let len = one.first().map_or(0, Vec::len);
    let fits = |set: &[Vec<f64>]| set.len() >= 2 && set.iter().all(|v| v.len() == len);
    if !fits(one) || !fits(other) {
        let message = "too few pictures to compare, or of unequal features";
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let kernel = |a: &[f64], b: &[f64]| {
        let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        (product / len as f64 + 1.0).powi(3)
    };
    let between = |a: &[Vec<f64>], b: &[Vec<f64>], same: bool| -> f64 {
        let rows = a.par_iter().enumerate().map(|(i, x)| {
            let others = b.iter().enumerate().filter(|(j, _)| !same || i != *j);
            others.map(|(_, y)| kernel(x, y)).sum::<f64>()
        });
        // Summed in order, whatever the number of threads.
        rows.collect::<Vec<f64>>().iter().sum()
    };
    let (m, n) = (one.len() as f64, other.len() as f64);
    let within_one = between(one, one, true) / (m * (m - 1.0));
    let within_other = between(other, other, true) / (n * (n - 1.0));
    Ok(within_one + within_other - 2.0 * between(one, other, false) / (m * n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Chance;
    use fonds_core::Seed;

    fn cloud(count: usize, len: usize, seed: u64, scale: f64, shift: f64) -> Vec<Vec<f64>> {
        let mut chance = Chance::new(Seed::new(seed), "cloud");
        let mut vector = || {
            let shared = chance.normal();
            let values = (0..len).map(|i| {
                let own = chance.normal();
                shift + scale * (own + 0.3 * shared) * (1.0 + i as f64 / len as f64)
            });
            values.collect()
        };
        (0..count).map(|_| vector()).collect()
    }

    #[test]
    fn equal_sets_are_at_no_distance() {
        // Fewer pictures than features as well: the covariance is then singular.
        for (count, len) in [(50, 8), (10, 24)] {
            let one = Moments::of(&cloud(count, len, 1, 1.0, 0.0)).unwrap();
            let distance = frechet_distance(&one, &one).unwrap();
            assert!(distance.abs() < 1e-6, "{distance}");
        }
    }

    #[test]
    fn diagonal_covariances_have_a_closed_form() {
        let diagonal = |mean: [f64; 3], variances: [f64; 3]| {
            let mut covariance = vec![0.0; 9];
            for (i, variance) in variances.into_iter().enumerate() {
                covariance[4 * i] = variance;
            }
            Moments {
                mean: mean.to_vec(),
                covariance,
            }
        };
        let one = diagonal([0.0, 1.0, 2.0], [1.0, 4.0, 9.0]);
        let other = diagonal([0.5, 1.0, 0.0], [4.0, 4.0, 0.0]);
        // 0.25 + 4 + Σ (σ₁ − σ₂)² = 4.25 + 1 + 0 + 9
        let distance = frechet_distance(&one, &other).unwrap();
        assert!((distance - 14.25).abs() < 1e-9, "{distance}");
    }

    #[test]
    fn distance_is_symmetric_and_knows_turned_axes() {
        let (a, b) = (cloud(200, 12, 1, 1.0, 0.0), cloud(150, 12, 2, 1.5, 0.4));
        let (one, other) = (Moments::of(&a).unwrap(), Moments::of(&b).unwrap());
        let there = frechet_distance(&one, &other).unwrap();
        let back = frechet_distance(&other, &one).unwrap();
        assert!((there - back).abs() < 1e-8 * there, "{there} and {back}");
        // Turning two axes of both sets alike changes nothing.
        let (sine, cosine) = 0.7_f64.sin_cos();
        let turned = |set: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let turn = |v: &Vec<f64>| {
                let mut v = v.clone();
                (v[0], v[5]) = (cosine * v[0] - sine * v[5], sine * v[0] + cosine * v[5]);
                v
            };
            set.iter().map(turn).collect()
        };
        let one = Moments::of(&turned(&a)).unwrap();
        let other = Moments::of(&turned(&b)).unwrap();
        let again = frechet_distance(&one, &other).unwrap();
        assert!((there - again).abs() < 1e-8 * there, "{there} and {again}");
    }

    #[test]
    fn the_kernel_distance_tells_kinds_apart() {
        let one = cloud(120, 8, 1, 1.0, 0.0);
        let same = kernel_distance(&one, &cloud(120, 8, 2, 1.0, 0.0)).unwrap();
        let other = kernel_distance(&one, &cloud(120, 8, 3, 1.0, 0.8)).unwrap();
        assert!(same.abs() < 0.3 && other > 1.0, "{same} and {other}");
        // By hand, for single features.
        let set = |values: [f64; 2]| values.map(|value| vec![value]).to_vec();
        let k = |x: f64, y: f64| (x * y + 1.0).powi(3);
        let expected = k(0.0, 1.0) + k(2.0, 3.0)
            - (k(0.0, 2.0) + k(0.0, 3.0) + k(1.0, 2.0) + k(1.0, 3.0)) / 2.0;
        let found = kernel_distance(&set([0.0, 1.0]), &set([2.0, 3.0])).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
    }

    #[test]
    fn too_few_pictures_are_refused() {
        for set in [vec![], vec![vec![1.0]], vec![vec![1.0], vec![1.0, 2.0]]] {
            assert_eq!(Moments::of(&set).unwrap_err().code(), Code::InvalidRequest);
        }
    }

    /// `fixtures/tensors/frechet.safetensors`, made by `tools/check_frechet.py` with `NumPy`.
    #[test]
    fn distances_are_those_of_numpy() {
        let path = crate::testing::references().join("frechet.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let (tensors, metadata) = crate::weights::read_safetensors(bytes).unwrap();
        let set = |name: String| {
            let tensor = tensors.get(&name).unwrap();
            let tensor = crate::train::to_candle(tensor).unwrap();
            tensor.to_vec2::<f64>().unwrap()
        };
        let cases: serde_json::Value = serde_json::from_str(&metadata["values"]).unwrap();
        let cases = cases.as_object().unwrap();
        assert_eq!(cases.len(), 10);
        for (name, expected) in cases {
            let (a, b) = (set(format!("{name}.a")), set(format!("{name}.b")));
            let moments = |set: &[Vec<f64>]| Moments::of(set).unwrap();
            let found = frechet_distance(&moments(&a), &moments(&b)).unwrap();
            let value = expected["frechet"].as_f64().unwrap();
            // Where rank is lacking, roots of rounding errors are left.
            let lacking = expected["agreement"].as_f64().unwrap() > 1e-12;
            let tolerance = if lacking { 1e-5 } else { 1e-9 };
            let error = (found - value).abs() / value.abs().max(1.0);
            assert!(error < tolerance, "{name}: {found} instead of {value}");
            let found = kernel_distance(&a, &b).unwrap();
            let value = expected["kernel"].as_f64().unwrap();
            let error = (found - value).abs() / value.abs().max(1.0);
            assert!(error < 1e-9, "{name}: {found} instead of {value}");
        }
    }
}
