use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the thread sleeps that looks how late it wakes up.
const NAP: Duration = Duration::from_millis(5);

/// Measures a time that has a bound, and how much of it the machine was busy with other things.
///
/// A bound of the library's is one of a machine that runs it. While it is measured, a thread of its own sleeps again
/// and again, and adds up how late it was woken: by as much the measured time may be longer.
#[derive(Debug)]
pub struct Stopwatch {
    start: Instant,
    meter: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Meter {
    /// In nanoseconds.
    late: AtomicU64,
    over: AtomicBool,
}

impl Stopwatch {
    /// Starts to measure.
    #[must_use = "it measures until it is dropped"]
    pub fn start() -> Self {
        let meter = Arc::new(Meter::default());
        let shared = meter.clone();
        let start = Instant::now();
        thread::spawn(move || {
            while !shared.over.load(Relaxed) {
                let begin = Instant::now();
                thread::sleep(NAP);
                let late = begin.elapsed().saturating_sub(NAP);
                shared.late.fetch_add(late.as_nanos() as u64, Relaxed);
            }
        });
        Self { start, meter }
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.start
    }

    /// Asserts that no more than `bound` has passed, and returns how much has.
    ///
    /// # Panics
    ///
    /// When more has passed.
    #[track_caller]
    pub fn assert_within(&self, bound: Duration) -> Duration {
        self.assert_was_within(Instant::now(), bound)
    }

    /// The same for what happened at `moment`.
    ///
    /// # Panics
    ///
    /// When more had passed by then.
    #[track_caller]
    pub fn assert_was_within(&self, moment: Instant, bound: Duration) -> Duration {
        let took = moment.saturating_duration_since(self.start);
        let late = Duration::from_nanos(self.meter.late.load(Relaxed));
        assert!(took <= bound + late, "took {took:?} of {bound:?}, the machine was late by {late:?}");
        took
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.meter.over.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_in_time_is_within() {
        let stopwatch = Stopwatch::start();
        assert!(stopwatch.assert_within(Duration::from_secs(60)) < Duration::from_secs(60));
    }

    #[test]
    #[should_panic(expected = "the machine was late by")]
    fn what_takes_longer_is_not() {
        let stopwatch = Stopwatch::start();
        let moment = stopwatch.started() + Duration::from_secs(3600);
        stopwatch.assert_was_within(moment, Duration::from_secs(1));
    }
}
