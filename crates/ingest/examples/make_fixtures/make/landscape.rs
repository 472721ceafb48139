//! Landscapes in colour: a farm in a valley, and a lake under mountains.

use super::canvas::{
    Canvas, Color, bump, length, mix, scale, step, to_ellipse, to_line, to_polygon,
};
use super::chance::{Chance, fractal, noise};

/// The valley, 820 × 560.
pub(crate) fn valley() -> Canvas {
    let mut canvas = Canvas::render(820, 560, valley_ground);
    farm(&mut canvas);
    fence(&mut canvas);
    for (x, y, size, seed) in [
        (96.0, 412.0, 86.0, 1),
        (190.0, 372.0, 40.0, 2),
        (232.0, 366.0, 32.0, 3),
        (640.0, 372.0, 46.0, 4),
        (742.0, 440.0, 118.0, 5),
        (505.0, 352.0, 26.0, 6),
        (540.0, 354.0, 30.0, 7),
    ] {
        tree(&mut canvas, [x, y], size, seed);
    }
    canvas
}

/// The lake, `width` × `height`, at any size.
pub(crate) fn lake(width: usize, height: usize) -> Canvas {
    let zoom = 900.0 / width as f32;
    let shift = (650.0 - height as f32 * zoom) / 2.0;
    let mut canvas = Canvas::render(width, height, |x, y| lake_at(x * zoom, y * zoom + shift));
    boat(&mut canvas, zoom, shift);
    canvas
}

fn ridge(seed: u64, x: f32, width: f32, base: f32, rise: f32) -> f32 {
    base - rise * (fractal(seed, x / width, 0.5, 6) - 0.35)
}

fn clouds(x: f32, y: f32, horizon: f32) -> Color {
    let deep = step(0.0, horizon, y);
    let blue = mix([0.32, 0.53, 0.83], [0.80, 0.89, 0.96], deep);
    let high = fractal(101, x / 210.0, y / 80.0 + 3.0, 6);
    let thick = step(0.50, 0.68, high);
    let body = 0.86
        + 0.14
            * step(
                0.70,
                0.50,
                fractal(101, x / 210.0 + 0.05, y / 80.0 + 3.1, 5),
            );
    mix(blue, scale([1.0, 0.99, 0.97], body), thick * 0.95)
}

fn valley_ground(x: f32, y: f32) -> Color {
    let meadow = 352.0 + 14.0 * (fractal(204, x / 320.0, 0.0, 3) - 0.5);
    if y - meadow > 0.5 {
        return grass(x, y, meadow);
    }
    let mut color = clouds(x, y, 300.0);
    let layers: [(u64, f32, f32, f32, Color); 3] = [
        (201, 330.0, 250.0, 190.0, [0.50, 0.61, 0.74]),
        (202, 260.0, 300.0, 150.0, [0.36, 0.50, 0.52]),
        (203, 300.0, 345.0, 110.0, [0.25, 0.41, 0.27]),
    ];
    for (seed, width, base, rise, tone) in layers {
        let over = ridge(seed, x, width, base, rise) - y;
        if over > 0.5 {
            continue;
        }
        let woods = 0.80 + 0.45 * fractal(seed + 9, x / 22.0, y / 11.0, 4);
        let haze = step(0.0, -150.0, over) * 0.35;
        let lit = mix(scale(tone, woods), [0.72, 0.80, 0.84], haze);
        color = mix(color, lit, (0.5 - over).clamp(0.0, 1.0));
    }
    mix(
        color,
        grass(x, y, meadow),
        (0.5 + y - meadow).clamp(0.0, 1.0),
    )
}

