//! The built-in steps: thin adapters from a pipeline file's keys to operations.

mod age;
mod binarize;
mod clahe;
mod classical;
#[cfg(feature = "restore")]
mod clear;
mod crop;
mod denoise;
mod deskew;
mod despeckle;
mod gray;
mod matching;
#[cfg(feature = "restore")]
mod network;
mod repair;
mod resize;
mod sharpen;
#[cfg(feature = "restore")]
mod stylize;
mod tone;
#[cfg(feature = "restore")]
mod translate;
#[cfg(feature = "restore")]
mod twice;
#[cfg(feature = "restore")]
mod upscale;

use crate::registry::StepKind;

#[cfg(feature = "restore")]
pub(crate) use network::{Asked, makes_up, name_of};

/// What the steps of one registry share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    /// Where relative paths of pictures start: the folder of the pipeline file.
    pub(crate) folder: std::path::PathBuf,
    /// The networks' files and devices.
    #[cfg(feature = "restore")]
    pub(crate) networks: std::sync::Arc<crate::networks::Networks>,
}

impl Context {
    /// The path of a file as a pipeline names it.
    pub(crate) fn path(&self, file: &str) -> std::path::PathBuf {
        #[cfg(feature = "restore")]
        {
            self.networks.path(file)
        }
        #[cfg(not(feature = "restore"))]
        {
            std::path::PathBuf::from(file)
        }
    }
}

/// All built-in kinds.
pub(crate) fn all(context: &Context) -> Vec<StepKind> {
    let mut kinds = vec![
        age::kind(),
        binarize::kind(),
        clahe::kind(),
        crop::kind(),
        denoise::kind(context),
        deskew::kind(),
        despeckle::kind(),
        gray::kind(),
        matching::kind(context),
        repair::kind(context),
        resize::kind(),
        sharpen::kind(),
        tone::kind(),
    ];
    kinds.extend(of_networks(context));
    kinds
}

#[cfg(feature = "restore")]
fn of_networks(context: &Context) -> [StepKind; 5] {
    [
        clear::kind(&context.networks),
        network::kind(&context.networks),
        stylize::kind(&context.networks),
        translate::kind(&context.networks),
        upscale::kind(&context.networks),
    ]
}

/// Where no network is built in, their steps say so.
#[cfg(not(feature = "restore"))]
fn of_networks(_: &Context) -> [StepKind; 5] {
    ["clear", "network", "stylize", "translate", "upscale"].map(|name| {
        let summary = "Not in this build: it has no networks";
        StepKind::new(name, summary, Vec::new(), |args| {
            args.ignore();
            Err(no_networks())
        })
    })
}

#[cfg(not(feature = "restore"))]
fn no_networks() -> fonds_core::Error {
    let message = "this build of fonds has no networks";
    fonds_core::Error::new(fonds_core::Code::NotBuiltIn, message)
        .hint("build fonds-pipeline with its feature `restore`")
}
