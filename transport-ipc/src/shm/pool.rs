use std::sync::{Arc, OnceLock};

use tidings_router_core::{Lease, Pool};

use super::arena::Arena;

/// The most memory that a pool has, in bytes: 64 GiB.
const MOST: usize = 1 << 36;

/// The memory of one node that its peers can read. It is there from the first payload on that is put into it.
#[derive(Debug)]
pub(crate) struct SharedPool {
    bytes: usize,
    threshold: usize,
    /// `None` inside: the operating system gives us none.
    arena: OnceLock<Option<Arc<Arena>>>,
}

impl SharedPool {
    pub(crate) fn new(bytes: usize, threshold: usize) -> Self {
        Self { bytes: bytes.min(MOST), threshold: threshold.max(1), arena: OnceLock::new() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it was wanted, and can be had on this operating system.
    pub(crate) fn is_on(&self) -> bool {
        self.bytes > 0
    }

    fn make(&self) -> Option<Arc<Arena>> {
        match Arena::new(self.bytes) {
            Ok(arena) => Some(Arc::new(arena)),
            Err(error) => {
                tracing::warn!(%error, bytes = self.bytes, "no shared memory: large payloads go through sockets");
                None
            }
        }
    }

    /// The arena, if something was put into it.
    pub(super) fn arena(&self) -> Option<&Arc<Arena>> {
        self.arena.get()?.as_ref()
    }
}

impl Pool for SharedPool {
    fn threshold(&self) -> usize {
        self.threshold
    }

    fn loan(&self, len: usize) -> Option<Box<dyn Lease>> {
        let arena = self.arena.get_or_init(|| self.make()).as_ref()?;
        Some(Box::new(arena.take(len)?))
    }

    fn holds(&self, payload: &[u8]) -> bool {
        self.arena().is_some_and(|arena| arena.holds(payload))
    }
}
