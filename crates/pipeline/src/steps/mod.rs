//! The built-in steps: thin adapters from a pipeline file's keys to operations.

mod binarize;
mod clahe;
mod classical;
mod crop;
mod denoise;
mod deskew;
mod despeckle;
mod gray;
mod resize;
mod sharpen;
mod tone;

use crate::registry::StepKind;

/// All built-in kinds.
pub(crate) fn all() -> Vec<StepKind> {
    vec![
        binarize::kind(),
        clahe::kind(),
        crop::kind(),
        denoise::kind(),
        deskew::kind(),
        despeckle::kind(),
        gray::kind(),
        resize::kind(),
        sharpen::kind(),
        tone::kind(),
    ]
}
