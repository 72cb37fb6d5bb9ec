//! Nodes that reach each other through a broker: links made of packets.
//!
//! A broker (Redis, NATS, ..) brings packets to names that somebody has subscribed to, in order, and may lose them: when
//! it restarts, when a connection breaks, when a reader falls too far behind. A [`Bus`] is all that a transport has to
//! say of one: connect, publish, hand over what arrives. What is written here, once for all of them, makes links of
//! that. Every node has a [`Mailbox`]; packets between two mailboxes carry the bytes of a link, numbered, so that one
//! that is missing breaks the link. The session above it goes on from the last message that arrived when the next link
//! stands. So a broker that promises nothing carries what [the promises](crate) say.
//!
//! A large payload for several nodes is published once for all of them, to a channel of its sender's broadcasts; the links
//! carry references to it.
//!
//! The packets are written down in `WIRE.md`.

mod broadcast;
mod channel;
mod connector;
mod heard;
mod link;
mod mailbox;
mod outgoing;
mod packet;
mod tap;

use std::{fmt, sync::Arc};

pub(crate) use broadcast::Broadcast;
pub use channel::Channel;
pub(crate) use connector::BusConnector;
pub use mailbox::Mailbox;
pub use outgoing::Outgoing;
pub use tap::{Request, Serving, Tap};

use crate::{BoxFuture, Result};

/// A broker that carries packets between mailboxes.
pub trait Bus: fmt::Debug + Send + Sync + 'static {
    /// Connects the tap of one node, and returns when what is published to its mailbox arrives and everyone who was
    /// there before has been handed to [`Tap::found`]. From then on it [serves](Tap::serve) the tap by itself, until
    /// [`Tap::closed`]: it publishes what is [outgoing](Tap::outgoing) in that order, hands over what
    /// [arrives](Tap::arrived), subscribes what is [requested](Tap::next_request), and connects again when the
    /// connection breaks, which it tells by [`Tap::down`] and [`Tap::up`]; then the mailbox alone is subscribed.
    ///
    /// # Errors
    ///
    /// When the broker cannot be reached within [`Tap::connect_timeout`], and at once when it refuses.
    fn connect(&self, tap: Arc<Tap>) -> BoxFuture<'_, Result<()>>;
}
