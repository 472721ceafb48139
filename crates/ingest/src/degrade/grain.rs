//! The grain of film and paper.

use super::canvas::{Canvas, number};
use super::kernel::smooth;
use super::{Damage, Problems, stronger};
use crate::draw::Draw;
use crate::planes::Planes;

/// Clumps of silver or dye: noise of a certain size, strongest in the middle tones.
#[derive(Debug, Clone, PartialEq)]
pub struct Grain {
    /// The deviation in the middle tones: 0 to 0.5.
    pub strength: (f32, f32),
    /// The size of the clumps in units.
    pub size: (f32, f32),
    /// The share of the grain that differs between the channels: 0 (silver) to 1 (dye).
    pub color: (f32, f32),
}

impl Default for Grain {
    /// Fast film of the first half of the 20th century.
    fn default() -> Self {
        Self {
            strength: (0.01, 0.06),
            size: (0.6, 1.8),
            color: (0.0, 0.0),
        }
    }
}

impl Damage for Grain {
    const NAME: &'static str = "grain";

    fn check(&self, problems: &mut Problems) {
        problems.range("strength", self.strength, 0.0, 0.5);
        problems.range("size", self.size, 0.1, 20.0);
        problems.range("color", self.color, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.strength = stronger(self.strength, by, 0.5);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let strength = draw.range(self.strength);
        let size = draw.range(self.size);
        let color = draw.range(self.color);
        let sigma = size * canvas.unit / 2.0;
        let shared = clumps(canvas.size(), sigma, draw);
        for c in 0..canvas.planes.channels {
            let own = (color > 0.0).then(|| clumps(canvas.size(), sigma, draw));
            for (i, value) in canvas.planes.plane_mut(c).iter_mut().enumerate() {
                let mut grain = shared.values[i];
                if let Some(own) = &own {
                    grain = (1.0 - color).sqrt() * grain + color.sqrt() * own.values[i];
                }
                *value += strength * response(*value) * grain;
            }
        }
        canvas.planes.clamp();
        let parameters = vec![
            ("strength", number(strength)),
            ("size", number(size)),
            ("color", number(color)),
        ];
        canvas.note(Self::NAME, parameters);
        Ok(())
    }
}

/// How much of the grain shows at a tone: all of it in the middle, a third at the ends, where all
/// or none of the silver is left.
fn response(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    0.33 + 0.67 * 4.0 * value * (1.0 - value)
}

/// Noise of deviation 1, smoothed.
fn clumps((width, height): (usize, usize), sigma: f32, draw: &mut Draw) -> Planes {
    let mut noise = Planes::filled(1, height, width, 0.0);
    noise
        .values
        .iter_mut()
        .for_each(|value| *value = draw.normal());
    let mut noise = smooth(&noise, sigma);
    let n = noise.values.len() as f64;
    let power: f64 = noise
        .values
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        / n;
    let scale = (1.0 / power.max(1e-12).sqrt()) as f32;
    noise.values.iter_mut().for_each(|value| *value *= scale);
    noise
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::Seed;

    #[test]
    fn it_has_its_deviation_and_larger_grain_is_smoother() {
        let neighbours = |size: f32| {
            let grain = Grain {
                strength: (0.05, 0.05),
                size: (size, size),
                color: (0.0, 0.0),
            };
            let mut canvas = Canvas::new(Planes::filled(1, 128, 128, 0.5), 1, 1.0);
            grain
                .apply(&mut canvas, &mut Draw::new(Seed::new(1)))
                .unwrap();
            let off: Vec<f32> = canvas
                .planes
                .values
                .iter()
                .map(|value| value - 0.5)
                .collect();
            let power = off.iter().map(|value| value * value).sum::<f32>() / off.len() as f32;
            assert!((power.sqrt() - 0.05).abs() < 0.002);
            off.windows(2).map(|pair| pair[0] * pair[1]).sum::<f32>() / off.len() as f32 / power
        };
        let (fine, coarse) = (neighbours(0.5), neighbours(4.0));
        assert!(fine < 0.4 && coarse > 0.8, "{fine} {coarse}");
    }
}
