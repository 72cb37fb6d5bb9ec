use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    Limits, Peer, PeerStats, Policy,
    credit::Credit,
    exchange::Exchange,
    outbox::{Gather, Lend, Outbox},
    protocol::LinkId,
    room::{Bounded, Lag},
    wire::control::Received,
};

/// Two nodes in one life each: what is on its way from one to the other and how far it has come, whichever links
/// carry it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) peer: Peer,
    pub(crate) outbox: Outbox,
    /// The link whose messages count. Held while a block of them is handed on, so that a new link starts exactly
    /// where the old one ended.
    inbound: Mutex<Option<LinkId>>,
    /// Messages and bytes that have arrived.
    received: AtomicU64,
    received_bytes: AtomicU64,
    pub(crate) consumed_bytes: AtomicU64,
    /// Messages that the peer reported as dropped on their way here.
    pub(crate) lost: AtomicU64,
    /// When something was last heard of the peer, in milliseconds since `epoch`.
    heard: AtomicU64,
    epoch: Instant,
}

impl Session {
    pub(crate) fn new(peer: Peer, policy: Policy, limits: &Limits, window: u64, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            peer,
            outbox: Outbox::new(policy, limits, window),
            inbound: Mutex::default(),
            received: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            consumed_bytes: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            epoch: now,
        })
    }

    /// Notes that something was heard.
    pub(crate) fn hear(&self, now: Instant) {
        self.heard.store(now.saturating_duration_since(self.epoch).as_millis() as u64, Relaxed);
    }

    /// When something was last heard.
    pub(crate) fn heard(&self) -> Instant {
        self.epoch + Duration::from_millis(self.heard.load(Relaxed))
    }

    /// From now on the messages of `link` count and no others. Returns how far they have come.
    pub(crate) fn receive_from(&self, link: LinkId) -> Received {
        *self.inbound.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        self.received()
    }

    /// Keeps other links from taking over while messages of `link` are handed on; `None` if one has already.
    pub(crate) fn receiving(&self, link: LinkId) -> Option<MutexGuard<'_, Option<LinkId>>> {
        let inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        (*inbound == Some(link)).then_some(inbound)
    }

    /// Counts messages that have arrived.
    pub(crate) fn arrive(&self, messages: u64, bytes: u64) {
        self.received.fetch_add(messages, Relaxed);
        self.received_bytes.fetch_add(bytes, Relaxed);
    }

    /// What gives bytes that have arrived back to the peer's window when they have been taken.
    pub(crate) fn credit(self: &Arc<Self>) -> Arc<Credit> {
        Arc::new(Credit::new(self.clone()))
    }

    /// Counts messages that will not come.
    pub(crate) fn miss(&self, messages: u64) {
        self.received.fetch_add(messages, Relaxed);
        self.lost.fetch_add(messages, Relaxed);
    }

    /// How far the peer's messages have come.
    pub(crate) fn received(&self) -> Received {
        Received {
            consumed: self.consumed_bytes.load(Relaxed),
            bytes: self.received_bytes.load(Relaxed),
            messages: self.received.load(Relaxed),
        }
    }

    /// Collects what `link` is to write next; wakes the context when there is something, if there is nothing.
    pub(crate) fn gather(
        &self,
        link: LinkId,
        lend: Lend<'_>,
        slices: &mut VecDeque<Bytes>,
        cx: Option<&Context<'_>>,
    ) -> Gather {
        self.outbox.gather(link, || self.received(), lend, slices, cx)
    }

    pub(crate) fn stats(&self) -> PeerStats {
        let (queued_bytes, queued_messages, lagging) = self.outbox.load();
        let lost = self.lost.load(Relaxed);
        PeerStats {
            node_id: self.peer.node_id,
            sent: self.outbox.sent(),
            received: self.received.load(Relaxed).saturating_sub(lost),
            dropped: self.outbox.dropped.read(),
            lost,
            queued_bytes,
            queued_messages,
            lagging,
        }
    }
}

impl Bounded for Session {
    fn poll_room(&self, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        self.outbox.poll_room(ticket, cx)
    }

    fn forget(&self, ticket: u64) {
        self.outbox.forget(ticket);
    }

    fn check_lag(&self, now: Instant, max_wait: Duration) -> Lag {
        self.outbox.check_lag(now, max_wait)
    }

    fn evict(self: Arc<Self>, exchange: &Exchange, now: Instant) {
        exchange.tell(now, |machine| machine.evict(now, &self));
    }
}
