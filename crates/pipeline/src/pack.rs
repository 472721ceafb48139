//! From trained weights to a file that can be passed on: half the size, and it says what it is.

use std::collections::BTreeMap;

use fonds_core::{Code, Digest, Error, Result};
use fonds_nn::weights::{Checkpoint, Dtype, Tensors, safetensors_bytes};
use fonds_restore::zoo::Options;

use crate::networks::{Networks, of_weights, recognize, told};

/// The largest number that a 16-bit float holds.
const LARGEST_F16: f32 = 65_504.0;

/// What the file shall say of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackOptions {
    /// Which network of a file that holds several.
    pub entry: Option<String>,
    /// What it is called; sidecars and labels name it so.
    pub title: String,
    /// Its version; sidecars give it beside the architecture.
    pub version: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// The licence of the weights, as an SPDX expression.
    pub licence: String,
    /// What it was trained on, with the licences of the pictures.
    pub training_data: String,
    /// Whether its pictures have content that was made up, as adversarial training does: decides
    /// the label of what it made.
    pub generative: bool,
}

/// A file that can be passed on.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The safetensors file.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub sha256: Digest,
    /// The name of the architecture.
    pub architecture: &'static str,
    /// Weights, biases and statistics.
    pub parameters: usize,
    /// The largest difference that rounding to 16 bits made to a weight.
    pub rounding: f32,
}

/// Rounds the weights of a network to 16-bit floats and writes down what it is. What the file said
/// of itself before (its training, say) stays in it.
///
/// # Errors
/// `invalid_request` when something is not said; `model_error` when the file holds no network that
/// fonds knows, or weights that 16 bits cannot hold.
pub fn pack(networks: &Networks, file: &str, options: &PackOptions) -> Result<Packed> {
    for (key, text) in [
        ("title", &options.title),
        ("licence", &options.licence),
        ("training data", &options.training_data),
    ] {
        if text.trim().is_empty() {
            let message = format!("the {key} is empty");
            return Err(Error::new(Code::InvalidRequest, message));
        }
    }
    let checkpoint = networks.read(file, options.entry.as_deref())?;
    let found = recognize(&checkpoint, &Options::default()).map_err(|error| told(error, file))?;
    let (tensors, rounding) =
        halved(&checkpoint.tensors).map_err(|error| of_weights(file, &error))?;
    let bytes = safetensors_bytes(&tensors, &texts(&checkpoint, options))?;
    let again = Checkpoint::from_bytes(&bytes)?;
    let packed = recognize(&again, &Options::default())?;
    if packed.architecture() != found.architecture() {
        let message = "the packed file is another network than the one that went in";
        return Err(Error::new(Code::Internal, message));
    }
    Ok(Packed {
        sha256: Digest::of(&bytes),
        bytes,
        architecture: packed.architecture().name(),
        parameters: again.parameter_count(),
        rounding,
    })
}

/// Numbers with fractions as 16-bit floats; counters stay what they are.
fn halved(tensors: &Tensors) -> Result<(Tensors, f32)> {
    let mut made = Tensors::new();
    let mut rounding: f32 = 0.0;
    for (name, tensor) in tensors.iter() {
        if !tensor.dtype().is_float() {
            made.insert(name, tensor.clone());
            continue;
        }
        let values = tensor.to_f32();
        if let Some(value) = values.iter().find(|value| value.abs() > LARGEST_F16) {
            let message = format!("`{name}` has {value}, which 16-bit floats cannot hold");
            return Err(Error::new(Code::ModelError, message));
        }
        let half = tensor.cast(Dtype::F16)?;
        for (before, after) in values.iter().zip(half.to_f32()) {
            rounding = rounding.max((before - after).abs());
        }
        made.insert(name, half);
    }
    Ok((made, rounding))
}

