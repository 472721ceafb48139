//! Comparing the tensors that a network needs with those that a checkpoint has: all differences in one report.

use std::collections::{BTreeMap, HashSet};

use fonds_core::{Code, Error, Result};

use super::checkpoint::Tensors;

/// Names of each kind that a message lists.
const SHOWN: usize = 8;

/// How a checkpoint differs from what a network needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Needed and absent, with the shape needed, and the name in the checkpoint that looks most like it.
    pub missing: Vec<(String, Vec<usize>, Option<String>)>,
    /// Present and not needed.
    pub unexpected: Vec<String>,
    /// Present with another shape: name, needed, found.
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
}

/// Compares the names and shapes that a network needs with a checkpoint's tensors. Names for which
/// `ignore` holds (counters, statistics that are computed anew) are not missed in the network.
pub fn compare(
    needed: &[(String, Vec<usize>)],
    found: &Tensors,
    ignore: impl Fn(&str) -> bool,
) -> Mismatch {
    let wanted: HashSet<&str> = needed.iter().map(|(name, _)| &**name).collect();
    let unexpected: Vec<String> = found
        .names()
        .filter(|name| !wanted.contains(name) && !ignore(name))
        .map(str::to_owned)
        .collect();
    let mut report = Mismatch::default();
    for (name, shape) in needed {
        match found.get(name) {
            Some(tensor) if tensor.shape() == shape => {}
            Some(tensor) => {
                report
                    .misshaped
                    .push((name.clone(), shape.clone(), tensor.shape().to_vec()));
            }
            None => {
                // Looking for a near name costs the product of both lists; the message shows few.
                let near = if report.missing.len() < SHOWN {
                    nearest(name, shape, found, &unexpected)
                } else {
                    None
                };
                report.missing.push((name.clone(), shape.clone(), near));
            }
        }
    }
    report.unexpected = unexpected;
    report
}

/// That a checkpoint has exactly what a network needs.
///
/// # Errors
/// [`Code::ModelError`] with everything that [`compare`] finds.
pub fn expect(
    what: &str,
    needed: &[(String, Vec<usize>)],
    found: &Tensors,
    ignore: impl Fn(&str) -> bool,
) -> Result<()> {
    compare(needed, found, ignore).into_result(what)
}

impl Mismatch {
    /// Whether everything agrees.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }

    /// An error that says all differences, if there are any; `what` is the network's name.
    ///
    /// # Errors
    /// [`Code::ModelError`].
    pub fn into_result(self, what: &str) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            let names = self.missing.iter().map(|(name, shape, near)| match near {
                Some(near) => format!("`{name}` {shape:?} (the file has `{near}`)"),
                None => format!("`{name}` {shape:?}"),
            });
            parts.push(listed(self.missing.len(), "missing", names));
        }
        if !self.misshaped.is_empty() {
            let names = self
                .misshaped
                .iter()
                .map(|(name, needed, found)| format!("`{name}` {found:?}, not {needed:?}"));
            parts.push(listed(self.misshaped.len(), "of another shape", names));
        }
        if !self.unexpected.is_empty() {
            let names = self.unexpected.iter().map(|name| format!("`{name}`"));
            parts.push(listed(self.unexpected.len(), "unexpected", names));
        }
        let mut error = Error::new(
            Code::ModelError,
            format!("the weights are not those of {what}: {}", parts.join("; ")),
        );
        if let Some((from, to)) = self.renaming() {
            error = error.hint(format!(
                "rename `{from}…` to `{to}…` in the file, as every missing name suggests"
            ));
        } else if self.missing.is_empty() && self.unexpected.is_empty() {
            error =
                error.hint("the network has the same layers and other widths; check its settings");
        } else {
            error = error.hint("take the file that was trained for this network");
        }
        Err(error)
    }

    /// A prefix in the file and what it ought to be, where that explains every missing name.
    fn renaming(&self) -> Option<(String, String)> {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        let present: HashSet<&str> = self.unexpected.iter().map(|n| &**n).collect();
        let (first, _, _) = self.missing.first()?;
        for name in &self.unexpected {
            // `generator.body.0.weight` and `body.0.weight`, or the other way round.
            if let Some(prefix) = name.strip_suffix(&**first) {
                *counts
                    .entry((prefix.to_owned(), String::new()))
                    .or_default() += 1;
            } else if let Some(prefix) = first.strip_suffix(&**name) {
                *counts
                    .entry((String::new(), prefix.to_owned()))
                    .or_default() += 1;
            }
        }
        counts
            .into_keys()
            .find(|(from, to)| {
                self.missing.iter().all(|(name, _, _)| {
                    name.strip_prefix(&**to)
                        .is_some_and(|rest| present.contains(&*format!("{from}{rest}")))
                })
            })
            .filter(|(from, to)| !from.is_empty() || !to.is_empty())
    }
}

