//! The queue of one listener, and the end of it that its owner reads.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;

use crate::{
    DropReason, Envelope, Error, Event, Limits, NodeId, Policy, Result,
    credit::Credit,
    exchange::Exchange,
    room::{Bounded, Lag, Waiters, wake},
    run::Run,
};

/// The reading end of a listener: undecoded messages, in order. Made by [`Router::listen`](crate::Router::listen).
///
/// Dropping it stops listening.
pub struct Listener {
    queue: Arc<ListenerQueue>,
    /// What was taken out of the queue in one go.
    taken: VecDeque<Item>,
    /// The first run of it, whose messages are handed out one by one.
    run: Run,
    exchange: Arc<Exchange>,
}

impl Listener {
    pub(crate) fn new(queue: Arc<ListenerQueue>, exchange: Arc<Exchange>) -> Self {
        let run = Run::empty(queue.pattern.clone());
        Self { queue, taken: VecDeque::new(), run, exchange }
    }

    /// The name or pattern that it listens for.
    pub fn pattern(&self) -> &str {
        &self.queue.pattern
    }

    /// What others can see of it and do to it while its owner reads.
    pub fn handle(&self) -> ListenerHandle {
        ListenerHandle { queue: self.queue.clone(), exchange: self.exchange.clone() }
    }

    /// The next message; `None` when the router is shut down or the listener was evicted.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Envelope>> {
        self.poll_pop(cx, Run::next).map(Option::flatten)
    }

    /// The next message.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped has taken nothing.
    pub async fn next(&mut self) -> Option<Envelope> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next message if there is one already.
    pub fn try_next(&mut self) -> Option<Envelope> {
        self.try_pop(Run::next).flatten()
    }

    /// [`poll_next`](Self::poll_next), decoded.
    pub(crate) fn poll_next_as<T>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event<T>>>>
    where
        T: DeserializeOwned + 'static,
    {
        self.poll_pop(cx, Run::next_as)
    }

    /// [`try_next`](Self::try_next), decoded.
    pub(crate) fn try_next_as<T: DeserializeOwned + 'static>(&mut self) -> Option<Result<Event<T>>> {
        self.try_pop(Run::next_as)
    }

    /// Counts a message that was taken but is of no use as dropped, and logs it, rate-limited.
    pub fn reject(&self, reason: DropReason, error: &Error) {
        self.exchange.reject(reason, error);
    }

    fn poll_pop<R>(&mut self, cx: &Context<'_>, read: impl FnOnce(&mut Run) -> R) -> Poll<Option<R>> {
        while !self.has_next() {
            std::task::ready!(self.queue.poll_take(&mut self.taken, cx));
            if self.taken.is_empty() {
                return Poll::Ready(None);
            }
        }
        Poll::Ready(Some(self.pop(read)))
    }

    #[inline]
    fn try_pop<R>(&mut self, read: impl FnOnce(&mut Run) -> R) -> Option<R> {
        if !self.has_next() {
            self.queue.take_now(&mut self.taken);
            if !self.has_next() {
                return None;
            }
        }
        Some(self.pop(read))
    }

    /// Whether there is a message among what was taken; it is then the first of `run`.
    #[inline]
    fn has_next(&mut self) -> bool {
        self.run.messages() > 0 || self.begin_run()
    }

    /// Goes on to the next run among what was taken.
    fn begin_run(&mut self) -> bool {
        while self.run.messages() == 0 {
            match self.taken.pop_front() {
                Some(Item::Run(run)) => self.run = run,
                Some(Item::Credit(_)) => {}
                None => return false,
            }
        }
        true
    }

    /// Has the first message of `run` read and taken off.
    #[inline]
    fn pop<R>(&mut self, read: impl FnOnce(&mut Run) -> R) -> R {
        let before = self.run.size();
        let message = read(&mut self.run);
        self.queue.popped(before - self.run.size());
        if self.run.messages() == 0 {
            self.give_back();
        }
        message
    }

    /// Gives back at once what the messages before have been waiting for: their reader may never look again.
    fn give_back(&mut self) {
        while let Some(Item::Credit(_)) = self.taken.front() {
            self.taken.pop_front();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let left = self.taken.iter().map(Item::messages).sum::<u64>();
        self.exchange.unlisten(&self.queue, self.run.messages() + left);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("pattern", &self.pattern()).finish_non_exhaustive()
    }
}

