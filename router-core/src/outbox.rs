//! The way out to one peer: the queue, what its bound and its policy do with it, and the link that takes from it.

mod link;
mod queue;
mod room;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
};

pub(crate) use link::Gather;
pub(crate) use queue::{LARGE, Lend, Outgoing};

use crate::{
    DropReason, LeaveReason, Limits, Policy,
    credit::Credit,
    protocol::LinkId,
    room::{Stall, Waiters, wake},
    stats::DropCounters,
    wire::data::SmallFrame,
};

/// The way out to one peer. It outlives links: what one link had taken is sent again on the next.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Writes at once, on the thread that has queued something.
    flush: Mutex<Option<Weak<dyn Flush>>>,
    /// Whether the link, or the last one, can bring payloads beside its bytes.
    lends: AtomicBool,
    /// The task that writes, while it sleeps. A lock of its own, taken last, so that it can be woken from anywhere.
    writer: Mutex<Option<Waker>>,
    /// There is something to confirm to the peer.
    ack_due: AtomicBool,
    /// How far the peer has been told that its bytes were taken.
    confirmed: AtomicU64,
    ack_every: u64,
    /// Who emits has to wait: set when the bound is reached, taken back when half of it is free.
    full: AtomicBool,
    pub(crate) dropped: DropCounters,
    policy: Policy,
    queue_bytes: u64,
    queue_messages: u64,
    handler_budget: u64,
}

#[derive(Debug, Default)]
struct State {
    queue: queue::SendQueue,
    /// Control frames that go ahead of all messages.
    control: Vec<u8>,
    /// The link that may take from the queue.
    link: Option<LinkId>,
    /// We have said how far we are.
    greeted: bool,
    /// The peer has said how far it is, so messages may flow.
    open: bool,
    /// Bytes of messages written, and taken by the peer's listeners, in the peer's count.
    written: u64,
    consumed: u64,
    window: u64,
    /// Grows with everything that is handed to a link, and that the peer is known to have taken.
    progress: u64,
    /// The number that the peer told last, which changes when it takes messages.
    taken: u64,
    waiters: Waiters,
    lagging: bool,
    stall: Stall,
    /// Its link is gone, and it was waited for long enough.
    abandoned: bool,
    /// The peer is gone for good, or evicted: nothing is queued any more.
    closed: bool,
    /// The router shuts down: whoever was about to queue a message is too late.
    sealed: bool,
    /// How many were too late.
    late: u64,
    /// No more messages are handed to links.
    frozen: bool,
}

/// Writes what is queued, on the thread that has queued it.
pub(crate) trait Flush: std::fmt::Debug + Send + Sync {
    /// Writes it if that can be done at once. Returns whether nothing is left to the writing task.
    fn flush(&self) -> bool;
}