fn listed(count: usize, what: &str, names: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = names.take(SHOWN).collect();
    let more = count - shown.len();
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{count} {what}: {}{tail}", shown.join(", "))
}

/// The unexpected name that is closest to a missing one: among those of the same shape if there
/// are any, by the fewest edits, at most a third of the name.
fn nearest(name: &str, shape: &[usize], found: &Tensors, unexpected: &[String]) -> Option<String> {
    const CANDIDATES: usize = 4096;
    unexpected
        .iter()
        .take(CANDIDATES)
        .map(|other| {
            let same = found.get(other).is_some_and(|t| t.shape() == shape);
            (!same, edits(name, other), other)
        })
        .filter(|&(_, distance, other)| {
            distance <= name.len().max(other.len()) / 3 || other.ends_with(name)
        })
        .min()
        .map(|(_, _, other)| other.clone())
}

/// Levenshtein distance in bytes; names longer than 200 bytes are not compared.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() > 200 || b.len() > 200 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Tensor;

    fn tensors(names: &[(&str, &[usize])]) -> Tensors {
        names
            .iter()
            .map(|(name, shape)| {
                let values = vec![0.0; shape.iter().product()];
                (*name, Tensor::from_f32(shape, &values).unwrap())
            })
            .collect()
    }

    fn needed(names: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
        names
            .iter()
            .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))
            .collect()
    }

    #[test]
    fn everything_is_said_at_once() {
        let want = needed(&[
            ("conv_first.weight", &[8, 3, 3, 3]),
            ("conv_first.bias", &[8]),
            ("conv_last.weight", &[3, 8, 3, 3]),
            ("norm.weight", &[8]),
        ]);
        let have = tensors(&[
            ("conv_first.weight", &[4, 3, 3, 3]),
            ("conv_firts.bias", &[8]),
            ("conv_last.weight", &[3, 8, 3, 3]),
            ("norm.num_batches_tracked", &[1]),
            ("extra", &[2]),
        ]);
        let report = compare(&want, &have, |name| name.ends_with("num_batches_tracked"));
        assert_eq!(
            report.missing,
            [
                (
                    "conv_first.bias".to_owned(),
                    vec![8],
                    Some("conv_firts.bias".to_owned())
                ),
                ("norm.weight".to_owned(), vec![8], None),
            ]
        );
        assert_eq!(report.unexpected, ["conv_firts.bias", "extra"]);
        let error = report.into_result("EDSR").unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
        assert_eq!(
            error.message(),
            "the weights are not those of EDSR: 2 missing: `conv_first.bias` [8] (the file has \
             `conv_firts.bias`), `norm.weight` [8]; 1 of another shape: `conv_first.weight` \
             [4, 3, 3, 3], not [8, 3, 3, 3]; 2 unexpected: `conv_firts.bias`, `extra`"
        );
    }

    #[test]
    fn agreement_is_silent() {
        let want = needed(&[("a", &[1]), ("b", &[2, 2])]);
        assert!(
            expect("x", &want, &tensors(&[("b", &[2, 2]), ("a", &[1])]), |_| {
                false
            })
            .is_ok()
        );
    }

    #[test]
    fn a_prefix_that_explains_all_is_hinted() {
        let want = needed(&[("body.0.weight", &[1]), ("body.1.weight", &[1])]);
        let have = tensors(&[("net.body.0.weight", &[1]), ("net.body.1.weight", &[1])]);
        let error = expect("SRVGG", &want, &have, |_| false).unwrap_err();
        assert!(
            error.hints()[0].contains("rename `net.…` to `…`"),
            "{:?}",
            error.hints()
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..20).map(|i| format!("layer{i}")).collect();
        let want: Vec<_> = names.iter().map(|n| (n.clone(), vec![1])).collect();
        let error = expect("x", &want, &Tensors::new(), |_| false).unwrap_err();
        assert!(error.message().contains("20 missing"), "{error}");
        assert!(
            error.message().ends_with("`layer7` [1] and 12 more"),
            "{error}"
        );
    }

    #[test]
    fn edit_distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(edits(a, b), d, "{a} {b}");
            assert_eq!(edits(b, a), d, "{b} {a}");
        }
    }
}
