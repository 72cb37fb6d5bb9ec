//! What waits for the server.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes};
use tokio::sync::{Notify, watch};

use super::entry::{OVERHEAD, head, header};
use crate::{
    BoxError, Codec, Error, Incarnation, Limits, NodeId, Result, Timeout,
    exchange::Exchange,
    protocol::Config,
    room::{Bounded, Lag, Stall, Waiters, wake},
};

/// What stands in an [`Error::Full`] of a journal whose server takes nothing.
const STALLED: &str = "its server has taken nothing for longer than `.max_wait(..)`; what is queued is written when it \
                       does again";

/// The entries that wait for a server: bounded as the queue of a peer is, but nothing is ever dropped to keep the bound.
#[derive(Debug)]
pub(crate) struct Entries {
    node_id: NodeId,
    incarnation: Incarnation,
    /// The server, for messages to people.
    pub(super) server: String,
    max_messages: usize,
    max_bytes: usize,
    handler_budget: usize,
    max_wait: Duration,
    /// The largest entry, and the server's setting that says so.
    entry_limit: (usize, &'static str),
    state: Mutex<State>,
    /// Who emits has to wait: set when the bound is reached, taken back when half of it is free.
    full: AtomicBool,
    /// Wakes the writer.
    pub(super) arrived: Notify,
    /// The number of the last entry that the server has.
    confirmed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Those that are not confirmed, in order.
    entries: VecDeque<Bytes>,
    bytes: usize,
    /// The number of the last one.
    newest: u64,
    waiters: Waiters,
    stall: Stall,
    /// Nobody waits any more until the server takes something.
    stalled: bool,
    /// What is wrong with the server.
    trouble: Option<String>,
    closed: bool,
}

/// What an entry says of a message beside its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addressed<'a> {
    pub(crate) event: &'a str,
    pub(crate) codec: Codec,
    pub(crate) destination: Option<NodeId>,
    pub(crate) only_remote: bool,
}

impl Entries {
    pub(super) fn new(config: &Config, server: String, entry_limit: (usize, &'static str)) -> Arc<Self> {
        let Limits { queue_messages, queue_bytes, handler_budget, max_wait, .. } = config.limits;
        Arc::new(Self {
            node_id: config.node_id,
            incarnation: config.incarnation,
            server,
            max_messages: queue_messages,
            max_bytes: queue_bytes,
            handler_budget,
            max_wait,
            entry_limit,
            state: Mutex::default(),
            full: AtomicBool::new(false),
            arrived: Notify::new(),
            confirmed: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is called in errors.
    pub(crate) fn name(&self) -> String {
        format!("for the journal at {}", self.server)
    }

    /// Whether who emits has to wait.
    pub(crate) fn must_wait(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Fails when it is of no use to wait.
    pub(crate) fn check_stalled(&self, event: &str) -> Result<()> {
        if !self.lock().stalled {
            return Ok(());
        }
        Err(Error::Full { event: event.to_owned(), queue: self.name(), hint: STALLED })
    }

    /// Whether even a handler may not queue more.
    pub(crate) fn is_beyond_budget(&self) -> bool {
        self.lock().bytes >= self.handler_budget
    }

    /// Whether the server takes a message with so many bytes of payload.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(crate) fn check_size(&self, event: &str, payload: usize) -> Result<()> {
        let (size, (limit, setting)) = (OVERHEAD + event.len() + payload, self.entry_limit);
        if size <= limit {
            return Ok(());
        }
        let (event, server) = (event.to_owned(), self.server.clone());
        Err(Error::EntryTooLarge { event, size, server, limit, setting })
    }

    /// Queues a message. Returns whether it is still of use.
    pub(crate) fn push(&self, message: Addressed<'_>, payload: &[u8]) -> bool {
        let Addressed { event, codec, destination, only_remote } = message;
        let header = header(self.node_id, destination, codec, event);
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.newest += 1;
        let mut entry = head(self.incarnation, state.newest, only_remote, (header, event), payload.len());
        entry.put_slice(payload);
        state.bytes += entry.len();
        state.entries.push_back(entry.freeze());
        if state.entries.len() >= self.max_messages || state.bytes >= self.max_bytes {
            self.full.store(true, Relaxed);
        }
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// The first entries: up to so many, and few more bytes than that.
    pub(super) fn batch(&self, messages: usize, bytes: usize) -> Vec<Bytes> {
        let mut size = 0;
        let state = self.lock();
        let fits = |entry: &&Bytes| {
            let has_room = size < bytes;
            size += entry.len();
            has_room
        };
        state.entries.iter().take(messages).take_while(fits).cloned().collect()
    }

    /// The server has the first entries.
    pub(super) fn confirm(&self, count: usize) {
        let mut state = self.lock();
        let gone: usize = state.entries.drain(..count).map(|entry| entry.len()).sum();
        state.bytes -= gone;
        (state.stalled, state.trouble) = (false, None);
        let is_roomy = state.entries.len() <= self.max_messages / 2 && state.bytes <= self.max_bytes / 2;
        let mut waiters = Vec::new();
        if is_roomy {
            self.full.store(false, Relaxed);
            state.stall.end();
            waiters = state.waiters.take();
        }
        drop(state);
        self.confirmed.send_modify(|confirmed| *confirmed += count as u64);
        wake(waiters);
    }

    /// Notes what is wrong with the server.
    pub(super) fn trouble(&self, error: &BoxError) {
        self.lock().trouble = Some(error.to_string());
    }

    /// How many entries wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.lock().entries.len() as u64
    }

    /// How many the server has confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        *self.confirmed.borrow()
    }

    /// Takes nothing more, and drops what it has. Returns how many that were.
    pub(super) fn close(&self) -> u64 {
        let mut state = self.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.entries);
        self.full.store(false, Relaxed);
        let waiters = state.waiters.take();
        drop(state);
        self.confirmed.send_modify(|_| {});
        wake(waiters);
        left.len() as u64
    }

    /// Waits until the server has everything that was queued before.
    pub(super) async fn flush(&self) -> Result<()> {
        let newest = self.lock().newest;
        let mut confirmed = self.confirmed.subscribe();
        while *confirmed.borrow_and_update() < newest {
            if self.lock().closed {
                return Err(Error::Closed);
            }
            let change = Box::pin(confirmed.changed());
            if Timeout::new(self.max_wait, change).await.is_none() {
                return Err(self.unconfirmed());
            }
        }
        Ok(())
    }

    fn unconfirmed(&self) -> Error {
        let trouble = self.lock().trouble.clone();
        let source = trouble.unwrap_or_else(|| format!("it has not answered for {:?}", self.max_wait));
        Error::Journal { server: self.server.clone(), source: source.into() }
    }
}

impl Bounded for Entries {
    fn poll_room(&self, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !self.must_wait() || state.stalled {
            return Poll::Ready(());
        }
        state.waiters.register(ticket, cx);
        Poll::Pending
    }

    fn forget(&self, ticket: u64) {
        self.lock().waiters.forget(ticket);
    }

    fn check_lag(&self, now: Instant, max_wait: Duration) -> Lag {
        let mut state = self.lock();
        if !self.must_wait() || state.stalled {
            state.stall.end();
            return Lag::Over;
        }
        if let Some(next) = state.stall.look(now, self.confirmed(), max_wait) {
            return Lag::Until(next);
        }
        state.stall.end();
        state.stalled = true;
        let waiters = state.waiters.take();
        drop(state);
        wake(waiters);
        Lag::Over
    }

    /// It is never cut off.
    fn evict(self: Arc<Self>, _exchange: &Exchange, _now: Instant) {}
}
