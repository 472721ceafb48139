//! Ringing: an ideal low-pass filter cut off at a window, as sharpening and recompression leave it.

use std::f32::consts::PI;

use super::blur::odd;
use super::canvas::{Canvas, number, text};
use super::kernel::{Kernel, convolve};
use super::{Damage, Problems};
use crate::draw::Draw;

/// A two-dimensional sinc filter: ω J₁(ω r) / (2π r) within a square window.
#[derive(Debug, Clone, PartialEq)]
pub struct Sinc {
    /// The cut-off ω in radians a pixel: π passes everything.
    pub cutoff: (f32, f32),
    /// The size of the window in pixels; odd sizes in this range are drawn, 3 to 51.
    pub size: (f32, f32),
}

impl Default for Sinc {
    /// The last filter of Real-ESRGAN.
    fn default() -> Self {
        Self {
            cutoff: (PI / 3.0, PI),
            size: (7.0, 21.0),
        }
    }
}

impl Damage for Sinc {
    const NAME: &'static str = "sinc";

    fn check(&self, problems: &mut Problems) {
        problems.range("cutoff", self.cutoff, 0.1, PI);
        problems.range("size", self.size, 3.0, 51.0);
    }

    fn strengthen(&mut self, by: f32) {
        let least = (self.cutoff.0 / by.max(0.1)).clamp(0.1, self.cutoff.1);
        self.cutoff = (least, self.cutoff.1);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let size = odd(self.size, draw);
        filter(canvas, Self::NAME, size, draw.range(self.cutoff));
        Ok(())
    }
}

pub(super) fn filter(canvas: &mut Canvas, name: &'static str, size: usize, cutoff: f32) {
    canvas.planes = convolve(&canvas.planes, &kernel(size, cutoff));
    let parameters = vec![
        ("shape", text("sinc")),
        ("size", number(size as f32)),
        ("cutoff", number(cutoff)),
    ];
    canvas.note(name, parameters);
}

fn kernel(size: usize, cutoff: f32) -> Kernel {
    let cutoff = f64::from(cutoff);
    Kernel::normalized(size, |x, y| {
        let r = f64::from(x).hypot(f64::from(y));
        let weight = if r == 0.0 {
            cutoff * cutoff / (4.0 * std::f64::consts::PI)
        } else {
            cutoff * bessel_j1(cutoff * r) / (2.0 * std::f64::consts::PI * r)
        };
        weight as f32
    })
}

/// The Bessel function J₁ by its integral, (1/π) ∫₀^π cos(τ − x sin τ) dτ: for a periodic integrand
/// the trapezoid rule is exact to many digits as soon as it has more points than x.
fn bessel_j1(x: f64) -> f64 {
    const POINTS: usize = 200;
    let step = std::f64::consts::PI / POINTS as f64;
    let value = |i: usize| {
        let tau = i as f64 * step;
        (tau - x * tau.sin()).cos()
    };
    let ends = f64::midpoint(value(0), value(POINTS));
    (ends + (1..POINTS).map(value).sum::<f64>()) / POINTS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, table 9.1.
    #[test]
    fn bessel_function_has_its_tabled_values() {
        for (x, expected) in [
            (0.0, 0.0),
            (1.0, 0.440_050_585_7),
            (5.0, -0.327_579_137_6),
            (10.0, 0.043_472_746_2),
        ] {
            assert!((bessel_j1(x) - expected).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn a_low_cutoff_rings() {
        let made = kernel(21, PI / 3.0);
        assert!((made.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(made.weights.iter().any(|&weight| weight < -1e-3));
    }
}
