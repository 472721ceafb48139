//! The byte budget: how many pictures are in flight is decided by their size, not by a number.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::run::clock::Clock;

/// A shared number of bytes that pictures in flight may take together.
#[derive(Debug)]
pub(crate) struct Budget {
    total: u64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    running: usize,
}

impl Budget {
    pub(crate) fn new(total: u64) -> Arc<Self> {
        Arc::new(Self {
            total,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one file holds of the budget, until dropped or released.
///
/// A file asks twice: for its bytes before it is read, and for its pixels when its header is
/// known. Whoever has got the second grant can finish; while nobody has, the next one is let in
/// even beyond the total. So every picture is processed on every machine, and nobody waits for
/// somebody who waits.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    held: Mutex<Held>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    running: bool,
    released: bool,
}

impl Reservation {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            held: Mutex::default(),
            clock: Clock::start(),
        }
    }

    /// How long the file has been worked on.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Waits for room for the file itself.
    pub(crate) fn for_file(&self, bytes: u64) {
        self.clock.wait(|| self.grant(bytes, false));
    }

    /// Waits for room for the pixels; the work can then be finished.
    pub(crate) fn for_pixels(&self, bytes: u64) {
        self.clock.wait(|| self.grant(bytes, true));
    }

    fn grant(&self, bytes: u64, run: bool) {
        let mut state = self.budget.lock();
        loop {
            // A worker that was written off and wakes up after all waits for nothing.
            if self.held().released {
                return;
            }
            let mine = self.held().running;
            let others = state.running - usize::from(mine);
            if others == 0 || state.used.saturating_add(bytes) <= self.budget.total {
                break;
            }
            state = self
                .budget
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut held = self.held();
        state.used = state.used.saturating_add(bytes);
        held.bytes = held.bytes.saturating_add(bytes);
        if run && !held.running {
            state.running += 1;
            held.running = true;
        }
    }

    /// Gives everything back: also on behalf of a worker that hangs.
    pub(super) fn release(&self) {
        let mut state = self.budget.lock();
        let mut held = self.held();
        state.used -= held.bytes;
        state.running -= usize::from(held.running);
        *held = Held {
            released: true,
            ..Held::default()
        };
        drop(held);
        drop(state);
        self.budget.freed.notify_all();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

/// Half of the memory that the system says is available, or 1 GiB when it does not say.
pub(crate) fn default_bytes() -> u64 {
    available_memory()
        .map_or(1 << 30, |bytes| bytes / 2)
        .max(256 << 20)
}

fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    fn in_use(budget: &Budget) -> (u64, usize) {
        let state = budget.lock();
        (state.used, state.running)
    }

    #[test]
    fn pixels_in_flight_stay_within_the_total_but_one_always_runs() {
        let budget = Budget::new(100);
        let held = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for bytes in [60_u64, 60, 30, 30, 250, 10, 90, 100] {
                let (budget, held) = (&budget, &held);
                scope.spawn(move || {
                    let reservation = Reservation::new(budget);
                    reservation.for_file(0);
                    reservation.for_pixels(bytes);
                    let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                    assert!(now <= 100 || now == bytes, "{now} bytes are held at once");
                    std::thread::sleep(Duration::from_millis(2));
                    held.fetch_sub(bytes, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(budget.lock().used, 0);
    }

    #[test]
    fn files_that_fill_the_budget_do_not_block_each_other() {
        let budget = Budget::new(100);
        let (a, b) = (Reservation::new(&budget), Reservation::new(&budget));
        a.for_file(80);
        b.for_file(80);
        a.for_pixels(50);
        drop(a);
        b.for_pixels(50);
        drop(b);
        assert_eq!(in_use(&budget), (0, 0));
    }

    #[test]
    fn a_worker_that_hangs_can_be_written_off() {
        let budget = Budget::new(100);
        let hung = Reservation::new(&budget);
        hung.for_pixels(100);
        hung.release();
        let next = Reservation::new(&budget);
        next.for_pixels(100);
        hung.for_pixels(7);
        drop((hung, next));
        assert_eq!(in_use(&budget), (0, 0));
    }
}
