//! `fonds catalog export` and `import`: to other programs, and back with what people changed.

use fonds_catalog::{ExportOptions, Finding, ImportOptions, Profile, Severity};

use crate::args::{ExportArgs, ImportArgs};
use crate::exit::{Exit, Outcome};
use crate::report;

/// As many changes are shown one by one.
const SHOWN: usize = 50;

pub(crate) fn export(args: &ExportArgs) -> Outcome {
    let profile = Profile::from_text(&args.profile)?;
    let base_url = args.base_url.as_ref();
    let options = ExportOptions {
        base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
        archive: args.archive.clone(),
        keep_formulas: args.keep_formulas,
    };
    let exported = fonds_catalog::export(&args.output, profile, &args.to, &options)?;
    warn(&exported.findings);
    report::line(&format!(
        "{} rows, {} left out (skipped), {} files copied, {} cells quoted -> {}",
        exported.rows,
        exported.left_out,
        exported.copied,
        exported.escaped,
        args.to.display()
    ));
    Ok(Exit::Done)
}

pub(crate) fn import(args: &ImportArgs) -> Outcome {
    let profile = args.profile.as_deref().map(Profile::from_text);
    let options = ImportOptions {
        profile: profile.transpose()?,
        dry_run: args.dry_run,
    };
    let imported = fonds_catalog::import(&args.file, &args.output, options)?;
    for change in imported.changes.iter().take(SHOWN) {
        report::line(&format!(
            "{}: {}: `{}` -> `{}`",
            change.objectid,
            change.column,
            one_line(&change.from),
            one_line(&change.to)
        ));
    }
    if let Some(more) = imported.changes.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        report::line(&format!("and {more} more"));
    }
    warn(&imported.findings);
    let (rows, changes) = (imported.rows, imported.changes.len());
    let what = match (imported.has_errors(), imported.written, args.dry_run) {
        (true, ..) => "nothing was written: correct what is named above",
        (false, true, _) => "written",
        (false, false, true) => "nothing was written: --dry-run",
        (false, false, false) => "nothing to write",
    };
    report::line(&format!(
        "{rows} rows read as {}, {changes} cells changed, {} rows without an object; {what}",
        imported.layout, imported.vanished
    ));
    Ok(if imported.has_errors() {
        Exit::Problems
    } else {
        Exit::Done
    })
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// Shows findings, errors first.
fn warn(findings: &[Finding]) {
    for severity in [Severity::Error, Severity::Warning] {
        for finding in findings.iter().filter(|found| found.severity == severity) {
            report::error_line(&finding.to_string());
        }
    }
}
