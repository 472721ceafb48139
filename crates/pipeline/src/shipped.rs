//! The networks that are compiled in: which names are theirs, and reading them.

use fonds_core::{Code, Error, Result};
use fonds_nn::weights::Checkpoint;
use fonds_weights_restore::{SHIPPED, Shipped, find};

use crate::reader::near_miss;

/// Whether a model is named as a shipped one. Such a name never means a file: a pipeline does the
/// same wherever it lies.
pub(crate) fn is_name(model: &str) -> bool {
    model.starts_with("fonds-") && !model.contains(['.', '/', '\\'])
}

/// The shipped network of a kind that enlarges so many times.
pub(crate) fn of_kind(kind: &str, scale: u32) -> Option<&'static Shipped> {
    let mut models = SHIPPED.iter();
    models.find(|model| model.kind == kind && model.scale == scale)
}

/// Reads a shipped network.
///
/// # Errors
/// `not_built_in` in a build without any, `model_error` when none has this name, and whatever is
/// wrong with the bytes.
pub(crate) fn read(name: &str, entry: Option<&str>) -> Result<Checkpoint> {
    if SHIPPED.is_empty() {
        let message = format!("`{name}` is a network that fonds ships, and this build has none");
        let error = Error::new(Code::NotBuiltIn, message);
        return Err(error.hint("build fonds with its feature `weights`, or name a file of weights"));
    }
    let Some(model) = find(name) else {
        let message = format!("fonds ships no network `{name}`");
        let names = SHIPPED.iter().map(|model| model.name);
        let error = Error::new(Code::ModelError, message).hint(near_miss(name, names));
        return Err(error.hint("a file of weights is named with its extension"));
    };
    Checkpoint::from_vec(model.bytes.to_vec(), entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shipped_networks_are_told_from_files() {
        for (model, shipped) in [
            ("fonds-x2-faithful", true),
            ("fonds-nothing", true),
            ("fonds-x2-faithful.safetensors", false),
            ("weights/fonds-x2", false),
            ("weights\\fonds-x2", false),
            ("realesr", false),
            ("", false),
        ] {
            assert_eq!(is_name(model), shipped, "{model}");
        }
    }

    #[cfg(feature = "weights")]
    #[test]
    fn unknown_names_get_the_nearest_or_the_list() {
        let error = read("fonds-x2-faithfull", None).unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
        assert_eq!(
            error.message(),
            "fonds ships no network `fonds-x2-faithfull`"
        );
        assert_eq!(error.hints()[0], "did you mean `fonds-x2-faithful`?");
        let error = read("fonds-portrait-maker", None).unwrap_err();
        assert!(
            error.hints()[0].contains("valid are `"),
            "{:?}",
            error.hints()
        );
    }

    /// What the table says of a network is what the network is.
    #[cfg(feature = "weights")]
    #[test]
    fn every_shipped_network_is_what_its_row_says() {
        for (model, found) in crate::Networks::shipped() {
            let found = found.unwrap_or_else(|error| panic!("{}: {error}", model.name));
            let description = found.description().unwrap();
            let scale = (model.scale as usize, 1);
            assert_eq!(description.scale, scale, "{}", model.name);
            assert_eq!(description.title.as_deref(), Some(model.name));
            assert!(description.training_data.is_some(), "{}", model.name);
            let vivid = matches!(model.kind, "vivid" | "fill");
            assert_eq!(description.generative, Some(vivid), "{}", model.name);
        }
    }

    #[cfg(not(feature = "weights"))]
    #[test]
    fn a_build_without_weights_says_so() {
        let error = read("fonds-x2-faithful", None).unwrap_err();
        assert_eq!(error.code(), Code::NotBuiltIn);
    }
}
