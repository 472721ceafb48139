//! Pictures of a normal distribution that has the mean and the covariance of given pictures: what a
//! generator has to be better than.
//!
//! All that such pictures share with the given ones are the correlations between pixels; so they are
//! clouds, without edges. A generator whose pictures are not clearly closer to the data has learned
//! no more than that.

use fonds_core::{Code, Error, Result};

use crate::train::Chance;

/// A normal distribution of vectors.
#[derive(Debug, Clone)]
pub struct Gaussian {
    mean: Vec<f64>,
    /// The lower triangle of the covariance's root, row by row: row `i` has `i + 1` values.
    root: Vec<f64>,
}

impl Gaussian {
    /// The distribution with the mean and covariance of these vectors, of equal lengths.
    ///
    /// A hundred thousandth of the mean variance is added to each one, so that fewer vectors than
    /// dimensions do as well.
    ///
    /// # Errors
    /// `invalid_request` for fewer than two vectors or unequal lengths.
    pub fn fit(vectors: &[Vec<f32>]) -> Result<Self> {
        let wrong = |message: &str| Err(Error::new(Code::InvalidRequest, message));
        let Some(first) = vectors.first().filter(|_| vectors.len() > 1) else {
            return wrong("a distribution needs two pictures or more");
        };
        let length = first.len();
        if length == 0 || vectors.iter().any(|vector| vector.len() != length) {
            return wrong("a distribution of pictures of different sizes");
        }
        let count = vectors.len() as f64;
        let mut mean = vec![0.0; length];
        for vector in vectors {
            for (mean, value) in mean.iter_mut().zip(vector) {
                *mean += f64::from(*value) / count;
            }
        }
        let mut covariance = vec![0.0; triangle(length)];
        for vector in vectors {
            let centred = vector.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m);
            let centred: Vec<f64> = centred.collect();
            for row in 0..length {
                let share = centred[row] / (count - 1.0);
                let start = triangle(row);
                let sums = &mut covariance[start..=start + row];
                for (sum, value) in sums.iter_mut().zip(&centred) {
                    *sum += share * value;
                }
            }
        }
        let trace: f64 = (0..length).map(|row| covariance[triangle(row) + row]).sum();
        let floor = 1e-5 * trace / length as f64 + f64::MIN_POSITIVE;
        for row in 0..length {
            covariance[triangle(row) + row] += floor;
        }
        factor(&mut covariance, length);
        Ok(Self {
            mean,
            root: covariance,
        })
    }

    /// A vector of the distribution.
    pub fn sample(&self, chance: &mut Chance) -> Vec<f32> {
        let normal: Vec<f64> = self.mean.iter().map(|_| chance.normal()).collect();
        let rows = self.mean.iter().enumerate().map(|(row, mean)| {
            let start = triangle(row);
            let root = &self.root[start..=start + row];
            let sum: f64 = root.iter().zip(&normal).map(|(r, n)| r * n).sum();
            (mean + sum) as f32
        });
        rows.collect()
    }
}

/// Values in the rows of a lower triangle before this one.
fn triangle(row: usize) -> usize {
    row * (row + 1) / 2
}

/// Cholesky's factor of a positive definite matrix, in its place.
fn factor(matrix: &mut [f64], length: usize) {
    for row in 0..length {
        let (above, this) = matrix.split_at_mut(triangle(row));
        for column in 0..row {
            let start = triangle(column);
            let other = &above[start..=start + column];
            let product: f64 = other[..column]
                .iter()
                .zip(&this[..column])
                .map(|(a, b)| a * b)
                .sum();
            this[column] = (this[column] - product) / other[column];
        }
        let square: f64 = this[..row].iter().map(|value| value * value).sum();
        // Rounding can take a tiny variance below zero.
        this[row] = (this[row] - square).max(f64::MIN_POSITIVE).sqrt();
    }
}

#[cfg(test)]
mod tests {
    use fonds_core::Seed;

    use super::*;

    type Of<'a> = &'a dyn Fn(&[f32]) -> f32;

    #[test]
    fn samples_have_the_mean_and_the_covariance() {
        // Two correlated values and a constant one.
        let mut chance = Chance::new(Seed::new(1), "data");
        let data: Vec<Vec<f32>> = (0..4000)
            .map(|_| {
                let (a, b) = (chance.normal(), chance.normal());
                vec![(1.0 + a) as f32, (a + 0.5 * b) as f32, 0.25]
            })
            .collect();
        let gaussian = Gaussian::fit(&data).unwrap();
        let mut chance = Chance::new(Seed::new(2), "samples");
        let samples: Vec<Vec<f32>> = (0..4000).map(|_| gaussian.sample(&mut chance)).collect();
        let moment = |of: &dyn Fn(&[f32]) -> f32| -> f32 {
            samples.iter().map(|sample| of(sample)).sum::<f32>() / samples.len() as f32
        };
        let cases: [(Of<'_>, f32); 5] = [
            (&|s| s[0], 1.0),
            (&|s| (s[0] - 1.0).powi(2), 1.0),
            (&|s| (s[0] - 1.0) * s[1], 1.0),
            (&|s| s[1] * s[1], 1.25),
            (&|s| s[2], 0.25),
        ];
        for (index, (of, expected)) in cases.into_iter().enumerate() {
            let found = moment(of);
            assert!((found - expected).abs() < 0.1, "{index}: {found}");
        }
    }

    #[test]
    fn fewer_pictures_than_pixels_do() {
        let data: Vec<Vec<f32>> = (0..3).map(|n| vec![n as f32; 8]).collect();
        let gaussian = Gaussian::fit(&data).unwrap();
        let sample = gaussian.sample(&mut Chance::new(Seed::new(1), "sample"));
        assert!(sample.iter().all(|value| value.is_finite()));
        let spread = sample
            .iter()
            .fold(0_f32, |most, v| most.max((v - sample[0]).abs()));
        assert!(spread < 0.2, "{sample:?}");
        assert!(Gaussian::fit(&data[..1]).is_err());
        assert!(Gaussian::fit(&[vec![1.0], vec![1.0, 2.0]]).is_err());
    }
}
