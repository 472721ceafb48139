//! Denoise: less noise, and the grain's look kept.

use fonds_core::{Change, Outcome, Raster, Result};

use super::support::params::in_range;
use super::{median, nlm};
use crate::measure::noise;

/// How noise is told from picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DenoiseMethod {
    /// Non-local means: averages over places that look alike, so lines and texture stay.
    #[default]
    Nlm,
    /// The median of the neighbourhood in each channel: for salt and pepper.
    Median,
}

/// Reduces noise.
///
/// The noise is measured unless `sigma` gives it; below `min_sigma` the picture is left alone.
/// `strength` blends the result with the original, because grain belongs to a photograph: 1 takes
/// out all that the method calls noise. Acts on all depths; the change records `sigma`.
#[derive(Debug, Clone, PartialEq)]
pub struct Denoise {
    /// How noise is told from picture.
    pub method: DenoiseMethod,
    /// Standard deviation of the noise in 8-bit code values, 0.5 to 60; measured when absent.
    pub sigma: Option<f64>,
    /// Measured noise below this is left alone; 8-bit code values, 0 to 60.
    pub min_sigma: f64,
    /// How much of the noise is taken out, 0 to 1.
    pub strength: f64,
    /// Radius of the median's window in pixels, 1 to 3.
    pub radius: u32,
}

impl Default for Denoise {
    fn default() -> Self {
        Self {
            method: DenoiseMethod::Nlm,
            sigma: None,
            min_sigma: 4.0,
            strength: 0.6,
            radius: 1,
        }
    }
}

impl Denoise {
    /// The most noise that is believed, 8-bit code values.
    const MAX_SIGMA: f64 = 60.0;

    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        if let Some(sigma) = self.sigma {
            in_range("sigma", sigma, &(0.5..=Self::MAX_SIGMA))?;
        }
        in_range("min_sigma", self.min_sigma, &(0.0..=Self::MAX_SIGMA))?;
        in_range("strength", self.strength, &(0.0..=1.0))?;
        in_range("radius", self.radius, &(1..=3))
    }

    /// Reduces the noise, or leaves the picture alone when there is little.
    pub fn apply(&self, raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let sigma = self.sigma.unwrap_or_else(|| noise::sigma(&raster));
        let sigma = sigma.min(Self::MAX_SIGMA);
        let little = self.sigma.is_none() && sigma < self.min_sigma;
        if little || sigma <= 0.0 || self.strength == 0.0 {
            return Ok(Outcome::unchanged(raster));
        }
        let strength = self.strength as f32;
        let (quiet, how) = match self.method {
            DenoiseMethod::Nlm => {
                let quiet = nlm::denoised(&raster, sigma as f32, strength);
                (quiet, "noise reduced by non-local means")
            }
            DenoiseMethod::Median => {
                let quiet = median::filtered(&raster, self.radius as usize, strength);
                (quiet, "noise reduced by medians")
            }
        };
        let change = Change::new(how)
            .value("sigma", sigma)
            .value("strength", self.strength);
        Ok(Outcome::changed(quiet, change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic;

    fn error(raster: &Raster, clean: &Raster) -> f64 {
        let pairs = raster.as_slice::<u8>().unwrap().iter();
        let pairs = pairs.zip(clean.as_slice::<u8>().unwrap());
        let sum: f64 = pairs
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum();
        (sum / raster.pixels() as f64).sqrt()
    }

    #[test]
    fn noise_falls_and_quiet_pictures_stay() {
        let clean = synthetic::noisy_ramp(160, 120, 0.0);
        let noisy = synthetic::noisy_ramp(160, 120, 10.0);
        for (method, factor) in [(DenoiseMethod::Nlm, 0.35), (DenoiseMethod::Median, 0.6)] {
            let denoise = Denoise {
                method,
                strength: 1.0,
                ..Denoise::default()
            };
            let outcome = denoise.apply(noisy.clone()).unwrap();
            let (before, after) = (error(&noisy, &clean), error(&outcome.raster, &clean));
            assert!(after < factor * before, "{method:?}: {before} {after}");
            let outcome = denoise.apply(clean.clone()).unwrap();
            assert_eq!(outcome, Outcome::unchanged(clean.clone()));
        }
    }

    #[test]
    fn strength_blends() {
        let noisy = synthetic::noisy_ramp(96, 96, 10.0);
        let with = |strength| {
            let denoise = Denoise {
                strength,
                ..Denoise::default()
            };
            denoise.apply(noisy.clone()).unwrap().raster
        };
        let (full, half) = (with(1.0), with(0.5));
        let (full, half) = (
            full.as_slice::<u8>().unwrap(),
            half.as_slice::<u8>().unwrap(),
        );
        for ((full, half), was) in full.iter().zip(half).zip(noisy.as_slice::<u8>().unwrap()) {
            let mean = f32::midpoint(f32::from(*full), f32::from(*was));
            assert!((mean - f32::from(*half)).abs() <= 1.0);
        }
    }
}
