use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The peer or listener lagged, and its policy is to drop.
    Lagging,
    /// The peer or listener lagged and was evicted with its queue.
    Evicted,
    /// The peer left with messages in its queue, or did not come back.
    Disconnected,
    /// The payload was not of the listener's type.
    Decode,
    /// It came in the first moment after a join, and nobody listened for it in time.
    Unclaimed,
    /// The router was shut down first.
    Shutdown,
    /// The listener was removed, or panicked, with messages in its queue.
    Unsubscribed,
    /// It came over a broker's channel or journal of ours, and no node of ours has written it.
    Foreign,
    /// A journal kept no more than its `max_messages`, and dropped it before it was read here.
    Trimmed,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Lagging,
        Self::Evicted,
        Self::Disconnected,
        Self::Decode,
        Self::Unclaimed,
        Self::Shutdown,
        Self::Unsubscribed,
        Self::Foreign,
        Self::Trimmed,
    ];

    /// Its number on the wire, and its place among the counters.
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|reason| *reason == self).expect("ALL lists every reason")
    }
}

/// Messages dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// How many were dropped for this reason.
    pub fn by(&self, reason: DropReason) -> u64 {
        self.0[reason.index()]
    }

    /// How many were dropped in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine += others;
        }
    }
}

/// The counters behind [`Drops`].
#[derive(Debug, Default)]
pub(crate) struct DropCounters([AtomicU64; DropReason::ALL.len()]);

impl DropCounters {
    pub(crate) fn add(&self, reason: DropReason, count: u64) {
        self.0[reason.index()].fetch_add(count, Relaxed);
    }

    /// Messages that were counted as dropped have arrived all the same.
    pub(crate) fn take_back(&self, reason: DropReason, count: u64) {
        self.0[reason.index()].fetch_sub(count, Relaxed);
    }

    pub(crate) fn read(&self) -> Drops {
        Drops(std::array::from_fn(|index| self.0[index].load(Relaxed)))
    }
}
