//! The byte budget: how many pictures are in flight is decided by their size, not by a number.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A shared number of bytes that pictures in flight may take together.
#[derive(Debug)]
pub(super) struct Budget {
    total: u64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    grants: usize,
}

impl Budget {
    pub(super) fn new(total: u64) -> Arc<Self> {
        Arc::new(Self { total, state: Mutex::default(), freed: Condvar::new() })
    }

    /// Waits until `bytes` are free. A picture larger than the whole budget is let in when nothing
    /// else is in flight, so that every picture is processed on every machine.
    pub(super) fn acquire(self: &Arc<Self>, bytes: u64) -> Grant {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.grants > 0 && state.used.saturating_add(bytes) > self.total {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.used = state.used.saturating_add(bytes);
        state.grants += 1;
        Grant { budget: Arc::clone(self), bytes }
    }

    fn release(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used -= bytes;
        state.grants -= 1;
        drop(state);
        self.freed.notify_all();
    }
}

/// Bytes held until this is dropped.
#[derive(Debug)]
pub(super) struct Grant {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

/// Half of the memory that the system says is available, or 1 GiB when it does not say.
pub(super) fn default_bytes() -> u64 {
    available_memory().map_or(1 << 30, |bytes| bytes / 2).max(256 << 20)
}

fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn never_more_than_the_total_but_always_one() {
        let budget = Budget::new(100);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [60_u64, 60, 30, 30, 250, 10, 90, 100] {
                let (budget, held, most) = (&budget, &held, &most);
                scope.spawn(move || {
                    let _grant = budget.acquire(bytes);
                    let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                    assert!(now <= 100 || now == bytes, "{now} bytes are held at once");
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    held.fetch_sub(bytes, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), 250);
    }
}
