//! The sidecar of a derivative: what it was made from, what was done, by what, and what was not.
//!
//! The vocabulary is PREMIS's for the events and IPTC's for the kind of picture that comes out.
//! Ids and times are given by the caller; nothing here reads a clock.

mod source_type;
mod wire;

pub use source_type::{ActKind, digital_source_type};
pub use wire::{
    Agent, Derivative, DigestWire, Environment, Event, Model, Sidecar, SkipReason, SkippedStep,
    Source, measured,
};

use serde_json::Value;

/// The value of a sidecar's `schema`.
pub const SIDECAR_SCHEMA: &str = "prov-sidecar/1";

/// What the name of a sidecar adds to its derivative's.
pub const SIDECAR_SUFFIX: &str = ".prov.json";

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:literal;)*) => {
        /// An event type of the PREMIS vocabulary.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum EventType { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl EventType {
            /// All event types that fonds writes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The term, as it is written to sidecars.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The URI of the term at the Library of Congress.
            pub fn uri(self) -> &'static str {
                match self {
                    $(Self::$name => concat!(
                        "http://id.loc.gov/vocabulary/preservation/eventType/",
                        $code
                    ),)*
                }
            }
        }
    };
}

event_types! {
    /// The source was digested before it was used.
    MessageDigestCalculation = "message digest calculation", "mes";
    /// The source's format was found by its content.
    FormatIdentification = "format identification", "for";
    /// The source was decoded fully.
    Validation = "validation", "val";
    /// What the file says about itself was read.
    MetadataExtraction = "metadata extraction", "mee";
    /// A step made a changed picture; the source stayed as it was.
    Modification = "modification", "mod";
    /// A thumbnail or a copy in another format was made.
    Normalization = "normalization", "nor";
    /// The source was compared with its digest after the work.
    FixityCheck = "fixity check", "fix";
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventOutcome {
    /// As it should.
    Pass,
    /// With remarks; a refused step too, whose result was undone.
    Warning,
    /// Not at all.
    Fail,
}

/// A sidecar without what tells one run from another: the ids and times of its events, the
/// environment and the run. Two sidecars have the same content when their views are equal.
///
/// Removed are exactly `run` and `environment` at the top, and `id` and `dateTime` in each of
/// `events`.
#[must_use]
pub fn content_view(sidecar: &Value) -> Value {
    let mut view = sidecar.clone();
    let Some(top) = view.as_object_mut() else {
        return view;
    };
    top.shift_remove("run");
    top.shift_remove("environment");
    let events = top.get_mut("events").and_then(Value::as_array_mut);
    for event in events.into_iter().flatten() {
        if let Some(event) = event.as_object_mut() {
            event.shift_remove("id");
            event.shift_remove("dateTime");
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_view_drops_exactly_what_a_run_adds() {
        let sidecar = json!({
            "schema": "prov-sidecar/1",
            "derivative": { "id": "kept", "run": "kept", "dateTime": "kept" },
            "events": [
                { "id": "u1", "type": "validation", "dateTime": "t", "parameters": { "id": 1 } },
                "kept",
            ],
            "environment": { "os": "linux" },
            "run": "r",
            "config_sha256": "c",
        });
        let expected = json!({
            "schema": "prov-sidecar/1",
            "derivative": { "id": "kept", "run": "kept", "dateTime": "kept" },
            "events": [{ "type": "validation", "parameters": { "id": 1 } }, "kept"],
            "config_sha256": "c",
        });
        assert_eq!(content_view(&sidecar), expected);
        assert_eq!(content_view(&json!([1])), json!([1]));
    }

    #[test]
    fn event_types_are_written_as_their_terms() {
        for kind in EventType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert!(kind.uri().ends_with(&kind.as_str()[..3]) || kind.uri().ends_with("mee"));
        }
    }
}
