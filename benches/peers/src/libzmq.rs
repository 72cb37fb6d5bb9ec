//! libzmq: one PAIR socket for each receiver, with its default high-water mark, which makes the sender wait.
//!
//! Not PUB: that one drops messages at the high-water mark, and the binding has no option against it.

use std::time::Duration;

use tempfile::TempDir;
use zmq::{Context, Message, PAIR, Socket};

use crate::harness::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of};

pub(crate) struct LibZmq;

/// How long a socket that is closed goes on sending.
const LINGER: Duration = Duration::from_secs(1);

impl Subject for LibZmq {
    fn name(&self) -> &'static str {
        "libzmq"
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire.is_socket()
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let context = Context::new();
        let directory = (route.wire == Wire::Ipc).then(tempfile::tempdir).transpose()?;
        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for index in 0..route.receivers {
            let socket = socket(&context)?;
            match &directory {
                Some(directory) => socket.bind(&format!("ipc://{}/{index}", directory.path().display()))?,
                None => socket.bind("tcp://127.0.0.1:*")?,
            }
            addresses.push(socket.get_last_endpoint()?.map_err(|_| "an endpoint that is no text")?);
            sockets.push(socket);
        }
        Ok((Box::new(Pairs::new(sockets, route, directory)), addresses))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        let socket = socket(&Context::new())?;
        socket.connect(address)?;
        Ok(Box::new(Pairs::new(vec![socket], route, None)))
    }
}

fn socket(context: &Context) -> Result<Socket> {
    let socket = context.socket(PAIR)?;
    socket.set_linger(LINGER.as_millis().try_into()?)?;
    Ok(socket)
}

struct Pairs {
    sockets: Vec<Socket>,
    /// Whose turn it is to be received from.
    turn: usize,
    messages: Messages,
    incoming: Message,
    /// Of the sockets' files; removed when the last of them is closed.
    _directory: Option<TempDir>,
}

impl Pairs {
    fn new(sockets: Vec<Socket>, route: &Route, directory: Option<TempDir>) -> Self {
        let messages = Messages::new(route.size);
        Self { sockets, turn: 0, messages, incoming: Message::new(), _directory: directory }
    }
}

impl End for Pairs {
    fn meet(&mut self) -> Result {
        // What is sent before the other end is there waits for it.
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        Ok(self.sockets.iter().try_for_each(|socket| socket.send(&message[..], 0))?)
    }

    fn receive(&mut self) -> Result<u64> {
        let socket = &self.sockets[self.turn];
        self.turn = (self.turn + 1) % self.sockets.len();
        socket.recv(&mut self.incoming, 0)?;
        mark_of(&self.incoming)
    }

    fn close(self: Box<Self>) {}
}
