use std::time::Duration;

use crate::NodeId;

/// Whom an event reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Every listener in every node, this process included.
    #[default]
    All,
    /// The listeners of this process.
    Local,
    /// The listeners of the other nodes.
    Remote,
    /// The listeners of this one node.
    Node(NodeId),
}

/// How one event is emitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmitOptions {
    /// Whom it reaches; default: everyone who listens.
    pub scope: Scope,
}

/// What becomes of messages for a peer or a listener that lags: that has taken nothing for longer than
/// [`Limits::max_wait`] while its queue was full. It lags until its queue is empty again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// It is cut off, and what was queued for it is dropped. A peer that lives connects again by itself; a
    /// listener's stream ends.
    #[default]
    Evict,
    /// The oldest queued messages make room for new ones.
    DropOldest,
    /// New messages are dropped.
    DropNewest,
    /// Of each event only the newest message is kept.
    Latest,
}

/// The bounds of a router. All are settings of [`RouterBuilder`](crate::RouterBuilder).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest frame that is sent or taken: header, event name and payload, in bytes. Default 64 MiB.
    pub max_frame: usize,
    /// How many bytes may wait for one peer, or for the server of a journal, before who emits waits. Default 8 MiB.
    pub queue_bytes: usize,
    /// How many messages may wait for one peer, one listener, or the server of a journal, before who emits waits. Default
    /// 65,536.
    pub queue_messages: usize,
    /// How many bytes a peer may send before this node's listeners have taken them. Default 16 MiB.
    pub window: usize,
    /// How many bytes may wait for one listener before who emits here waits. Default 8 MiB.
    pub listener_bytes: usize,
    /// How many bytes handlers may queue for one peer or listener, where they must not wait. Default 64 MiB.
    pub handler_budget: usize,
    /// How long an emit waits for one peer or listener that takes nothing, or for the server of a journal. Default 1 s. Time in which this process was
    /// stopped does not count.
    pub max_wait: Duration,
    /// How long, after a node has joined, a message that nobody listens for yet is kept. Default 1 s. A node that
    /// listens for nothing and still waits for those it attaches to keeps it until so long after that.
    pub hold: Duration,
    /// How many bytes are kept so. Default 16 MiB.
    pub hold_bytes: usize,
    /// How often an idle link is made to say something. Default 2 s.
    pub heartbeat: Duration,
    /// How long a link may be silent before it is dead. Default 8 s.
    pub dead_after: Duration,
    /// How long a handshake may take. Default 5 s.
    pub handshake_timeout: Duration,
    /// How many handshakes of others may be under way at once; more are turned away. Default 64.
    pub max_handshakes: usize,
    /// How long `open` tries to reach the peers that it was told to attach to. Default 30 s.
    pub connect_timeout: Duration,
    /// How long what was queued for a peer whose link broke is kept for its return. Default 8 s.
    pub resume_within: Duration,
    /// How many event patterns one peer may ask for. Default 1,000,000.
    pub max_patterns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            max_frame: 64 * MIB,
            queue_bytes: 8 * MIB,
            queue_messages: 65_536,
            window: 16 * MIB,
            listener_bytes: 8 * MIB,
            handler_budget: 64 * MIB,
            max_wait: Duration::from_secs(1),
            hold: Duration::from_secs(1),
            hold_bytes: 16 * MIB,
            heartbeat: Duration::from_secs(2),
            dead_after: Duration::from_secs(8),
            handshake_timeout: Duration::from_secs(5),
            max_handshakes: 64,
            connect_timeout: Duration::from_secs(30),
            resume_within: Duration::from_secs(8),
            max_patterns: 1_000_000,
        }
    }
}

/// How a listener listens.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ListenOptions {
    /// What becomes of its messages when it lags; default: the router's policy.
    pub policy: Option<Policy>,
    /// It takes one message and is gone. Such a listener may also take a message of the first moment that another
    /// listener has had already; see [`Router::listen`](crate::Router::listen).
    pub once: bool,
}

impl ListenOptions {
    /// One message.
    pub fn once() -> Self {
        Self { once: true, ..Self::default() }
    }
}
