//! The queue of one listener.

mod lag;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    Limits, NodeId, Policy,
    credit::Credit,
    journal::Mark,
    room::{Stall, Waiters, wake},
    run::Run,
};

/// What stands in a listener's queue.
#[derive(Debug)]
pub(super) enum Item {
    Run(Run),
    /// Dropped when everything before it has been taken: gives the sending peer its window back.
    Credit(#[expect(dead_code, reason = "it works by being dropped")] Arc<Credit>),
    /// Dropped when who reads comes for what is behind it: a message of a journal has been taken.
    Mark(#[expect(dead_code, reason = "it works by being dropped")] Mark),
}

impl Item {
    pub(super) fn event(&self) -> Option<&str> {
        match self {
            Self::Run(run) => Some(run.event()),
            Self::Credit(_) | Self::Mark(_) => None,
        }
    }

    pub(super) fn messages(&self) -> u64 {
        match self {
            Self::Run(run) => run.messages(),
            Self::Credit(_) | Self::Mark(_) => 0,
        }
    }
}

/// The queue of one listener.
///
/// Runs stay whole in it, but where it lags: then each message has an item of its own, so that dropping one drops no
/// other.
#[derive(Debug)]
pub(crate) struct ListenerQueue {
    pub(crate) pattern: Arc<str>,
    pub(crate) once: bool,
    /// The version of the routes from which on it listens.
    pub(crate) since: u64,
    policy: Policy,
    max_messages: u64,
    max_bytes: u64,
    handler_budget: u64,
    state: Mutex<State>,
    /// Messages and bytes that its owner has taken, ever: written by the owner alone.
    popped: AtomicU64,
    popped_bytes: AtomicU64,
    /// Who emits has to wait: set when the bound is reached, taken back when half of it is free.
    full: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Messages and bytes that were ever queued, less those dropped again.
    pushed: u64,
    pushed_bytes: u64,
    reader: Option<Waker>,
    waiters: Waiters,
    closed: bool,
    evicted: bool,
    lagging: bool,
    stall: Stall,
}

impl ListenerQueue {
    pub(crate) fn new(pattern: &str, once: bool, since: u64, policy: Policy, limits: &Limits) -> Self {
        Self {
            pattern: pattern.into(),
            once,
            since,
            policy,
            max_messages: limits.queue_messages as u64,
            max_bytes: limits.listener_bytes as u64,
            handler_budget: limits.handler_budget as u64,
            state: Mutex::default(),
            popped: AtomicU64::new(0),
            popped_bytes: AtomicU64::new(0),
            full: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages it has ever been handed, those not counted that were dropped again because it lags.
    pub(super) fn handed(&self) -> u64 {
        self.lock().pushed
    }

    /// Whether it was cut off because it lagged.
    pub(super) fn is_evicted(&self) -> bool {
        self.lock().evicted
    }

    /// Messages and bytes that its owner has not taken.
    fn waiting(&self, state: &State) -> (u64, u64) {
        let messages = state.pushed.saturating_sub(self.popped.load(Relaxed));
        (messages, state.pushed_bytes.saturating_sub(self.popped_bytes.load(Relaxed)))
    }

    /// How many messages its owner has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.popped.load(Relaxed)
    }

    fn is_full(&self, state: &State) -> bool {
        let (messages, bytes) = self.waiting(state);
        messages >= self.max_messages || bytes >= self.max_bytes
    }

    /// Whether who emits has to wait. A listener that lags is not waited for.
    pub(crate) fn must_wait(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Whether even a handler may not queue more.
    pub(crate) fn is_beyond_budget(&self) -> bool {
        let state = self.lock();
        !state.closed && !state.lagging && self.waiting(&state).1 >= self.handler_budget
    }

    /// Queues messages, and behind them the credit that goes back when they are taken.
    ///
    /// Messages from links are queued beyond the bound: the window of each link bounds them. Returns what came of it.
    pub(crate) fn push(&self, run: Run, credit: Option<&Arc<Credit>>) -> Pushed {
        self.push_before(run, || credit.cloned().map(Item::Credit))
    }

    /// Queues a message of a journal, and behind it the mark that tells that it was taken; one that is not needed is left.
    pub(crate) fn push_marked(&self, message: Run, mark: &mut Option<Mark>) -> Pushed {
        self.push_before(message, || mark.take().map(Item::Mark))
    }

    #[inline]
    fn push_before(&self, mut run: Run, behind: impl FnOnce() -> Option<Item>) -> Pushed {
        let mut state = self.lock();
        let mut pushed = Pushed::default();
        if state.closed {
            return pushed;
        }
        if state.lagging && self.waiting(&state).0 == 0 {
            state.lagging = false;
        }
        if self.once {
            // One message, ever; what it does not take it need not give back either.
            let Some(first) = run.next().filter(|_| state.pushed == 0) else { return pushed };
            run = first.into();
        }
        if state.lagging {
            // What lags is bounded by its policy, and not by the window of who sends.
            run.singly().for_each(|run| self.push_lagging(&mut state, run, &mut pushed));
        } else {
            pushed.taken = run.messages();
            state.push(run);
            state.items.extend(behind());
        }
        pushed.full = !state.lagging && self.is_full(&state);
        if pushed.full {
            self.full.store(true, Relaxed);
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        pushed
    }

    pub(super) fn poll_take(&self, taken: &mut VecDeque<Item>, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        std::mem::swap(&mut state.items, taken);
        if taken.is_empty() && !state.closed {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    pub(super) fn take_now(&self, taken: &mut VecDeque<Item>) {
        std::mem::swap(&mut self.lock().items, taken);
    }

    /// Notes that the owner has taken a message of this size; wakes who waits for room once half the queue is free.
    #[inline]
    pub(super) fn popped(&self, size: u64) {
        let popped = self.popped.load(Relaxed) + 1;
        self.popped.store(popped, Relaxed);
        self.popped_bytes.store(self.popped_bytes.load(Relaxed) + size, Relaxed);
        if self.full.load(Relaxed) {
            self.make_room_known();
        }
    }

    /// Takes no more messages, drops those that it holds, and returns how many that were. The reader finds the end.
    pub(crate) fn close(&self) -> u64 {
        let items = std::mem::take(&mut self.lock().items);
        self.end();
        items.iter().map(Item::messages).sum()
    }

    /// The same for a listener that lagged: how many messages of which node it has not had.
    pub(crate) fn cut_off(&self) -> BTreeMap<NodeId, u64> {
        let mut state = self.lock();
        state.evicted = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.end();
        let runs = items.iter().filter_map(|item| if let Item::Run(run) = item { Some(run) } else { None });
        let mut dropped = BTreeMap::new();
        runs.for_each(|run| *dropped.entry(run.source()).or_default() += run.messages());
        dropped
    }

    /// Takes no more messages; what is queued can still be read, then the reader finds the end.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.full.store(false, Relaxed);
        let waiters = state.waiters.take();
        let reader = state.reader.take();
        drop(state);
        wake(waiters);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// What came of a [`ListenerQueue::push`].
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pushed {
    /// Messages that were queued.
    pub(crate) taken: u64,
    /// Messages, old or new, that were dropped because it lags.
    pub(crate) dropped: u64,
    /// It is full: somebody has to look whether it lags.
    pub(crate) full: bool,
}

impl State {
    fn push(&mut self, run: Run) {
        self.pushed += run.messages();
        self.pushed_bytes += run.size();
        self.items.push_back(Item::Run(run));
    }

    /// Drops the message at `index`, which has an item of its own; returns 1, for the sum.
    fn remove(&mut self, index: usize) -> u64 {
        if let Some(Item::Run(message)) = self.items.remove(index) {
            self.pushed -= message.messages();
            self.pushed_bytes -= message.size();
        }
        1
    }
}