fn grass(x: f32, y: f32, top: f32) -> Color {
    let depth = ((y - top) / 200.0).max(0.02);
    let size = 3.0 + 22.0 * depth;
    let patches = fractal(205, x / (size * 6.0), y / (size * 1.6), 5);
    let blades = noise(206, x / (1.2 + 2.6 * depth), y / (2.0 + 7.0 * depth));
    let tone = 0.62 + 0.60 * patches + 0.30 * (blades - 0.5);
    let mut color = scale(mix([0.44, 0.60, 0.25], [0.33, 0.50, 0.19], depth), tone);
    // A path that winds towards the farm.
    let middle = 395.0 + 130.0 * depth * depth - 90.0 * depth;
    let off = (x - middle).abs() / (5.0 + 46.0 * depth);
    let dirt = scale(
        [0.72, 0.62, 0.46],
        0.75 + 0.5 * fractal(207, x / 15.0, y / 7.0, 4),
    );
    color = mix(color, dirt, step(1.05, 0.8, off + 0.3 * (patches - 0.5)));
    let flower = noise(208, x / 2.2, y / 2.2) > 0.93 && patches > 0.52;
    if flower {
        mix(color, [0.97, 0.93, 0.62], 0.7)
    } else {
        color
    }
}

fn farm(canvas: &mut Canvas) {
    let walls = [
        [330.0, 372.0],
        [330.0, 322.0],
        [432.0, 322.0],
        [432.0, 372.0],
    ];
    canvas.paint([0.93, 0.89, 0.80], |x, y| to_polygon([x, y], &walls));
    let side = [
        [432.0, 372.0],
        [432.0, 322.0],
        [450.0, 290.0],
        [470.0, 322.0],
        [470.0, 368.0],
    ];
    canvas.paint([0.66, 0.62, 0.58], |x, y| to_polygon([x, y], &side));
    let roof = [
        [322.0, 324.0],
        [346.0, 284.0],
        [451.0, 284.0],
        [436.0, 324.0],
    ];
    canvas.paint([0.62, 0.25, 0.17], |x, y| to_polygon([x, y], &roof));
    for i in 0..7 {
        let y = 289.0 + 5.5 * i as f32;
        canvas.paint([0.50, 0.18, 0.13], |px, py| {
            let row = to_line([px, py], [322.0, y], [452.0, y]) - 0.7;
            row.max(to_polygon([px, py], &roof))
        });
    }
    let chimney = [
        [382.0, 290.0],
        [382.0, 268.0],
        [394.0, 268.0],
        [394.0, 290.0],
    ];
    canvas.paint([0.52, 0.30, 0.24], |x, y| to_polygon([x, y], &chimney));
    for (x, y, half, high) in [
        (348.0, 344.0, 7.0, 9.0),
        (376.0, 344.0, 7.0, 9.0),
        (416.0, 344.0, 7.0, 9.0),
        (396.0, 354.0, 7.0, 17.0),
    ] {
        let pane = |px: f32, py: f32| ((px - x).abs() - half).max((py - y).abs() - high);
        canvas.paint([0.98, 0.97, 0.93], |px, py| pane(px, py) - 2.0);
        canvas.paint([0.20, 0.25, 0.30], pane);
    }
    canvas.map(|x, y, old| {
        let smoke = bump(
            length(x - 388.0 - (268.0 - y) * 0.45, 0.0),
            6.0 + (268.0 - y).max(0.0) * 0.18,
        );
        let share = 0.55 * smoke * step(268.0, 262.0, y) * step(150.0, 250.0, y);
        mix(
            old,
            [0.90, 0.90, 0.90],
            share * (0.4 + 0.8 * fractal(210, x / 14.0, y / 18.0, 4)),
        )
    });
}

fn fence(canvas: &mut Canvas) {
    let post = |i: f32| [20.0 + i * (24.0 + i * 3.0), 392.0 + i * (2.0 + i * 0.95)];
    for i in 0..11 {
        let (a, b) = (post(i as f32), post(i as f32 + 1.0));
        let size = 1.0 + i as f32 * 0.16;
        let wood = [0.36, 0.28, 0.21];
        for up in [9.0, 19.0] {
            let rail = |p: [f32; 2], size: f32| [p[0], p[1] - up * size];
            canvas.paint(wood, |x, y| {
                to_line([x, y], rail(a, size), rail(b, size + 0.16)) - 1.1 * size
            });
        }
        canvas.paint([0.42, 0.33, 0.25], |x, y| {
            to_line([x, y], a, [a[0], a[1] - 25.0 * size]) - 1.9 * size
        });
    }
}

