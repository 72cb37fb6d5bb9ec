//! Tidings between machines, through a Redis server: nodes find each other there, and nobody needs an address.
//!
//! Every node subscribes one channel, its mailbox, `PREFIX:CLUSTER:node.ID.INCARNATION`, and others publish there. What
//! goes over it are the packets of links (see `WIRE.md`), so everything that is promised of links holds: order,
//! back-pressure, nothing lost in silence. A large payload for several nodes is published once for all of them, to
//! `PREFIX:CLUSTER:broadcasts.ID.INCARNATION`. When the server restarts, or cuts off a node that was stopped for too long,
//! the sessions of the nodes go on where they were.
//!
//! * Redis 5 and later, and what speaks its protocol; RESP3 where the server has it, on one connection. With RESP2 a node has
//!   a second one.
//! * A user of an ACL needs `+subscribe +unsubscribe +publish +pubsub +ping`, and the channels `PREFIX:CLUSTER:*`.
//! * Nothing is stored in the server, but what is [durable](Redis::durable). Who is there is told by who has subscribed
//!   (`PUBSUB CHANNELS`).
//!
//! # Events that survive a restart
//!
//! With [`Redis::durable`] the events named there go through a stream, `PREFIX:CLUSTER:journal`, in the place of links.
//!
//! * The stream is as durable as the server: without `appendonly yes` a server that restarts has lost it. `max_messages`
//!   is its bound, roughly: Redis drops a hundred or so at a time.
//! * Positions are kept in `PREFIX:CLUSTER:journal.position.ID`. One is the id of an entry and, from Redis 7 on, how many
//!   came up to it: so the messages can be counted that were dropped before they were read. An older server does
//!   not tell; that some may be missing is logged then.
//! * A message has 512 MiB at most, `proto-max-bulk-len`.
//! * A user of an ACL needs in addition the keys `PREFIX:CLUSTER:*` and `+xlen +xgroup +xinfo +xrange +xread +xadd +multi
//!   +exec +eval +get +set`.

mod channels;
mod connection;
mod journal;
mod redis;
mod serve;
mod server;

pub use crate::redis::Redis;
