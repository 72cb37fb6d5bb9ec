//! What is sent: bytes that begin with a mark which tells the receiver what to do.

use tidings::Bytes;

use super::Result;

/// The length of a mark at the beginning of a message, little endian.
pub(crate) const MARK_BYTES: usize = 8;

/// One of many: the receiver counts it.
pub(crate) const ONE: u64 = 0;
/// The receiver sends it back.
pub(crate) const ECHO: u64 = 1;
/// The last one of a round: the receiver answers with how many it has counted, and counts from 0 again.
pub(crate) const LAST: u64 = 2;
/// The receiver ends.
pub(crate) const END: u64 = 3;

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
