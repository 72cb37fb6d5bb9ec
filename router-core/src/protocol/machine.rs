use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tidings_topology::{Members, survives};

use super::{
    Action, Config, DialId, LinkId, backoff,
    dial::{Dial, DialState, Origin},
    handshake::{self, Role},
    seat::{Linked, Probe, Seat},
};
use crate::{
    Address, Error, LeaveReason, NodeId, Peer, Result, Stats,
    outbox::Outbox,
    routes::Routes,
    session::Session,
    wire::{
        WireError,
        control::Control,
        hello::{Handshake, HandshakeError, Hello, PROOF_LEN, Reject, RejectReason},
    },
};

/// How long a node whose id somebody else wants has to show that it is alive.
const PROBE: Duration = Duration::from_secs(1);

/// How long the side that did not dial a broken link leaves the redialling to the one that did.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many peers that are gone are remembered, so that they can be told what they missed.
const REMEMBERED: usize = 1024;

/// Why a link ended.
#[derive(Debug)]
pub(crate) enum LinkEnd {
    /// It broke, or the other end closed it.
    Lost,
    /// The other end sent what no node of this version sends.
    Protocol(WireError),
}

/// A link that carries no session yet.
#[derive(Debug)]
struct Pending {
    remote: String,
    until: Instant,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// We have said hello on a link that we dialled; these were the bytes.
    Greeted { dial: DialId, hello: Vec<u8> },
    /// We have proved ourselves to this node, and wait to be let in.
    Proved { dial: DialId, peer: Hello },
    /// Somebody dialled us and has said nothing yet.
    Accepted,
    /// We have welcomed this node, and wait for its proof over these bytes.
    Welcomed { peer: Hello, transcript: Vec<u8> },
    /// The node has proved itself, but its id may be taken.
    Probing { peer: Hello },
    /// It is turned away; what it still says does not count.
    Refused,
}

/// The state machine of one node.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) config: Config,
    pub(super) routes: Arc<Routes>,
    random: fastrand::Rng,
    nonce: fn() -> [u8; PROOF_LEN],
    pending: HashMap<LinkId, Pending>,
    pub(super) seats: BTreeMap<NodeId, Seat>,
    pub(super) members: Members<Peer>,
    pub(super) dials: BTreeMap<DialId, Dial>,
    next_dial: u64,
    /// What listeners of this process listen for, with how many of them.
    pub(super) listening: BTreeMap<String, u32>,
    /// For a hub: what all peers listen for.
    pub(super) wanted: HashMap<String, u32>,
    pub(super) actions: Vec<Action>,
    closing: bool,
    last_tick: Option<Instant>,
    /// What the counters of peers that are forgotten add up to.
    past: Stats,
}

impl Machine {
    pub(crate) fn new(config: Config, routes: Arc<Routes>, seed: u64, nonce: fn() -> [u8; PROOF_LEN]) -> Self {
        Self {
            config,
            routes,
            random: fastrand::Rng::with_seed(seed),
            nonce,
            pending: HashMap::new(),
            seats: BTreeMap::new(),
            members: Members::default(),
            dials: BTreeMap::new(),
            next_dial: 0,
            listening: BTreeMap::new(),
            wanted: HashMap::new(),
            actions: Vec::new(),
            closing: false,
            last_tick: None,
            past: Stats::default(),
        }
    }

    /// What is to be done since the last call.
    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Connects to an address of the user's.
    pub(crate) fn attach(&mut self, now: Instant, address: Address) -> DialId {
        self.dial(now, address, Origin::Attach)
    }

    pub(super) fn dial(&mut self, at: Instant, address: Address, origin: Origin) -> DialId {
        self.next_dial += 1;
        let id = DialId(self.next_dial);
        self.dials.insert(id, Dial::new(address, origin, at));
        id
    }

    /// Whether these addresses are connected, and all members that were learned of there have been tried.
    ///
    /// # Errors
    ///
    /// Why one of them has refused.
    pub(crate) fn is_attached(&mut self, dials: &[DialId]) -> Result<bool> {
        let mut attached = true;
        for id in dials {
            let Some(dial) = self.dials.get_mut(id) else { continue };
            if let Some(error) = dial.refused.take() {
                return Err(error);
            }
            let seat = dial.node.and_then(|node| self.seats.get(&node));
            let link = seat.and_then(|seat| seat.link.as_ref());
            attached &= dial.state == DialState::Connected && link.is_some_and(|link| link.introduced);
        }
        let learned = self.dials.values().filter(|dial| matches!(dial.origin, Origin::Learned(..)));
        Ok(attached && learned.into_iter().all(|dial| dial.tried || dial.state == DialState::Connected))
    }

