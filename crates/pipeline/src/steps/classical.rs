//! What the adapters share: the declaration of their keys, and a step around one operation.

use std::fmt;

use fonds_core::{Outcome, PixelFormat, Raster, Result};
use serde_json::Value;

use crate::step::{Act, Cost, Step, StepContext};

/// Declares the keys of a step: a struct, how it is read, its defaults and its documentation,
/// from one list.
macro_rules! step_args {
    ($name:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:expr,)* }) => {
        #[derive(Debug, Clone, serde::Serialize)]
        struct $name {
            $($(#[doc = $doc])+ $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            fn read(args: &mut $crate::reader::Args<'_, '_>) -> Self {
                let defaults = Self::default();
                Self { $($field: args.value(stringify!($field)).unwrap_or(defaults.$field),)* }
            }

            fn params() -> Vec<$crate::registry::Param> {
                let defaults = serde_json::to_value(Self::default()).unwrap_or_default();
                vec![$($crate::registry::Param {
                    name: stringify!($field),
                    default: $crate::steps::classical::toml_value(&defaults[stringify!($field)]),
                    doc: concat!($($doc),+).trim_ascii(),
                },)*]
            }

            fn json(&self) -> serde_json::Value {
                serde_json::to_value(self).unwrap_or_default()
            }
        }
    };
}
pub(super) use step_args;

type Apply = dyn Fn(Raster) -> Result<Outcome> + Send + Sync;

/// A step around one operation of `fonds_image::ops`.
pub(super) struct Classical {
    /// See [`Step::version`].
    pub(super) version: u32,
    /// See [`Step::act`].
    pub(super) act: Act,
    /// See [`Step::cost`].
    pub(super) cost: Cost,
    /// See [`Step::parameters`].
    pub(super) parameters: Value,
    /// See [`Step::output`].
    pub(super) output: fn(PixelFormat) -> PixelFormat,
    /// The operation.
    pub(super) apply: Box<Apply>,
}

impl Classical {
    /// A step that keeps the pixel format and corrects the picture in place.
    pub(super) fn enhancement(
        parameters: Value,
        apply: impl Fn(Raster) -> Result<Outcome> + Send + Sync + 'static,
    ) -> Self {
        Self {
            version: 1,
            act: Act::Enhancement,
            cost: Cost {
                scratch_per_pixel: 3.0,
                ..Cost::IN_PLACE
            },
            parameters,
            output: |format| format,
            apply: Box::new(apply),
        }
    }

    /// The step as the registry keeps it.
    pub(super) fn boxed(self) -> Box<dyn Step> {
        Box::new(self)
    }
}

impl fmt::Debug for Classical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Classical({})", self.parameters)
    }
}

impl Step for Classical {
    fn version(&self) -> u32 {
        self.version
    }

    fn act(&self) -> Act {
        self.act
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        Ok((self.output)(input))
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn parameters(&self) -> Value {
        self.parameters.clone()
    }

    fn apply(&self, raster: Raster, _: &StepContext<'_>) -> Result<Outcome> {
        (self.apply)(raster)
    }
}

/// A default as a person would write it in a pipeline file.
pub(super) fn toml_value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
