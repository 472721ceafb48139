//! What time and scanners do to pictures.

use super::canvas::{Canvas, Color, bump, each, gray, length, luma, mix, scale, step, to_line};
use super::chance::{Chance, fractal};

/// Contrast fades: black becomes `black`, white becomes `white`.
pub(crate) fn fade(canvas: &mut Canvas, black: Color, white: Color) {
    canvas.map(|_, _, color| each(|c| black[c] + (white[c] - black[c]) * color[c]));
}

/// The brown of an albumen print instead of grays, `strength` 0 to 1.
pub(crate) fn sepia(canvas: &mut Canvas, strength: f32) {
    canvas.map(|_, _, color| {
        let tone = luma(color);
        let brown = [
            tone * (1.32 - 0.32 * tone),
            tone * (1.04 - 0.09 * tone),
            tone * (0.70 + 0.13 * tone),
        ];
        mix(color, brown, strength)
    });
}

/// Paper that yellows from its edges, in blotches.
pub(crate) fn yellow(canvas: &mut Canvas, seed: u64, strength: f32) {
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    canvas.map(|x, y, color| {
        let edge = x.min(width - x).min(y).min(height - y);
        let blotch = fractal(seed, x / 130.0, y / 130.0, 4);
        let share = strength * (0.35 * step(70.0, 0.0, edge) + step(0.35, 0.8, blotch));
        let paper = [0.95, 0.84, 0.60];
        each(|c| color[c] * (1.0 - share) + color[c] * paper[c] * share)
    });
}

/// Corners that are darker than the middle.
pub(crate) fn vignette(canvas: &mut Canvas, strength: f32) {
    let (cx, cy) = (canvas.width as f32 / 2.0, canvas.height as f32 / 2.0);
    let far = length(cx, cy);
    canvas.map(|x, y, color| {
        let r = length(x - cx, y - cy) / far;
        scale(color, 1.0 - strength * r * r * r)
    });
}

/// The grain of the emulsion, or the noise of a sensor, the same in all channels or not.
pub(crate) fn grain(canvas: &mut Canvas, seed: u64, sigma: f32, colored: bool) {
    let mut chance = Chance::new(seed);
    for color in &mut canvas.pixels {
        let same = chance.normal();
        *color = color.map(|v| v + sigma * if colored { chance.normal() } else { same });
    }
}

/// A lens that is not quite sharp: every pixel takes from its neighbours.
pub(crate) fn soften(canvas: &mut Canvas) {
    let sharp = canvas.clone();
    canvas.map(|x, y, color| {
        let around = |dx: f32, dy: f32| sharp.at(x + dx, y + dy);
        let sides = [
            around(-1.0, 0.0),
            around(1.0, 0.0),
            around(0.0, -1.0),
            around(0.0, 1.0),
        ];
        each(|c| 0.4 * color[c] + 0.15 * sides.iter().map(|side| side[c]).sum::<f32>())
    });
}

/// Specks of dust, dark or light.
pub(crate) fn dust(canvas: &mut Canvas, seed: u64, count: u32) {
    let mut chance = Chance::new(seed);
    for _ in 0..count {
        let x = chance.between(0.0, canvas.width as f32);
        let y = chance.between(0.0, canvas.height as f32);
        let radius = chance.between(0.7, 1.0) * if chance.below(6) == 0 { 3.2 } else { 1.6 };
        let tone = if chance.below(4) == 0 { 0.10 } else { 0.97 };
        let lean = chance.between(0.6, 1.6);
        let bounds = [x - 6.0, y - 6.0, x + 6.0, y + 6.0];
        canvas.paint_in(bounds, gray(tone), |px, py| {
            length((px - x) * lean, py - y) - radius
        });
    }
}

/// Hairs and fibres that lay on the glass.
pub(crate) fn hairs(canvas: &mut Canvas, seed: u64, count: u32) {
    let mut chance = Chance::new(seed);
    for _ in 0..count {
        let x = chance.between(0.08, 0.92) * canvas.width as f32;
        let y = chance.between(0.08, 0.92) * canvas.height as f32;
        let mut point = [x, y];
        let mut way = [chance.between(-1.0, 1.0), chance.between(-1.0, 1.0)];
        let bend = chance.between(-0.22, 0.22);
        for _ in 0..14 {
            let long = length(way[0], way[1]).max(0.01);
            way = [way[0] / long, way[1] / long];
            let next = [point[0] + way[0] * 6.0, point[1] + way[1] * 6.0];
            stroke(canvas, point, next, 0.75, gray(0.95));
            way = [way[0] - way[1] * bend, way[1] + way[0] * bend];
            point = next;
        }
    }
}

