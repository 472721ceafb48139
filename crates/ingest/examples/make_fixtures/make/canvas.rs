//! A picture in floats, and painting on it with soft edges.

use rayon::prelude::*;

/// Red, green, blue, 0 to 1, as the eye counts (not linear light).
pub(crate) type Color = [f32; 3];

/// A picture.
#[derive(Clone)]
pub(crate) struct Canvas {
    /// Pixels across.
    pub(crate) width: usize,
    /// Pixels down.
    pub(crate) height: usize,
    /// Rows from the top.
    pub(crate) pixels: Vec<Color>,
}

impl Canvas {
    /// A picture whose pixels are the mean of four samples of a function of the place.
    pub(crate) fn render(
        width: usize,
        height: usize,
        sample: impl Fn(f32, f32) -> Color + Sync,
    ) -> Self {
        let mut pixels = vec![[0.0; 3]; width * height];
        let rows = pixels.par_chunks_exact_mut(width).enumerate();
        rows.for_each(|(y, row)| {
            for (x, pixel) in row.iter_mut().enumerate() {
                for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let color = sample(x as f32 + dx, y as f32 + dy);
                    *pixel = each(|c| pixel[c] + color[c] * 0.25);
                }
            }
        });
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Changes every pixel by its place and colour.
    pub(crate) fn map(&mut self, change: impl Fn(f32, f32, Color) -> Color + Sync) {
        let rows = self.pixels.par_chunks_exact_mut(self.width).enumerate();
        rows.for_each(|(y, row)| {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = change(x as f32 + 0.5, y as f32 + 0.5, *pixel);
            }
        });
    }

    /// Paints a colour where a shape covers the picture. `distance` is in pixels, negative inside.
    pub(crate) fn paint(&mut self, color: Color, distance: impl Fn(f32, f32) -> f32 + Sync) {
        self.map(|x, y, old| mix(old, color, cover(distance(x, y))));
    }

    /// The same inside a box only, which is faster: left, top, right, bottom.
    pub(crate) fn paint_in(
        &mut self,
        bounds: [f32; 4],
        color: Color,
        distance: impl Fn(f32, f32) -> f32,
    ) {
        let clip = |value: f32, most: usize| value.clamp(0.0, most as f32) as usize;
        let [left, top, right, bottom] = bounds;
        for y in clip(top, self.height)..clip(bottom, self.height) {
            for x in clip(left, self.width)..clip(right, self.width) {
                let pixel = &mut self.pixels[y * self.width + x];
                let share = cover(distance(x as f32 + 0.5, y as f32 + 0.5));
                *pixel = mix(*pixel, color, share);
            }
        }
    }

    /// The colour at a place between pixels; the edge goes on outside.
    pub(crate) fn at(&self, x: f32, y: f32) -> Color {
        let x = (x - 0.5).clamp(0.0, (self.width - 1) as f32);
        let y = (y - 0.5).clamp(0.0, (self.height - 1) as f32);
        let (left, top) = (x as usize, y as usize);
        let right = (left + 1).min(self.width - 1);
        let below = (top + 1).min(self.height - 1);
        let pixel = |x: usize, y: usize| self.pixels[y * self.width + x];
        let (fx, fy) = (x - left as f32, y - top as f32);
        let upper = mix(pixel(left, top), pixel(right, top), fx);
        let lower = mix(pixel(left, below), pixel(right, below), fx);
        mix(upper, lower, fy)
    }

    /// This picture in another size, for making it smaller by less than a half.
    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let (sx, sy) = (
            self.width as f32 / width as f32,
            self.height as f32 / height as f32,
        );
        Self::render(width, height, |x, y| self.at(x * sx, y * sy))
    }

    /// A part of it.
    pub(crate) fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let row = |y: usize| {
            let start = (top + y) * self.width + left;
            &self.pixels[start..start + width]
        };
        Self {
            width,
            height,
            pixels: (0..height).flat_map(row).copied().collect(),
        }
    }

    /// Turned by quarters: once is clockwise.
    pub(crate) fn turned(&self) -> Self {
        let (width, height) = (self.height, self.width);
        let source = |i: usize| {
            let (x, y) = (i % width, i / width);
            self.pixels[(self.height - 1 - x) * self.width + y]
        };
        Self {
            width,
            height,
            pixels: (0..width * height).map(source).collect(),
        }
    }

    /// 8-bit RGB.
    pub(crate) fn rgb8(&self) -> Vec<u8> {
        self.pixels.iter().flatten().map(|&v| byte(v)).collect()
    }

    /// 8-bit gray.
    pub(crate) fn gray8(&self) -> Vec<u8> {
        self.pixels.iter().map(|&c| byte(luma(c))).collect()
    }

    /// 16-bit gray.
    pub(crate) fn gray16(&self) -> Vec<u16> {
        let word = |c: &Color| (luma(*c).clamp(0.0, 1.0) * 65535.0 + 0.5) as u16;
        self.pixels.iter().map(word).collect()
    }
}

/// A colour, channel by channel.
pub(crate) fn each(channel: impl Fn(usize) -> f32) -> Color {
    std::array::from_fn(channel)
}

/// Between two colours: 0 is the first, 1 the second.
pub(crate) fn mix(a: Color, b: Color, share: f32) -> Color {
    each(|c| a[c] + (b[c] - a[c]) * share)
}

/// A colour times a number.
pub(crate) fn scale(color: Color, by: f32) -> Color {
    color.map(|v| v * by)
}

/// A gray.
pub(crate) fn gray(value: f32) -> Color {
    [value; 3]
}

/// How bright a colour is.
pub(crate) fn luma(color: Color) -> f32 {
    0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(crate) fn step(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// 1 in the middle, 0 from `radius` on, smooth between.
pub(crate) fn bump(distance: f32, radius: f32) -> f32 {
    let t = (1.0 - (distance / radius) * (distance / radius)).max(0.0);
    t * t
}

/// The length of a vector.
pub(crate) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// The distance to a stretch between two points.
pub(crate) fn to_line(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (px, py) = (p[0] - a[0], p[1] - a[1]);
    let (bx, by) = (b[0] - a[0], b[1] - a[1]);
    let along = ((px * bx + py * by) / (bx * bx + by * by).max(1e-6)).clamp(0.0, 1.0);
    length(px - bx * along, py - by * along)
}

/// The distance to a polygon's edge, negative inside.
pub(crate) fn to_polygon(p: [f32; 2], corners: &[[f32; 2]]) -> f32 {
    let (mut nearest, mut inside) = (f32::MAX, false);
    for (i, &b) in corners.iter().enumerate() {
        let a = corners[(i + corners.len() - 1) % corners.len()];
        nearest = nearest.min(to_line(p, a, b));
        if (a[1] > p[1]) != (b[1] > p[1]) {
            let x = a[0] + (p[1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
            inside ^= p[0] < x;
        }
    }
    if inside { -nearest } else { nearest }
}

/// About the distance to an ellipse, negative inside.
pub(crate) fn to_ellipse(p: [f32; 2], center: [f32; 2], radii: [f32; 2]) -> f32 {
    let (x, y) = ((p[0] - center[0]) / radii[0], (p[1] - center[1]) / radii[1]);
    let far = length(x, y);
    let slope = length(x / radii[0], y / radii[1]).max(1e-6);
    if far < 1e-6 {
        return -radii[0].min(radii[1]);
    }
    far * (far - 1.0) / slope
}

fn cover(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}
