//! Memory that both ends of a link have mapped: for large payloads, and for the bytes of the link.
//!
//! # Payloads
//!
//! A node writes them into its [`Pool`], one sealed segment. A link hands the segment over with the first payload
//! that is lent on it ([`Lender`]); the other end maps it read-only ([`Borrower`]). `router-core/WIRE.md` has the bytes.
//!
//! # Bytes
//!
//! Each end writes its stream into a [ring](ring) that the other one reads, as soon as both have what they need for
//! that ([`Rings`]). Who is about to sleep says so in the ring, and whoever then writes, or makes room, rings its
//! [bell](bell::Bell) ([`cursors`]). The socket stays for the beginning, for descriptors, and for the end.
//!
//! # Invariants
//!
//! * **Nobody sleeps over something.** Who sleeps has said so before it looked for the last time, and who moves on looks
//!   afterwards whether somebody sleeps.
//! * **One stream.** What was written to the socket before the change comes before what stands in the ring, and the end of
//!   the socket comes after it.
//! * **Written before lent.** Who writes a slot is its only owner: nothing of it has been lent yet.
//! * **Held until given back.** A slot is not written anew before its owner here has let go of it, and everyone to
//!   whom it was lent has given it back or has let go of his last mapping, which the hang-up of a pipe says.
//! * **Memory is unmapped before the pipe is closed,** so that a hang-up means that nobody reads any more. The kernel
//!   keeps that order for a process that dies.
//! * **The other end is not believed.** Seals and sizes are looked at before anything is mapped, tokens and positions before
//!   anything is read. What stands in a ring is copied out once, and only the copy is looked at. What another process of
//!   this user may still do is to write where it has promised not to, or to give back what it goes on reading, which spoils the payloads of this one link; or to hand over a bell that blocks who rings it.

mod arena;
mod bell;
mod borrower;
mod counter;
mod cursors;
mod descriptors;
mod ledger;
mod lender;
mod map;
#[cfg(all(test, tidings_loom))]
mod models;
mod pool;
mod ring;
mod rings;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use borrower::Borrower;
pub(crate) use lender::Lender;
pub(crate) use pool::SharedPool;
pub(crate) use rings::{Rings, Wanted};
