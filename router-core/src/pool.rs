//! Memory that other processes can read: what stands in it crosses a link by reference.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;

use crate::{exchange::Exchange, session::Session};

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

    /// `payload` as it is queued for `peers`: in the pool, if one of them can be lent it and there is room.
    ///
    /// One copy serves all of them, and those behind other links get the bytes of the same copy.
    pub(crate) fn shareable<'a>(
        &self,
        payload: Bytes,
        mut peers: impl Iterator<Item = &'a Arc<Session>>,
    ) -> Bytes {
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
