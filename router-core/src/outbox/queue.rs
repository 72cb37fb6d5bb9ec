//! What is to be sent to one peer, in order: written and not confirmed yet, then not written yet.
//!
//! **No hole.** The sequence numbers in the queue run without a hole from the oldest unconfirmed message to the newest.
//! A message that is dropped leaves a gap with its number, which the peer is told of in its place. So after any cut
//! the peer's count says exactly what to send again.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use crate::{
    DropReason, NodeId, Token,
    credit::Credit,
    wire::{control::Control, data::DataHeader, frame},
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
pub(crate) type Lend<'a> = &'a dyn Fn(&Bytes) -> Option<Token>;

/// One or more whole messages to queue.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing<'a> {
    /// One small message, copied: header, name and payload.
    Small([u8; DataHeader::LEN], &'a [u8], &'a [u8]),
    /// One large one: header and name, then the payload.
    Large(Bytes, Bytes),
    /// Messages one behind the other, as another link brought them.
    Block(Bytes, u64),
}

impl<'a> Outgoing<'a> {
    /// One small message, copied from a whole frame.
    pub(crate) fn frame(frame: &'a [u8]) -> Self {
        let (header, rest) = frame.split_first_chunk().expect("the frame was checked when it was read");
        let (name, payload) = rest.split_at(DataHeader::name_of(frame).len());
        Self::Small(*header, name, payload)
    }

    /// How many messages it is.
    pub(crate) fn messages(&self) -> u64 {
        if let Self::Block(_, count) = self { *count } else { 1 }
    }

    /// The name of the event; of the first one in a block.
    fn event(&self) -> &[u8] {
        match self {
            Self::Small(_, name, _) => name,
            Self::Large(head, _) => DataHeader::name_of(head),
            Self::Block(frames, _) => DataHeader::name_of(frames),
        }
    }

    fn source(&self) -> NodeId {
        DataHeader::source_of(match self {
            Self::Small(header, ..) => header,
            Self::Large(head, _) => head,
            Self::Block(frames, _) => frames,
        })
    }
}

#[derive(Debug)]
enum Body {
    /// Small messages, and room for more.
    Open(Vec<u8>),
    /// Messages one behind the other.
    Frames(Bytes),
    /// One message: header and name, then the payload.
    Large(Bytes, Bytes),
    /// Messages that were dropped. `told`: it was written once, so the peer counts it when it counts that far.
    Gap { source: NodeId, reason: DropReason, told: bool },
    /// A control frame that keeps its place among the messages.
    Mark(Bytes),
}

#[derive(Debug)]
struct Chunk {
    first: u64,
    messages: u64,
    bytes: u64,
    body: Body,
    /// Given back when the chunk is gone: the window of the peers whose messages are forwarded in it.
    credits: Vec<Arc<Credit>>,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.first + self.messages
    }

    fn is_message(&self) -> bool {
        !matches!(self.body, Body::Gap { .. } | Body::Mark(_))
    }
}

/// The queue. It has no lock, no link and no clock.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    chunks: VecDeque<Chunk>,
    /// How many of the chunks, from the front, were handed out to be written.
    taken: usize,
    next: u64,
    queued_bytes: u64,
    queued_messages: u64,
    spare: Vec<Vec<u8>>,
    /// Credits of chunks that are gone, for the caller to drop once it holds no lock.
    pub(crate) released: Vec<Arc<Credit>>,
}

