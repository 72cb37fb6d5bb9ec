//! Peers and the links that carry their sessions: who takes a seat, and who leaves it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Action, LinkId, Machine,
    admission::Phase,
    backoff,
    dial::{DialState, Origin},
    machine::LinkEnd,
    seat::{Linked, Seat},
};
use crate::{
    Address, Error, LeaveReason, NodeId, Peer,
    outbox::Outbox,
    session::Session,
    wire::{WireError, control::Control, hello::Hello},
};

/// How long the side that did not dial a broken link leaves the redialling to the one that did.
const PATIENCE: Duration = Duration::from_millis(500);

impl Machine {
    /// The link carries the session with this peer from now on.
    pub(super) fn establish(
        &mut self,
        now: Instant,
        link: LinkId,
        peer: &Hello,
        dialled_by: NodeId,
        dialled: Option<Address>,
    ) {
        let node = peer.node_id;
        let known = self.seats.get(&node).map(|seat| seat.session.peer.incarnation);
        if known.is_some_and(|incarnation| incarnation != peer.incarnation) {
            self.unseat(now, node, LeaveReason::Restarted);
            if let Some(seat) = self.seats.remove(&node) {
                self.past.add(&seat.session.stats());
            }
        }
        let (config, via) = (&self.config, None);
        let seat = self.seats.entry(node).or_insert_with(|| {
            let address = peer.address.parse().ok();
            let labels = peer.labels.as_slice().into();
            let described = Peer { node_id: node, labels, address, incarnation: peer.incarnation, via };
            let session = Session::new(described, config.policy, &config.limits, peer.window, now);
            Seat {
                session,
                link: None,
                detached: None,
                gone: false,
                farewell: false,
                sounded: false,
                max_frame: peer.max_frame as usize,
                probe: None,
            }
        });
        let fresh = known != Some(peer.incarnation) || seat.gone;
        let mut replaced = None;
        if let Some(old) = seat.link.take() {
            seat.session.outbox.detach(old.id);
            if dialled_by == self.config.node_id {
                self.actions.push(Action::Close(old.id));
            } else {
                // The other end has not heard yet that it is let in on this one: were the old one closed before, it
                // would take us for lost.
                replaced = Some(old.id);
            }
        }
        let session = seat.session.clone();
        session.hear(now);
        let pinged = now;
        seat.link = Some(Linked {
            id: link,
            dialled_by,
            dialled,
            pinged,
            resumed: false,
            introduced: false,
            replaced,
        });
        (seat.detached, seat.gone, seat.farewell) = (None, false, false);
        let received = session.receive_from(link);
        let mut controls = vec![Control::Resume(received)];
        controls.extend(self.interest_snapshot(node));
        controls.push(self.members_snapshot(node));
        session.outbox.attach(link, peer.window, &controls);
        // Joined is told before anything of the peer's can arrive.
        let until = now + self.config.limits.hold;
        self.join(now, &session, fresh.then_some(until));
        self.actions.push(Action::Establish(link, session));
        for dial in self.dials.values_mut().filter(|dial| dial.node == Some(node)) {
            dial.state = DialState::Connected;
        }
    }

