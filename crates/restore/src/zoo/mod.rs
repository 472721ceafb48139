//! Which network is this file?
//!
//! [`recognize`] asks each architecture in turn whether a checkpoint's names and shapes are its own.
//! What comes of it can be described, checked against the network's keys, and built on a backend:
//!
//! ```no_run
//! use fonds_nn::backend::Backend;
//! use fonds_nn::engine::{Engine, Kernel};
//! use fonds_restore::zoo::{self, Options};
//!
//! # fn main() -> fonds_core::Result<()> {
//! let backend = Backend::Engine(Engine::new(Kernel::detect()));
//! let model = zoo::open("realesr-general-x4v3.pth".as_ref(), &Options::default(), &backend)?;
//! assert_eq!(model.description.scale, (4, 1));
//! # Ok(())
//! # }
//! ```

mod architecture;
mod interpolation;

use std::path::Path;
use std::sync::Arc;

use fonds_core::{Code, Digest, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::load;
use fonds_nn::network::{Interface, Network};
use fonds_nn::trace::{Geometry, trace};
use fonds_nn::weights::{Checkpoint, Container, Tensors, expect};

pub use architecture::Architecture;
use architecture::{FAMILIES, Family};
pub use interpolation::interpolate;

/// What a file does not say about the network in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Which of several heads is wanted, by its factor: that of this factor, else the one of the
    /// smallest multiple of it; the largest when absent.
    pub scale: Option<usize>,
    /// Whether batch normalisations of a pix2pix generator use the statistics of the picture, as
    /// published results were made.
    pub batch_statistics: bool,
}

/// What a file holds, in words and numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The name of the architecture.
    pub architecture: &'static str,
    /// Its settings: features, blocks …
    pub details: Vec<(&'static str, String)>,
    /// Weights, biases and statistics.
    pub parameters: usize,
    /// The kind of file.
    pub container: Container,
    /// The digest of the file.
    pub sha256: Digest,
    /// The licence, as far as the file says.
    pub licence: Option<String>,
    /// Who made it, as far as the file says.
    pub author: Option<String>,
    /// What its makers call it, as far as the file says.
    pub title: Option<String>,
    /// What it was trained on, as far as the file says.
    pub training_data: Option<String>,
    /// Whether it makes content up, as far as the file says.
    pub generative: Option<bool>,
    /// Which wrappers were opened and which prefixes stripped to get at the tensors.
    pub path_taken: Vec<String>,
}

/// A [`Summary`] of a network from picture to picture, and how it is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The name of the architecture.
    pub architecture: &'static str,
    /// Its settings: features, blocks …
    pub details: Vec<(&'static str, String)>,
    /// Output pixels for one input pixel, along each side: `scale.0 / scale.1`.
    pub scale: (usize, usize),
    /// What it wants to be fed.
    pub interface: Interface,
    /// Receptive field, multiples, operations and memory, traced from its forward.
    pub geometry: Geometry,
    /// Weights, biases and statistics.
    pub parameters: usize,
    /// The kind of file.
    pub container: Container,
    /// The digest of the file.
    pub sha256: Digest,
    /// The licence, as far as the file says.
    pub licence: Option<String>,
    /// Who made it, as far as the file says.
    pub author: Option<String>,
    /// What its makers call it, as far as the file says.
    pub title: Option<String>,
    /// What it was trained on, as far as the file says.
    pub training_data: Option<String>,
    /// Whether it makes content up, as far as the file says.
    pub generative: Option<bool>,
    /// Which wrappers were opened and which prefixes stripped to get at the tensors.
    pub path_taken: Vec<String>,
}

/// A checkpoint whose network is known.
#[derive(Debug, Clone)]
pub struct Recognized {
    /// Its tensors have the names that the architecture asks for.
    checkpoint: Checkpoint,
    architecture: Architecture,
    parameters: usize,
}

/// A network, ready to run.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it is.
    pub description: Arc<Description>,
    network: Arc<dyn Network>,
    backend: Backend,
}

