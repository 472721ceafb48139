//! The lines of a bag's manifests.

use std::collections::HashMap;

use fonds_core::{Code, Error, Result};

/// Appends a line: the digest, two spaces, and the path with CR, LF and `%` percent-encoded.
pub(super) fn put_line(digest: &str, path: &str, out: &mut String) {
    out.push_str(digest);
    out.push_str("  ");
    for c in path.chars() {
        match c {
            '%' => out.push_str("%25"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c => out.push(c),
        }
    }
    out.push('\n');
}

/// A path as it is, from how a manifest spells it; other `%XX` than these three are themselves.
fn decode(path: &str) -> String {
    decode_of(path, &[("%25", '%'), ("%0D", '\r'), ("%0A", '\n')])
}

fn decode_of(path: &str, codes: &[(&str, char)]) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(i) = rest.find('%') {
        out.push_str(&rest[..i]);
        let code = rest.get(i..i + 3).unwrap_or_default();
        let known = codes
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(code));
        if let Some((_, c)) = known {
            out.push(*c);
            rest = &rest[i + 3..];
        } else {
            out.push('%');
            rest = &rest[i + 1..];
        }
    }
    out.push_str(rest);
    out
}

/// A manifest: the digest of each path, as the manifest spells it, and the line.
pub(super) struct Manifest {
    pub(super) lines: Vec<Line>,
}

/// A line of a manifest.
pub(super) struct Line {
    pub(super) number: u32,
    /// The path as the RFC decodes it.
    pub(super) path: String,
    /// The path as bagit-python and others decode it, which leave `%` alone.
    pub(super) lenient: String,
    pub(super) digest: String,
}

impl Manifest {
    /// Reads a manifest; paths that are there twice or lead out of the bag are errors.
    pub(super) fn parse(text: &str, digits: usize) -> (Self, Vec<Error>) {
        let mut lines: Vec<Line> = Vec::new();
        let mut errors = Vec::new();
        let mut seen: HashMap<String, u32> = HashMap::new();
        for (i, text) in text.split(['\n', '\r']).enumerate() {
            if text.trim().is_empty() {
                continue;
            }
            let number = i as u32 + 1;
            match line(text, digits, number) {
                Ok(line) => {
                    if let Some(first) = seen.insert(line.path.clone(), number) {
                        let message = format!("`{}` is there before, on line {first}", line.path);
                        errors.push(Error::new(Code::Corrupt, message).on_line(number));
                    } else {
                        lines.push(line);
                    }
                }
                Err(error) => errors.push(error.on_line(number)),
            }
        }
        (Self { lines }, errors)
    }
}

fn line(text: &str, digits: usize, number: u32) -> Result<Line> {
    let bad = |message: String| Error::new(Code::Corrupt, message);
    let (digest, path) = text
        .split_once([' ', '\t'])
        .ok_or_else(|| bad("is not a digest and a path".to_owned()))?;
    let hex = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digest.len() != digits || !hex {
        return Err(bad(format!(
            "`{digest}` is not {digits} hexadecimal digits"
        )));
    }
    // Older tools mark binary files as md5sum does.
    let written = path.trim_start();
    let written = written.strip_prefix('*').unwrap_or(written);
    let path = decode(written);
    let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
    let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !inside {
        return Err(bad(format!("`{path}` leads out of the bag")));
    }
    Ok(Line {
        number,
        lenient: decode_of(written, &[("%0D", '\r'), ("%0A", '\n')]),
        path,
        digest: digest.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_characters_are_encoded() {
        let mut out = String::new();
        put_line("ab", "data/50%, a\r\nb.tif", &mut out);
        assert_eq!(out, "ab  data/50%25, a%0D%0Ab.tif\n");
        assert_eq!(decode("50%25%0a%0D%41%"), "50%\n\r%41%");
    }

    #[test]
    fn bad_lines_are_named() {
        let text = "zz  data/a\nabcd  data/b\nabcd  data/b\nabcd  ../c\nabcd\nabcd *data/d\n";
        let (manifest, errors) = Manifest::parse(text, 4);
        let paths: Vec<_> = manifest
            .lines
            .iter()
            .map(|line| line.path.as_str())
            .collect();
        assert_eq!(paths, ["data/b", "data/d"]);
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "line 1: `zz` is not 4 hexadecimal digits",
                "line 3: `data/b` is there before, on line 2",
                "line 4: `../c` leads out of the bag",
                "line 5: is not a digest and a path",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_path_comes_back(path in "[a%\r\n 0-9D]{1,12}") {
            let mut out = String::new();
            put_line("ab", &format!("data/x{path}x"), &mut out);
            let (manifest, errors) = Manifest::parse(&out, 2);
            prop_assert!(errors.is_empty());
            prop_assert_eq!(&manifest.lines[0].path, &format!("data/x{path}x"));
        }
    }
}
