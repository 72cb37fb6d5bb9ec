//! The link that takes from an outbox, and what the other end of it confirms.

use std::{
    collections::VecDeque,
    sync::{PoisonError, atomic::Ordering::Relaxed},
    task::Context,
};

use bytes::Bytes;

use super::{Lend, Outbox};
use crate::{
    protocol::LinkId,
    wire::control::{Control, Received},
};

/// How many bytes are handed to a link at once.
const BATCH: u64 = 256 * 1024;

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
        state.abandoned = false;
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
            state.stall.end();
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
