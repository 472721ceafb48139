//! What PyTorch computed for a network, and how far we are from it; for the tests of several crates.
//!
//! The files of `fixtures/tensors` are made by `tools/reference_tensors.py`. They hold inputs and
//! outputs; the weights are given by a formula for the keys and ranges in the metadata, so that
//! both sides make the same ones. Not part of the interface: it panics where a test would.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fonds_core::Result;
use serde_json::Value;

use crate::train::SECOND_ORDER;
use crate::weights::{Checkpoint, Dtype, Tensor, Tensors, safetensors_bytes};

/// What is known about one network.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The name of the file, without its ending.
    pub name: String,
    /// The network.
    pub arch: String,
    /// Its settings; texts as they are, other values as JSON.
    pub config: BTreeMap<String, String>,
    /// The whole state dict, with names and shapes as published.
    pub tensors: Tensors,
    /// Names among them that take no part.
    pub ignored: Vec<String>,
    /// Names and shapes that published files have besides, for parts that the outputs do not
    /// depend on.
    pub unused: Vec<(String, Vec<usize>)>,
    /// Inputs by name: `input`, `input.style` …
    pub inputs: Vec<(String, Values)>,
    /// Outputs by name: `output`, `output.x2` …
    pub outputs: Vec<Output>,
}

/// Numbers in the order of their indices, the last one fastest.
#[derive(Debug, Clone)]
pub struct Values {
    /// Sizes along each axis.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f32>,
}

/// An output as PyTorch computes it in 64 bits.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Sizes of the whole output.
    pub shape: Vec<usize>,
    /// Along each axis, every how manieth index is stored.
    pub step: Vec<usize>,
    /// The stored numbers.
    pub values: Vec<f64>,
    /// Largest minus smallest number of the whole output.
    pub range: f64,
    /// Mean of the whole output.
    pub mean: f64,
    /// Root of the mean square of the whole output.
    pub rms: f64,
    /// The largest error that PyTorch makes in 32 bits.
    pub torch_f32_error: f64,
}

/// How far an output is from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    /// The largest absolute difference.
    pub max_abs: f64,
    /// The same as a share of the output's range.
    pub over_range: f64,
    /// The same in units of the largest error that PyTorch makes in 32 bits.
    pub over_torch: f64,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2e}, {:.1e} of the range, {:.1} × PyTorch's own",
            self.max_abs, self.over_range, self.over_torch
        )
    }
}

/// Whether gradients of gradients are right in this process. Where they are not, first runs the test
/// of this name again, in a process of its own in which they are: candle reads the variable once for
/// each thread.
///
/// # Panics
/// When the test fails there, or there is none of this name.
pub fn with_second_order(test: &str) -> bool {
    if std::env::var_os(SECOND_ORDER).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().expect("a test is a program"))
        .args(["--exact", test, "--nocapture"])
        .env(SECOND_ORDER, "1")
        .output()
        .expect("a test can be run again");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "the test was not run: {text}");
    false
}

/// The folder of the references.
pub fn references() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tensors")
}