/// Long scratches, nearly upright, broken here and there.
pub(crate) fn scratches(canvas: &mut Canvas, seed: u64, count: u32) {
    let mut chance = Chance::new(seed);
    for _ in 0..count {
        let mut x = chance.between(0.05, 0.95) * canvas.width as f32;
        let lean = chance.between(-0.06, 0.06);
        let from = chance.between(0.0, 0.4) * canvas.height as f32;
        let until = chance.between(0.6, 1.0) * canvas.height as f32;
        let half = chance.between(0.35, 0.9);
        let mut y = from;
        while y < until {
            let next = [x + lean * 24.0 + chance.between(-0.6, 0.6), y + 24.0];
            if chance.below(9) != 0 {
                stroke(canvas, [x, y], next, half, gray(0.96));
            }
            x = next[0];
            y = next[1];
        }
    }
}

/// A crease: a bright line where the emulsion broke, with a shadow beside it.
pub(crate) fn crease(canvas: &mut Canvas, from: [f32; 2], to: [f32; 2]) {
    canvas.map(|x, y, color| {
        let wander = 2.2 * (fractal(77, x / 24.0, y / 24.0, 3) - 0.5);
        let off = to_line([x + wander, y + wander], from, to);
        let broken = step(1.7, 0.6, off) * step(0.38, 0.5, fractal(78, x / 7.0, y / 7.0, 2));
        let shadowed = scale(color, 1.0 - 0.16 * bump(off, 9.0));
        mix(shadowed, gray(0.95), broken)
    });
}

/// The ring that a cup left.
pub(crate) fn ring(canvas: &mut Canvas, center: [f32; 2], radius: f32, strength: f32) {
    canvas.map(|x, y, color| {
        let uneven = 7.0 * (fractal(41, x / 50.0, y / 50.0, 3) - 0.5);
        let off = (length(x - center[0], y - center[1]) + uneven - radius).abs();
        let inside = step(
            radius,
            radius - 8.0,
            length(x - center[0], y - center[1]) + uneven,
        );
        let share = strength * (bump(off, 7.0) + 0.25 * inside);
        mix(color, each(|c| color[c] * [0.80, 0.66, 0.45][c]), share)
    });
}

/// How a print lies on the glass of a scanner.
pub(crate) struct Bed {
    /// The size of the scan.
    pub(crate) width: usize,
    /// The size of the scan.
    pub(crate) height: usize,
    /// The tangent of the angle by which the print is turned clockwise.
    pub(crate) slope: f32,
    /// The lid's colour.
    pub(crate) lid: Color,
    /// The print's white border, in pixels.
    pub(crate) border: f32,
}

/// Lays a print on the glass: the lid around it, a soft shadow at its edge.
pub(crate) fn lay(print: &Canvas, bed: &Bed) -> Canvas {
    let long = (1.0 + bed.slope * bed.slope).sqrt();
    let (cos, sin) = (1.0 / long, bed.slope / long);
    let (cx, cy) = (bed.width as f32 / 2.0, bed.height as f32 / 2.0);
    let (px, py) = (print.width as f32 / 2.0, print.height as f32 / 2.0);
    let paper = [0.93, 0.91, 0.86];
    Canvas::render(bed.width, bed.height, |x, y| {
        let (dx, dy) = (x - cx, y - cy);
        let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let out = (u.abs() - px).max(v.abs() - py);
        if out < 0.0 {
            print.at(u + px, v + py)
        } else if out < bed.border {
            paper
        } else {
            let below = ((u - 2.0).abs() - px).max((v - 3.0).abs() - py) - bed.border;
            scale(bed.lid, 1.0 - 0.35 * step(7.0, 0.0, below))
        }
    })
}

fn stroke(canvas: &mut Canvas, a: [f32; 2], b: [f32; 2], half: f32, color: Color) {
    let bounds = [
        a[0].min(b[0]) - 3.0,
        a[1].min(b[1]) - 3.0,
        a[0].max(b[0]) + 4.0,
        a[1].max(b[1]) + 4.0,
    ];
    canvas.paint_in(bounds, color, |x, y| to_line([x, y], a, b) - half);
}
