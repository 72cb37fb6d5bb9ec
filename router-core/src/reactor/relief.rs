//! Who takes over the sockets when a thread is kept by user code.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{Reactor, lock};

/// How often is looked whether a thread is kept: at the latest after two of these it is relieved.
const TICK: Duration = Duration::from_millis(2);

/// After so many looks at which no user code had run nobody looks any more, until some runs.
const IDLE_LOOKS: u32 = 50;

/// Somebody looks.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// User code has begun to run and nobody looked.
static ALARM: Notify = Notify::const_new();

/// One thread's time at a reactor.
#[derive(Debug, Default)]
pub(super) struct Shift {
    /// Counts up when user code begins and when it ends: odd while it runs.
    steps: AtomicU64,
    relieved: AtomicBool,
}

impl Shift {
    /// Runs code that may take any time.
    pub(super) fn user_code<R>(&self, code: impl FnOnce() -> R) -> R {
        let begun = self.steps.load(Relaxed) + 1;
        // Either this is seen by who ceases to look, or that is seen here.
        self.steps.store(begun, SeqCst);
        if !WATCHED.load(SeqCst) && !WATCHED.swap(true, SeqCst) {
            ALARM.notify_one();
        }
        let result = code();
        self.steps.store(begun + 1, Relaxed);
        result
    }

    pub(super) fn relieve(&self) {
        self.relieved.store(true, Relaxed);
    }

    /// Whether another thread has taken over.
    pub(super) fn is_relieved(&self) -> bool {
        self.relieved.load(Relaxed)
    }
}

/// Looks after the threads of the reactors while they run user code.
pub(super) async fn watch(reactors: &'static [Reactor]) {
    let mut seen = vec![0; reactors.len()];
    loop {
        ALARM.notified().await;
        let mut idle = 0;
        while idle < IDLE_LOOKS {
            tokio::time::sleep(TICK).await;
            idle = if look(reactors, &mut seen) { 0 } else { idle + 1 };
            if idle == IDLE_LOOKS {
                WATCHED.store(false, SeqCst);
                if look(reactors, &mut seen) && !WATCHED.swap(true, SeqCst) {
                    idle = 0;
                }
            }
        }
    }
}

/// Relieves threads that are still at what they were at the last time. Returns whether user code runs or has run since.
fn look(reactors: &'static [Reactor], seen: &mut [u64]) -> bool {
    let mut busy = false;
    for (reactor, seen) in reactors.iter().zip(seen) {
        let shift = lock(&reactor.shift).clone();
        let steps = shift.steps.load(SeqCst);
        let kept = steps % 2 == 1 && steps == *seen;
        busy |= steps % 2 == 1 || steps != *seen;
        *seen = steps;
        if kept {
            match reactor.begin_shift() {
                Ok(()) => *seen = 0,
                Err(error) => {
                    tracing::warn!(%error, "a handler keeps a thread that reads, and there is no other")
                }
            }
        }
    }
    busy
}
