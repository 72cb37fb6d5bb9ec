//! The contract of transports.
//!
//! A [`Transport`] is a configuration. It says which [`Wire`] it makes: links between two nodes each (memory, ipc,
//! tcp), or a bus, a broker that every node connects to (redis, nats, zmq). Everything above is written once, here.
//!
//! Batches of frames cross the dynamic boundary, never single messages.

use std::{
    any::Any,
    fmt,
    future::Future,
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use tidings_topology::Distance;

use crate::{Address, Bus, Incarnation, Journal, NodeId, Pool, Result, Router, Shareable};

/// A future behind a dynamic boundary: one for each dial and listen, none for messages.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to reach other nodes, as a configuration: making one does no I/O.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// The scheme of its addresses.
    fn scheme(&self) -> &'static str;

    /// What it keeps of the promises.
    fn capability(&self) -> Capability;

    /// The wire that it makes.
    fn wire(&self) -> Wire;

    /// This configuration for one of several nodes that a launcher starts, each of which needs an address of its own.
    ///
    /// # Errors
    ///
    /// When the placement's address does not fit this transport.
    fn place(&self, placement: &Placement) -> Result<Arc<dyn Transport>>;

    /// Where events that survive a restart are written and read, if the user asked for it. Default: none are.
    fn journal(&self) -> Option<Arc<dyn Journal>> {
        None
    }
}

/// The kind of wire under a router.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Wire {
    /// Byte streams between two nodes each.
    Links(Arc<dyn Connector>),
    /// A broker between all nodes.
    Bus(Arc<dyn Bus>),
}

/// What a transport keeps of the promises; what it does not keep is counted and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// Nothing is lost while a link lives, and what a cut link had taken is sent again when it is restored.
    pub reliable: bool,
    /// Several machines can be reached.
    pub remote: bool,
    /// Nodes meet at a broker: they have no addresses of their own, and find each other. Who stands alone is attached to
    /// everyone there, as in a mesh.
    pub broker: bool,
}

impl Capability {
    /// A transport that keeps every promise.
    pub fn reliable() -> Self {
        Self { reliable: true, remote: false, broker: false }
    }

    /// The same, across machines.
    #[must_use = "a `Capability` is a value"]
    pub fn remote(self) -> Self {
        Self { remote: true, ..self }
    }

    pub(crate) fn distance(self) -> Distance {
        match self {
            Self { broker: true, .. } => Distance::Broker,
            Self { remote: true, .. } => Distance::Network,
            _ => Distance::Machine,
        }
    }

    /// The same, through a broker.
    #[must_use = "a `Capability` is a value"]
    pub fn broker(self) -> Self {
        Self { broker: true, ..self }
    }
}

/// Where a launcher puts one of its nodes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Placement {
    /// The node's index among those that the launcher starts, from 0.
    pub index: usize,
    /// A private directory of the launch, for files.
    pub directory: PathBuf,
    /// The address to listen on, without a port, if the user said so.
    pub address: Option<String>,
    /// The port to listen on, if the user said so.
    pub port: Option<u16>,
}

impl Placement {
    /// A placement of the node of this index, with files in `directory`.
    pub fn new(index: usize, directory: impl Into<PathBuf>) -> Self {
        Self { index, directory: directory.into(), ..Self::default() }
    }
}

/// What a listener has to know of its node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenContext {
    /// The node that listens.
    pub node_id: NodeId,
    /// The name of its cluster.
    pub cluster: String,
    /// Whether whoever connects must prove to hold a secret, or the user has said that nobody need.
    pub guarded: bool,
    /// Whether the user has said so. Default no.
    pub insecure: bool,
}

impl ListenContext {
    /// What a listener of this node has to know.
    pub fn new(node_id: NodeId, cluster: impl Into<String>, guarded: bool) -> Self {
        Self { node_id, cluster: cluster.into(), guarded, insecure: false }
    }
}

/// Makes links.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Listens. When this returns, the address works.
    fn listen<'a>(&'a self, context: &'a ListenContext) -> BoxFuture<'a, Result<Box<dyn Acceptor>>>;

    /// Connects to `address`; one try.
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Arc<dyn Link>>>;

    /// The memory that the other ends of its links can read, if there is any.
    fn pool(&self) -> Option<Arc<dyn Pool>> {
        None
    }

    /// The node that uses it is open. For a transport through which others than nodes join: it emits and listens for
    /// them. Default: nothing.
    fn opened(&self, _router: Weak<dyn Router>) {}

    /// The node that uses it is gone: nothing is dialled any more. Returns at once, idempotent.
    fn close(&self) {}

    /// After [`close`](Self::close): ready when what links had taken has left this process, which may end then. Default:
    /// at once, as with sockets, whose bytes the operating system sends.
    fn flushed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Takes in the links that others dial. Dropping it stops listening and removes what it left in the file system.
