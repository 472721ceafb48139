//! Reading a bag back and proving it: declaration, manifests, every file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use fonds_core::{Error, Result};

use super::manifest::{Line, Manifest};
use crate::digests::{self, FileDigest};
use crate::finding::{Finding, Severity};
use crate::folder;

/// The digests of a bag's files, by place.
pub(crate) type Digests = HashMap<PathBuf, Result<FileDigest>>;

/// The algorithms that are checked, with their digits; RFC 8493 asks for these two.
const ALGORITHMS: [(&str, usize); 2] = [("sha256", 64), ("sha512", 128)];

/// Checks a bag; says what is wrong, and the digests of all that was read.
pub(crate) fn check(bag: &Path, findings: &mut Vec<Finding>) -> Result<Digests> {
    let files = folder::files(bag)?;
    let present: BTreeMap<&str, &Path> = files
        .iter()
        .filter(|found| found.is_file)
        .map(|found| (found.path.as_str(), found.place.as_path()))
        .collect();
    for found in files.iter().filter(|found| !found.is_file) {
        error(
            findings,
            &found.path,
            0,
            "is a link, which a bag cannot have",
        );
    }
    let digests = digests::of_files(
        present.values().map(|path| (*path).to_owned()).collect(),
        true,
    );
    declaration(bag, findings);
    let mut bag = Bag {
        root: bag,
        present,
        digests: &digests,
        findings,
    };
    bag.oxum();
    bag.manifests();
    if bag.present.contains_key("fetch.txt") {
        let message = "names files that are still to be fetched, and fonds fetches nothing";
        error(bag.findings, "fetch.txt", 0, message);
    }
    Ok(digests)
}

struct Bag<'a> {
    root: &'a Path,
    present: BTreeMap<&'a str, &'a Path>,
    digests: &'a Digests,
    findings: &'a mut Vec<Finding>,
}

