//! How long one file has been worked on: waiting does not count, and long work may ask for more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The clock of one file. Clones are the same clock.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    started: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Waits that are over.
    waited: Duration,
    /// Waits that are under way, the outermost first: one may be inside another.
    waiting: Option<(Instant, u32)>,
    allowed: Duration,
    given_up: bool,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            state: Arc::default(),
        }
    }

    /// Stands still while something is waited for.
    pub(crate) fn wait<T>(&self, wait: impl FnOnce() -> T) -> T {
        let _waiting = Waiting::begin(self);
        wait()
    }

    /// Grants time beyond the timeout.
    pub(crate) fn allow(&self, time: Duration) {
        let mut state = self.lock();
        state.allowed = state.allowed.saturating_add(time);
    }

    /// Whether the work has taken longer than the timeout and what was granted beyond it.
    pub(crate) fn is_over(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let waiting = state
            .waiting
            .map_or(Duration::ZERO, |(since, _)| since.elapsed());
        let worked = self
            .started
            .elapsed()
            .saturating_sub(state.waited + waiting);
        worked >= timeout.saturating_add(state.allowed)
    }

    /// Notes that the file was given up, so that what its worker holds can be taken from it.
    pub(crate) fn give_up(&self) {
        self.lock().given_up = true;
    }

    /// Whether the file was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.lock().given_up
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait that is under way; it ends also when what is waited for panics.
struct Waiting<'a>(&'a Clock);

impl<'a> Waiting<'a> {
    fn begin(clock: &'a Clock) -> Self {
        let mut state = clock.lock();
        let (since, depth) = state.waiting.unwrap_or((Instant::now(), 0));
        state.waiting = Some((since, depth + 1));
        Self(clock)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        match state.waiting.take() {
            Some((since, 1)) => state.waited += since.elapsed(),
            Some((since, depth)) => state.waiting = Some((since, depth - 1)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    #[test]
    fn waiting_does_not_count_and_work_may_ask_for_more() {
        let clock = Clock::start();
        let short = Duration::from_millis(40);
        clock.wait(|| clock.wait(|| sleep(Duration::from_millis(60))));
        clock.wait(|| {
            sleep(Duration::from_millis(60));
            assert!(!clock.is_over(short), "a wait that is under way");
        });
        assert!(!clock.is_over(short));
        sleep(Duration::from_millis(60));
        assert!(clock.is_over(short));
        clock.allow(Duration::from_mins(1));
        assert!(!clock.is_over(short));
    }
}