    /// The first of these addresses that is not connected, and what the last try said.
    pub(crate) fn unattached(&mut self, dials: &[DialId]) -> Option<(Address, Option<io::Error>)> {
        let missing = dials.iter().find(|id| {
            self.dials.get(id).is_some_and(|dial| dial.state != DialState::Connected)
        })?;
        self.dials.get_mut(missing).map(|dial| (dial.address.clone(), dial.last_error.take()))
    }

    /// Gives up connecting to these addresses, unless they are connected.
    pub(crate) fn abandon(&mut self, dials: &[DialId]) {
        self.dials.retain(|id, dial| !dials.contains(id) || dial.state == DialState::Connected);
    }

    /// A dial came to a link, or to nothing.
    pub(crate) fn dialled(&mut self, now: Instant, id: DialId, result: io::Result<(LinkId, String)>) {
        let Some(dial) = self.dials.get_mut(&id) else {
            if let Ok((link, _)) = result {
                self.actions.push(Action::Close(link));
            }
            return;
        };
        match result {
            Err(error) => {
                dial.last_error = Some(error);
                self.retry(now, id);
            }
            Ok((link, remote)) => {
                dial.state = DialState::Handshaking(link);
                let mut hello = Vec::new();
                Handshake::Hello(self.config.hello((self.nonce)())).encode(&mut hello);
                self.actions.push(Action::Send(link, Bytes::copy_from_slice(&hello)));
                let until = now + self.config.limits.handshake_timeout;
                let phase = Phase::Greeted { dial: id, hello };
                self.pending.insert(link, Pending { remote, until, phase });
            }
        }
    }

