//! A gentleman in a studio, as card photographs show him.

use super::canvas::{Canvas, bump, gray, length, step, to_ellipse, to_line, to_polygon};
use super::chance::{fractal, noise};

const HEAD: [f32; 2] = [300.0, 290.0];
const RADII: [f32; 2] = [90.0, 122.0];
/// From where the light comes: left, above, in front.
const LIGHT: [f32; 3] = [-0.50, -0.48, 0.72];

/// The portrait in grays, 600 × 800.
pub(crate) fn portrait() -> Canvas {
    let mut canvas = Canvas::render(600, 800, |x, y| gray(backdrop(x, y)));
    coat(&mut canvas);
    shirt(&mut canvas);
    head(&mut canvas);
    features(&mut canvas);
    hair(&mut canvas);
    beard(&mut canvas);
    canvas
}

/// Sets a picture into an oval with soft edges on light card.
pub(crate) fn oval(canvas: &mut Canvas) {
    canvas.map(|x, y, color| {
        let out = to_ellipse([x, y], [300.0, 385.0], [262.0, 362.0]);
        let share = step(-46.0, 6.0, out);
        let card = 0.90 + 0.03 * fractal(4, x / 9.0, y / 9.0, 3);
        color.map(|v| v + (card - v) * share)
    });
}

fn backdrop(x: f32, y: f32) -> f32 {
    let cloud = fractal(51, x / 170.0, y / 170.0, 5) - 0.5;
    let glow = bump(length(x - 430.0, (y - 330.0) * 0.8), 480.0);
    0.34 + 0.30 * glow + 0.26 * cloud
}

/// How brightly a bulging form is lit at a place on it; 0 outside.
fn lit(x: f32, y: f32, center: [f32; 2], radii: [f32; 2]) -> f32 {
    let (nx, ny) = ((x - center[0]) / radii[0], (y - center[1]) / radii[1]);
    let nz = (1.0 - nx * nx - ny * ny).max(0.0).sqrt();
    (nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2]).max(0.0)
}

fn coat(canvas: &mut Canvas) {
    let outline = [
        [28.0, 840.0],
        [44.0, 680.0],
        [86.0, 590.0],
        [170.0, 535.0],
        [252.0, 496.0],
        [348.0, 496.0],
        [430.0, 535.0],
        [514.0, 590.0],
        [556.0, 680.0],
        [572.0, 840.0],
    ];
    canvas.map(|x, y, old| {
        let out = to_polygon([x, y], &outline) - 12.0;
        let round = lit(x, y, [300.0, 760.0], [290.0, 280.0]);
        let weave = 0.03 * (noise(61, x / 1.6, y / 1.6) - 0.5);
        let folds = 0.07 * (fractal(62, x / 60.0 + y / 190.0, y / 150.0, 3) - 0.5);
        let tone = 0.07 + 0.20 * round + weave + folds;
        let share = step(1.5, -1.5, out);
        old.map(|v| v + (tone - v) * share)
    });
    for side in [-1.0, 1.0] {
        let at = |dx: f32, y: f32| [300.0 + side * dx, y];
        let lapel = [
            at(50.0, 498.0),
            at(112.0, 545.0),
            at(88.0, 580.0),
            at(104.0, 596.0),
            at(14.0, 735.0),
        ];
        let tone = if side < 0.0 { 0.27 } else { 0.19 };
        canvas.paint(gray(tone), |x, y| to_polygon([x, y], &lapel));
        canvas.paint(gray(0.06), |x, y| to_polygon([x, y], &lapel).abs() - 0.9);
    }
    for y in [755.0, 790.0] {
        canvas.paint(gray(0.05), |px, py| length(px - 306.0, py - y) - 7.0);
        canvas.paint(gray(0.40), |px, py| length(px - 304.0, py - y + 2.0) - 2.0);
    }
}

