use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lets one message in a second through to the log, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct RateLimit(Mutex<(Option<Instant>, u64)>);

/// How far apart messages in the log are.
const EVERY: Duration = Duration::from_secs(1);

impl RateLimit {
    /// Runs `log` with the number of messages since the last one, if it is time.
    pub(crate) fn log(&self, count: u64, log: impl FnOnce(u64)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += count;
        if state.0.is_none_or(|last| last.elapsed() >= EVERY) {
            let held = std::mem::take(&mut state.1);
            state.0 = Some(Instant::now());
            drop(state);
            log(held);
        }
    }
}
