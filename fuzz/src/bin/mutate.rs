//! A plain mutation loop for machines without libFuzzer.
//!
//! `cargo run --release --bin mutate -- TARGET SECONDS SEED_FILE…`
//!
//! Changes, removes, repeats and exchanges bytes of the seeds and of earlier inputs that were read
//! without an error, and prints how many inputs were tried. A fault ends it with a panic and
//! leaves the input in `fault.bin`.

use std::time::{Duration, Instant};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = arguments
        .next()
        .expect("a target: checkpoint, unpickle or safetensors");
    let seconds: u64 = arguments
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number of seconds");
    let run = match &*target {
        "checkpoint" => fonds_fuzz::checkpoint,
        "unpickle" => fonds_fuzz::unpickle,
        "safetensors" => fonds_fuzz::safetensors,
        other => panic!("no target `{other}`"),
    };
    let seeds: Vec<Vec<u8>> = arguments
        .map(|path| std::fs::read(&path).expect("the seed can be read"))
        .collect();
    assert!(!seeds.is_empty(), "seed files are needed");
    let mut chance = Chance(seeds.len() as u64);
    let started = Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < Duration::from_secs(seconds) {
        let mut input = seeds[chance.below(seeds.len())].clone();
        for _ in 0..=chance.below(6) {
            change(&mut input, &seeds, &mut chance);
        }
        std::panic::catch_unwind(|| run(&input)).unwrap_or_else(|_| {
            std::fs::write("fault.bin", &input).expect("the fault can be written");
            panic!("a fault after {count} inputs; it is in fault.bin");
        });
        count += 1;
    }
    println!("{target}: {count} inputs in {seconds} s, no fault");
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(input.len());
    let length = 1 + chance.below(16.min(input.len() - at));
    match chance.below(7) {
        _ if input.is_empty() => input.push(0),
        0 => input[at] ^= 1 << chance.below(8),
        1 => input[at] = chance.next() as u8,
        2 => input[at] = [0, 1, 0x7f, 0x80, 0xff][chance.below(5)],
        3 => {
            input.drain(at..at + length);
        }
        4 => {
            let piece = input[at..at + length].to_vec();
            input.splice(at..at, piece);
        }
        5 => input.truncate(at),
        _ => {
            let other = &seeds[chance.below(seeds.len())];
            let from = chance.below(other.len());
            let end = (from + length).min(other.len());
            input.splice(at..at, other[from..end].iter().copied());
        }
    }
}
