//! The way out to one peer: the queue with its bound, the policy when the peer lags, and the window.

mod queue;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

pub(crate) use queue::{LARGE, Lend, Outgoing};

use crate::{
    DropReason, LeaveReason, Limits, Policy,
    credit::Credit,
    protocol::LinkId,
    room::{Lag, Waiters, wake},
    stats::DropCounters,
    wire::{
        control::{Control, Received},
        data::SmallFrame,
        frame,
    },
};

/// How often a peer that may be stuck is asked within [`Limits::max_wait`].
const ASKED: u32 = 4;

/// How many bytes are handed to a link at once.
const BATCH: u64 = 256 * 1024;

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
    stuck: Option<(Instant, u64)>,
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

/// What there is to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gather {
    /// These slices.
    Ready,
    /// Nothing; the waker is woken when there is something.
    Idle,
    /// This link is not the peer's any more.
    Stop,
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
            state.stuck = None;
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

    #[inline]
    fn is_full(&self, state: &State) -> bool {
        state.queue.queued_bytes() >= self.queue_bytes || state.queue.queued_messages() >= self.queue_messages
    }

    /// Whether who waits for room should look again: half of it is free, so that one wake-up is worth many messages.
    fn is_roomy(&self, state: &State) -> bool {
        state.queue.queued_bytes() <= self.queue_bytes / 2
            && state.queue.queued_messages() <= self.queue_messages / 2
    }

    fn is_waited_for(state: &State) -> bool {
        !state.closed && !state.lagging && state.link.is_some()
    }

    /// Whether who emits has to wait. A peer that lags, or has no link now, is not waited for.
    pub(crate) fn must_wait(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Whether even a handler may not queue more.
    pub(crate) fn is_beyond_budget(&self) -> bool {
        let state = self.lock();
        Self::is_waited_for(&state) && state.queue.queued_bytes() >= self.handler_budget
    }

    /// Queues one small message: what [`push`](Self::push) does, with nothing on the way that it does not need.
    #[inline(always)]
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

    /// Has who emits wait, if it is full.
    #[cold]
    fn note_full(&self, state: &State) {
        if self.is_full(state) && !self.is_roomy(state) {
            self.full.store(true, Relaxed);
        }
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

    /// Queues for a peer that is not waited for: what does not fit is dropped, as its policy says.
    fn push_unawaited(&self, state: &mut State, outgoing: Outgoing, credit: Option<&Arc<Credit>>) {
        let reason = if state.lagging { DropReason::Lagging } else { DropReason::Disconnected };
        let policy = if state.lagging { self.policy } else { Policy::DropNewest };
        if let (Outgoing::Block(frames, 2..), Policy::Latest) = (&outgoing, policy) {
            let each = frame::split(frames).map(|frame| Outgoing::Block(frames.slice_ref(frame), 1));
            return each.for_each(|single| self.push_unawaited(state, single, credit));
        }
        let mut dropped = 0;
        if policy == Policy::Latest {
            dropped += state.queue.supersede(&outgoing, reason);
        }
        while policy != Policy::DropNewest && self.is_full(state) {
            match state.queue.drop_oldest(reason) {
                0 => break,
                count => dropped += count,
            }
        }
        if self.is_full(state) {
            dropped += outgoing.messages();
            state.queue.push_gap(&outgoing, reason);
        } else {
            state.queue.push(outgoing, credit);
            if policy != Policy::DropNewest {
                // Each on its own, so that dropping one drops no other.
                state.queue.seal();
            }
        }
        self.dropped.add(reason, dropped);
    }

    /// Queues a control frame ahead of all messages.
    pub(crate) fn control(&self, control: &Control) {
        let mut state = self.lock();
        if state.link.is_some() {
            control.encode(&mut state.control);
            self.unlock(state, true);
        }
    }

    /// Queues a control frame behind all messages.
    pub(crate) fn control_last(&self, control: &Control) {
        let mut frame = Vec::new();
        control.encode(&mut frame);
        let mut state = self.lock();
        state.queue.push_mark(frame.into());
        self.unlock(state, true);
    }

    /// Lets `link` take from the queue: control frames at once, messages when the peer has said how far it is.
    pub(crate) fn attach(&self, link: LinkId, window: u64, controls: &[Control]) {
        let mut state = self.lock();
        state.link = Some(link);
        state.open = false;
        state.greeted = false;
        state.closed = false;
        state.window = window;
        state.control.clear();
        controls.iter().for_each(|control| control.encode(&mut state.control));
        self.unlock(state, true);
    }

    /// Takes the queue from `link`, which is broken, and from its writer. What it had taken counts as not sent.
    pub(crate) fn detach(&self, link: LinkId) {
        let mut state = self.lock();
        if state.link == Some(link) {
            state.link = None;
            state.open = false;
            state.lagging = false;
            state.stuck = None;
        }
        self.unlock(state, true);
    }

    /// The peer has said how far it is. Returns false when that cannot be.
    pub(crate) fn resume(&self, received: Received) -> bool {
        let mut state = self.lock();
        let Some(arrived) = state.queue.resume(received.messages) else { return false };
        for (reason, count) in arrived {
            self.dropped.take_back(reason, count);
        }
        state.written = received.bytes;
        state.consumed = received.consumed;
        state.open = true;
        self.unlock(state, true);
        true
    }

    /// Whether messages flow on this link.
    pub(crate) fn is_open(&self, link: LinkId) -> bool {
        let state = self.lock();
        state.link == Some(link) && state.open
    }

    /// The peer has confirmed messages, and its listeners have taken bytes.
    pub(crate) fn confirm(&self, received: Received) {
        let mut state = self.lock();
        state.queue.confirm(received.messages);
        let consumed = state.consumed.max(received.consumed).min(state.written);
        state.progress += consumed - state.consumed;
        state.consumed = consumed;
        let wake_writer = !state.queue.is_drained();
        self.unlock(state, wake_writer);
    }

    /// The peer has told a number that changes when it takes messages.
    pub(crate) fn note_taken(&self, taken: u64) {
        let mut state = self.lock();
        if state.taken != taken {
            state.taken = taken;
            state.progress += 1;
        }
    }

    /// A number that changes when the peer takes messages.
    pub(crate) fn progress(&self) -> u64 {
        self.lock().progress
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

    /// Notes that listeners here have taken the peer's messages up to `consumed` bytes: from time to time it is told.
    pub(crate) fn note_consumed(&self, consumed: u64) {
        if consumed.saturating_sub(self.confirmed.load(Relaxed)) >= self.ack_every {
            self.request_ack();
        }
    }

    /// Has the peer told how far its messages have come.
    pub(crate) fn request_ack(&self) {
        if !self.ack_due.swap(true, Relaxed) {
            self.wake_writer();
        }
    }

    /// Collects what `link` is to write next. `received` is what to confirm along with it.
    pub(crate) fn gather(
        &self,
        link: LinkId,
        received: impl FnOnce() -> Received,
        lend: Lend<'_>,
        slices: &mut VecDeque<Bytes>,
        cx: Option<&Context<'_>>,
    ) -> Gather {
        let mut state = self.lock();
        if state.link != Some(link) {
            return Gather::Stop;
        }
        if let Some(cx) = cx {
            // Before looking, so that what comes after the look wakes it.
            *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        }
        let mut batch = 0;
        let mut data = Vec::new();
        while state.open
            && !state.frozen
            && batch < BATCH
            && state.written.saturating_sub(state.consumed) < state.window
        {
            let before = data.len();
            let Some(bytes) = state.queue.take(lend, &mut data) else { break };
            state.written += bytes;
            // What the link has to carry: a payload that is lent to the peer does not count.
            let carried: usize = data[before..].iter().map(Bytes::len).sum();
            batch += (carried as u64).max(1);
        }
        state.progress += batch;
        if state.lagging && state.queue.is_drained() {
            state.lagging = false;
        }
        // The first frame on a link is the resume, which stands among the control frames.
        let due = state.greeted && self.ack_due.swap(false, Relaxed);
        if due || (state.greeted && (batch > 0 || !state.control.is_empty())) {
            let received = received();
            if due || received.consumed != self.confirmed.load(Relaxed) {
                self.confirmed.store(received.consumed, Relaxed);
                let mut frame = Vec::with_capacity(32);
                Control::Ack(received).encode(&mut frame);
                slices.push_back(frame.into());
            }
        }
        if !state.control.is_empty() {
            slices.push_back(std::mem::take(&mut state.control).into());
            state.greeted = true;
        }
        slices.extend(data.drain(..));
        let gathered = if slices.is_empty() { Gather::Idle } else { Gather::Ready };
        self.unlock(state, false);
        gathered
    }
}

/// Waiting for room; see [`Bounded`](crate::room::Bounded).
impl Outbox {
    pub(crate) fn poll_room(&self, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !self.must_wait() {
            return Poll::Ready(());
        }
        state.waiters.register(ticket, cx);
        Poll::Pending
    }

    pub(crate) fn forget(&self, ticket: u64) {
        self.lock().waiters.forget(ticket);
    }

    pub(crate) fn check_lag(&self, now: Instant, max_wait: Duration) -> Lag {
        let mut state = self.lock();
        if !self.must_wait() {
            state.stuck = None;
            return Lag::Over;
        }
        let progress = state.progress;
        let since = match state.stuck {
            Some((since, then)) if then == progress => since,
            _ => state.stuck.insert((now, progress)).0,
        };
        if now < since + max_wait {
            // Whether it is stuck or slow it says itself, if it is there at all. A hub may have to ask on.
            let link = state.link;
            if link.is_some() && now > since {
                Control::Ping.encode(&mut state.control);
            }
            self.unlock(state, true);
            return Lag::Until((now + max_wait / ASKED).min(since + max_wait));
        }
        state.stuck = None;
        if self.policy == Policy::Evict {
            return Lag::Evict;
        }
        state.lagging = true;
        if self.policy == Policy::Latest {
            let dropped = state.queue.keep_latest(DropReason::Lagging);
            self.dropped.add(DropReason::Lagging, dropped);
        }
        self.unlock(state, false);
        Lag::Over
    }
}
