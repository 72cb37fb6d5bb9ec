//! An emit on its way from the caller to the queues.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;

use crate::{
    Codec, EmitOptions, Encoded, Error, NodeId, Payload, Publish, Result, Scope,
    exchange::Exchange,
    handler,
    listener::ListenerQueue,
    outbox::{LARGE, Outgoing},
    pace,
    room::{Bounded, Room},
    routes::Route,
    run::Run,
    session::Session,
    wire::data::DataHeader,
};

thread_local! {
    /// Where payloads are encoded: one buffer for all peers, and for all emits of a thread.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A scratch buffer that an unusually large payload has made this big is not kept, in bytes.
const KEPT_SCRATCH: usize = 64 * 1024;

/// Whom one event goes to.
struct Targets<'a> {
    event: &'a Arc<str>,
    listeners: &'a [Arc<ListenerQueue>],
    peers: &'a [Arc<Session>],
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
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let route = self.routes.of(event)?;
        let targets = self.targets(&route, options.scope)?;
        if targets.listeners.is_empty() && targets.peers.is_empty() {
            // Those who listened may have left because this router shuts down.
            return if self.is_closed() { Err(Error::Closed) } else { Ok(Publish::Done) };
        }
        if let Some(full) = self.find_full(&targets)? {
            return Ok(full);
        }
        pace::emit();
        match payload.shared() {
            Some(bytes) => self.queue_shared(bytes, &targets)?,
            None => self.queue_encoded(payload, &targets)?,
        }
        Ok(Publish::Done)
    }

    /// Those of a route whom the scope names.
    fn targets<'a>(&self, route: &'a Route, scope: Scope) -> Result<Targets<'a>> {
        let all = Targets {
            event: &route.name,
            listeners: &route.listeners,
            peers: &route.peers,
            destination: None,
        };
        Ok(match scope {
            Scope::All => all,
            Scope::Remote => Targets { listeners: &[], ..all },
            Scope::Local => Targets { peers: &[], ..all },
            Scope::Node(node) if node == self.node_id => Targets { peers: &[], ..all },
            Scope::Node(node) => {
                let unknown = || Error::UnknownNode { node_id: node, event: route.name.to_string() };
                let hop = self.hop(node).ok_or_else(unknown)?;
                let peer = all.peers.iter().find(|session| session.peer.node_id == hop);
                let peers = peer.map_or(&[][..], std::slice::from_ref);
                Targets { listeners: &[], peers, destination: Some(node), ..all }
            }
        })
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
            Err(source) => Err(Error::Encode { event: targets.event.to_string(), source }),
        };
        if (1..=KEPT_SCRATCH).contains(&scratch.capacity()) {
            scratch.clear();
            let _ = SCRATCH.try_with(|kept| kept.set(scratch));
        }
        queued
    }

    /// A queue that the caller has to wait for, if there is one.
    fn find_full(&self, targets: &Targets<'_>) -> Result<Option<Publish>> {
        if handler::is_inside() {
            let listener = targets.listeners.iter().find(|listener| listener.is_beyond_budget());
            let peer = targets.peers.iter().find(|session| session.outbox.is_beyond_budget());
            let queue = listener.map(listener_name).or_else(|| peer.map(peer_name));
            return queue.map_or(Ok(None), |queue| {
                let hint = "a handler does not wait for room, it may queue up to `.handler_budget(..)`";
                Err(Error::Full { event: targets.event.to_string(), queue, hint })
            });
        }
        if let Some(listener) = targets.listeners.iter().find(|listener| listener.must_wait()) {
            return Ok(Some(self.full(listener_name(listener), listener.clone())));
        }
        if let Some(session) = targets.peers.iter().find(|session| session.outbox.must_wait()) {
            return Ok(Some(self.full(peer_name(session), session.clone())));
        }
        Ok(None)
    }

    fn full(&self, queue: String, bounded: Arc<dyn Bounded>) -> Publish {
        self.watch(bounded.clone());
        Publish::Full { queue, room: Room::new(bounded) }
    }

    /// Queues a message whose payload is copied.
    fn queue_small(&self, codec: Codec, payload: &[u8], targets: &Targets<'_>) -> Result<()> {
        let header = self.header(codec, payload.len(), targets)?;
        self.send_small(header, payload, targets);
        if !targets.listeners.is_empty() {
            self.hand_here(header, &Bytes::copy_from_slice(payload), targets);
        }
        Ok(())
    }

    /// Queues a message whose payload stays where it is.
    fn queue_large(&self, codec: Codec, payload: &Bytes, targets: &Targets<'_>) -> Result<()> {
        let header = self.header(codec, payload.len(), targets)?;
        if !targets.peers.is_empty() {
            let head = header.head(targets.event, payload.len());
            let shared = self.shareable(payload.clone(), targets.peers.iter());
            for session in targets.peers {
                session.outbox.push(Outgoing::Large(head.clone(), shared.clone()), None);
            }
        }
        self.hand_here(header, payload, targets);
        Ok(())
    }

    /// Queues a message whose payload stays where it is, for listeners here, and for peers if it is large.
    fn queue_shared(&self, payload: &Bytes, targets: &Targets<'_>) -> Result<()> {
        if payload.len() >= LARGE {
            return self.queue_large(Codec::Raw, payload, targets);
        }
        let header = self.header(Codec::Raw, payload.len(), targets)?;
        self.send_small(header, payload, targets);
        if !targets.listeners.is_empty() {
            self.hand_here(header, payload, targets);
        }
        Ok(())
    }

    /// The header of a message with so many bytes of payload.
    ///
    /// # Errors
    ///
    /// When the frame would be too large.
    fn header(&self, codec: Codec, payload: usize, targets: &Targets<'_>) -> Result<DataHeader> {
        let size = DataHeader::LEN + targets.event.len() + payload;
        let limit = self.frame_limit.load(Relaxed);
        if size - 4 > limit {
            return Err(Error::FrameTooLarge { event: targets.event.to_string(), size, limit });
        }
        let name_len = targets.event.len() as u16;
        Ok(DataHeader { codec, name_len, source: self.node_id, destination: targets.destination })
    }

    fn send_small(&self, header: DataHeader, payload: &[u8], targets: &Targets<'_>) {
        let name = targets.event.as_bytes();
        let head = header.encode(name.len() + payload.len());
        targets
            .peers
            .iter()
            .for_each(|session| session.outbox.push(Outgoing::Small(head, name, payload), None));
    }

    fn hand_here(&self, header: DataHeader, payload: &Bytes, targets: &Targets<'_>) {
        for listener in targets.listeners {
            let run = Run::single(targets.event.clone(), header, payload.clone());
            let pushed = listener.push(run, None);
            self.handed(listener, self.node_id, pushed);
        }
    }
}

fn listener_name(listener: &Arc<ListenerQueue>) -> String {
    format!("of a listener for `{}` in this process", listener.pattern)
}

fn peer_name(session: &Arc<Session>) -> String {
    format!("for node {}", session.peer.node_id)
}