fn tree(canvas: &mut Canvas, foot: [f32; 2], size: f32, seed: u64) {
    let mut chance = Chance::new(300 + seed);
    let bounds = [
        foot[0] - size * 1.6,
        foot[1] - size * 2.4,
        foot[0] + size * 1.6,
        foot[1] + size * 0.4,
    ];
    canvas.map(|x, y, old| {
        let shade = bump(
            length((x - foot[0] - size * 0.4) / 1.0, (y - foot[1]) / 0.16),
            size * 0.9,
        );
        scale(old, 1.0 - 0.5 * shade)
    });
    let crown = [foot[0], foot[1] - size * 1.15];
    canvas.paint_in(bounds, [0.25, 0.18, 0.12], |x, y| {
        to_line([x, y], foot, crown) - size * 0.055
    });
    // Boughs: balls of leaves, the lower ones first, lit from the upper left.
    for bough in 0..26 {
        let around = chance.between(-0.62, 0.62);
        let up = chance.between(0.5, 0.62) - 1.15 * bough as f32 / 26.0;
        let narrow = 1.0 - 0.55 * up.abs();
        let center = [crown[0] + around * size * narrow, crown[1] + up * size];
        let radius = size * chance.between(0.17, 0.27);
        let tone = chance.between(0.75, 1.10);
        for y in (center[1] - radius * 1.4) as i32..(center[1] + radius * 1.4) as i32 {
            for x in (center[0] - radius * 1.4) as i32..(center[0] + radius * 1.4) as i32 {
                leaf(canvas, [x, y], center, radius, tone);
            }
        }
    }
}

fn leaf(canvas: &mut Canvas, [x, y]: [i32; 2], center: [f32; 2], radius: f32, tone: f32) {
    let inside = x >= 0 && y >= 0 && (x as usize) < canvas.width && (y as usize) < canvas.height;
    if !inside {
        return;
    }
    let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
    let ragged = 0.55 * (fractal(401, px / (radius * 0.35), py / (radius * 0.35), 3) - 0.5);
    let off = length(px - center[0], py - center[1]) / radius + ragged;
    let light = ((center[0] - px) + (center[1] - py)) / radius;
    let speckle = noise(402, px / 1.7, py / 1.7);
    let bright = tone * (0.62 + 0.26 * light + 0.42 * (speckle - 0.5));
    let green = scale([0.33, 0.47, 0.17], bright.max(0.15) * 1.25);
    let pixel = &mut canvas.pixels[y as usize * canvas.width + x as usize];
    *pixel = mix(*pixel, green, step(1.05, 0.90, off));
}

const SHORE: f32 = 372.0;

fn lake_at(x: f32, y: f32) -> Color {
    if y < SHORE {
        return above_water(x, y);
    }
    let depth = (y - SHORE) / 278.0;
    let size = 1.5 + 14.0 * depth;
    let ripple = fractal(501, x / (size * 5.0), y / size, 3) - 0.5;
    let mirrored = above_water(x + ripple * 26.0 * depth, 2.0 * SHORE - y - 6.0 * ripple);
    let water = mix(mirrored, [0.09, 0.22, 0.30], 0.22 + 0.30 * depth);
    let glint = step(0.17, 0.24, ripple) * (0.25 + 0.3 * depth);
    let color = mix(water, [0.82, 0.90, 0.96], glint * 0.6);
    mix(color, reeds(x, y, color), step(470.0, 480.0, y))
}

fn above_water(x: f32, y: f32) -> Color {
    let hill = ridge(602, x, 210.0, 338.0, 120.0) - y;
    let mut color = if hill > -0.5 {
        mountains(x, y)
    } else {
        [0.0; 3]
    };
    if hill < 0.5 {
        let woods = fractal(603, x / 12.0, y / 14.0, 5);
        let green = scale([0.17, 0.31, 0.18], 0.55 + 0.95 * woods);
        color = mix(color, green, (0.5 - hill).clamp(0.0, 1.0));
    }
    let trees = SHORE - 12.0 - 16.0 * noise(604, x / 5.0, 0.0) * noise(605, x / 40.0, 0.0);
    let dark = scale([0.10, 0.19, 0.10], 0.7 + 0.6 * noise(606, x / 3.0, y / 5.0));
    color = mix(color, dark, (0.5 + y - trees).clamp(0.0, 1.0));
    let beach = scale([0.80, 0.74, 0.60], 0.85 + 0.3 * noise(607, x / 4.0, y));
    mix(color, beach, step(SHORE - 4.5, SHORE - 3.5, y))
}

