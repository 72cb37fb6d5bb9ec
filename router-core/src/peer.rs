use std::sync::Arc;

use crate::{Address, Incarnation, NodeId, stats::Drops};

/// Another node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its id.
    pub node_id: NodeId,
    /// Its labels.
    pub labels: Arc<[String]>,
    /// Where it listens, if it does.
    pub address: Option<Address>,
    /// Which of its lives this is.
    pub incarnation: Incarnation,
    /// The node that forwards between it and this one, if there is no link of its own: the hub of a star.
    pub via: Option<NodeId>,
}

/// What happened to the membership or to messages on their way here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The node is a member now.
    Joined(Peer),
    /// The node is no member any more.
    Left {
        /// The node.
        peer: Peer,
        /// Why.
        reason: LeaveReason,
    },
    /// Messages for this node were lost on their way.
    Lost {
        /// Who emitted them.
        peer: Peer,
        /// How many.
        count: u64,
    },
}

/// Why a node left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It said goodbye.
    Goodbye,
    /// The link broke: the process died, or the network cut it.
    LinkLost,
    /// Nothing was heard of it for longer than [`Limits::dead_after`](crate::Limits::dead_after).
    Silent,
    /// It lagged, and its policy is [`Policy::Evict`](crate::Policy::Evict).
    Lagging,
    /// It was started again.
    Restarted,
    /// The hub that forwarded between it and this node left.
    HubLeft,
    /// It sent what no node of this version sends.
    Protocol,
}

/// Counters of one router since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages handed to links, counted once for each peer.
    pub sent: u64,
    /// Messages that arrived from other nodes, or were read from journals.
    pub received: u64,
    /// Messages handed to listeners, counted once for each listener.
    pub delivered: u64,
    /// Messages lost here, by reason.
    pub dropped: Drops,
    /// Messages that others lost on their way here, as they reported.
    pub lost: u64,
    /// Large payloads that were given a place in shared memory, those of [`Loan`](crate::Loan)s among them.
    pub pooled: u64,
    /// Large payloads, those of loans among them, that found shared memory full and went through a socket.
    pub unpooled: u64,
    /// Bytes that wait for peers and have not been written to a link yet.
    pub queued_bytes: u64,
    /// Messages that wait for peers and have not been written to a link yet.
    pub queued_messages: u64,
    /// Messages that the servers of [journals](crate::Durable) have confirmed.
    pub journaled: u64,
    /// Messages that wait for the servers of journals, or for their word.
    pub unjournaled: u64,
    /// What there is for each peer.
    pub peers: Vec<PeerStats>,
}

impl Stats {
    pub(crate) fn add(&mut self, peer: &PeerStats) {
        self.sent += peer.sent;
        self.received += peer.received;
        self.dropped.add(peer.dropped);
        self.lost += peer.lost;
        self.queued_bytes += peer.queued_bytes;
        self.queued_messages += peer.queued_messages;
    }
}

/// Counters of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// The peer.
    pub node_id: NodeId,
    /// Messages handed to its link.
    pub sent: u64,
    /// Messages that arrived by its link.
    pub received: u64,
    /// Messages for it that were dropped here, by reason.
    pub dropped: Drops,
    /// Messages that it reported as lost on their way here.
    pub lost: u64,
    /// Bytes that wait for it.
    pub queued_bytes: u64,
    /// Messages that wait for it.
    pub queued_messages: u64,
    /// Whether it lags: nobody waits for it, its policy decides.
    pub lagging: bool,
}
