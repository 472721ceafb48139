//! Noise of sensors and of light: Gaussian or Poisson, in gray or in colour.

use super::canvas::{Canvas, number, text};
use super::{Damage, Problems, stronger};
use crate::draw::Draw;
use crate::planes::Planes;

/// Weights of red, green and blue in the gray of the chain that this noise comes from (BT.601).
const GRAY: [f32; 3] = [0.2989, 0.587, 0.114];

/// Gaussian noise, or Poisson noise as Real-ESRGAN has it: the picture, clamped and rounded to
/// 8 bits, counts as that many photons as it has values, rounded up to a power of two; what the
/// count misses the picture by is scaled and added.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// How often the noise is Gaussian and not Poisson: 0 to 1.
    pub gaussian: f32,
    /// The deviation of Gaussian noise, in steps of 8 bits.
    pub sigma: (f32, f32),
    /// The factor of Poisson noise.
    pub poisson: (f32, f32),
    /// How often all channels have the same noise: 0 to 1.
    pub gray: f32,
}

impl Default for Noise {
    /// The first noise of Real-ESRGAN.
    fn default() -> Self {
        Self {
            gaussian: 0.5,
            sigma: (1.0, 30.0),
            poisson: (0.05, 3.0),
            gray: 0.4,
        }
    }
}

impl Noise {
    /// The second noise of Real-ESRGAN.
    pub fn second() -> Self {
        Self {
            sigma: (1.0, 25.0),
            poisson: (0.05, 2.5),
            ..Self::default()
        }
    }
}

impl Damage for Noise {
    const NAME: &'static str = "noise";

    fn check(&self, problems: &mut Problems) {
        problems.number("gaussian", self.gaussian, 0.0, 1.0);
        problems.range("sigma", self.sigma, 0.0, 255.0);
        problems.range("poisson", self.poisson, 0.0, 100.0);
        problems.number("gray", self.gray, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.sigma = stronger(self.sigma, by, 255.0);
        self.poisson = stronger(self.poisson, by, 100.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let gray = draw.chance(self.gray);
        let (kind, strength) = if draw.chance(self.gaussian) {
            let sigma = draw.range(self.sigma);
            gaussian(&mut canvas.planes, sigma / 255.0, gray, draw);
            ("gaussian", sigma)
        } else {
            let scale = draw.range(self.poisson);
            poisson(&mut canvas.planes, scale, gray, draw);
            ("poisson", scale)
        };
        canvas.planes.clamp();
        let channels = if gray { "gray" } else { "color" };
        let parameters = vec![
            ("kind", text(kind)),
            ("strength", number(strength)),
            ("channels", text(channels)),
        ];
        canvas.note(Self::NAME, parameters);
        Ok(())
    }
}

fn gaussian(planes: &mut Planes, sigma: f32, gray: bool, draw: &mut Draw) {
    if gray {
        let noise: Vec<f32> = (0..planes.pixels())
            .map(|_| sigma * draw.normal())
            .collect();
        add(planes, &noise);
    } else {
        planes
            .values
            .iter_mut()
            .for_each(|value| *value += sigma * draw.normal());
    }
}

fn poisson(planes: &mut Planes, scale: f32, gray: bool, draw: &mut Draw) {
    let mut counted = planes.clone();
    counted
        .values
        .iter_mut()
        .for_each(|value| *value = (value.clamp(0.0, 1.0) * 255.0).round() / 255.0);
    if gray && planes.channels == 3 {
        let mut luma = Planes::filled(1, planes.height, planes.width, 0.0);
        for (c, weight) in GRAY.into_iter().enumerate() {
            for (out, value) in luma.values.iter_mut().zip(counted.plane(c)) {
                *out += weight * value;
            }
        }
        luma.values
            .iter_mut()
            .for_each(|value| *value = (*value * 255.0).round() / 255.0);
        counted = luma;
    }
    let photons = photons(&counted);
    let noise: Vec<f32> = counted
        .values
        .iter()
        .map(|value| scale * (draw.poisson(value * photons) / photons - value))
        .collect();
    if counted.channels == planes.channels {
        planes
            .values
            .iter_mut()
            .zip(&noise)
            .for_each(|(value, noise)| *value += noise);
    } else {
        add(planes, &noise);
    }
}

/// The number of different values, rounded up to a power of two.
fn photons(rounded: &Planes) -> f32 {
    let mut seen = [false; 256];
    for value in &rounded.values {
        seen[(value * 255.0).round() as usize & 255] = true;
    }
    seen.iter()
        .filter(|seen| **seen)
        .count()
        .next_power_of_two() as f32
}

/// Adds one plane to all.
fn add(planes: &mut Planes, noise: &[f32]) {
    for c in 0..planes.channels {
        planes
            .plane_mut(c)
            .iter_mut()
            .zip(noise)
            .for_each(|(value, noise)| *value += noise);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::Seed;

    fn deviations(noise: &Noise) -> (f32, f32) {
        let planes = Planes::filled(3, 100, 100, 0.5);
        let mut canvas = Canvas::new(planes, 1, 1.0);
        noise
            .apply(&mut canvas, &mut Draw::new(Seed::new(4)))
            .unwrap();
        let n = canvas.planes.values.len() as f32;
        let squares = canvas
            .planes
            .values
            .iter()
            .map(|value| (value - 0.5).powi(2))
            .sum::<f32>();
        let planes = &canvas.planes;
        let apart = planes
            .plane(0)
            .iter()
            .zip(planes.plane(1))
            .map(|(a, b)| (a - b).powi(2));
        ((squares / n).sqrt(), (apart.sum::<f32>() / 10_000.0).sqrt())
    }

    #[test]
    fn noise_has_its_deviation_and_gray_noise_is_gray() {
        for (gray, apart) in [(0.0, 2.0_f32.sqrt()), (1.0, 0.0)] {
            let sigma = (20.0, 20.0);
            let (found, between) = deviations(&Noise {
                gaussian: 1.0,
                sigma,
                gray,
                ..Noise::default()
            });
            assert!((found * 255.0 - 20.0).abs() < 0.5, "{found}");
            assert!((between / found - apart).abs() < 0.05, "{between}");
        }
        // One value is one photon: 0 or 1, rarely more, for a mean of a half.
        let poisson = (0.1, 0.1);
        let (found, _) = deviations(&Noise {
            gaussian: 0.0,
            poisson,
            gray: 0.0,
            ..Noise::default()
        });
        let expected = 0.1 * (128.0_f32 / 255.0).sqrt();
        assert!((found - expected).abs() < 0.003, "{found} {expected}");
    }
}
