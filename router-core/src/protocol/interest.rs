//! Who listens for what: what this node tells its peers, and what a hub tells each leaf on behalf of the others.

use std::{sync::Arc, time::Instant};

use super::Machine;
use crate::{NodeId, session::Session, wire::control::Control};

/// How many patterns one frame tells at most: with names of the longest kind it stays below the smallest frame limit
/// of a peer that keeps the default.
const PER_FRAME: usize = 4096;

impl Machine {
    /// A listener came (`1`) or went (`-1`) in this process.
    pub(crate) fn listen(&mut self, pattern: &str, difference: i32) {
        let before = self.listening.get(pattern).copied().unwrap_or_default();
        let count = before.saturating_add_signed(difference);
        match count {
            0 => drop(self.listening.remove(pattern)),
            count => drop(self.listening.insert(pattern.to_owned(), count)),
        }
        self.tell_interest(None, [pattern]);
    }

    fn is_hub(&self) -> bool {
        self.config.topology.forwards(self.config.node_id)
    }

    /// How many listeners there are for this very pattern here and, if this is the hub, behind it, as `peer` sees it.
    fn count_for(&self, peer: NodeId, pattern: &str) -> u32 {
        let here = self.listening.get(pattern).copied().unwrap_or_default();
        let behind = match self.is_hub() {
            true => {
                let wanted = self.wanted.get(pattern).copied().unwrap_or_default();
                wanted.saturating_sub(self.routes.count_of(peer, pattern))
            }
            false => 0,
        };
        here + behind
    }

    /// Tells every peer but one how many listeners these patterns have now.
    fn tell_interest<'a>(&self, but: Option<NodeId>, patterns: impl IntoIterator<Item = &'a str> + Clone) {
        for (node, seat) in &self.seats {
            if Some(*node) == but || seat.link.is_none() {
                continue;
            }
            let counted = patterns.clone().into_iter();
            let counted: Vec<_> =
                counted.map(|pattern| (pattern.to_owned(), self.count_for(*node, pattern))).collect();
            for patterns in counted.chunks(PER_FRAME) {
                seat.session.outbox.control(&Control::Interest { reset: false, patterns: patterns.to_vec() });
            }
        }
    }

    /// All that a new link is told.
    pub(super) fn interest_snapshot(&self, peer: NodeId) -> Vec<Control> {
        let behind = self.wanted.keys().filter(|pattern| !self.listening.contains_key(*pattern));
        let patterns = self.listening.keys().chain(behind);
        let counted = patterns.map(|pattern| (pattern.clone(), self.count_for(peer, pattern)));
        let counted: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
        let (first, rest) = counted.split_at(counted.len().min(PER_FRAME));
        let frame =
            |(reset, patterns): (bool, &[_])| Control::Interest { reset, patterns: patterns.to_vec() };
        std::iter::once((true, first))
            .chain(rest.chunks(PER_FRAME).map(|rest| (false, rest)))
            .map(frame)
            .collect()
    }

    /// A peer has told what it listens for. Returns false when that is too much.
    pub(super) fn learn_interest(
        &mut self,
        now: Instant,
        session: &Arc<Session>,
        reset: bool,
        patterns: &[(String, u32)],
    ) -> bool {
        let max = self.config.limits.max_patterns;
        if reset && patterns.len() == PER_FRAME {
            // More is to come: until it is there, everything is wanted.
            self.routes.open_up(now + self.config.limits.hold);
        }
        let Some(changed) = self.routes.interest(session, reset, patterns, max) else { return false };
        self.pass_on(session, &changed);
        true
    }

    /// A peer does not listen any more.
    pub(super) fn forget_interest(&mut self, session: &Arc<Session>) {
        let asked = self.routes.interest_of(session.peer.node_id);
        let changed: Vec<_> = asked.into_iter().map(|(pattern, count)| (pattern, count, 0)).collect();
        self.routes.interest(session, true, &[], usize::MAX);
        self.pass_on(session, &changed);
    }

    /// For a hub: tells the other leaves what has changed behind it.
    fn pass_on(&mut self, session: &Arc<Session>, changed: &[(String, u32, u32)]) {
        if !self.is_hub() {
            return;
        }
        for (pattern, before, now) in changed {
            let wanted = self.wanted.entry(pattern.clone()).or_default();
            *wanted = (*wanted + now).saturating_sub(*before);
            if *wanted == 0 {
                self.wanted.remove(pattern);
            }
        }
        self.tell_interest(Some(session.peer.node_id), changed.iter().map(|(pattern, ..)| pattern.as_str()));
    }
}