fn texts(checkpoint: &Checkpoint, options: &PackOptions) -> BTreeMap<String, String> {
    let mut texts = checkpoint.metadata.clone();
    // Other words for the same would be read first.
    texts.retain(|key, _| !key.starts_with("modelspec.") && key != "license");
    let mut put = |key: &str, text: &str| texts.insert(key.to_owned(), text.to_owned());
    put("title", &options.title);
    put("licence", &options.licence);
    put("training_data", &options.training_data);
    put(
        "generative",
        if options.generative { "true" } else { "false" },
    );
    if let Some(version) = &options.version {
        put("version", version);
    }
    if let Some(author) = &options.author {
        put("author", author);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_nn::weights::{Tensor, write_safetensors};

    const SHAPES: [(&str, &[usize]); 8] = [
        ("body.0.weight", &[4, 3, 3, 3]),
        ("body.0.bias", &[4]),
        ("body.1.weight", &[4]),
        ("body.2.weight", &[4, 4, 3, 3]),
        ("body.2.bias", &[4]),
        ("body.3.weight", &[4]),
        ("body.4.weight", &[12, 4, 3, 3]),
        ("body.4.bias", &[12]),
    ];

    fn weights(factor: f32) -> Tensors {
        let mut tensors = Tensors::new();
        for (name, shape) in SHAPES {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count)
                .map(|i| (i as f32 * 0.37).sin() * factor)
                .collect();
            tensors.insert(name, Tensor::from_f32(shape, &values).unwrap());
        }
        tensors
    }

    fn options() -> PackOptions {
        PackOptions {
            title: "fonds-test".to_owned(),
            licence: "CC0-1.0".to_owned(),
            training_data: "drawings of our own".to_owned(),
            ..PackOptions::default()
        }
    }

    #[test]
    fn half_the_size_and_it_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trained.safetensors");
        let said = BTreeMap::from([
            ("title", "x generator"),
            ("steps", "60000"),
            ("license", "other"),
            ("modelspec.title", "another"),
        ]);
        let said = said.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        write_safetensors(&path, &weights(0.5), &said.collect()).unwrap();
        let file = path.to_str().unwrap();
        let networks = Networks::default();
        let packed = pack(&networks, file, &options()).unwrap();
        let again = pack(&networks, file, &options()).unwrap();
        assert_eq!(packed.bytes, again.bytes, "equal files of equal weights");
        let checkpoint = Checkpoint::from_bytes(&packed.bytes).unwrap();
        assert_eq!(checkpoint.sha256, packed.sha256);
        // Half precision has 11 bits: the error of numbers below one half is at most 2^-13.
        assert!(packed.rounding > 0.0 && packed.rounding <= 0.5_f32.powi(13));
        for (name, tensor) in weights(0.5).iter() {
            let half = checkpoint.tensors.get(name).unwrap();
            assert_eq!(half.dtype(), Dtype::F16, "{name}");
            for (a, b) in tensor.to_f32().iter().zip(half.to_f32()) {
                assert!((a - b).abs() <= packed.rounding);
            }
        }
        let summary = recognize(&checkpoint, &Options::default())
            .unwrap()
            .summary();
        assert_eq!(summary.title.as_deref(), Some("fonds-test"));
        assert_eq!(summary.licence.as_deref(), Some("CC0-1.0"));
        assert_eq!(
            summary.training_data.as_deref(),
            Some("drawings of our own")
        );
        assert_eq!(summary.generative, Some(false));
        assert_eq!(checkpoint.metadata["steps"], "60000");
    }

    #[test]
    fn what_cannot_be_packed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loud.safetensors");
        write_safetensors(&path, &weights(1e5), &BTreeMap::new()).unwrap();
        let file = path.to_str().unwrap();
        let error = pack(&Networks::default(), file, &options()).unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
        assert!(error.message().contains("16-bit floats"), "{error}");
        let unsaid = PackOptions {
            licence: " ".to_owned(),
            ..options()
        };
        let error = pack(&Networks::default(), file, &unsaid).unwrap_err();
        assert_eq!(error.to_string(), "the licence is empty");
    }
}
