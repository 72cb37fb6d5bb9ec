//! The packets between two mailboxes.

use bytes::{BufMut, Bytes, BytesMut};

use super::Mailbox;

/// The first byte of every packet of this version.
const VERSION: u8 = 1;

/// Version, kind, sender, number of the link, number of the packet.
pub(super) const HEADER: usize = 2 + Mailbox::LEN + 8 + 8;

/// What a packet is for. The number of its link was chosen by the node that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Opens a link.
    Open,
    /// It is open.
    Opened,
    /// Bytes from the end that opened the link, and from the other one.
    DataFromOpener,
    DataToOpener,
    /// The link is closed, by the end that opened it, and by the other one.
    CloseFromOpener,
    CloseToOpener,
}
use Kind::{CloseFromOpener, CloseToOpener, DataFromOpener, DataToOpener, Open, Opened};

const KINDS: [Kind; 6] = [Open, Opened, DataFromOpener, DataToOpener, CloseFromOpener, CloseToOpener];

/// A packet, as it stands on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: Kind,
    pub(super) from: Mailbox,
    pub(super) link: u64,
    /// How many packets of bytes this end has sent on the link before.
    pub(super) number: u64,
    pub(super) bytes: Bytes,
}

/// The start of a packet; bytes of the link may follow.
pub(super) fn head(kind: Kind, from: Mailbox, link: u64, number: u64, room: usize) -> BytesMut {
    let mut packet = BytesMut::with_capacity(HEADER + room);
    packet.put_u8(VERSION);
    packet.put_u8(kind as u8);
    packet.put_slice(&from.encode());
    packet.put_u64_le(link);
    packet.put_u64_le(number);
    packet
}

/// Whether the packet tells that a link is closed.
pub(super) fn closes(packet: &Bytes) -> bool {
    [CloseFromOpener, CloseToOpener].into_iter().any(|kind| packet.get(1) == Some(&(kind as u8)))
}

impl Packet {
    /// None for what is no packet of this version: other programs may publish to our channels.
    pub(super) fn decode(mut packet: Bytes) -> Option<Self> {
        let (head, _) = packet.split_first_chunk::<HEADER>()?;
        let kind = KINDS.into_iter().find(|kind| *kind as u8 == head[1]).filter(|_| head[0] == VERSION)?;
        let (from, numbers) = head[2..].split_first_chunk()?;
        let from = Mailbox::decode(*from);
        let (link, numbers) = numbers.split_first_chunk()?;
        let (link, number) = (u64::from_le_bytes(*link), u64::from_le_bytes(*numbers.first_chunk()?));
        Some(Self { kind, from, link, number, bytes: packet.split_off(HEADER) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incarnation, NodeId};

    const FROM: Mailbox = Mailbox { node_id: NodeId(1), incarnation: Incarnation(2) };

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        for kind in KINDS {
            let mut written = head(kind, FROM, 3, 4, 5);
            written.extend_from_slice(b"bytes");
            let packet = Packet { kind, from: FROM, link: 3, number: 4, bytes: Bytes::from_static(b"bytes") };
            assert_eq!(Packet::decode(written.freeze()), Some(packet));
        }
    }

    #[test]
    fn what_other_programs_publish_is_no_packet() {
        let mut version = head(Open, FROM, 3, 4, 0);
        version[0] = 2;
        let mut kind = head(Open, FROM, 3, 4, 0);
        kind[1] = KINDS.len() as u8;
        let short = head(Open, FROM, 3, 4, 0).split_to(HEADER - 1);
        for foreign in [&version[..], &kind, &short, b"", b"hello"] {
            assert_eq!(Packet::decode(Bytes::copy_from_slice(foreign)), None, "{foreign:?}");
        }
    }
}
