use std::{collections::VecDeque, time::Instant};

use crate::{Envelope, listener::ListenerQueue, pattern_matches};

/// Messages that another listener has had already are kept too, but few of them.
const CLAIMED: usize = 1024;

/// What came from other nodes in the moment after a join, for listeners that are not there yet.
///
/// **Once around.** A message is handed to those who listen when it comes. If nobody does, the first listener that
/// comes in time gets it. Besides, the first listener for *one* message of an event may take one that others have had:
/// `on("greeting")` followed by `wait_for("greeting")` gets the greeting whether it came before, between or after.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    held: VecDeque<Held>,
    bytes: usize,
    claimed: usize,
    /// Events that a listener for one message has asked for.
    waited: Vec<String>,
    until: Option<Instant>,
    /// How many reasons there are to let go of nothing: this node is not all there yet.
    pauses: usize,
}

#[derive(Debug)]
struct Held {
    envelope: Envelope,
    claimed: bool,
    until: Instant,
}

impl Hold {
    /// Keeps what comes until then.
    pub(crate) fn extend(&mut self, until: Instant) {
        self.until = self.until.max(Some(until));
    }

    /// Lets go of nothing until [`resume`](Self::resume) has been called as often.
    pub(crate) fn pause(&mut self) {
        self.pauses += 1;
    }

    /// Keeps until then what is there and what comes.
    pub(crate) fn resume(&mut self, until: Instant) {
        self.pauses = self.pauses.saturating_sub(1);
        self.extend(until);
        for held in &mut self.held {
            held.until = held.until.max(until);
        }
    }

    /// Keeps a message that came, `claimed` if somebody has had it, until then. Returns false when it is unclaimed and there is
    /// no room for it.
    pub(crate) fn keep(&mut self, envelope: Envelope, claimed: bool, until: Instant, limit: usize) -> bool {
        let size = envelope.size();
        if self.bytes + size > limit || (claimed && self.claimed == CLAIMED) {
            return claimed;
        }
        self.bytes += size;
        self.claimed += usize::from(claimed);
        self.held.push_back(Held { envelope, claimed, until });
        true
    }

    /// Hands a new listener what is there for it.
    pub(crate) fn claim(&mut self, listener: &ListenerQueue) -> Vec<Envelope> {
        let mut claimed = Vec::new();
        let first = listener.once && !self.waited.iter().any(|event| **event == *listener.pattern);
        if listener.once && self.until.is_some() && first && self.waited.len() < CLAIMED {
            self.waited.push(listener.pattern.to_string());
        }
        for held in &mut self.held {
            if (held.claimed && !first) || !pattern_matches(&listener.pattern, held.envelope.event()) {
                continue;
            }
            if !held.claimed {
                held.claimed = true;
                self.claimed += 1;
            }
            claimed.push(held.envelope.clone());
            if listener.once {
                break;
            }
        }
        claimed
    }

    /// Lets go of what nobody claimed in time. Returns how many messages that were, and when to look again.
    pub(crate) fn expire(&mut self, now: Instant) -> (u64, Option<Instant>) {
        let mut unclaimed = 0;
        if self.pauses > 0 {
            return (unclaimed, None);
        }
        while let Some(held) = self.held.front() {
            if held.until > now {
                break;
            }
            self.bytes -= held.envelope.size();
            self.claimed -= usize::from(held.claimed);
            unclaimed += u64::from(!held.claimed);
            self.held.pop_front();
        }
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
        if self.until.is_none() && self.held.is_empty() {
            self.waited.clear();
        }
        let next = self.held.front().map(|held| held.until).into_iter().chain(self.until).min();
        (unclaimed, next)
    }

    /// Whether what comes is kept.
    pub(crate) fn is_active(&self) -> bool {
        self.until.is_some() || self.pauses > 0
    }
}
