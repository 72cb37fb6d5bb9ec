//! The bytes between two nodes, version 1. `WIRE.md` has them byte by byte, with test vectors.
//!
//! Everything is a frame: four bytes that say how many follow (little-endian), one that says what they are. Before a
//! link is trusted a frame has at most [`MAX_HANDSHAKE`] bytes, so nothing is allocated on a stranger's word.

mod codec;
pub mod control;
pub mod data;
pub mod frame;
pub mod hello;
#[cfg(test)]
mod vectors;

pub use codec::WireError;

/// The version of the protocol that this build speaks.
pub const VERSION: u16 = 1;

/// What the first frame of either side begins with.
pub const MAGIC: [u8; 8] = *b"TIDINGS\0";

/// The largest frame of a handshake, in bytes: 64 labels and three names of 255 bytes fit.
pub const MAX_HANDSHAKE: usize = 32 * 1024;

/// What a frame is: the byte behind its length.
pub(crate) mod kind {
    pub(crate) const HELLO: u8 = 0x01;
    pub(crate) const WELCOME: u8 = 0x02;
    pub(crate) const PROOF: u8 = 0x03;
    pub(crate) const ACCEPT: u8 = 0x04;
    pub(crate) const REJECT: u8 = 0x05;
    pub(crate) const DATA: u8 = 0x10;
    pub(crate) const GAP: u8 = 0x11;
    pub(crate) const BESIDE: u8 = 0x12;
    pub(crate) const RESUME: u8 = 0x20;
    pub(crate) const INTEREST: u8 = 0x21;
    pub(crate) const MEMBERS: u8 = 0x22;
    pub(crate) const ACK: u8 = 0x23;
    pub(crate) const LOSS: u8 = 0x24;
    pub(crate) const PING: u8 = 0x25;
    pub(crate) const PONG: u8 = 0x26;
    pub(crate) const GOODBYE: u8 = 0x27;
    pub(crate) const FAREWELL: u8 = 0x28;
}
