//! What happened to the tones: shifts of the channels' means, samples at the ends of the range.

use fonds_core::Result;

use super::picture::Picture;

/// By how much the mean of each channel is higher in `after` than in `before`, in units of 8 bits:
/// a network that preserves colour stays within a fraction of one.
///
/// # Errors
/// [`InvalidRequest`](fonds_core::Code::InvalidRequest) if the numbers of channels differ; sizes
/// may.
pub fn mean_shift(before: &Picture, after: &Picture) -> Result<Vec<f64>> {
    if before.planes().len() != after.planes().len() {
        after.expect_like(before)?;
    }
    let pairs = before.planes().iter().zip(after.planes());
    Ok(pairs.map(|(a, b)| mean(b) - mean(a)).collect())
}

fn mean(plane: &[f32]) -> f64 {
    plane.iter().map(|&v| f64::from(v)).sum::<f64>() / plane.len() as f64
}

/// Shares of samples at the ends of the range, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clipped {
    /// At 0 or below.
    pub black: f64,
    /// At 255 or above.
    pub white: f64,
}

/// How many samples, of all channels, are at or beyond the ends of the range.
pub fn clipped_share(picture: &Picture) -> Clipped {
    let count = picture.planes().iter().map(Vec::len).sum::<usize>() as f64;
    let share = |test: &dyn Fn(f32) -> bool| {
        let samples = picture.planes().iter().flatten();
        samples.filter(|&&v| test(v)).count() as f64 / count
    };
    Clipped {
        black: share(&|v| v <= 0.0),
        white: share(&|v| v >= 255.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_by_channel() {
        let a = Picture::from_u8(&[10, 20, 30, 20, 20, 30], 2, 1, 3).unwrap();
        let b = Picture::from_u8(&[14, 20, 25], 1, 1, 3).unwrap();
        assert_eq!(mean_shift(&a, &b).unwrap(), [-1.0, 0.0, -5.0]);
        let gray = Picture::from_u8(&[0], 1, 1, 1).unwrap();
        assert!(mean_shift(&a, &gray).is_err());
    }

    #[test]
    fn ends_are_counted() {
        let picture = Picture::from_f32(&[-1.0, 0.0, 0.5, 255.0], 4, 1, 1).unwrap();
        let clipped = clipped_share(&picture);
        assert_eq!((clipped.black, clipped.white), (0.5, 0.25));
    }
}
