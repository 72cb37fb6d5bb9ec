use std::time::Instant;

use super::LinkId;
use crate::{Address, Error, Incarnation, NodeId};

/// An address to be connected to.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) address: Address,
    pub(crate) origin: Origin,
    pub(crate) state: DialState,
    /// Failed tries since the last success.
    pub(crate) attempts: u32,
    /// Whether one try has come to an end, in whatever way.
    pub(crate) tried: bool,
    /// The node that was found there last.
    pub(crate) node: Option<NodeId>,
    /// Why it was refused, for good as far as can be told.
    pub(crate) refused: Option<Error>,
    /// What the last try said.
    pub(crate) last_error: Option<std::io::Error>,
}

/// Where an address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The user said to attach to it: it is tried for ever.
    Attach,
    /// Another node has told of it, or a link to it broke: it is tried while that node may still be there.
    Learned(NodeId, Incarnation),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialState {
    /// The next try is then.
    Waiting(Instant),
    /// A try is under way.
    Dialling,
    /// There is a link, and a handshake on it.
    Handshaking(LinkId),
    /// The node is linked, by this link or another one.
    Connected,
}

impl Dial {
    pub(crate) fn new(address: Address, origin: Origin, at: Instant) -> Self {
        let node = if let Origin::Learned(node, _) = origin { Some(node) } else { None };
        Self {
            address,
            origin,
            state: DialState::Waiting(at),
            attempts: 0,
            tried: false,
            node,
            refused: None,
            last_error: None,
        }
    }
}
