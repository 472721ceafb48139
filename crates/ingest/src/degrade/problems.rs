//! What is wrong with the parameters of a recipe: all of it, each with its key.

use std::fmt;

/// A parameter that is out of range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands: `effect[2].noise.sigma`.
    pub key: String,
    /// What is the case; a fragment.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.message)
    }
}

/// Problems as they are found, and where the search is.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) all: Vec<Problem>,
    within: Vec<String>,
}

impl Problems {
    /// Searches inside of a key.
    pub(super) fn within(&mut self, key: String, search: impl FnOnce(&mut Self)) {
        self.within.push(key);
        search(self);
        self.within.pop();
    }

    pub(super) fn add(&mut self, key: &str, message: &str) {
        let mut place = self.within.join(".");
        if !place.is_empty() {
            place.push('.');
        }
        self.all.push(Problem {
            key: place + key,
            message: message.to_owned(),
        });
    }

    pub(super) fn number(&mut self, key: &str, value: f32, low: f32, high: f32) {
        // Written so that NaN is out of range too.
        if !(value >= low && value <= high) {
            self.add(key, &format!("it is {low} to {high} (found {value})"));
        }
    }

    pub(super) fn range(&mut self, key: &str, (from, to): (f32, f32), low: f32, high: f32) {
        if !(from >= low && to <= high) {
            let found = format!("it lies within {low} to {high} (found {from} to {to})");
            self.add(key, &found);
        } else if from > to {
            self.add(
                key,
                &format!("it ends before it begins (found {from} to {to})"),
            );
        }
    }

    pub(super) fn some<T>(&mut self, key: &str, choices: &[T]) {
        if choices.is_empty() {
            self.add(key, "there is nothing to choose from");
        }
    }
}
