//! Numbers that losses are made of: differences of activations, and products of their channels.

use fonds_core::{Code, Error, Result};
use rayon::prelude::*;

use super::super::Engine;
use super::super::buffer::Buffer;
use super::rows::same_shape;
use super::statistics::BAND;

impl Engine {
    /// The mean of `|a - b|` over all values of all pictures.
    pub fn mean_absolute_difference(&self, a: &Buffer, b: &Buffer) -> Result<f64> {
        mean_of_pairs(a, b, |a, b| (a - b).abs())
    }

    /// The mean of `(a - b)²` over all values of all pictures.
    pub fn mean_squared_difference(&self, a: &Buffer, b: &Buffer) -> Result<f64> {
        mean_of_pairs(a, b, |a, b| (a - b) * (a - b))
    }

    /// The Gram matrix of each picture (Gatys et al. 2016): the products of all pairs of channels,
    /// summed over the pixels, `[batch, channels, channels]`. Normalised, they are divided by
    /// channels × height × width. Products are summed in single precision within bands of rows and
    /// the bands in double.
    pub fn gram_matrix(&self, input: &Buffer, normalized: bool) -> Result<Vec<f32>> {
        let shape = input.shape();
        let channels = shape.channels;
        let Some(size) = channels
            .checked_mul(channels)
            .filter(|size| *size < 1 << 28)
        else {
            let message = format!("a matrix of {channels} × {channels} is too large");
            return Err(Error::new(Code::Oom, message));
        };
        let divisor = if normalized {
            (channels * shape.height * shape.width) as f64
        } else {
            1.0
        };
        let bands = shape.stored_rows().div_ceil(BAND);
        let mut matrices = Vec::with_capacity(shape.batch * size);
        for picture in 0..shape.batch {
            let mut total = vec![0.0_f64; size];
            // A few bands at a time: their matrices are as large as the result.
            for start in (0..bands).step_by(BAND) {
                let products: Vec<Vec<f32>> = (start..(start + BAND).min(bands))
                    .into_par_iter()
                    .map(|band| band_products(input, picture, band))
                    .collect();
                for products in products {
                    for (total, product) in total.iter_mut().zip(products) {
                        *total += f64::from(product);
                    }
                }
            }
            matrices.extend(total.iter().map(|sum| (sum / divisor) as f32));
        }
        Ok(matrices)
    }
}

/// The products of the channels over some rows. The border takes part: it is zero and adds
/// nothing, and with it the rows are one matrix of pixels.
#[expect(unsafe_code, reason = "the gemm crate takes pointers")]
fn band_products(input: &Buffer, picture: usize, band: usize) -> Vec<f32> {
    let shape = input.shape();
    let (channels, stride) = (shape.channels, shape.pixel_stride());
    let start = picture * shape.picture_stride();
    let rows = &input.as_slice()[start..start + shape.picture_stride()];
    let start = band * BAND * shape.row_stride();
    let rows = &rows[start..rows.len().min(start + BAND * shape.row_stride())];
    let pixels = rows.len() / stride;
    let mut products = vec![0.0; channels * channels];
    // SAFETY: `rows` holds `pixels` rows of `stride` floats, of which the first `channels` are read,
    // once as they are and once transposed; `products` holds `channels` rows of `channels` floats.
    unsafe {
        gemm::gemm(
            channels,
            channels,
            pixels,
            products.as_mut_ptr(),
            1,
            channels as isize,
            false,
            rows.as_ptr(),
            stride as isize,
            1,
            rows.as_ptr(),
            1,
            stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    products
}

fn mean_of_pairs(a: &Buffer, b: &Buffer, function: impl Fn(f64, f64) -> f64 + Sync) -> Result<f64> {
    let shape = same_shape(a, b)?;
    let (stride, channels) = (shape.pixel_stride(), shape.channels);
    let rows = shape.batch * shape.height;
    let of_bands: Vec<f64> = (0..rows.div_ceil(BAND))
        .into_par_iter()
        .map(|band| {
            // Sums for each lane, so that they make vectors; added up in the order of the lanes.
            let mut sums = vec![0.0_f64; channels];
            for row in band * BAND..rows.min((band + 1) * BAND) {
                let (picture, y) = (row / shape.height, row % shape.height);
                let a = a.row(picture, y).chunks_exact(stride);
                for (a, b) in a.zip(b.row(picture, y).chunks_exact(stride)) {
                    for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                        *sum += function(f64::from(*a), f64::from(*b));
                    }
                }
            }
            sums.iter().sum()
        })
        .collect();
    Ok(of_bands.iter().sum::<f64>() / shape.elements() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, filled, shapes, value};

    #[test]
    fn differences_are_those_of_the_values() {
        let engine = engine();
        for shape in shapes() {
            let (a, b) = (filled(shape, 20), filled(shape, 21));
            let (mut absolute, mut squared) = (0.0, 0.0);
            for (a, b) in engine.export(&a).into_iter().zip(engine.export(&b)) {
                let difference = f64::from(a) - f64::from(b);
                absolute += difference.abs() / shape.elements() as f64;
                squared += difference * difference / shape.elements() as f64;
            }
            let found = engine.mean_absolute_difference(&a, &b).unwrap();
            assert!(
                (found - absolute).abs() < 1e-13,
                "{shape}: {found}, {absolute}"
            );
            let found = engine.mean_squared_difference(&a, &b).unwrap();
            assert!(
                (found - squared).abs() < 1e-13,
                "{shape}: {found}, {squared}"
            );
        }
    }

    #[test]
    fn gram_matrices_are_sums_of_products() {
        let engine = engine();
        for mut shape in shapes() {
            shape.height *= 3;
            let input = filled(shape, 22);
            for normalized in [false, true] {
                let matrices = engine.gram_matrix(&input, normalized).unwrap();
                assert_eq!(
                    matrices.len(),
                    shape.batch * shape.channels * shape.channels
                );
                for (index, found) in matrices.iter().enumerate() {
                    let (i, j) = (
                        index / shape.channels % shape.channels,
                        index % shape.channels,
                    );
                    let n = index / (shape.channels * shape.channels);
                    let (mut expected, mut size) = (0.0, 0.0);
                    for y in 0..shape.height {
                        for x in 0..shape.width {
                            let product = value(&input, n, y, x, i) * value(&input, n, y, x, j);
                            expected += product;
                            size += product.abs();
                        }
                    }
                    if normalized {
                        let divisor = (shape.channels * shape.height * shape.width) as f64;
                        (expected, size) = (expected / divisor, size / divisor);
                    }
                    // Products of both signs cancel in the sum; their rounding does not.
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error < 1e-6 * size, "{shape}: {error:e} of {size}");
                }
            }
        }
    }
}
