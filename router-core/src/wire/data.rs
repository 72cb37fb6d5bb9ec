//! The frame of a message.

use bytes::Bytes;

use super::{WireError, kind};
use crate::{Codec, MAX_EVENT_NAME, NodeId, Token};

/// The number that stands for everyone who listens.
const EVERYONE: u32 = u32::MAX;

/// What stands in front of a message's name and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHeader {
    pub(crate) codec: Codec,
    pub(crate) name_len: u16,
    pub(crate) source: NodeId,
    pub(crate) destination: Option<NodeId>,
}

/// A frame that is about to be copied: a head that is made once for an event, what differs from message to message,
/// and the payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SmallFrame<'a> {
    /// A header and the name, as [`DataHeader::head`] makes them.
    pub(crate) head: &'a [u8],
    pub(crate) codec: Codec,
    pub(crate) destination: Option<NodeId>,
    pub(crate) payload: &'a [u8],
}

impl SmallFrame<'_> {
    /// Its length on the wire, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    /// Writes it to the end of `buffer`.
    #[inline(always)]
    pub(crate) fn append_to(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        buffer.extend_from_slice(self.head);
        buffer.extend_from_slice(self.payload);
        if let Some(header) = buffer[start..].first_chunk_mut::<{ DataHeader::LEN }>() {
            header[0..4].copy_from_slice(&((self.len() - 4) as u32).to_le_bytes());
            header[5] = self.codec.code();
            header[12..16].copy_from_slice(&wire_destination(self.destination).to_le_bytes());
        }
    }
}

#[inline]
fn wire_destination(destination: Option<NodeId>) -> u32 {
    destination.map_or(EVERYONE, |node| node.0)
}

impl DataHeader {
    /// Its length on the wire, with the frame's length and kind, in bytes.
    pub const LEN: usize = 16;

    /// The header of a frame whose name and payload have together `rest` bytes.
    pub(crate) fn encode(&self, rest: usize) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..4].copy_from_slice(&((Self::LEN - 4 + rest) as u32).to_le_bytes());
        bytes[4] = kind::DATA;
        bytes[5] = self.codec.code();
        bytes[6..8].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.source.0.to_le_bytes());
        bytes[12..16].copy_from_slice(&wire_destination(self.destination).to_le_bytes());
        bytes
    }

    /// The header, the name and the payload of a whole frame.
    ///
    /// # Errors
    ///
    /// When it is no message: too short, an unknown codec, a name that is too long or not UTF-8.
    pub fn decode(frame: &[u8]) -> Result<(Self, &str), WireError> {
        let invalid = |what| WireError::Value { kind: kind::DATA, what };
        let (head, rest) =
            frame.split_first_chunk::<{ Self::LEN }>().ok_or(WireError::Length { kind: kind::DATA })?;
        let name_len = u16::from_le_bytes([head[6], head[7]]);
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if name_len == 0 || usize::from(name_len) > MAX_EVENT_NAME {
            return Err(invalid("the length of an event name"));
        }
        let name = rest.get(..usize::from(name_len)).ok_or(WireError::Length { kind: kind::DATA })?;
        let header = Self {
            codec: Codec::from_code(head[5]).ok_or_else(|| invalid("a codec"))?,
            name_len,
            source: NodeId(word(8)),
            destination: Some(NodeId(word(12))).filter(|node| node.0 != EVERYONE),
        };
        Ok((header, std::str::from_utf8(name).map_err(|_| invalid("an event name that is not UTF-8"))?))
    }

    /// The start of the frame of a message with a payload of so many bytes: header and name.
    pub(crate) fn head(&self, name: &str, payload: usize) -> Bytes {
        [&self.encode(name.len() + payload)[..], name.as_bytes()].concat().into()
    }

    /// The frame of a message whose payload travels beside it; `head` is what it would begin with otherwise.
    pub(crate) fn beside(head: &[u8], token: &Token) -> Bytes {
        let mut frame = [head, &token.0].concat();
        let claimed = (frame.len() - 4) as u32;
        frame[0..4].copy_from_slice(&claimed.to_le_bytes());
        frame[4] = kind::BESIDE;
        frame.into()
    }

    /// The header, the name and the token of a whole frame of a message whose payload travels beside it.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode), and when it has not the length of its token.
    pub fn decode_beside(frame: &[u8]) -> Result<(Self, &str, Token), WireError> {
        let (header, name) = Self::decode(frame)?;
        let token = frame[Self::LEN + name.len()..].try_into();
        let token = token.map_err(|_| WireError::Length { kind: kind::BESIDE })?;
        Ok((header, name, Token(token)))
    }

    /// How many of the frames that stand in `frames`, from the first one on, which was checked, differ from it in
    /// nothing but length and payload; those alone that begin before `limit`. Returns their bytes and their number.
    pub(crate) fn alike(frames: &[u8], limit: usize) -> (usize, u64) {
        let name_len = frames.get(6..8).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
        let shared = 4..Self::LEN + name_len;
        let head = frames.get(shared.clone());
        let (mut end, mut count) = (0, 0);
        while let Some((length, _)) = frames.get(end..).and_then(<[u8]>::split_first_chunk) {
            let length = 4 + u32::from_le_bytes(*length) as usize;
            let next = frames.get(end + shared.start..end + shared.end);
            if (count > 0 && end >= limit) || next != head || length < shared.end {
                break;
            }
            end += length;
            count += 1;
        }
        (end, count)
    }

    /// Who emitted the message of a whole frame that this node wrote or checked.
    pub(crate) fn source_of(frame: &[u8]) -> NodeId {
        frame
            .get(8..12)
            .map_or(NodeId(EVERYONE), |id| NodeId(u32::from_le_bytes([id[0], id[1], id[2], id[3]])))
    }

    /// The event of the message of a whole frame that this node wrote or checked.
    pub(crate) fn name_of(frame: &[u8]) -> &[u8] {
        let length = frame.get(6..8).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
        frame.get(Self::LEN..Self::LEN + length).unwrap_or_default()
    }
}
