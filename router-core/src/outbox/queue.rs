//! What is to be sent to one peer, in order: written and not confirmed yet, then not written yet.
//!
//! **No hole.** The sequence numbers in the queue run without a hole from the oldest unconfirmed message to the newest.
//! A message that is dropped leaves a gap with its number, which the peer is told of in its place. So after any cut
//! the peer's count says exactly what to send again.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};

use crate::{
    DropReason, NodeId, Token,
    credit::Credit,
    wire::{control::Control, data::DataHeader, frame},
};

/// How many bytes of small messages share one buffer: what a socket takes at once.
const CHUNK: usize = 64 * 1024;

/// From this size on a message is referred to instead of copied, in bytes.
pub(crate) const LARGE: usize = 8 * 1024;

/// How many used buffers are kept for new messages.
const SPARE: usize = 16;

/// Lends a payload to the other end of a link; see [`Link::lend`](crate::Link::lend).
pub(crate) type Lend<'a> = &'a dyn Fn(&Bytes) -> Option<Token>;

/// One or more whole messages to queue.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing<'a> {
    /// One small message, copied.
    Small(&'a [u8]),
    /// One large one: header and name, then the payload.
    Large(Bytes, Bytes),
    /// Messages one behind the other, as another link brought them.
    Block(Bytes, u64),
}

impl Outgoing<'_> {
    /// How many messages it is.
    pub(crate) fn messages(&self) -> u64 {
        if let Self::Block(_, count) = self { *count } else { 1 }
    }

    /// The name of the event; of the first one in a block.
    fn event(&self) -> &[u8] {
        DataHeader::name_of(match self {
            Self::Small(frame) => frame,
            Self::Large(head, _) => head,
            Self::Block(frames, _) => frames,
        })
    }

    fn source(&self) -> NodeId {
        DataHeader::source_of(match self {
            Self::Small(frame) => frame,
            Self::Large(head, _) => head,
            Self::Block(frames, _) => frames,
        })
    }
}

#[derive(Debug)]
enum Body {
    /// Small messages, and room for more.
    Open(BytesMut),
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
    spare: Vec<BytesMut>,
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
    pub(crate) fn push(&mut self, outgoing: Outgoing<'_>, credit: Option<&Arc<Credit>>) {
        match outgoing {
            Outgoing::Small(frame) => self.append(frame, 1, credit),
            Outgoing::Block(frames, count) if frames.len() < LARGE => self.append(&frames, count, credit),
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

    fn append(&mut self, frames: &[u8], messages: u64, credit: Option<&Arc<Credit>>) {
        let open = self.chunks.len() > self.taken;
        let last = self.chunks.back_mut().filter(|_| open);
        if let Some(Chunk { body: Body::Open(buffer), messages: held, bytes, credits, .. }) = last
            && buffer.len() + frames.len() <= CHUNK
        {
            buffer.extend_from_slice(frames);
            *held += messages;
            *bytes += frames.len() as u64;
            credits.extend(credit.cloned());
            self.next += messages;
            self.queued_bytes += frames.len() as u64;
            self.queued_messages += messages;
            return;
        }
        let mut buffer = self.spare.pop().unwrap_or_else(|| BytesMut::with_capacity(4 * 1024));
        buffer.extend_from_slice(frames);
        self.add(Body::Open(buffer), messages, frames.len(), credit);
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
                let frames = std::mem::take(buffer).freeze();
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
            && buffer.capacity() <= 2 * CHUNK
        {
            buffer.clear();
            self.spare.push(buffer);
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
            *body = Body::Frames(std::mem::take(buffer).freeze());
        }
    }

    /// Drops everything that the peer has not confirmed, and returns how many messages that were.
    pub(crate) fn drop_all(&mut self, reason: DropReason) -> u64 {
        self.chunks.retain(|chunk| !matches!(chunk.body, Body::Mark(_)));
        self.recount();
        let mut dropped = 0;
        loop {
            match self.drop_oldest(reason) {
                0 => return dropped,
                count => dropped += count,
            }
        }
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
                Body::Open(buffer) => drop(buffer.split_to(length)),
                Body::Frames(frames) => drop(frames.split_to(length)),
                Body::Large(..) | Body::Gap { .. } | Body::Mark(_) => {}
            }
        }
    }

    /// The same messages, each in a chunk of its own; the last one keeps the credits.
    fn singly(self) -> Vec<Self> {
        let frames = match self.body {
            Body::Open(buffer) => buffer.freeze(),
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
