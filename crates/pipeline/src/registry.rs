//! The steps that a pipeline can name; a library user adds their own.

use std::collections::BTreeMap;
use std::fmt;

use fonds_core::Result;

use crate::reader::Args;
use crate::step::Step;

/// One documented parameter of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// The key in the pipeline file.
    pub name: &'static str,
    /// The value when the key is left out, as TOML; empty when the step decides by itself.
    pub default: String,
    /// What it does, with unit and range.
    pub doc: &'static str,
}

type Build = dyn Fn(&mut Args<'_, '_>) -> Result<Box<dyn Step>> + Send + Sync;

/// A kind of step: its name, its documentation, and how to build it from parameters.
pub struct StepKind {
    name: &'static str,
    summary: &'static str,
    params: Vec<Param>,
    build: Box<Build>,
}

impl StepKind {
    /// A kind of step. `build` takes its keys from the arguments (keys that nobody takes are
    /// reported as unknown) and returns an error for values out of range.
    pub fn new(
        name: &'static str,
        summary: &'static str,
        params: Vec<Param>,
        build: impl Fn(&mut Args<'_, '_>) -> Result<Box<dyn Step>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            summary,
            params,
            build: Box::new(build),
        }
    }

    /// The name after `run.`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it does to a picture, in a sentence.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// Its parameters.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    pub(crate) fn build(&self, args: &mut Args<'_, '_>) -> Result<Box<dyn Step>> {
        (self.build)(args)
    }
}

impl fmt::Debug for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepKind({})", self.name)
    }
}

/// All kinds of steps by name.
#[derive(Debug)]
pub struct Registry {
    kinds: BTreeMap<&'static str, StepKind>,
}

impl Registry {
    /// A registry without steps.
    pub fn empty() -> Self {
        Self {
            kinds: BTreeMap::new(),
        }
    }

    /// The steps that this build of fonds has.
    pub fn builtin() -> Self {
        Self::of_steps(&crate::steps::Context::default())
    }

    /// The same, with weights and devices where these networks say.
    #[cfg(feature = "restore")]
    pub fn with_networks(networks: &std::sync::Arc<crate::Networks>) -> Self {
        Self::of_steps(&crate::steps::Context {
            folder: networks.path(""),
            networks: std::sync::Arc::clone(networks),
        })
    }

    fn of_steps(context: &crate::steps::Context) -> Self {
        let mut registry = Self::empty();
        for kind in crate::steps::all(context) {
            registry.add(kind);
        }
        registry
    }

    /// Adds a kind, or replaces the one of the same name.
    pub fn add(&mut self, kind: StepKind) {
        self.kinds.insert(kind.name, kind);
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<&StepKind> {
        self.kinds.get(name)
    }

    /// All kinds, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &StepKind> {
        self.kinds.values()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::builtin()
    }
}