/// Finds out which network a checkpoint is of.
///
/// # Errors
/// `model_error` when no architecture claims it, with the one that it looks most like;
/// `invalid_request` when the options do not fit the network.
pub fn recognize(checkpoint: &Checkpoint, options: &Options) -> Result<Recognized> {
    let tensors = &checkpoint.tensors;
    let found = FAMILIES
        .iter()
        .find_map(|family| (family.recognize)(tensors));
    let Some(architecture) = found else {
        return Err(unknown(tensors));
    };
    let architecture = architecture.with_options(options, tensors)?;
    let tensors = architecture.canonical(tensors);
    Ok(Recognized {
        parameters: checkpoint.parameter_count(),
        checkpoint: Checkpoint {
            tensors,
            ..checkpoint.clone()
        },
        architecture,
    })
}

/// Reads a file, finds out which network it holds, and builds it.
///
/// # Errors
/// Those of [`Checkpoint::read`], [`recognize`], [`Recognized::check`] and [`Recognized::build`],
/// with the path.
pub fn open(path: &Path, options: &Options, backend: &Backend) -> Result<Model> {
    let checkpoint = Checkpoint::read(path)?;
    let model = recognize(&checkpoint, options).and_then(|found| {
        found.check()?;
        found.build(backend)
    });
    model.map_err(|error| error.at_path(path))
}

impl Recognized {
    /// The network and its settings.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What the file holds, whether it makes pictures or not.
    pub fn summary(&self) -> Summary {
        let says = |keys: &[&str]| {
            let metadata = &self.checkpoint.metadata;
            let mut found = keys.iter().filter_map(|key| metadata.get(*key));
            found.find(|value| !value.trim().is_empty()).cloned()
        };
        Summary {
            architecture: self.architecture.name(),
            details: self.architecture.details(),
            parameters: self.parameters,
            container: self.checkpoint.container,
            sha256: self.checkpoint.sha256,
            licence: says(&["modelspec.license", "license", "licence"]),
            author: says(&["modelspec.author", "author", "source"]),
            title: says(&["modelspec.title", "title", "name"]),
            training_data: says(&["training_data"]),
            generative: says(&["generative"]).and_then(|text| text.trim().parse().ok()),
            path_taken: self.checkpoint.path_taken.clone(),
        }
    }

    /// What the file holds and how it is to be run. Nothing is computed: the network is traced
    /// without its weights.
    ///
    /// # Errors
    /// `model_error` when it is no network from picture to picture, or its settings are none.
    pub fn description(&self) -> Result<Description> {
        let mut form = None;
        load::expected_keys(|vb| {
            if let Some(network) = self.architecture.network(vb)? {
                let interface = network.interface();
                let geometry = trace(interface.in_channels(), |x| network.forward(x))?;
                form = Some((interface, geometry));
            }
            Ok(())
        })?;
        let Some((interface, geometry)) = form else {
            return Err(self.makes_no_pictures());
        };
        let Summary {
            architecture,
            details,
            parameters,
            container,
            sha256,
            licence,
            author,
            title,
            training_data,
            generative,
            path_taken,
        } = self.summary();
        Ok(Description {
            architecture,
            details,
            scale: geometry.scale,
            interface,
            geometry,
            parameters,
            container,
            sha256,
            licence,
            author,
            title,
            training_data,
            generative,
            path_taken,
        })
    }

    /// That the file has all tensors of the network, in the right shapes and no others, and that
    /// every weight is a finite number. Nothing is built.
    ///
    /// # Errors
    /// `model_error` with all differences.
    pub fn check(&self) -> Result<()> {
        let expected = load::expected_keys(|vb| self.architecture.network(vb))?;
        let ignore = |key: &str| self.architecture.ignores(key);
        expect(
            self.architecture.name(),
            &expected,
            &self.checkpoint.tensors,
            ignore,
        )?;
        self.checkpoint.check_finite()
    }

