//! Prints what is in weights files: container, wrappers opened, metadata, and every tensor.
//!
//! `cargo run -p fonds-nn --example weights -- [--tensors] FILE…`
//!
//! With `--tensors` each tensor has a line with its type, shape, mean and the digest of its values
//! as little-endian f32, for a comparison with what another reader makes of the file.

#![expect(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::path::Path;
use std::process::ExitCode;

use fonds_core::Digest;
use fonds_nn::weights::{Checkpoint, Tensor};

fn main() -> ExitCode {
    let mut with_tensors = false;
    let mut result = ExitCode::SUCCESS;
    for argument in std::env::args().skip(1) {
        if argument == "--tensors" {
            with_tensors = true;
            continue;
        }
        match Checkpoint::read(Path::new(&argument)) {
            Ok(checkpoint) => describe(&argument, &checkpoint, with_tensors),
            Err(error) => {
                println!("{error:?} {:?}", error.hints());
                result = ExitCode::FAILURE;
            }
        }
    }
    result
}

fn describe(name: &str, checkpoint: &Checkpoint, with_tensors: bool) {
    println!(
        "{name}\t{}\t{} tensors\t{} parameters\t{:?}\t{:?}\t{}\t{:?}",
        checkpoint.container,
        checkpoint.tensors.len(),
        checkpoint.parameter_count(),
        checkpoint.path_taken,
        checkpoint.metadata,
        checkpoint.sha256.prefix(12),
        checkpoint.check_finite(),
    );
    if with_tensors {
        for (name, tensor) in checkpoint.tensors.iter() {
            println!("{name}\t{tensor:?}\t{}", facts(tensor));
        }
    }
}

fn facts(tensor: &Tensor) -> String {
    let values = tensor.to_f32();
    let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    format!(
        "{:.6}\t{}",
        sum / values.len().max(1) as f64,
        Digest::of(&bytes).prefix(16)
    )
}
