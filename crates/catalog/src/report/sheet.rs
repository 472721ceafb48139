//! What the contact sheet knows of each picture: arrays of one value a picture, so that 20,000 of them
//! are a few megabytes and filtering them is a walk along an array.

use std::collections::HashMap;

use serde::Serialize;

use super::read::{Picture, decision, likeness};
use super::write::Shown;
use crate::provenance::EventOutcome;
use crate::review::Decision;
use crate::status::Reason;

/// The columns, under the names that the page's script uses.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sheet {
    id: Vec<String>,
    title: Vec<String>,
    file: Vec<String>,
    /// What else a search looks at: people, places, subjects, notes.
    words: Vec<String>,
    date: Vec<String>,
    /// The small picture's name, or nothing.
    thumb: Vec<String>,
    /// Sides of that picture, so that its place is known before it is loaded.
    across: Vec<u16>,
    down: Vec<u16>,
    status: Vec<u16>,
    format: Vec<u16>,
    flags: Vec<u16>,
    operations: Vec<u16>,
    code: Vec<u16>,
    width: Vec<u32>,
    height: Vec<u32>,
    bytes: Vec<u64>,
    versions: Vec<u16>,
    blur: Vec<Option<f64>>,
    noise: Vec<Option<f64>>,
    clipped: Vec<Option<f64>>,
    damaged: Vec<Option<f64>>,
    ssim: Vec<Option<f64>>,
    psnr: Vec<Option<f64>>,
    seconds: Vec<Option<f64>>,
    /// 0 nothing, 1 approved, 2 rejected.
    review: Vec<u8>,
    words_of: Words,
}

/// The words that numbers in the columns stand for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Words {
    status: Table,
    format: Table,
    code: Table,
    flag: Table,
    operation: Table,
    /// Sets of flags and of operations, each by the numbers of its words.
    flags: Sets,
    operations: Sets,
}

/// Words in the order in which they came.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Table {
    words: Vec<String>,
    #[serde(skip)]
    numbers: HashMap<String, u16>,
}

#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Sets {
    sets: Vec<Vec<u16>>,
    #[serde(skip)]
    numbers: HashMap<Vec<u16>, u16>,
}

impl Table {
    /// The word's number; the 65,536th word and what follows share the last one.
    fn number(&mut self, word: &str) -> u16 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        if self.words.len() > usize::from(u16::MAX) {
            return u16::MAX;
        }
        let number = self.words.len() as u16;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }
}

impl Sets {
    fn number(&mut self, set: Vec<u16>) -> u16 {
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        if self.sets.len() > usize::from(u16::MAX) {
            return u16::MAX;
        }
        let number = self.sets.len() as u16;
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }
}

impl Sheet {
    /// How many pictures there are.
    pub(super) fn len(&self) -> usize {
        self.id.len()
    }

    pub(super) fn push(&mut self, picture: &Picture, shown: &Shown) {
        let record = &picture.record;
        let words = &mut self.words_of;
        self.id.push(record.objectid.clone());
        self.title.push(record.title.clone());
        self.file.push(record.filename.clone());
        let said = [
            &record.creator,
            &record.location,
            &record.identifier,
            &record.description,
        ];
        let mut said: Vec<&str> = said.into_iter().map(String::as_str).collect();
        said.extend(record.subject.iter().map(String::as_str));
        said.retain(|text| !text.is_empty());
        self.words.push(said.join(" "));
        self.date.push(record.date.clone());
        self.thumb.push(shown.thumb.clone().unwrap_or_default());
        self.across.push(shown.thumb_size.0);
        self.down.push(shown.thumb_size.1);
        self.status
            .push(words.status.number(record.status.as_str()));
        self.format.push(words.format.number(&record.format));
        let code = record.error_code.map(Reason::as_str);
        self.code.push(words.code.number(code.unwrap_or_default()));
        let flags = record.quality_flags.iter();
        let flags = flags.map(|flag| words.flag.number(flag.as_str())).collect();
        self.flags.push(words.flags.number(flags));
        let acted = operations(picture);
        let acted = acted.iter().filter(|(_, how)| *how != How::LeftAlone);
        let mut acted: Vec<_> = acted
            .map(|(operation, _)| words.operation.number(operation))
            .collect();
        acted.sort_unstable();
        acted.dedup();
        self.operations.push(words.operations.number(acted));
        self.width.push(record.image_width.unwrap_or(0));
        self.height.push(record.image_height.unwrap_or(0));
        self.bytes.push(record.file_size.unwrap_or(0));
        self.versions
            .push(picture.versions.len().min(usize::from(u16::MAX)) as u16);
        self.blur.push(record.blur_score);
        self.noise.push(record.noise_score);
        self.clipped.push(record.clipped_percent);
        self.damaged.push(record.damaged_percent);
        let (ssim, psnr) = likeness(picture);
        self.ssim.push(ssim);
        self.psnr.push(psnr);
        self.seconds
            .push(picture.seconds.map(|seconds| (seconds * 1e3).round() / 1e3));
        self.review.push(match decision(picture) {
            None => 0,
            Some(Decision::Approved) => 1,
            Some(Decision::Rejected) => 2,
        });
    }
}

/// How it went with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Acted,
    Refused,
    LeftAlone,
}

/// The operations that looked at a picture, and how it went; each once a step.
pub(super) fn operations(picture: &Picture) -> Vec<(&str, How)> {
    let mut found: Vec<(&str, &str, How)> = Vec::new();
    for sidecar in picture
        .versions
        .iter()
        .filter_map(|version| version.sidecar.as_ref())
    {
        let events = sidecar.events.iter().filter_map(|event| {
            let how = match event.outcome {
                EventOutcome::Pass => How::Acted,
                EventOutcome::Warning | EventOutcome::Fail => How::Refused,
            };
            Some((event.step.as_deref()?, event.operation.as_deref()?, how))
        });
        let skipped = sidecar.skipped.iter();
        let skipped = skipped.map(|skipped| {
            let (step, operation) = (skipped.step.as_str(), skipped.operation.as_str());
            (step, operation, How::LeftAlone)
        });
        for entry in events.chain(skipped) {
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
    }
    found
        .into_iter()
        .map(|(_, operation, how)| (operation, how))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sets_are_numbered_once() {
        let mut table = Table::default();
        assert_eq!(["a", "b", "a"].map(|word| table.number(word)), [0, 1, 0]);
        assert_eq!(serde_json::to_string(&table).unwrap(), r#"["a","b"]"#);
        let mut sets = Sets::default();
        let numbers = [vec![], vec![1, 2], vec![]].map(|set| sets.number(set));
        assert_eq!(numbers, [0, 1, 0]);
        assert_eq!(serde_json::to_string(&sets).unwrap(), "[[],[1,2]]");
    }
}
