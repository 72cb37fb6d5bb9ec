use std::sync::Arc;

use bytes::Bytes;

use crate::{
    DropReason, NodeId, Shareable,
    credit::Credit,
    wire::{data::DataHeader, frame},
};

/// What stands in the queue as one: messages that are written together, or what was put in their place.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The number of its first message.
    pub(super) first: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) body: Body,
    /// Given back when the chunk is gone: the window of the peers whose messages are forwarded in it.
    pub(super) credits: Vec<Arc<Credit>>,
}

#[derive(Debug)]
pub(super) enum Body {
    /// Messages one behind the other.
    Frames(Bytes),
    /// One message: header and name, then the payload.
    Large(Bytes, Shareable),
    /// Messages that were dropped. `told`: it was written once, so the peer counts it when it counts that far.
    Gap { source: NodeId, reason: DropReason, told: bool },
    /// A control frame that keeps its place among the messages.
    Mark(Bytes),
}

impl Chunk {
    /// Messages that were dropped.
    pub(super) fn gap(first: u64, messages: u64, source: NodeId, reason: DropReason) -> Self {
        Self {
            first,
            messages,
            bytes: 0,
            body: Body::Gap { source, reason, told: false },
            credits: Vec::new(),
        }
    }

    /// The number behind that of its last message.
    pub(super) fn end(&self) -> u64 {
        self.first + self.messages
    }

    pub(super) fn is_message(&self) -> bool {
        matches!(self.body, Body::Frames(_) | Body::Large(..))
    }

    fn frames(&self) -> &[u8] {
        match &self.body {
            Body::Frames(frames) => frames,
            Body::Large(..) | Body::Gap { .. } | Body::Mark(_) => &[],
        }
    }

    /// The event of a chunk of one message.
    pub(super) fn event(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Large(head, _) => Some(DataHeader::name_of(head)),
            Body::Frames(frames) => Some(DataHeader::name_of(frames)),
            Body::Gap { .. } | Body::Mark(_) => None,
        }
    }

    /// Runs of messages of one source.
    pub(super) fn sources(&self) -> Vec<(NodeId, u64)> {
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
    pub(super) fn skip(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        self.first += count;
        self.messages -= count;
        if self.is_message() {
            let length: usize = frame::split(self.frames()).take(count as usize).map(<[u8]>::len).sum();
            self.bytes -= length as u64;
            if let Body::Frames(frames) = &mut self.body {
                drop(frames.split_to(length));
            }
        }
    }

    /// The same messages, each in a chunk of its own; the last one keeps the credits.
    pub(super) fn singly(self) -> Vec<Self> {
        let Body::Frames(frames) = self.body else { return vec![self] };
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
