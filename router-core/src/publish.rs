//! An emit on its way from the caller to the queues.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;

use crate::{
    Codec, DropReason, EmitOptions, Encoded, Error, NodeId, Payload, Publish, Result, Scope,
    exchange::Exchange,
    handler,
    journal::{Addressed, Entries},
    listener::ListenerQueue,
    outbox::{LARGE, Outgoing},
    pace,
    room::{Bounded, Room},
    routes::Route,
    run::Run,
    session::Session,
    wire::data::{DataHeader, SmallFrame},
};

thread_local! {
    /// Where payloads are encoded: one buffer for all peers, and for all emits of a thread.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A scratch buffer that an unusually large payload has made this big is not kept, in bytes.
const KEPT_SCRATCH: usize = 64 * 1024;

/// Whom one event goes to.
struct Targets<'a> {
    route: &'a Route,
    listeners: &'a [Arc<ListenerQueue>],
    peers: &'a [Arc<Session>],
    /// What takes the place of peers, if the event goes through a journal.
    journal: Option<&'a Arc<Entries>>,
    /// No listener of this node is to get it.
    only_remote: bool,
    /// The one node that it is for, if it is not for all that listen.
    destination: Option<NodeId>,
}

impl Exchange {
    /// One try to queue an event for everyone who gets it.
    pub(crate) fn publish(
        &self,
        event: &str,
        payload: &dyn Payload,
        options: &EmitOptions,
    ) -> Result<Publish> {
        if let Some(bytes) = payload.shared()
            && options.scope == Scope::All
            && self.publish_quickly(event, bytes)
        {
            return Ok(Publish::Done);
        }
        self.publish_carefully(event, payload, options.scope)
    }

    /// Queues a message for everyone, if nothing stands in its way: a small one to those whom this thread has emitted
    /// this event to lately, none of whom is full. Otherwise it does nothing, and returns false.
    #[inline(always)]
    fn publish_quickly(&self, event: &str, payload: &Bytes) -> bool {
        if self.is_closed() || handler::is_inside() || payload.len() >= LARGE {
            return false;
        }
        let Some(recent) = self.routes.recent(event) else { return false };
        let published = self.publish_to_all(&recent.route, payload);
        recent.put_back();
        published
    }

    #[inline(always)]
    fn publish_to_all(&self, route: &Route, payload: &Bytes) -> bool {
        if route.journal.is_some() {
            return false;
        }
        let targets = Targets::all(route);
        if targets.are_none() {
            // Those who listened may have left because this router shuts down.
            return !self.is_closed();
        }
        if targets.are_full() || self.check_size(payload.len(), &targets).is_err() {
            return false;
        }
        pace::emit();
        targets.send_small(Codec::Raw, payload);
        if !targets.listeners.is_empty() {
            self.hand_here(Codec::Raw, payload, &targets);
        }
        true
    }

