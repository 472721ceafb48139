//! Convolutions of the CPU engine, layer by layer: `cargo bench -p fonds-nn --bench conv`.
//!
//! Throughput is effective floating-point operations, two for each product of a direct
//! convolution, whatever the algorithm. `RAYON_NUM_THREADS=1` measures one thread,
//! `FONDS_BENCH_KERNEL=avx2` another kernel path.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fonds_nn::engine::{
    Algorithm, Buffer, Conv2d, ConvShape, ConvTranspose2d, Engine, Epilogue, Kernel, Precision,
    Shape, TransposeShape, conv2d_input_gradient, conv2d_weight_gradient,
};

fn kernel() -> Kernel {
    std::env::var("FONDS_BENCH_KERNEL").map_or_else(
        |_| Kernel::detect(),
        |name| Kernel::from_name(&name).expect("the processor has the kernel"),
    )
}

/// Numbers between −1 and 1 without a pattern that a cache or a predictor could learn.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / (u32::MAX as f32 / 2.0) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn picture(engine: &Engine, side: usize, channels: usize) -> Buffer {
    let shape = Shape {
        batch: 1,
        height: side,
        width: side,
        channels,
    };
    let values = noise(shape.elements());
    engine.import(shape, &values).expect("there is memory")
}

fn forward(criterion: &mut Criterion) {
    let same = ConvShape::same;
    let strided = |channels| ConvShape {
        stride: [2; 2],
        ..same(channels, channels, 3)
    };
    let layers = [
        ("64-64", same(64, 64, 3), 256),
        ("32-32", same(32, 32, 3), 256),
        ("64-48", same(64, 48, 3), 256),
        ("128-128", same(128, 128, 3), 128),
        ("256-256", same(256, 256, 3), 64),
        ("512-512", same(512, 512, 3), 8),
        ("64-64 stride 2", strided(64), 256),
        ("256-256 stride 2", strided(256), 64),
        ("3-64", same(3, 64, 3), 256),
        ("3-64 9x9", same(3, 64, 9), 256),
        ("64-3", same(64, 3, 3), 256),
        ("64-3 9x9", same(64, 3, 9), 256),
        ("256-256 1x1", same(256, 256, 1), 64),
        (
            "64 depthwise",
            ConvShape {
                groups: 64,
                ..same(64, 64, 3)
            },
            256,
        ),
    ];
    let engine = Engine::new(kernel());
    let mut group = criterion.benchmark_group("forward");
    group.sample_size(20);
    for (name, shape, side) in layers {
        let weight = noise(shape.weights());
        let conv = Conv2d::new(
            engine.kernel(),
            shape,
            &weight,
            None,
            Algorithm::Auto,
            Precision::F32,
        )
        .expect("the shape is one");
        let input = picture(&engine, side, shape.in_channels);
        group.throughput(Throughput::Elements(shape.flops(side, side)));
        group.bench_function(BenchmarkId::new(name, side), |b| {
            b.iter(|| conv.forward(&engine, &[&input], &Epilogue::default()));
        });
    }
    group.finish();
}

fn transposed(criterion: &mut Criterion) {
    let engine = Engine::new(kernel());
    let mut group = criterion.benchmark_group("transposed");
    group.sample_size(20);
    for (inputs, outputs, taps, side) in [(128, 64, 3, 128), (512, 256, 4, 16)] {
        let shape = TransposeShape {
            in_channels: inputs,
            out_channels: outputs,
            kernel: [taps; 2],
            stride: [2; 2],
            padding: [1; 2],
            output_padding: [4 - taps; 2],
            groups: 1,
        };
        let weight = noise(shape.weights());
        let conv = ConvTranspose2d::new(
            engine.kernel(),
            shape,
            &weight,
            None,
            Algorithm::Auto,
            Precision::F32,
        )
        .expect("the shape is one");
        let input = picture(&engine, side, inputs);
        let products = shape.weights() * side * side;
        group.throughput(Throughput::Elements(2 * products as u64));
        group.bench_function(format!("{inputs}-{outputs} {taps}x{taps}/{side}"), |b| {
            b.iter(|| conv.forward(&engine, &[&input], &Epilogue::default()));
        });
    }
    group.finish();
}

fn backward(criterion: &mut Criterion) {
    let engine = Engine::new(kernel());
    let mut group = criterion.benchmark_group("backward");
    group.sample_size(20);
    for (channels, side) in [(32, 128), (64, 128), (256, 32)] {
        let shape = ConvShape::same(channels, channels, 3);
        let weight = noise(shape.weights());
        let input = picture(&engine, side, channels);
        let gradient = picture(&engine, side, channels);
        group.throughput(Throughput::Elements(shape.flops(side, side)));
        group.bench_function(format!("input {channels}/{side}"), |b| {
            b.iter(|| conv2d_input_gradient(&engine, &shape, (side, side), &gradient, &weight));
        });
        group.bench_function(format!("weight {channels}/{side}"), |b| {
            b.iter(|| conv2d_weight_gradient(&engine, &shape, &input, &gradient));
        });
    }
    group.finish();
}

criterion_group!(benches, forward, transposed, backward);
criterion_main!(benches);
