use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::session::Session;

/// The bytes of one read from a link, given back to the sending peer's window when the last message of them has been
/// taken by everyone whom it went to.
///
/// **Bounded by the reader.** A peer may have at most a window of bytes on its way that nobody here has taken yet;
/// control frames are not counted, so a full window never silences the heartbeat.
#[derive(Debug)]
pub(crate) struct Credit {
    session: Arc<Session>,
    bytes: u64,
}

impl Credit {
    pub(crate) fn new(session: Arc<Session>, bytes: u64) -> Self {
        Self { session, bytes }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        let consumed = self.session.consumed_bytes.fetch_add(self.bytes, Relaxed) + self.bytes;
        self.session.outbox.note_consumed(consumed);
    }
}