    /// A control frame came on the link of a session.
    pub(crate) fn control(&mut self, now: Instant, link: LinkId, session: &Arc<Session>, control: Control) {
        let node = session.peer.node_id;
        let Some(seat) = self.seats.get_mut(&node) else { return };
        let Some(linked) = seat.link.as_mut().filter(|linked| linked.id == link) else { return };
        match control {
            Control::Resume(received) => {
                if linked.resumed || !session.outbox.resume(received) {
                    return self.broken(now, link, node, "a count of messages");
                }
                linked.resumed = true;
                let replaced = linked.replaced.take();
                if self.closing && !seat.farewell {
                    // What was said on an earlier link went with it.
                    session.outbox.control_last(&Control::Goodbye);
                }
                self.actions.extend(replaced.map(Action::Close));
            }
            Control::Ack(received) if linked.resumed => session.outbox.confirm(received),
            Control::Ack(_) => self.broken(now, link, node, "an ack before its time"),
            Control::Ping => {
                session.outbox.request_ack();
                let taken = self.taken(node);
                session.outbox.control(&Control::Pong(taken));
            }
            Control::Pong(taken) => {
                session.outbox.note_taken(taken);
                seat.sounded = false;
                if let Some(probe) = seat.probe.take() {
                    self.probe_failed(now, probe.newcomer);
                }
            }
            Control::Goodbye => {
                let farewell = Control::Farewell(session.received());
                session.outbox.retire();
                session.outbox.control(&farewell);
                seat.farewell = true;
                self.unseat(now, node, LeaveReason::Goodbye);
            }
            Control::Farewell(received) => {
                session.outbox.confirm(received);
                seat.farewell = true;
                self.actions.push(Action::Close(link));
            }
            Control::Interest { reset, patterns } => {
                if !self.learn_interest(now, session, reset, &patterns) {
                    self.broken(now, link, node, "more patterns than `max_patterns`");
                }
            }
            Control::Members { joined, left } => {
                linked.introduced = true;
                self.learn_members(now, node, joined, &left);
            }
            // These travel with the messages, and who reads the link deals with them.
            Control::Gap { .. } | Control::Loss { .. } => {}
        }
    }

    pub(super) fn broken(&mut self, now: Instant, link: LinkId, node: NodeId, what: &'static str) {
        tracing::warn!(%node, what, "a peer broke the protocol");
        self.lost(now, link, &LinkEnd::Protocol(WireError::Value { kind: 0, what }));
    }

    /// A link is no more.
    pub(crate) fn lost(&mut self, now: Instant, link: LinkId, end: &LinkEnd) {
        let reason = match end {
            LinkEnd::Lost => LeaveReason::LinkLost,
            LinkEnd::Protocol(_) => LeaveReason::Protocol,
        };
        if let Some(pending) = self.pending.remove(&link) {
            self.actions.push(Action::Close(link));
            if let Phase::Greeted { dial, .. } | Phase::Proved { dial, .. } = pending.phase {
                let refusal = match end {
                    LinkEnd::Protocol(error) => {
                        Some(Error::NotTidings { address: pending.remote, reason: error.to_string() })
                    }
                    LinkEnd::Lost => None,
                };
                if let Some(dial) = self.dials.get_mut(&dial) {
                    dial.refused = refusal;
                    dial.last_error = Some(io::ErrorKind::ConnectionAborted.into());
                }
                self.retry(now, dial);
            }
            return;
        }
        let carried = |seat: &&Seat| seat.link.as_ref().is_some_and(|linked| linked.id == link);
        let node = self.seats.values().find(carried).map(|seat| seat.session.peer.node_id);
        if let Some(node) = node {
            self.detach(now, node, reason);
        }
    }

    /// The link of a peer is no more: the peer is no member, but what is queued for it waits for a while.
    pub(super) fn detach(&mut self, now: Instant, node: NodeId, reason: LeaveReason) {
        let Some(seat) = self.seats.get_mut(&node) else { return };
        let Some(linked) = seat.link.take() else { return };
        seat.session.outbox.detach(linked.id);
        let silent = reason == LeaveReason::Silent;
        let end = if silent { Action::Abort } else { Action::Close };
        self.actions.push(end(linked.id));
        self.actions.extend(linked.replaced.map(Action::Close));
        seat.detached = Some(now);
        let (peer, probe, gone) = (seat.session.peer.clone(), seat.probe.take(), seat.has_left());
        self.leave(node, peer.incarnation, reason);
        self.redial(now, &peer, &linked, gone);
        if let Some(probe) = probe {
            self.probe_succeeded(now, probe.newcomer);
        }
    }