    /// The same in all cases.
    #[inline(never)]
    fn publish_carefully(&self, event: &str, payload: &dyn Payload, scope: Scope) -> Result<Publish> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let route = self.routes.of(event)?;
        let mut targets = Targets::all(&route);
        if scope != Scope::All {
            self.narrow(&mut targets, scope)?;
        }
        if targets.are_none() {
            // Those who listened may have left because this router shuts down.
            return if self.is_closed() { Err(Error::Closed) } else { Ok(Publish::Done) };
        }
        if handler::is_inside() {
            self.check_budget(&targets)?;
        } else if targets.is_one_full()
            && let Some(full) = self.find_full(&targets)?
        {
            return Ok(full);
        }
        pace::emit();
        match payload.shared() {
            Some(bytes) => self.queue_shared(bytes, &targets)?,
            None => self.queue_encoded(payload, &targets)?,
        }
        Ok(Publish::Done)
    }

    /// Leaves of the targets those whom the scope names.
    fn narrow(&self, targets: &mut Targets<'_>, scope: Scope) -> Result<()> {
        match scope {
            Scope::All => {}
            Scope::Remote => (targets.listeners, targets.only_remote) = (&[], true),
            Scope::Local => (targets.peers, targets.journal) = (&[], None),
            Scope::Node(node) if node == self.node_id => (targets.peers, targets.journal) = (&[], None),
            // It need not be there now.
            Scope::Node(node) if targets.journal.is_some() => {
                (targets.listeners, targets.destination) = (&[], Some(node));
            }
            Scope::Node(node) => {
                let unknown = || Error::UnknownNode { node_id: node, event: targets.route.name.to_string() };
                let hop = self.hop(node).ok_or_else(unknown)?;
                let peer = targets.peers.iter().find(|session| session.peer.node_id == hop);
                targets.peers = peer.map_or(&[][..], std::slice::from_ref);
                targets.listeners = &[];
                targets.destination = Some(node);
            }
        }
        Ok(())
    }

    /// Encodes a payload and queues the message.
    fn queue_encoded(&self, payload: &dyn Payload, targets: &Targets<'_>) -> Result<()> {
        // Taken out meanwhile, since encoding and queueing may run what emits, too.
        let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
        let queued = match payload.encode(&mut scratch) {
            Ok(Encoded::Appended(codec)) if scratch.len() < LARGE => {
                self.queue_small(codec, &scratch, targets)
            }
            Ok(Encoded::Appended(codec)) => {
                self.queue_large(codec, &std::mem::take(&mut scratch).into(), targets)
            }
            Ok(Encoded::Shared(bytes)) => self.queue_shared(&bytes, targets),
            Err(source) => Err(Error::Encode { event: targets.route.name.to_string(), source }),
        };
        if (1..=KEPT_SCRATCH).contains(&scratch.capacity()) {
            scratch.clear();
            let _ = SCRATCH.try_with(|kept| kept.set(scratch));
        }
        queued
    }

    /// Fails when a handler, which does not wait, may queue no more.
    fn check_budget(&self, targets: &Targets<'_>) -> Result<()> {
        let listener = targets.listeners.iter().find(|listener| listener.is_beyond_budget());
        let peer = targets.peers.iter().find(|session| session.outbox.is_beyond_budget());
        let journal = targets.journal.filter(|entries| entries.is_beyond_budget());
        let full = listener.map(listener_name).or_else(|| peer.map(peer_name));
        match full.or_else(|| journal.map(|entries| entries.name())) {
            None => Ok(()),
            Some(queue) => {
                let hint = "a handler does not wait for room, it may queue up to `.handler_budget(..)`";
                Err(Error::Full { event: targets.route.name.to_string(), queue, hint })
            }
        }
    }

    /// A queue that the caller has to wait for, if there is one.
    #[cold]
    fn find_full(&self, targets: &Targets<'_>) -> Result<Option<Publish>> {
        if let Some(listener) = targets.listeners.iter().find(|listener| listener.must_wait()) {
            return Ok(Some(self.full(listener_name(listener), listener.clone())));
        }
        if let Some(entries) = targets.journal.filter(|entries| entries.must_wait()) {
            entries.check_stalled(&targets.route.name)?;
            return Ok(Some(self.full(entries.name(), entries.clone())));
        }
        let session = targets.peers.iter().find(|session| session.outbox.must_wait());
        Ok(session.map(|session| self.full(peer_name(session), session.clone())))
    }

    fn full(&self, queue: String, bounded: Arc<dyn Bounded>) -> Publish {
        self.watch(bounded.clone());
        Publish::Full { queue, room: Room::new(bounded) }
    }

    /// Queues a message whose payload is copied.
    fn queue_small(&self, codec: Codec, payload: &[u8], targets: &Targets<'_>) -> Result<()> {
        self.check_size(payload.len(), targets)?;
        self.journal(codec, payload, targets)?;
        targets.send_small(codec, payload);
        if !targets.listeners.is_empty() {
            self.hand_here(codec, &Bytes::copy_from_slice(payload), targets);
        }
        Ok(())
    }

    /// Queues a message whose payload stays where it is.
    fn queue_large(&self, codec: Codec, payload: &Bytes, targets: &Targets<'_>) -> Result<()> {
        self.check_size(payload.len(), targets)?;
        self.journal(codec, payload, targets)?;
        if !targets.peers.is_empty() {
            let head = targets.header(codec).head(&targets.route.name, payload.len());
            let shared = self.shareable(payload.clone(), targets.peers.iter());
            for session in targets.peers {
                session.outbox.push(Outgoing::Large(head.clone(), shared.clone()), None);
            }
        }
        self.hand_here(codec, payload, targets);
        Ok(())
    }

    /// Queues a message whose payload stays where it is, for listeners here, and for peers if it is large.
    fn queue_shared(&self, payload: &Bytes, targets: &Targets<'_>) -> Result<()> {
        if payload.len() >= LARGE {
            return self.queue_large(Codec::Raw, payload, targets);
        }
        self.check_size(payload.len(), targets)?;
        self.journal(Codec::Raw, payload, targets)?;
        targets.send_small(Codec::Raw, payload);
        self.hand_here(Codec::Raw, payload, targets);
        Ok(())
    }

    /// Queues a message for the journal, if it goes there.
    fn journal(&self, codec: Codec, payload: &[u8], targets: &Targets<'_>) -> Result<()> {
        let Some(entries) = targets.journal else { return Ok(()) };
        let event = &*targets.route.name;
        entries.check_size(event, payload.len())?;
        let (destination, only_remote) = (targets.destination, targets.only_remote);
        if !entries.push(Addressed { event, codec, destination, only_remote }, payload) {
            self.count_drop(DropReason::Shutdown, 1);
        }
        Ok(())
    }

    /// Whether a frame with so many bytes of payload may be sent.
    ///
    /// # Errors
    ///
    /// When it would be too large.
    #[inline(always)]
    fn check_size(&self, payload: usize, targets: &Targets<'_>) -> Result<()> {
        let (size, limit) = (targets.route.head.len() + payload, self.frame_limit.load(Relaxed));
        if size - 4 > limit {
            return Err(targets.too_large(size, limit));
        }
        Ok(())
    }

    #[inline(never)]
    fn hand_here(&self, codec: Codec, payload: &Bytes, targets: &Targets<'_>) {
        for listener in targets.listeners {
            let run = Run::single(targets.route.name.clone(), targets.header(codec), payload.clone());
            let pushed = listener.push(run, None);
            self.handed(listener, self.node_id, pushed);
        }
    }
}

