//! Text in XML 1.0.

/// Appends text for the content of an element or an attribute in double quotes.
///
/// Control characters that XML 1.0 has no way to say become U+FFFD.
pub(crate) fn put_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser would make line feeds of them.
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_control_characters() {
        let mut out = String::new();
        put_text("<a & \"b\">\r\n\t\0\u{ffff}", &mut out);
        assert_eq!(
            out,
            "&lt;a &amp; &quot;b&quot;&gt;&#13;\n\t\u{fffd}\u{fffd}"
        );
    }
}
