//! A convolution forward and backward on CPU tensors, ours beside candle's own:
//! `cargo bench -p fonds-nn --bench gradient`.

use candle_core::{DType, Device, Result, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fonds_nn::engine::ConvShape;
use fonds_nn::gradient;

fn step(convolve: impl Fn(&Tensor, &Tensor) -> Result<Tensor>, x: &Var, w: &Var) -> Result<()> {
    convolve(x, w)?.sum_all()?.backward().map(drop)
}

fn training(criterion: &mut Criterion) {
    let variable = |dims: &[usize]| {
        let values = Tensor::randn(0.0_f32, 1.0, dims, &Device::Cpu);
        Var::from_tensor(&values.expect("there is memory")).expect("it is a tensor")
    };
    for (batch, channels, side, stride) in [(4, 64, 64, 1), (1, 64, 128, 1), (4, 64, 64, 2)] {
        let shape = ConvShape {
            stride: [stride; 2],
            ..ConvShape::same(channels, channels, 3)
        };
        let x = variable(&[batch, channels, side, side]);
        let w = variable(&[channels, channels, 3, 3]);
        debug_assert_eq!(x.dtype(), DType::F32);
        let mut group =
            criterion.benchmark_group(format!("{batch}x{channels}x{side}x{side}, stride {stride}"));
        group.sample_size(10);
        // Forward, input gradient and weight gradient have as many products each.
        let flops = shape.flops(side, side) * batch as u64 * 3;
        group.throughput(Throughput::Elements(flops));
        group.bench_function("forward, ours", |b| {
            b.iter(|| gradient::conv2d(&x, &w, &shape));
        });
        group.bench_function("forward, candle", |b| {
            b.iter(|| x.conv2d(&w, 1, stride, 1, 1));
        });
        group.bench_function("step, ours", |b| {
            b.iter(|| step(|x, w| gradient::conv2d(x, w, &shape), &x, &w));
        });
        group.bench_function("step, candle", |b| {
            b.iter(|| step(|x, w| x.conv2d(w, 1, stride, 1, 1), &x, &w));
        });
        group.finish();
    }
}

criterion_group!(benches, training);
criterion_main!(benches);