impl SendQueue {
    /// Bytes that were not handed out yet.
    pub(crate) fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }

    /// Messages that were not handed out yet.
    pub(crate) fn queued_messages(&self) -> u64 {
        self.queued_messages
    }

    /// Messages that the peer has not confirmed, gaps not counted.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.chunks.iter().filter(|chunk| chunk.is_message()).map(|chunk| chunk.messages).sum()
    }

    /// Whether everything was handed out.
    pub(crate) fn is_drained(&self) -> bool {
        self.taken == self.chunks.len()
    }

    /// Queues messages.
    #[inline]
    pub(crate) fn push(&mut self, outgoing: Outgoing<'_>, credit: Option<&Arc<Credit>>) {
        match outgoing {
            Outgoing::Small(header, name, payload) => {
                let buffer = self.open(DataHeader::LEN + name.len() + payload.len(), 1, credit);
                buffer.extend_from_slice(&header);
                buffer.extend_from_slice(name);
                buffer.extend_from_slice(payload);
            }
            Outgoing::Block(frames, count) if frames.len() < LARGE => {
                self.open(frames.len(), count, credit).extend_from_slice(&frames);
            }
            Outgoing::Block(frames, count) => {
                let bytes = frames.len();
                self.add(Body::Frames(frames), count, bytes, credit);
            }
            Outgoing::Large(head, payload) => {
                let bytes = head.len() + payload.len();
                self.add(Body::Large(head, payload), 1, bytes, credit);
            }
        }
    }

    /// The buffer that messages of so many bytes are to be appended to, which are counted as queued.
    #[inline(always)]
    fn open(&mut self, length: usize, messages: u64, credit: Option<&Arc<Credit>>) -> &mut Vec<u8> {
        let room = match self.chunks.back() {
            Some(Chunk { body: Body::Open(buffer), .. }) if self.chunks.len() > self.taken => {
                CHUNK.checked_sub(buffer.len())
            }
            _ => None,
        };
        if room.is_none_or(|room| room < length) {
            self.begin(room.is_some());
        }
        self.next += messages;
        self.queued_bytes += length as u64;
        self.queued_messages += messages;
        let Some(Chunk { body: Body::Open(buffer), messages: held, bytes, credits, .. }) =
            self.chunks.back_mut()
        else {
            unreachable!("the last chunk is open");
        };
        *held += messages;
        *bytes += length as u64;
        if let Some(credit) = credit {
            credits.push(credit.clone());
        }
        buffer.reserve(length);
        buffer
    }

    /// Begins a buffer. Behind one that is full it need not grow step by step.
    #[cold]
    fn begin(&mut self, at_once: bool) {
        let capacity = if at_once { CHUNK } else { FIRST };
        let buffer = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(capacity));
        self.add(Body::Open(buffer), 0, 0, None);
    }

    fn add(&mut self, body: Body, messages: u64, bytes: usize, credit: Option<&Arc<Credit>>) {
        let credits = credit.cloned().into_iter().collect();
        self.chunks.push_back(Chunk { first: self.next, messages, bytes: bytes as u64, body, credits });
        self.next += messages;
        self.queued_bytes += bytes as u64;
        self.queued_messages += messages;
    }

    /// Queues a control frame behind everything that is queued.
    pub(crate) fn push_mark(&mut self, frame: Bytes) {
        self.add(Body::Mark(frame), 0, 0, None);
    }

    /// Counts messages as dropped instead of queueing them.
    pub(crate) fn push_gap(&mut self, outgoing: &Outgoing<'_>, reason: DropReason) {
        let (source, messages) = (outgoing.source(), outgoing.messages());
        let first = self.next;
        self.next += messages;
        self.chunks.push_back(gap(first, messages, source, reason));
        self.merge_gaps(self.chunks.len() - 1);
    }

    /// Hands the next chunk out, in slices to write, and returns its bytes of messages. A large payload that the link
    /// can `lend` is not among the slices.
    pub(crate) fn take(&mut self, lend: Lend<'_>, slices: &mut Vec<Bytes>) -> Option<u64> {
        let chunk = self.chunks.get_mut(self.taken)?;
        match &mut chunk.body {
            Body::Open(buffer) => {
                let frames = Bytes::from(std::mem::take(buffer));
                slices.push(frames.clone());
                chunk.body = Body::Frames(frames);
            }
            Body::Frames(frames) => slices.push(frames.clone()),
            Body::Large(head, payload) => match lend(payload) {
                Some(token) => slices.push(DataHeader::beside(head, &token)),
                None => slices.extend([head.clone(), payload.clone()]),
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
        let oldest = (self.taken..self.chunks.len()).find(|index| self.chunks[*index].is_message());
        oldest.map_or(0, |index| self.replace_with_gap(index, reason))
    }

    /// Keeps of each event only the newest message among those not handed out yet. Returns how many were dropped.
    pub(crate) fn keep_latest(&mut self, reason: DropReason) -> u64 {
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
    pub(crate) fn supersede(&mut self, outgoing: &Outgoing<'_>, reason: DropReason) -> u64 {
        let event = outgoing.event();
        let old = (self.taken..self.chunks.len()).find(|index| self.chunks[*index].event() == Some(event));
        old.map_or(0, |index| self.replace_with_gap(index, reason))
    }

    /// Ends the last chunk, so that the next message gets one of its own.
    pub(crate) fn seal(&mut self) {
        if let Some(Chunk { body, .. }) = self.chunks.back_mut()
            && let Body::Open(buffer) = body
        {
            *body = Body::Frames(std::mem::take(buffer).into());
        }
    }

    /// Drops everything that the peer has not confirmed, and returns how many messages that were.
    pub(crate) fn drop_all(&mut self, reason: DropReason) -> u64 {
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
            self.chunks.insert(at, gap(first, count, source, reason));
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

fn gap(first: u64, messages: u64, source: NodeId, reason: DropReason) -> Chunk {
    Chunk { first, messages, bytes: 0, body: Body::Gap { source, reason, told: false }, credits: Vec::new() }
}

impl Chunk {
    fn frames(&self) -> &[u8] {
        match &self.body {
            Body::Open(buffer) => buffer,
            Body::Frames(frames) => frames,
            Body::Large(..) | Body::Gap { .. } | Body::Mark(_) => &[],
        }
    }

    /// The event of a chunk of one message.
    fn event(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Large(head, _) => Some(DataHeader::name_of(head)),
            Body::Open(_) | Body::Frames(_) => Some(DataHeader::name_of(self.frames())),
            Body::Gap { .. } | Body::Mark(_) => None,
        }
    }

    /// Runs of messages of one source.
    fn sources(&self) -> Vec<(NodeId, u64)> {
        let mut runs: Vec<(NodeId, u64)> = Vec::new();
        let mut add = |source| match runs.last_mut() {
            Some((last, count)) if *last == source => *count += 1,
            _ => runs.push((source, 1)),
        };
        match &self.body {
            Body::Large(head, _) => add(DataHeader::source_of(head)),
            _ => frame::split(self.frames()).for_each(|frame| add(DataHeader::source_of(frame))),
        }
        runs
    }

    /// Takes the first `count` messages off.
    fn skip(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        self.first += count;
        self.messages -= count;
        if self.is_message() {
            let length: usize = frame::split(self.frames()).take(count as usize).map(<[u8]>::len).sum();
            self.bytes -= length as u64;
            match &mut self.body {
                Body::Open(buffer) => drop(buffer.drain(..length)),
                Body::Frames(frames) => drop(frames.split_to(length)),
                Body::Large(..) | Body::Gap { .. } | Body::Mark(_) => {}
            }
        }
    }

    /// The same messages, each in a chunk of its own; the last one keeps the credits.
    fn singly(self) -> Vec<Self> {
        let frames = match self.body {
            Body::Open(buffer) => buffer.into(),
            Body::Frames(frames) => frames,
            Body::Large(..) | Body::Gap { .. } | Body::Mark(_) => return vec![self],
        };
        let mut start = 0;
        let mut single: Vec<Self> = (self.first..)
            .zip(frame::split(&frames))
            .map(|(first, frame)| {
                let body = Body::Frames(frames.slice(start..start + frame.len()));
                start += frame.len();
                Self { first, messages: 1, bytes: frame.len() as u64, body, credits: Vec::new() }
            })
            .collect();
        if let Some(last) = single.last_mut() {
            last.credits = self.credits;
        }
        single
    }
}
