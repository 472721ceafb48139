//! Values as scripts that any page can load from the disk.

use fonds_core::{Code, Error, Result};
use serde::Serialize;

/// A value as JSON that is safe wherever a script may stand: nothing in it can end a script element,
/// begin a comment of HTML, or break a line as older scripts see them.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|error| {
        Error::new(Code::Internal, "the data of a report cannot be written").caused_by(error)
    })?;
    Ok(escaped(&text))
}

/// In JSON these characters stand in texts only, so each may become its escape.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_script() {
        let name = "</script><!-- \u{2028}&\"'\n%41";
        let text = json(&[name]).unwrap();
        assert!(!text.contains(['<', '>', '&', '\u{2028}', '\n']), "{text}");
        let back: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(back, [name]);
    }
}
