//! `fonds catalog`: check catalogs, join the parts of sharded runs.

use std::path::{Path, PathBuf};

use fonds_catalog::{Finding, Severity};

use crate::args::{CatalogCommand, Style};
use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn catalog(command: &CatalogCommand) -> Outcome {
    match command {
        CatalogCommand::Validate { output, deep, format } => validate(output, *deep, *format),
        CatalogCommand::Merge { parts, out } => merge(parts, out),
    }
}

fn validate(output: &Path, deep: bool, style: Style) -> Outcome {
    let findings = fonds_catalog::validate(output, deep)?;
    for finding in &findings {
        match style {
            Style::Text => report::line(&finding.to_string()),
            Style::Json => report::line(&as_json(finding).to_string()),
        }
    }
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    report::error_line(&format!("{}: {errors} errors, {warnings} warnings", output.display()));
    Ok(if errors > 0 { Exit::Problems } else { Exit::Done })
}

fn as_json(finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "file": finding.file, "line": finding.line, "column": finding.column,
        "severity": finding.severity.as_str(), "message": finding.message, "hint": finding.hint,
    })
}

fn merge(parts: &[PathBuf], out: &Path) -> Outcome {
    let report = fonds_catalog::merge_catalogs(parts, out)?;
    report::line(&report.to_string());
    Ok(Exit::Done)
}
