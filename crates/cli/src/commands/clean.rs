//! `fonds clean`: orphaned derivatives, listed or removed.

use std::path::Path;

use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn clean(output: &Path, remove: bool) -> Outcome {
    let found = fonds_pipeline::clean(output, remove)?;
    for path in &found.orphans {
        report::line(path);
    }
    let (files, size) = (found.orphans.len(), indicatif::HumanBytes(found.bytes));
    let done = match (files, remove) {
        (0, _) => "nothing to remove: every derivative belongs to a row of the catalog".to_owned(),
        (_, true) => format!("removed {files} files ({size})"),
        (_, false) => format!("{files} files ({size}) could go; add --remove to remove them"),
    };
    report::error_line(&done);
    Ok(Exit::Done)
}
