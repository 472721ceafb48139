//! What is drawn over a picture: strokes and blots with soft edges.

use crate::draw::Draw;
use crate::planes::{LUMA, Planes};

use super::canvas::Canvas;

/// How much of the picture is covered, pixel by pixel: one plane, 0 to 1.
pub(super) struct Layer {
    pub(super) cover: Planes,
}

/// A point of a stroke.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
    /// In pixels.
    pub(super) width: f32,
    /// 0 to 1.
    pub(super) cover: f32,
}

impl Layer {
    pub(super) fn new((width, height): (usize, usize)) -> Self {
        Self {
            cover: Planes::filled(1, height, width, 0.0),
        }
    }

    /// Draws a line through points whose widths and covers it takes on.
    pub(super) fn stroke(&mut self, points: &[Point]) {
        for pair in points.windows(2) {
            self.segment(pair[0], pair[1]);
        }
    }

    fn segment(&mut self, a: Point, b: Point) {
        if a.cover <= 0.0 && b.cover <= 0.0 {
            return;
        }
        let reach = a.width.max(b.width) / 2.0 + 1.0;
        let (width, height) = (self.cover.width, self.cover.height);
        let span = |low: f32, high: f32, len: usize| {
            let from = (low - reach).floor().clamp(0.0, len as f32) as usize;
            let to = (high + reach).ceil().clamp(-1.0, len as f32 - 1.0) + 1.0;
            from..to.max(0.0) as usize
        };
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length = (dx * dx + dy * dy).max(1e-6);
        for y in span(a.y.min(b.y), a.y.max(b.y), height) {
            for x in span(a.x.min(b.x), a.x.max(b.x), width) {
                let (px, py) = (x as f32 - a.x, y as f32 - a.y);
                let t = ((px * dx + py * dy) / length).clamp(0.0, 1.0);
                let distance = (px - t * dx).hypot(py - t * dy);
                let stroke = a.width + t * (b.width - a.width);
                // A line thinner than a pixel covers a part of it.
                let thin = stroke.min(1.0);
                let edge = (stroke.max(1.0) / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                let cover = edge * thin * (a.cover + t * (b.cover - a.cover));
                let out = &mut self.cover.values[y * width + x];
                *out = out.max(cover);
            }
        }
    }

    /// Draws a spot with an uneven edge: `rough` 0 is a disc, 1 has bays as deep as its radius.
    /// The edge fades over `soft` pixels.
    pub(super) fn blot(
        &mut self,
        (x, y): (f32, f32),
        radius: f32,
        rough: f32,
        soft: f32,
        cover: f32,
        draw: &mut Draw,
    ) {
        // Whole numbers of waves around close the outline.
        let waves: Vec<(f32, f32, f32)> = (2..7)
            .map(|n| (draw.unit() / n as f32, n as f32, draw.angle()))
            .collect();
        let sum: f32 = waves.iter().map(|wave| wave.0).sum::<f32>().max(1e-6);
        let bay = |angle: f32| -> f32 {
            waves
                .iter()
                .map(|(height, n, phase)| height * (n * angle + phase).sin())
                .sum::<f32>()
                / sum
        };
        let turns = draw.angle();
        // Squeezed in one direction, as most specks are.
        let squeeze = draw.between(1.0, 1.0 + rough);
        let (sin, cos) = turns.sin_cos();
        let reach = radius * (1.0 + rough) * squeeze + soft + 1.0;
        let (width, height) = (self.cover.width, self.cover.height);
        let span = |center: f32, len: usize| {
            let from = (center - reach).floor().clamp(0.0, len as f32) as usize;
            let to = ((center + reach).ceil() + 1.0).clamp(0.0, len as f32) as usize;
            from..to
        };
        for py in span(y, height) {
            for px in span(x, width) {
                let (dx, dy) = (px as f32 - x, py as f32 - y);
                let (u, v) = (
                    (dx * cos + dy * sin) / squeeze,
                    (dy * cos - dx * sin) * squeeze,
                );
                let distance = u.hypot(v);
                let edge = radius * (1.0 + rough * bay(v.atan2(u)));
                let inside = ((edge - distance) / soft.max(1.0) + 0.5).clamp(0.0, 1.0);
                // What is smaller than a pixel covers a part of it.
                let small = (2.0 * radius).min(1.0);
                let out = &mut self.cover.values[py * width + px];
                *out = out.max(inside * small * small * cover);
            }
        }
    }

    /// Lays the layer over the picture in this colour, and onto the mask.
    pub(super) fn paint(&self, canvas: &mut Canvas, color: [f32; 3]) {
        self.over(canvas, color);
        self.mark(canvas);
    }

    /// Lays the layer over the picture without marking it as damage.
    pub(super) fn over(&self, canvas: &mut Canvas, color: [f32; 3]) {
        let channels = canvas.planes.channels;
        for c in 0..channels {
            let color = channel(color, c, channels);
            let plane = canvas.planes.plane_mut(c);
            for (value, cover) in plane.iter_mut().zip(&self.cover.values) {
                *value += cover * (color - *value);
            }
        }
    }

    /// Multiplies the picture by this colour where the layer covers it: a transparent stain.
    pub(super) fn tint(&self, canvas: &mut Canvas, color: [f32; 3]) {
        let channels = canvas.planes.channels;
        for c in 0..channels {
            let color = channel(color, c, channels);
            let plane = canvas.planes.plane_mut(c);
            for (value, cover) in plane.iter_mut().zip(&self.cover.values) {
                *value *= 1.0 + cover * (color - 1.0);
            }
        }
    }

    /// Marks what the layer covers as damage.
    pub(super) fn mark(&self, canvas: &mut Canvas) {
        for (mask, cover) in canvas.mask.values.iter_mut().zip(&self.cover.values) {
            *mask = mask.max(*cover);
        }
    }
}

/// One channel of a colour; its luma for a gray picture.
pub(super) fn channel(color: [f32; 3], c: usize, channels: usize) -> f32 {
    if channels == 1 {
        LUMA.iter()
            .zip(color)
            .map(|(weight, value)| weight * value)
            .sum()
    } else {
        color[c]
    }
}
