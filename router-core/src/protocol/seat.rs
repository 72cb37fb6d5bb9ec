use std::{sync::Arc, time::Instant};

use super::LinkId;
use crate::{Address, Distance, NodeId, session::Session};

/// What the machine knows of one peer: its session, and which link carries it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) session: Arc<Session>,
    pub(crate) link: Option<Linked>,
    /// Since when there is no link; what is queued waits for it.
    pub(crate) detached: Option<Instant>,
    /// It said goodbye, was evicted, or did not come back in time: what was queued for it is dropped.
    pub(crate) gone: bool,
    /// We said goodbye, and it has answered.
    pub(crate) farewell: bool,
    /// It was asked how far it has come, and has not answered.
    pub(crate) sounded: bool,
    /// The largest frame that it takes, in bytes.
    pub(crate) max_frame: usize,
    /// Another incarnation wants its place, if it does not answer by then.
    pub(crate) probe: Option<Probe>,
}

impl Seat {
    /// Whether its node has said goodbye. One whose queue was given up for another reason may come back.
    pub(crate) fn has_left(&self) -> bool {
        self.gone && self.farewell
    }
}

/// A link that carries a session.
#[derive(Debug, Clone)]
pub(crate) struct Linked {
    pub(crate) id: LinkId,
    pub(crate) dialled_by: NodeId,
    /// Where we dialled, if we did.
    pub(crate) dialled: Option<Address>,
    pub(crate) pinged: Instant,
    /// The peer has said how far it is.
    pub(crate) resumed: bool,
    /// The peer has told who is there.
    pub(crate) introduced: bool,
    /// The link that carried the session before, until the peer speaks on this one.
    pub(crate) replaced: Option<LinkId>,
}

impl Linked {
    /// What decides whether it survives another link to the same node.
    pub(crate) fn way(&self) -> (Distance, NodeId) {
        (self.id.distance, self.dialled_by)
    }
}

/// A node with the id of one that may be alive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub(crate) newcomer: LinkId,
    pub(crate) until: Instant,
}
