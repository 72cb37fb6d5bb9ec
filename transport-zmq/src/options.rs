//! How every socket is set up.

use std::time::Duration;

use crate::{curve::Curve, line, packet};

/// How long a socket that is closed goes on sending what it was given.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// How many messages that have come may wait in a socket's pipe for our thread, per connection; then the connection is
/// not read, and nothing is dropped.
const WAITING: i32 = 256;

/// How long the other end may take to say hello as ZeroMQ does.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// No connection is ever made again by ZeroMQ: a link that broke has ended, and the router dials the next one.
const NEVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the sockets of a node have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct SocketOptions {
    pub(crate) curve: Option<Curve>,
}

pub(crate) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

impl SocketOptions {
    fn common(&self, socket: &zmq::Socket, endpoint: &str) -> zmq::Result<()> {
        socket.set_linger(millis(LINGER))?;
        socket.set_handshake_ivl(millis(HANDSHAKE))?;
        // Literal addresses of IPv6 alone have brackets.
        socket.set_ipv6(endpoint.contains('['))
    }

    /// Of a socket that carries links. What it sends is bounded by the links' windows, so its own bound, at which it
    /// would have to drop or to block, is off.
    fn links(&self, socket: &zmq::Socket) -> zmq::Result<()> {
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(WAITING)?;
        socket.set_maxmsgsize((packet::HEADER + packet::ROOM) as i64)
    }

    /// The socket that takes in links at `endpoint`.
    pub(crate) fn listener(&self, context: &zmq::Context, endpoint: &str) -> zmq::Result<zmq::Socket> {
        let socket = context.socket(zmq::ROUTER)?;
        self.common(&socket, endpoint)?;
        self.links(&socket)?;
        // Who is gone is an error instead of a message that is dropped.
        socket.set_router_mandatory(true)?;
        self.serve(&socket, crate::curve::NODES)?;
        Ok(socket)
    }

    /// The socket of one link to `endpoint`.
    pub(crate) fn dialler(&self, context: &zmq::Context, endpoint: &str) -> zmq::Result<zmq::Socket> {
        let socket = context.socket(zmq::DEALER)?;
        self.common(&socket, endpoint)?;
        self.links(&socket)?;
        socket.set_reconnect_ivl(millis(NEVER))?;
        if let Some(curve) = &self.curve {
            curve.call(&socket)?;
        }
        Ok(socket)
    }

    /// The socket of this kind for guests at `endpoint`, whose queues hold so many messages per guest, and whose
    /// messages have at most `bytes`.
    pub(crate) fn guests(
        &self,
        context: &zmq::Context,
        kind: zmq::SocketType,
        endpoint: &str,
        queue: i32,
        bytes: i64,
    ) -> zmq::Result<zmq::Socket> {
        let socket = context.socket(kind)?;
        self.common(&socket, endpoint)?;
        socket.set_sndhwm(queue)?;
        socket.set_rcvhwm(queue)?;
        socket.set_maxmsgsize(bytes)?;
        self.serve(&socket, crate::curve::GUESTS)?;
        Ok(socket)
    }

    fn serve(&self, socket: &zmq::Socket, domain: &str) -> zmq::Result<()> {
        self.curve.as_ref().map_or(Ok(()), |curve| curve.serve(socket, domain))
    }
}

// A window always has room for a whole packet.
const _: () = assert!(line::WINDOW > packet::ROOM as u64);
