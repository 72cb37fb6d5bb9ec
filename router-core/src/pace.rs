//! How fast a thread emits: whether a message should be written at once, or gather others.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Emits that come closer to each other than this, in the mean, come fast. Time that a thread spends on writing at once
/// is left out, or it could never emit fast. No answer to a message comes so soon.
pub(crate) const FAST: Duration = Duration::from_nanos(1500);

/// The same where both ends look again and again: no write costs a system call, and answers do come so soon.
pub(crate) const FAST_TO_MEMORY: Duration = Duration::from_nanos(400);

/// What a thread has emitted.
#[derive(Debug, Clone, Copy)]
struct Pace {
    emits: u64,
    /// How many emits it had been when they were last looked at, when that was, and what was found.
    seen: u64,
    at: Option<Instant>,
    /// How far they were from each other in the mean.
    gap: Duration,
}

thread_local! {
    static PACE: Cell<Pace> = const { Cell::new(Pace { emits: 0, seen: 0, at: None, gap: Duration::MAX }) };
}

/// This thread emits, or hands on what others have.
#[inline]
pub(crate) fn emit() {
    let _ = PACE.try_with(|pace| pace.set(Pace { emits: pace.get().emits + 1, ..pace.get() }));
}

/// Whether this thread emits slowly: what comes closer than `fast` is not slow. The gap is the same for everyone whom
/// one emit goes to.
pub(crate) fn is_slow(fast: Duration) -> bool {
    PACE.try_with(|cell| {
        let pace = cell.get();
        let since = pace.emits - pace.seen;
        if since == 0 {
            return pace.gap >= fast;
        }
        let now = Instant::now();
        let emits = u32::try_from(since).unwrap_or(u32::MAX);
        let gap = pace.at.map_or(Duration::MAX, |at| (now - at) / emits);
        cell.set(Pace { seen: pace.emits, at: Some(now), gap, ..pace });
        gap >= fast
    })
    .unwrap_or(true)
}

/// This thread has written: its time counts from now on.
pub(crate) fn wrote() {
    let _ = PACE.try_with(|pace| pace.set(Pace { at: Some(Instant::now()), ..pace.get() }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emit_is_slow_and_the_same_for_all_whom_it_goes_to() {
        emit();
        assert!(is_slow(FAST));
        wrote();
        assert!(is_slow(FAST), "the second peer of the same emit");
    }

    #[test]
    fn many_at_once_are_fast_until_there_is_a_pause() {
        for _ in 0..1_000_000 {
            emit();
        }
        is_slow(FAST);
        for _ in 0..1_000_000 {
            emit();
        }
        assert!(!is_slow(FAST));
        let begin = Instant::now();
        while begin.elapsed() < 2 * FAST {}
        emit();
        assert!(is_slow(FAST));
    }
}