    /// Tries again later.
    fn retry(&mut self, now: Instant, id: DialId) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        dial.tried = true;
        dial.state = DialState::Waiting(now + backoff::delay(dial.attempts, &mut self.random));
        dial.attempts = dial.attempts.saturating_add(1);
    }

    /// Somebody has dialled us.
    pub(crate) fn accepted(&mut self, now: Instant, link: LinkId, remote: String) {
        let accepting = |pending: &&Pending| {
            matches!(pending.phase, Phase::Accepted | Phase::Welcomed { .. } | Phase::Probing { .. })
        };
        if self.closing || self.pending.values().filter(accepting).count() >= self.config.limits.max_handshakes {
            self.actions.push(Action::Close(link));
            return;
        }
        let until = now + self.config.limits.handshake_timeout;
        self.pending.insert(link, Pending { remote, until, phase: Phase::Accepted });
    }

    /// A frame came on a link that carries no session yet.
    pub(crate) fn handshake(&mut self, now: Instant, link: LinkId, frame: &[u8]) {
        let Some(pending) = self.pending.remove(&link) else { return };
        let Pending { remote, until, phase } = pending;
        let handshake = match Handshake::decode(frame) {
            Ok(handshake) => handshake,
            Err(error) => return self.not_ours(now, link, &remote, phase, error),
        };
        let keep = |machine: &mut Self, phase| {
            machine.pending.insert(link, Pending { remote: remote.clone(), until, phase });
        };
        match (phase, handshake) {
            (Phase::Accepted, Handshake::Hello(peer)) => {
                if let Err(reject) = handshake::fits(&self.config, &peer) {
                    return self.refuse(now, link, remote, reject);
                }
                let hello = self.config.hello((self.nonce)());
                // Both ends prove themselves over the same bytes: the hello and the welcome before its proof.
                let mut transcript = frame.to_vec();
                Handshake::Welcome(hello.clone(), Vec::new()).encode(&mut transcript);
                let proof = handshake::prove(self.config.secret.as_ref(), Role::Accepting, &transcript);
                let mut welcome = Vec::new();
                Handshake::Welcome(hello, proof).encode(&mut welcome);
                self.actions.push(Action::Send(link, welcome.into()));
                keep(self, Phase::Welcomed { peer, transcript });
            }
            (Phase::Greeted { dial, hello }, Handshake::Welcome(peer, proof)) => {
                if let Err(reject) = handshake::fits(&self.config, &peer) {
                    self.send_reject(link, reject.clone());
                    return self.refused(now, link, dial, handshake::error(&self.config, &remote, reject));
                }
                let mut transcript = hello;
                Handshake::Welcome(peer.clone(), Vec::new()).encode(&mut transcript);
                if !handshake::check(self.config.secret.as_ref(), Role::Accepting, &transcript, &proof) {
                    let text = "the two secrets differ".to_owned();
                    let reject = handshake::reject(&self.config, RejectReason::Secret, text);
                    self.send_reject(link, reject.clone());
                    return self.refused(now, link, dial, handshake::error(&self.config, &remote, reject));
                }
                let mut frame = Vec::new();
                let proof = handshake::prove(self.config.secret.as_ref(), Role::Dialling, &transcript);
                Handshake::Proof(proof).encode(&mut frame);
                self.actions.push(Action::Send(link, frame.into()));
                keep(self, Phase::Proved { dial, peer });
            }
            (Phase::Welcomed { peer, transcript }, Handshake::Proof(proof)) => {
                if !handshake::check(self.config.secret.as_ref(), Role::Dialling, &transcript, &proof) {
                    let text = "the two secrets differ".to_owned();
                    let reject = handshake::reject(&self.config, RejectReason::Secret, text);
                    return self.refuse(now, link, remote, reject);
                }
                self.proved(now, link, remote, until, peer);
            }
            (Phase::Proved { dial, peer }, Handshake::Accept) => {
                let node = peer.node_id;
                let dialled = self.dials.get_mut(&dial).map(|dial| {
                    dial.node = Some(node);
                    dial.state = DialState::Connected;
                    (dial.attempts, dial.tried) = (0, true);
                    dial.address.clone()
                });
                let survives = self.seats.get(&node).and_then(|seat| {
                    let same = seat.session.peer.incarnation == peer.incarnation;
                    seat.link.as_ref().filter(|_| same).map(|link| survives(self.config.node_id, link.dialled_by))
                });
                match survives {
                    Some(false) => self.actions.push(Action::Close(link)),
                    _ => self.establish(now, link, &peer, self.config.node_id, dialled),
                }
            }
            (Phase::Greeted { dial, .. }, Handshake::Reject(reject)) => self.rejected(now, link, dial, &remote, reject),
            (Phase::Proved { dial, peer }, Handshake::Reject(reject)) => {
                let linked = self.seats.get(&peer.node_id).is_some_and(|seat| seat.link.is_some());
                if reject.reason == RejectReason::DuplicateLink && linked {
                    if let Some(dial) = self.dials.get_mut(&dial) {
                        (dial.node, dial.state, dial.tried) = (Some(peer.node_id), DialState::Connected, true);
                    }
                    self.actions.push(Action::Close(link));
                } else {
                    self.rejected(now, link, dial, &remote, reject);
                }
            }
            (Phase::Refused, _) => keep(self, Phase::Refused),
            (phase, _) => {
                let error = HandshakeError::Wire(WireError::Kind { kind: frame[4] });
                self.not_ours(now, link, &remote, phase, error);
            }
        }
    }

    /// A dialling node has proved itself: it is let in, unless its id is taken or there is a better link.
    fn proved(&mut self, now: Instant, link: LinkId, remote: String, until: Instant, peer: Hello) {
        let busy = self.closing.then(|| (RejectReason::Busy, "the node is shutting down"));
        let seat = self.seats.get_mut(&peer.node_id).filter(|seat| seat.link.is_some());
        let taken = seat.and_then(|seat| {
            let old = seat.link.as_ref()?;
            if seat.session.peer.incarnation == peer.incarnation {
                let better = survives(peer.node_id, old.dialled_by);
                return (!better).then_some((RejectReason::DuplicateLink, "the two nodes are linked already"));
            }
            if seat.probe.is_some() {
                return Some((RejectReason::Busy, "another node with this id is being looked at"));
            }
            // Alive, or a link that nobody has told us is dead? It has a moment to say.
            seat.probe = Some(Probe { newcomer: link, until: now + PROBE.min(self.config.limits.dead_after) });
            seat.session.outbox.control(&Control::Ping);
            None
        });
        if let Some((reason, text)) = busy.or(taken) {
            let reject = handshake::reject(&self.config, reason, text.into());
            return self.refuse(now, link, remote, reject);
        }
        let probing = self.seats.get(&peer.node_id).and_then(|seat| seat.probe);
        if probing.is_some_and(|probe| probe.newcomer == link) {
            let until = until.max(now + 2 * PROBE);
            self.pending.insert(link, Pending { remote, until, phase: Phase::Probing { peer } });
        } else {
            self.welcome_in(now, link, &peer);
        }
    }

    fn welcome_in(&mut self, now: Instant, link: LinkId, peer: &Hello) {
        let mut accept = Vec::new();
        Handshake::Accept.encode(&mut accept);
        self.actions.push(Action::Send(link, accept.into()));
        self.establish(now, link, peer, peer.node_id, None);
    }

    /// The link carries the session with this peer from now on.
    fn establish(
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
                max_frame: peer.max_frame as usize,
                probe: None,
            }
        });
        let fresh = known != Some(peer.incarnation) || seat.gone;
        if let Some(old) = seat.link.take() {
            seat.session.outbox.detach(old.id);
            self.actions.push(Action::Close(old.id));
        }
        let session = seat.session.clone();
        session.hear(now);
        let pinged = now;
        seat.link = Some(Linked { id: link, dialled_by, dialled, pinged, resumed: false, introduced: false });
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
            }
            Control::Ack(received) if linked.resumed => session.outbox.confirm(received),
            Control::Ack(_) => self.broken(now, link, node, "an ack before its time"),
            Control::Ping => session.outbox.control(&Control::Pong),
            Control::Pong => {
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

    fn broken(&mut self, now: Instant, link: LinkId, node: NodeId, what: &'static str) {
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
                    LinkEnd::Protocol(error) => Some(Error::NotTidings { address: pending.remote, reason: error.to_string() }),
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
        self.actions.push(Action::Close(linked.id));
        seat.detached = Some(now);
        let (peer, probe, gone) = (seat.session.peer.clone(), seat.probe.take(), seat.gone);
        self.leave(node, peer.incarnation, reason);
        self.redial(now, &peer, &linked, gone);
        if let Some(probe) = probe {
            self.probe_succeeded(now, probe.newcomer);
        }
    }

    /// Has a peer whose link broke dialled again.
    fn redial(&mut self, now: Instant, peer: &Peer, linked: &Linked, gone: bool) {
        let delay = backoff::delay(0, &mut self.random);
        let mut known = false;
        for dial in self.dials.values_mut().filter(|dial| dial.node == Some(peer.node_id)) {
            dial.state = DialState::Waiting(now + delay);
            known = true;
        }
        if gone {
            self.dials.retain(|_, dial| {
                dial.origin == Origin::Attach || dial.node != Some(peer.node_id) || dial.state == DialState::Connected
            });
        } else if !known && !self.closing && let Some(address) = peer.address.clone().or(linked.dialled.clone()) {
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
    fn forgive_pause(&mut self, now: Instant) {
        let late = self.last_tick.is_some_and(|last| now > last + 2 * self.config.limits.heartbeat);
        if late {
            self.seats.values().filter(|seat| seat.link.is_some()).for_each(|seat| seat.session.hear(now));
        }
    }

    fn time_out_handshakes(&mut self, now: Instant) {
        let late: Vec<_> = self.pending.iter().filter(|(_, pending)| pending.until <= now).map(|(id, _)| *id).collect();
        late.into_iter().for_each(|link| self.lost(now, link, &LinkEnd::Lost));
    }

    fn time_out_seats(&mut self, now: Instant) {
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
                None if !seat.gone && seat.detached.is_some_and(|since| now >= since + limits.resume_within) => {
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

    fn dial_now(&mut self, now: Instant, id: DialId) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        let seat = dial.node.and_then(|node| self.seats.get(&node));
        if seat.is_some_and(|seat| seat.link.is_some()) {
            dial.state = DialState::Connected;
            return;
        }
        if let Origin::Learned(_, incarnation) = dial.origin {
            // Another incarnation is there by now, or the node is gone for good.
            let stale = seat.is_some_and(|seat| seat.session.peer.incarnation != incarnation || seat.gone);
            if stale || (seat.is_none() && dial.attempts > 10) {
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

    fn next_tick(&self) -> Option<Instant> {
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

    fn probe_failed(&mut self, now: Instant, newcomer: LinkId) {
        if let Some(Pending { remote, phase: Phase::Probing { .. }, .. }) = self.pending.remove(&newcomer) {
            let text = "the node that has it is alive".to_owned();
            let reject = handshake::reject(&self.config, RejectReason::DuplicateNodeId, text);
            self.refuse(now, newcomer, remote, reject);
        }
    }

    fn probe_succeeded(&mut self, now: Instant, newcomer: LinkId) {
        if let Some(Pending { phase: Phase::Probing { peer }, .. }) = self.pending.remove(&newcomer) {
            self.welcome_in(now, newcomer, &peer);
        }
    }

    /// Turns a node away that dialled us.
    fn refuse(&mut self, now: Instant, link: LinkId, remote: String, reject: Reject) {
        tracing::debug!(remote, ?reject, "turned a node away");
        self.send_reject(link, reject);
        // It has a moment to read why before the link is forgotten.
        let until = now + self.config.limits.handshake_timeout;
        self.pending.insert(link, Pending { remote, until, phase: Phase::Refused });
    }

    fn send_reject(&mut self, link: LinkId, reject: Reject) {
        let mut frame = Vec::new();
        Handshake::Reject(reject).encode(&mut frame);
        self.actions.push(Action::Send(link, frame.into()));
        self.actions.push(Action::Close(link));
    }

    /// The node that we dialled has turned us away.
    fn rejected(&mut self, now: Instant, link: LinkId, dial: DialId, remote: &str, reject: Reject) {
        let passing = matches!(reject.reason, RejectReason::Busy | RejectReason::DuplicateLink);
        let error = handshake::error(&self.config, remote, reject);
        if passing {
            self.actions.push(Action::Close(link));
            if let Some(dial) = self.dials.get_mut(&dial) {
                dial.last_error = Some(io::Error::other(error));
            }
            self.retry(now, dial);
        } else {
            self.refused(now, link, dial, error);
        }
    }

    fn refused(&mut self, now: Instant, link: LinkId, id: DialId, error: Error) {
        self.actions.push(Action::Close(link));
        if let Some(dial) = self.dials.get_mut(&id) {
            if dial.attempts == 0 {
                tracing::warn!(address = %dial.address, %error, "refused");
            }
            dial.refused = Some(error);
        }
        self.retry(now, id);
    }

    /// What came on a link is no handshake of ours.
    fn not_ours(&mut self, now: Instant, link: LinkId, remote: &str, phase: Phase, error: HandshakeError) {
        let version = match &error {
            HandshakeError::Version(version) => Some(*version),
            HandshakeError::Wire(_) => None,
        };
        match phase {
            Phase::Greeted { dial, .. } | Phase::Proved { dial, .. } => {
                let address = remote.to_owned();
                let error = match error {
                    HandshakeError::Version(theirs) => Error::WrongVersion { address, ours: crate::wire::VERSION, theirs },
                    HandshakeError::Wire(error) => Error::NotTidings { address, reason: error.to_string() },
                };
                self.refused(now, link, dial, error);
            }
            // Another version is told so; who does not speak our protocol is not answered.
            _ if version.is_some() => {
                let reject = handshake::reject(&self.config, RejectReason::Version, String::new());
                self.refuse(now, link, remote.to_owned(), reject);
            }
            _ => {
                tracing::debug!(remote, ?error, "closed a link that does not speak our protocol");
                self.actions.push(Action::Close(link));
            }
        }
    }

    /// Says goodbye to everyone, behind all that is queued for them.
    pub(crate) fn goodbye(&mut self) {
        self.closing = true;
        for seat in self.seats.values().filter(|seat| seat.link.is_some() && !seat.farewell) {
            seat.session.outbox.control_last(&Control::Goodbye);
        }
    }

    /// The peers that have not answered our goodbye, or have no link to say it on while messages wait for them.
    pub(crate) fn without_farewell(&self) -> Vec<NodeId> {
        let open = self.seats.iter().filter(|(_, seat)| !seat.farewell && !seat.gone);
        open.filter(|(_, seat)| seat.link.is_some() || seat.session.outbox.unconfirmed() > 0)
            .map(|(node, _)| *node)
            .collect()
    }

    /// All sessions, also those of peers that are gone.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.seats.values().map(|seat| &seat.session)
    }

    /// The counters of all peers that there are and were.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.past.clone();
        for session in self.sessions() {
            let peer = session.stats();
            stats.add(&peer);
            stats.peers.push(peer);
        }
        stats
    }

    /// The largest frame that every peer takes, in bytes.
    pub(crate) fn frame_limit(&self) -> usize {
        let peers = self.seats.values().filter(|seat| !seat.gone).map(|seat| seat.max_frame);
        peers.fold(self.config.limits.max_frame, usize::min)
    }

    /// Where others reach this node.
    pub(crate) fn listens_on(&mut self, address: Option<Address>) {
        self.config.address = address;
    }
}
