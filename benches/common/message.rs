//! What is sent: bytes that begin with a mark which tells the receiver what to do.

use tidings::Bytes;

use super::Result;

/// The length of a mark at the beginning of a message, little endian.
pub(crate) const MARK_BYTES: usize = 8;

/// One of many: the receiver counts it.
pub(crate) const ONE: u64 = 0;
/// The receiver sends it back.
pub(crate) const ECHO: u64 = 1;
/// The last one of a round: the receiver answers with how many it has counted, and counts from 0 again. The
/// bits above [`KIND_BITS`] are the number of the round, so that one which is repeated is known as such.
pub(crate) const LAST: u64 = 2;
/// The receiver ends.
pub(crate) const END: u64 = 3;
/// The first one of a receiver: it is there.
pub(crate) const HELLO: u64 = 4;

/// The lowest bits of a mark: what it tells the receiver.
pub(crate) const KIND_BITS: u32 = 8;
/// The mask of these bits.
pub(crate) const KIND: u64 = (1 << KIND_BITS) - 1;

/// What a receiver says about a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Of the receiver.
    pub(crate) index: u8,
    pub(crate) round: u16,
    /// How many messages it has counted, fewer than 2^40.
    pub(crate) count: u64,
}

impl Answer {
    pub(crate) fn to_mark(self) -> u64 {
        u64::from(self.index) << 56 | u64::from(self.round) << 40 | self.count
    }

    pub(crate) fn of_mark(mark: u64) -> Self {
        Self { index: (mark >> 56) as u8, round: (mark >> 40) as u16, count: mark & ((1 << 40) - 1) }
    }
}

/// The messages of a route, the frequent ones made in advance.
#[derive(Debug)]
pub(crate) struct Messages {
    size: usize,
    prepared: [Bytes; 2],
}

impl Messages {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, prepared: [ONE, ECHO].map(|mark| make(size, mark)) }
    }

    /// A message that carries `mark`.
    pub(crate) fn get(&self, mark: u64) -> Bytes {
        match mark {
            ONE => self.prepared[0].clone(),
            ECHO => self.prepared[1].clone(),
            _ => make(self.size, mark),
        }
    }
}

fn make(size: usize, mark: u64) -> Bytes {
    let mut bytes = vec![0xA5; size.max(MARK_BYTES)];
    bytes[..MARK_BYTES].copy_from_slice(&mark.to_le_bytes());
    bytes.into()
}

/// The mark of a message.
pub(crate) fn mark_of(message: &[u8]) -> Result<u64> {
    let mark = message.first_chunk().ok_or("a message too short for a mark")?;
    Ok(u64::from_le_bytes(*mark))
}
