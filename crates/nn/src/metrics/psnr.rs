//! Peak signal-to-noise ratio.

use fonds_core::Result;

use super::picture::Picture;

/// The mean of the squared differences over all samples of all channels, in units of 8 bits.
///
/// # Errors
/// [`InvalidRequest`](fonds_core::Code::InvalidRequest) if the sizes differ.
pub fn mean_squared_error(a: &Picture, b: &Picture) -> Result<f64> {
    a.expect_like(b)?;
    let mut sum = 0.0;
    for (a_plane, b_plane) in a.planes().iter().zip(b.planes()) {
        // Sums of rows are added up, which keeps rounding small without a second pass.
        for (a_row, b_row) in a_plane
            .chunks_exact(a.width())
            .zip(b_plane.chunks_exact(a.width()))
        {
            sum += a_row
                .iter()
                .zip(b_row)
                .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2))
                .sum::<f64>();
        }
    }
    Ok(sum / (a.width() * a.height() * a.planes().len()) as f64)
}

/// Peak signal-to-noise ratio in dB, `10 log₁₀(255² / MSE)`; infinite for equal pictures.
///
/// # Errors
/// [`InvalidRequest`](fonds_core::Code::InvalidRequest) if the sizes differ.
pub fn psnr(a: &Picture, b: &Picture) -> Result<f64> {
    Ok(10.0 * (255.0 * 255.0 / mean_squared_error(a, b)?).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_difference() {
        let a = Picture::from_u8(&[10, 20, 30, 40], 2, 2, 1).unwrap();
        let b = Picture::from_u8(&[11, 19, 30, 43], 2, 2, 1).unwrap();
        assert_eq!(mean_squared_error(&a, &b).unwrap(), 11.0 / 4.0);
        assert!((psnr(&a, &b).unwrap() - 43.737_477).abs() < 1e-6);
        assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
    }

    #[test]
    fn sizes_must_agree() {
        let a = Picture::from_u8(&[0; 6], 2, 1, 3).unwrap();
        let b = Picture::from_u8(&[0; 6], 6, 1, 1).unwrap();
        let error = psnr(&a, &b).unwrap_err();
        assert!(
            error.message().contains("2 × 1 × 3 and 6 × 1 × 1"),
            "{error}"
        );
    }
}
