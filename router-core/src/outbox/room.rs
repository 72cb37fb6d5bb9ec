//! Room in an outbox: who has to wait for it, when a peer lags, and what becomes of messages that have none.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{Outbox, Outgoing, State};
use crate::{
    DropReason, Policy,
    credit::Credit,
    room::Lag,
    wire::{control::Control, frame},
};

impl Outbox {
    #[inline]
    pub(super) fn is_full(&self, state: &State) -> bool {
        state.queue.queued_bytes() >= self.queue_bytes || state.queue.queued_messages() >= self.queue_messages
    }

    /// Whether who waits for room should look again: half of it is free, so that one wake-up is worth many messages.
    pub(super) fn is_roomy(&self, state: &State) -> bool {
        state.queue.queued_bytes() <= self.queue_bytes / 2
            && state.queue.queued_messages() <= self.queue_messages / 2
    }

    pub(super) fn is_waited_for(state: &State) -> bool {
        !state.closed && !state.lagging && !state.abandoned
    }

    /// Whether who emits has to wait. A peer that lags, or has had no link for too long, is not waited for.
    pub(crate) fn must_wait(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Whether even a handler may not queue more.
    pub(crate) fn is_beyond_budget(&self) -> bool {
        let state = self.lock();
        Self::is_waited_for(&state) && state.queue.queued_bytes() >= self.handler_budget
    }

    /// Has who emits wait, if it is full.
    #[cold]
    pub(super) fn note_full(&self, state: &State) {
        if self.is_full(state) && !self.is_roomy(state) {
            self.full.store(true, Relaxed);
        }
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

    /// Queues for a peer that is not waited for: what does not fit is dropped, as its policy says.
    pub(super) fn push_unawaited(&self, state: &mut State, outgoing: Outgoing, credit: Option<&Arc<Credit>>) {
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

    /// Ready when there is room; see [`Bounded`](crate::room::Bounded).
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
            state.stall.end();
            return Lag::Over;
        }
        let progress = state.progress;
        if let Some(next) = state.stall.look(now, progress, max_wait) {
            // Whether it is stuck or slow it says itself, if it is there at all. A hub may have to ask on.
            if state.link.is_some() && state.stall.has_lasted() {
                Control::Ping.encode(&mut state.control);
            }
            self.unlock(state, true);
            return Lag::Until(next);
        }
        state.stall.end();
        if state.link.is_none() {
            // It may still come back for what is queued.
            state.abandoned = true;
            self.unlock(state, false);
            return Lag::Over;
        }
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
