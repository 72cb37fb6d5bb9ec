//! Payloads that a node publishes once for several others.
//!
//! The first such payload that a link is to carry makes it offer the broadcasts to its other end. That subscribes, and says
//! on the link when it hears. From then on a large payload for several who hear goes to the channel of its sender's
//! broadcasts, once, and each link carries a token in its place.

use std::{
    sync::{Arc, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{Ear, OpenLine, State, Tap};
use crate::bus::{
    Channel, Mailbox,
    broadcast::{Broadcast, Published},
    heard::{Heard, Lost, Part},
    link::Key,
    packet::{self, Kind, Packet},
};

/// From which length on a payload is published once for several: below it, the messages of a link share packets.
const THRESHOLD: usize = 16 << 10;

/// How many bytes of broadcasts a node may have been sent at most that its link has not come to yet. Beyond that the
/// links carry the payloads themselves, each as fast as its other end takes them. A little more than the queue of one
/// link, whose sender waits when it is full; with a window, less than Redis keeps for a connection, 32 MiB.
const AHEAD: usize = 10 << 20;

/// What a [`Bus`](crate::Bus) is to subscribe besides the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The [broadcasts](Channel::Broadcasts) of another node, and [say](Tap::subscribed) when they arrive.
    Subscribe(Mailbox),
    /// No longer.
    Unsubscribe(Mailbox),
}

/// The broadcasts of another node, as long as there is a link to it.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    heard: Arc<Heard>,
    /// They arrive.
    subscribed: bool,
    /// On which links that is to be said then.
    offered: Vec<Key>,
}

impl Tap {
    /// What is to be subscribed or not any more, in this order.
    ///
    /// # Cancel safety
    ///
    /// What was not returned comes the next time.
    pub async fn next_request(&self) -> Request {
        std::future::poll_fn(|cx| self.poll_request(cx)).await
    }

