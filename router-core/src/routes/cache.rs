//! Routes that were worked out before.
//!
//! **Of this version or none.** A route counts only as long as nobody has changed the table that it was made of. Each
//! change makes a new version; what threads have kept of an older one is worth nothing from then on.

use std::{
    cell::Cell,
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::Route;

/// How many routes are kept for all threads. When there are more names than that, it begins anew.
const KEPT: usize = 32 * 1024;

/// How many routes each thread keeps for itself; a power of two.
const RECENT: usize = 64;

thread_local! {
    /// The routes that this thread used last, of any router, at a place that the name gives.
    static ROUTES: [Cell<Option<Arc<Route>>>; RECENT] = const { [const { Cell::new(None) }; RECENT] };
}

/// Tells the routes of one router from those of another one in the same process.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct Cache {
    id: u64,
    version: AtomicU64,
    kept: RwLock<HashMap<Arc<str>, Arc<Route>, foldhash::fast::RandomState>>,
}

impl Default for Cache {
    fn default() -> Self {
        // Versions start at 1, so that a route of no version is older than any listener.
        Self { id: NEXT_ID.fetch_add(1, Relaxed), version: AtomicU64::new(1), kept: RwLock::default() }
    }
}

impl Cache {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// Begins a new version. The caller has the table locked.
    pub(super) fn invalidate(&self) -> u64 {
        let version = self.version() + 1;
        self.version.store(version, Relaxed);
        self.kept.write().unwrap_or_else(PoisonError::into_inner).clear();
        version
    }

    /// The route of `event`; where this thread has not used it lately, `find` finds it.
    #[inline(always)]
    pub(super) fn lend<E>(
        &self,
        event: &str,
        find: impl FnOnce() -> Result<Arc<Route>, E>,
    ) -> Result<Lent, E> {
        let place = place(event);
        // A thread that ends has no routes any more.
        let recent = ROUTES.try_with(|routes| routes[place].take()).ok().flatten();
        match recent {
            Some(route) if route.is_of(self, event) => Ok(Lent { route: Some(route), place }),
            _ => Ok(Lent { route: Some(find()?), place }),
        }
    }

    /// The route of `event` if some thread has kept it.
    pub(super) fn get(&self, event: &str) -> Option<Arc<Route>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).get(event).cloned()
    }

    /// Keeps a route for all threads. The caller has the table locked, and it is the one that the route was made of.
    pub(super) fn keep(&self, route: &Arc<Route>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(route.name.clone(), route.clone());
    }
}

impl Route {
    #[inline]
    fn is_of(&self, cache: &Cache, event: &str) -> bool {
        self.version == cache.version() && self.table == cache.id && *self.name == *event
    }
}

/// A route in use. It is taken out of the thread's places meanwhile, since its use may lead to them again.
#[derive(Debug)]
pub(crate) struct Lent {
    /// `None` only while it is dropped.
    route: Option<Arc<Route>>,
    place: usize,
}

impl Deref for Lent {
    type Target = Route;

    fn deref(&self) -> &Route {
        self.route.as_ref().expect("it is put back only when it is dropped")
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        let route = self.route.take();
        let meanwhile = ROUTES.try_with(|routes| routes[self.place].replace(route));
        if let Ok(Some(meanwhile)) = meanwhile {
            let_go(meanwhile);
        }
    }
}

/// Drops a route once it is out of the thread's storage: that may lead there again.
#[cold]
fn let_go(route: Arc<Route>) {
    drop(route);
}

/// Where a thread keeps the route of `event`: names that are used together mostly differ in their last bytes.
#[inline]
fn place(event: &str) -> usize {
    let bytes = event.as_bytes();
    let tail = match (bytes.last_chunk(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(tail), ..) => u64::from_le_bytes(*tail),
        (None, Some(start), Some(end)) => {
            u64::from(u32::from_le_bytes(*start)) << 32 | u64::from(u32::from_le_bytes(*end))
        }
        _ => bytes.iter().fold(0, |tail, byte| tail << 8 | u64::from(*byte)),
    };
    // Fibonacci hashing: the upper bits of the product depend on all bits of the name's end.
    (tail.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - RECENT.trailing_zeros())) as usize
}
