//! Weights of direct convolutions, packed in the order in which kernels read them.

use std::borrow::Cow;

use rayon::prelude::*;

use super::super::super::planes::transpose;
use super::super::memory::{Aligned, Packed};
use super::super::simd;
use super::super::winograd::split;
use super::{Direct, Panel, Sizes};

/// Weights as they are given, in whatever order.
pub(in super::super) struct Weights<'a> {
    pub(in super::super) values: &'a [f32],
    /// From group to group, and within a group from output to output and from input to input.
    pub(in super::super) group: usize,
    pub(in super::super) output: usize,
    pub(in super::super) input: usize,
    /// Where each tap is.
    pub(in super::super) taps: Vec<usize>,
}

impl Weights<'_> {
    /// Those of an output and an input of its group.
    fn start(&self, output: usize, outputs_of_group: usize, input: usize) -> usize {
        let (group, output) = (output / outputs_of_group, output % outputs_of_group);
        group * self.group + output * self.output + input * self.input
    }

    /// All of one group as `[output][input][tap]`.
    pub(in super::super) fn sorted(&self, [inputs, outputs]: [usize; 2]) -> Cow<'_, [f32]> {
        let taps = self.taps.len();
        let sorted = self.in_order() && self.input == taps && self.output == inputs * taps;
        if sorted && self.values.len() == outputs * inputs * taps {
            return Cow::Borrowed(self.values);
        }
        let starts = (0..outputs).flat_map(|output| {
            (0..inputs).map(move |input| output * self.output + input * self.input)
        });
        starts
            .flat_map(|start| self.taps.iter().map(move |tap| self.values[start + tap]))
            .collect()
    }

    fn in_order(&self) -> bool {
        self.taps.iter().enumerate().all(|(tap, at)| tap == *at)
    }

    /// How many taps from the first on follow each other in memory, in whole fours.
    fn in_line(&self) -> usize {
        let line = self.taps.iter().enumerate();
        let first = self.taps.first().copied().unwrap_or(0);
        line.take_while(|(tap, at)| **at == first + tap).count() / 4 * 4
    }

    /// Writes the taps of some outputs of a group, `width` floats from tap to tap.
    #[expect(unsafe_code, reason = "vector loads and stores")]
    fn write(&self, start: usize, outputs: usize, to: &mut [f32], width: usize) {
        let fours = outputs / 4 * 4;
        let line = if fours == 0 { 0 } else { self.in_line() };
        if line > 0 {
            let last = start + (outputs - 1) * self.output + self.taps[line - 1];
            assert!(
                last < self.values.len() && (line - 1) * width + fours <= to.len(),
                "taps lie within their memory"
            );
            for output in (0..fours).step_by(4) {
                for tap in (0..line).step_by(4) {
                    let from = start + output * self.output + self.taps[tap];
                    // SAFETY: four taps of four outputs, the last of which lie within both.
                    unsafe {
                        transpose(
                            self.values.as_ptr().add(from),
                            self.output,
                            to.as_mut_ptr().add(tap * width + output),
                            width,
                        );
                    }
                }
            }
        }
        for (tap, at) in self.taps.iter().enumerate() {
            let done = if tap < line { fours } else { 0 };
            let to = &mut to[tap * width..][done..outputs];
            let from = self.values[start + at..].iter().step_by(self.output.max(1));
            for (to, from) in to.iter_mut().zip(from.skip(done)) {
                *to = *from;
            }
        }
    }
}

impl Direct {
    /// `[panel][tap][input][output]`
    #[expect(unsafe_code, reason = "threads write disjoint parts of the weights")]
    pub(super) fn pack_outputs(
        &mut self,
        lanes: usize,
        stride: usize,
        sizes: Sizes,
        weights: &Weights<'_>,
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
        self.weights = Aligned::unwritten(total);
        let packed = Packed::new(&mut self.weights);
        let all: Vec<_> = self
            .panels
            .iter()
            .flat_map(|panel| (0..self.depth).map(move |input| (panel, input)))
            .collect();
        all.into_par_iter()
            .with_min_len(16)
            .for_each_init(Vec::new, |taps, (panel, input)| {
                let width = panel.vectors * lanes;
                taps.resize(rows * columns * width, 0.0);
                let end = (panel.input / self.depth + 1) * per_group;
                let outputs = end.saturating_sub(panel.output).min(width);
                if outputs < width {
                    taps.fill(0.0);
                }
                if outputs > 0 {
                    let start = weights.start(panel.output, per_group, input);
                    weights.write(start, outputs, taps, width);
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
    pub(super) fn pack_inputs(&mut self, lanes: usize, outputs: usize, weights: &Weights<'_>) {
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
                                weights.values
                                    [weights.start(output, outputs, input) + weights.taps[tap]]
                            } else {
                                0.0
                            }
                        }));
                    }
                }
            }
        }
        self.weights = Aligned::unwritten(packed.len());
        self.weights.as_mut_slice().copy_from_slice(&packed);
    }

    /// `[tap][channel]`
    pub(super) fn pack_depthwise(
        &mut self,
        lanes: usize,
        stride: usize,
        outputs: usize,
        weights: &Weights<'_>,
    ) {
        let [rows, columns] = self.taps;
        self.weights = Aligned::zeros(rows * columns * stride);
        let packed = self.weights.as_mut_slice();
        for (tap, to) in packed.chunks_exact_mut(stride).enumerate() {
            for (channel, to) in to.iter_mut().enumerate().take(outputs) {
                *to = weights.values[weights.start(channel, 1, 0) + weights.taps[tap]];
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
