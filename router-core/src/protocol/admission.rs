//! Links that carry no session yet: handshakes, and who is turned away.

use std::{
    io,
    time::{Duration, Instant},
};

use tidings_topology::survives;

use super::{
    Action, DialId, LinkId, Machine,
    dial::DialState,
    handshake::{self, Role},
    seat::Probe,
};
use crate::{
    Error,
    wire::{
        VERSION, WireError,
        control::Control,
        hello::{Handshake, HandshakeError, Hello, Reject, RejectReason},
    },
};

/// How long a node whose id somebody else wants has to show that it is alive.
const PROBE: Duration = Duration::from_secs(1);

/// A link that carries no session yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) remote: String,
    pub(super) until: Instant,
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
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
    /// It is turned away, or another link between the same two nodes is better; what it still says does not count.
    Refused,
}

impl Machine {
    /// Somebody has dialled us.
    pub(crate) fn accepted(&mut self, now: Instant, link: LinkId, remote: String) {
        let accepting = |pending: &&Pending| {
            matches!(pending.phase, Phase::Accepted | Phase::Welcomed { .. } | Phase::Probing { .. })
        };
        if self.closing
            || self.pending.values().filter(accepting).count() >= self.config.limits.max_handshakes
        {
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
        if matches!(phase, Phase::Refused) {
            self.pending.insert(link, Pending { remote, until, phase });
            return;
        }
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
                    seat.link
                        .as_ref()
                        .filter(|_| same)
                        .map(|old| survives((link.distance, self.config.node_id), old.way()))
                });
                match survives {
                    // The other end does not know yet that the other link has won: were this one closed before, it
                    // would take us for lost. It closes this one when it knows.
                    Some(false) => keep(self, Phase::Refused),
                    _ => self.establish(now, link, &peer, self.config.node_id, dialled),
                }
            }
            (Phase::Greeted { dial, .. }, Handshake::Reject(reject)) => {
                self.rejected(now, link, dial, &remote, reject)
            }
            (Phase::Proved { dial, peer }, Handshake::Reject(reject)) => {
                let linked = self.seats.get(&peer.node_id).is_some_and(|seat| seat.link.is_some());
                if reject.reason == RejectReason::DuplicateLink && linked {
                    if let Some(dial) = self.dials.get_mut(&dial) {
                        (dial.node, dial.state, dial.tried) =
                            (Some(peer.node_id), DialState::Connected, true);
                    }
                    self.actions.push(Action::Close(link));
                } else {
                    self.rejected(now, link, dial, &remote, reject);
                }
            }
            (phase, _) => {
                let error = HandshakeError::Wire(WireError::Kind { kind: frame[4] });
                self.not_ours(now, link, &remote, phase, error);
            }
        }
    }

    /// A dialling node has proved itself: it is let in, unless its id is taken or there is a better link.
    pub(super) fn proved(&mut self, now: Instant, link: LinkId, remote: String, until: Instant, peer: Hello) {
        let busy = self.closing.then_some((RejectReason::Busy, "the node is shutting down"));
        let seat = self.seats.get_mut(&peer.node_id).filter(|seat| seat.link.is_some());
        let taken = seat.and_then(|seat| {
            let old = seat.link.as_ref()?;
            if seat.session.peer.incarnation == peer.incarnation {
                let better = survives((link.distance, peer.node_id), old.way());
                return (!better)
                    .then_some((RejectReason::DuplicateLink, "the two nodes are linked already"));
            }
            if seat.probe.is_some() {
                return Some((RejectReason::Busy, "another node with this id is being looked at"));
            }
            // Alive, or a link that nobody has told us is dead? It has a moment to say.
            seat.probe =
                Some(Probe { newcomer: link, until: now + PROBE.min(self.config.limits.dead_after) });
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

    pub(super) fn welcome_in(&mut self, now: Instant, link: LinkId, peer: &Hello) {
        let mut accept = Vec::new();
        Handshake::Accept.encode(&mut accept);
        self.actions.push(Action::Send(link, accept.into()));
        self.establish(now, link, peer, peer.node_id, None);
    }

    pub(super) fn probe_failed(&mut self, now: Instant, newcomer: LinkId) {
        if let Some(Pending { remote, phase: Phase::Probing { .. }, .. }) = self.pending.remove(&newcomer) {
            let text = "the node that has it is alive".to_owned();
            let reject = handshake::reject(&self.config, RejectReason::DuplicateNodeId, text);
            self.refuse(now, newcomer, remote, reject);
        }
    }

    pub(super) fn probe_succeeded(&mut self, now: Instant, newcomer: LinkId) {
        if let Some(Pending { phase: Phase::Probing { peer }, .. }) = self.pending.remove(&newcomer) {
            self.welcome_in(now, newcomer, &peer);
        }
    }

    /// Turns a node away that dialled us.
    pub(super) fn refuse(&mut self, now: Instant, link: LinkId, remote: String, reject: Reject) {
        tracing::debug!(remote, ?reject, "turned a node away");
        self.send_reject(link, reject);
        // It has a moment to read why before the link is forgotten.
        let until = now + self.config.limits.handshake_timeout;
        self.pending.insert(link, Pending { remote, until, phase: Phase::Refused });
    }

    pub(super) fn send_reject(&mut self, link: LinkId, reject: Reject) {
        let mut frame = Vec::new();
        Handshake::Reject(reject).encode(&mut frame);
        self.actions.push(Action::Send(link, frame.into()));
        self.actions.push(Action::Close(link));
    }

    /// The node that we dialled has turned us away.
    pub(super) fn rejected(
        &mut self,
        now: Instant,
        link: LinkId,
        dial: DialId,
        remote: &str,
        reject: Reject,
    ) {
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

    pub(super) fn refused(&mut self, now: Instant, link: LinkId, id: DialId, error: Error) {
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
    pub(super) fn not_ours(
        &mut self,
        now: Instant,
        link: LinkId,
        remote: &str,
        phase: Phase,
        error: HandshakeError,
    ) {
        let version = match &error {
            HandshakeError::Version(version) => Some(*version),
            HandshakeError::Wire(_) => None,
        };
        match phase {
            Phase::Greeted { dial, .. } | Phase::Proved { dial, .. } => {
                let address = remote.to_owned();
                let error = match error {
                    HandshakeError::Version(theirs) => Error::WrongVersion { address, ours: VERSION, theirs },
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
}