fn mountains(x: f32, y: f32) -> Color {
    let over = ridge(601, x + 90.0, 300.0, 250.0, 340.0) - y;
    if over < -0.5 {
        return rock(x, y, over);
    }
    let sky = clouds(x + 140.0, y + 30.0, 330.0);
    if over > 0.5 {
        return sky;
    }
    mix(sky, rock(x, y, over), 0.5 - over)
}

/// Rock with snow on its upper parts, lit from the left.
fn rock(x: f32, y: f32, over: f32) -> Color {
    let at = |dx: f32| fractal(608, (x + dx) / 60.0, y / 95.0, 6);
    let slope = (at(-3.0) - at(3.0)) * 4.5;
    let light = (0.62 + slope).clamp(0.22, 1.1);
    let stone = scale([0.47, 0.46, 0.48], light);
    let snow = scale([0.96, 0.97, 1.0], 0.62 + 0.40 * light);
    let line = 205.0 + 70.0 * (at(0.0) - 0.5) * 2.0;
    let white = step(line + 8.0, line - 8.0, y) * step(0.30, 0.42, at(40.0) + 0.12);
    let haze = step(-20.0, -170.0, over) * 0.30;
    mix(mix(stone, snow, white), [0.70, 0.80, 0.90], haze)
}

/// Reeds in the near corners.
fn reeds(x: f32, y: f32, water: Color) -> Color {
    let corner = 1.0 - (x.min(900.0 - x) / 250.0).min(1.0);
    let height =
        150.0 * corner * (0.5 + 0.7 * noise(701, x / 3.0, 0.0)) + 10.0 * noise(702, x / 9.0, 0.0);
    let lean = 8.0 * noise(703, x / 30.0, y / 60.0);
    let stalk = noise(704, (x + lean) / 2.4, y / 90.0);
    let tone = scale([0.42, 0.44, 0.18], 0.45 + 1.0 * stalk);
    mix(water, tone, step(-3.0, 3.0, y - (655.0 - height)))
}

fn boat(canvas: &mut Canvas, zoom: f32, shift: f32) {
    let hull = [
        [560.0, 436.0],
        [664.0, 436.0],
        [648.0, 453.0],
        [578.0, 453.0],
    ];
    let main = [[614.0, 302.0], [614.0, 426.0], [566.0, 426.0]];
    let jib = [[619.0, 318.0], [619.0, 426.0], [655.0, 426.0]];
    let to = |x: f32, y: f32| [x * zoom, y * zoom + shift];
    canvas.map(|x, y, old| {
        // Its mirror image first, wavering.
        let p = to(x, y);
        let waver = 5.0 * (noise(801, p[0] / 18.0, p[1] / 4.0) - 0.5);
        let mirrored = [p[0] + waver, 2.0 * 454.0 - p[1]];
        let sail = to_polygon(mirrored, &main).min(to_polygon(mirrored, &jib));
        let dark = to_polygon(mirrored, &hull);
        let old = mix(old, [0.80, 0.84, 0.86], 0.55 * step(2.0, -2.0, sail));
        mix(old, [0.22, 0.14, 0.12], 0.7 * step(2.0, -2.0, dark))
    });
    let shapes: [(&[[f32; 2]], Color); 3] = [
        (&main, [0.97, 0.95, 0.90]),
        (&jib, [0.90, 0.89, 0.86]),
        (&hull, [0.45, 0.16, 0.12]),
    ];
    for (shape, color) in shapes {
        canvas.paint(color, |x, y| to_polygon(to(x, y), shape) / zoom);
    }
    canvas.paint([0.30, 0.22, 0.16], |x, y| {
        (to_line(to(x, y), [616.0, 292.0], [616.0, 437.0]) - 1.3) / zoom
    });
    canvas.paint([0.90, 0.88, 0.82], |x, y| {
        (to_line(to(x, y), [562.0, 438.0], [662.0, 438.0]) - 1.0) / zoom
    });
    canvas.paint([0.15, 0.13, 0.13], |x, y| {
        to_ellipse(to(x, y), [590.0, 429.0], [5.0, 8.0]) / zoom
    });
}
