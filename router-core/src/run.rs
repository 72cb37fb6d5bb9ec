use std::sync::Arc;

use bytes::{Buf, Bytes};
use serde::de::DeserializeOwned;

use crate::{Codec, Envelope, Event, NodeId, Result, payload, wire::data::DataHeader};

/// Messages of one event from one node, in order: one item in a queue, however many they are.
///
/// **Cut by who reads.** Nothing is made for each message on its way to a listener: its reader finds where each one
/// ends, and refers to the payload that it hands to the user.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    name: Arc<str>,
    header: DataHeader,
    messages: u64,
    /// Whole frames, one behind the other, or the payload of one message.
    bytes: Bytes,
    /// How many bytes stand in front of each payload: none in front of one that is alone.
    skip: usize,
    /// How many bytes it counts for that are not there: the header and the name of one that is alone.
    absent: usize,
}

impl Run {
    /// Whole frames that were checked and have all the same header but for their length, and the same name.
    pub(crate) fn frames(name: Arc<str>, header: DataHeader, frames: Bytes, messages: u64) -> Self {
        let skip = DataHeader::LEN + name.len();
        Self { name, header, messages, bytes: frames, skip, absent: 0 }
    }

    /// One message.
    pub(crate) fn single(name: Arc<str>, header: DataHeader, payload: Bytes) -> Self {
        let absent = DataHeader::LEN + name.len();
        Self { name, header, messages: 1, bytes: payload, skip: 0, absent }
    }

    /// No message.
    pub(crate) fn empty(name: Arc<str>) -> Self {
        let header = DataHeader { codec: Codec::Raw, name_len: 0, source: NodeId(0), destination: None };
        Self { messages: 0, absent: 0, ..Self::single(name, header, Bytes::new()) }
    }

    /// The event's name.
    pub(crate) fn event(&self) -> &str {
        &self.name
    }

    /// The node that emitted it.
    pub(crate) fn source(&self) -> NodeId {
        self.header.source
    }

    /// How many messages are left.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// How many bytes they count for in a queue.
    pub(crate) fn size(&self) -> u64 {
        (self.absent + self.bytes.len()) as u64
    }

    /// How long the first frame is.
    #[inline]
    fn front(&self) -> usize {
        self.bytes.first_chunk().map_or(0, |length| 4 + u32::from_le_bytes(*length) as usize)
    }

    /// Takes the first message's payload off.
    #[inline]
    fn take_payload(&mut self) -> Bytes {
        self.messages -= 1;
        if self.messages == 0 {
            self.absent = 0;
            let mut last = std::mem::take(&mut self.bytes);
            last.advance(self.skip);
            return last;
        }
        let front = self.front();
        let payload = self.bytes.slice(self.skip..front);
        self.bytes.advance(front);
        payload
    }

    /// Takes the first message off, read as a `T`. There is one.
    ///
    /// # Errors
    ///
    /// When its payload is no `T`; it is taken off all the same.
    #[inline]
    pub(crate) fn next_as<T: DeserializeOwned + 'static>(&mut self) -> Result<Event<T>> {
        let payload = if payload::is_bytes::<T>() {
            let payload = self.take_payload();
            payload::decode(&self.header, &self.name, payload)
        } else {
            let end = if self.messages == 1 { self.bytes.len() } else { self.front() };
            let payload = payload::decode_slice(&self.header, &self.name, &self.bytes[self.skip..end]);
            self.messages -= 1;
            self.bytes.advance(end);
            if self.messages == 0 {
                // Nobody may look here for long, and the buffer is wanted for what is read next.
                self.absent = 0;
                self.bytes = Bytes::new();
            }
            payload
        };
        Ok(Event { name: self.name.clone(), source: self.header.source, payload: payload? })
    }

    /// The same messages, each for itself.
    pub(crate) fn singly(self) -> impl Iterator<Item = Self> {
        self.map(Self::from)
    }
}

impl Iterator for Run {
    type Item = Envelope;

    #[inline]
    fn next(&mut self) -> Option<Envelope> {
        (self.messages > 0).then(|| Envelope::new(self.name.clone(), self.header, self.take_payload()))
    }
}

impl From<Envelope> for Run {
    fn from(envelope: Envelope) -> Self {
        let (name, header, payload) = envelope.into_parts();
        Self::single(name, header, payload)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Codec, Error};

    /// A run as a link brings it.
    pub(crate) fn run(event: &str, payloads: &[Vec<u8>]) -> Run {
        let header = DataHeader {
            codec: Codec::Raw,
            name_len: event.len() as u16,
            source: NodeId(7),
            destination: None,
        };
        let mut frames = Vec::new();
        for payload in payloads {
            frames.extend(header.encode(event.len() + payload.len()));
            frames.extend(event.as_bytes());
            frames.extend(payload);
        }
        let (length, messages) = DataHeader::alike(&frames, usize::MAX);
        assert_eq!((length, messages), (frames.len(), payloads.len() as u64));
        Run::frames(event.into(), header, frames.into(), messages)
    }

    proptest! {
        #[test]
        fn it_is_cut_where_its_messages_end(
            event in "[a-zä]{1,20}",
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..20),
        ) {
            let whole = run(&event, &payloads);
            let size = whole.size();
            let singly: Vec<Run> = whole.clone().singly().collect();
            prop_assert_eq!(singly.iter().map(Run::size).sum::<u64>(), size);
            let read: Vec<Vec<u8>> = whole.map(|envelope| envelope.payload().to_vec()).collect();
            prop_assert_eq!(&read, &payloads);
            let read: Vec<Vec<u8>> = singly.into_iter().flatten().map(|envelope| envelope.payload().to_vec()).collect();
            prop_assert_eq!(&read, &payloads);
        }
    }

    #[test]
    fn what_is_not_of_the_type_is_taken_off_all_the_same() {
        let mut run = run("a", &[b"no number".to_vec(), b"text".to_vec(), b"more".to_vec()]);
        assert!(matches!(run.next_as::<u64>(), Err(Error::Decode { .. })));
        assert_eq!(run.next_as::<Bytes>().unwrap().payload, "text");
        assert!(run.next_as::<u64>().is_err());
        assert_eq!(run.messages(), 0);
    }

    #[test]
    fn only_messages_of_one_kind_stand_in_it() {
        let header = |source, codec| DataHeader { codec, name_len: 1, source, destination: None };
        let [one, other, third] = [
            header(NodeId(1), Codec::Raw),
            header(NodeId(2), Codec::Raw),
            header(NodeId(2), Codec::MessagePack),
        ];
        let frames: Vec<u8> = [one, one, other, third]
            .iter()
            .flat_map(|header| [&header.encode(3)[..], b"xyz"].concat())
            .collect();
        assert_eq!(DataHeader::alike(&frames, usize::MAX), (38, 2));
        assert_eq!(DataHeader::alike(&frames, 1), (19, 1));
        assert_eq!(DataHeader::alike(&frames[38..], usize::MAX), (19, 1));
    }
}
