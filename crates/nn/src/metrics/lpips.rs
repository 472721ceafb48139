//! The arithmetic of LPIPS between a feature network and its linear heads.

use fonds_core::{Code, Error, Result};

/// Added to the length of a feature vector, as in the authors' implementation.
const EPSILON: f64 = 1e-10;

/// One layer's part of the learned perceptual distance (Zhang, Isola, Efros, Shechtman, Wang 2018,
/// equation 1): each pixel's features are brought to length one, the squared differences weighted
/// by the head (`lin0` … of the LPIPS weights, one weight a channel) and averaged over the pixels.
/// The distance of two pictures is the sum over the layers.
///
/// `a` and `b` are features of `pixels × channels`, the channels of a pixel side by side.
///
/// # Errors
/// [`Code::InvalidRequest`] if the sizes do not agree.
pub fn lpips_layer(a: &[f32], b: &[f32], head: &[f32]) -> Result<f64> {
    let channels = head.len();
    if a.len() != b.len() || a.is_empty() || channels == 0 || !a.len().is_multiple_of(channels) {
        return Err(Error::new(
            Code::InvalidRequest,
            format!(
                "{} and {} features do not fit a head of {channels} channels",
                a.len(),
                b.len()
            ),
        ));
    }
    let mut sum = 0.0;
    for (x, y) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
        let (x_scale, y_scale) = (1.0 / (length(x) + EPSILON), 1.0 / (length(y) + EPSILON));
        sum += x
            .iter()
            .zip(y)
            .zip(head)
            .map(|((&x, &y), &weight)| {
                let difference = f64::from(x) * x_scale - f64::from(y) * y_scale;
                f64::from(weight) * difference * difference
            })
            .sum::<f64>();
    }
    Ok(sum / (a.len() / channels) as f64)
}

fn length(features: &[f32]) -> f64 {
    features
        .iter()
        .map(|&v| f64::from(v) * f64::from(v))
        .sum::<f64>()
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_do_not_matter_and_directions_do() {
        let head = [1.0, 1.0];
        let found = lpips_layer(&[3.0, 0.0, 0.0, 2.0], &[5.0, 0.0, 0.0, 1.0], &head).unwrap();
        assert!(found.abs() < 1e-18);
        // At right angles the squared distance of unit vectors is 2; one of two pixels has it.
        let found = lpips_layer(&[3.0, 0.0, 0.0, 2.0], &[0.0, 5.0, 0.0, 1.0], &head).unwrap();
        assert!((found - 1.0).abs() < 1e-9);
        // Weights count each channel's share: (1 × 1 + 3 × 1) / 2 pixels.
        let found = lpips_layer(&[3.0, 0.0, 0.0, 2.0], &[0.0, 5.0, 0.0, 1.0], &[1.0, 3.0]).unwrap();
        assert!((found - 2.0).abs() < 1e-9);
    }

    #[test]
    fn empty_features_have_no_direction() {
        assert_eq!(
            lpips_layer(&[0.0, 0.0], &[0.0, 0.0], &[1.0, 1.0]).unwrap(),
            0.0
        );
        assert!(lpips_layer(&[], &[], &[1.0]).is_err());
        assert!(lpips_layer(&[1.0; 3], &[1.0; 3], &[1.0; 2]).is_err());
        assert!(lpips_layer(&[1.0; 2], &[1.0; 4], &[1.0; 2]).is_err());
    }
}
