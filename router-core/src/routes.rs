//! Who gets an event: listeners in this process, and peers that have said that they listen.
//!
//! Every emit asks, hardly any changes the answer: so answers are kept by name.

mod cache;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use cache::{Cache, Ends};
pub(crate) use cache::{Lent, Recent};

use crate::{
    Codec, Limits, ListenOptions, NodeId, Policy, Result, is_pattern,
    journal::{Entries, Ledger},
    listener::ListenerQueue,
    pattern::{PatternIndex, check_name, check_pattern},
    session::Session,
    wire::data::DataHeader,
};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Who gets an event.
#[derive(Debug)]
pub(crate) struct Route {
    /// The event's name, shared by all its messages here.
    pub(crate) name: Arc<str>,
    /// The header of a raw message of this node to everyone.
    pub(crate) header: DataHeader,
    /// The same as it is written, with the name: what stands in front of a payload.
    pub(crate) head: Bytes,
    ends: Ends,
    /// The version of the table that it was made of.
    pub(crate) version: u64,
    pub(crate) listeners: Box<[Arc<ListenerQueue>]>,
    /// Those whom an emit is sent to.
    pub(crate) peers: Box<[Arc<Session>]>,
    /// What takes their place, if the event goes through a journal.
    pub(crate) journal: Option<Box<ByJournal>>,
}

/// Who gets an event that goes through a journal.
#[derive(Debug)]
pub(crate) struct ByJournal {
    pub(crate) entries: Arc<Entries>,
    /// Peers that a hub passes it on to, where somebody sends it all the same.
    peers: Box<[Arc<Session>]>,
}

impl Route {
    /// Those whom a hub passes the event on to.
    pub(crate) fn onward(&self) -> &[Arc<Session>] {
        self.journal.as_ref().map_or(&self.peers, |journal| &journal.peers)
    }
}

#[derive(Debug)]
pub(crate) struct Routes {
    node_id: NodeId,
    table: Mutex<Table>,
    cache: Cache,
    journals: OnceLock<Box<[Arc<Ledger>]>>,
}

#[derive(Debug, Default)]
struct Table {
    names: Map<Box<str>, Vec<Arc<ListenerQueue>>>,
    patterns: PatternIndex<Vec<Arc<ListenerQueue>>>,
    peers: BTreeMap<NodeId, Interest>,
}

/// What one peer listens for.
#[derive(Debug)]
struct Interest {
    session: Arc<Session>,
    names: Map<Box<str>, u32>,
    patterns: PatternIndex<u32>,
    /// It has just joined: until then it gets everything.
    everything_until: Option<Instant>,
}

impl Interest {
    fn listeners(&self, event: &str) -> usize {
        let mut count = self.names.get(event).map_or(0, |count| *count as usize);
        self.patterns.matching(event, |matching| count += *matching as usize);
        count
    }

    fn wants(&self, event: &str) -> bool {
        self.everything_until.is_some() || self.listeners(event) > 0
    }
}

impl Routes {
    pub(crate) fn new(node_id: NodeId) -> Self {
        Self { node_id, table: Mutex::default(), cache: Cache::default(), journals: OnceLock::new() }
    }

    /// The journals of this node. Said once, before anything is emitted.
    pub(crate) fn journal(&self, journals: Vec<Arc<Ledger>>) {
        self.journals.set(journals.into()).expect("a node says once what journals it has");
        self.invalidate(&mut self.lock());
    }