    /// The network on a backend.
    ///
    /// # Errors
    /// `model_error` when tensors are missing, of other shapes or left over, or when it is no
    /// network from picture to picture; `oom` when there is no memory.
    pub fn build(&self, backend: &Backend) -> Result<Model> {
        let description = Arc::new(self.description()?);
        let name = self.architecture.name();
        let ignore = |key: &str| self.architecture.ignores(key);
        let make = |vb: fonds_nn::VarBuilder<'static>| self.architecture.network(vb);
        let network = load::load(name, &self.checkpoint.tensors, backend, ignore, make)?;
        let network = network.ok_or_else(|| self.makes_no_pictures())?;
        Ok(Model {
            description,
            network: Arc::from(network),
            backend: backend.clone(),
        })
    }

    fn makes_no_pictures(&self) -> Error {
        let message = format!("{} makes no pictures of pictures", self.architecture.name());
        Error::new(Code::ModelError, message).hint("give a generator or a restoration network")
    }
}

impl Model {
    /// The network.
    pub fn network(&self) -> &dyn Network {
        &*self.network
    }

    /// The network, to be shared between threads.
    pub fn shared(&self) -> Arc<dyn Network> {
        Arc::clone(&self.network)
    }

    /// What it runs on.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }
}

/// The error for tensors that no architecture claims.
fn unknown(tensors: &Tensors) -> Error {
    if let Some((family, missing)) = nearest(tensors) {
        let name = family.name;
        let message = if missing.is_empty() {
            let shapes = family
                .landmarks
                .iter()
                .filter_map(|key| Some(format!("`{key}` {:?}", tensors.get(key)?.shape())));
            let shapes: Vec<String> = shapes.collect();
            format!(
                "the tensors look like {name}, but have other shapes: {}",
                shapes.join(", ")
            )
        } else {
            let missing: Vec<String> = missing.iter().map(|key| format!("`{key}`")).collect();
            format!(
                "the tensors look like {name}, but {} is missing",
                missing.join(", ")
            )
        };
        return Error::new(Code::ModelError, message).hint("download the file again");
    }
    let first: Vec<String> = tensors
        .names()
        .take(3)
        .map(|name| format!("`{name}`"))
        .collect();
    let message = format!(
        "{} tensors that belong to no known network, among them {}",
        tensors.len(),
        first.join(", ")
    );
    let mut names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    names.dedup();
    let known = format!("known networks are {}", names.join(", "));
    Error::new(Code::ModelError, message).hint(known)
}

