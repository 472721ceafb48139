//! Deep network interpolation: a network between two others.

use fonds_core::{Code, Digest, Error, Hasher, Result};
use fonds_nn::weights::{Checkpoint, Tensor, Tensors, compare};

/// The network whose weights lie between those of two: `weight_of_a · a + (1 − weight_of_a) · b`.
///
/// Two networks of one origin, such as one trained for pictures with noise and one for pictures
/// without, are mixed this way (Wang et al., *Deep Network Interpolation for Continuous Imagery
/// Effect Transition*, 2019, arXiv:1811.10515). Counters are those of `a`. The digest is made of both
/// digests and the weight.
///
/// # Errors
/// `invalid_request` when the weight is not between 0 and 1, `model_error` when names or shapes
/// differ.
pub fn interpolate(a: &Checkpoint, b: &Checkpoint, weight_of_a: f32) -> Result<Checkpoint> {
    if !(0.0..=1.0).contains(&weight_of_a) {
        let message = format!("a weight of {weight_of_a} is not between 0 and 1");
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let needed: Vec<(String, Vec<usize>)> = (a.tensors.iter())
        .map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec()))
        .collect();
    compare(&needed, &b.tensors, |_| false).into_result("the network to interpolate with")?;
    let mut tensors = Tensors::new();
    for (name, of_a) in a.tensors.iter() {
        let Some(of_b) = b.tensors.get(name) else {
            continue;
        };
        tensors.insert(name, mixed(of_a, of_b, weight_of_a)?);
    }
    let [of_a, of_b] = [weight_of_a, 1.0 - weight_of_a];
    let note = format!(
        "{of_a} × {} + {of_b} × {}",
        a.sha256.prefix(12),
        b.sha256.prefix(12)
    );
    let mut mixture = a.clone();
    mixture.tensors = tensors;
    mixture.sha256 = digest(a.sha256, b.sha256, weight_of_a);
    mixture.path_taken.push(note);
    for (key, value) in &b.metadata {
        let both = mixture
            .metadata
            .entry(key.clone())
            .or_insert_with(|| value.clone());
        if both != value {
            *both = format!("{both}; {value}");
        }
    }
    Ok(mixture)
}

fn mixed(a: &Tensor, b: &Tensor, weight_of_a: f32) -> Result<Tensor> {
    if !a.dtype().is_float() {
        return Ok(a.clone());
    }
    let values: Vec<f32> = (a.to_f32().into_iter())
        .zip(b.to_f32())
        .map(|(a, b)| weight_of_a * a + (1.0 - weight_of_a) * b)
        .collect();
    Tensor::from_f32(a.shape(), &values)
}

fn digest(a: Digest, b: Digest, weight_of_a: f32) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(b"interpolation");
    hasher.update(a.as_bytes());
    hasher.update(b.as_bytes());
    hasher.update(&weight_of_a.to_le_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_nn::weights::{Dtype, safetensors_bytes};
    use std::collections::BTreeMap;

    fn checkpoint(values: &[f32], licence: &str, counter: i64) -> Checkpoint {
        let mut tensors = Tensors::new();
        tensors.insert("weight", Tensor::from_f32(&[values.len()], values).unwrap());
        let counter = Tensor::from_bytes(&[], Dtype::I64, counter.to_le_bytes().to_vec());
        tensors.insert("steps", counter.unwrap());
        let metadata = BTreeMap::from([("license".to_owned(), licence.to_owned())]);
        Checkpoint::from_vec(safetensors_bytes(&tensors, &metadata).unwrap(), None).unwrap()
    }

    #[test]
    fn weights_lie_between() {
        let a = checkpoint(&[1.0, 2.0], "MIT", 7);
        let b = checkpoint(&[3.0, -2.0], "BSD-3-Clause", 9);
        let mixture = interpolate(&a, &b, 0.25).unwrap();
        assert_eq!(mixture.tensors.get("weight").unwrap().to_f32(), [2.5, -1.0]);
        assert_eq!(mixture.tensors.get("steps").unwrap().to_f32(), [7.0]);
        assert_eq!(mixture.metadata["license"], "MIT; BSD-3-Clause");
        let all_of_a = interpolate(&a, &b, 1.0).unwrap();
        assert_eq!(all_of_a.tensors.get("weight").unwrap().to_f32(), [1.0, 2.0]);
        let digests = [a.sha256, b.sha256, mixture.sha256, all_of_a.sha256];
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{index}");
        }
        assert_eq!(interpolate(&a, &b, 0.25).unwrap().sha256, mixture.sha256);
    }

    #[test]
    fn networks_that_differ_are_refused() {
        let a = checkpoint(&[1.0, 2.0], "MIT", 7);
        let b = checkpoint(&[1.0, 2.0, 3.0], "MIT", 7);
        let error = interpolate(&a, &b, 0.5).unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
        assert!(
            error.to_string().contains("`weight` [3], not [2]"),
            "{error}"
        );
        assert_eq!(
            interpolate(&a, &a, 1.5).unwrap_err().code(),
            Code::InvalidRequest
        );
        assert!(interpolate(&a, &a, f32::NAN).is_err());
    }
}
