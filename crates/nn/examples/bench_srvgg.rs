//! Times the convolutions of `SRVGGNetCompact` (3→64, 32 × 64→64, 64→48, `PReLU`) with random weights:
//! `cargo run --release -p fonds-nn --example bench_srvgg -- [--kernel avx2] [--size 256]
//! [--threads 2] [--bf16] [--direct]`.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]

use std::time::Instant;

use fonds_core::Result;
use fonds_nn::engine::{
    Activation, Algorithm, Buffer, Conv2d, ConvShape, Engine, Epilogue, Kernel, Precision, Shape,
};

struct Options {
    kernel: Kernel,
    size: usize,
    threads: Vec<usize>,
    algorithm: Algorithm,
    precision: Precision,
    rounds: usize,
}

fn options() -> Result<Options> {
    let mut options = Options {
        kernel: Kernel::detect(),
        size: 256,
        threads: vec![1, 2],
        algorithm: Algorithm::Auto,
        precision: Precision::F32,
        rounds: 5,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--size" => options.size = number().unwrap_or(256),
            "--rounds" => options.rounds = number().unwrap_or(5),
            "--threads" => options.threads = vec![number().unwrap_or(1)],
            "--kernel" => {
                options.kernel = Kernel::from_name(&arguments.next().unwrap_or_default())?;
            }
            "--bf16" => options.precision = Precision::Bf16,
            "--direct" => options.algorithm = Algorithm::Direct,
            other => println!("{other} is no option"),
        }
    }
    Ok(options)
}

/// Numbers between −1 and 1 that look random.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / (u32::MAX as f32 / 2.0) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

struct Network {
    layers: Vec<Conv2d>,
    prelu: Activation,
}

impl Network {
    fn new(options: &Options) -> Result<Self> {
        let sizes = std::iter::once((3, 64))
            .chain(std::iter::repeat_n((64, 64), 32))
            .chain(std::iter::once((64, 48)));
        let layer = |(index, (inputs, outputs)): (usize, (usize, usize))| {
            let shape = ConvShape::same(inputs, outputs, 3);
            // Keeps the values of all layers of one size.
            let spread = (3.0 / (inputs as f32 * 9.0)).sqrt() * 1.4;
            let weight: Vec<f32> = noise(shape.weights(), index as u32 + 1)
                .iter()
                .map(|value| value * spread)
                .collect();
            let bias = vec![0.01; outputs];
            Conv2d::new(
                options.kernel,
                shape,
                &weight,
                Some(&bias),
                options.algorithm,
                options.precision,
            )
        };
        let layers = sizes.enumerate().map(layer).collect::<Result<_>>()?;
        Ok(Self {
            layers,
            prelu: Activation::PRelu(vec![0.1; 64]),
        })
    }

    fn forward(&self, engine: &Engine, input: &Buffer) -> Result<Buffer> {
        let mut x = input.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            let activation = if index + 1 < self.layers.len() {
                &self.prelu
            } else {
                &Activation::None
            };
            x = layer.forward(engine, &[&x], &Epilogue::activation(activation))?;
        }
        Ok(x)
    }
}

/// Seconds of processor time of all threads of this process; none where the system does not say.
fn cpu_seconds() -> Option<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += stat.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(nanoseconds / 1e9)
}

fn main() -> Result<()> {
    let options = options()?;
    let engine = Engine::new(options.kernel);
    let network = Network::new(&options)?;
    let shape = Shape {
        batch: 1,
        height: options.size,
        width: options.size,
        channels: 3,
    };
    let input = engine.import(shape, &noise(shape.elements(), 99))?;
    let flops: u64 = [(3, 64), (64, 48)]
        .into_iter()
        .chain(std::iter::repeat_n((64, 64), 32))
        .map(|(inputs, outputs)| {
            ConvShape::same(inputs, outputs, 3).flops(options.size, options.size)
        })
        .sum();
    println!(
        "{} {:?} {:?} {}x{}: {:.1} GFLOP",
        options.kernel,
        options.algorithm,
        options.precision,
        options.size,
        options.size,
        flops as f64 / 1e9
    );
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool of threads");
        pool.install(|| -> Result<()> {
            network.forward(&engine, &input)?;
            let mut best = [f64::INFINITY; 2];
            for _ in 0..options.rounds {
                let cpu = cpu_seconds().unwrap_or(f64::NAN);
                let round = Instant::now();
                network.forward(&engine, &input)?;
                best[0] = best[0].min(round.elapsed().as_secs_f64());
                best[1] = best[1].min(cpu_seconds().unwrap_or(f64::NAN) - cpu);
            }
            let [wall, cpu] = best;
            println!(
                "{threads} threads: {:.1} ms, {:.0} GFLOP/s; CPU {:.1} ms, {:.0} GFLOP/s a core",
                wall * 1e3,
                flops as f64 / wall / 1e9,
                cpu * 1e3,
                flops as f64 / cpu / 1e9
            );
            Ok(())
        })?;
    }
    Ok(())
}