/// A [`Listener`] in the hands of somebody who does not read it.
#[derive(Clone)]
pub struct ListenerHandle {
    queue: Arc<ListenerQueue>,
    exchange: Arc<Exchange>,
}

impl ListenerHandle {
    /// How many messages it has ever been handed, those not counted that were dropped again because it lags.
    pub fn handed(&self) -> u64 {
        self.queue.lock().pushed
    }

    /// Whether it was cut off because it lagged.
    pub fn is_evicted(&self) -> bool {
        self.queue.lock().evicted
    }

    /// Stops listening, now: its reader finds the end, and what it has not taken is counted as dropped.
    pub fn stop(&self) {
        self.exchange.unlisten(&self.queue, 0);
    }
}

impl fmt::Debug for ListenerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerHandle").field("pattern", &self.queue.pattern).finish_non_exhaustive()
    }
}

/// What stands in a listener's queue.
#[derive(Debug)]
enum Item {
    Run(Run),
    /// Dropped when everything before it has been taken: gives the sending peer its window back.
    Credit(#[expect(dead_code, reason = "it works by being dropped")] Arc<Credit>),
}

impl Item {
    fn event(&self) -> Option<&str> {
        match self {
            Self::Run(run) => Some(run.event()),
            Self::Credit(_) => None,
        }
    }

    fn messages(&self) -> u64 {
        match self {
            Self::Run(run) => run.messages(),
            Self::Credit(_) => 0,
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
    /// Since when it has been full without anything being taken, and what had been taken by then.
    stuck: Option<(Instant, u64)>,
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

    /// Whether it would be full without its newest message too, which has an item of its own.
    fn is_over(&self, state: &State) -> bool {
        let Some(Item::Run(newest)) = state.items.back() else { return false };
        let (messages, bytes) = self.waiting(state);
        messages > self.max_messages || bytes - newest.size() >= self.max_bytes
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
    pub(crate) fn push(&self, mut run: Run, credit: Option<&Arc<Credit>>) -> Pushed {
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
            state.items.extend(credit.cloned().map(Item::Credit));
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

    /// Brings the queue of a listener that begins to lag back to its bound, as its policy says. Returns what was
    /// dropped, and the credit that is given back: of what lags nobody waits for a window.
    fn trim(&self, state: &mut State) -> (Vec<(NodeId, u64)>, VecDeque<Item>) {
        let mut released = VecDeque::new();
        for item in std::mem::take(&mut state.items) {
            match item {
                Item::Run(run) => state.items.extend(run.singly().map(Item::Run)),
                Item::Credit(_) => released.push_back(item),
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
    fn push_lagging(&self, state: &mut State, message: Run, pushed: &mut Pushed) {
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

    fn poll_take(&self, taken: &mut VecDeque<Item>, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        std::mem::swap(&mut state.items, taken);
        if taken.is_empty() && !state.closed {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn take_now(&self, taken: &mut VecDeque<Item>) {
        std::mem::swap(&mut self.lock().items, taken);
    }

    /// Notes that the owner has taken a message of this size; wakes who waits for room once half the queue is free.
    #[inline]
    fn popped(&self, size: u64) {
        let popped = self.popped.load(Relaxed) + 1;
        self.popped.store(popped, Relaxed);
        self.popped_bytes.store(self.popped_bytes.load(Relaxed) + size, Relaxed);
        if self.full.load(Relaxed) {
            self.make_room_known();
        }
    }

    fn make_room_known(&self) {
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
            state.stuck = None;
        }
        roomy
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
            state.stuck = None;
            let waiters = state.waiters.take();
            drop(state);
            wake(waiters);
            return Lag::Over;
        }
        let popped = self.popped.load(Relaxed);
        let since = match state.stuck {
            Some((since, then)) if then == popped => since,
            _ => state.stuck.insert((now, popped)).0,
        };
        if now < since + max_wait {
            return Lag::Until(since + max_wait);
        }
        state.stuck = None;
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
