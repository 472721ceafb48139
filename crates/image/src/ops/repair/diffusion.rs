//! Filling of thin holes: what is known is carried inwards along the lines of the picture.

use super::window::Window;

/// Pixels around one that its value is made from.
const REACH: isize = 4;

/// Pixels around one whose gradients say where the lines run.
const LOOK: isize = 5;

/// How much sharper the carrying along a clear line is.
const SHARP: f32 = 25.0;

/// Contrast (as a share of the range, squared) from which a line is clear.
const CLEAR: f32 = 0.0004;

/// Fills the holes of a window by coherence transport.
///
/// Bornemann and März, Fast Image Inpainting Based on Coherence Transport (Journal of Mathematical
/// Imaging and Vision 28, 2007): pixels are filled in the order of their distance from the rim,
/// each by a mean of what is known around it, which counts by its distance and, where the
/// structure tensor shows a line, by how near it is to the line through the pixel.
///
/// What is carried from two sides meets in the middle; there it is smoothed.
pub(super) fn fill(window: &mut Window) {
    let depths = window.depths();
    let mut order: Vec<usize> = (0..depths.len()).filter(|at| window.hole[*at]).collect();
    order.sort_by(|a, b| depths[*a].total_cmp(&depths[*b]).then(a.cmp(b)));
    let mut known: Vec<bool> = window.hole.iter().map(|hole| !hole).collect();
    let luma = luma(window);
    let mut carried = Carried { window, luma };
    for at in &order {
        carried.pixel(*at, &mut known);
    }
    smooth(carried.window, &order, &depths);
}

/// The means of the channels.
fn luma(window: &Window) -> Vec<f32> {
    let share = 1.0 / window.channels as f32;
    let pixels = window.values.chunks(window.channels);
    pixels
        .map(|pixel| pixel.iter().sum::<f32>() * share)
        .collect()
}

struct Carried<'a> {
    window: &'a mut Window,
    luma: Vec<f32>,
}

impl Carried<'_> {
    fn pixel(&mut self, at: usize, known: &mut [bool]) {
        let (across, strength) = self.line(at, known);
        let (width, channels) = (self.window.width, self.window.channels);
        let mut sums = [0.0_f32; 3];
        let mut total = 0.0;
        for (dx, dy) in square(REACH) {
            let Some(other) = self.neighbour(at, dx, dy).filter(|other| known[*other]) else {
                continue;
            };
            let (dx, dy) = (dx as f32, dy as f32);
            let square = dx * dx + dy * dy;
            if square > (REACH * REACH) as f32 {
                continue;
            }
            let off = (across.0 * dx + across.1 * dy) / REACH as f32;
            let weight = (-0.5 * strength * strength * off * off).exp() / square;
            let pixel = &self.window.values[other * channels..][..channels];
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += weight * value;
            }
            total += weight;
        }
        debug_assert!(at < width * self.window.height);
        if total > 0.0 {
            let pixel = &mut self.window.values[at * channels..][..channels];
            for (value, sum) in pixel.iter_mut().zip(sums) {
                *value = sum / total;
            }
            self.luma[at] = pixel.iter().sum::<f32>() / channels as f32;
        }
        known[at] = true;
    }

    fn neighbour(&self, at: usize, dx: isize, dy: isize) -> Option<usize> {
        let (width, height) = (self.window.width, self.window.height);
        let x = (at % width).checked_add_signed(dx)?;
        let y = (at / width).checked_add_signed(dy)?;
        (x < width && y < height).then_some(y * width + x)
    }

    /// The direction across the line through a pixel, and how sharply values keep to the line.
    fn line(&self, at: usize, known: &[bool]) -> ((f32, f32), f32) {
        let (mut xx, mut xy, mut yy, mut total) = (0.0_f32, 0.0, 0.0, 0.0);
        let width = self.window.width;
        for (dx, dy) in square(LOOK) {
            let Some(other) = self.neighbour(at, dx, dy) else {
                continue;
            };
            let (x, y) = (other % width, other / width);
            let inner = x > 0 && y > 0 && x + 1 < width && y + 1 < self.window.height;
            let sides = [
                other.wrapping_sub(1),
                other + 1,
                other.wrapping_sub(width),
                other + width,
            ];
            if !inner || sides.iter().any(|side| !known[*side]) {
                continue;
            }
            let gx = 0.5 * (self.luma[sides[1]] - self.luma[sides[0]]);
            let gy = 0.5 * (self.luma[sides[3]] - self.luma[sides[2]]);
            let weight = 1.0 / (1.0 + (dx * dx + dy * dy) as f32);
            xx += weight * gx * gx;
            xy += weight * gx * gy;
            yy += weight * gy * gy;
            total += weight;
        }
        if total == 0.0 {
            return ((1.0, 0.0), 0.0);
        }
        let (xx, xy, yy) = (xx / total, xy / total, yy / total);
        let half = 0.5 * (xx - yy);
        let root = (half * half + xy * xy).sqrt();
        let angle = 0.5 * xy.atan2(half);
        // The difference of the eigenvalues is the squared contrast across the line.
        let clear = 2.0 * root;
        let strength = 1.0 + SHARP * (-CLEAR / (4.0 * clear).max(1e-12)).exp();
        ((angle.cos(), angle.sin()), strength)
    }
}

