//! Decoded pictures, kept as long as they fit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::picture::Picture;

/// Pictures by side and entry, up to a number of bytes.
///
/// What came first stays: every picture is read once an epoch in a new order, and there an LRU of
/// less than all pictures would throw each one away just before it is asked for again.
#[derive(Debug)]
pub(super) struct Cache {
    budget: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pictures: HashMap<(usize, usize), Arc<Vec<Picture>>>,
    bytes: u64,
}

impl Cache {
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            kept: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: (usize, usize)) -> Option<Arc<Vec<Picture>>> {
        self.lock().pictures.get(&key).cloned()
    }

    pub(super) fn put(&self, key: (usize, usize), pictures: &Arc<Vec<Picture>>) {
        let bytes: u64 = pictures.iter().map(Picture::bytes).sum();
        let mut kept = self.lock();
        if kept.bytes + bytes <= self.budget && !kept.pictures.contains_key(&key) {
            kept.bytes += bytes;
            kept.pictures.insert(key, Arc::clone(pictures));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planes::Planes;

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let picture = || Arc::new(vec![Picture::Ready(Planes::filled(1, 5, 5, 0.0))]);
        let cache = Cache::new(250);
        for i in 0..4 {
            cache.put((0, i), &picture());
            cache.put((0, i), &picture());
        }
        let kept = (0..4).filter(|&i| cache.get((0, i)).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [0, 1]);
    }
}