impl<'a> Targets<'a> {
    #[inline]
    fn all(route: &'a Route) -> Self {
        let journal = route.journal.as_ref().map(|journal| &journal.entries);
        let (listeners, peers) = (&route.listeners, &route.peers);
        Self { route, listeners, peers, journal, only_remote: false, destination: None }
    }

    #[inline]
    fn are_none(&self) -> bool {
        self.listeners.is_empty() && self.peers.is_empty() && self.journal.is_none()
    }

    /// Whether one of them has to be waited for.
    #[inline]
    fn are_full(&self) -> bool {
        self.peers.iter().any(|session| session.outbox.must_wait())
            || self.listeners.iter().any(|listener| listener.must_wait())
    }

    /// The same, the journal included.
    fn is_one_full(&self) -> bool {
        self.are_full() || self.journal.is_some_and(|entries| entries.must_wait())
    }

    fn header(&self, codec: Codec) -> DataHeader {
        DataHeader { codec, destination: self.destination, ..self.route.header }
    }

    /// Queues a message whose payload is copied, for peers.
    #[inline(always)]
    fn send_small(&self, codec: Codec, payload: &[u8]) {
        let destination = self.destination;
        let frame = SmallFrame { head: &self.route.head, codec, destination, payload };
        for session in self.peers {
            session.outbox.push_small(&frame);
        }
    }

    #[cold]
    fn too_large(&self, size: usize, limit: usize) -> Error {
        Error::FrameTooLarge { event: self.route.name.to_string(), size, limit }
    }
}

fn listener_name(listener: &Arc<ListenerQueue>) -> String {
    format!("of a listener for `{}` in this process", listener.pattern)
}

fn peer_name(session: &Arc<Session>) -> String {
    format!("for node {}", session.peer.node_id)
}
