//! What a network does to coordinates: its forward is run once on traced activations, and from what
//! it did follow the receptive field, the scale, the sizes that it takes, its work and its memory.
//!
//! Nothing is computed. Each layer notes which pixels of its inputs a pixel of its output reads;
//! going backwards from a range of output pixels gives the range of input pixels that they depend
//! on. That is exact for whatever the network is built of, and cannot fall behind its code.

use std::sync::{Arc, Mutex, PoisonError};

use fonds_core::Result;

use crate::act::{Act, Dims};

/// Which pixels of an input one output pixel reads, along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The pixel at the same place.
    Same,
    /// `kernel` pixels, `dilation` apart, from `stride · j − before` on; `blocked` when the engine
    /// computes it in blocks of 4 × 4 that share their input (Winograd).
    Window {
        kernel: usize,
        stride: usize,
        before: usize,
        dilation: usize,
        blocked: bool,
    },
    /// Transposed convolution: all `i` with `j = i · stride − before + t`, `0 ≤ t < kernel`.
    Transposed {
        kernel: usize,
        stride: usize,
        before: usize,
    },
    /// Each input pixel becomes `factor` output pixels (nearest enlargement, pixel shuffle).
    Expand(usize),
    /// `factor` input pixels become one (pixel unshuffle).
    Shrink(usize),
    /// Interpolation to `factor` times the size with `taps` neighbours on each side.
    Interpolate { factor: usize, taps: usize },
    /// The pixel `before` places earlier (padding).
    Shift { before: isize },
}

#[derive(Debug)]
struct Node {
    inputs: Vec<usize>,
    /// Rows and columns.
    reads: [Reads; 2],
    dims: Dims,
    /// Whether every pixel depends on the whole picture (statistics over it).
    global: bool,
    operations: u64,
}

/// The record of one traced forward.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Mutex<Vec<Node>>,
}

/// A traced activation: a node of the graph.
#[derive(Debug, Clone)]
pub(crate) struct Traced {
    graph: Arc<Graph>,
    node: usize,
    dims: Dims,
}

impl Traced {
    pub(crate) fn dims(&self) -> Dims {
        self.dims
    }

    /// A further node that reads this one.
    pub(crate) fn then(&self, dims: Dims, reads: [Reads; 2]) -> Self {
        self.add(&[self], dims, reads, false, 0)
    }

    /// A further node that does this many multiplications and additions.
    pub(crate) fn work(&self, dims: Dims, reads: [Reads; 2], operations: u64) -> Self {
        self.add(&[self], dims, reads, false, operations)
    }

    /// A further node of the same size that reads the pixel at the same place of all inputs.
    pub(crate) fn join(&self, others: &[&Self], channels: usize) -> Self {
        let dims = Dims {
            channels,
            ..self.dims
        };
        let mut inputs = vec![self];
        inputs.extend(others);
        self.add(&inputs, dims, [Reads::Same; 2], false, 0)
    }

    /// A further node that depends on the whole picture.
    pub(crate) fn whole(&self) -> Self {
        self.add(&[self], self.dims, [Reads::Same; 2], true, 0)
    }

    fn add(
        &self,
        inputs: &[&Self],
        dims: Dims,
        reads: [Reads; 2],
        global: bool,
        operations: u64,
    ) -> Self {
        let node = Node {
            inputs: inputs.iter().map(|input| input.node).collect(),
            reads,
            dims,
            global,
            operations,
        };
        Self {
            graph: Arc::clone(&self.graph),
            node: self.graph.push(node),
            dims,
        }
    }
}

impl Graph {
    fn push(&self, node: Node) -> usize {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.push(node);
        nodes.len() - 1
    }
}

/// What the trace of a network's forward shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Output pixels for one input pixel, along each side: `scale.0 / scale.1`.
    pub scale: (usize, usize),
    /// Input pixels beyond a tile that its output depends on; `None` when it depends on the whole
    /// picture.
    pub halo: Option<usize>,
    /// The same, counted in the blocks of 4 × 4 pixels in which the CPU engine computes: with it,
    /// tiles equal the whole picture to the bit.
    pub block_halo: Option<usize>,
    /// Sides of the input must be a multiple of this, and tiles must begin at one.
    pub multiple_of: usize,
    /// Channels that come out.
    pub out_channels: usize,
    /// Multiplications and additions for one input pixel.
    pub operations_per_pixel: f64,
    /// Bytes of all activations that live at once, for one input pixel, at four bytes a value.
    pub bytes_per_pixel: f64,
}

