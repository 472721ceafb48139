//! `fonds bench`: networks with made-up weights, timed on this machine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fonds_core::Result;
use fonds_pipeline::{Networks, Prepared, Workload};
use serde_json::json;

use crate::args::{BenchArgs, Case};
use crate::exit::{Exit, Outcome};
use crate::{commands, report};

pub(crate) fn bench(args: &BenchArgs) -> Outcome {
    super::train::keep_candle_to_one_thread();
    let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args
        .threads
        .or(args.threads_option)
        .map_or(available, usize::from);
    commands::threads(threads)?;
    let workload = workload(args.case);
    let side = args.size.map_or(workload.side(), |side| side as usize);
    let networks = Networks::new(args.networks.options(PathBuf::new()));
    let lanes = networks.lanes()?;
    let backend = lanes.backends().next().expect("there is always a lane");
    let mut prepared = workload.prepare(backend, side)?;
    // The first time is for caches, buffers and threads.
    prepared.run()?;
    let timed = timed(
        &mut prepared,
        Duration::from_secs_f64(args.seconds.clamp(0.0, 3600.0)),
    )?;
    let gflops = prepared.operations() / timed.wall / 1e9;
    let case = name(args.case);
    if args.json {
        let object = json!({
            "case": case, "wall": timed.wall, "cpu": timed.cpu, "gflops": gflops, "on": backend.to_string(),
            "threads": threads, "side": side, "rounds": timed.rounds,
        });
        report::line(&object.to_string());
        return Ok(Exit::Done);
    }
    let cpu = timed.cpu.map_or(String::new(), |cpu| {
        format!(", {:.2} ms of CPU time", cpu * 1e3)
    });
    report::line(&format!(
        "{case} on {side} x {side}, {backend}, {threads} threads: {:.2} ms{cpu}, {gflops:.0} GFLOP/s \
         (mean of {})",
        timed.wall * 1e3,
        timed.rounds
    ));
    Ok(Exit::Done)
}

/// The mean of one iteration, in seconds.
struct Timed {
    wall: f64,
    /// Of all threads together; where the system tells.
    cpu: Option<f64>,
    rounds: u32,
}

fn timed(prepared: &mut Prepared, at_least: Duration) -> Result<Timed> {
    let (cpu, start) = (cpu_time(), Instant::now());
    let mut rounds = 0;
    while rounds == 0 || start.elapsed() < at_least {
        prepared.run()?;
        rounds += 1;
    }
    let wall = start.elapsed();
    let cpu = cpu_time()
        .zip(cpu)
        .map(|(after, before)| after.saturating_sub(before));
    let each = |time: Duration| time.as_secs_f64() / f64::from(rounds);
    Ok(Timed {
        wall: each(wall),
        cpu: cpu.map(each),
        rounds,
    })
}

/// The time that all threads of this process have computed.
fn cpu_time() -> Option<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let path = task.ok()?.path().join("schedstat");
        // A thread may end while it is looked at.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        nanoseconds += text
            .split_whitespace()
            .next()
            .map_or(Some(0), |text| text.parse().ok())?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

fn workload(case: Case) -> Workload {
    match case {
        Case::Conv => Workload::Conv,
        Case::Srvgg => Workload::Srvgg,
        Case::Rrdb => Workload::Rrdb,
        Case::Cyclegan => Workload::CycleGan,
        Case::Unet => Workload::Unet,
        Case::SrvggStep => Workload::SrvggStep,
        Case::DcganStep => Workload::DcganStep,
    }
}

fn name(case: Case) -> &'static str {
    match case {
        Case::Conv => "conv",
        Case::Srvgg => "srvgg",
        Case::Rrdb => "rrdb",
        Case::Cyclegan => "cyclegan",
        Case::Unet => "unet",
        Case::SrvggStep => "srvgg_step",
        Case::DcganStep => "dcgan_step",
    }
}
