//! A street of old houses in perspective, with people, as around 1900.

use super::canvas::{
    Canvas, Color, bump, gray, length, scale, step, to_ellipse, to_line, to_polygon,
};
use super::chance::{fractal, lattice, noise};

/// Where the camera stands, in metres, and what it sees in.
const EYE: f32 = 1.9;
const LEFT: f32 = -6.2;
const RIGHT: f32 = 7.4;
const END: f32 = 120.0;
const FOCUS: f32 = 640.0;
const CENTER: [f32; 2] = [415.0, 345.0];

/// The street in grays, 900 × 650.
pub(crate) fn street() -> Canvas {
    let mut canvas = Canvas::render(900, 650, |x, y| gray(look(x, y)));
    for (x, z) in [
        (6.0, 8.5),
        (6.0, 19.0),
        (-4.8, 27.0),
        (6.0, 36.0),
        (6.0, 60.0),
    ] {
        lamp(&mut canvas, x, z);
    }
    let people = [
        (-2.4, 58.0, 1.65, true),
        (3.1, 44.0, 1.75, false),
        (-4.7, 31.0, 1.6, true),
        (-1.9, 23.0, 1.74, false),
        (-1.2, 22.6, 1.62, true),
        (5.2, 16.0, 1.7, false),
        (2.5, 12.0, 1.2, false),
        (-3.6, 10.2, 1.66, true),
    ];
    for (x, z, height, skirt) in people {
        person(&mut canvas, x, z, height, skirt);
    }
    canvas
}

fn look(x: f32, y: f32) -> f32 {
    let (u, v) = ((x - CENTER[0]) / FOCUS, (CENTER[1] - y) / FOCUS);
    let wall = if u < 0.0 {
        LEFT / u
    } else {
        RIGHT / u.max(1e-5)
    };
    let ground = if v < 0.0 { -EYE / v } else { f32::MAX };
    let sky = sky(x, y);
    if ground < wall && ground < END {
        return haze(paving(u * ground, ground), sky, ground);
    }
    if wall < END {
        let height = EYE + v * wall;
        if let Some(tone) = facade(u < 0.0, wall, height) {
            return haze(tone, sky, wall);
        }
    }
    far_end(u * END, EYE + v * END, sky)
}

fn haze(tone: f32, sky: f32, far: f32) -> f32 {
    let share = 0.85 * far / (far + 75.0);
    tone + (sky * 0.92 - tone) * share
}

fn sky(x: f32, y: f32) -> f32 {
    let clouds = fractal(11, x / 260.0, y / 90.0, 5);
    0.80 + 0.14 * (y / 345.0) + 0.10 * step(0.45, 0.75, clouds)
}

/// What closes the street: low roofs and the tower of a church.
fn far_end(x: f32, height: f32, sky: f32) -> f32 {
    let roofs = 9.0 + 4.0 * noise(5, x / 4.0, 0.0);
    let tower = [
        [-4.5, 0.0],
        [-4.5, 30.0],
        [-2.2, 52.0],
        [0.1, 30.0],
        [0.1, 0.0],
    ];
    let inside = height < roofs || to_polygon([x, height], &tower) < 0.0;
    if inside { haze(0.35, sky, END) } else { sky }
}

struct House {
    index: i64,
    /// From the near corner, and the whole front.
    along: f32,
    front: f32,
    eaves: f32,
    plaster: f32,
}

/// The house at this distance; fronts are 7 to 12 m wide.
fn house(left: bool, z: f32) -> House {
    let seed = if left { 71 } else { 93 };
    let (mut start, mut index) = (if left { -3.0 } else { -1.0 }, 0);
    loop {
        let front = 7.0 + 5.0 * lattice(seed, index, 0);
        if z < start + front || index > 40 {
            return House {
                index,
                along: z - start,
                front,
                eaves: 7.5 + 4.5 * lattice(seed, index, 1),
                plaster: 0.55 + 0.35 * lattice(seed, index, 2),
            };
        }
        start += front;
        index += 1;
    }
}

/// How high a front goes: eaves, or a stepped or plain gable.
fn top(house: &House) -> f32 {
    let middle = (house.along - house.front / 2.0).abs();
    match house.index % 3 {
        0 => house.eaves + (house.front / 2.0 - middle) * 0.9,
        1 => house.eaves + 1.1,
        _ => house.eaves + ((house.front / 2.0 - middle) / 0.9).floor() * 0.9,
    }
}

