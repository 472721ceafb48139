//! `fonds catalog`: check catalogs, join the parts of sharded runs, exchange with others.

use std::path::{Path, PathBuf};

use fonds_catalog::{
    Adopt, FileCheck, Finding, Severity, ValidateOptions, adopt_files, check_parts, merge_catalogs,
};

use crate::args::{CatalogCommand, Style};
use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn catalog(command: &CatalogCommand) -> Outcome {
    match command {
        CatalogCommand::Validate {
            output,
            deep,
            format,
        } => validate(output, *deep, *format),
        CatalogCommand::Merge { parts, out } => merge(parts, out),
        CatalogCommand::Query(args) => super::catalog_query::query(args),
        CatalogCommand::Similar { output, distance } => {
            super::catalog_query::similar(output, *distance)
        }
        CatalogCommand::Export(args) => super::catalog_exchange::export(args),
        CatalogCommand::Import(args) => super::catalog_exchange::import(args),
    }
}

fn validate(output: &Path, deep: bool, style: Style) -> Outcome {
    let files = if deep {
        FileCheck::Digest
    } else {
        FileCheck::Exist
    };
    let options = ValidateOptions {
        files,
        ..ValidateOptions::default()
    };
    let findings = fonds_catalog::validate(output, &options)?;
    Ok(show(output, &findings, style))
}

/// Prints findings and how many there are; says what they mean.
pub(super) fn show(path: &Path, findings: &[Finding], style: Style) -> Exit {
    for finding in findings {
        match style {
            Style::Text => report::line(&finding.to_string()),
            Style::Json => report::line(&as_json(finding).to_string()),
        }
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    let warnings = findings.len() - errors;
    report::error_line(&format!(
        "{}: {errors} errors, {warnings} warnings",
        path.display()
    ));
    if errors > 0 {
        Exit::Problems
    } else {
        Exit::Done
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "file": finding.file, "line": finding.line, "column": finding.column,
        "severity": if finding.severity == Severity::Error { "error" } else { "warning" },
        "message": finding.message, "hint": finding.hint,
    })
}

fn merge(parts: &[PathBuf], out: &Path) -> Outcome {
    std::fs::create_dir_all(out)?;
    // Wrong parts are refused before a single file is brought over.
    for warning in check_parts(parts, out)? {
        report::error_line(&format!("warning: {warning}"));
    }
    let adopted = adopt_files(parts, out, Adopt::Link)?;
    for path in &adopted.missing {
        report::error_line(&format!(
            "{}: a table names it and it is not there",
            path.display()
        ));
    }
    let merged = merge_catalogs(parts, out)?;
    let summary = &merged.summary;
    let (files, rows) = (adopted.linked + adopted.copied, summary.files.total());
    report::line(&format!(
        "joined {} parts: {rows} rows, {files} files -> {}",
        parts.len(),
        out.display()
    ));
    Ok(if adopted.missing.is_empty() {
        Exit::Done
    } else {
        Exit::Problems
    })
}
