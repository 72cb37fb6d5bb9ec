//! The end of a listener's queue that its owner reads.

mod queue;

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use queue::Item;
pub(crate) use queue::{ListenerQueue, Pushed};
use serde::de::DeserializeOwned;

use crate::{DropReason, Envelope, Error, Event, Result, exchange::Exchange, run::Run};

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
                Some(Item::Credit(_) | Item::Mark(_)) => {}
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
        // What was handed out last was taken: nobody comes for what is behind it.
        if self.run.messages() == 0 {
            while self.taken.front().is_some_and(|item| item.messages() == 0) {
                self.taken.pop_front();
            }
        }
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
        self.queue.handed()
    }

    /// Whether it was cut off because it lagged.
    pub fn is_evicted(&self) -> bool {
        self.queue.is_evicted()
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