    fn poll_request(&self, cx: &Context<'_>) -> Poll<Request> {
        let mut state = self.lock();
        let Some(request) = state.requests.pop_front() else {
            state.requester = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(request)
    }

    fn request(&self, mut state: MutexGuard<'_, State>, request: Request) {
        state.requests.push_back(request);
        let requester = state.requester.take();
        drop(state);
        requester.into_iter().for_each(Waker::wake);
    }

    /// What this node broadcasts arrives here from now on.
    pub fn subscribed(&self, mailbox: Mailbox) {
        let mut state = self.lock();
        let Some(hearing) = state.hearing.get_mut(&mailbox) else { return };
        hearing.subscribed = true;
        let offered = std::mem::take(&mut hearing.offered);
        drop(state);
        offered.into_iter().for_each(|link| self.hear(link));
    }

    /// The other end of a link offers its broadcasts.
    pub(super) fn offered(&self, link: Key) {
        let mut state = self.lock();
        if !state.lines.contains_key(&link) {
            return;
        }
        let is_new = !state.hearing.contains_key(&link.remote);
        let hearing = state.hearing.entry(link.remote).or_default();
        if hearing.subscribed {
            drop(state);
            return self.hear(link);
        }
        hearing.offered.push(link);
        if is_new {
            self.request(state, Request::Subscribe(link.remote));
        }
    }

    /// Says on a link that the other end is heard.
    fn hear(&self, link: Key) {
        let mut state = self.lock();
        let State { lines, hearing, .. } = &mut *state;
        let (Some(open), Some(hearing)) = (lines.get(&link), hearing.get_mut(&link.remote)) else { return };
        // What has come so far was for an earlier link.
        hearing.heard = Arc::default();
        open.line.hears(hearing.heard.clone());
        drop(state);
        self.say(link, link.kind(Kind::HearsFromOpener, Kind::HearsToOpener));
    }

    /// The other end of a link hears what is broadcast from now on.
    pub(super) fn heard_by(&self, link: Key) {
        if let Some(open) = self.lock().lines.get_mut(&link) {
            open.ear = Ear::Hears;
        }
    }

    /// A part of a broadcast came.
    pub(super) fn overheard(&self, packet: Packet) {
        let heard = self.lock().hearing.get(&packet.from).map(|hearing| hearing.heard.clone());
        // Without it: it was on its way when the last link to that node ended.
        let Some(heard) = heard else { return };
        let (number, offset, length) = (packet.link, packet.number, packet.extra);
        if heard.arrived(Part { number, offset, length, bytes: packet.bytes }) == Err(Lost) {
            tracing::debug!(from = %packet.from, number, "a broadcast was lost on the bus");
            self.unheard(packet.from);
        }
    }

    /// No link of this node is to get the broadcast of this number.
    pub(super) fn forget(&self, packet: &Packet) {
        let heard = self.lock().hearing.get(&packet.from).map(|hearing| hearing.heard.clone());
        heard.into_iter().for_each(|heard| heard.forget(packet.link));
    }

    /// The last link to this node has ended.
    pub(super) fn stop_hearing(&self, mut state: MutexGuard<'_, State>, remote: Mailbox) {
        if state.lines.keys().all(|link| link.remote != remote) && state.hearing.remove(&remote).is_some() {
            self.request(state, Request::Unsubscribe(remote));
        }
    }

    /// A payload for these nodes as one to be published once for all of them, if it is large, and there are several of
    /// them here.
    pub(crate) fn share(self: &Arc<Self>, payload: &Bytes, receivers: &[Mailbox]) -> Option<Broadcast> {
        if payload.len() < THRESHOLD || receivers.len() < 2 {
            return None;
        }
        let state = self.lock();
        let wants = |link: &Key| receivers.contains(&link.remote);
        if state.lines.keys().filter(|link| wants(link)).count() < 2 {
            return None;
        }
        let hear = || state.lines.iter().filter(|(_, open)| open.ear == Ear::Hears);
        let wanted = hear().filter(|(link, _)| wants(link)).count();
        let is_worth_it = wanted >= 2 && 2 * wanted > hear().count();
        Some(Broadcast::new(self.clone(), payload.clone(), is_worth_it))
    }

    /// Whether the other end of a link hears. If it has not been asked yet, it is.
    pub(in crate::bus) fn is_heard_by(&self, link: Key) -> bool {
        let mut state = self.lock();
        let Some(open) = state.lines.get_mut(&link) else { return false };
        if open.ear == Ear::Unasked {
            open.ear = Ear::Offered;
            drop(state);
            self.say(link, link.kind(Kind::OfferFromOpener, Kind::OfferToOpener));
            return false;
        }
        open.ear == Ear::Hears
    }

    /// Publishes a payload to all that hear, unless one of them is too far behind.
    pub(in crate::bus) fn broadcast(&self, payload: &Bytes) -> Option<Published> {
        let mut state = self.lock();
        let is_far_behind =
            |open: &OpenLine| open.ear == Ear::Hears && open.ahead > 0 && open.ahead + payload.len() > AHEAD;
        if state.lines.values().any(is_far_behind) {
            return None;
        }
        state.broadcasts += 1;
        let number = state.broadcasts;
        let mut owed = Vec::new();
        for (link, open) in state.lines.iter_mut().filter(|(_, open)| open.ear == Ear::Hears) {
            open.ahead += payload.len();
            owed.push(*link);
        }
        let mut offset = 0;
        for part in payload.chunks(self.packet_limit() - packet::HEADER) {
            let numbers = [number, offset, payload.len() as u64];
            let mut packet = packet::head(Kind::Broadcast, self.mailbox, numbers, part.len());
            packet.extend_from_slice(part);
            // Under the lock, so that they go out by their numbers.
            self.outgoing.push(Channel::Broadcasts(self.mailbox), packet.freeze());
            offset += part.len() as u64;
        }
        Some(Published { number, owed })
    }

    /// A link refers to a broadcast of so many bytes.
    pub(in crate::bus) fn refers(&self, link: Key, len: usize) {
        if let Some(open) = self.lock().lines.get_mut(&link) {
            open.ahead -= len;
        }
    }

    /// A link will not refer to a broadcast of so many bytes, which its other end has.
    pub(in crate::bus) fn recall(&self, link: Key, number: u64, len: usize) {
        let mut state = self.lock();
        // Who has no link any more forgets by itself.
        let Some(open) = state.lines.get_mut(&link) else { return };
        open.ahead -= len;
        drop(state);
        let packet = packet::head(Kind::Forget, self.mailbox, [number, 0, 0], 0);
        self.outgoing.push(Channel::Mailbox(link.remote), packet.freeze());
    }

    /// The payload that the other end of a link has broadcast.
    pub(in crate::bus) fn redeem(&self, link: Key, number: u64) -> Option<Bytes> {
        let heard = self.lock().hearing.get(&link.remote)?.heard.clone();
        heard.redeem(number)
    }
}
