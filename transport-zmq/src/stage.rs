use std::collections::HashMap;

use tidings_router_core::Envelope;

use crate::message::header;

/// How many event names have numbers of their own; beyond that numbering begins anew for all.
const NUMBERED: usize = 65_536;

/// The XPUB socket where guests hear, and which says what they subscribe to.
pub(crate) struct Stage {
    pub(crate) socket: zmq::Socket,
    numbers: HashMap<String, u64>,
}

impl Stage {
    pub(crate) fn new(socket: zmq::Socket) -> Self {
        Self { socket, numbers: HashMap::new() }
    }

    /// Sends what a node has heard to the guests that are subscribed to it.
    pub(crate) fn publish(&mut self, envelope: &Envelope) {
        let number = self.next_number(envelope.event());
        let Some(header) = header(envelope, number) else { return };
        // A guest that does not keep up misses messages, by ZeroMQ's design; the numbers tell it.
        let parts = [envelope.event().as_bytes(), &header, &envelope.payload()];
        if let Err(error) = self.socket.send_multipart(parts, zmq::DONTWAIT) {
            tracing::warn!(%error, "cannot send to guests");
        }
    }

    fn next_number(&mut self, event: &str) -> u64 {
        if let Some(number) = self.numbers.get_mut(event) {
            *number += 1;
            return *number;
        }
        if self.numbers.len() >= NUMBERED {
            self.numbers.clear();
        }
        self.numbers.insert(event.to_owned(), 0);
        0
    }
}
