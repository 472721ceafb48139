//! Blur of many shapes, as Real-ESRGAN draws it (Wang et al. 2021).

use std::f32::consts::PI;

use super::canvas::{Canvas, number, text};
use super::kernel::{Kernel, by_lines, convolve, gaussian};
use super::sinc;
use super::{Damage, Problems};
use crate::draw::Draw;

/// Blur with a kernel of random shape and size.
///
/// A Gaussian is exp(−½ g), a generalised one exp(−½ g^β), a plateau 1 / (1 + g^β), with g the
/// squared distance in deviations; anisotropic ones have two deviations and a direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Blur {
    /// How often a Gaussian is drawn, of all shapes together.
    pub isotropic: f32,
    /// How often an anisotropic Gaussian.
    pub anisotropic: f32,
    /// How often a generalised Gaussian.
    pub generalized_isotropic: f32,
    /// How often an anisotropic generalised Gaussian.
    pub generalized_anisotropic: f32,
    /// How often a plateau.
    pub plateau_isotropic: f32,
    /// How often an anisotropic plateau.
    pub plateau_anisotropic: f32,
    /// How often, 0 to 1, a sinc is drawn in place of all of these; it rings.
    pub sinc: f32,
    /// The size of the kernel in pixels; odd sizes in this range are drawn, 3 to 51.
    pub size: (f32, f32),
    /// Deviations in pixels.
    pub sigma: (f32, f32),
    /// β of generalised Gaussians; one time in two it is drawn below 1, one time in two above.
    pub beta_generalized: (f32, f32),
    /// β of plateaus, drawn the same way.
    pub beta_plateau: (f32, f32),
}

impl Default for Blur {
    /// The first blur of Real-ESRGAN.
    fn default() -> Self {
        Self {
            isotropic: 0.45,
            anisotropic: 0.25,
            generalized_isotropic: 0.12,
            generalized_anisotropic: 0.03,
            plateau_isotropic: 0.12,
            plateau_anisotropic: 0.03,
            sinc: 0.1,
            size: (7.0, 21.0),
            sigma: (0.2, 3.0),
            beta_generalized: (0.5, 4.0),
            beta_plateau: (1.0, 2.0),
        }
    }
}

impl Blur {
    /// The second blur of Real-ESRGAN.
    pub fn second() -> Self {
        Self {
            sigma: (0.2, 1.5),
            ..Self::default()
        }
    }

    /// A Gaussian alone.
    pub fn gaussian(sigma: (f32, f32)) -> Self {
        Self {
            isotropic: 1.0,
            anisotropic: 0.0,
            generalized_isotropic: 0.0,
            generalized_anisotropic: 0.0,
            plateau_isotropic: 0.0,
            plateau_anisotropic: 0.0,
            sinc: 0.0,
            sigma,
            ..Self::default()
        }
    }

    fn weights(&self) -> [f32; 6] {
        [
            self.isotropic,
            self.anisotropic,
            self.generalized_isotropic,
            self.generalized_anisotropic,
            self.plateau_isotropic,
            self.plateau_anisotropic,
        ]
    }
}

/// The names of the shapes, in the order of the weights.
const SHAPES: [&str; 6] = [
    "isotropic",
    "anisotropic",
    "generalized_isotropic",
    "generalized_anisotropic",
    "plateau_isotropic",
    "plateau_anisotropic",
];

impl Damage for Blur {
    const NAME: &'static str = "blur";