/// The architecture that at least half of the landmarks speak for, two at least, with those that
/// are missing.
fn nearest(tensors: &Tensors) -> Option<(&'static Family, Vec<&'static str>)> {
    let candidates = FAMILIES.iter().filter_map(|family| {
        let missing = family
            .landmarks
            .iter()
            .copied()
            .filter(|key| !tensors.contains(key));
        let missing: Vec<&str> = missing.collect();
        let there = family.landmarks.len() - missing.len();
        (there >= 2 && 2 * there >= family.landmarks.len()).then_some((family, there, missing))
    });
    // The most landmarks in number; of those, the fewest missing; of those, the first.
    let best =
        candidates.min_by_key(|(_, there, missing)| (std::cmp::Reverse(*there), missing.len()))?;
    Some((best.0, best.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::srvgg;
    use fonds_nn::weights::{Tensor, safetensors_bytes};
    use std::collections::BTreeMap;

    fn checkpoint(keys: &[(&str, &[usize])]) -> Checkpoint {
        let tensors: Tensors = keys
            .iter()
            .map(|(key, shape)| {
                let values = vec![0.5; shape.iter().product()];
                (*key, Tensor::from_f32(shape, &values).unwrap())
            })
            .collect();
        let metadata = BTreeMap::from([("licence".to_owned(), "MIT".to_owned())]);
        let bytes = safetensors_bytes(&tensors, &metadata).unwrap();
        Checkpoint::from_vec(bytes, None).unwrap()
    }

    fn srvgg() -> Vec<(&'static str, &'static [usize])> {
        vec![
            ("body.0.weight", &[8, 3, 3, 3]),
            ("body.0.bias", &[8]),
            ("body.1.weight", &[8]),
            ("body.2.weight", &[8, 8, 3, 3]),
            ("body.2.bias", &[8]),
            ("body.3.weight", &[8]),
            ("body.4.weight", &[12, 8, 3, 3]),
            ("body.4.bias", &[12]),
        ]
    }

    #[test]
    fn a_small_network_is_recognised_and_described() {
        let found = recognize(&checkpoint(&srvgg()), &Options::default()).unwrap();
        let config = srvgg::Config {
            colors: 3,
            features: 8,
            convolutions: 1,
            scale: 2,
        };
        assert_eq!(*found.architecture(), Architecture::Srvgg(config));
        found.check().unwrap();
        let description = found.description().unwrap();
        assert_eq!(description.architecture, "SRVGGNetCompact");
        assert_eq!(
            (description.scale, description.geometry.halo),
            ((2, 1), Some(3))
        );
        assert_eq!(description.licence.as_deref(), Some("MIT"));
        assert_eq!(description.parameters, 224 + 8 + 584 + 8 + 876);
    }

    #[test]
    fn all_differences_are_reported_before_anything_is_built() {
        let mut keys = srvgg();
        keys.retain(|(key, _)| *key != "body.2.bias");
        keys.push(("body.4.scale", &[1]));
        let found = recognize(&checkpoint(&keys), &Options::default()).unwrap();
        let message = found.check().unwrap_err().to_string();
        assert!(message.contains("1 missing: `body.2.bias`"), "{message}");
        assert!(
            message.contains("1 unexpected: `body.4.scale`"),
            "{message}"
        );
    }

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        let mut checkpoint = checkpoint(&srvgg());
        let tensor = Tensor::from_f32(&[8], &[f32::NAN; 8]).unwrap();
        checkpoint.tensors.insert("body.2.bias", tensor);
        let found = recognize(&checkpoint, &Options::default()).unwrap();
        let message = found.check().unwrap_err().to_string();
        assert!(message.contains("`body.2.bias` (element 0)"), "{message}");
    }

    #[test]
    fn near_misses_are_named() {
        let keys: [(&str, &[usize]); 3] = [
            ("conv_first.weight", &[64, 3, 3, 3]),
            ("body.0.rdb1.conv1.weight", &[32, 64, 3, 3]),
            ("conv_body.weight", &[64, 64, 3, 3]),
        ];
        let error = recognize(&checkpoint(&keys), &Options::default()).unwrap_err();
        let expected = "the tensors look like RRDBNet, but `conv_last.weight` is missing";
        assert_eq!(error.to_string(), expected);
        let keys: [(&str, &[usize]); 2] = [("wte.weight", &[4, 4]), ("h.0.attn.weight", &[4, 4])];
        let error = recognize(&checkpoint(&keys), &Options::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 tensors that belong to no known network, among them `wte.weight`, `h.0.attn.weight`"
        );
        assert!(error.hints()[0].contains("EDSR"), "{:?}", error.hints());
    }

    #[test]
    fn a_discriminator_is_known_but_not_run() {
        let keys: [(&str, &[usize]); 7] = [
            ("net.0.weight", &[8, 3, 1, 1]),
            ("net.0.bias", &[8]),
            ("net.2.weight", &[16, 8, 1, 1]),
            ("net.2.bias", &[16]),
            ("net.5.weight", &[1, 16, 1, 1]),
            ("net.5.bias", &[1]),
            ("extra", &[1]),
        ];
        let found = recognize(&checkpoint(&keys[..6]), &Options::default()).unwrap();
        found.check().unwrap();
        assert_eq!(found.summary().architecture, "pixel discriminator");
        let error = found.build(&Backend::cpu_tensors()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "pixel discriminator makes no pictures of pictures"
        );
        let found = recognize(&checkpoint(&keys), &Options::default()).unwrap();
        assert!(found.check().is_err(), "`extra` is unexpected");
    }

    #[test]
    fn options_that_do_not_fit_are_refused() {
        let options = Options {
            batch_statistics: true,
            ..Options::default()
        };
        let error = recognize(&checkpoint(&srvgg()), &options).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
    }
}
