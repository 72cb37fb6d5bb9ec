use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::session::Session;

/// Some bytes that were read from a link, given back to the sending peer's window when the last message of them has been
/// taken by everyone whom it went to.
///
/// **Bounded by the reader.** A peer may have at most a window of bytes on its way that nobody here has taken yet;
/// control frames are not counted, so a full window never silences the heartbeat.
#[derive(Debug)]
pub(crate) struct Credit {
    session: Arc<Session>,
    bytes: AtomicU64,
}

impl Credit {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, bytes: AtomicU64::new(0) }
    }

    /// Adds bytes that are about to be handed on. Only the task that reads does.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.store(self.bytes() + bytes, Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        let bytes = self.bytes();
        let consumed = self.session.consumed_bytes.fetch_add(bytes, Relaxed) + bytes;
        self.session.outbox.note_consumed(consumed);
    }
}
