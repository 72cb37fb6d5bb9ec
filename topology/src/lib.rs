//! Who dials whom, who tells whom about whom, and who forwards what to whom: the shape of a cluster, as pure
//! functions and one pure table, without I/O and without a clock.
//!
//! # Invariants
//!
//! * **One path.** Between any two nodes of a cluster there is at most one path that messages take, so a message
//!   arrives at most once and never comes back to its sender.
//! * **One link.** Two nodes that dial each other at once agree, without talking, on which link survives.

mod id;
mod members;
mod shape;

pub use id::{Incarnation, NodeId};
pub use members::{Joined, Members, Path};
pub use shape::{Distance, Topology, survives};