impl Reference {
    /// The reference of this name in [`references`].
    ///
    /// # Panics
    /// When it is not there or not as `tools/reference_tensors.py` writes it.
    pub fn open(name: &str) -> Self {
        let path = references().join(format!("{name}.safetensors"));
        Self::read(&path).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// Those of [`Checkpoint::read`].
    ///
    /// # Panics
    /// When the file is not as `tools/reference_tensors.py` writes it.
    pub fn read(path: &Path) -> Result<Self> {
        let file = Checkpoint::read(path)?;
        let text = |name: &str| {
            let value = file.metadata.get(name);
            value.unwrap_or_else(|| panic!("{} has no `{name}`", path.display()))
        };
        let json = |name: &str| -> Value { serde_json::from_str(text(name)).expect("JSON") };
        let stem = path.file_stem().expect("the path names a file");
        let config = json("config");
        let config = config.as_object().expect("an object").iter();
        let inputs = json("inputs");
        let inputs = inputs.as_array().expect("a list").iter();
        let outputs = json("outputs");
        let outputs = outputs.as_object().expect("an object").iter();
        Ok(Self {
            name: stem.to_string_lossy().into_owned(),
            arch: text("arch").clone(),
            config: config
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect(),
            tensors: list(&json("keys")).iter().map(formula_tensor).collect(),
            ignored: list(&json("ignored_keys")).iter().map(plain).collect(),
            unused: list(&json("unused_keys"))
                .iter()
                .map(|entry| (plain(&entry[0]), sizes(&entry[1])))
                .collect(),
            inputs: inputs.map(|entry| input(&file, entry)).collect(),
            outputs: outputs
                .map(|(name, about)| output(&file, name, about))
                .collect(),
        })
    }

    /// The first input.
    pub fn input(&self) -> &Values {
        &self.inputs[0].1
    }

    /// The input of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn input_named(&self, name: &str) -> &Values {
        let found = self.inputs.iter().find(|(input, _)| input == name);
        &found
            .unwrap_or_else(|| panic!("{} has no `{name}`", self.name))
            .1
    }

    /// The output of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn output(&self, name: &str) -> &Output {
        let found = self.outputs.iter().find(|output| output.name == name);
        found.unwrap_or_else(|| panic!("{} has no `{name}`", self.name))
    }

    /// The network as if it had been read from a published file.
    ///
    /// # Errors
    /// Those of [`Checkpoint::from_vec`].
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let bytes = safetensors_bytes(&self.tensors, &BTreeMap::new())?;
        Checkpoint::from_vec(bytes, None)
    }

    /// How far these numbers, the whole output of this name, are from it.
    ///
    /// # Panics
    /// When there is no such output or it has another number of numbers.
    pub fn compare(&self, name: &str, got: &[f32]) -> Deviation {
        self.output(name).compare(got)
    }
}

impl Output {
    /// How far these numbers, the whole output, are from it.
    ///
    /// # Panics
    /// When it has another number of numbers.
    pub fn compare(&self, got: &[f32]) -> Deviation {
        let len: usize = self.shape.iter().product();
        assert_eq!(got.len(), len, "{}: {:?}", self.name, self.shape);
        let mut max_abs: f64 = 0.0;
        for (place, &expected) in self.places().zip(&self.values) {
            let difference = (f64::from(got[place]) - expected).abs();
            // A comparison with NaN is false: not a number is never the larger one.
            if difference.is_nan() || difference > max_abs {
                max_abs = difference;
            }
        }
        Deviation {
            max_abs,
            over_range: max_abs / self.range,
            over_torch: max_abs / self.torch_f32_error,
        }
    }

    /// Where in the whole output the stored numbers are.
    fn places(&self) -> impl Iterator<Item = usize> {
        let counts: Vec<usize> = self
            .shape
            .iter()
            .zip(&self.step)
            .map(|(&size, &step)| size.div_ceil(step))
            .collect();
        let stored: usize = counts.iter().product();
        assert_eq!(stored, self.values.len(), "{}", self.name);
        (0..stored).map(move |index| {
            let (mut rest, mut place, mut stride) = (index, 0, 1);
            for axis in (0..counts.len()).rev() {
                place += rest % counts[axis] * self.step[axis] * stride;
                rest /= counts[axis];
                stride *= self.shape[axis];
            }
            place
        })
    }
}

/// `count` numbers from `lo` to `hi` that the formula of `tools/formula_values.py` gives for a key.
pub fn formula(key: &str, count: usize, lo: f64, hi: f64) -> Vec<f32> {
    bits(key)
        .take(count)
        .map(|bits| (lo + (hi - lo) * (bits as f64 / f64::from(1 << 24))) as f32)
        .collect()
}

/// 24 bits for each index.
fn bits(key: &str) -> impl Iterator<Item = u64> {
    let start = fnv1a64(key);
    (0_u64..).map(move |index| {
        let mut z = start.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) >> 40
    })
}

fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// `[key, shape, lo, hi]` as a tensor; without axes, a counter.
fn formula_tensor(entry: &Value) -> (String, Tensor) {
    let (key, shape) = (plain(&entry[0]), sizes(&entry[1]));
    let [lo, hi] = [2, 3].map(|place| entry[place].as_f64().expect("a number"));
    let tensor = if shape.is_empty() {
        Tensor::from_bytes(&[], Dtype::I64, (lo as i64).to_le_bytes().to_vec())
    } else {
        let values = formula(&key, shape.iter().product(), lo, hi);
        Tensor::from_f32(&shape, &values)
    };
    (key, tensor.expect("as many numbers as the shape says"))
}

/// `[tensor, key, shape, lo, hi]`: stored or by formula.
fn input(file: &Checkpoint, entry: &Value) -> (String, Values) {
    let (name, shape) = (plain(&entry[0]), sizes(&entry[2]));
    let values = match file.tensors.get(&name) {
        Some(tensor) => tensor.to_f32(),
        None => formula_tensor(&Value::from_iter(
            entry.as_array().expect("a list")[1..].to_vec(),
        ))
        .1
        .to_f32(),
    };
    (name, Values { shape, values })
}

fn output(file: &Checkpoint, name: &str, about: &Value) -> Output {
    let number = |key: &str| about[key].as_f64().expect("a number");
    let tensor = file.tensors.get(name).expect("outputs are stored");
    assert_eq!(tensor.dtype(), Dtype::F64, "{name}");
    let bytes = tensor.to_bytes();
    let (numbers, _) = bytes.as_chunks::<8>();
    Output {
        name: name.to_owned(),
        shape: sizes(&about["shape"]),
        step: sizes(&about["step"]),
        values: numbers
            .iter()
            .map(|&bytes| f64::from_le_bytes(bytes))
            .collect(),
        range: number("range"),
        mean: number("mean"),
        rms: number("rms"),
        torch_f32_error: number("f32_error"),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn sizes(value: &Value) -> Vec<usize> {
    list(value)
        .iter()
        .map(|size| size.as_u64().expect("a size") as usize)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_that_of_the_tools() {
        // Printed by tools/formula_values.py.
        assert_eq!(fnv1a64("body.0.weight"), 0x41e2_1332_39b5_8473);
        assert_eq!(fnv1a64("input"), 0x1ebb_ae8f_5810_b65b);
        let first: Vec<u64> = bits("body.0.weight").take(3).collect();
        assert_eq!(first, [5_654_133, 13_328_553, 12_557_465]);
        let first: Vec<u64> = bits("input").take(3).collect();
        assert_eq!(first, [188_796, 1_641_119, 10_944_791]);
    }

    #[test]
    fn a_stored_input_equals_the_formula() {
        let reference = Reference::open("srvgg_16_x4");
        let input = reference.input();
        assert_eq!(input.shape, [2, 3, 11, 9]);
        assert_eq!(input.values, formula("input", 2 * 3 * 11 * 9, 0.0, 1.0));
        assert_eq!(reference.config["convolutions"], "16");
        assert_eq!(
            reference.tensors.get("body.1.weight").unwrap().shape(),
            [64]
        );
    }

    #[test]
    fn differences_are_found_where_they_are() {
        let output = Output {
            name: "output".to_owned(),
            shape: vec![1, 3, 4],
            step: vec![1, 2, 3],
            // Indices 0, 3, 8, 11 of the twelve.
            values: vec![0.0, 3.0, 8.0, 11.0],
            range: 11.0,
            mean: 5.5,
            rms: 6.5,
            torch_f32_error: 0.5,
        };
        let mut got: Vec<f32> = (0..12_u8).map(f32::from).collect();
        assert_eq!(output.compare(&got).max_abs, 0.0);
        got[5] = 99.0;
        assert_eq!(output.compare(&got).max_abs, 0.0, "not stored");
        got[8] = 9.0;
        let deviation = output.compare(&got);
        assert_eq!((deviation.max_abs, deviation.over_torch), (1.0, 2.0));
        got[0] = f32::NAN;
        got[11] = 0.0;
        assert!(output.compare(&got).max_abs.is_nan());
    }
}
