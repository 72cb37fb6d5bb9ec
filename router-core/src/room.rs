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

/// How often a full queue is looked at within [`Limits::max_wait`](crate::Limits::max_wait).
const LOOKS: u32 = 4;

/// How long a full queue has taken nothing.
///
/// **Only time that this process has seen counts**, so a look adds no more than is between two of them. Who was stopped,
/// or slept with the machine, had no chance to take anything, nor to hear that a peer did.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    seen: Option<Instant>,
    taken: u64,
    waited: Duration,
}

impl Stall {
    /// Notes what it has taken by now. Returns when to look again, unless it has taken nothing for `max_wait`.
    pub(crate) fn look(&mut self, now: Instant, taken: u64, max_wait: Duration) -> Option<Instant> {
        let step = max_wait / LOOKS + Duration::from_nanos(1);
        match self.seen {
            Some(seen) if self.taken == taken => {
                self.waited += now.saturating_duration_since(seen).min(step);
            }
            _ => *self = Self { taken, ..Self::default() },
        }
        self.seen = Some(now);
        let left = max_wait.checked_sub(self.waited).filter(|left| !left.is_zero())?;
        Some(now + step.min(left))
    }

    /// Whether it has taken nothing since an earlier look.
    pub(crate) fn has_lasted(&self) -> bool {
        !self.waited.is_zero()
    }

    /// It is over.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Lets time pass for a queue until it is not waited for any more.
    pub(crate) fn wait_out(look: impl Fn(Instant) -> Lag) -> Lag {
        let mut now = Instant::now();
        loop {
            match look(now) {
                Lag::Until(next) => now = next,
                lag => return lag,
            }
        }
    }

    const WAIT: Duration = Duration::from_secs(1);

    /// The time that a stall is given from `now` on, when it is looked at as often as it asks for.
    fn patience(stall: &mut Stall, mut now: Instant, taken: u64) -> Duration {
        let begin = now;
        while let Some(next) = stall.look(now, taken, WAIT) {
            now = next;
        }
        now - begin
    }

    #[test]
    fn who_takes_nothing_stalls_after_the_longest_wait() {
        let now = Instant::now();
        assert_eq!(patience(&mut Stall::default(), now, 7), WAIT);
        assert_eq!(Stall::default().look(now, 7, Duration::ZERO), None);
        let mut shortest = Stall::default();
        let next = shortest.look(now, 7, Duration::from_nanos(1)).unwrap();
        assert_eq!(shortest.look(next, 7, Duration::from_nanos(1)), None);
    }

    #[test]
    fn who_takes_something_has_all_the_time_again() {
        let now = Instant::now();
        let mut stall = Stall::default();
        let next = stall.look(now, 7, WAIT).unwrap();
        stall.look(next, 7, WAIT);
        assert!(stall.has_lasted());
        assert_eq!(patience(&mut stall, next, 8), WAIT);
    }

    #[test]
    fn time_in_which_the_process_was_stopped_is_not_held_against_anyone() {
        let now = Instant::now();
        let mut stall = Stall::default();
        stall.look(now, 7, WAIT);
        let later = now + 100 * WAIT;
        assert!(stall.look(later, 7, WAIT).is_some());
        assert!(patience(&mut stall, later, 7) >= WAIT / 2);
    }
}
