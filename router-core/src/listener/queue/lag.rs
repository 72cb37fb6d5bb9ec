//! Room in a listener's queue: who has to wait for it, when the listener lags, and what its policy drops then.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{Item, ListenerQueue, Pushed, State};
use crate::{
    NodeId, Policy,
    exchange::Exchange,
    room::{Bounded, Lag, wake},
    run::Run,
};

impl ListenerQueue {
    /// Whether it would be full without its newest message too, which has an item of its own.
    fn is_over(&self, state: &State) -> bool {
        let Some(Item::Run(newest)) = state.items.back() else { return false };
        let (messages, bytes) = self.waiting(state);
        messages > self.max_messages || bytes - newest.size() >= self.max_bytes
    }

    /// Brings the queue of a listener that begins to lag back to its bound, as its policy says. Returns what was
    /// dropped, and the credit that is given back: of what lags nobody waits for a window.
    fn trim(&self, state: &mut State) -> (Vec<(NodeId, u64)>, VecDeque<Item>) {
        let mut released = VecDeque::new();
        for item in std::mem::take(&mut state.items) {
            match item {
                Item::Run(run) => state.items.extend(run.singly().map(Item::Run)),
                Item::Credit(_) | Item::Mark(_) => released.push_back(item),
            }
        }
        let mut dropped: Vec<(NodeId, u64)> = Vec::new();
        let mut drop_at = |state: &mut State, index: usize| {
            if let Some(Item::Run(message)) = state.items.get(index) {
                let source = message.source();
                match dropped.last_mut().filter(|(last, _)| *last == source) {
                    Some((_, count)) => *count += 1,
                    None => dropped.push((source, 1)),
                }
                state.remove(index);
            }
        };
        if self.policy == Policy::Latest {
            let mut seen = HashSet::new();
            for index in (0..state.items.len()).rev() {
                let name = state.items.get(index).and_then(Item::event).map(str::to_owned);
                if name.is_some_and(|name| !seen.insert(name)) {
                    drop_at(state, index);
                }
            }
        }
        // Who filled it did so with its last message, which may stay.
        while self.is_over(state) {
            let newest = state.items.len() - 1;
            drop_at(state, if self.policy == Policy::DropNewest { newest } else { 0 });
        }
        (dropped, released)
    }

    /// Queues one message for a listener that lags, or drops it, as its policy says.
    pub(super) fn push_lagging(&self, state: &mut State, message: Run, pushed: &mut Pushed) {
        let (kept, dropped) = self.make_room(state, &message);
        pushed.dropped += dropped;
        if kept {
            pushed.taken += 1;
            state.push(message);
        }
    }

    /// Applies the policy of a listener that lags. Returns whether the new message is kept, and how many are not.
    fn make_room(&self, state: &mut State, new: &Run) -> (bool, u64) {
        let mut dropped = 0;
        if self.policy == Policy::Latest {
            let same = |item: &Item| item.event() == Some(new.event());
            let old = state.items.iter().position(same);
            dropped += old.map_or(0, |old| state.remove(old));
        }
        while self.is_full(state) {
            let oldest = state.items.iter().position(|item| matches!(item, Item::Run(_)));
            match oldest.filter(|_| self.policy != Policy::DropNewest) {
                Some(oldest) => dropped += state.remove(oldest),
                None => return (false, dropped + 1),
            }
        }
        (true, dropped)
    }

    pub(super) fn make_room_known(&self) {
        let mut state = self.lock();
        if self.notice_room(&mut state) {
            let waiters = state.waiters.take();
            drop(state);
            wake(waiters);
        }
    }

    /// Whether half of it is free; then it is not full any more.
    ///
    /// Who takes the last message may do so just before it is noted that the queue is full, and then says nothing: so
    /// whoever waits looks for himself, too.
    fn notice_room(&self, state: &mut State) -> bool {
        let (messages, bytes) = self.waiting(state);
        let roomy = messages <= self.max_messages / 2 && bytes <= self.max_bytes / 2;
        if roomy {
            self.full.store(false, Relaxed);
            state.stall.end();
        }
        roomy
    }
}

impl Bounded for ListenerQueue {
    fn poll_room(&self, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !self.must_wait() || self.notice_room(&mut state) {
            return Poll::Ready(());
        }
        state.waiters.register(ticket, cx);
        Poll::Pending
    }

    fn forget(&self, ticket: u64) {
        self.lock().waiters.forget(ticket);
    }

    fn check_lag(&self, now: Instant, max_wait: Duration) -> Lag {
        let mut state = self.lock();
        if !self.must_wait() || self.notice_room(&mut state) {
            state.stall.end();
            let waiters = state.waiters.take();
            drop(state);
            wake(waiters);
            return Lag::Over;
        }
        let popped = self.popped.load(Relaxed);
        if let Some(next) = state.stall.look(now, popped, max_wait) {
            return Lag::Until(next);
        }
        state.stall.end();
        if self.policy == Policy::Evict {
            return Lag::Evict;
        }
        state.lagging = true;
        self.full.store(false, Relaxed);
        let (dropped, released) = self.trim(&mut state);
        let waiters = state.waiters.take();
        drop(state);
        drop(released);
        wake(waiters);
        Lag::Dropped(dropped)
    }

    fn evict(self: Arc<Self>, exchange: &Exchange, _now: Instant) {
        exchange.evict_listener(&self);
    }
}
