//! The packets of a link; each is one ZeroMQ message of one part, written down in `WIRE.md`.

/// The first byte of every packet of this version.
const VERSION: u8 = 1;

/// Version, kind, number.
pub(crate) const HEADER: usize = 2 + 8;

/// How many bytes of a link stand in one packet, at most: long enough that its cost does not matter, short enough that
/// another link's packets need not wait for it.
pub(crate) const ROOM: usize = 256 << 10;

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Opens the link; the first packet of who dials.
    Open,
    /// It is open.
    Opened,
    /// Bytes; the number is how many packets of bytes this end has sent before.
    Data,
    /// The number is how much this end has read, in all, as [`cost`](crate::line::cost) counts it.
    Read,
    /// The link is closed.
    Close,
    /// Nothing: sent to find out whether the other end is still there.
    Probe,
}

const KINDS: [Kind; 6] = [Kind::Open, Kind::Opened, Kind::Data, Kind::Read, Kind::Close, Kind::Probe];

/// The start of a packet; `room` bytes may follow without another allocation.
pub(crate) fn head(kind: Kind, number: u64, room: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + room);
    packet.extend_from_slice(&[VERSION, kind as u8]);
    packet.extend_from_slice(&number.to_le_bytes());
    packet
}

/// The kind and the number of a packet, behind which the bytes stand. None for what is no packet of this version:
/// any program may connect and send.
pub(crate) fn decode(packet: &[u8]) -> Option<(Kind, u64)> {
    let (head, bytes) = packet.split_first_chunk::<HEADER>()?;
    let kind = KINDS.into_iter().find(|kind| *kind as u8 == head[1]).filter(|_| head[0] == VERSION)?;
    let is_empty = bytes.is_empty();
    let number = u64::from_le_bytes(*head[2..].first_chunk()?);
    ((kind == Kind::Data) != is_empty).then_some((kind, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        for kind in KINDS {
            let mut packet = head(kind, 7, 1);
            if kind == Kind::Data {
                packet.push(1);
            }
            assert_eq!(decode(&packet), Some((kind, 7)));
        }
    }

    #[test]
    fn what_other_programs_send_is_no_packet() {
        let mut version = head(Kind::Open, 0, 0);
        version[0] = 2;
        let mut kind = head(Kind::Open, 0, 0);
        kind[1] = KINDS.len() as u8;
        let without_bytes = head(Kind::Data, 0, 0);
        let mut with_bytes = head(Kind::Open, 0, 0);
        with_bytes.push(1);
        for foreign in [&version[..], &kind, &without_bytes, &with_bytes, &kind[..HEADER - 1], b"", b"hello"]
        {
            assert_eq!(decode(foreign), None, "{foreign:?}");
        }
    }
}
