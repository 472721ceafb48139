//! What the tests of the operations share: activations with rubbish in their unused lanes, a table
//! of sizes, and the comparison with a slow version.

use std::sync::Arc;

use super::super::buffer::{Buffer, Shape};
use super::super::{Engine, Kernel};

/// The engine of the tests; the operations do not depend on the kernel.
pub(super) fn engine() -> Arc<Engine> {
    Engine::new(Kernel::Portable)
}

/// Two pictures each: one to several blocks of channels with and without unused lanes, odd sizes.
pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for channels in [1, 3, 4, 5, 16, 17, 33, 64] {
        for (height, width) in [(1, 1), (4, 8), (7, 5), (13, 18)] {
            shapes.push(Shape {
                batch: 2,
                height,
                width,
                channels,
            });
        }
    }
    shapes
}

/// Values between -1 and 1 that look random, with large numbers in the unused lanes.
pub(super) fn filled(shape: Shape, seed: u32) -> Buffer {
    let mut buffer = engine().buffer(shape).unwrap();
    let stride = shape.pixel_stride();
    buffer.fill_rows(|picture, y, row| {
        for (index, lane) in row.iter_mut().enumerate() {
            let (x, channel) = (index / stride, index % stride);
            *lane = if channel < shape.channels {
                noise([seed, picture as u32, y as u32, x as u32, channel as u32])
            } else {
                3e30
            };
        }
    });
    buffer.freeze()
}

fn noise(key: [u32; 5]) -> f32 {
    let mut hash = 0x9e37_79b9_u32;
    for part in key {
        hash = (hash ^ part).wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        hash ^= hash >> 16;
    }
    (f64::from(hash) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
}

/// One value.
pub(super) fn value(buffer: &Buffer, n: usize, y: usize, x: usize, c: usize) -> f64 {
    f64::from(buffer.pixel(n, y, x)[c])
}

/// Fails unless the result has the shape and, within 2e-6, the values; its border and its unused
/// lanes must be zero.
pub(super) fn expect(
    what: &str,
    result: &Buffer,
    shape: Shape,
    slow: impl Fn(usize, usize, usize, usize) -> f64,
) {
    expect_within(2e-6, what, result, shape, slow);
}

/// As [`expect`], within a share of the larger of the value and 1.
pub(super) fn expect_within(
    tolerance: f64,
    what: &str,
    result: &Buffer,
    shape: Shape,
    slow: impl Fn(usize, usize, usize, usize) -> f64,
) {
    assert_eq!(result.shape(), shape, "{what}");
    let mut inside = vec![false; result.as_slice().len()];
    for n in 0..shape.batch {
        for y in 0..shape.height {
            for x in 0..shape.width {
                for c in 0..shape.channels {
                    let (found, expected) = (value(result, n, y, x, c), slow(n, y, x, c));
                    let error = (found - expected).abs() / expected.abs().max(1.0);
                    assert!(
                        error <= tolerance,
                        "{what}, {shape}, picture {n}, row {y}, column {x}, channel {c}: \
                         {found} instead of {expected}"
                    );
                    inside[shape.offset(n, y, x) + c] = true;
                }
            }
        }
    }
    for (index, value) in result.as_slice().iter().enumerate() {
        assert!(
            inside[index] || *value == 0.0,
            "{what}, {shape}: {value} outside the values, at {index}"
        );
    }
}

/// Fails unless the operation gives the same bits on one, two and five threads.
pub(super) fn expect_thread_independence<T: PartialEq + Send>(
    what: &str,
    run: impl Fn() -> T + Sync,
) {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(&run)
    };
    let one = on(1);
    for threads in [2, 5] {
        assert!(
            on(threads) == one,
            "{what} depends on the number of threads"
        );
    }
}
