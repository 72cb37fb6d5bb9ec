//! The links that this node has opened: a socket each, so that each ends by itself.

use std::{io, sync::Arc};

use tokio::sync::oneshot;

use crate::{
    line::Line,
    monitor::{Heard, Monitor},
    options::SocketOptions,
    packet::{self, Kind},
};

/// How many packets of a link are taken in before the others have their turn.
const TURN: usize = 64;

/// A link that this node has opened, or is opening.
pub(crate) struct Dialled {
    pub(crate) socket: zmq::Socket,
    pub(crate) monitor: Monitor,
    line: Arc<Line>,
    /// Until it is open.
    answer: Option<oneshot::Sender<io::Result<()>>>,
}

/// Whether a link goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    On,
    /// It has ended.
    Over,
    /// It has ended because the other end sent what no node has written.
    Wrong,
}

/// Whether there is nothing more to receive now; a signal in between changes nothing.
pub(crate) fn received<T>(mut receive: impl FnMut() -> zmq::Result<T>) -> zmq::Result<Option<T>> {
    loop {
        match receive() {
            Ok(message) => return Ok(Some(message)),
            Err(zmq::Error::EAGAIN) => return Ok(None),
            Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

impl Dialled {
    /// Begins to connect.
    pub(crate) fn new(
        context: &zmq::Context,
        options: &SocketOptions,
        endpoint: &str,
        line: Arc<Line>,
        answer: oneshot::Sender<io::Result<()>>,
    ) -> Result<Self, (zmq::Error, oneshot::Sender<io::Result<()>>)> {
        let connect = || {
            let socket = options.dialler(context, endpoint)?;
            let monitor = Monitor::of(&socket, context)?;
            if let Err(error) = socket.connect(endpoint) {
                monitor.stop(&socket);
                return Err(error);
            }
            Ok((socket, monitor))
        };
        match connect() {
            Ok((socket, monitor)) => Ok(Self { socket, monitor, line, answer: Some(answer) }),
            Err(error) => Err((error, answer)),
        }
    }

    pub(crate) fn send(&self, packet: Vec<u8>) -> Goes {
        match self.socket.send(packet, zmq::DONTWAIT) {
            Ok(()) => Goes::On,
            Err(error) => {
                tracing::debug!(%error, "a link takes nothing");
                Goes::Over
            }
        }
    }

    /// Takes in what has come.
    pub(crate) fn receive(&mut self) -> Goes {
        self.receive_some(TURN)
    }

    fn receive_some(&mut self, most: usize) -> Goes {
        for _ in 0..most {
            let goes = match received(|| self.socket.recv_msg(zmq::DONTWAIT)) {
                Ok(Some(packet)) => self.arrived(packet),
                Ok(None) => return Goes::On,
                Err(_) => Goes::Over,
            };
            if goes != Goes::On {
                return goes;
            }
        }
        Goes::On
    }

    fn arrived(&mut self, packet: zmq::Message) -> Goes {
        let known = if packet.get_more() { None } else { packet::decode(&packet) };
        match known {
            Some((Kind::Opened, _)) => {
                // Who dialled may have given up meanwhile; then it hangs up.
                if let Some(answer) = self.answer.take() {
                    let _ = answer.send(Ok(()));
                }
                Goes::On
            }
            Some((Kind::Close, _)) => Goes::Over,
            Some((Kind::Probe, _)) => Goes::On,
            Some((Kind::Data, number)) if self.line.arrived(number, packet) => Goes::On,
            Some((Kind::Read, cost)) if self.line.acknowledged(cost) => Goes::On,
            _ => Goes::Wrong,
        }
    }

    /// Hears of the connection.
    pub(crate) fn hear(&mut self) -> Goes {
        while let Some(heard) = self.monitor.next() {
            let error = match heard {
                Heard::Connected => {
                    if self.send(packet::head(Kind::Open, 0, 0)) != Goes::On {
                        return Goes::Over;
                    }
                    continue;
                }
                Heard::Mismatch => io::Error::new(
                    io::ErrorKind::InvalidData,
                    "who listens there does not speak ZeroMQ, or has other keys",
                ),
                Heard::Disconnected => {
                    io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there, or it hung up")
                }
            };
            // What had come before counts.
            let goes = self.receive_some(usize::MAX);
            if let Some(answer) = self.answer.take() {
                let _ = answer.send(Err(error));
            }
            return if goes == Goes::On { Goes::Over } else { goes };
        }
        Goes::On
    }

    /// Says goodbye and closes. What was handed over is sent first, if `flush` says so.
    pub(crate) fn hang_up(self, flush: bool) {
        if flush && self.answer.is_none() {
            self.send(packet::head(Kind::Close, 0, 0));
        } else {
            // An error means that the socket is gone already.
            let _ = self.socket.set_linger(0);
        }
    }
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.monitor.stop(&self.socket);
        self.line.end();
    }
}
