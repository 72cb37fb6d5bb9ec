//! What ZeroMQ tells of a socket's connections.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Names of monitors, of which no two may be the same in one process' context.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn fresh_endpoint() -> String {
    format!("inproc://monitor-{}", NEXT.fetch_add(1, Relaxed))
}

/// Hears of a socket's connections.
pub(crate) struct Monitor(zmq::Socket);

/// What it hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The two ends have agreed on ZeroMQ's protocol, and on the keys.
    Connected,
    /// The other end speaks something else, or has other keys.
    Mismatch,
    /// There is no connection any more, or none came to be.
    Disconnected,
}

impl Monitor {
    pub(crate) fn of(socket: &zmq::Socket, context: &zmq::Context) -> zmq::Result<Self> {
        let endpoint = fresh_endpoint();
        use zmq::SocketEvent as Event;
        let events = [
            Event::HANDSHAKE_SUCCEEDED,
            Event::HANDSHAKE_FAILED_NO_DETAIL,
            Event::HANDSHAKE_FAILED_PROTOCOL,
            Event::HANDSHAKE_FAILED_AUTH,
            Event::DISCONNECTED,
            Event::CLOSED,
        ];
        let events = events.iter().map(|event| i32::from(event.to_raw())).sum();
        socket.monitor(&endpoint, events)?;
        let monitor = context.socket(zmq::PAIR)?;
        monitor.set_linger(0)?;
        monitor.connect(&endpoint)?;
        Ok(Self(monitor))
    }

    /// Has nothing more told of `socket`. To be called before either of the two is closed: libzmq's own thread waits until
    /// somebody hears what it tells, and waits forever where nobody does.
    pub(crate) fn stop(&self, socket: &zmq::Socket) {
        // Another monitor, for no events, takes the place of this one. An error means that the context is gone.
        let _ = socket.monitor(&fresh_endpoint(), 0);
    }

    pub(crate) fn socket(&self) -> &zmq::Socket {
        &self.0
    }

    /// The next news, if there is some.
    pub(crate) fn next(&self) -> Option<Heard> {
        use zmq::SocketEvent as Event;
        let parts = self.0.recv_multipart(zmq::DONTWAIT).ok()?;
        let number =
            parts.first().and_then(|part| part.first_chunk()).map(|number| u16::from_ne_bytes(*number));
        // Others than those that were asked for do not come.
        Some(match number.map(Event::from_raw) {
            Some(Event::HANDSHAKE_SUCCEEDED) => Heard::Connected,
            Some(Event::DISCONNECTED | Event::CLOSED) | None => Heard::Disconnected,
            Some(_) => Heard::Mismatch,
        })
    }
}
