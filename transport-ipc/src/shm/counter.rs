//! How often a slot was given back, in memory that two processes share.

#[cfg(all(test, tidings_loom))]
use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(all(test, tidings_loom)))]
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts up to 2³² and begins anew: who compares knows how often it can have been at most.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Counter(AtomicU32);

impl Counter {
    #[cfg(all(test, tidings_loom))]
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Says that this process reads no more of what was lent to it once.
    pub(super) fn give_back(&self) {
        // Whoever sees this may write the slot anew: all reading came before.
        self.0.fetch_add(1, Ordering::Release);
    }

    /// How often it was given back.
    pub(super) fn count(&self) -> u32 {
        // What is written to the slot from here on comes after all reading.
        self.0.load(Ordering::Acquire)
    }
}
