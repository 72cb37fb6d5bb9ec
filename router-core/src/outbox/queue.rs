//! What is to be sent to one peer, in order: written and not confirmed yet, then not written yet.
//!
//! **No hole.** The sequence numbers in the queue run without a hole from the oldest unconfirmed message to the newest.
//! A message that is dropped leaves a gap with its number, which the peer is told of in its place. So after any cut
//! the peer's count says exactly what to send again.

mod chunk;
mod outgoing;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use chunk::{Body, Chunk};

pub(crate) use outgoing::Outgoing;

use crate::{
    DropReason, Shareable, Token,
    credit::Credit,
    wire::{
        control::Control,
        data::{DataHeader, SmallFrame},
    },
};

/// How many bytes of small messages share one buffer: what a socket takes at once.
const CHUNK: usize = 64 * 1024;

/// How much room the first of these buffers has.
const FIRST: usize = 4 * 1024;

/// From this size on a message is referred to instead of copied, in bytes.
pub(crate) const LARGE: usize = 8 * 1024;

/// How many used buffers are kept for new messages.
const SPARE: usize = 16;

/// Lends a payload to the other end of a link; see [`Link::lend`](crate::Link::lend).
pub(crate) type Lend<'a> = &'a dyn Fn(&Shareable) -> Option<Token>;

/// The queue. It has no lock, no link and no clock.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    chunks: VecDeque<Chunk>,
    /// How many of the chunks, from the front, were handed out to be written.
    taken: usize,
    /// The number behind that of the last message in the chunks.
    next: u64,
    /// Bytes and messages in the chunks that were not handed out.
    queued_bytes: u64,
    queued_messages: u64,
    /// What was queued last. It becomes a chunk when it is full, when it is handed out, and when anything but a small
    /// message comes behind it.
    open: Open,
    spare: Vec<Vec<u8>>,
    /// Credits of chunks that are gone, for the caller to drop once it holds no lock.
    pub(crate) released: Vec<Arc<Credit>>,
}

/// Small messages one behind the other, and room for more.
#[derive(Debug, Default)]
struct Open {
    buffer: Vec<u8>,
    messages: u64,
    credits: Vec<Arc<Credit>>,
}

impl SendQueue {
    /// Bytes that were not handed out yet.
    #[inline]
    pub(crate) fn queued_bytes(&self) -> u64 {
        self.queued_bytes + self.open.buffer.len() as u64
    }

    /// Messages that were not handed out yet.
    #[inline]
    pub(crate) fn queued_messages(&self) -> u64 {
        self.queued_messages + self.open.messages
    }

    /// Messages that were ever queued, or counted as dropped.
    #[inline]
    pub(crate) fn sent(&self) -> u64 {
        self.next + self.open.messages
    }

    /// Messages that the peer has not confirmed, gaps not counted.
    pub(crate) fn unconfirmed(&self) -> u64 {
        let chunks = self.chunks.iter().filter(|chunk| chunk.is_message());
        chunks.map(|chunk| chunk.messages).sum::<u64>() + self.open.messages
    }

    /// Whether everything was handed out.
    #[inline]
    pub(crate) fn is_drained(&self) -> bool {
        self.open.messages == 0 && self.taken == self.chunks.len()
    }

    /// Queues one small message.
    #[inline(always)]
    pub(crate) fn push_small(&mut self, frame: &SmallFrame<'_>) {
        frame.append_to(self.room(frame.len()));
        self.open.messages += 1;
    }

    /// Queues messages.
    pub(crate) fn push(&mut self, outgoing: Outgoing, credit: Option<&Arc<Credit>>) {
        match outgoing {
            Outgoing::Block(frames, count) if frames.len() < LARGE => {
                self.room(frames.len()).extend_from_slice(&frames);
                self.open.messages += count;
                self.open.credits.extend(credit.cloned());
            }
            Outgoing::Block(frames, count) => {
                let bytes = frames.len();
                self.add(Body::Frames(frames), count, bytes, credit.cloned().into_iter().collect());
            }
            Outgoing::Large(head, payload) => {
                let bytes = head.len() + payload.bytes().len();
                self.add(Body::Large(head, payload), 1, bytes, credit.cloned().into_iter().collect());
            }
        }
    }

    /// The open buffer, with room for so many bytes.
    #[inline]
    fn room(&mut self, length: usize) -> &mut Vec<u8> {
        let filled = self.open.buffer.len() + length;
        if filled > self.open.buffer.capacity() || filled > CHUNK {
            self.make_room(length);
        }
        &mut self.open.buffer
    }

