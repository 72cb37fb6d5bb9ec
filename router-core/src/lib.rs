//! The contract of Tidings, and everything between `emit` and a transport that is written once for all of them.
//!
//! * What a user holds: [`Router`], [`Subscription`], [`Event`], [`Peer`], [`Change`], [`Stats`], [`Error`].
//! * What a transport implements: [`Transport`], and [`Connector`], [`Acceptor`], [`Link`], [`Pool`], or [`Bus`]; and
//!   [`Journal`], if its server keeps what it is told.
//! * What decides: [`protocol`], a state machine without I/O and without a clock.
//! * What carries: `node`, the tasks that bring bytes to the state machine and back.
//!
//! # Invariants
//!
//! * **Loss is never silent.** A message that was taken from the user is delivered, or queued, or counted under a
//!   [`DropReason`] and reported to its receiver as a gap. `sent = delivered + queued + dropped`, always.
//! * **A handler never waits for itself.** See [`handler`].
//! * **Bounded by the reader.** A peer has at most a window of bytes on its way that nobody has taken.
//! * **I/O is never blocked by user code.** See [`runtime`].
//! * **All or nobody.** An emit is queued for everyone who gets it in one go, or for nobody.

mod address;
mod address_text;
mod builder;
mod bus;
mod changes;
mod credit;
mod deliver;
mod emit;
mod envelope;
mod error;
mod event;
mod exchange;
#[doc(hidden)]
pub mod handler;
mod hold;
#[doc(hidden)]
pub mod host;
mod journal;
mod listener;
mod loan;
#[doc(hidden)]
pub mod mark;
mod memory;
mod node;
mod options;
mod outbox;
#[doc(hidden)]
pub mod outward;
mod pace;
mod pattern;
mod payload;
mod peer;
mod pool;
pub mod protocol;
mod publish;
mod rate;
mod reactor;
mod room;
mod router;
mod routes;
mod run;
#[doc(hidden)]
pub mod runtime;
mod secret;
mod session;
#[cfg(test)]
mod simulation;
mod stats;
mod subscription;
mod transport;
mod wait;
pub mod wire;

pub use address::Address;
pub use address_text::{AddressText, without_login};
pub use builder::RouterBuilder;
pub use bus::{Bus, Channel, Mailbox, Outgoing, Request, Serving, Tap};
pub use bytes::Bytes;
pub use changes::{Changes, Report, Revision};
pub use emit::{Emit, Emitting, Publish};
pub use envelope::Envelope;
pub use error::{BoxError, Error, Result, error_chain};
pub use event::Event;
pub use journal::{Durable, Journal, JournalContext, JournalLink, NoJournal, Page, Position, Start, Trimmed};
pub use listener::{Listener, ListenerHandle};
pub use loan::Loan;
pub use memory::{Fault, Memory, MemoryLink};
pub use options::{EmitOptions, Limits, ListenOptions, Policy, Scope};
pub use pattern::{MAX_EVENT_NAME, is_pattern, pattern_matches};
pub use payload::{Codec, Encoded, Payload};
pub use peer::{Change, LeaveReason, Peer, PeerStats, Stats};
pub use pool::{Lease, Pool, Shareable};
pub use room::Room;
pub use router::{Router, Shutdown};
pub use secret::Secret;
pub use stats::{DropReason, Drops};
pub use subscription::Subscription;
pub(crate) use tidings_topology::Distance;
pub use tidings_topology::{Incarnation, NodeId, Topology};
pub use transport::{
    Acceptor, BoxFuture, Capability, Connector, Link, ListenContext, News, Placement, Readiness, Ring, Token,
    Transport, Wakers, Wire,
};
pub use wait::{Timeout, Wait};