fn facade(left: bool, z: f32, height: f32) -> Option<f32> {
    let house = house(left, z);
    if height < 0.0 || height > top(&house) {
        return None;
    }
    let light = if left { 0.42 } else { 0.95 };
    let stains = 0.86 + 0.28 * fractal(31, z * 0.9, height * 0.5, 5);
    let foot = 0.75 + 0.25 * step(0.0, 1.6, height);
    let mut tone = house.plaster * stains * foot;
    if house.index % 3 == 1 && height > house.eaves {
        tone = 0.24 + 0.10 * noise(8, z * 4.0, height * 9.0); // A strip of slate.
    }
    tone = windows(&house, height, tone);
    let cornice = step(0.16, 0.05, (height - house.eaves).abs());
    let string = step(0.10, 0.03, (height - 3.5).abs());
    tone += (0.9 - tone) * 0.55 * cornice.max(string);
    let corner = house.along.min(house.front - house.along);
    tone *= 0.6 + 0.4 * step(0.0, 0.12, corner);
    Some(tone * light)
}

/// Rows of windows, a shop or a door at the bottom.
fn windows(house: &House, height: f32, tone: f32) -> f32 {
    let columns = (house.front / 2.3).floor();
    let pitch = house.front / columns;
    let column = (house.along / pitch).floor();
    let across = house.along - (column + 0.5) * pitch;
    if height < 3.3 {
        let shop = (house.index + column as i64) % 2 == 0;
        let (half, bottom, upper) = if shop {
            (0.85, 0.7, 2.7)
        } else {
            (0.55, 0.0, 2.6)
        };
        return pane(across, height, [half, bottom, upper], tone, 0.10);
    }
    let floor = ((height - 4.2) / 2.9).floor();
    let bottom = 4.2 + floor * 2.9;
    let fits = bottom + 2.0 < house.eaves && column >= 0.0 && column < columns;
    if floor < 0.0 || !fits {
        return tone;
    }
    pane(across, height, [0.55, bottom, bottom + 1.75], tone, 0.16)
}

/// A window: light frame, dark glass that mirrors a little sky, bars.
fn pane(across: f32, height: f32, [half, bottom, upper]: [f32; 3], tone: f32, glass: f32) -> f32 {
    let side = across.abs() - half;
    let over = (bottom - height).max(height - upper);
    let out = side.max(over);
    if out > 0.16 {
        return tone;
    }
    if out > 0.0 {
        return 0.90;
    }
    let bar = across.abs() < 0.05 || (height - bottom - (upper - bottom) * 0.66).abs() < 0.05;
    if bar {
        0.80
    } else {
        glass + 0.16 * (height - bottom) / (upper - bottom)
    }
}

/// Cobbles, rails, pavements with kerbs, and the shadow of the houses on the left.
fn paving(x: f32, z: f32) -> f32 {
    let near = 1.0 / (1.0 + z / 14.0);
    let rough = fractal(23, x * 3.1, z * 3.1, 4) - 0.5;
    let worn = fractal(29, x * 0.35, z * 0.12, 4) - 0.5;
    let stone = length((x * 3.4).fract().abs() - 0.5, (z * 2.6).fract() - 0.5);
    let pavement = |x: f32| !(LEFT + 1.7..=RIGHT - 1.7).contains(&x);
    let mut tone = if pavement(x) {
        0.74 + 0.10 * rough * near
    } else {
        0.58 + (0.30 * rough - 0.16 * step(0.38, 0.62, stone)) * near
    };
    tone += 0.16 * worn;
    for rail in [-0.55, 0.90] {
        let off = (x - rail).abs();
        tone += (0.30 - tone) * step(0.11, 0.06, off) + 0.5 * step(0.035, 0.015, off);
    }
    let kerb = (x - LEFT - 1.7).abs().min((x - RIGHT + 1.7).abs());
    tone *= 0.55 + 0.45 * step(0.04, 0.12, kerb);
    let shadow = LEFT + 0.55 * top(&house(true, z + 2.0)) + 0.15 * noise(3, z, 0.0);
    tone * (0.48 + 0.52 * step(shadow - 0.25, shadow + 0.25, x))
}

