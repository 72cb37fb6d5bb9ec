use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use tidings_topology::Members;

use super::{
    Action, Config, DialId, LinkId,
    admission::{Pending, Phase},
    backoff,
    dial::{Dial, DialState, Origin},
    seat::Seat,
};
use crate::{
    Address, NodeId, Peer, Result, Stats,
    routes::Routes,
    session::Session,
    wire::{
        WireError,
        hello::{Handshake, PROOF_LEN},
    },
};

/// Why a link ended.
#[derive(Debug)]
pub(crate) enum LinkEnd {
    /// It broke, or the other end closed it.
    Lost,
    /// The other end sent what no node of this version sends.
    Protocol(WireError),
}

/// The state machine of one node.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) config: Config,
    pub(super) routes: Arc<Routes>,
    pub(super) random: fastrand::Rng,
    pub(super) nonce: fn() -> [u8; PROOF_LEN],
    pub(super) pending: HashMap<LinkId, Pending>,
    pub(super) seats: BTreeMap<NodeId, Seat>,
    pub(super) members: Members<Peer>,
    pub(super) dials: BTreeMap<DialId, Dial>,
    pub(super) next_dial: u64,
    /// What listeners of this process listen for, with how many of them.
    pub(super) listening: BTreeMap<String, u32>,
    /// For a hub: what all peers listen for.
    pub(super) wanted: HashMap<String, u32>,
    pub(super) actions: Vec<Action>,
    pub(super) closing: bool,
    pub(super) last_tick: Option<Instant>,
    /// What the counters of peers that are forgotten add up to.
    pub(super) past: Stats,
}

impl Machine {
    pub(crate) fn new(
        config: Config,
        routes: Arc<Routes>,
        seed: u64,
        nonce: fn() -> [u8; PROOF_LEN],
    ) -> Self {
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
        let missing = dials
            .iter()
            .find(|id| self.dials.get(id).is_some_and(|dial| dial.state != DialState::Connected))?;
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
    pub(super) fn retry(&mut self, now: Instant, id: DialId) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        dial.tried = true;
        dial.state = DialState::Waiting(now + backoff::delay(dial.attempts, &mut self.random));
        dial.attempts = dial.attempts.saturating_add(1);
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
