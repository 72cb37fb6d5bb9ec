// The README's programs need every feature, so they are tested where all of them are on.
#![cfg_attr(any(feature = "full", not(doctest)), doc = include_str!("../README.md"))]

#[cfg(feature = "parallel")]
pub mod parallel;
pub mod prelude;
#[doc(hidden)]
pub mod private;
mod router;
pub mod transport;

#[cfg(feature = "parallel")]
pub use parallel::Parallel;
#[doc(hidden)]
pub use private as __private;
pub use router::Router;
#[cfg(feature = "task")]
pub use tidings_macros::{State, entry, main};
pub use tidings_router_core::{
    Address, BoxError, BoxFuture, Bytes, Capability, Change, Changes, Codec, DropReason, Drops, Durable,
    Emit, EmitOptions, Emitting, Encoded, Envelope, Error, Event, Incarnation, LeaveReason, Limits,
    ListenOptions, Listener, Loan, MAX_EVENT_NAME, NodeId, Payload, Peer, PeerStats, Policy, Position,
    Publish, Report, Result, Revision, Room, RouterBuilder, Scope, Secret, Shutdown, Start, Stats,
    Subscription, Topology, Transport, Wait, error_chain,
};
#[cfg(feature = "task")]
pub use tidings_task::{self as task, Context, Middleware, Next, State, Task};
