//! nng by its Rust binding: one PAIR socket for each receiver, with its default buffers, which make the
//! sender wait.

use nng::{
    Error, Protocol, Socket,
    options::{Options, RecvMaxSize},
};

use crate::{
    harness::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of},
    sockets::{Directory, free_port},
};

pub(crate) struct Nng;

impl Subject for Nng {
    fn name(&self) -> &'static str {
        "nng"
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire.is_socket()
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let directory = Directory::new()?;
        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for index in 0..route.receivers {
            let address = match route.wire {
                Wire::Ipc => format!("ipc://{}", directory.path(&index.to_string())?),
                _ => format!("tcp://127.0.0.1:{}", free_port()?),
            };
            let socket = socket()?;
            socket.listen(&address)?;
            sockets.push(socket);
            addresses.push(address);
        }
        let messages = Messages::new(route.size);
        Ok((Box::new(Pairs { sockets, turn: 0, messages, _directory: Some(directory) }), addresses))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        let socket = socket()?;
        socket.dial(address)?;
        let messages = Messages::new(route.size);
        Ok(Box::new(Pairs { sockets: vec![socket], turn: 0, messages, _directory: None }))
    }
}

fn socket() -> Result<Socket, Error> {
    let socket = Socket::new(Protocol::Pair0)?;
    // No limit.
    socket.set_opt::<RecvMaxSize>(0)?;
    Ok(socket)
}

struct Pairs {
    sockets: Vec<Socket>,
    /// Whose turn it is to be received from.
    turn: usize,
    messages: Messages,
    /// Of the sockets' files.
    _directory: Option<Directory>,
}

impl End for Pairs {
    fn meet(&mut self) -> Result {
        // What is sent before the other end is there waits for it.
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        let mut sockets = self.sockets.iter();
        Ok(sockets.try_for_each(|socket| socket.send(&message[..]).map_err(|(_, error)| error))?)
    }

    fn receive(&mut self) -> Result<u64> {
        let socket = &self.sockets[self.turn];
        self.turn = (self.turn + 1) % self.sockets.len();
        mark_of(&socket.recv()?)
    }

    fn close(self: Box<Self>) {
        // Closing throws away what is still to be written, and there is no way to ask whether there is any.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