pub trait Acceptor: fmt::Debug + Send + 'static {
    /// What it really listens on, the port filled in.
    fn addresses(&self) -> Vec<Address>;

    /// What members of the cluster are told to dial. Default: the [`addresses`](Self::addresses).
    fn reached_at(&self) -> Vec<Address> {
        self.addresses()
    }

    /// The next link. After an error the acceptor goes on; who calls pauses if it would come again at once.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>>;

    /// What else the node should hear of. Default: never anything.
    fn poll_news(&mut self, _cx: &mut Context<'_>) -> Poll<News> {
        Poll::Pending
    }
}

/// What an [`Acceptor`] hears of besides links.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum News {
    /// Another node of the cluster is there.
    Member {
        /// Its id.
        node_id: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// What to dial.
        address: Address,
    },
    /// So many packets came that no node of ours has written.
    Foreign(u64),
}

/// How a link says when it may be tried again.
#[derive(Debug)]
pub enum Readiness<'a> {
    /// It is this socket, which does not block: the router waits for it along with all others.
    Socket(BorrowedFd<'a>),
    /// It is this socket, and memory beside it.
    Ring(BorrowedFd<'a>, &'a dyn Ring),
    /// It wakes who waits.
    Wakers(&'a dyn Wakers),
}

/// What a link without a socket of its own does for those who wait.
pub trait Wakers: fmt::Debug + Send + Sync {
    /// Ready when [`Link::try_read`] may return something.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ready when [`Link::try_write`] may take something.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// What a link does whose bytes may go through memory that both ends have, in the place of its socket. The socket
/// tells of what comes through itself, and of the end.
pub trait Ring: fmt::Debug + Send + Sync {
    /// Becomes readable, anew each time, when either call may be tried again after what has gone through memory.
    fn bell(&self) -> Option<BorrowedFd<'_>>;

    /// Whether the router is to look again and again if there is [more](Self::has_more). It may wait for the bell
    /// only after a [`rest`](Self::rest); for any other link always.
    fn is_watched(&self) -> bool;

    /// Whether [`Link::try_read`] would find something. Takes a few nanoseconds.
    fn has_more(&self) -> bool;

    /// The router is about to wait for the bell. Returns whether it may; else there is more already.
    fn rest(&self) -> bool;

    /// Whether [`Link::try_write`] goes through memory, so that the bell tells when there is room.
    fn carries_writes(&self) -> bool;
}

/// What stands on a link for a payload that travels beside it. Only the two ends know what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(pub [u8; Self::LEN]);

impl Token {
    /// Its length, in bytes.
    pub const LEN: usize = 24;
}

/// A byte stream between two nodes, in order and whole until it breaks.
///
/// One thread at a time reads and one writes. Neither call waits.
///
/// A link may also bring payloads beside its bytes: one end lends them and writes a token, the other end redeems that.
pub trait Link: fmt::Debug + Send + Sync + 'static {
    /// Reads what there is to the end of `buffer`, at most its spare room, of which there is some. `Ok(0)` is the end of
    /// the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing yet; anything else means that the link is broken.
    fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize>;

    /// Writes the start of `slices`, and returns how much of it.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the link takes nothing now; anything else means that it is broken.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// How to know when to try again.
    fn readiness(&self) -> Readiness<'_>;

    /// The other end is trusted from now on: what it hands over to lend from may be used. Returns whether payloads in
    /// the [pool](Connector::pool) may be lent to it.
    fn trust(&self) -> bool {
        false
    }

    /// Lends `payload` to the other end, if that can read it where it stands, or is sent it beside the link. Called by who writes, who writes the
    /// token next; `payload` stays alive until the other end has confirmed the message.
    ///
    /// What is lent and never redeemed is given back when the link has ended.
    fn lend(&self, _payload: &Shareable) -> Option<Token> {
        None
    }

    /// The payload that the other end has lent. Called once for each token by who reads, in their order. The payload
    /// is given back when its last clone is dropped, be the link still there or not.
    ///
    /// # Errors
    ///
    /// When the token does not stand for anything that was lent. The router closes the link then.
    fn redeem(&self, _token: &Token) -> io::Result<Bytes> {
        Err(io::Error::new(io::ErrorKind::InvalidData, "nothing can be lent on this link"))
    }

    /// Breaks the link: the other end reads the end of the stream, this one errors. Returns at once, idempotent.
    fn close(&self);

    /// The same for a link on which nothing was heard for too long: what it still has to send is thrown away, so that
    /// the end of the stream does not wait behind it.
    fn abort(&self) {
        self.close();
    }

    /// The other end, for messages to people.
    fn remote(&self) -> String;

    /// The link's own type, for what only two ends of one transport know how to do with each other.
    fn as_any(&self) -> &dyn Any;
}