/// The side of the traced picture: a multiple of every stride in use.
const SIDE: usize = 1 << 14;

/// Traces a forward pass for a picture of `channels` channels.
///
/// # Errors
/// Those of the forward itself: a layer that does not fit the one before it.
pub fn trace(channels: usize, forward: impl FnOnce(&Act) -> Result<Act>) -> Result<Geometry> {
    let dims = Dims {
        batch: 1,
        channels,
        height: SIDE,
        width: SIDE,
    };
    let graph = Arc::new(Graph::default());
    let first = Node {
        inputs: Vec::new(),
        reads: [Reads::Same; 2],
        dims,
        global: false,
        operations: 0,
    };
    let node = graph.push(first);
    let input = Traced {
        graph: Arc::clone(&graph),
        node,
        dims,
    };
    let output = forward(&Act::from_trace(input))?;
    let Some(output) = output.as_trace() else {
        unreachable!("a traced activation leads to traced activations")
    };
    let nodes = graph.nodes.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(geometry(&nodes, output))
}

fn geometry(nodes: &[Node], output: &Traced) -> Geometry {
    let used = used(nodes, output.node);
    let global = used.iter().any(|&index| nodes[index].global);
    let rates = rates(nodes);
    let multiple_of = used
        .iter()
        .map(|&index| rates[index].1)
        .fold(1, |all, one| all / gcd(all, one) * one);
    let scale = rates[output.node];
    let halo = |blocked| (!global).then(|| halo(nodes, output, scale, multiple_of, blocked));
    let pixels = (SIDE * SIDE) as f64;
    let operations: u64 = used.iter().map(|&index| nodes[index].operations).sum();
    Geometry {
        scale,
        halo: halo(false),
        block_halo: halo(true),
        multiple_of,
        out_channels: output.dims.channels,
        operations_per_pixel: operations as f64 / pixels,
        bytes_per_pixel: peak_bytes(nodes, output.node) / pixels,
    }
}

/// Pixels of each node for one pixel of the input, along each side, as a reduced fraction. Padding
/// and what kernels use up at the edges does not count.
fn rates(nodes: &[Node]) -> Vec<(usize, usize)> {
    let mut rates: Vec<(usize, usize)> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let (up, down) = node.inputs.first().map_or((1, 1), |&input| rates[input]);
        let (up, down) = match node.reads[0] {
            Reads::Window { stride, .. } => (up, down * stride),
            Reads::Shrink(factor) => (up, down * factor),
            Reads::Transposed { stride, .. } => (up * stride, down),
            Reads::Expand(factor) | Reads::Interpolate { factor, .. } => (up * factor, down),
            Reads::Same | Reads::Shift { .. } => (up, down),
        };
        let common = gcd(up, down);
        rates.push((up / common, down / common));
    }
    rates
}

/// The nodes that the output depends on, in the order of their making.
fn used(nodes: &[Node], output: usize) -> Vec<usize> {
    let mut wanted = vec![false; nodes.len()];
    wanted[output] = true;
    for index in (0..=output).rev() {
        if wanted[index] {
            for &input in &nodes[index].inputs {
                wanted[input] = true;
            }
        }
    }
    (0..=output).filter(|&index| wanted[index]).collect()
}

/// How far beyond a tile in the middle of the picture the pixels lie that its output depends on.
fn halo(
    nodes: &[Node],
    output: &Traced,
    (up, down): (usize, usize),
    multiple_of: usize,
    blocked: bool,
) -> usize {
    let step = if blocked {
        4 * multiple_of
    } else {
        multiple_of
    };
    let from = (SIDE / 2) / step * step;
    // The longest tile that the halo is asked for; more changes nothing.
    let to = from + step * 4;
    let mut farthest = 0;
    for axis in 0..2 {
        let mut ranges: Vec<Option<(isize, isize)>> = vec![None; nodes.len()];
        let scaled = |at: usize| (at * up / down) as isize;
        ranges[output.node] = Some((scaled(from), scaled(to)));
        for index in (0..=output.node).rev() {
            let Some(range) = ranges[index] else { continue };
            let read = read(nodes[index].reads[axis], range, blocked);
            for &input in &nodes[index].inputs {
                let joined = match ranges[input] {
                    Some((start, end)) => (start.min(read.0), end.max(read.1)),
                    None => read,
                };
                ranges[input] = Some(joined);
            }
        }
        if let Some((start, end)) = ranges[0] {
            let before = (from as isize - start).max(0);
            let after = (end - to as isize).max(0);
            farthest = farthest.max(before.max(after) as usize);
        }
    }
    farthest
}