    /// Lets the open buffer grow, or begins a new one. Behind one that is full it need not grow step by step.
    #[cold]
    fn make_room(&mut self, length: usize) {
        let full = self.open.buffer.len() + length > CHUNK;
        if full {
            self.settle();
        }
        if self.open.buffer.capacity() == 0 {
            let capacity = if full { CHUNK } else { FIRST };
            self.open.buffer = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(capacity));
        }
        self.open.buffer.reserve(length);
    }

    /// Makes a chunk of what is open: something else comes behind it, or is done to it.
    fn settle(&mut self) {
        if self.open.messages > 0 {
            let Open { buffer, messages, credits } = std::mem::take(&mut self.open);
            let bytes = buffer.len();
            self.append(Body::Frames(buffer.into()), messages, bytes, credits);
        }
    }

    /// The same, in memory of its own size, so that what comes next is on its own, and much of it takes little room.
    pub(crate) fn seal(&mut self) {
        if self.open.messages > 0 {
            let frames = Bytes::copy_from_slice(&self.open.buffer);
            self.open.buffer.clear();
            let credits = std::mem::take(&mut self.open.credits);
            let messages = std::mem::take(&mut self.open.messages);
            let bytes = frames.len();
            self.append(Body::Frames(frames), messages, bytes, credits);
        }
    }

    /// Queues a chunk behind everything that is queued.
    fn add(&mut self, body: Body, messages: u64, bytes: usize, credits: Vec<Arc<Credit>>) {
        self.settle();
        self.append(body, messages, bytes, credits);
    }

    fn append(&mut self, body: Body, messages: u64, bytes: usize, credits: Vec<Arc<Credit>>) {
        self.chunks.push_back(Chunk { first: self.next, messages, bytes: bytes as u64, body, credits });
        self.next += messages;
        self.queued_bytes += bytes as u64;
        self.queued_messages += messages;
    }

    /// Queues a control frame behind everything that is queued.
    pub(crate) fn push_mark(&mut self, frame: Bytes) {
        self.add(Body::Mark(frame), 0, 0, Vec::new());
    }

    /// Counts messages as dropped instead of queueing them.
    pub(crate) fn push_gap(&mut self, outgoing: &Outgoing, reason: DropReason) {
        let (source, messages) = (outgoing.source(), outgoing.messages());
        self.settle();
        self.chunks.push_back(Chunk::gap(self.next, messages, source, reason));
        self.next += messages;
        self.merge_gaps(self.chunks.len() - 1);
    }

    /// Hands the next chunk out, in slices to write, and returns its bytes of messages. A large payload that the link
    /// can `lend` is not among the slices.
    pub(crate) fn take(&mut self, lend: Lend<'_>, slices: &mut Vec<Bytes>) -> Option<u64> {
        if self.taken == self.chunks.len() {
            self.settle();
        }
        let chunk = self.chunks.get_mut(self.taken)?;
        match &mut chunk.body {
            Body::Frames(frames) => slices.push(frames.clone()),
            Body::Large(head, payload) => match lend(payload) {
                Some(token) => slices.push(DataHeader::beside(head, &token)),
                None => slices.extend([head.clone(), payload.bytes().clone()]),
            },
            Body::Gap { source, reason, told } => {
                *told = true;
                let mut frame = Vec::new();
                Control::Gap { source: *source, count: chunk.messages, reason: *reason }.encode(&mut frame);
                slices.push(frame.into());
            }
            Body::Mark(frame) => slices.push(frame.clone()),
        }
        let sent = if chunk.is_message() { chunk.bytes } else { 0 };
        self.taken += 1;
        self.queued_bytes -= chunk.bytes;
        if chunk.is_message() {
            self.queued_messages -= chunk.messages;
        }
        Some(sent)
    }

    /// Lets go of what the peer has: everything before its count.
    pub(crate) fn confirm(&mut self, received: u64) {
        while self.taken > 0 && self.chunks.front().is_some_and(|chunk| chunk.end() <= received) {
            self.taken -= 1;
            if let Some(chunk) = self.chunks.pop_front() {
                self.recycle(chunk);
            }
        }
    }

    fn recycle(&mut self, chunk: Chunk) {
        self.released.extend(chunk.credits);
        if let Body::Frames(frames) = chunk.body
            && self.spare.len() < SPARE
            && let Ok(mut buffer) = frames.try_into_mut()
        {
            buffer.clear();
            let buffer = Vec::from(buffer);
            if buffer.capacity() <= 2 * CHUNK {
                self.spare.push(buffer);
            }
        }
    }

    /// Starts over on a new link with a peer that has `received` messages. Returns how many messages that were
    /// counted as dropped the peer has all the same, by reason, or `None` when its count cannot be.
    pub(crate) fn resume(&mut self, received: u64) -> Option<Vec<(DropReason, u64)>> {
        self.settle();
        let oldest = self.chunks.front().map_or(self.next, |chunk| chunk.first);
        if received > self.next || received < oldest {
            return None;
        }
        let mut arrived = Vec::new();
        while let Some(chunk) = self.chunks.front_mut() {
            let had = received.saturating_sub(chunk.first).min(chunk.messages);
            if let Body::Gap { reason, told: false, .. } = chunk.body
                && had > 0
            {
                arrived.push((reason, had));
            }
            // A mark belongs to the link that it was queued for.
            if chunk.end() <= received || matches!(chunk.body, Body::Mark(_)) {
                let chunk = self.chunks.pop_front();
                chunk.into_iter().for_each(|chunk| self.recycle(chunk));
                continue;
            }
            chunk.skip(had);
            break;
        }
        self.chunks.retain(|chunk| !matches!(chunk.body, Body::Mark(_)));
        self.recount();
        Some(arrived)
    }

    /// Nothing counts as handed out any more.
    fn recount(&mut self) {
        self.taken = 0;
        let messages = || self.chunks.iter().filter(|chunk| chunk.is_message());
        self.queued_bytes = messages().map(|chunk| chunk.bytes).sum();
        self.queued_messages = messages().map(|chunk| chunk.messages).sum();
    }

    /// Drops the oldest messages that were not handed out yet. Returns how many; 0 when there are none.
    pub(crate) fn drop_oldest(&mut self, reason: DropReason) -> u64 {
        self.settle();
        let oldest = (self.taken..self.chunks.len()).find(|index| self.chunks[*index].is_message());
        oldest.map_or(0, |index| self.replace_with_gap(index, reason))
    }

    /// Keeps of each event only the newest message among those not handed out yet. Returns how many were dropped.
    pub(crate) fn keep_latest(&mut self, reason: DropReason) -> u64 {
        self.settle();
        let (kept, rest): (Vec<_>, Vec<_>) = {
            let rest = self.chunks.split_off(self.taken);
            (std::mem::take(&mut self.chunks).into(), rest.into_iter().flat_map(Chunk::singly).collect())
        };
        self.chunks = kept.into_iter().chain(rest).collect();
        let mut seen = std::collections::HashSet::new();
        let mut dropped = 0;
        for index in (self.taken..self.chunks.len()).rev() {
            let name = self.chunks[index].event().map(<[u8]>::to_vec);
            if name.is_some_and(|name| !seen.insert(name)) {
                dropped += self.replace_with_gap(index, reason);
            }
        }
        dropped
    }

    /// Drops the message of the same event that was not handed out yet, if there is one. Returns how many.
    pub(crate) fn supersede(&mut self, outgoing: &Outgoing, reason: DropReason) -> u64 {
        self.settle();
        let event = outgoing.event();
        let old = (self.taken..self.chunks.len()).find(|index| self.chunks[*index].event() == Some(event));
        old.map_or(0, |index| self.replace_with_gap(index, reason))
    }

    /// Drops everything that the peer has not confirmed, and returns how many messages that were.
    pub(crate) fn drop_all(&mut self, reason: DropReason) -> u64 {
        self.settle();
        self.chunks.retain(|chunk| !matches!(chunk.body, Body::Mark(_)));
        self.recount();
        let mut dropped = 0;
        loop {
            match self.drop_oldest(reason) {
                0 => break,
                count => dropped += count,
            }
        }
        // Who still knows the way to a peer that is gone, as a thread's routes may, holds no buffers with it.
        self.spare = Vec::new();
        self.open = Open::default();
        dropped
    }

    /// Replaces the messages of a chunk by gaps, one for each run of messages of one source.
    fn replace_with_gap(&mut self, index: usize, reason: DropReason) -> u64 {
        let Some(chunk) = self.chunks.remove(index) else { return 0 };
        self.queued_bytes -= chunk.bytes;
        self.queued_messages -= chunk.messages;
        let mut first = chunk.first;
        let mut at = index;
        for (source, count) in chunk.sources() {
            self.chunks.insert(at, Chunk::gap(first, count, source, reason));
            first += count;
            at = self.merge_gaps(at) + 1;
        }
        let messages = chunk.messages;
        self.recycle(chunk);
        if at < self.chunks.len() {
            self.merge_gaps(at);
        }
        messages
    }

    /// Joins the gap at `index` with the one before it, if they are of one kind. Returns where it is then.
    fn merge_gaps(&mut self, index: usize) -> usize {
        if index <= self.taken {
            return index;
        }
        let same = match (&self.chunks[index - 1].body, &self.chunks[index].body) {
            (
                Body::Gap { source: one, reason: why, told: false },
                Body::Gap { source: other, reason: because, told: false },
            ) => one == other && why == because,
            _ => false,
        };
        if !same {
            return index;
        }
        let messages = self.chunks.remove(index).map_or(0, |gap| gap.messages);
        self.chunks[index - 1].messages += messages;
        index - 1
    }
}
