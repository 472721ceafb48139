//! Times the convolutions of `SRVGGNetCompact` (3→64, 32 × 64→64, 64→48, `PReLU`) with random weights
//! as candle-nn computes them, without fonds: the rival `candle` of `tools/bench_networks.py`.
//! `cargo run --release -p fonds-nn --example bench_candle -- srvgg 2`.
//!
//! Prints one line of JSON: wall and CPU seconds of an iteration, the best wall time of those that
//! fill two seconds.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module, PReLU};

/// Seconds that are filled with iterations.
const FILL: f64 = 2.0;
const SIDE: usize = 256;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("srvgg") {
        return Err(candle_core::Error::msg("the only case is `srvgg`"));
    }
    let threads: usize = match arguments.next().map(|text| text.parse()) {
        Some(Ok(threads)) => threads,
        _ => {
            return Err(candle_core::Error::msg(
                "the second argument is the number of threads",
            ));
        }
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(candle_core::Error::wrap)?;
    let sizes = std::iter::once((3, 64))
        .chain(std::iter::repeat_n((64, 64), 32))
        .chain(std::iter::once((64, 48)));
    let layers: Vec<Conv2d> = sizes
        .map(|(inputs, outputs)| layer(inputs, outputs))
        .collect::<Result<_>>()?;
    let slopes = PReLU::new(Tensor::full(0.1_f32, 64, &Device::Cpu)?, false);
    let x = Tensor::rand(0.0_f32, 1.0, (1, 3, SIDE, SIDE), &Device::Cpu)?;
    let once = || -> Result<()> {
        let mut y = x.clone();
        for (index, layer) in layers.iter().enumerate() {
            y = layer.forward(&y)?;
            if index + 1 < layers.len() {
                y = slopes.forward(&y)?;
            }
        }
        Ok(())
    };
    once()?;
    let begun = Instant::now();
    let (mut wall, mut cpu) = (f64::INFINITY, f64::INFINITY);
    while begun.elapsed().as_secs_f64() < FILL {
        let (start, before) = (Instant::now(), cpu_seconds());
        once()?;
        wall = wall.min(start.elapsed().as_secs_f64());
        cpu = cpu.min(cpu_seconds() - before);
    }
    println!("{{\"wall\": {wall}, \"cpu\": {cpu}}}");
    Ok(())
}

/// A convolution that keeps the size of values, too.
fn layer(inputs: usize, outputs: usize) -> Result<Conv2d> {
    let spread = (3.0 / (inputs as f32 * 9.0)).sqrt() * 1.4;
    let weight = Tensor::rand(-spread, spread, (outputs, inputs, 3, 3), &Device::Cpu)?;
    let bias = Tensor::full(0.01_f32, outputs, &Device::Cpu)?;
    let config = Conv2dConfig {
        padding: 1,
        ..Conv2dConfig::default()
    };
    Ok(Conv2d::new(weight, Some(bias), config))
}

/// Seconds of processor time of all threads of this process, by the scheduler's own count.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let of_task = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<f64>().ok()
    };
    let nanoseconds: f64 = tasks.flatten().filter_map(of_task).sum();
    nanoseconds / 1e9
}
