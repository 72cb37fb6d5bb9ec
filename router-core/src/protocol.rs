//! What decides: a state machine without I/O and without a clock.
//!
//! Inputs and the time go in: a link was made, a frame came, a link broke, a timer ran out. actions come out: dial
//! there, send that, this link carries that session now. Whoever carries bytes (`node`, or a simulation in a test)
//! does what they say. Messages themselves do not pass through it: they go from the routes to the peers' queues, and
//! from links to listeners; the machine says which links carry whose queue.

mod admission;
pub(crate) mod backoff;
mod config;
mod dial;
mod handshake;
mod interest;
mod machine;
mod membership;
mod seat;
mod seating;
mod timers;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use config::Config;
pub(crate) use machine::{LinkEnd, Machine};

use crate::{Address, Change, Distance, session::Session};

/// A link, by the number that it was given when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// Its number among the node's links.
    pub number: u64,
    /// What it goes over: of two links between the same two nodes the nearer one survives.
    pub distance: Distance,
}

/// An address to connect to, by the number that it was given when it was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Connect to the address, once, and tell how it went.
    Dial(DialId, Address),
    /// Write a frame of the handshake.
    Send(LinkId, Bytes),
    /// From now on the link carries what the session has to send and brings what the peer sends.
    Establish(LinkId, Arc<Session>),
    /// Close the link, once what it was given is written.
    Close(LinkId),
    /// Close the link, on which nothing is heard any more, and throw away what it was given.
    Abort(LinkId),
    /// Keep what comes and has no listener for a moment: somebody has joined.
    Hold,
    /// Tell the user.
    Tell(Change),
}