    /// Has a peer whose link broke dialled again.
    pub(super) fn redial(&mut self, now: Instant, peer: &Peer, linked: &Linked, gone: bool) {
        let delay = backoff::delay(0, &mut self.random);
        let mut known = false;
        for dial in self.dials.values_mut().filter(|dial| dial.node == Some(peer.node_id)) {
            dial.state = DialState::Waiting(now + delay);
            known = true;
        }
        if gone {
            self.dials.retain(|_, dial| {
                dial.origin == Origin::Attach
                    || dial.node != Some(peer.node_id)
                    || dial.state == DialState::Connected
            });
        } else if !known
            && !self.closing
            && let Some(address) = peer.address.clone().or(linked.dialled.clone())
        {
            // A leaf or a node that stands alone is dialled only by those who were told to.
            let dials = self.config.topology.dials_learned();
            let dialled_by_us = linked.dialled_by == self.config.node_id;
            if dials {
                let at = now + if dialled_by_us { delay } else { PATIENCE + delay };
                self.dial(at, address, Origin::Learned(peer.node_id, peer.incarnation));
            }
        }
    }

    /// The peer's place is free: what was queued for it is dropped and counted.
    pub(super) fn unseat(&mut self, now: Instant, node: NodeId, reason: LeaveReason) {
        let Some(seat) = self.seats.get_mut(&node) else { return };
        seat.gone = true;
        let session = seat.session.clone();
        self.forget_interest(&session);
        self.routes.leave(&session);
        match reason {
            // The link stays for the farewell, until the peer closes it.
            LeaveReason::Goodbye => self.leave(node, session.peer.incarnation, reason),
            _ => {
                self.detach(now, node, reason);
                session.outbox.close(Outbox::drop_reason(reason));
            }
        }
    }

    /// Cuts off a peer that lags.
    pub(crate) fn evict(&mut self, now: Instant, session: &Arc<Session>) {
        let node = session.peer.node_id;
        if self.seats.get(&node).is_some_and(|seat| Arc::ptr_eq(&seat.session, session) && !seat.gone) {
            tracing::warn!(%node, "a peer took nothing for longer than `max_wait` and is evicted");
            self.unseat(now, node, LeaveReason::Lagging);
        }
    }

    /// Says goodbye to everyone, behind all that is queued for them.
    pub(crate) fn goodbye(&mut self) {
        self.closing = true;
        for seat in self.seats.values().filter(|seat| seat.link.is_some() && !seat.farewell) {
            seat.session.outbox.control_last(&Control::Goodbye);
        }
    }

    /// A number that changes when messages are taken here, or by those to whom this node forwards what `asker` sends.
    fn taken(&self, asker: NodeId) -> u64 {
        let here = self.routes.listeners().iter().map(|listener| listener.taken()).fold(0, u64::wrapping_add);
        if !self.config.topology.forwards(self.config.node_id) {
            return here;
        }
        let others = self.seats.iter().filter(|(node, seat)| **node != asker && seat.link.is_some());
        others.fold(here, |taken, (_, seat)| {
            let outbox = &seat.session.outbox;
            if outbox.is_waiting() {
                // The answer comes too late for this question, but in time for the next.
                outbox.control(&Control::Ping);
            }
            taken.wrapping_add(outbox.progress())
        })
    }

    /// Asks those that have not answered our goodbye how far they have come: they are not heard to the end any more.
    pub(crate) fn sound_out(&mut self) {
        for seat in self.seats.values_mut().filter(|seat| seat.link.is_some() && !seat.farewell) {
            seat.sounded = true;
            seat.session.outbox.control(&Control::Ping);
        }
    }

    /// Whether one of them has not told yet.
    pub(crate) fn is_sounding(&self) -> bool {
        self.seats.values().any(|seat| seat.sounded && seat.link.is_some())
    }

    /// Whether everyone has answered our goodbye, and has our answer to theirs: they close their links when they do.
    pub(crate) fn has_parted(&self) -> bool {
        let waits_for_answer = self.seats.values().any(|seat| seat.has_left() && seat.link.is_some());
        !waits_for_answer && self.without_farewell().is_empty()
    }

    /// The peers that have not answered our goodbye, or have no link to say it on while messages wait for them.
    pub(crate) fn without_farewell(&self) -> Vec<NodeId> {
        let open = self.seats.iter().filter(|(_, seat)| !seat.farewell && !seat.gone);
        open.filter(|(_, seat)| seat.link.is_some() || seat.session.outbox.unconfirmed() > 0)
            .map(|(node, _)| *node)
            .collect()
    }
}
