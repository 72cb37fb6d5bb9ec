use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{Ledger, Position};
use crate::{
    Error, Result, Wait,
    pattern::{check_pattern, pattern_matches, patterns_overlap},
};

/// How many messages a journal keeps, unless the user says otherwise.
const MAX_MESSAGES: u64 = 1_000_000;

/// Events that survive a restart: given to a transport with `.durable(..)`, they go through a log on its server.
///
/// An emit of such an event, unless it is `.only_local()`, is written there in the place of links, whether anybody
/// listens or not. Listeners in this process hear it at once as ever; other nodes read it, each from its own
/// [position](Self::position) on. **Every node that is to hear or to emit such events has to be given the same
/// patterns**; one that has not emits over links.
///
/// # What it promises
///
/// * **At least once.** What was emitted is written as soon as the server is there, in the order of each emitter,
///   and what comes twice because a connection broke is left out. Where the server itself refuses a message in the midst
///   of others, it comes behind them.
/// * **Taken means done with.** A listener has taken a message when it comes for the next one, or is dropped. Positions
///   are saved on the server once in a second, and by `shutdown`. Who is killed hears again what came since. A handler
///   or subscription that ends with messages in its queue leaves them to the next one.
/// * **Its own events** come back to a node that was started again, unless they were `.only_remote()`.
/// * **One position for a node.** What no listener wants is passed over. In the first moment
///   ([`Limits::hold`](crate::Limits::hold)) after a node has begun to listen it waits instead for one that does.
/// * **Bounded.** Beyond [`max_messages`](Self::max_messages) the oldest go. A node that has not read them counts them
///   under [`DropReason::Trimmed`](crate::DropReason::Trimmed).
/// * **Back-pressure.** Who emits waits while [`queue_bytes`](crate::Limits::queue_bytes) or
///   [`queue_messages`](crate::Limits::queue_messages) wait for the server, and gets [`Error::Full`] when that has taken
///   nothing for [`max_wait`](crate::Limits::max_wait). What is queued stays queued. A slow listener makes the node
///   read later.
///
/// A clone is the same journal in other hands: it tells of the node that was opened with it. One serves one node at a
/// time.
///
/// ```
/// use tidings_router_core::{Durable, Start};
///
/// let orders = Durable::new("orders/*").and("refunds").start(Start::All).max_messages(10_000);
/// assert_eq!(orders.position(), None);
/// ```
#[derive(Clone)]
#[must_use = "a `Durable` is a configuration: give it to `.durable(..)` of a transport"]
pub struct Durable {
    patterns: Vec<String>,
    start: Start,
    max_messages: u64,
    ledger: Arc<Mutex<Weak<Ledger>>>,
}

/// Where a node begins to read a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// Behind what its listeners have taken, known by cluster and node id; with all that is kept if there were none yet.
    #[default]
    Resume,
    /// With what is written after the node was opened.
    New,
    /// With all that is kept.
    All,
    /// Behind this position.
    After(Position),
}

impl Durable {
    /// Events of this name or pattern, as in `subscribe`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            patterns: vec![pattern.into()],
            start: Start::default(),
            max_messages: MAX_MESSAGES,
            ledger: Arc::default(),
        }
    }

    /// And events of this one.
    pub fn and(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// Where to begin. Default [`Start::Resume`].
    pub fn start(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// How many messages the journal keeps; with Redis about so many. Default 1,000,000, at least 1. All nodes should say
    /// the same: else the one that writes (Redis), or was opened last (NATS), has its way.
    pub fn max_messages(self, count: u64) -> Self {
        Self { max_messages: count, ..self }
    }

    /// Up to where the listeners of the open node have taken everything; `None` before the start of a journal, and when
    /// no node is open.
    pub fn position(&self) -> Option<Position> {
        self.ledger()?.progress().position()
    }

    /// Waits until the server has confirmed everything that was emitted before.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] when the server has confirmed nothing for [`max_wait`](crate::Limits::max_wait), with what is
    /// wrong; what is queued stays queued. [`Error::Closed`] when no node is open, [`Error::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub fn flush(&self) -> Wait<'static, ()> {
        let ledger = self.ledger();
        Wait::new("confirmation of the journal", async move {
            match ledger {
                Some(ledger) => ledger.flush().await,
                None => Err(Error::Closed),
            }
        })
    }

    /// How many messages are kept at most; see [`max_messages`](Self::max_messages).
    pub fn bound(&self) -> u64 {
        self.max_messages
    }

    pub(crate) fn starts(&self) -> &Start {
        &self.start
    }

    /// Whether it is an event of the journal.
    pub(crate) fn covers(&self, event: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern_matches(pattern, event))
    }

    /// Whether a listener for `pattern` may hear an event of the journal.
    pub(crate) fn may_interest(&self, pattern: &str) -> bool {
        self.patterns.iter().any(|own| patterns_overlap(own, pattern))
    }

    /// Checks what can be checked without the server.
    pub(crate) fn check(&self) -> Result<()> {
        let setting =
            |setting: &str, reason: String| Err(Error::Setting { setting: setting.to_owned(), reason });
        for pattern in &self.patterns {
            if let Err(error) = check_pattern(pattern) {
                return setting("durable", error.to_string());
            }
        }
        if !(1..=i64::MAX as u64).contains(&self.max_messages) {
            return setting(
                "max_messages",
                "a journal keeps at least 1 message, and at most 2^63 - 1".to_owned(),
            );
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Ledger>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> Option<Arc<Ledger>> {
        self.lock().upgrade().filter(|ledger| !ledger.is_over())
    }

    /// From now on it tells of this node.
    ///
    /// # Errors
    ///
    /// When it tells of another one.
    pub(crate) fn attach(&self, ledger: &Arc<Ledger>) -> Result<()> {
        let mut attached = self.lock();
        if attached.upgrade().is_some_and(|known| !known.is_over()) {
            let reason = "one `Durable` serves one node at a time: make another one".to_owned();
            return Err(Error::Setting { setting: "durable".to_owned(), reason });
        }
        *attached = Arc::downgrade(ledger);
        Ok(())
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("patterns", &self.patterns)
            .field("start", &self.start)
            .field("max_messages", &self.max_messages)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        let wrong = [
            (Durable::new(""), "durable"),
            (Durable::new("x").and("y".repeat(2000)), "durable"),
            (Durable::new("x").max_messages(0), "max_messages"),
        ];
        for (durable, named) in wrong {
            let error = durable.check().unwrap_err();
            assert!(matches!(&error, Error::Setting { setting, .. } if setting == named), "{error}");
        }
        assert!(Durable::new("x*").and("y").check().is_ok());
    }

    #[test]
    fn a_pattern_covers_events_and_may_interest_listeners() {
        let durable = Durable::new("orders/*").and("refund");
        assert!(durable.covers("orders/1") && durable.covers("refund") && !durable.covers("refunds"));
        assert!(durable.may_interest("*") && durable.may_interest("orders/new"));
        assert!(durable.may_interest("*/new") && !durable.may_interest("payments/*"));
    }

    #[test]
    fn without_a_node_there_is_nothing_to_flush() {
        let durable = Durable::new("x");
        assert!(matches!(durable.flush().wait(), Err(Error::Closed)));
    }
}
