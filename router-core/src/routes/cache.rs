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

/// The version of no table yet. Those of several routers in one process differ, so that no route of one is taken for
/// one of another. They start at 1, so that a route of no version is older than any listener.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

#[derive(Debug)]
pub(super) struct Cache {
    version: AtomicU64,
    kept: RwLock<HashMap<Arc<str>, Arc<Route>, foldhash::fast::RandomState>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { version: AtomicU64::new(NEXT_VERSION.fetch_add(1, Relaxed)), kept: RwLock::default() }
    }
}

impl Cache {
    pub(super) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// Begins a new version. The caller has the table locked.
    pub(super) fn invalidate(&self) -> u64 {
        let version = NEXT_VERSION.fetch_add(1, Relaxed);
        self.version.store(version, Relaxed);
        self.kept.write().unwrap_or_else(PoisonError::into_inner).clear();
        version
    }

    /// The route of `event`; where this thread has not used it lately, `find` finds it.
    #[inline]
    pub(super) fn lend<E>(
        &self,
        event: &str,
        find: impl FnOnce() -> Result<Arc<Route>, E>,
    ) -> Result<Lent, E> {
        let ends = Ends::of(event);
        let place = ends.place();
        let route = match take(place).filter(|route| route.is_of(self, event, ends)) {
            Some(route) => route,
            None => find()?,
        };
        Ok(Lent { route: Some(route), place })
    }

    /// The route of `event` if this thread has used it lately.
    #[inline(always)]
    pub(super) fn recent(&self, event: &str) -> Option<Recent> {
        let ends = Ends::of(event);
        let place = ends.place();
        let route = take(place).filter(|route| route.is_of(self, event, ends))?;
        Some(Recent { route, place })
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
    fn is_of(&self, cache: &Cache, event: &str, ends: Ends) -> bool {
        // The ends of a short name are all of it.
        self.version == cache.version()
            && self.ends == ends
            && self.name.len() == event.len()
            && (event.len() <= 16 || *self.name == *event)
    }
}

/// What this thread keeps at a place; nothing if it ends.
#[inline(always)]
fn take(place: usize) -> Option<Arc<Route>> {
    ROUTES.try_with(|routes| routes[place % RECENT].take()).ok().flatten()
}

#[inline(always)]
fn put_back(place: usize, route: Option<Arc<Route>>) {
    let meanwhile = ROUTES.try_with(|routes| routes[place % RECENT].replace(route));
    if let Ok(Some(meanwhile)) = meanwhile {
        let_go(meanwhile);
    }
}

/// A route in use that has to be put back by hand: a [`Lent`] that costs nothing where nothing can go wrong. One that
/// is dropped instead is sought again the next time.
#[derive(Debug)]
pub(crate) struct Recent {
    pub(crate) route: Arc<Route>,
    place: usize,
}

impl Recent {
    #[inline(always)]
    pub(crate) fn put_back(self) {
        put_back(self.place, Some(self.route));
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
        put_back(self.place, self.route.take());
    }
}

/// Drops a route once it is out of the thread's storage: that may lead there again.
#[cold]
fn let_go(route: Arc<Route>) {
    drop(route);
}

/// The start and the end of a name, up to eight bytes of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends(u64, u64);

impl Ends {
    #[inline]
    pub(super) fn of(name: &str) -> Self {
        let name = name.as_bytes();
        if let (Some(start), Some(end)) = (name.first_chunk(), name.last_chunk()) {
            return Self(u64::from_le_bytes(*start), u64::from_le_bytes(*end));
        }
        if let (Some(start), Some(end)) = (name.first_chunk(), name.last_chunk()) {
            return Self(
                0,
                u64::from(u32::from_le_bytes(*start)) << 32 | u64::from(u32::from_le_bytes(*end)),
            );
        }
        Self(0, name.iter().fold(0, |end, byte| end << 8 | u64::from(*byte)))
    }

    /// Where a thread keeps the route of such a name: names that are used together mostly differ in their last bytes.
    #[inline]
    fn place(self) -> usize {
        // Fibonacci hashing: the upper bits of the product depend on all bits of the name's end.
        (self.1.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - RECENT.trailing_zeros())) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_of_one_length_up_to_sixteen_with_the_same_ends_are_the_same(one in "[ab\u{0}]{0,16}", other in "[ab\u{0}]{0,16}") {
            let same = one.len() == other.len() && Ends::of(&one) == Ends::of(&other);
            prop_assert_eq!(same, one == other);
        }
    }
}
