//! What happens when time passes: heartbeats, silence, retries, limits.

use std::time::Instant;

use super::{
    Action, DialId, Machine,
    dial::{Dial, DialState, Origin},
    machine::LinkEnd,
};
use crate::{LeaveReason, NodeId, wire::control::Control};

/// After how many failed tries a member that was only heard of is not dialled any more.
const FORGOTTEN: u32 = 10;

/// How many peers that are gone are remembered, so that they can be told what they missed.
const REMEMBERED: usize = 1024;

impl Machine {
    /// What time it is: timers run out. Returns when to call again at the latest.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Instant> {
        self.forgive_pause(now);
        self.last_tick = Some(now);
        self.time_out_handshakes(now);
        self.time_out_seats(now);
        let is_due = |dial: &Dial| matches!(dial.state, DialState::Waiting(at) if at <= now);
        let due: Vec<_> = self.dials.iter().filter(|(_, dial)| is_due(dial)).map(|(id, _)| *id).collect();
        due.into_iter().for_each(|id| self.dial_now(now, id));
        self.next_tick()
    }

    /// A process that was stopped, or a machine that slept, has heard nobody: that is not the others' fault.
    pub(super) fn forgive_pause(&mut self, now: Instant) {
        let late = self.last_tick.is_some_and(|last| now > last + 2 * self.config.limits.heartbeat);
        if late {
            self.seats.values().filter(|seat| seat.link.is_some()).for_each(|seat| seat.session.hear(now));
        }
    }

    pub(super) fn time_out_handshakes(&mut self, now: Instant) {
        let late: Vec<_> =
            self.pending.iter().filter(|(_, pending)| pending.until <= now).map(|(id, _)| *id).collect();
        late.into_iter().for_each(|link| self.lost(now, link, &LinkEnd::Lost));
    }

    pub(super) fn time_out_seats(&mut self, now: Instant) {
        let limits = self.config.limits.clone();
        let nodes: Vec<NodeId> = self.seats.keys().copied().collect();
        for node in nodes {
            let Some(seat) = self.seats.get_mut(&node) else { continue };
            let probed = seat.probe.is_some_and(|probe| probe.until <= now);
            let silent = now >= seat.session.heard() + limits.dead_after;
            match &mut seat.link {
                Some(_) if silent || probed => self.detach(now, node, LeaveReason::Silent),
                Some(linked) if now >= linked.pinged + limits.heartbeat => {
                    linked.pinged = now;
                    seat.session.outbox.control(&Control::Ping);
                    seat.session.outbox.request_ack();
                }
                None if !seat.gone
                    && seat.detached.is_some_and(|since| now >= since + limits.resume_within) =>
                {
                    self.unseat(now, node, LeaveReason::LinkLost);
                }
                _ => {}
            }
        }
        let gone = self.seats.values().filter(|seat| seat.gone && seat.link.is_none()).count();
        if gone > REMEMBERED {
            let forgotten = self.seats.extract_if(.., |_, seat| seat.gone && seat.link.is_none());
            forgotten.for_each(|(_, seat)| self.past.add(&seat.session.stats()));
        }
    }

    pub(super) fn dial_now(&mut self, now: Instant, id: DialId) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        let seat = dial.node.and_then(|node| self.seats.get(&node));
        if seat.is_some_and(|seat| seat.link.is_some()) {
            dial.state = DialState::Connected;
            return;
        }
        if let Origin::Learned(_, incarnation) = dial.origin {
            // Another incarnation is there by now, or the node is gone for good.
            let stale =
                seat.is_some_and(|seat| seat.session.peer.incarnation != incarnation || seat.has_left());
            if stale || (seat.is_none() && dial.attempts > FORGOTTEN) {
                self.dials.remove(&id);
                return;
            }
        }
        if self.closing {
            dial.state = DialState::Waiting(now + self.config.limits.dead_after);
            return;
        }
        dial.state = DialState::Dialling;
        self.actions.push(Action::Dial(id, dial.address.clone()));
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        let limits = &self.config.limits;
        let dials = self.dials.values().filter_map(|dial| match dial.state {
            DialState::Waiting(at) => Some(at),
            _ => None,
        });
        let seats = self.seats.values().flat_map(|seat| {
            let pinged = seat.link.as_ref().map(|linked| linked.pinged + limits.heartbeat);
            let heard = seat.link.as_ref().map(|_| seat.session.heard() + limits.dead_after);
            let detached = seat.detached.filter(|_| !seat.gone && seat.link.is_none());
            let expires = detached.map(|since| since + limits.resume_within);
            [pinged, heard, expires, seat.probe.map(|probe| probe.until)].into_iter().flatten()
        });
        dials.chain(seats).chain(self.pending.values().map(|pending| pending.until)).min()
    }
}
