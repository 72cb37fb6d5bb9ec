//! The cases of the conformance suite: plain functions named as sentences, each of which panics when the
//! sentence is not true. [`conformance!`](crate::conformance) lists them all.

pub mod cancel;
pub mod delivery;
pub mod errors;
pub mod identity;
pub mod interest;
pub mod membership;
pub mod order;
pub mod pressure;
pub mod ready;
pub mod runtimes;
pub mod scope;
pub mod shutdown;
pub mod topology;

mod load;

pub use tidings_router_core::Topology;

/// The last message of a publisher: what came before it is all that came.
const FENCE: u64 = u64::MAX;
