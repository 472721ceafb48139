//! Events as JSON, one object on a line, for programs.

use fonds_pipeline::{Counts, Event, ItemEnd};
use serde_json::{Value, json};

/// An event as a JSON object.
pub(crate) fn event(event: &Event) -> Value {
    match event {
        Event::Started {
            run_id,
            found,
            selected,
            bytes,
        } => json!({
            "event": "started", "run_id": run_id, "found": found, "selected": selected,
            "bytes": bytes,
        }),
        Event::Warning { message } => json!({ "event": "warning", "message": message }),
        Event::Finished {
            path,
            end,
            pixels,
            bytes,
            took,
        } => {
            let mut object = json!({
                "event": "finished", "path": path, "status": status(end), "pixels": pixels,
                "bytes": bytes, "seconds": (took.as_secs_f64() * 1e3).round() / 1e3,
            });
            if let ItemEnd::Failed { code, message } = end {
                object["error_code"] = json!(code.as_str());
                object["error_message"] = json!(message);
            }
            object
        }
        Event::Stopping { reason } => json!({ "event": "stopping", "reason": reason.as_str() }),
        Event::Cataloguing => json!({ "event": "cataloguing" }),
        Event::Reviewed {
            set_aside,
            brought_back,
        } => json!({
            "event": "reviewed", "set_aside": set_aside, "brought_back": brought_back,
        }),
        Event::Ended { counts, output } => json!({
            "event": "ended", "output": output.display().to_string(), "counts": counted(counts),
        }),
    }
}

fn status(end: &ItemEnd) -> &'static str {
    match end {
        ItemEnd::Ok => "ok",
        ItemEnd::Warning => "warning",
        ItemEnd::Unchanged => "unchanged",
        ItemEnd::UpToDate => "up_to_date",
        ItemEnd::Failed { .. } => "failed",
    }
}

fn counted(counts: &Counts) -> Value {
    json!({
        "found": counts.found, "processed": counts.processed, "up_to_date": counts.up_to_date,
        "ok": counts.ok, "unchanged": counts.unchanged, "warning": counts.warning,
        "skipped": counts.skipped, "failed": counts.failed, "cancelled": counts.cancelled,
        "missing": counts.missing,
    })
}
