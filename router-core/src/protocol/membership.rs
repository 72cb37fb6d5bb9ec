//! Who is there: members by links of their own, members behind the hub, and who is told of whom.

use std::{sync::Arc, time::Instant};

use tidings_topology::{Joined, Path};

use super::{
    Action, Machine,
    dial::{DialState, Origin},
};
use crate::{
    Address, Change, Incarnation, LeaveReason, NodeId, Peer, Result,
    session::Session,
    wire::control::{Control, Member},
};

impl Machine {
    /// Takes in a peer that has a link. A fresh one gets everything until then, and so do all, if we are the hub.
    pub(super) fn join(&mut self, now: Instant, session: &Arc<Session>, fresh: Option<Instant>) {
        let peer = session.peer.clone();
        self.routes.join(session, fresh);
        if self.config.topology.forwards(self.config.node_id) {
            self.routes.open_up(now + self.config.limits.hold);
        }
        self.enter(peer.clone(), Path::Direct);
        self.announce(peer.node_id, &Control::Members { joined: vec![member(&peer)], left: Vec::new() });
    }

    /// Notes a member, and tells the user.
    fn enter(&mut self, peer: Peer, path: Path) {
        let change = Change::Joined(peer.clone());
        match self.members.join(peer.node_id, peer.incarnation, path, peer) {
            Joined::Known => return,
            Joined::Replaced(old) => {
                self.actions.push(Action::Tell(Change::Left { peer: old, reason: LeaveReason::Restarted }));
            }
            Joined::New => {}
        }
        self.actions.push(Action::Hold);
        self.actions.push(Action::Tell(change));
    }

    /// A member has left, or the link to it is lost.
    pub(super) fn leave(&mut self, node: NodeId, incarnation: Incarnation, reason: LeaveReason) {
        let Some(peer) = self.members.leave(node, incarnation) else { return };
        self.actions.push(Action::Tell(Change::Left { peer, reason }));
        for peer in self.members.lose_hub(node) {
            self.actions.push(Action::Tell(Change::Left { peer, reason: LeaveReason::HubLeft }));
        }
        self.announce(
            node,
            &Control::Members { joined: Vec::new(), left: vec![(node, incarnation, reason)] },
        );
    }

    /// Tells all peers but the one that it is about.
    fn announce(&self, about: NodeId, control: &Control) {
        // A hub that leaves takes everyone with it; that is told by its own goodbye.
        if self.config.topology.announces(self.config.node_id) && !self.closing {
            for (node, seat) in &self.seats {
                if *node != about && seat.link.is_some() {
                    seat.session.outbox.control(control);
                }
            }
        }
    }

    /// Whom a new peer is told of.
    pub(super) fn members_snapshot(&self, to: NodeId) -> Control {
        let announces = self.config.topology.announces(self.config.node_id);
        let direct =
            self.members.iter().filter(|(node, path, _)| announces && *node != to && *path == Path::Direct);
        Control::Members { joined: direct.map(|(_, _, peer)| member(peer)).collect(), left: Vec::new() }
    }

    /// A peer has told who is there.
    pub(super) fn learn_members(
        &mut self,
        now: Instant,
        from: NodeId,
        joined: Vec<Member>,
        left: &[(NodeId, Incarnation, LeaveReason)],
    ) {
        let forwards = self.config.topology.forwards(from);
        let itself = self.config.node_id;
        for member in joined.into_iter().filter(|member| member.node_id != itself) {
            let peer = Peer {
                node_id: member.node_id,
                labels: member.labels.into(),
                address: member.address.parse().ok(),
                incarnation: member.incarnation,
                via: forwards.then_some(from),
            };
            if forwards {
                self.enter(peer, Path::Via(from));
            } else if self.config.topology.dials_learned() {
                self.meet(now, &peer);
            }
        }
        for (node, incarnation, reason) in left.iter().filter(|_| forwards) {
            if matches!(self.members.get(*node), Some((_, Path::Via(_), _))) {
                self.leave(*node, *incarnation, *reason);
            }
        }
    }

    /// Somebody is there on a bus.
    pub(crate) fn found(
        &mut self,
        now: Instant,
        node_id: NodeId,
        incarnation: Incarnation,
        address: Address,
    ) {
        if self.config.topology.links(self.config.node_id, node_id) {
            let (address, labels) = (Some(address), Arc::default());
            self.meet(now, &Peer { node_id, incarnation, address, labels, via: None });
        }
    }

    /// Whether everyone who was learned of is connected, or was tried in vain.
    ///
    /// # Errors
    ///
    /// Why one of them has refused.
    pub(crate) fn has_met(&mut self) -> Result<bool> {
        let mut met = true;
        for dial in self.dials.values_mut().filter(|dial| matches!(dial.origin, Origin::Learned(..))) {
            if let Some(error) = dial.refused.take() {
                return Err(error);
            }
            let link = dial.node.and_then(|node| self.seats.get(&node)).and_then(|seat| seat.link.as_ref());
            met &= match dial.state {
                DialState::Connected => link.is_none_or(|link| link.introduced),
                _ => dial.tried,
            };
        }
        Ok(met)
    }

    /// Dials a member of the mesh that another one has told of, unless it is known.
    fn meet(&mut self, now: Instant, peer: &Peer) {
        let Some(address) = peer.address.clone() else { return };
        let seated = self.seats.get(&peer.node_id).is_some_and(|seat| {
            seat.link.is_some() || (seat.session.peer.incarnation == peer.incarnation && seat.has_left())
        });
        // It may be tried at another address too, on another transport.
        let dialled = self.dials.values().any(|dial| dial.address == address);
        if !seated && !dialled {
            self.dial(now, address, Origin::Learned(peer.node_id, peer.incarnation));
        }
    }
}

fn member(peer: &Peer) -> Member {
    Member {
        node_id: peer.node_id,
        incarnation: peer.incarnation,
        address: peer.address.as_ref().map(ToString::to_string).unwrap_or_default(),
        labels: peer.labels.to_vec(),
    }
}
