//! How fast the operations between convolutions are, as bytes of activations read and written in a
//! second: `cargo bench -p fonds-nn --bench ops`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fonds_nn::engine::{
    Activation, Buffer, Engine, Kernel, Levels, Normalization, PadMode, Padding, Pixels, Shape,
    Window,
};

fn buffer(engine: &Engine, shape: Shape) -> Buffer {
    let values: Vec<f32> = (0..shape.elements())
        .map(|i| (i * 2_654_435_761 % 1_000_003) as f32 / 500_000.0 - 1.0)
        .collect();
    engine
        .import(shape, &values)
        .expect("there is memory for a bench")
}

fn operations(criterion: &mut Criterion) {
    let engine = Engine::new(Kernel::detect());
    for (side, channels) in [(512, 64), (1024, 3), (256, 48)] {
        let shape = Shape {
            batch: 1,
            height: side,
            width: side,
            channels,
        };
        let input = buffer(&engine, shape);
        let planes = engine.export(&input);
        let mut group = criterion.benchmark_group(format!("{side}x{side}x{channels}"));
        group.sample_size(10);
        group.throughput(Throughput::Bytes(shape.elements() as u64 * 8));
        group.bench_function("import", |b| {
            b.iter(|| engine.import(shape, black_box(&planes)));
        });
        let mut out = planes.clone();
        group.bench_function("export", |b| {
            b.iter(|| engine.export_into(&input, &mut out));
        });
        group.bench_function("add", |b| {
            b.iter(|| engine.add(&input, &input));
        });
        let tanh = Activation::Tanh;
        group.bench_function("tanh", |b| {
            b.iter(|| engine.activate(&input, &tanh));
        });
        let slopes = Activation::PRelu(vec![0.2; channels]);
        group.bench_function("prelu", |b| {
            b.iter(|| engine.activate(&input, &slopes));
        });
        group.bench_function("channel_sums", |b| {
            b.iter(|| engine.channel_sums(&input));
        });
        let how = Normalization::default();
        group.bench_function("instance_norm", |b| {
            b.iter(|| engine.instance_norm(&input, &how));
        });
        group.bench_function("concatenate", |b| {
            b.iter(|| engine.concatenate(&[&input, &input]));
        });
        group.bench_function("reflect", |b| {
            b.iter(|| engine.pad(&input, Padding::all(3), PadMode::Reflection));
        });
        let window = Window::square(2);
        group.bench_function("max_pool", |b| {
            b.iter(|| engine.max_pool(&input, &window));
        });
        if channels % 16 == 0 {
            group.bench_function("pixel_shuffle", |b| {
                b.iter(|| engine.pixel_shuffle(&input, 4));
            });
        }
        group.bench_function("bilinear_half", |b| {
            b.iter(|| engine.resize_bilinear(&input, side / 2, side / 2, false));
        });
        group.bench_function("gram", |b| {
            b.iter(|| engine.gram_matrix(&input, true));
        });
        let samples = vec![100_u8; shape.elements()];
        let picture = Pixels {
            samples: &samples,
            pitch: side * channels,
            channels,
        };
        let levels = Levels {
            scale: &[1.0 / 255.0],
            offset: &[0.0],
        };
        group.bench_function("import_pixels", |b| {
            b.iter(|| engine.import_pixels(shape, &[picture], levels));
        });
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