fn shirt(canvas: &mut Canvas) {
    let front = [
        [262.0, 470.0],
        [338.0, 470.0],
        [346.0, 520.0],
        [302.0, 720.0],
        [254.0, 520.0],
    ];
    canvas.map(|x, y, old| {
        let tone = 0.84 - 0.16 * step(290.0, 345.0, x) - 0.12 * step(530.0, 470.0, y);
        let share = step(1.0, -1.0, to_polygon([x, y], &front));
        old.map(|v| v + (tone - v) * share)
    });
    canvas.paint(gray(0.60), |x, y| {
        to_line([x, y], [300.0, 400.0], [300.0, 462.0]) - 47.0
    });
    canvas.map(|x, y, old| {
        // The chin's shadow on the neck.
        let share = 0.55 * bump(length((x - 318.0) / 1.3, y - 428.0), 60.0) * step(500.0, 470.0, y);
        old.map(|v| v * (1.0 - share))
    });
    for side in [-1.0, 1.0] {
        let at = |dx: f32, y: f32| [300.0 + side * dx, y];
        let collar = [
            at(52.0, 446.0),
            at(56.0, 500.0),
            at(22.0, 524.0),
            at(4.0, 488.0),
        ];
        canvas.paint(gray(if side < 0.0 { 0.93 } else { 0.80 }), |x, y| {
            to_polygon([x, y], &collar) - 2.0
        });
        canvas.paint(gray(0.50), |x, y| {
            (to_polygon([x, y], &collar) - 2.0).abs() - 0.6
        });
        let bow = [
            at(4.0, 494.0),
            at(46.0, 480.0),
            at(50.0, 520.0),
            at(4.0, 508.0),
        ];
        canvas.paint(gray(0.13), |x, y| to_polygon([x, y], &bow) - 4.0);
        canvas.paint(gray(0.28), |x, y| {
            to_line([x, y], at(10.0, 498.0), at(42.0, 488.0)) - 1.4
        });
    }
    canvas.paint(gray(0.17), |x, y| {
        to_ellipse([x, y], [300.0, 501.0], [10.0, 12.0])
    });
}

fn head(canvas: &mut Canvas) {
    for side in [-1.0, 1.0] {
        let ear = [HEAD[0] + side * 90.0, HEAD[1] + 8.0];
        let tone = if side < 0.0 { 0.66 } else { 0.34 };
        canvas.paint(gray(tone), |x, y| to_ellipse([x, y], ear, [13.0, 27.0]));
        canvas.paint(gray(tone * 0.7), |x, y| {
            to_ellipse([x, y], ear, [6.0, 17.0])
        });
    }
    canvas.map(|x, y, old| {
        // A jaw narrower than the forehead.
        let narrow = 1.0 + 0.20 * step(310.0, 420.0, y);
        let px = HEAD[0] + (x - HEAD[0]) * narrow;
        let share = step(1.2, -1.2, to_ellipse([px, y], HEAD, RADII));
        let skin = 0.035 * (fractal(63, x / 14.0, y / 14.0, 4) - 0.5);
        let tone = 0.20 + 0.66 * lit(px, y, HEAD, [RADII[0] * 1.04, RADII[1] * 1.12]) + skin;
        old.map(|v| v + (tone - v) * share)
    });
}

/// Darkens (or, below zero, lightens) a soft spot.
fn spot(canvas: &mut Canvas, center: [f32; 2], radii: [f32; 2], strength: f32) {
    canvas.map(|x, y, old| {
        let off = length((x - center[0]) / radii[0], (y - center[1]) / radii[1]);
        let share = strength * bump(off, 1.0);
        old.map(|v| {
            if share > 0.0 {
                v * (1.0 - share)
            } else {
                v - (1.0 - v) * share
            }
        })
    });
}

fn features(canvas: &mut Canvas) {
    for side in [-1.0, 1.0] {
        let eye = [HEAD[0] + side * 36.0, 280.0];
        spot(canvas, [eye[0], eye[1] - 4.0], [34.0, 26.0], 0.42);
        spot(canvas, [eye[0], eye[1] + 22.0], [24.0, 9.0], 0.16);
        canvas.paint(gray(0.70), |x, y| to_ellipse([x, y], eye, [15.5, 7.0]));
        canvas.paint(gray(0.16), |x, y| {
            to_ellipse([x, y], eye, [15.5, 7.5]).max(length(x - eye[0] - 1.0, y - eye[1]) - 7.2)
        });
        canvas.paint(gray(0.95), |x, y| {
            length(x - eye[0] + 2.0, y - eye[1] + 2.5) - 1.5
        });
        let lid = |dx: f32, dy: f32| [eye[0] + dx, eye[1] + dy];
        for (a, b) in [
            (lid(-17.0, 1.0), lid(-6.0, -7.5)),
            (lid(-6.0, -7.5), lid(7.0, -7.5)),
            (lid(7.0, -7.5), lid(17.0, 1.0)),
        ] {
            canvas.paint(gray(0.13), |x, y| to_line([x, y], a, b) - 1.5);
        }
        let brow = |dx: f32, dy: f32| [eye[0] + side * dx, eye[1] + dy];
        for (a, b) in [
            (brow(-20.0, -21.0), brow(4.0, -27.0)),
            (brow(4.0, -27.0), brow(24.0, -20.0)),
        ] {
            canvas.map(|x, y, old| {
                let hairs = 2.2 * (noise(65, x / 2.0, y / 3.0) - 0.5);
                let share = 0.85 * step(5.5, 2.0, to_line([x, y], a, b) + hairs);
                old.map(|v| v + (0.15 - v) * share)
            });
        }
    }
    // The nose: light along its ridge, shadow on its right and below.
    spot(canvas, [313.0, 318.0], [17.0, 46.0], 0.34);
    spot(canvas, [295.0, 312.0], [9.0, 48.0], -0.38);
    spot(canvas, [299.0, 344.0], [19.0, 14.0], -0.25);
    spot(canvas, [302.0, 361.0], [30.0, 9.0], 0.55);
    for side in [-1.0, 1.0] {
        spot(canvas, [300.0 + side * 11.0, 356.0], [7.0, 5.0], 0.6);
        spot(canvas, [300.0 + side * 50.0, 330.0], [32.0, 26.0], -0.10);
    }
    spot(canvas, [283.0, 215.0], [58.0, 36.0], -0.22);
}

