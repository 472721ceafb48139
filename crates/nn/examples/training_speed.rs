//! Times training steps on CPU tensors: the layers of DCGAN for 64 × 64, a whole DCGAN step and an
//! SRVGG step, 16 pictures each:
//! `cargo run --release -p fonds-nn --example training_speed -- [NAME …]`.
//!
//! Prints wall and CPU time of an iteration, the best of five rounds. The same steps in PyTorch are
//! timed by `tools/bench_training.py` as `srvgg_step` and `dcgan_step`.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]

use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use fonds_core::Result;
use fonds_nn::Act;
use fonds_nn::error::TensorResult;
use fonds_nn::layers::{
    Activation, BatchNorm2d, BatchNormMode, Conv2d, ConvConfig, ConvNorm, ConvTranspose2d,
    ConvTransposeConfig, ConvTransposeNorm, Norm,
};

/// Pictures of a batch.
const PICTURES: usize = 16;

type Step = Box<dyn FnMut() -> Result<()>>;

/// A name, and what makes the step.
type Case = (String, Box<dyn Fn() -> Result<Step>>);

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for (name, make) in cases() {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            time(&name, make()?)?;
        }
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![
        ("srvgg_step".to_owned(), Box::new(srvgg)),
        ("dcgan_step".to_owned(), Box::new(dcgan)),
    ];
    for (inner, outer, side) in [(512, 256, 4), (256, 128, 8), (128, 64, 16), (64, 3, 32)] {
        cases.push((
            format!("transposed {inner} {outer} {side}"),
            Box::new(move || {
                let config = transposed(2, 1);
                layer(inner, side, |vb| {
                    let conv = ConvTranspose2d::new(inner, outer, 4, config, vb)?;
                    Ok(Box::new(move |x| conv.forward(x)))
                })
            }),
        ));
    }
    for (inner, outer, side) in [(3, 64, 64), (64, 128, 32), (128, 256, 16), (256, 512, 8)] {
        cases.push((
            format!("strided {inner} {outer} {side}"),
            Box::new(move || {
                layer(inner, side, |vb| {
                    let conv = Conv2d::new(inner, outer, 4, strided(2, 1), vb)?;
                    Ok(Box::new(move |x| conv.forward(x)))
                })
            }),
        ));
    }
    cases.push((
        "first 100 512 1".to_owned(),
        Box::new(|| {
            layer(100, 1, |vb| {
                let conv = ConvTranspose2d::new(100, 512, 4, transposed(1, 0), vb)?;
                Ok(Box::new(move |x| conv.forward(x)))
            })
        }),
    ));
    cases.push((
        "last 512 1 4".to_owned(),
        Box::new(|| {
            layer(512, 4, |vb| {
                let conv = Conv2d::new(512, 1, 4, strided(1, 0), vb)?;
                Ok(Box::new(move |x| conv.forward(x)))
            })
        }),
    ));
    cases.push((
        "same 32 32 32".to_owned(),
        Box::new(|| {
            layer(32, 32, |vb| {
                let conv = Conv2d::new(32, 32, 3, ConvConfig::same(3), vb)?;
                Ok(Box::new(move |x| conv.forward(x)))
            })
        }),
    ));
    cases.push((
        "norm 64 32".to_owned(),
        Box::new(|| {
            layer(64, 32, |vb| {
                let norm = norm(64, vb)?;
                Ok(Box::new(move |x| {
                    norm.forward(x, &Activation::LeakyRelu(0.2))
                }))
            })
        }),
    ));
    cases
}

fn transposed(stride: usize, padding: usize) -> ConvTransposeConfig {
    ConvTransposeConfig {
        stride,
        padding,
        output_padding: 0,
        bias: false,
    }
}

fn strided(stride: usize, padding: usize) -> ConvConfig {
    ConvConfig::valid()
        .stride(stride)
        .padding(padding)
        .bias(false)
}

fn norm(channels: usize, vb: VarBuilder<'_>) -> Result<Norm> {
    let norm = BatchNorm2d::new(channels, 1e-5, BatchNormMode::Batch, vb)?;
    Ok(Norm::Batch(norm))
}

type Forward = Box<dyn Fn(&Act) -> Result<Act>>;

/// Forward and backward of one layer, to its input and to its weights.
fn layer(
    channels: usize,
    side: usize,
    make: impl Fn(VarBuilder<'_>) -> Result<Forward>,
) -> Result<Step> {
    let variables = VarMap::new();
    let forward = make(VarBuilder::from_varmap(
        &variables,
        DType::F32,
        &Device::Cpu,
    ))?;
    let x = normal((PICTURES, channels, side, side))?;
    let x = Var::from_tensor(&x).in_network()?;
    Ok(Box::new(move || {
        let y = forward(&Act::from_tensor(x.as_tensor().clone())?)?.to_tensor()?;
        y.sum_all()
            .and_then(|loss| loss.backward())
            .in_network()
            .map(drop)
    }))
}

fn normal(shape: (usize, usize, usize, usize)) -> Result<Tensor> {
    Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu).in_network()
}

