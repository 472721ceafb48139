//! The camera, or who sat for it, moved.

use super::canvas::{Canvas, number};
use super::kernel::{Kernel, convolve};
use super::{Damage, Problems, stronger};
use crate::draw::Draw;

/// Blur along a slightly bent line.
#[derive(Debug, Clone, PartialEq)]
pub struct Motion {
    /// The length of the line in units.
    pub length: (f32, f32),
    /// By how much it is bent: the height of the arc as a share of its length, 0 to 0.5.
    pub bend: (f32, f32),
}

impl Default for Motion {
    fn default() -> Self {
        Self {
            length: (2.0, 9.0),
            bend: (0.0, 0.2),
        }
    }
}

/// The longest line in pixels: a kernel of 61 × 61.
const LONGEST: f32 = 56.0;

impl Damage for Motion {
    const NAME: &'static str = "motion";

    fn check(&self, problems: &mut Problems) {
        problems.range("length", self.length, 0.5, 50.0);
        problems.range("bend", self.bend, 0.0, 0.5);
    }

    fn strengthen(&mut self, by: f32) {
        self.length = stronger(self.length, by, 50.0);
        self.length.0 = self.length.0.clamp(0.5, self.length.1.max(0.5));
        self.length.1 = self.length.1.max(0.5);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let length = draw.range(self.length);
        let bend = draw.range(self.bend);
        let angle = draw.angle();
        let pixels = (length * canvas.unit).min(LONGEST);
        canvas.planes = convolve(&canvas.planes, &kernel(pixels, bend, angle));
        let parameters = vec![
            ("length", number(length)),
            ("bend", number(bend)),
            ("angle", number(angle)),
        ];
        canvas.note(Self::NAME, parameters);
        Ok(())
    }
}

fn kernel(length: f32, bend: f32, angle: f32) -> Kernel {
    let radius = (length / 2.0).ceil() as i32 + 2;
    let size = (2 * radius + 1) as usize;
    let mut weights = vec![0.0_f32; size * size];
    let (sin, cos) = angle.sin_cos();
    let steps = (length * 8.0).ceil().max(8.0) as usize;
    for i in 0..=steps {
        let along = (i as f32 / steps as f32 - 0.5) * length;
        let place = 2.0 * along / length;
        // The arc is moved by half of its height, so that its middle stays in the middle.
        let across = bend * length * (0.5 - place * place);
        let x = along * cos - across * sin + radius as f32;
        let y = along * sin + across * cos + radius as f32;
        let (fx, fy) = (x.floor(), y.floor());
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let share = |place: f32, floor: f32, d: usize| {
                if d == 0 {
                    1.0 - (place - floor)
                } else {
                    place - floor
                }
            };
            let (px, py) = (fx as usize + dx, fy as usize + dy);
            if px < size && py < size {
                weights[py * size + px] += share(x, fx, dx) * share(y, fy, dy);
            }
        }
    }
    let sum: f32 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= sum;
    }
    Kernel { size, weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_the_light_and_lies_where_it_should() {
        let made = kernel(9.0, 0.0, 0.0);
        assert!((made.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let middle = made.size / 2;
        let row: f32 = made.weights[middle * made.size..][..made.size].iter().sum();
        assert!(row > 0.99);
    }
}
