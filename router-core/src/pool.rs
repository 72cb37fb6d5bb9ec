//! Large payloads that cross links by reference: those in memory that other processes can read, and those that are
//! published once for several nodes.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;

use crate::{Mailbox, Peer, bus::Broadcast, exchange::Exchange, session::Session};

/// Bounded memory that the other ends of a transport's links can read.
///
/// A payload in it is written once, whoever many get it, and [`Link::lend`](crate::Link::lend) hands out a reference
/// to it. Nothing of it is ever waited for: who finds it full sends the payload's bytes.
pub trait Pool: fmt::Debug + Send + Sync + 'static {
    /// The length from which on a payload is worth a place here, in bytes.
    fn threshold(&self) -> usize;

    /// Memory of this length for one payload; `None` when there is no room for it now.
    fn loan(&self, len: usize) -> Option<Box<dyn Lease>>;

    /// Whether `payload` stands in this pool.
    fn holds(&self, payload: &[u8]) -> bool;
}

/// A piece of a pool that one owner fills. Dropping it gives it back.
pub trait Lease: AsRef<[u8]> + AsMut<[u8]> + fmt::Debug + Send + Sync + 'static {
    /// Ends the writing. The memory is given back when the last clone is gone, and whoever it was lent to is done.
    fn freeze(self: Box<Self>) -> Bytes;
}

/// A large payload on its way to peers, whose links may have ways of their own to share it.
#[derive(Debug, Clone, Default)]
pub struct Shareable {
    bytes: Bytes,
    broadcasts: Option<Arc<[Broadcast]>>,
}

impl Shareable {
    pub(crate) fn new(bytes: Bytes, broadcasts: Arc<[Broadcast]>) -> Self {
        Self { bytes, broadcasts: Some(broadcasts).filter(|broadcasts| !broadcasts.is_empty()) }
    }

    /// The payload.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What it is on the buses that publish it once for several nodes.
    pub(crate) fn broadcasts(&self) -> impl Iterator<Item = &Broadcast> {
        self.broadcasts.iter().flat_map(|broadcasts| broadcasts.iter())
    }
}

impl Exchange {
    /// Memory for a payload of this length, of the pool if it is worth a place there and there is one.
    pub(crate) fn lease(&self, len: usize) -> Option<Box<dyn Lease>> {
        let pool = self.pool.get()?;
        if len < pool.threshold() {
            return None;
        }
        let lease = pool.loan(len);
        let counter = if lease.is_some() { &self.pooled } else { &self.unpooled };
        counter.fetch_add(1, Relaxed);
        lease
    }

    /// `payload` as it is queued for `peers`: in the pool, if one of them can be lent it and there is room, and to be
    /// broadcast on the buses that have several of them.
    ///
    /// One copy serves all of them, and those behind other links get the bytes of the same copy.
    pub(crate) fn shareable<'a>(
        &self,
        payload: Bytes,
        peers: impl Iterator<Item = &'a Arc<Session>> + Clone,
    ) -> Shareable {
        let bytes = self.pooled(payload, peers.clone());
        let Some(taps) = self.taps.get() else { return Shareable { bytes, broadcasts: None } };
        let mailbox = |session: &Arc<Session>| {
            let Peer { node_id, incarnation, .. } = session.peer;
            Mailbox { node_id, incarnation }
        };
        let receivers = peers.map(mailbox).collect();
        let broadcasts = taps.iter().filter_map(|tap| tap.share(&bytes, &receivers)).collect();
        Shareable::new(bytes, broadcasts)
    }

    fn pooled<'a>(&self, payload: Bytes, mut peers: impl Iterator<Item = &'a Arc<Session>>) -> Bytes {
        let Some(pool) = self.pool.get() else { return payload };
        if payload.len() < pool.threshold()
            || pool.holds(&payload)
            || !peers.any(|session| session.outbox.lends())
        {
            return payload;
        }
        let Some(mut lease) = self.lease(payload.len()) else { return payload };
        (*lease).as_mut().copy_from_slice(&payload);
        lease.freeze()
    }
}
