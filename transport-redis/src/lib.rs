//! Tidings between machines, through a Redis server: nodes find each other there, and nobody needs an address.
//!
//! Every node subscribes one channel, its mailbox, `PREFIX:CLUSTER:node.ID.INCARNATION`, and others publish there. What
//! goes over it are the packets of links (see `WIRE.md`), so everything that is promised of links holds: order,
//! back-pressure, nothing lost in silence. When the server restarts, or cuts off a node that was stopped for too long,
//! the sessions of the nodes go on where they were.
//!
//! * Redis 5 and later, and what speaks its protocol; RESP3 where the server has it, on one connection. With RESP2 a node has
//!   a second one.
//! * A user of an ACL needs `+subscribe +unsubscribe +publish +pubsub +ping`, and the channels `PREFIX:CLUSTER:*`.
//! * Nothing is stored in the server. Who is there is told by who has subscribed (`PUBSUB CHANNELS`).

mod channels;
mod connection;
mod redis;
mod serve;
mod server;

pub use crate::redis::Redis;
