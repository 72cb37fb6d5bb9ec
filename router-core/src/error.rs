use std::{path::PathBuf, time::Duration};

use crate::{Address, NodeId, Topology, without_login};

/// Any error, as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a fallible operation of a router returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between opening a router, `emit`, and a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no address.
    #[error("invalid address `{input}`: {reason}")]
    InvalidAddress {
        /// The text, without who logs in and how.
        input: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address belongs to a transport that this router does not have.
    #[error(
        "no transport for `{address}`: give the router `.transport(..)` of that kind, which the cargo feature \
         `{feature}` of tidings compiles in"
    )]
    TransportDisabled {
        /// The address.
        address: String,
        /// The feature that compiles its transport in.
        feature: &'static str,
    },
    /// Somebody else listens there.
    #[error("{address} is in use: choose another address{}", if address.starts_with("tcp:") { ", or port 0 for any free one" } else { "" })]
    AddressInUse {
        /// The address.
        address: String,
    },
    /// The operating system takes no path of this length for a socket.
    #[error("socket path `{}` is too long: {} bytes, the limit is {limit}; choose a shorter one with `Ipc::bind`", path.display(), path.as_os_str().len())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// The longest path, in bytes.
        limit: usize,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: BoxError,
    },
    /// The address can be reached from other machines, and nothing protects it.
    #[error(
        "{address} is open to other machines and there is no secret: set `.secret(..)`, listen on loopback, or \
         accept everybody with `.insecure_no_auth()`"
    )]
    SecretRequired {
        /// The address.
        address: String,
    },
    /// The secret cannot be used.
    #[error("invalid secret{}: {reason}", path.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default())]
    InvalidSecret {
        /// The file that it was read from, if it was.
        path: Option<PathBuf>,
        /// What is wrong with it.
        reason: String,
    },
    /// The two ends do not hold the same secret, or only one of them has one.
    #[error("{address} does not hold our secret: {reason}; both ends need the same `.secret(..)`")]
    WrongSecret {
        /// The other end.
        address: String,
        /// Which end lacks what.
        reason: String,
    },
    /// The other end belongs to another cluster.
    #[error("{address} belongs to another cluster than `{ours}`: set `.cluster(..)` alike on both ends")]
    WrongCluster {
        /// The other end.
        address: String,
        /// Our cluster's name.
        ours: String,
    },
    /// The other end speaks a version of the protocol that this one does not.
    #[error(
        "{address} speaks protocol version {theirs}, this node version {ours}: build both with one tidings"
    )]
    WrongVersion {
        /// The other end.
        address: String,
        /// Our version.
        ours: u16,
        /// Its version.
        theirs: u16,
    },
    /// The other end does not speak our protocol at all.
    #[error("{address} is no tidings node: {reason}")]
    NotTidings {
        /// The other end.
        address: String,
        /// What it said instead.
        reason: String,
    },
    /// The two ends' topologies do not go together.
    #[error(
        "{address} is in a {theirs}, this node in a {ours}, and {reason}: set `.topology(..)` alike on both ends, and \
         in a star `.node_id(0)` at the hub"
    )]
    WrongTopology {
        /// The other end.
        address: String,
        /// Our topology.
        ours: Topology,
        /// Its topology.
        theirs: Topology,
        /// The rule that is broken.
        reason: String,
    },
    /// A node with this id is alive in the cluster.
    #[error("node id {node_id} is taken, says {address}: give this node another one with `.node_id(..)`")]
    DuplicateNodeId {
        /// The id.
        node_id: NodeId,
        /// Who said so.
        address: String,
    },
    /// The other end refused or broke off for another reason.
    #[error("{address} refused: {reason}")]
    Refused {
        /// The other end.
        address: String,
        /// What it said.
        reason: String,
    },
    /// A peer that the router was told to attach to did not answer in time.
    #[error("cannot connect to {address} within {after:?}, the `.connect_timeout(..)`")]
    Unreachable {
        /// The address.
        address: Address,
        /// How long it was tried.
        after: Duration,
        /// What the last try said.
        source: Option<BoxError>,
    },
    /// The text is no event name, or no pattern.
    #[error("invalid event name `{}`: {reason}", event.chars().take(64).collect::<String>())]
    InvalidEvent {
        /// The text.
        event: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The message is larger than a frame may be.
    #[error(
        "a message of `{event}` has {size} bytes, the limit is {limit}: raise `.max_frame(..)` on every node"
    )]
    FrameTooLarge {
        /// The event.
        event: String,
        /// The size of the frame, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The payload cannot be encoded.
    #[error("cannot encode the payload of `{event}`")]
    Encode {
        /// The event.
        event: String,
        /// Why.
        source: BoxError,
    },
    /// The payload is not of the type that the listener asked for.
    #[error("cannot decode the payload of `{event}` from node {source_node} as `{wanted}`")]
    Decode {
        /// The event.
        event: String,
        /// Who emitted it.
        source_node: NodeId,
        /// The type that the listener asked for.
        wanted: &'static str,
        /// Why.
        source: BoxError,
    },
    /// A queue is full, and the caller did not want to wait, or must not: it is a handler.
    #[error("the queue {queue} is full, so `{event}` was not sent: {hint}")]
    Full {
        /// The event.
        event: String,
        /// Which queue.
        queue: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The message is larger than the server of a journal takes.
    #[error(
        "a message of `{event}` has {size} bytes in the journal at {server}, the limit is {limit}: raise `{setting}` of \
         the server"
    )]
    EntryTooLarge {
        /// The event.
        event: String,
        /// The size of the entry, in bytes.
        size: usize,
        /// The server.
        server: String,
        /// The limit, in bytes.
        limit: usize,
        /// The server's setting.
        setting: &'static str,
    },
    /// The server of a journal does not do what it is asked for.
    #[error("the journal at {server} does not work: {source}")]
    Journal {
        /// The server.
        server: String,
        /// What is wrong.
        source: BoxError,
    },
    /// Nobody in the cluster has this id.
    #[error("node {node_id} is not in the cluster, so `{event}` was not sent to it")]
    UnknownNode {
        /// The id.
        node_id: NodeId,
        /// The event.
        event: String,
    },
    /// It did not happen in time.
    #[error("no {what} within {after:?}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// The task has finished, here or on another node, while this was being waited for.
    #[error("the task has finished")]
    Finished,
    /// The router is shut down.
    #[error("the router is shut down")]
    Closed,
    /// A setting has a value that cannot be.
    #[error("invalid setting `{setting}`: {reason}")]
    Setting {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program's own code failed: a listener, a step, a main.
    #[error("{what} failed: {source}")]
    Failed {
        /// What failed.
        what: String,
        /// How.
        source: BoxError,
    },
    /// The operating system failed us.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// Says that a text is no address, without telling who logs in with it.
    pub fn invalid_address(input: &str, reason: impl Into<String>) -> Self {
        Self::InvalidAddress { input: without_login(input).into_owned(), reason: reason.into() }
    }

    /// Wraps an error of the program's own code.
    pub fn failed(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }

    /// An error of the operating system, with what was tried.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// Whether the same call may succeed later without a change by the user.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::Timeout { .. }
                | Self::Unreachable { .. }
                | Self::UnknownNode { .. }
                | Self::Journal { .. }
        )
    }
}

/// An error with what caused it, on one line. Many errors repeat their source in their own text; it is said
/// once.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_says_each_cause_once() {
        let inner = std::io::Error::other("disk full");
        let error = Error::failed("saving", Error::io("cannot write", inner));
        assert_eq!(error_chain(&error), "saving failed: cannot write: disk full");
    }
}
