//! Tidings between machines, through a NATS server.
//!
//! ```no_run
//! use tidings_router_core::Router;
//! use tidings_transport_nats::Nats;
//!
//! let nats = || Nats::connect("nats://127.0.0.1:4222");
//! let a = <dyn Router>::builder().node_id(0).transport(nats()).open().wait()?;
//! let b = <dyn Router>::builder().node_id(1).transport(nats()).open().wait()?;
//! assert_eq!(b.peers().len(), 1);
//! # Ok::<(), tidings_router_core::Error>(())
//! ```
//!
//! # What it promises
//!
//! * **Reliable.** NATS itself delivers at most once. What it loses, when it restarts, when a connection breaks, when
//!   a reader is too slow for it, is noticed by the packets' numbers and sent again: see
//!   [`Bus`](tidings_router_core::Bus).
//! * **Nodes find each other.** There is nothing to attach to: who opens a router with the same server, prefix and
//!   cluster has met everyone else when `open` returns. A lonely node waits for nobody, and a node that is stopped
//!   holds others up for a few seconds at most.
//! * **Once for all.** A payload of 16 KiB to 10 MiB for several nodes goes to the server once.
//! * **Clusters keep to themselves.** Every subject begins with the prefix and the cluster's name:
//!   `tidings.demo.>` is all that a user of the server has to be permitted to publish and to subscribe.
//! * **A server that comes later** is found within `.connect_timeout(..)`, one that comes back at any time. A node
//!   that has gone is noticed by the server's word that nobody listens.
//! * **No password shows** in an error, a log line or a `Debug`.
//!
//! # Events that survive a restart
//!
//! With [`Nats::durable`] the events named there go through a stream of JetStream in the place of links.
//!
//! * It is called `PREFIX-CLUSTER-journal`, is made in files if it is not there, and is brought to the `max_messages` of
//!   the node that opens it. One that is there, with replicas for instance, is taken if its subjects have
//!   `PREFIX.CLUSTER.journal` among them.
//! * Positions are kept in the stream `PREFIX-CLUSTER-position`. One is a sequence number of the journal's stream.
//! * A message that does not fit the server's `max_payload` (1 MiB by default), with its name and 34 bytes more, is an
//!   error of its emit.
//! * A user has to be permitted to publish to `$JS.API.>` in addition.
//!
//! # Its limits
//!
//! * What passes through the server can be read by whoever may subscribe there. The secret of the router protects who
//!   gets in, not what is said; `tls://` protects the way to the server.
//! * Of several servers, which have to be one NATS cluster, any one is taken. Those that a server tells of are not
//!   asked: name all of them.
//! * Packets have 256 KiB at most, or the server's `max_payload`.

mod dialer;
mod ears;
mod journal;
mod keeper;
mod login;
mod nats;
mod note;
mod publisher;
mod roster;
mod server;
mod session;
mod subjects;

pub use nats::Nats;