impl Outbox {
    pub(crate) fn new(policy: Policy, limits: &Limits, window: u64) -> Self {
        Self {
            state: Mutex::new(State { window, ..State::default() }),
            flush: Mutex::default(),
            lends: AtomicBool::new(false),
            writer: Mutex::default(),
            ack_due: AtomicBool::new(false),
            confirmed: AtomicU64::new(0),
            ack_every: (limits.window as u64 / 8).clamp(1, 256 * 1024),
            full: AtomicBool::new(false),
            dropped: DropCounters::default(),
            policy,
            queue_bytes: limits.queue_bytes as u64,
            queue_messages: limits.queue_messages as u64,
            handler_budget: limits.handler_budget as u64,
        }
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the lock, then lets go of what must not be dropped under it, and wakes.
    fn unlock(&self, mut state: MutexGuard<'_, State>, wake_writer: bool) {
        let released = std::mem::take(&mut state.queue.released);
        let roomy = !Self::is_waited_for(&state) || self.is_roomy(&state);
        if roomy && self.full.load(Relaxed) {
            self.full.store(false, Relaxed);
            state.stall.end();
        } else if !roomy && self.is_full(&state) {
            self.full.store(true, Relaxed);
        }
        let waiters = if roomy && !state.waiters.is_empty() { state.waiters.take() } else { Vec::new() };
        drop(state);
        drop(released);
        wake(waiters);
        if wake_writer {
            self.wake_writer();
        }
    }

    fn wake_writer(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Queues one small message: what [`push`](Self::push) does, with nothing on the way that it does not need.
    #[inline(never)]
    pub(crate) fn push_small(&self, frame: &SmallFrame<'_>) {
        let mut state = self.lock();
        if state.sealed || !Self::is_waited_for(&state) {
            drop(state);
            return self.push_copied(frame);
        }
        let was_empty = state.queue.is_drained();
        state.queue.push_small(frame);
        if self.is_full(&state) {
            self.note_full(&state);
        }
        drop(state);
        if was_empty {
            self.start_writing();
        }
    }

    /// Queues messages, or drops and counts them where the peer is not waited for and has no room.
    pub(crate) fn push(&self, outgoing: Outgoing, credit: Option<&Arc<Credit>>) {
        let messages = outgoing.messages();
        let mut state = self.lock();
        if state.sealed {
            state.late += messages;
            return self.dropped.add(DropReason::Shutdown, messages);
        }
        if state.closed {
            return;
        }
        let was_empty = state.queue.is_drained();
        if Self::is_waited_for(&state) {
            state.queue.push(outgoing, credit);
            // Nothing was released, and nobody has more room: the rest of `unlock` has nothing to do.
            self.note_full(&state);
            drop(state);
        } else {
            self.push_unawaited(&mut state, outgoing, credit);
            self.unlock(state, false);
        }
        if was_empty {
            self.start_writing();
        }
    }

    #[cold]
    fn push_copied(&self, frame: &SmallFrame<'_>) {
        let mut copy = Vec::with_capacity(frame.len());
        frame.append_to(&mut copy);
        self.push(Outgoing::Block(copy.into(), 1), None);
    }

    /// Has what was queued first written: on this thread, or by the writing task.
    #[inline(never)]
    fn start_writing(&self) {
        if !self.flush() {
            self.wake_writer();
        }
    }

    /// Queues no message any more. Returns how many the peer has not confirmed; what comes later is [`late`](Self::late).
    pub(crate) fn seal(&self) -> u64 {
        let mut state = self.lock();
        state.sealed = true;
        state.queue.unconfirmed()
    }

    /// Messages that came after the router had begun to shut down.
    pub(crate) fn late(&self) -> u64 {
        self.lock().late
    }

    /// Who writes what is queued, at once, and whether that can lend payloads.
    pub(crate) fn flushed_by(&self, flush: &Arc<dyn Flush>, lends: bool) {
        self.lends.store(lends, Relaxed);
        *self.flush.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(flush));
    }

    /// Whether a payload in shared memory need not go through the peer's link.
    pub(crate) fn lends(&self) -> bool {
        self.lends.load(Relaxed)
    }

    /// Has it written on this thread. Returns whether nothing is left.
    fn flush(&self) -> bool {
        let flush =
            self.flush.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Weak::upgrade);
        flush.is_some_and(|flush| flush.flush())
    }

    /// Everything that was queued is dropped, and nothing is queued any more.
    pub(crate) fn close(&self, reason: DropReason) -> u64 {
        let mut state = self.lock();
        let dropped = state.queue.drop_all(reason);
        self.dropped.add(reason, dropped);
        state.closed = true;
        state.link = None;
        state.open = false;
        state.lagging = false;
        self.unlock(state, true);
        dropped
    }

    /// The peer says goodbye: what was queued for it is dropped, but control frames still go.
    pub(crate) fn retire(&self) {
        let mut state = self.lock();
        let dropped = state.queue.drop_all(DropReason::Disconnected);
        self.dropped.add(DropReason::Disconnected, dropped);
        state.closed = true;
        self.unlock(state, true);
    }

    /// Hands no more messages to links; control frames still go.
    pub(crate) fn freeze(&self) {
        self.lock().frozen = true;
    }

    /// Why messages for a peer that left so are dropped.
    pub(crate) fn drop_reason(reason: LeaveReason) -> DropReason {
        if reason == LeaveReason::Lagging { DropReason::Evicted } else { DropReason::Disconnected }
    }

    /// Messages that were ever queued for the peer, or dropped instead.
    pub(crate) fn sent(&self) -> u64 {
        self.lock().queue.sent()
    }

    /// Bytes and messages that wait to be written, and whether the peer lags.
    pub(crate) fn load(&self) -> (u64, u64, bool) {
        let state = self.lock();
        (state.queue.queued_bytes(), state.queue.queued_messages(), state.lagging)
    }

    /// Whether the peer has to take something before it gets more.
    pub(crate) fn is_waiting(&self) -> bool {
        let state = self.lock();
        !state.queue.is_drained() || state.written > state.consumed
    }

    /// Whether everything that is queued was handed to a link.
    pub(crate) fn is_drained(&self) -> bool {
        self.lock().queue.is_drained()
    }

    /// Messages that the peer has not confirmed.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.lock().queue.unconfirmed()
    }
}