/// The range of input pixels that a range of output pixels reads.
fn read(reads: Reads, (start, end): (isize, isize), blocked: bool) -> (isize, isize) {
    let last = end - 1;
    match reads {
        Reads::Same => (start, end),
        Reads::Window {
            kernel,
            stride,
            before,
            dilation,
            blocked: in_blocks,
        } => {
            let (start, last) = if blocked && in_blocks {
                (start.div_euclid(4) * 4, last.div_euclid(4) * 4 + 3)
            } else {
                (start, last)
            };
            let [stride, before] = [stride as isize, before as isize];
            let span = ((kernel - 1) * dilation) as isize;
            (start * stride - before, last * stride - before + span + 1)
        }
        Reads::Transposed {
            kernel,
            stride,
            before,
        } => {
            let [kernel, stride, before] = [kernel as isize, stride as isize, before as isize];
            // i ≥ (j + before − kernel + 1) / stride, rounded up.
            let first = -(kernel - 1 - before - start).div_euclid(stride);
            (first, (last + before).div_euclid(stride) + 1)
        }
        Reads::Expand(factor) => {
            let factor = factor as isize;
            (start.div_euclid(factor), last.div_euclid(factor) + 1)
        }
        Reads::Shrink(factor) => (start * factor as isize, end * factor as isize),
        Reads::Interpolate { factor, taps } => {
            let [factor, taps] = [factor as isize, taps as isize];
            (
                start.div_euclid(factor) - taps,
                last.div_euclid(factor) + 1 + taps,
            )
        }
        Reads::Shift { before } => (start - before, end - before),
    }
}

/// The most bytes that are alive at once, when each activation is freed after its last reader.
fn peak_bytes(nodes: &[Node], output: usize) -> f64 {
    let mut last_reader: Vec<usize> = (0..nodes.len()).collect();
    for (index, node) in nodes.iter().enumerate().take(output + 1) {
        for &input in &node.inputs {
            last_reader[input] = index;
        }
    }
    let bytes = |node: &Node| {
        let Dims {
            channels,
            height,
            width,
            ..
        } = node.dims;
        let channels = if channels <= 4 {
            4
        } else {
            channels.next_multiple_of(16)
        };
        4.0 * (channels * height * width) as f64
    };
    let mut alive = 0.0;
    let mut peak: f64 = 0.0;
    for (index, node) in nodes.iter().enumerate().take(output + 1) {
        alive += bytes(node);
        peak = peak.max(alive);
        let mut inputs = node.inputs.clone();
        inputs.sort_unstable();
        inputs.dedup();
        for input in inputs {
            if last_reader[input] == index {
                alive -= bytes(&nodes[input]);
            }
        }
    }
    peak
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{PadMode, Padding, Pool};

    #[test]
    fn padding_asks_for_no_multiples() {
        let geometry = trace(3, |x| {
            let y = x.pad(Padding::all(7), PadMode::Replication)?;
            let dims = y.dims();
            y.crop(3, 3, dims.height - 5, dims.width - 5)
        })
        .unwrap();
        assert_eq!((geometry.scale, geometry.multiple_of), ((1, 1), 1));
        // Seven pixels put before, three taken away: each pixel is the one four places earlier.
        assert_eq!(geometry.halo, Some(4));
    }

    #[test]
    fn every_halving_asks_for_an_even_side() {
        // Three times half the size, once twice: what is cut off at the edges changes nothing.
        let geometry = trace(1, |x| {
            let y = x.max_pool(Pool::HALVE)?.max_pool(Pool::HALVE)?;
            let y = y.pad(Padding::all(1), PadMode::Reflection)?;
            y.max_pool(Pool::HALVE)?.upsample_nearest(2)
        })
        .unwrap();
        assert_eq!((geometry.scale, geometry.multiple_of), ((1, 4), 8));
    }
}
