//! Waiting for room in a bounded queue.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::{NodeId, exchange::Exchange};

/// A bounded queue that senders wait for.
pub(crate) trait Bounded: fmt::Debug + Send + Sync + 'static {
    /// Ready when there is room, or when nobody should wait any more: it lags, or it is gone.
    fn poll_room(&self, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()>;

    /// Forgets a waiter that has gone away.
    fn forget(&self, ticket: u64);

    /// Looks whether it has taken nothing for `max_wait` while it was full.
    fn check_lag(&self, now: Instant, max_wait: Duration) -> Lag;

    /// Cuts it off.
    fn evict(self: Arc<Self>, exchange: &Exchange, now: Instant);
}

/// The state of a queue that was full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lag {
    /// There is room again, or it lags now and is not waited for.
    Over,
    /// It lags now, and so many messages of these nodes were dropped to keep its bound.
    Dropped(Vec<(NodeId, u64)>),
    /// It is still full; look again then.
    Until(Instant),
    /// It lags, and who owns it has to evict it.
    Evict,
}

/// Those who wait for room, each with a ticket, so that one that is dropped leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Waiters {
    pub(crate) fn register(&mut self, ticket: &mut Option<u64>, cx: &Context<'_>) {
        let known = ticket.and_then(|ticket| self.waiting.iter_mut().find(|(known, _)| *known == ticket));
        match known {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => {
                self.next += 1;
                *ticket = Some(self.next);
                self.waiting.push((self.next, cx.waker().clone()));
            }
        }
    }

    pub(crate) fn forget(&mut self, ticket: u64) {
        self.waiting.retain(|(known, _)| *known != ticket);
    }

    /// All of them, to be woken once the queue's lock is released.
    pub(crate) fn take(&mut self) -> Vec<(u64, Waker)> {
        std::mem::take(&mut self.waiting)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Wakes waiters that were taken out.
pub(crate) fn wake(waiters: Vec<(u64, Waker)>) {
    for (_, waker) in waiters {
        waker.wake();
    }
}

/// Ready when the queue has room, or is not to be waited for.
///
/// # Cancel safety
///
/// Dropping it leaves nothing behind; nothing was queued.
#[derive(Debug)]
pub struct Room {
    queue: Arc<dyn Bounded>,
    ticket: Option<u64>,
}

impl Room {
    pub(crate) fn new(queue: Arc<dyn Bounded>) -> Self {
        Self { queue, ticket: None }
    }
}

impl Future for Room {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.queue.poll_room(&mut this.ticket, cx)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.queue.forget(ticket);
        }
    }
}
