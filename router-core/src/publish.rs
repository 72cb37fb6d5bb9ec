//! An emit on its way from the caller to the queues.

use std::{
    cell::RefCell,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;

use crate::{
    Codec, EmitOptions, Encoded, Error, NodeId, Payload, Publish, Result, Scope,
    exchange::Exchange,
    handler,
    listener::ListenerQueue,
    outbox::{LARGE, Outgoing},
    room::{Bounded, Room},
    routes::Route,
    run::Run,
    session::Session,
    wire::data::DataHeader,
};

thread_local! {
    /// Where payloads are encoded: one buffer for all peers, and for all emits of a thread.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A scratch buffer that an unusually large payload has made this big is not kept, in bytes.
const KEPT_SCRATCH: usize = 64 * 1024;

/// Whom one event goes to.
struct Targets<'a> {
    route: &'a Route,
    here: bool,
    /// `None`: all peers that listen. `Some`: this one, for this destination.
    to: Option<(NodeId, NodeId)>,
    remote: bool,
}

impl<'a> Targets<'a> {
    fn listeners(&self) -> impl Iterator<Item = &'a Arc<ListenerQueue>> {
        self.route.listeners.iter().filter(|_| self.here)
    }

    fn peers(&self) -> impl Iterator<Item = &'a Arc<Session>> {
        self.route
            .peers
            .iter()
            .filter(|session| self.remote && self.to.is_none_or(|(hop, _)| hop == session.peer.node_id))
    }
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
        let (here, remote, to) = match options.scope {
            Scope::All => (true, true, None),
            Scope::Local => (true, false, None),
            Scope::Remote => (false, true, None),
            Scope::Node(node) if node == self.node_id => (true, false, None),
            Scope::Node(node) => {
                let unknown = || Error::UnknownNode { node_id: node, event: event.to_owned() };
                (false, true, Some((self.hop(node).ok_or_else(unknown)?, node)))
            }
        };
        self.routes
            .with(event, |route| self.publish_to(event, payload, &Targets { route, here, to, remote }))?
    }

    fn publish_to(&self, event: &str, payload: &dyn Payload, targets: &Targets<'_>) -> Result<Publish> {
        if targets.listeners().next().is_none() && targets.peers().next().is_none() {
            return Ok(Publish::Done);
        }
        if let Some(full) = self.find_full(event, targets)? {
            return Ok(full);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.resize(DataHeader::LEN, 0);
            scratch.extend_from_slice(event.as_bytes());
            let encoded = payload
                .encode(scratch)
                .map_err(|source| Error::Encode { event: event.to_owned(), source })?;
            let size = scratch.len() + if let Encoded::Shared(bytes) = &encoded { bytes.len() } else { 0 };
            let limit = self.frame_limit.load(Relaxed);
            if size - 4 > limit {
                return Err(Error::FrameTooLarge { event: event.to_owned(), size, limit });
            }
            let header = |codec| DataHeader {
                codec,
                name_len: event.len() as u16,
                source: self.node_id,
                destination: targets.to.map(|(_, node)| node),
            };
            match encoded {
                Encoded::Appended(codec) => self.queue_appended(header(codec), scratch, targets),
                Encoded::Shared(bytes) => self.queue_shared(header(Codec::Raw), scratch, bytes, targets),
            }
            if scratch.capacity() > KEPT_SCRATCH {
                *scratch = Vec::new();
            }
            Ok(Publish::Done)
        })
    }

    /// A queue that the caller has to wait for, if there is one.
    fn find_full(&self, event: &str, targets: &Targets<'_>) -> Result<Option<Publish>> {
        if handler::is_inside() {
            let listener = targets.listeners().find(|listener| listener.is_beyond_budget());
            let peer = targets.peers().find(|session| session.outbox.is_beyond_budget());
            let queue = listener.map(listener_name).or_else(|| peer.map(peer_name));
            return queue.map_or(Ok(None), |queue| {
                let hint = "a handler does not wait for room, it may queue up to `.handler_budget(..)`";
                Err(Error::Full { event: event.to_owned(), queue, hint })
            });
        }
        if let Some(listener) = targets.listeners().find(|listener| listener.must_wait()) {
            return Ok(Some(self.full(listener_name(listener), listener.clone())));
        }
        if let Some(session) = targets.peers().find(|session| session.outbox.must_wait()) {
            return Ok(Some(self.full(peer_name(session), session.clone())));
        }
        Ok(None)
    }

    fn full(&self, queue: String, bounded: Arc<dyn Bounded>) -> Publish {
        self.watch(bounded.clone());
        Publish::Full { queue, room: Room::new(bounded) }
    }

    /// Queues a message whose name and payload stand in `scratch` behind room for the header.
    fn queue_appended(&self, header: DataHeader, scratch: &mut Vec<u8>, targets: &Targets<'_>) {
        let head = header.encode(scratch.len() - DataHeader::LEN);
        scratch[..DataHeader::LEN].copy_from_slice(&head);
        if scratch.len() < LARGE {
            targets.peers().for_each(|session| session.outbox.push(Outgoing::Small(scratch), None));
            if targets.listeners().next().is_some() {
                let payload = DataHeader::LEN + usize::from(header.name_len);
                self.hand_here(header, &Bytes::copy_from_slice(&scratch[payload..]), targets);
            }
            return;
        }
        let frame = Bytes::from(std::mem::take(scratch));
        let payload = DataHeader::LEN + usize::from(header.name_len);
        for session in targets.peers() {
            let large = Outgoing::Large(frame.slice(..payload), frame.slice(payload..));
            session.outbox.push(large, None);
        }
        self.hand_here(header, &frame.slice(payload..), targets);
    }

    /// Queues a message whose payload stays where it is, if it is large.
    fn queue_shared(&self, header: DataHeader, scratch: &mut Vec<u8>, payload: Bytes, targets: &Targets<'_>) {
        let head = header.encode(scratch.len() - DataHeader::LEN + payload.len());
        scratch[..DataHeader::LEN].copy_from_slice(&head);
        self.hand_here(header, &payload, targets);
        if scratch.len() + payload.len() < LARGE {
            scratch.extend_from_slice(&payload);
            targets.peers().for_each(|session| session.outbox.push(Outgoing::Small(scratch), None));
        } else if targets.peers().next().is_some() {
            let head = Bytes::copy_from_slice(scratch);
            let large = || Outgoing::Large(head.clone(), payload.clone());
            targets.peers().for_each(|session| session.outbox.push(large(), None));
        }
    }

    fn hand_here(&self, header: DataHeader, payload: &Bytes, targets: &Targets<'_>) {
        for listener in targets.listeners() {
            let run = Run::single(targets.route.name.clone(), header, payload.clone());
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