    pub(crate) fn journals(&self) -> &[Arc<Ledger>] {
        self.journals.get().map_or(&[], |journals| journals)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all answers. The caller has the table locked and has changed it.
    fn invalidate(&self, _table: &mut Table) -> u64 {
        self.cache.invalidate()
    }

    /// Who gets `event`.
    ///
    /// # Errors
    ///
    /// When it is no event's name.
    #[inline]
    pub(crate) fn of(&self, event: &str) -> Result<Lent> {
        self.cache.lend(event, || self.seek(event))
    }

    /// Who gets `event`, if this thread has asked lately.
    #[inline(always)]
    pub(crate) fn recent(&self, event: &str) -> Option<Recent> {
        self.cache.recent(event)
    }

    #[cold]
    fn seek(&self, event: &str) -> Result<Arc<Route>> {
        match self.cache.get(event) {
            Some(route) => Ok(route),
            None => check_name(event).map(|()| self.find(event)),
        }
    }

    /// Works out who gets `event`, and keeps the answer.
    pub(crate) fn find(&self, event: &str) -> Arc<Route> {
        let table = self.lock();
        if let Some(route) = self.cache.get(event) {
            return route;
        }
        let mut listeners = table.names.get(event).cloned().unwrap_or_default();
        table.patterns.matching(event, |matching| listeners.extend_from_slice(matching));
        // In the order in which they came, so that who listens first is handed a message first.
        listeners.sort_by_key(|listener| listener.since);
        let peers = table.peers.values().filter(|interest| interest.wants(event));
        let mut peers: Box<[_]> = peers.map(|interest| interest.session.clone()).collect();
        let journal = self.journals().iter().find(|ledger| ledger.durable().covers(event)).map(|ledger| {
            Box::new(ByJournal { entries: ledger.entries.clone(), peers: std::mem::take(&mut peers) })
        });
        let name_len = event.len() as u16;
        let header = DataHeader { codec: Codec::Raw, name_len, source: self.node_id, destination: None };
        let route = Arc::new(Route {
            name: event.into(),
            header,
            head: header.head(event, 0),
            ends: Ends::of(event),
            version: self.cache.version(),
            listeners: listeners.into(),
            peers,
            journal,
        });
        self.cache.keep(&route);
        route
    }

    /// Whether nothing has changed since `version`.
    pub(crate) fn is_current(&self, version: u64) -> bool {
        self.cache.version() == version
    }

    /// Takes a listener in.
    pub(crate) fn listen(
        &self,
        pattern: &str,
        options: ListenOptions,
        policy: Policy,
        limits: &Limits,
    ) -> Result<Arc<ListenerQueue>> {
        check_pattern(pattern)?;
        let mut table = self.lock();
        let since = self.invalidate(&mut table);
        let queue = Arc::new(ListenerQueue::new(pattern, options.once, since, policy, limits));
        if is_pattern(pattern) {
            table.patterns.get_or_default(pattern).push(queue.clone());
        } else {
            table.names.entry(pattern.into()).or_default().push(queue.clone());
        }
        Ok(queue)
    }

    /// Takes a listener out; returns whether it was here.
    pub(crate) fn unlisten(&self, queue: &Arc<ListenerQueue>) -> bool {
        let mut table = self.lock();
        let pattern = &*queue.pattern;
        let known = match is_pattern(pattern) {
            true => table.patterns.get_mut(pattern),
            false => table.names.get_mut(pattern),
        };
        let Some(known) = known else { return false };
        let Some(at) = known.iter().position(|known| Arc::ptr_eq(known, queue)) else { return false };
        known.remove(at);
        if known.is_empty() {
            match is_pattern(pattern) {
                true => drop(table.patterns.remove(pattern)),
                false => drop(table.names.remove(pattern)),
            }
        }
        self.invalidate(&mut table);
        true
    }

    /// All listeners.
    pub(crate) fn listeners(&self) -> Vec<Arc<ListenerQueue>> {
        let table = self.lock();
        let patterns = table.patterns.iter().map(|(_, listeners)| listeners);
        table.names.values().chain(patterns).flatten().cloned().collect()
    }

    /// Takes a peer in. Before it has said what it listens for it gets everything, until the time given if there is
    /// one.
    pub(crate) fn join(&self, session: &Arc<Session>, everything_until: Option<Instant>) {
        let mut table = self.lock();
        let node = session.peer.node_id;
        match table.peers.get_mut(&node) {
            Some(known) if Arc::ptr_eq(&known.session, session) => {}
            _ => {
                let (names, patterns) = Default::default();
                let interest = Interest { session: session.clone(), names, patterns, everything_until };
                table.peers.insert(node, interest);
            }
        }
        self.invalidate(&mut table);
    }

    /// Has every peer get everything until then: somebody behind this hub has just joined.
    pub(crate) fn open_up(&self, until: Instant) {
        let mut table = self.lock();
        table.peers.values_mut().for_each(|interest| interest.everything_until = Some(until));
        self.invalidate(&mut table);
    }

    /// Ends the first moment of peers whose time has come. Returns when to look again.
    pub(crate) fn settle(&self, now: Instant) -> Option<Instant> {
        let mut table = self.lock();
        let mut settled = false;
        for interest in table.peers.values_mut() {
            if interest.everything_until.is_some_and(|until| until <= now) {
                interest.everything_until = None;
                settled = true;
            }
        }
        if settled {
            self.invalidate(&mut table);
        }
        table.peers.values().filter_map(|interest| interest.everything_until).min()
    }

    /// Takes a peer out.
    pub(crate) fn leave(&self, session: &Arc<Session>) {
        let mut table = self.lock();
        let node = session.peer.node_id;
        if table.peers.get(&node).is_some_and(|known| Arc::ptr_eq(&known.session, session)) {
            table.peers.remove(&node);
            self.invalidate(&mut table);
        }
    }

    /// Notes what a peer listens for. Returns what has changed: patterns with their count before and now. `None` when
    /// it asks for more than `max` patterns.
    pub(crate) fn interest(
        &self,
        session: &Arc<Session>,
        reset: bool,
        patterns: &[(String, u32)],
        max: usize,
    ) -> Option<Vec<(String, u32, u32)>> {
        let mut table = self.lock();
        let Some(interest) = table.peers.get_mut(&session.peer.node_id) else { return Some(Vec::new()) };
        let mut changed = Vec::new();
        if reset {
            let named = interest.names.drain().chain(interest.patterns.drain());
            changed.extend(named.map(|(pattern, count)| (pattern.into_string(), count, 0)));
        }
        for (pattern, count) in patterns {
            let before = match (is_pattern(pattern), *count) {
                (true, 0) => interest.patterns.remove(pattern),
                (true, count) => interest.patterns.insert(pattern, count),
                (false, 0) => interest.names.remove(pattern.as_str()),
                (false, count) => interest.names.insert(pattern.as_str().into(), count),
            };
            changed.push((pattern.clone(), before.unwrap_or_default(), *count));
        }
        let fits = interest.names.len() + interest.patterns.len() <= max;
        self.invalidate(&mut table);
        fits.then_some(changed)
    }

    /// What a peer listens for.
    pub(crate) fn interest_of(&self, node: NodeId) -> Vec<(String, u32)> {
        let table = self.lock();
        let interest = table.peers.get(&node);
        let patterns = interest.into_iter().flat_map(|interest| {
            interest.names.iter().map(|(name, count)| (&**name, count)).chain(interest.patterns.iter())
        });
        patterns.map(|(pattern, count)| (pattern.to_owned(), *count)).collect()
    }

    /// How many listeners a peer has for this very pattern.
    pub(crate) fn count_of(&self, node: NodeId, pattern: &str) -> u32 {
        let table = self.lock();
        let interest = table.peers.get(&node);
        let count = interest.and_then(|interest| match is_pattern(pattern) {
            true => interest.patterns.get(pattern),
            false => interest.names.get(pattern),
        });
        count.copied().unwrap_or_default()
    }

    /// How many listeners peers have for `event`; those of observers do not count.
    pub(crate) fn remote_listeners(&self, event: &str) -> usize {
        let table = self.lock();
        let members = table.peers.iter().filter(|(node, _)| !node.is_observer());
        members.map(|(_, interest)| interest.listeners(event)).sum()
    }
}
