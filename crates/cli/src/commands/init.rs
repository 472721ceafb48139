//! `fonds init`: a commented pipeline to start from.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use fonds_core::{Code, Error};

use crate::exit::{Exit, Outcome};
use crate::report;

/// Every table and key with what it means; a test compiles it.
pub(crate) const TEMPLATE: &str = include_str!("../../templates/init.toml");

pub(crate) fn init(path: &Path) -> Outcome {
    // Nobody's pipeline is written over.
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| {
        let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
        let message = if exists {
            "exists already"
        } else {
            "cannot be written"
        };
        let error = Error::from_io(error, Code::WriteFailed, message).at_path(path);
        if exists {
            error.hint("give another name: fonds init other.toml")
        } else {
            error
        }
    })?;
    file.write_all(TEMPLATE.as_bytes())?;
    let path = path.display();
    report::line(&format!(
        "wrote {path}; read it, then try: fonds plan {path} SCANS --out OUT"
    ));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_compiles() {
        let plan = fonds_pipeline::compile(TEMPLATE, &fonds_pipeline::Registry::builtin());
        let plan = plan.unwrap_or_else(|errors| panic!("{errors:?}"));
        assert!(!plan.steps.is_empty() && !plan.outputs.is_empty());
    }
}
