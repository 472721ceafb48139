//! Weights of direct convolutions, packed in the order in which kernels read them.

use rayon::prelude::*;

use super::super::memory::{Aligned, Packed};
use super::super::simd;
use super::super::winograd::split;
use super::{Direct, Panel, Sizes};

impl Direct {
    /// `[panel][tap][input][output]`
    #[expect(unsafe_code, reason = "threads write disjoint parts of the weights")]
    pub(super) fn pack_outputs(
        &mut self,
        lanes: usize,
        stride: usize,
        sizes: Sizes,
        weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
    ) {
        let [rows, columns] = self.taps;
        let per_group = sizes.outputs / sizes.groups;
        let mut total = 0;
        for group in 0..sizes.groups {
            let first = group * per_group;
            // The last group writes the padding lanes of the pixel too.
            let last = if group + 1 == sizes.groups {
                stride
            } else {
                first + per_group
            };
            let vectors = (last - first).div_ceil(lanes);
            for part in split(vectors, simd::max_vectors(self.kernel)) {
                let output = first + part.start * lanes;
                self.panels.push(Panel {
                    input: group * self.depth,
                    output,
                    lanes: (last - output).min(part.len() * lanes),
                    vectors: part.len(),
                    weights: total,
                });
                total += rows * columns * self.depth * part.len() * lanes;
            }
        }
        self.weights = Aligned::zeros(total);
        let packed = Packed::new(&mut self.weights);
        let all: Vec<_> = self
            .panels
            .iter()
            .flat_map(|panel| (0..self.depth).map(move |input| (panel, input)))
            .collect();
        all.into_par_iter()
            .with_min_len(16)
            .for_each(|(panel, input)| {
                let width = panel.vectors * lanes;
                let end = (panel.input / self.depth + 1) * per_group;
                let mut taps = vec![0.0; rows * columns * width];
                for (lane, output) in (panel.output..end).enumerate().take(width) {
                    for (tap, to) in taps.chunks_exact_mut(width).enumerate() {
                        to[lane] = weight(output, input, tap / columns, tap % columns);
                    }
                }
                for (tap, from) in taps.chunks_exact(width).enumerate() {
                    let place = panel.weights + (tap * self.depth + input) * width;
                    // SAFETY: it lies within the panel's weights, and each input's are written by one
                    // thread.
                    unsafe { packed.write(place, from) };
                }
            });
    }

    /// `[panel][tap][vector of inputs][output][lane]`
    pub(super) fn pack_inputs(
        &mut self,
        lanes: usize,
        outputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
    ) {
        let [rows, columns] = self.taps;
        let vectors = self.depth.div_ceil(lanes);
        let mut packed = vec![];
        for part in split(outputs, simd::max_vectors(self.kernel)) {
            self.panels.push(Panel {
                input: 0,
                output: part.start,
                lanes: part.len(),
                vectors: part.len(),
                weights: packed.len(),
            });
            for tap in 0..rows * columns {
                for input in (0..vectors * lanes).step_by(lanes) {
                    for output in part.clone() {
                        packed.extend((input..input + lanes).map(|input| {
                            if input < self.depth {
                                weight(output, input, tap / columns, tap % columns)
                            } else {
                                0.0
                            }
                        }));
                    }
                }
            }
        }
        self.weights = Aligned::zeros(packed.len());
        self.weights.as_mut_slice().copy_from_slice(&packed);
    }

    /// `[tap][channel]`
    pub(super) fn pack_depthwise(
        &mut self,
        lanes: usize,
        stride: usize,
        outputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
    ) {
        let [rows, columns] = self.taps;
        self.weights = Aligned::zeros(rows * columns * stride);
        let packed = self.weights.as_mut_slice();
        for (tap, to) in packed.chunks_exact_mut(stride).enumerate() {
            for (channel, to) in to.iter_mut().enumerate().take(outputs) {
                *to = weight(channel, 0, tap / columns, tap % columns);
            }
        }
        for channel in (0..stride).step_by(lanes) {
            self.panels.push(Panel {
                input: channel,
                output: channel,
                lanes,
                vectors: 1,
                weights: channel,
            });
        }
    }
}
