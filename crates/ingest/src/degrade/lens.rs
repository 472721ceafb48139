//! An old lens: soft all over, softer towards the corners, with light spilt around what is bright.

use super::canvas::{Canvas, number};
use super::field::{fill, smoothstep};
use super::kernel::{Kernel, convolve, smooth};
use super::{Damage, Problems, stronger};
use crate::draw::Draw;
use crate::planes::Planes;

/// A disc of confusion, a curved field, and a veil of spherical aberration.
#[derive(Debug, Clone, PartialEq)]
pub struct Lens {
    /// The radius of the disc in the middle of the picture, in units.
    pub radius: (f32, f32),
    /// The radius in the corners, as a multiple of that in the middle.
    pub corners: (f32, f32),
    /// The share of the light that is spilt: 0 to 1.
    pub veil: (f32, f32),
}

impl Default for Lens {
    /// The landscape lens of a box camera.
    fn default() -> Self {
        Self {
            radius: (0.6, 2.0),
            corners: (1.0, 2.5),
            veil: (0.0, 0.25),
        }
    }
}

impl Damage for Lens {
    const NAME: &'static str = "lens";

    fn check(&self, problems: &mut Problems) {
        problems.range("radius", self.radius, 0.0, 20.0);
        problems.range("corners", self.corners, 1.0, 5.0);
        problems.range("veil", self.veil, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.radius = stronger(self.radius, by, 20.0);
        self.veil = stronger(self.veil, by, 1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let radius = draw.range(self.radius);
        let corners = draw.range(self.corners);
        let veil = draw.range(self.veil);
        let pixels = radius * canvas.unit;
        let middle = disc(&canvas.planes, pixels);
        let outer = disc(&canvas.planes, pixels * corners);
        let (width, height) = canvas.size();
        let mut weight = Planes::filled(1, height, width, 0.0);
        let (x0, y0) = (width as f32 / 2.0, height as f32 / 2.0);
        fill(&mut weight, |x, y| {
            smoothstep(0.2, 1.0, (x - x0).hypot(y - y0) / x0.hypot(y0))
        });
        let halo = smooth(&middle, 6.0 * pixels.max(1.0));
        for c in 0..canvas.planes.channels {
            let sources = middle
                .plane(c)
                .iter()
                .zip(outer.plane(c))
                .zip(halo.plane(c));
            let out = canvas.planes.plane_mut(c).iter_mut().zip(&weight.values);
            for ((out, weight), ((middle, outer), halo)) in out.zip(sources) {
                let sharp = middle + weight * (outer - middle);
                // Light adds, so only what is brighter around shows.
                *out = sharp + veil * (halo - sharp).max(0.0);
            }
        }
        let parameters = vec![
            ("radius", number(radius)),
            ("corners", number(corners)),
            ("veil", number(veil)),
        ];
        canvas.note(Self::NAME, parameters);
        Ok(())
    }
}

/// Blur by a disc; discs of more than 12 pixels are made of a Gaussian of the same variance.
pub(super) fn disc(planes: &Planes, radius: f32) -> Planes {
    if radius < 0.3 {
        return planes.clone();
    }
    if radius > 12.0 {
        return smooth(planes, radius / 2.0);
    }
    let size = 2 * radius.ceil() as usize + 1;
    let kernel = Kernel::normalized(size, |x, y| (radius + 0.5 - x.hypot(y)).clamp(0.0, 1.0));
    convolve(planes, &kernel)
}
