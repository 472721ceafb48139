//! `fonds verify`: an output or a bag, read again and proved.

use std::path::{Path, PathBuf};

use fonds_catalog::VerifyOptions;

use super::catalog::show;
use crate::args::Style;
use crate::exit::Outcome;
use crate::report;

pub(crate) fn verify(path: &Path, archive: Option<PathBuf>, style: Style) -> Outcome {
    let options = VerifyOptions { archive };
    let proved = fonds_catalog::verify(path, &options)?;
    let exit = show(path, &proved.findings, style);
    report::error_line(&format!(
        "read {} files ({}): {} originals, {} derivatives and {} sidecars are as recorded{}",
        proved.files,
        indicatif::HumanBytes(proved.bytes),
        proved.sources,
        proved.derivatives,
        proved.sidecars,
        if proved.is_bag { ", in a bag" } else { "" },
    ));
    Ok(exit)
}
