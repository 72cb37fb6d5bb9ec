//! What is measured: a library, or a way of using one, as the harness drives it.

use std::{fmt, time::Duration};

use tidings::BoxError;

use super::{Bench, session::Limit};

/// What fallible code of the benches returns.
pub(crate) type Result<T = (), E = BoxError> = std::result::Result<T, E>;

/// What carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Within one process.
    Memory,
    /// Unix sockets.
    Ipc,
    /// TCP over loopback.
    Tcp,
    /// A Redis server on this machine.
    Redis,
    /// A NATS server on this machine.
    Nats,
}

impl Wire {
    /// Those that need no server, which are measured unless the command line names others.
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Ipc, Self::Tcp];

    pub(crate) fn parse(name: &str) -> Result<Self> {
        let wire =
            Self::ALL.into_iter().chain([Self::Redis, Self::Nats]).find(|wire| wire.to_string() == name);
        wire.ok_or_else(|| format!("no transport `{name}`: memory, ipc, tcp, redis or nats").into())
    }

    /// Whether it is a socket from one end to the other.
    pub(crate) fn is_socket(self) -> bool {
        matches!(self, Self::Ipc | Self::Tcp)
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Ipc => "ipc",
            Self::Tcp => "tcp",
            Self::Redis => "redis",
            Self::Nats => "nats",
        })
    }
}

/// What one sender sends, over what, and to how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) wire: Wire,
    /// Bytes of one message, at least [`MARK_BYTES`](super::MARK_BYTES).
    pub(crate) size: usize,
    pub(crate) receivers: usize,
}

/// The sender's end, and for each receiver the address that it connects to.
pub(crate) type Listening = (Box<dyn End>, Vec<String>);

/// One library, or one way of using it. It makes the two ends of a route; the harness does the rest.
pub(crate) trait Subject: Send + Sync {
    /// What it is called in the rows; no spaces.
    fn name(&self) -> &'static str;

    /// Whether it can carry messages of this size over this wire.
    fn carries(&self, route: &Route) -> bool;

    /// Whether `bench` says anything about it.
    fn enters(&self, bench: Bench) -> bool {
        let _ = bench;
        true
    }

    /// Whether the run fails when it cannot be opened, fails, or loses a message. Else it is left out with a
    /// line that says why, and what it loses is in its row.
    fn must_deliver(&self) -> bool {
        false
    }

    /// Whether a message may be lost, so that waiting for an answer without limit could be for ever.
    fn may_lose(&self) -> bool {
        false
    }

    /// Makes the sender's end.
    fn listen(&self, route: &Route) -> Result<Listening>;

    /// Makes the end of the receiver number `index`, from 0 on.
    fn connect(&self, route: &Route, address: &str, index: usize) -> Result<Box<dyn End>>;
}

/// One end of a route; it stays in the thread that made it. Where there is no room, sending waits; a [`Subject`] for which that is not so says
/// [`Subject::may_lose`].
pub(crate) trait End {
    /// Waits until the other end is connected; the sender's end waits for all of them.
    fn meet(&mut self) -> Result;

    /// Sends a message of the route's size that carries `mark`; the sender's end sends it to every receiver.
    fn send(&mut self, mark: u64) -> Result;

    /// Sees to it that everything sent so far is on its way.
    fn flush(&mut self) -> Result {
        Ok(())
    }

    /// Blocks until a message has arrived, and returns its mark. The sender's end takes from any receiver;
    /// each of them answers once before any is asked again.
    fn receive(&mut self) -> Result<u64>;

    /// The same, for at most `limit`; `None` when nothing has arrived. Only asked of a [`Subject`] that may
    /// lose messages.
    fn receive_within(&mut self, limit: Duration) -> Result<Option<u64>> {
        let _ = limit;
        self.receive().map(Some)
    }

    /// Makes round trips by itself, where the ends answer without the thread of the harness. `None`: it does not.
    fn round_trips(&mut self, limit: Limit) -> Result<Option<Vec<Duration>>> {
        let _ = limit;
        Ok(None)
    }

    /// Leaves, after everything that was sent has been handed over.
    fn close(self: Box<Self>);
}
