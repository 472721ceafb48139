//! Typed pages on old paper.

use super::canvas::{Canvas, bump, each, gray, length, mix, scale, step, to_line};
use super::chance::{Chance, fractal, noise};
use super::font;

/// How a page looks.
pub(crate) struct Style {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Pixels between the points of the letters' grid.
    pub(crate) unit: f32,
    /// The tangent of the angle by which the text is turned clockwise.
    pub(crate) slope: f32,
    pub(crate) margin: [f32; 2],
}

/// Types text onto a sheet.
pub(crate) fn typed(mut sheet: Canvas, style: &Style, text: &str) -> Canvas {
    let long = (1.0 + style.slope * style.slope).sqrt();
    let (cos, sin) = (1.0 / long, style.slope / long);
    let middle = [style.width as f32 / 2.0, style.height as f32 / 2.0];
    let turn = |p: [f32; 2]| {
        let (x, y) = (p[0] - middle[0], p[1] - middle[1]);
        [middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos]
    };
    let mut chance = Chance::new(9);
    for (row, line) in text.lines().enumerate() {
        for (column, letter) in line.chars().enumerate() {
            let x = style.margin[0] + column as f32 * 6.2 * style.unit;
            let hammer = chance.between(-0.25, 0.25) * style.unit;
            let y = style.margin[1] + row as f32 * 13.0 * style.unit + hammer;
            let ink = chance.between(0.10, 0.26);
            for stroke in font::strokes(letter) {
                let at = |p: [f32; 2]| turn([x + p[0] * style.unit, y + p[1] * style.unit]);
                stamp(&mut sheet, at(stroke[0]), at(stroke[1]), style.unit, ink);
            }
        }
    }
    sheet
}

/// A stroke whose ink is uneven.
fn stamp(sheet: &mut Canvas, a: [f32; 2], b: [f32; 2], unit: f32, ink: f32) {
    let half = unit * 0.41;
    let (left, right) = (a[0].min(b[0]) - half - 2.0, a[0].max(b[0]) + half + 2.0);
    let (top, bottom) = (a[1].min(b[1]) - half - 2.0, a[1].max(b[1]) + half + 2.0);
    for y in top.max(0.0) as usize..(bottom.max(0.0) as usize).min(sheet.height) {
        for x in left.max(0.0) as usize..(right.max(0.0) as usize).min(sheet.width) {
            let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
            let uneven = 0.5 * (noise(12, px / 3.0, py / 3.0) - 0.5);
            let cover = (0.5 + half + uneven - to_line([px, py], a, b)).clamp(0.0, 1.0);
            let pixel = &mut sheet.pixels[y * sheet.width + x];
            let dark = [ink * 0.95, ink * 0.92, ink];
            *pixel = each(|c| pixel[c].min(pixel[c] + (dark[c] - pixel[c]) * cover));
        }
    }
}

/// White paper, new.
pub(crate) fn white(width: usize, height: usize) -> Canvas {
    Canvas::render(width, height, |_, _| gray(0.96))
}

/// Paper that has lain in a damp cellar.
pub(crate) fn old(width: usize, height: usize) -> Canvas {
    let mut sheet = Canvas::render(width, height, |x, y| {
        let cloud = fractal(21, x / 220.0, y / 220.0, 4);
        let damp = step(
            0.0,
            1.0,
            (x - 0.55 * width as f32) / 500.0 + (y - 700.0) / 900.0 + cloud - 0.6,
        );
        let tone = 0.90 - 0.10 * cloud + 0.02 * (noise(22, x / 3.0, y / 3.0) - 0.5);
        mix(
            scale([1.0, 0.965, 0.865], tone),
            [0.80, 0.70, 0.52],
            0.75 * damp,
        )
    });
    let mut chance = Chance::new(23);
    for _ in 0..60 {
        let x = chance.between(0.0, width as f32);
        let y = chance.between(0.0, height as f32);
        let radius = chance.between(2.0, 9.0);
        let strength = chance.between(0.15, 0.5);
        foxing(&mut sheet, [x, y], radius, strength);
    }
    sheet
}

fn foxing(sheet: &mut Canvas, [x, y]: [f32; 2], radius: f32, strength: f32) {
    let range = |at: f32, most: usize| {
        let low = (at - radius).max(0.0) as usize;
        low..((at + radius).max(0.0) as usize + 1).min(most)
    };
    for py in range(y, sheet.height) {
        for px in range(x, sheet.width) {
            let pixel = &mut sheet.pixels[py * sheet.width + px];
            let share = strength * bump(length(px as f32 - x, py as f32 - y), radius);
            *pixel = mix(*pixel, [0.55, 0.36, 0.18], share);
        }
    }
}

/// A letter about a mill, by nobody to nobody.
pub(crate) const LETTER: &str = "\
                      Lower Mill, 14 March 1911

Dear Anna,

your parcel came on Tuesday, and with it the
frost. The wheel has stood still since Sunday;
Father says the ice will hold another week,
and that he has seen worse in the year of the
great flood, when the miller's boat lay in the
orchard and nobody could say whose it was.

We have begun to sort the papers in the attic.
There are three boxes of bills and two of
letters, and a tin with photographs that none
of us can name. I shall number them in pencil
on the back: 1 to 48, the portraits first. If
you know the gentleman with the beard (No. 7),
do write his name. Uncle Karl thinks it is the
surveyor; I think he only wishes it were.

The bridge will be finished in May. They have
taken down the old posts and found a coin of
1764 under the second one. The schoolmaster
has it in a glass, with a label longer than
the story. Come and read it yourself, before
the hay; the room above the office is dry now.

              With love from all of us,
                            Marie

P.S. Could you send the recipe for plum jam?";

/// Three short pages of an account book.
pub(crate) const ACCOUNTS: [&str; 3] = [
    "ACCOUNTS 1911\n\nJan  3  rye    12.40\nJan  9  wheat  31.05\nJan 17  bran    4.75\n\
     Feb  2  rye    10.90\nFeb 11  rope    2.15\nFeb 20  wheat  28.60\n\nCarried    89.85",
    "ACCOUNTS 1911 (2)\n\nCarried    89.85\nMar  1  iron    6.30\nMar  8  grease  1.20\n\
     Mar 14  frost      -\nMar 29  rye    14.10\nApr  4  wheat  33.75\n\nCarried   145.20",
    "ACCOUNTS 1911 (3)\n\nCarried   145.20\nMay  2  boards 18.00\nMay 15  nails   3.45\n\
     Jun  1  hay    22.50\n\nTotal     189.15\n\nchecked: M. (Lower Mill)",
];

/// A receipt.
pub(crate) const RECEIPT: &str = "\
RECEIPT  No. 231

Received of the Lower Mill, for
twelve sacks of rye, carriage
paid to the station:  12.40

Paid in full, 3 January 1911.

                 K. (carrier)";
