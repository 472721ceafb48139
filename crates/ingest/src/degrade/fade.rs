//! Fading: silver and dyes that light and time have taken.

use super::canvas::{Canvas, number};
use super::{Damage, Problems};
use crate::draw::Draw;

/// Blacks become gray, whites dull, the middle lighter; in colour each dye at its own pace, so that
/// a cast remains.
#[derive(Debug, Clone, PartialEq)]
pub struct Fade {
    /// Where black comes to lie: 0 to 0.8.
    pub black: (f32, f32),
    /// Where white comes to lie: 0.2 to 1.
    pub white: (f32, f32),
    /// The exponent of the tones: below 1 they become lighter, above darker.
    pub gamma: (f32, f32),
    /// How far the channels differ: 0 to 1.
    pub cast: (f32, f32),
}

impl Default for Fade {
    /// From a print kept in a drawer to one that hung on a wall.
    fn default() -> Self {
        Self {
            black: (0.05, 0.35),
            white: (0.75, 1.0),
            gamma: (0.7, 1.2),
            cast: (0.0, 0.5),
        }
    }
}

/// How much more the dyes that absorb red, green and blue fade than the mean of them: cyan goes
/// first, so that most casts are reddish.
const DYES: [f32; 3] = [0.5, -0.3, -0.1];

impl Damage for Fade {
    const NAME: &'static str = "fade";

    fn check(&self, problems: &mut Problems) {
        problems.range("black", self.black, 0.0, 0.8);
        problems.range("white", self.white, 0.2, 1.0);
        problems.range("gamma", self.gamma, 0.2, 5.0);
        problems.range("cast", self.cast, 0.0, 1.0);
        if self.black.1 >= self.white.0 {
            problems.add("black", "it ends above the beginning of `white`");
        }
    }

    fn strengthen(&mut self, by: f32) {
        let white = (
            (1.0 - (1.0 - self.white.0) * by).max(0.2),
            (1.0 - (1.0 - self.white.1) * by).max(0.2),
        );
        self.white = white;
        let black = |value: f32| (value * by).min(white.0 - 0.05).clamp(0.0, 0.8);
        self.black = (black(self.black.0), black(self.black.1));
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let black = draw.range(self.black);
        let white = draw.range(self.white);
        let gamma = draw.range(self.gamma);
        let cast = draw.range(self.cast);
        let channels = canvas.planes.channels;
        for (c, dye) in DYES.into_iter().enumerate().take(channels) {
            let own = if channels == 3 {
                cast * (dye + draw.between(-0.5, 0.5))
            } else {
                0.0
            };
            // A dye that fades more leaves its channel lighter in the blacks, and flatter.
            let low = (black * (1.0 + own)).clamp(0.0, white - 0.02);
            let high = (white + 0.25 * own * (1.0 - white)).min(1.0);
            let exponent = gamma * (1.0 - 0.4 * own);
            for value in canvas.planes.plane_mut(c) {
                *value = low + (high - low) * value.clamp(0.0, 1.0).powf(exponent);
            }
        }
        canvas.note(
            Self::NAME,
            vec![
                ("black", number(black)),
                ("white", number(white)),
                ("gamma", number(gamma)),
                ("cast", number(cast)),
            ],
        );
        Ok(())
    }
}