    fn check(&self, problems: &mut Problems) {
        let names = SHAPES.iter().zip(self.weights());
        for (name, weight) in names {
            problems.number(name, weight, 0.0, 1e6);
        }
        if self.weights().iter().sum::<f32>() <= 0.0 && self.sinc < 1.0 {
            problems.add("isotropic", "no shape has a weight above 0");
        }
        problems.number("sinc", self.sinc, 0.0, 1.0);
        problems.range("size", self.size, 3.0, 51.0);
        problems.range("sigma", self.sigma, 0.05, 50.0);
        problems.range("beta_generalized", self.beta_generalized, 0.1, 20.0);
        problems.range("beta_plateau", self.beta_plateau, 0.1, 20.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.sigma = (self.sigma.0, (self.sigma.1 * by).clamp(self.sigma.0, 50.0));
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let size = odd(self.size, draw);
        if draw.chance(self.sinc) {
            let low = if size < 13 { PI / 3.0 } else { PI / 5.0 };
            sinc::filter(canvas, Self::NAME, size, draw.between(low, PI));
            return Ok(());
        }
        let shape = draw.weighted(&self.weights());
        let sigma_x = draw.range(self.sigma);
        let (sigma_y, angle) = match shape % 2 {
            1 => (draw.range(self.sigma), draw.angle()),
            _ => (sigma_x, 0.0),
        };
        let beta = match shape / 2 {
            0 => 1.0,
            1 => exponent(self.beta_generalized, draw),
            _ => exponent(self.beta_plateau, draw),
        };
        let plateau = shape >= 4;
        canvas.planes = if shape == 0 {
            by_lines(&canvas.planes, &gaussian(size, sigma_x))
        } else {
            let kernel = kernel(size, (sigma_x, sigma_y), angle, beta, plateau);
            convolve(&canvas.planes, &kernel)
        };
        canvas.note(
            Self::NAME,
            vec![
                ("shape", text(SHAPES[shape])),
                ("size", number(size as f32)),
                ("sigma_x", number(sigma_x)),
                ("sigma_y", number(sigma_y)),
                ("angle", number(angle)),
                ("beta", number(beta)),
            ],
        );
        Ok(())
    }
}

/// An odd number in a range.
pub(super) fn odd((low, high): (f32, f32), draw: &mut Draw) -> usize {
    let half = |size: f32| ((size - 1.0) / 2.0).round();
    2 * draw.count((half(low), half(high))) + 1
}

fn exponent((low, high): (f32, f32), draw: &mut Draw) -> f32 {
    if draw.chance(0.5) {
        draw.between(low, 1.0_f32.clamp(low, high))
    } else {
        draw.between(1.0_f32.clamp(low, high), high)
    }
}

fn kernel(size: usize, sigma: (f32, f32), angle: f32, beta: f32, plateau: bool) -> Kernel {
    let (sin, cos) = angle.sin_cos();
    Kernel::normalized(size, |x, y| {
        let (u, v) = ((x * cos + y * sin) / sigma.0, (y * cos - x * sin) / sigma.1);
        let g = u * u + v * v;
        if plateau {
            1.0 / (1.0 + g.powf(beta))
        } else {
            (-0.5 * g.powf(beta)).exp()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernels of BasicSR, from its definitions: Σ = U D Uᵀ, g = xᵀ Σ⁻¹ x.
    #[test]
    fn kernels_follow_their_definition() {
        let (sigma, angle) = ((2.0_f32, 0.7_f32), 0.6_f32);
        let (sin, cos) = (f64::from(angle).sin(), f64::from(angle).cos());
        let (a, b) = (f64::from(sigma.0).powi(2), f64::from(sigma.1).powi(2));
        let [xx, xy, yy] = [
            cos * cos * a + sin * sin * b,
            sin * cos * (a - b),
            sin * sin * a + cos * cos * b,
        ];
        let det = xx * yy - xy * xy;
        let g = |x: f64, y: f64| (yy * x * x - 2.0 * xy * x * y + xx * y * y) / det;
        for (beta, plateau) in [(1.0, false), (2.5, false), (1.7, true)] {
            let made = kernel(9, sigma, angle, beta, plateau);
            let weight = |i: usize| {
                let g = g((i % 9) as f64 - 4.0, (i / 9) as f64 - 4.0).powf(f64::from(beta));
                if plateau {
                    1.0 / (1.0 + g)
                } else {
                    (-0.5 * g).exp()
                }
            };
            let sum: f64 = (0..81).map(weight).sum();
            for (i, found) in made.weights.iter().enumerate() {
                assert!((f64::from(*found) - weight(i) / sum).abs() < 1e-6);
            }
        }
    }
}
