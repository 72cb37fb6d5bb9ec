//! Events that survive a restart: they go through a log on a server, the *journal*, in the place of links.
//!
//! What a user describes is a [`Durable`]; what a transport implements is a [`Journal`]. In between stands a `Ledger`,
//! written once for all servers: a bounded queue and the task that writes it, and the task that reads.
//!
//! * **At least once.** A message is in the queue until the server has confirmed it, and is sent again after a
//!   connection broke; who reads leaves out what comes twice (`seen.rs`).
//! * **A position is what was taken.** It moves when the listeners have taken a message, not when it was read, and
//!   what a listener leaves behind is read again for the next one (`progress.rs`).
//! * **Bounded by the reader.** No more is read ahead than half of what a listener's queue holds: a listener is never
//!   evicted because of a journal alone.

mod connecting;
mod durable;
mod entry;
mod ledger;
mod position;
mod progress;
mod queue;
mod reader;
mod seen;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;

use bytes::Bytes;

pub use self::{
    durable::{Durable, Start},
    position::Position,
};
pub(crate) use self::{
    ledger::Ledger,
    progress::Mark,
    queue::{Addressed, Entries},
};
use crate::{Address, BoxError, BoxFuture, Error, Incarnation, NodeId, Result};

/// A log of entries on a server, as part of a transport's configuration: making one does no I/O.
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// What the user asked for.
    fn durable(&self) -> &Durable;

    /// Where the server is, for messages to people: without what is secret.
    ///
    /// # Errors
    ///
    /// When what the user said is no address.
    fn address(&self) -> Result<Address>;

    /// Connects, once, and sees to it that the log is there. A node has up to two connections at a time.
    fn connect<'a>(
        &'a self,
        context: &'a JournalContext,
    ) -> BoxFuture<'a, Result<Box<dyn JournalLink>, NoJournal>>;
}

/// Whose journal it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JournalContext {
    /// The node that writes and reads.
    pub node_id: NodeId,
    /// Which life of it this is.
    pub incarnation: Incarnation,
    /// The name of its cluster: each has its own log.
    pub cluster: String,
}

/// Why there is no connection to a journal.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoJournal {
    /// It may work later.
    Broken(BoxError),
    /// It will not work until the user changes something.
    Refused(Error),
}

/// A connection to a journal. After an error it is not used again.
///
/// A future that is dropped may leave it in the middle of something; what is called next works all the same.
pub trait JournalLink: fmt::Debug + Send + Sync {
    /// The largest entry that the server takes, in bytes, and the server's setting that says so.
    fn entry_limit(&self) -> (usize, &'static str);

    /// Appends entries in their order. When this returns, the server has all of them.
    fn append<'a>(&'a mut self, entries: &'a [Bytes]) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Up to `count` entries behind `after`, or from the oldest one on. Waits until there is one.
    fn read<'a>(
        &'a mut self,
        after: Option<&'a Position>,
        count: usize,
    ) -> BoxFuture<'a, Result<Page, BoxError>>;

    /// The position of the newest entry; `None` if there has never been any.
    fn newest(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>>;

    /// The position that was saved for this node; `None` if there is none.
    fn load(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>>;

    /// Saves a position for this node.
    fn save<'a>(&'a mut self, position: &'a Position) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Whether this is a position of such a journal; else what is wrong with it.
    ///
    /// # Errors
    ///
    /// When it is none.
    fn check(&self, position: &Position) -> Result<(), String>;
}

/// Entries that were read, in order.
#[derive(Debug, Default)]
pub struct Page {
    /// How many entries, as far as that is known, are not there any more that stood between the position asked for and
    /// the first one here.
    pub trimmed: Option<Trimmed>,
    /// Where each stands, and what it holds; nothing if it is nothing that an entry of ours could be.
    pub entries: Vec<(Position, Bytes)>,
}

/// Entries that were removed before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trimmed {
    /// So many.
    Count(u64),
    /// The server does not say how many, nor whether there was any.
    Perhaps,
}
