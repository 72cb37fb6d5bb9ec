//! Large payloads in memory that both ends of a link can read.
//!
//! A node writes them into its [`Pool`], one sealed segment. A link hands the segment over with the first payload
//! that is lent on it ([`Lender`]); the other end maps it read-only ([`Borrower`]). `router-core/WIRE.md` has the bytes.
//!
//! # Invariants
//!
//! * **Written before lent.** Who writes a slot is its only owner: nothing of it has been lent yet.
//! * **Held until given back.** A slot is not written anew before its owner here has let go of it, and everyone to
//!   whom it was lent has given it back or has let go of his last mapping, which the hang-up of a pipe says.
//! * **Memory is unmapped before the pipe is closed,** so that a hang-up means that nobody reads any more. The kernel
//!   keeps that order for a process that dies.
//! * **The other end is not believed.** Seals and sizes are looked at before anything is mapped, tokens before
//!   anything is read. What another process of this user may still do is to write where it has promised not to, or to give back
//!   what it goes on reading; that spoils the payloads of this one link.

mod arena;
mod borrower;
mod counter;
mod descriptors;
mod ledger;
mod lender;
mod map;
#[cfg(all(test, tidings_loom))]
mod models;
mod pool;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use borrower::Borrower;
pub(crate) use lender::Lender;
pub(crate) use pool::SharedPool;
