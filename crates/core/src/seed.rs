//! Seeds that depend on what they are for, never on when or where the work is done.

use crate::digest::Hasher;

/// A 64-bit seed; children are derived by name, so that every picture and step has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The seed that a user wrote.
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number to hand to a generator.
    pub fn value(self) -> u64 {
        self.0
    }

    /// The seed for a part of the work, the same on every machine and in every order.
    ///
    /// ```
    /// use fonds_core::Seed;
    /// let run = Seed::new(42);
    /// assert_eq!(run.derive("a.tif"), run.derive("a.tif"));
    /// assert_ne!(run.derive("a.tif"), run.derive("b.tif"));
    /// ```
    #[must_use]
    pub fn derive(self, name: &str) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&self.0.to_be_bytes());
        hasher.update(name.as_bytes());
        Self(hasher.finish().to_u64())
    }
}
