//! Weights of Winograd: transformed in 64 bits and packed in the order in which kernels read them.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use half::bf16;
use rayon::prelude::*;

use super::super::memory::Packed;
use super::{GROUP_CHANNELS, POINTS, Winograd};

impl Winograd {
    /// Packs weights `[out][in][3][3]`.
    #[expect(unsafe_code, reason = "threads write disjoint parts of the weights")]
    pub(super) fn pack(&mut self, lanes: usize, sides: [usize; 2], weight: &[f32]) {
        let depth = self.depth;
        let packed = Packed::new(&mut self.weights);
        let all: Vec<_> = self
            .groups
            .iter()
            .flat_map(|group| group.panels.iter().map(move |panel| (group, panel)))
            .flat_map(|panel| (0..depth).map(move |float| (panel, float)))
            .collect();
        all.into_par_iter()
            .with_min_len(16)
            .for_each(|((group, panel), float)| {
                let width = panel.vectors * lanes;
                let first = group.start + panel.start;
                let mut rows = [[0.0_f32; GROUP_CHANNELS]; POINTS];
                for output in first..(first + width).min(sides[1]) {
                    let points = self.points(weight, sides, output, float);
                    for (row, value) in rows.iter_mut().zip(points) {
                        row[output - first] = value;
                    }
                }
                for (point, row) in rows.iter().enumerate() {
                    let start = group.weights + point * depth * group.width + panel.start * depth;
                    // SAFETY: it lies within the weights of the panel, and each float of the depth is
                    // written by one thread.
                    unsafe { packed.write(start + float * width, &row[..width]) };
                }
            });
    }

    /// The transformed weights of an output and a float of the depth: of one input or of two.
    fn points(
        &self,
        weight: &[f32],
        [inputs, _]: [usize; 2],
        output: usize,
        float: usize,
    ) -> [f32; POINTS] {
        let of = |input: usize| {
            if input < inputs {
                transform_weights(&weight[(output * inputs + input) * 9..][..9])
            } else {
                [0.0; POINTS]
            }
        };
        if !self.bf16 {
            return of(float).map(|value| value as f32);
        }
        let bits = |value: f64| u32::from(bf16::from_f64(value).to_bits());
        let (low, high) = (of(2 * float), of(2 * float + 1));
        std::array::from_fn(|point| f32::from_bits(bits(low[point]) | bits(high[point]) << 16))
    }
}

/// `G g Gᵀ` in 64 bits.
fn transform_weights(taps: &[f32]) -> [f64; POINTS] {
    let rows = [0, 1, 2]
        .map(|row| transform_taps([0, 1, 2].map(|column| f64::from(taps[row * 3 + column]))));
    let mut points = [0.0; POINTS];
    for x in 0..6 {
        let column = transform_taps([rows[0][x], rows[1][x], rows[2][x]]);
        for y in 0..6 {
            points[y * 6 + x] = column[y];
        }
    }
    points
}

/// The polynomial of three taps at the six points, each over the product of its distances to the
/// others.
fn transform_taps([a, b, c]: [f64; 3]) -> [f64; 6] {
    let at = |point: f64| a + point * b + point * point * c;
    [
        a,
        at(FRAC_1_SQRT_2) * (-1.0 / 1.5),
        at(-FRAC_1_SQRT_2) * (-1.0 / 1.5),
        at(SQRT_2) * (1.0 / 6.0),
        at(-SQRT_2) * (1.0 / 6.0),
        c,
    ]
}
