//! A journal in memory that fails when it is told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    Address, BoxError, BoxFuture, Capability, Durable, Journal, JournalContext, JournalLink, Memory,
    NoJournal, NodeId, Page, Placement, Position, Result, Transport, Trimmed, Wire,
};

/// The largest entry.
pub(super) const LIMIT: usize = 100_000;

/// What several nodes share: a network, and a journal.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    network: Memory,
    state: Arc<Mutex<State>>,
    /// How many entries were ever written.
    written: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<(u64, Bytes)>,
    saved: HashMap<NodeId, Position>,
    is_down: bool,
    /// The next batch is taken, and nobody is told.
    is_mute: bool,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { network: Memory::network(), state: Arc::default(), written: watch::Sender::new(0) }
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn transport(&self, durable: Durable) -> Shelved {
        Shelved { shelf: self.clone(), durable }
    }

    pub(super) fn set_up(&self, is_up: bool) {
        self.lock().is_down = !is_up;
    }

    pub(super) fn forget_to_answer(&self) {
        self.lock().is_mute = true;
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Waits until so many entries were written.
    pub(super) async fn settle(&self, count: u64) {
        self.written.subscribe().wait_for(|written| *written >= count).await.unwrap();
    }

    pub(super) fn write(&self, entry: &'static str) {
        self.put(&[Bytes::from_static(entry.as_bytes())]);
    }

    pub(super) fn trim(&self, keep: usize) {
        let mut state = self.lock();
        let gone = state.entries.len().saturating_sub(keep);
        state.entries.drain(..gone);
    }

    fn put(&self, entries: &[Bytes]) {
        let mut state = self.lock();
        let first = *self.written.borrow() + 1;
        state.entries.extend((first..).zip(entries.iter().cloned()));
        self.written.send_modify(|written| *written += entries.len() as u64);
    }

    fn check(&self) -> Result<(), BoxError> {
        if self.lock().is_down { Err("it is down".into()) } else { Ok(()) }
    }

    fn page(&self, after: Option<u64>, count: usize) -> Page {
        let state = self.lock();
        let behind = |(number, _): &&(u64, Bytes)| after.is_none_or(|after| *number > after);
        let found = state.entries.iter().filter(behind).take(count);
        let entries: Vec<_> = found.map(|(number, bytes)| (position(*number), bytes.clone())).collect();
        let first = entries.first().map(|(first, _)| number(first));
        let trimmed = after.zip(first).map(|(after, first)| Trimmed::Count(first - after - 1));
        Page { trimmed, entries }
    }
}

fn position(number: u64) -> Position {
    number.to_string().parse().unwrap()
}

fn number(position: &Position) -> u64 {
    position.as_str().parse().unwrap()
}

/// A transport on it.
#[derive(Debug, Clone)]
pub(super) struct Shelved {
    shelf: Shelf,
    durable: Durable,
}

impl Transport for Shelved {
    fn scheme(&self) -> &'static str {
        self.shelf.network.scheme()
    }

    fn capability(&self) -> Capability {
        self.shelf.network.capability()
    }

    fn wire(&self) -> Wire {
        self.shelf.network.wire()
    }

    fn place(&self, _placement: &Placement) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.clone()))
    }

    fn journal(&self) -> Option<Arc<dyn Journal>> {
        Some(Arc::new(self.clone()))
    }
}

impl Journal for Shelved {
    fn durable(&self) -> &Durable {
        &self.durable
    }

    fn address(&self) -> Result<Address> {
        Address::new("memory", "shelf")
    }

    fn connect<'a>(
        &'a self,
        context: &'a JournalContext,
    ) -> BoxFuture<'a, Result<Box<dyn JournalLink>, NoJournal>> {
        Box::pin(async move {
            self.shelf.check().map_err(NoJournal::Broken)?;
            let link = Box::new(Hand { shelf: self.shelf.clone(), node_id: context.node_id });
            Ok(link as Box<dyn JournalLink>)
        })
    }
}

/// A connection to it.
#[derive(Debug)]
struct Hand {
    shelf: Shelf,
    node_id: NodeId,
}

impl JournalLink for Hand {
    fn entry_limit(&self) -> (usize, &'static str) {
        (LIMIT, "shelf_limit")
    }

    fn append<'a>(&'a mut self, entries: &'a [Bytes]) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move {
            self.shelf.check()?;
            self.shelf.put(entries);
            let was_mute = std::mem::take(&mut self.shelf.lock().is_mute);
            if was_mute { Err("the connection broke".into()) } else { Ok(()) }
        })
    }

    fn read<'a>(
        &'a mut self,
        after: Option<&'a Position>,
        count: usize,
    ) -> BoxFuture<'a, Result<Page, BoxError>> {
        Box::pin(async move {
            let after = after.map(number);
            let mut written = self.shelf.written.subscribe();
            loop {
                self.shelf.check()?;
                let page = self.shelf.page(after, count);
                if !page.entries.is_empty() {
                    return Ok(page);
                }
                written.changed().await?;
            }
        })
    }

    fn newest(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>> {
        let newest = self.shelf.lock().entries.back().map(|(number, _)| position(*number));
        Box::pin(async move { Ok(newest) })
    }

    fn load(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>> {
        let saved = self.shelf.lock().saved.get(&self.node_id).cloned();
        Box::pin(async move { Ok(saved) })
    }

    fn save<'a>(&'a mut self, position: &'a Position) -> BoxFuture<'a, Result<(), BoxError>> {
        self.shelf.lock().saved.insert(self.node_id, position.clone());
        Box::pin(async { Ok(()) })
    }

    fn check(&self, position: &Position) -> Result<(), String> {
        position.as_str().parse::<u64>().map(drop).map_err(|error| error.to_string())
    }
}