fn strands(x: f32, y: f32, along: f32) -> f32 {
    0.5 * (noise(66, x / 2.3 + along, y / 17.0) - 0.5)
        + 0.3 * (noise(67, x / 5.0 - along, y / 30.0) - 0.5)
}

fn hair(canvas: &mut Canvas) {
    canvas.map(|x, y, old| {
        let skull = to_ellipse([x, y], [300.0, 252.0], [101.0, 104.0]);
        // The hairline: a parting on the left, hair down to the ears at the sides.
        let side = (x - 300.0).abs();
        let line = 212.0 - 26.0 * bump(x - 258.0, 64.0) + 84.0 * step(70.0, 90.0, side);
        let ragged = 7.0 * (noise(68, x / 4.0, y / 9.0) - 0.5);
        let share = step(3.0, -3.0, skull + ragged * 0.6) * step(6.0, -6.0, y - line + ragged);
        let shine = 0.30 * bump(length((x - 262.0) / 60.0, (y - 178.0) / 26.0), 1.0);
        let parting = 0.5 * bump(to_line([x, y], [256.0, 196.0], [266.0, 150.0]), 4.0);
        let tone =
            0.13 + shine + parting + 0.28 * strands(x + y * 0.35, y, 0.0) * (0.4 + shine * 2.0);
        old.map(|v| v + (tone - v) * share)
    });
}

fn beard(canvas: &mut Canvas) {
    canvas.map(|x, y, old| {
        let jaw = to_ellipse([x, y], [300.0, 392.0], [72.0, 66.0]);
        let side = (x - 300.0).abs();
        let line = 388.0 - 70.0 * step(40.0, 84.0, side);
        let ragged = 9.0 * (noise(69, x / 3.5, y / 6.0) - 0.5);
        let share = step(5.0, -5.0, jaw + ragged) * step(-6.0, 6.0, y - line + ragged);
        let tone =
            0.12 + 0.20 * lit(x, y, [292.0, 400.0], [84.0, 78.0]) + 0.22 * strands(x, y, 3.0);
        old.map(|v| v + (tone - v) * share)
    });
    canvas.paint(gray(0.38), |x, y| {
        to_ellipse([x, y], [300.0, 392.0], [20.0, 5.5])
    });
    canvas.paint(gray(0.09), |x, y| {
        to_line([x, y], [274.0, 389.0], [326.0, 389.0]) - 1.2
    });
    for side in [-1.0, 1.0] {
        let at = |dx: f32, y: f32| [300.0 + side * dx, y];
        canvas.map(|x, y, old| {
            let inner = to_line([x, y], at(5.0, 370.0), at(34.0, 380.0)) - 9.0;
            let outer = to_line([x, y], at(34.0, 380.0), at(60.0, 371.0)) - 5.0;
            let ragged = 4.0 * (noise(70, x / 2.5, y / 5.0) - 0.5);
            let share = step(2.0, -2.0, inner.min(outer) + ragged);
            let tone = 0.16 + 0.14 * step(384.0, 364.0, y) + 0.22 * strands(x, y, side * 5.0);
            old.map(|v| v + (tone - v) * share)
        });
    }
}
