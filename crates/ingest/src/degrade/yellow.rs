//! Yellowing: paper, albumen and varnish that turn brown, unevenly and from the edges.

use super::canvas::{Canvas, number};
use super::field::clouds;
use super::layer::channel;
use super::{Damage, Problems, stronger};
use crate::draw::Draw;

/// A yellow filter over the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Yellow {
    /// How yellow: 0 to 1.
    pub strength: (f32, f32),
    /// How uneven: 0 (a filter) to 1.
    pub uneven: (f32, f32),
}

impl Default for Yellow {
    fn default() -> Self {
        Self {
            strength: (0.15, 0.8),
            uneven: (0.1, 0.5),
        }
    }
}

/// What old paper leaves of white light.
const PAPER: [f32; 3] = [0.95, 0.82, 0.56];

impl Damage for Yellow {
    const NAME: &'static str = "yellow";

    fn check(&self, problems: &mut Problems) {
        problems.range("strength", self.strength, 0.0, 1.0);
        problems.range("uneven", self.uneven, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.strength = stronger(self.strength, by, 1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let strength = draw.range(self.strength);
        let uneven = draw.range(self.uneven);
        let size = canvas.size();
        let long = size.0.max(size.1) as f32;
        let surface = clouds(size, long / 3.0, 3, draw);
        let tone = [
            draw.between(-0.02, 0.02),
            draw.between(-0.04, 0.04),
            draw.between(-0.1, 0.1),
        ];
        let paper: [f32; 3] = std::array::from_fn(|c| PAPER[c] + tone[c]);
        let channels = canvas.planes.channels;
        for c in 0..channels {
            let paper = channel(paper, c, channels);
            for (i, value) in canvas.planes.plane_mut(c).iter_mut().enumerate() {
                let (x, y) = ((i % size.0) as f32, (i / size.0) as f32);
                let edge = x.min(y).min(size.0 as f32 - x).min(size.1 as f32 - y) / (0.12 * long);
                let local = 0.35 * surface.values[i] + 0.8 * (-edge).exp();
                let amount = (strength * (1.0 + uneven * local)).clamp(0.0, 1.0);
                *value *= 1.0 + amount * (paper - 1.0);
            }
        }
        canvas.note(
            Self::NAME,
            vec![("strength", number(strength)), ("uneven", number(uneven))],
        );
        Ok(())
    }
}