fn project(x: f32, height: f32, z: f32) -> [f32; 2] {
    [
        CENTER[0] + FOCUS * x / z,
        CENTER[1] - FOCUS * (height - EYE) / z,
    ]
}

fn aired(tone: f32, z: f32) -> Color {
    gray(haze(tone, 0.9, z))
}

fn lamp(canvas: &mut Canvas, x: f32, z: f32) {
    let (foot, head) = (project(x, 0.15, z), project(x, 3.5, z));
    let size = FOCUS / z;
    let around = |size: f32| {
        [
            head[0] - size,
            head[1] - size,
            head[0] + size,
            foot[1] + size,
        ]
    };
    let iron = aired(0.12, z);
    canvas.paint_in(around(size), iron, |px, py| {
        let post = to_line([px, py], foot, head) - 0.055 * size;
        let base = to_line([px, py], foot, project(x, 0.8, z)) - 0.11 * size;
        post.min(base)
    });
    let lantern = [
        project(x - 0.16, 3.5, z),
        project(x - 0.27, 4.1, z),
        project(x + 0.27, 4.1, z),
        project(x + 0.16, 3.5, z),
    ];
    canvas.paint_in(around(size), aired(0.72, z), |px, py| {
        to_polygon([px, py], &lantern)
    });
    canvas.paint_in(around(size), iron, |px, py| {
        to_polygon([px, py], &lantern).abs() - 0.035 * size
    });
    let roof = [
        project(x - 0.34, 4.1, z),
        project(x, 4.5, z),
        project(x + 0.34, 4.1, z),
    ];
    canvas.paint_in(around(size * 1.4), iron, |px, py| {
        to_polygon([px, py], &roof)
    });
}

/// Somebody in a dark coat or a long skirt, with a hat and a shadow.
fn person(canvas: &mut Canvas, x: f32, z: f32, height: f32, skirt: bool) {
    let size = FOCUS / z * height / 1.7;
    let foot = project(x, 0.0, z);
    let at = |dx: f32, up: f32| [foot[0] + dx * size, foot[1] - up * size];
    let bounds = [
        foot[0] - 3.0 * size,
        foot[1] - 2.2 * size,
        foot[0] + 3.0 * size,
        foot[1] + size,
    ];
    canvas.map(|px, py, old| {
        let (dx, dy) = ((px - foot[0]) / size - 0.55, (py - foot[1]) / size);
        scale(old, 1.0 - 0.55 * bump(length(dx / 0.9, dy / 0.13), 1.0))
    });
    let coat = aired(if skirt { 0.20 } else { 0.13 }, z);
    let body: &[[f32; 2]] = if skirt {
        &[
            at(-0.40, 0.0),
            at(-0.13, 0.95),
            at(-0.21, 1.38),
            at(0.21, 1.38),
            at(0.13, 0.95),
            at(0.40, 0.0),
        ]
    } else {
        &[
            at(-0.22, 0.55),
            at(-0.26, 1.38),
            at(0.26, 1.38),
            at(0.24, 0.55),
        ]
    };
    if !skirt {
        let trousers = aired(0.22, z);
        for (side, out) in [(-1.0, 0.16), (1.0, 0.20)] {
            let leg = |px, py| {
                to_line([px, py], at(side * 0.10, 0.7), at(side * out, 0.03)) - 0.085 * size
            };
            canvas.paint_in(bounds, trousers, leg);
        }
    }
    canvas.paint_in(bounds, coat, |px, py| {
        to_polygon([px, py], body) - 0.03 * size
    });
    for side in [-1.0, 1.0] {
        let arm =
            |px, py| to_line([px, py], at(side * 0.24, 1.32), at(side * 0.32, 0.78)) - 0.07 * size;
        canvas.paint_in(bounds, scale(coat, 0.85), arm);
    }
    let face = aired(0.72, z);
    canvas.paint_in(bounds, face, |px, py| {
        to_ellipse([px, py], at(0.0, 1.56), [0.10 * size, 0.13 * size])
    });
    let hat = aired(0.08, z);
    let brim = if skirt { 0.26 } else { 0.17 };
    canvas.paint_in(bounds, hat, |px, py| {
        let crown = to_ellipse([px, py], at(0.0, 1.70), [0.12 * size, 0.10 * size]);
        crown.min(to_line([px, py], at(-brim, 1.65), at(brim, 1.65)) - 0.025 * size)
    });
}
