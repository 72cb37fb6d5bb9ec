//! Tidings between machines, over TCP and without a server.
//!
//! ```
//! use tidings_router_core::Router;
//! use tidings_transport_tcp::Tcp;
//!
//! let tcp = || Tcp::bind("127.0.0.1:0");
//! let a = <dyn Router>::builder().node_id(0).transport(tcp()).open().wait()?;
//! let b = <dyn Router>::builder().node_id(1).transport(tcp()).attach_to(a.addresses()).open().wait()?;
//! assert_eq!(b.peers().len(), 1);
//! # Ok::<(), tidings_router_core::Error>(())
//! ```
//!
//! # What it promises
//!
//! * **Reliable.** A link is a TCP connection: what is written arrives whole and in order until the link
//!   breaks.
//! * **No delay.** Nagle's algorithm is off: what the router writes is sent at once, and it is the router
//!   that puts many messages into one write when they come fast.
//! * **Never open by accident.** An address that other machines can reach is listened on only if whoever
//!   connects has to prove that he holds the cluster's secret, or if the user has said that nobody need.
//! * **A port in use is an error,** and a port that a program has just left is not.
//! * **An address that works.** What a node tells others to dial is the port that it really has, and a host
//!   that they can reach. See [`Tcp::advertise`].
//!
//! # Its limits
//!
//! * Bytes are not encrypted. The secret protects who gets in, not what is said: on a network that you do not
//!   trust, use a tunnel.
//! * A node listens on one address. A host name stands for the first of its addresses that this machine has.
//! * On Linux, a connection whose other end acknowledges nothing breaks after [`Tcp::user_timeout`];
//!   elsewhere it is the router's heartbeat alone that notices.

mod acceptor;
mod endpoint;
mod link;
mod tcp;

pub use tcp::Tcp;
