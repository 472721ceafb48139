//! Bicubic enlargement of planes by whole factors, for what passes beside a network.
//!
//! Keys' kernel with a = −0.5, as MATLAB's `imresize` and Pillow use it for enlargement; the
//! outermost pixels are repeated beyond the edges. Each output pixel depends on the four nearest
//! rows and columns alone, so a part of a picture with two pixels more on each side gives the same
//! values as the whole.

/// Planes `[channels, height, width]` enlarged to `[channels, height·factor, width·factor]`.
pub(super) fn bicubic(planes: &[f32], (height, width): (usize, usize), factor: usize) -> Vec<f32> {
    if factor == 1 {
        return planes.to_vec();
    }
    let phases: Vec<(isize, [f32; 4])> = (0..factor).map(|phase| weights(phase, factor)).collect();
    let mut made = Vec::with_capacity(planes.len() * factor * factor);
    let mut wide = vec![0.0; height * width * factor];
    for plane in planes.chunks_exact(height * width) {
        for (row, to) in plane
            .chunks_exact(width)
            .zip(wide.chunks_exact_mut(width * factor))
        {
            for (x, to) in to.iter_mut().enumerate() {
                let (first, weights) = phases[x % factor];
                let from = (x / factor) as isize + first;
                *to = weights
                    .iter()
                    .zip(from..)
                    .map(|(weight, at)| weight * row[clamped(at, width)])
                    .sum();
            }
        }
        for y in 0..height * factor {
            let (first, weights) = phases[y % factor];
            let from = (y / factor) as isize + first;
            let rows = [0, 1, 2, 3].map(|tap| {
                let start = clamped(from + tap, height) * width * factor;
                &wide[start..start + width * factor]
            });
            made.extend((0..width * factor).map(|x| {
                rows.iter()
                    .zip(weights)
                    .map(|(row, weight)| weight * row[x])
                    .sum::<f32>()
            }));
        }
    }
    made
}

fn clamped(at: isize, len: usize) -> usize {
    at.clamp(0, len as isize - 1) as usize
}

/// The first of four taps, relative to the pixel that is enlarged, and their weights.
fn weights(phase: usize, factor: usize) -> (isize, [f32; 4]) {
    // Centres of pixels stand at halves: output pixel `phase` lies at this place of the input.
    let at = (phase as f64 + 0.5) / factor as f64 - 0.5;
    let first = at.floor() as isize - 1;
    let weights = [0, 1, 2, 3].map(|tap| keys(at - (first + tap) as f64) as f32);
    (first, weights)
}

/// R. Keys, "Cubic convolution interpolation for digital image processing", 1981, a = −0.5.
fn keys(distance: f64) -> f64 {
    let x = distance.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_to_one() {
        for factor in 2..=8 {
            for phase in 0..factor {
                let (_, weights) = weights(phase, factor);
                let sum: f32 = weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-6, "{factor}, {phase}: {sum}");
            }
        }
    }

    #[test]
    fn a_ramp_stays_a_ramp() {
        // Cubic convolution reproduces straight lines, away from the edges.
        let (height, width) = (8, 9);
        let plane: Vec<f32> = (0..height * width)
            .map(|i| (i % width) as f32 * 0.1 + (i / width) as f32 * 0.05)
            .collect();
        let made = bicubic(&plane, (height, width), 3);
        for y in 6..18 {
            for x in 6..21 {
                let at = |v: usize| (v as f32 + 0.5) / 3.0 - 0.5;
                let expected = at(x) * 0.1 + at(y) * 0.05;
                assert!((made[y * width * 3 + x] - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn known_values() {
        // PIL: Image.fromarray(row, "F").resize((8, 1), Image.BICUBIC) of 0, 0, 1, 0.
        let made = bicubic(&[0.0, 0.0, 1.0, 0.0], (1, 4), 2);
        let expected = [
            0.0, -0.0234, -0.0703, 0.2266, 0.8672, 0.8672, 0.2266, -0.0703,
        ];
        for (found, expected) in made[..8].iter().zip(expected) {
            assert!((found - expected).abs() < 2e-3, "{made:?}");
        }
    }
}
