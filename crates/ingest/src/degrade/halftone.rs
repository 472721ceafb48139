//! Halftone screens: pictures out of newspapers, books and postcards.

use std::f32::consts::TAU;

use super::canvas::{Canvas, number, text};
use super::lens::disc;
use super::{Damage, Problems};
use crate::draw::Draw;
use crate::resample::for_rows;

/// Dots of ink on a slanted grid; in colour one grid an ink.
#[derive(Debug, Clone, PartialEq)]
pub struct Halftone {
    /// The distance of the dots in units.
    pub pitch: (f32, f32),
    /// The angle of the grid in degrees: 0 to 90. In colour it is that of the cyan ink; magenta is
    /// turned by 60°, yellow by −15°.
    pub angle: (f32, f32),
    /// How far the tones of the original shine through: 0 to 1.
    pub soft: (f32, f32),
}

impl Default for Halftone {
    fn default() -> Self {
        Self {
            pitch: (2.5, 7.0),
            angle: (10.0, 50.0),
            soft: (0.0, 0.3),
        }
    }
}

/// Angles of the inks beside that of the first, in degrees.
const INKS: [f32; 3] = [0.0, 60.0, -15.0];
/// Ink on newsprint is no black.
const INK: f32 = 0.06;

impl Damage for Halftone {
    const NAME: &'static str = "halftone";

    fn check(&self, problems: &mut Problems) {
        problems.range("pitch", self.pitch, 1.5, 200.0);
        problems.range("angle", self.angle, 0.0, 90.0);
        problems.range("soft", self.soft, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.soft = (self.soft.0 / by.max(0.1), self.soft.1 / by.max(0.1));
        self.soft = (self.soft.0.min(1.0), self.soft.1.min(1.0));
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let pitch = draw.range(self.pitch);
        let angle = draw.range(self.angle);
        let soft = draw.range(self.soft);
        let pixels = pitch * canvas.unit;
        let ranks = ranks();
        let width = canvas.planes.width;
        // A camera resolves no tone within a dot.
        let tones = disc(&canvas.planes, pixels / 3.0);
        let gray = canvas.planes.channels == 1 || is_gray(&canvas.planes);
        for (c, ink) in INKS.into_iter().enumerate().take(canvas.planes.channels) {
            let turn = if gray { 0.0 } else { ink };
            let (sin, cos) = (angle + turn).to_radians().sin_cos();
            let tones = tones.plane(c);
            for_rows(canvas.planes.plane_mut(c), width, |y, row| {
                for (x, value) in row.iter_mut().enumerate() {
                    let (px, py) = (x as f32 / pixels, y as f32 / pixels);
                    let spot = spot(px * cos + py * sin, py * cos - px * sin);
                    let rank = ranks[((spot * 255.0) as usize).min(255)];
                    let tone = tones[y * width + x].clamp(0.0, 1.0);
                    // Paper shows where the tone is above the rank of the place; the edge of a dot
                    // is as wide as a pixel.
                    let paper = ((tone - rank) * pixels * 0.9 + 0.5).clamp(0.0, 1.0);
                    let printed = INK + (1.0 - INK) * paper;
                    *value = printed + soft * (*value - printed);
                }
            });
        }
        canvas.planes = disc(&canvas.planes, 0.12 * pixels);
        let kind = if gray { "gray" } else { "color" };
        canvas.note(
            Self::NAME,
            vec![
                ("pitch", number(pitch)),
                ("angle", number(angle)),
                ("soft", number(soft)),
                ("inks", text(kind)),
            ],
        );
        Ok(())
    }
}

/// Height of the screen: hills and hollows, one of each a cell; 0 to 1.
fn spot(u: f32, v: f32) -> f32 {
    0.5 + 0.25 * ((TAU * u).cos() + (TAU * v).cos())
}

/// For 256 heights, the share of a cell that lies lower: with it as the threshold, as much paper
/// stays as the tone asks for.
fn ranks() -> [f32; 256] {
    const SIDE: usize = 128;
    let mut counts = [0_usize; 256];
    for i in 0..SIDE * SIDE {
        let place = |i: usize| (i as f32 + 0.5) / SIDE as f32;
        let height = spot(place(i % SIDE), place(i / SIDE));
        counts[((height * 255.0) as usize).min(255)] += 1;
    }
    let mut below = 0;
    counts.map(|count| {
        let middle = below as f32 + count as f32 / 2.0;
        below += count;
        middle / (SIDE * SIDE) as f32
    })
}

fn is_gray(planes: &crate::planes::Planes) -> bool {
    let (red, green, blue) = (planes.plane(0), planes.plane(1), planes.plane(2));
    let apart = red
        .iter()
        .zip(green)
        .zip(blue)
        .map(|((r, g), b)| (r - g).abs().max((g - b).abs()));
    apart.sum::<f32>() < 0.004 * red.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planes::Planes;
    use fonds_core::Seed;

    #[test]
    fn tones_come_out_as_they_went_in() {
        let screen = Halftone {
            pitch: (8.0, 8.0),
            angle: (30.0, 30.0),
            soft: (0.0, 0.0),
        };
        for tone in [0.1_f32, 0.3, 0.5, 0.8, 0.95] {
            let mut canvas = Canvas::new(Planes::filled(1, 160, 160, tone), 1, 1.0);
            screen
                .apply(&mut canvas, &mut Draw::new(Seed::new(1)))
                .unwrap();
            let mean = canvas.planes.values.iter().sum::<f32>() / 25_600.0;
            let expected = INK + (1.0 - INK) * tone;
            assert!((mean - expected).abs() < 0.03, "{tone}: {mean}");
            let values = &canvas.planes.values;
            let spread = values
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f32>()
                / 25_600.0;
            assert!(spread > 0.2 * tone * (1.0 - tone), "{tone}: {spread}");
        }
    }
}
