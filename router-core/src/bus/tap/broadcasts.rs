//! Payloads that a node publishes once for several others.
//!
//! The first such payload that a link is to carry makes it offer the broadcasts to its other end. That subscribes, and says
//! on the link when it hears. From then on a large payload for several who hear goes to the channel of its sender's
//! broadcasts, once, and each link carries a token in its place.

use std::{
    ops::RangeInclusive,
    sync::{Arc, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{Ear, OpenLine, State, Tap};
use crate::bus::{
    Channel, Mailbox,
    broadcast::{Broadcast, Published},
    heard::Part,
    link::Key,
    packet::{self, Kind, Packet},
};

/// From which length on a payload is published once for several: below it, the messages of a link share packets.
const THRESHOLD: usize = 16 << 10;

/// How many bytes of broadcasts a node may have been sent at most that its link has not come to, or will not.
///
/// A little more than the queue of one link, whose sender waits when it is full; with a window, less than Redis keeps for
/// a connection, 32 MiB. Longer payloads are not broadcast.
pub(in crate::bus) const AHEAD: usize = 10 << 20;

/// What a [`Bus`](crate::Bus) is to subscribe besides the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The [broadcasts](Channel::Broadcasts) of another node, and [say](Tap::subscribed) when they arrive.
    Subscribe(Mailbox),
    /// No longer.
    Unsubscribe(Mailbox),
}

/// The broadcasts of another node, as long as it offers them on a link.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// They arrive.
    subscribed: bool,
    /// On which links they are offered.
    links: Vec<Key>,
}