fn square(reach: isize) -> impl Iterator<Item = (isize, isize)> {
    let side = -reach..=reach;
    let all = side
        .clone()
        .flat_map(move |dy| side.clone().map(move |dx| (dx, dy)));
    all.filter(|place| *place != (0, 0))
}

/// Evens out where what came from two sides meets: pixels that are no nearer to the rim than all
/// of their neighbours.
fn smooth(window: &mut Window, order: &[usize], depths: &[f32]) {
    let (width, height, channels) = (window.width, window.height, window.channels);
    let middle = |at: &&usize| {
        let (x, y) = (**at % width, **at / width);
        let inner = x > 0 && y > 0 && x + 1 < width && y + 1 < height;
        let deepest = |a: usize, b: usize| depths[a] <= depths[**at] && depths[b] <= depths[**at];
        inner && (deepest(**at - 1, **at + 1) || deepest(**at - width, **at + width))
    };
    let middle: Vec<usize> = order.iter().filter(middle).copied().collect();
    for _ in 0..2 {
        let means: Vec<f32> = middle
            .iter()
            .flat_map(|at| (0..channels).map(move |channel| (*at, channel)))
            .map(|(at, channel)| {
                let value = |at: usize| window.values[at * channels + channel];
                let sides = value(at - 1) + value(at + 1) + value(at - width) + value(at + width);
                0.5 * value(at) + 0.125 * sides
            })
            .collect();
        for (at, mean) in middle.iter().zip(means.chunks(channels)) {
            window.values[at * channels..][..channels].copy_from_slice(mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(
        picture: impl Fn(usize, usize) -> f32,
        hole: impl Fn(usize, usize) -> bool,
    ) -> Window {
        let (width, height) = (60, 50);
        let at = |i: usize| (i % width, i / width);
        Window {
            width,
            height,
            channels: 1,
            values: (0..width * height)
                .map(|i| picture(at(i).0, at(i).1))
                .collect(),
            hole: (0..width * height)
                .map(|i| hole(at(i).0, at(i).1))
                .collect(),
        }
    }

    fn worst(window: &Window, picture: impl Fn(usize, usize) -> f32) -> f32 {
        let off = |i: usize| (window.values[i] - picture(i % 60, i / 60)).abs();
        (0..window.values.len()).map(off).fold(0.0, f32::max)
    }

    #[test]
    fn slopes_go_on_under_scratches() {
        let slope = |x: usize, y: usize| 0.2 + 0.004 * x as f32 + 0.003 * y as f32;
        let scratch = |x: usize, y: usize| (28..31).contains(&(x + y / 5));
        let mut damaged = window(
            |x, y| if scratch(x, y) { 1.0 } else { slope(x, y) },
            scratch,
        );
        fill(&mut damaged);
        assert!(worst(&damaged, slope) < 0.02, "{}", worst(&damaged, slope));
    }

    #[test]
    fn edges_go_on_under_scratches() {
        // A slanted edge, crossed at a right angle.
        let edge = |x: usize, y: usize| if 2 * x + y < 80 { 0.2 } else { 0.8 };
        let scratch = |_: usize, y: usize| (24..28).contains(&y);
        let mut damaged = window(|x, y| if scratch(x, y) { 1.0 } else { edge(x, y) }, scratch);
        fill(&mut damaged);
        // Away from the edge's own pixels nothing of the other side has come over.
        for y in 24..28 {
            for x in 0..60 {
                let away = usize::abs_diff(2 * x + y, 80) > 5;
                let off = (damaged.values[y * 60 + x] - edge(x, y)).abs();
                assert!(!away || off < 0.1, "{x}, {y}: {off}");
            }
        }
    }
}
