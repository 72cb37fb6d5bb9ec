//! What stands in a journal: see `WIRE.md`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{Codec, Incarnation, NodeId, pattern::check_name, wire::data::DataHeader};

/// The layout's version.
const VERSION: u8 = 1;

/// The flag of a message that its own node does not get.
const ONLY_REMOTE: u8 = 1;

/// What stands in front of the message, in bytes: version, flags, incarnation, number.
const HEAD: usize = 18;

/// How large an entry is, beside the message's name and payload, in bytes.
pub(super) const OVERHEAD: usize = HEAD + DataHeader::LEN;

/// An entry of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) incarnation: Incarnation,
    /// Of all that this incarnation has written, from 1.
    pub(super) number: u64,
    /// The node that has emitted it does not get it, in no life.
    pub(super) only_remote: bool,
    pub(super) header: DataHeader,
    pub(super) event: String,
    pub(super) payload: Bytes,
}

/// The start of an entry with a payload of so many bytes.
pub(super) fn head(
    incarnation: Incarnation,
    number: u64,
    only_remote: bool,
    (header, event): (DataHeader, &str),
    payload: usize,
) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(OVERHEAD + event.len() + payload);
    bytes.put_u8(VERSION);
    bytes.put_u8(if only_remote { ONLY_REMOTE } else { 0 });
    bytes.put_u64_le(incarnation.0);
    bytes.put_u64_le(number);
    bytes.put_slice(&header.encode(event.len() + payload));
    bytes.put_slice(event.as_bytes());
    bytes
}

impl Entry {
    /// Reads an entry; `None` if no node of ours has written it.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < HEAD || bytes.get_u8() != VERSION {
            return None;
        }
        let flags = bytes.get_u8();
        let (incarnation, number) = (Incarnation(bytes.get_u64_le()), bytes.get_u64_le());
        let claimed = bytes.first_chunk().map(|length| 4 + u32::from_le_bytes(*length) as usize)?;
        let (header, event) = DataHeader::decode(&bytes).ok()?;
        let event = event.to_owned();
        check_name(&event).ok()?;
        let is_ours = claimed == bytes.len() && flags & !ONLY_REMOTE == 0 && number > 0;
        bytes.advance(DataHeader::LEN + event.len());
        is_ours.then_some(Self {
            incarnation,
            number,
            only_remote: flags & ONLY_REMOTE > 0,
            header,
            event,
            payload: bytes,
        })
    }

    /// Who has written it, in which life.
    pub(super) fn emitter(&self) -> (NodeId, Incarnation) {
        (self.header.source, self.incarnation)
    }
}

/// The header of a message of this node.
pub(super) fn header(source: NodeId, destination: Option<NodeId>, codec: Codec, event: &str) -> DataHeader {
    DataHeader { codec, name_len: event.len() as u16, source, destination }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(entry: &Entry) -> Bytes {
        let message = (entry.header, &*entry.event);
        let mut bytes =
            head(entry.incarnation, entry.number, entry.only_remote, message, entry.payload.len());
        bytes.put_slice(&entry.payload);
        bytes.freeze()
    }

    /// The vector of `WIRE.md`.
    const VECTOR: &str = "010108070605040302010700000000000000\
                          110000001001020001000000ffffffff68696f6e65";

    #[test]
    fn it_is_written_as_the_document_says() {
        let header = header(NodeId(1), None, Codec::MessagePack, "hi");
        let (incarnation, payload) = (Incarnation(0x0102_0304_0506_0708), Bytes::from_static(b"one"));
        let entry =
            Entry { incarnation, number: 7, only_remote: true, header, event: "hi".to_owned(), payload };
        let text: String = written(&entry).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, VECTOR);
        assert!(include_str!("../../WIRE.md").contains(VECTOR));
    }

    proptest! {
        #[test]
        fn it_comes_back(
            number in 1u64.., incarnation: u64, only_remote: bool, to in prop::option::of(0u32..9),
            event in "[a-zä]{1,20}", payload in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let header = header(NodeId(3), to.map(NodeId), Codec::Raw, &event);
            let incarnation = Incarnation(incarnation);
            let entry = Entry { incarnation, number, only_remote, header, event, payload: payload.into() };
            let bytes = written(&entry);
            prop_assert_eq!(bytes.len(), OVERHEAD + entry.event.len() + entry.payload.len());
            prop_assert_eq!(Entry::decode(bytes), Some(entry));
        }

        #[test]
        fn what_nobody_of_ours_wrote_is_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(Entry::decode(bytes.into()), None);
        }
    }
}
