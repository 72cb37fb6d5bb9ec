//! The packets between two mailboxes.

use bytes::{BufMut, Bytes, BytesMut};

use super::Mailbox;

/// The first byte of every packet of this version.
const VERSION: u8 = 1;

/// Version, kind, sender, and three numbers.
pub(super) const HEADER: usize = 2 + Mailbox::LEN + 3 * 8;

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
    /// Whoever gets it may subscribe the sender's broadcasts; by the end that opened the link, and by the other one.
    OfferFromOpener,
    OfferToOpener,
    /// The broadcasts of who gets it arrive here from now on.
    HearsFromOpener,
    HearsToOpener,
    /// Broadcasts that whoever gets it has, or will have, in vain.
    ForgetFromOpener,
    ForgetToOpener,
    /// What was offered is not any more.
    WithdrawFromOpener,
    WithdrawToOpener,
    /// A part of a payload for several nodes.
    Broadcast,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Open,
        Self::Opened,
        Self::DataFromOpener,
        Self::DataToOpener,
        Self::CloseFromOpener,
        Self::CloseToOpener,
        Self::OfferFromOpener,
        Self::OfferToOpener,
        Self::HearsFromOpener,
        Self::HearsToOpener,
        Self::ForgetFromOpener,
        Self::ForgetToOpener,
        Self::WithdrawFromOpener,
        Self::WithdrawToOpener,
        Self::Broadcast,
    ];

    /// Whether it is for the end that opened the link.
    pub(super) fn is_to_opener(self) -> bool {
        matches!(
            self,
            Self::Opened
                | Self::DataToOpener
                | Self::CloseToOpener
                | Self::OfferToOpener
                | Self::HearsToOpener
                | Self::ForgetToOpener
                | Self::WithdrawToOpener
        )
    }
}

/// A packet, as it stands on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: Kind,
    pub(super) from: Mailbox,
    /// Of the link, or of a broadcast.
    pub(super) link: u64,
    /// How many packets of bytes this end has sent on the link before; where in its payload a part begins; the first
    /// broadcast to forget.
    pub(super) number: u64,
    /// Up to which broadcast the bytes refer to; how long the payload is that a part is of; the last broadcast to forget.
    pub(super) extra: u64,
    pub(super) bytes: Bytes,
}

/// The start of a packet with its three numbers; bytes may follow.
pub(super) fn head(kind: Kind, from: Mailbox, numbers: [u64; 3], room: usize) -> BytesMut {
    let mut packet = BytesMut::with_capacity(HEADER + room);
    packet.put_u8(VERSION);
    packet.put_u8(kind as u8);
    packet.put_slice(&from.encode());
    numbers.into_iter().for_each(|number| packet.put_u64_le(number));
    packet
}

/// Whether the packet tells that a link is closed.
pub(super) fn closes(packet: &Bytes) -> bool {
    [Kind::CloseFromOpener, Kind::CloseToOpener].into_iter().any(|kind| packet.get(1) == Some(&(kind as u8)))
}

impl Packet {
    /// None for what is no packet of this version: other programs may publish to our channels.
    pub(super) fn decode(mut packet: Bytes) -> Option<Self> {
        let (head, _) = packet.split_first_chunk::<HEADER>()?;
        let kind =
            Kind::ALL.into_iter().find(|kind| *kind as u8 == head[1]).filter(|_| head[0] == VERSION)?;
        let (from, numbers) = head[2..].split_first_chunk()?;
        let from = Mailbox::decode(*from);
        let (numbers, _) = numbers.as_chunks();
        let [link, number, extra] = *numbers else { return None };
        let [link, number, extra] = [link, number, extra].map(u64::from_le_bytes);
        Some(Self { kind, from, link, number, extra, bytes: packet.split_off(HEADER) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incarnation, NodeId};

    const FROM: Mailbox = Mailbox { node_id: NodeId(1), incarnation: Incarnation(2) };

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        for kind in Kind::ALL {
            let mut written = head(kind, FROM, [3, 4, 5], 5);
            written.extend_from_slice(b"bytes");
            let bytes = Bytes::from_static(b"bytes");
            let packet = Packet { kind, from: FROM, link: 3, number: 4, extra: 5, bytes };
            assert_eq!(Packet::decode(written.freeze()), Some(packet));
        }
    }

    #[test]
    fn what_other_programs_publish_is_no_packet() {
        let mut version = head(Kind::Open, FROM, [3, 4, 5], 0);
        version[0] = 2;
        let mut kind = head(Kind::Open, FROM, [3, 4, 5], 0);
        kind[1] = Kind::ALL.len() as u8;
        let short = head(Kind::Open, FROM, [3, 4, 5], 0).split_to(HEADER - 1);
        for foreign in [&version[..], &kind, &short, b"", b"hello"] {
            assert_eq!(Packet::decode(Bytes::copy_from_slice(foreign)), None, "{foreign:?}");
        }
    }
}