impl Tap {
    /// What is to be subscribed or not any more, in this order, and before anything is published that is outgoing by
    /// then.
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
        // Whose connection is about to end has nothing to subscribe.
        if *self.closed.borrow() {
            return;
        }
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
        for link in hearing.links.clone() {
            self.hear(&state, link);
        }
    }

    /// The other end of a link offers its broadcasts.
    pub(super) fn offered(&self, link: Key) {
        let mut state = self.lock();
        if !state.lines.contains_key(&link) {
            return;
        }
        let is_new = !state.hearing.contains_key(&link.remote);
        let hearing = state.hearing.entry(link.remote).or_default();
        if hearing.links.contains(&link) {
            return;
        }
        hearing.links.push(link);
        if hearing.subscribed {
            self.hear(&state, link);
        } else if is_new {
            self.request(state, Request::Subscribe(link.remote));
        }
    }

    /// Says on a link that the other end is heard.
    fn hear(&self, state: &State, link: Key) {
        if let Some(open) = state.lines.get(&link) {
            open.line.hears();
            self.say(link, link.kind(Kind::HearsFromOpener, Kind::HearsToOpener));
        }
    }

    /// A link ends, or the other end of it offers its broadcasts no longer.
    pub(super) fn stop_hearing(&self, mut state: MutexGuard<'_, State>, link: Key) {
        let Some(hearing) = state.hearing.get_mut(&link.remote) else { return };
        hearing.links.retain(|offered| *offered != link);
        if hearing.links.is_empty() {
            state.hearing.remove(&link.remote);
            self.request(state, Request::Unsubscribe(link.remote));
        }
    }

    /// A part of a broadcast came.
    pub(super) fn broadcast_arrived(&self, packet: Packet) {
        let state = self.lock();
        // None: it was on its way when this ended.
        let Some(hearing) = state.hearing.get(&packet.from) else { return };
        let lines: Vec<_> = hearing.links.iter().filter_map(|link| state.line(*link)).collect();
        drop(state);
        let (number, offset, length) = (packet.link, packet.number, packet.extra);
        for line in lines {
            line.broadcast_arrived(Part { number, offset, length, bytes: packet.bytes.clone() });
        }
    }

    /// The other end of a link hears what is broadcast from now on.
    pub(super) fn heard_by(&self, link: Key) {
        let mut state = self.lock();
        let before = 1..=state.broadcasts;
        let Some(open) = state.lines.get_mut(&link) else { return };
        if open.ear == Ear::Offered {
            open.ear = Ear::Hears;
            // It has some of these, since it has listened already, and no link will come to them.
            self.recall(link, before);
        }
    }

    /// A payload for these nodes as one to be published once for all of them, if it is neither small nor very large, and
    /// there are several of them here.
    pub(crate) fn share(self: &Arc<Self>, payload: &Bytes, receivers: &Arc<[Mailbox]>) -> Option<Broadcast> {
        if !(THRESHOLD..=AHEAD).contains(&payload.len()) || receivers.len() < 2 {
            return None;
        }
        let state = self.lock();
        let several = state.lines.keys().filter(|link| receivers.contains(&link.remote)).count() > 1;
        several.then(|| Broadcast::new(self.clone(), payload.clone(), receivers.clone()))
    }

    /// Whether the other end of a link hears. If it has not been asked yet, it is.
    pub(in crate::bus) fn is_heard_by(&self, link: Key) -> bool {
        let mut state = self.lock();
        let Some(open) = state.lines.get_mut(&link) else { return false };
        if open.ear == Ear::Unasked {
            open.ear = Ear::Offered;
            self.say(link, link.kind(Kind::OfferFromOpener, Kind::OfferToOpener));
        }
        open.ear == Ear::Hears
    }

    /// Publishes a payload to all that hear, if several of those want it, who are most of them, and none of those is
    /// too far behind.
    pub(in crate::bus) fn broadcast(&self, payload: &Bytes, receivers: &[Mailbox]) -> Option<Published> {
        // One after the other, so that they go out by their numbers.
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.lock().next_broadcast(payload.len(), receivers)?;
        published.withdrawn.iter().for_each(|link| {
            self.say(*link, link.kind(Kind::WithdrawFromOpener, Kind::WithdrawToOpener));
        });
        let mut offset = 0;
        for part in payload.chunks(self.packet_limit() - packet::HEADER) {
            let numbers = [published.number, offset, payload.len() as u64];
            let mut packet = packet::head(Kind::Broadcast, self.mailbox, numbers, part.len());
            packet.extend_from_slice(part);
            self.outgoing.push(Channel::Broadcasts(self.mailbox), packet.freeze());
            offset += part.len() as u64;
        }
        Some(published)
    }

    /// A link refers to a broadcast of so many bytes.
    pub(in crate::bus) fn refers(&self, link: Key, len: usize) {
        if let Some(open) = self.lock().lines.get_mut(&link) {
            open.ahead = open.ahead.saturating_sub(len);
            open.unwanted = 0;
        }
    }

    /// A link will not refer to a broadcast of so many bytes, which its other end has.
    pub(in crate::bus) fn forgo(&self, link: Key, number: u64, len: usize) {
        if let Some(open) = self.lock().lines.get_mut(&link) {
            open.ahead = open.ahead.saturating_sub(len);
            open.unwanted += len;
            self.recall(link, number..=number);
        }
    }

    /// Tells the other end of a link that it has broadcasts, or will have them, to which this link does not refer.
    fn recall(&self, link: Key, numbers: RangeInclusive<u64>) {
        let kind = link.kind(Kind::ForgetFromOpener, Kind::ForgetToOpener);
        let packet = packet::head(kind, self.mailbox, [link.number, *numbers.start(), *numbers.end()], 0);
        self.outgoing.push(Channel::Mailbox(link.remote), packet.freeze());
    }
}

impl State {
    /// Whom the next broadcast, of so many bytes, goes to, if there is to be one.
    fn next_broadcast(&mut self, len: usize, receivers: &[Mailbox]) -> Option<Published> {
        let hear = || self.lines.iter().filter(|(_, open)| open.ear == Ear::Hears);
        let wants = |link: &Key| receivers.contains(&link.remote);
        let wanted = hear().filter(|(link, _)| wants(link)).count();
        let is_far_behind = |open: &OpenLine| open.ahead + len > AHEAD;
        if wanted < 2
            || 2 * wanted <= hear().count()
            || hear().any(|(link, open)| wants(link) && is_far_behind(open))
        {
            return None;
        }
        self.broadcasts += 1;
        let mut published = Published { number: self.broadcasts, owed: Vec::new(), withdrawn: Vec::new() };
        for (link, open) in self.lines.iter_mut().filter(|(_, open)| open.ear == Ear::Hears) {
            // Who takes nothing of what it does not want is cut off by the broker in the end.
            if !wants(link) && open.unwanted + open.ahead + len > AHEAD {
                *open = OpenLine { ear: Ear::Unasked, line: open.line.clone(), ahead: 0, unwanted: 0 };
                published.withdrawn.push(*link);
            } else {
                open.ahead += len;
                published.owed.push(*link);
            }
        }
        Some(published)
    }
}