impl Bag<'_> {
    /// The payload has the bytes and files that `bag-info.txt` says.
    fn oxum(&mut self) {
        const INFO: &str = "bag-info.txt";
        let Ok(text) = std::fs::read_to_string(self.root.join(INFO)) else {
            return;
        };
        let line = text.lines().enumerate().find_map(|(i, line)| {
            let (label, value) = line.split_once(':')?;
            let found = label.trim().eq_ignore_ascii_case("Payload-Oxum");
            found.then(|| (i as u32 + 1, value.trim().to_owned()))
        });
        let Some((number, said)) = line else {
            return;
        };
        let payload = self
            .present
            .iter()
            .filter(|(path, _)| path.starts_with("data/"));
        let (mut bytes, mut files) = (0, 0);
        for (_, place) in payload {
            files += 1;
            if let Some(Ok(found)) = self.digests.get(*place) {
                bytes += found.size;
            }
        }
        let found = format!("{bytes}.{files}");
        if found != said {
            let message = format!("Payload-Oxum is {said} and the payload has {found}");
            error(self.findings, INFO, number, &message);
        }
    }

    fn manifests(&mut self) {
        let names: Vec<String> = self
            .present
            .keys()
            .filter(|path| !path.contains('/') && path.contains("manifest-"))
            .map(|path| (*path).to_owned())
            .collect();
        let mut payload_manifests = 0;
        for name in names {
            let stem = name.strip_suffix(".txt");
            let Some((kind, algorithm)) = stem.and_then(|stem| stem.split_once("manifest-")) else {
                continue;
            };
            let known = ALGORITHMS.iter().find(|(known, _)| *known == algorithm);
            let Some(&(_, digits)) = known else {
                let message = format!("is of `{algorithm}`, which is not checked");
                self.findings
                    .push(Finding::new(Severity::Warning, &name, 0, message));
                continue;
            };
            match kind {
                "" => {
                    payload_manifests += 1;
                    self.manifest(&name, digits, true);
                }
                "tag" => self.manifest(&name, digits, false),
                _ => {}
            }
        }
        if payload_manifests == 0 {
            let message = "there is no manifest-sha256.txt and no manifest-sha512.txt";
            error(self.findings, "bagit.txt", 0, message);
        }
    }

    fn manifest(&mut self, name: &str, digits: usize, payload: bool) {
        let text = match std::fs::read(self.root.join(name)).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return error(self.findings, name, 0, "is not UTF-8"),
            Err(_) => return error(self.findings, name, 0, "cannot be read"),
        };
        let (manifest, errors) = Manifest::parse(&text, digits);
        for found in errors {
            let line = found.place().line.unwrap_or(0);
            error(self.findings, name, line, found.message());
        }
        let mut listed = BTreeSet::new();
        for line in &manifest.lines {
            if payload && !line.path.starts_with("data/") {
                let message = format!("`{}` is not of the payload", line.path);
                error(self.findings, name, line.number, &message);
                continue;
            }
            if let Some(path) = self.line(line, name, digits) {
                listed.insert(path);
            }
        }
        if !payload {
            return;
        }
        let extra: Vec<String> = self
            .present
            .keys()
            .filter(|path| path.starts_with("data/") && !listed.contains(**path))
            .map(|path| (*path).to_owned())
            .collect();
        for path in extra {
            error(self.findings, &path, 0, &format!("is not in {name}"));
        }
    }

    /// Compares a line with its file; returns the path under which the file is there.
    fn line(&mut self, line: &Line, name: &str, digits: usize) -> Option<String> {
        let mut path = line.path.as_str();
        if !self.present.contains_key(path) && self.present.contains_key(line.lenient.as_str()) {
            // As most programs write it, against the RFC.
            path = &line.lenient;
            let message = "has a `%` that is not encoded as RFC 8493 asks";
            self.findings
                .push(Finding::new(Severity::Warning, name, line.number, message));
        }
        let Some(place) = self.present.get(path) else {
            error(
                self.findings,
                path,
                0,
                &format!("is missing, and {name} names it"),
            );
            return None;
        };
        match self.digests.get(*place) {
            Some(Ok(found)) => {
                let digest = if digits == 64 {
                    found.sha256.to_string()
                } else {
                    found.sha512.clone()
                };
                if digest != line.digest {
                    let message = format!(
                        "has the digest {}… where {name} has {}…",
                        &digest[..16],
                        &line.digest[..16]
                    );
                    error(self.findings, path, 0, &message);
                }
            }
            Some(Err(unread)) => unreadable(self.findings, path, unread),
            None => {}
        }
        Some(path.to_owned())
    }
}

/// `bagit.txt` is two lines.
fn declaration(bag: &Path, findings: &mut Vec<Finding>) {
    const FILE: &str = "bagit.txt";
    let text = std::fs::read_to_string(bag.join(FILE)).unwrap_or_default();
    let mut lines = text.lines();
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("BagIt-Version: "));
    let version = version.map(str::trim);
    if !version.is_some_and(|version| ["0.97", "1.0"].contains(&version)) {
        error(findings, FILE, 1, "is not `BagIt-Version: 1.0` (or 0.97)");
    }
    let encoding = lines.next().map(str::trim);
    if encoding != Some("Tag-File-Character-Encoding: UTF-8") {
        error(
            findings,
            FILE,
            2,
            "is not `Tag-File-Character-Encoding: UTF-8`",
        );
    }
    if lines.next().is_some() {
        error(findings, FILE, 3, "has more than two lines");
    }
    if !bag.join("data").is_dir() {
        error(findings, "data", 0, "is missing: the folder of the payload");
    }
}

fn error(findings: &mut Vec<Finding>, file: &str, line: u32, message: &str) {
    findings.push(Finding::new(Severity::Error, file, line, message));
}

fn unreadable(findings: &mut Vec<Finding>, path: &str, unread: &Error) {
    error(findings, path, 0, unread.message());
}