/// Forward, L1 and backward of `SRVGGNetCompact`, 32 features, 16 convolutions, ×4, on 32 × 32.
fn srvgg() -> Result<Step> {
    const FEATURES: usize = 32;
    let variables = VarMap::new();
    let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let mut body = Vec::new();
    for index in 0..=16 {
        let inner = if index == 0 { 3 } else { FEATURES };
        let conv = Conv2d::new(inner, FEATURES, 3, ConvConfig::same(3), vb.pp(2 * index))?;
        body.push(conv.with_activation(Activation::prelu(FEATURES, &vb.pp(2 * index + 1))?));
    }
    body.push(Conv2d::new(
        FEATURES,
        48,
        3,
        ConvConfig::same(3),
        vb.pp(34),
    )?);
    let random = |side| Tensor::rand(0_f32, 1.0, (PICTURES, 3, side, side), &Device::Cpu);
    let (low, high) = (random(32).in_network()?, random(128).in_network()?);
    Ok(Box::new(move || {
        let low = Act::from_tensor(low.clone())?;
        let mut y = low.clone();
        for conv in &body {
            y = conv.forward(&y)?;
        }
        let made = y
            .pixel_shuffle(4)?
            .add(&low.upsample_nearest(4)?)?
            .to_tensor()?;
        let loss = made
            .sub(&high)
            .and_then(|difference| difference.abs())
            .and_then(|difference| difference.mean_all());
        let gradients = loss.and_then(|loss| loss.backward()).in_network()?;
        let count = variables
            .all_vars()
            .iter()
            .filter(|variable| gradients.get(variable).is_some())
            .count();
        assert_eq!(count, 17 * 3 + 2, "all weights have gradients");
        Ok(())
    }))
}

struct Chain(Vec<Forward>);

impl Chain {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = Act::from_tensor(x.clone())?;
        for layer in &self.0 {
            x = layer(&x)?;
        }
        x.to_tensor()
    }
}

/// Radford et al. 2016 with 64 features.
fn dcgan_networks(vb: &VarBuilder<'_>) -> Result<[Chain; 2]> {
    let wide = [512, 256, 128, 64];
    let vg = vb.pp("generator");
    let mut layers: Vec<Forward> = Vec::new();
    for (index, outer) in wide.into_iter().enumerate() {
        let (inner, config) = match index {
            0 => (100, transposed(1, 0)),
            _ => (wide[index - 1], transposed(2, 1)),
        };
        let conv = ConvTranspose2d::new(inner, outer, 4, config, vg.pp(index))?;
        let norm = norm(outer, vg.pp(format!("norm{index}")))?;
        let block = ConvTransposeNorm::new(conv, norm, Activation::Relu);
        layers.push(Box::new(move |x| block.forward(x)));
    }
    let last = ConvTranspose2d::new(64, 3, 4, transposed(2, 1), vg.pp(4))?;
    let last = last.with_activation(Activation::Tanh);
    layers.push(Box::new(move |x| last.forward(x)));
    let generator = Chain(layers);

    let vd = vb.pp("discriminator");
    let leaky = Activation::LeakyRelu(0.2);
    let mut layers: Vec<Forward> = Vec::new();
    let first = Conv2d::new(3, 64, 4, strided(2, 1), vd.pp("0"))?.with_activation(leaky.clone());
    layers.push(Box::new(move |x| first.forward(x)));
    for (index, outer) in [128, 256, 512].into_iter().enumerate() {
        let conv = Conv2d::new(outer / 2, outer, 4, strided(2, 1), vd.pp(index + 1))?;
        let norm = norm(outer, vd.pp(format!("norm{index}")))?;
        let block = ConvNorm::new(conv, norm, leaky.clone());
        layers.push(Box::new(move |x| block.forward(x)));
    }
    let last = Conv2d::new(512, 1, 4, strided(1, 0), vd.pp("4"))?;
    layers.push(Box::new(move |x| last.forward(x)));
    Ok([generator, Chain(layers)])
}

/// The discriminator's loss on real and on fake, backward; the generator's through it, backward.
fn dcgan() -> Result<Step> {
    let variables = VarMap::new();
    let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let [generator, discriminator] = dcgan_networks(&vb)?;
    let real = normal((PICTURES, 3, 64, 64))?;
    let z = normal((PICTURES, 100, 1, 1))?;
    let loss = |x: &Tensor, target: f32| {
        let target = Tensor::full(target, x.dims(), &Device::Cpu)?;
        candle_nn::loss::binary_cross_entropy_with_logit(x, &target)
    };
    Ok(Box::new(move || {
        let fake = generator.forward(&z)?;
        let on_real = loss(&discriminator.forward(&real)?, 1.0).in_network()?;
        let on_fake = loss(&discriminator.forward(&fake.detach())?, 0.0).in_network()?;
        let sum = (on_real + on_fake).in_network()?;
        sum.backward().in_network()?;
        let loss = loss(&discriminator.forward(&fake)?, 1.0).in_network()?;
        loss.backward().in_network()?;
        debug_assert!(!variables.all_vars().is_empty());
        Ok(())
    }))
}

/// Seconds of all threads of this process, user and system, in steps of 10 ms.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

fn time(name: &str, mut step: Step) -> Result<()> {
    for _ in 0..3 {
        step()?;
    }
    let (mut wall, mut cpu) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..5 {
        let (start, used) = (Instant::now(), cpu_seconds());
        let mut count = 0.0;
        while start.elapsed().as_secs_f64() < 0.5 {
            step()?;
            count += 1.0;
        }
        wall = wall.min(start.elapsed().as_secs_f64() / count);
        cpu = cpu.min((cpu_seconds() - used) / count);
    }
    println!(
        "{name:24} wall {:8.2} ms  CPU {:8.2} ms",
        wall * 1e3,
        cpu * 1e3
    );
    Ok(())
}
