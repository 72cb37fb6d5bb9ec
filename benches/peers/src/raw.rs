//! Blocking sockets without any library: the floor. Both ends know the size of a message, so there is no
//! header.

use std::{
    io::{self, BufReader, BufWriter, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
};

use tempfile::TempDir;

use crate::harness::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of};

/// How messages become system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw {
    /// One for each message on either side.
    Single,
    /// As many as fit into [`BUFFER`] share one.
    Batched,
}

/// Bytes that are written or read at once.
const BUFFER: usize = 64 << 10;

impl Raw {
    fn buffer(self) -> usize {
        if self == Self::Batched { BUFFER } else { 0 }
    }
}

impl Subject for Raw {
    fn name(&self) -> &'static str {
        match self {
            Self::Single => "raw",
            Self::Batched => "raw-batched",
        }
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire.is_socket()
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let (listener, address) = if route.wire == Wire::Ipc {
            let directory = tempfile::tempdir()?;
            let path = directory.path().join("socket");
            let address = path.to_str().ok_or("a path that is no text")?.to_owned();
            (Listener::Ipc(UnixListener::bind(&path)?, directory), address)
        } else {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?.to_string();
            (Listener::Tcp(listener), address)
        };
        let end = Sockets::new(*self, route, Some(listener));
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        let mut end = Sockets::new(*self, route, None);
        match route.wire {
            Wire::Ipc => end.add(UnixStream::connect(address)?.try_into()?),
            _ => end.add(TcpStream::connect(address)?.try_into()?),
        }
        Ok(Box::new(end))
    }
}

enum Listener {
    /// With the directory of its file.
    Ipc(UnixListener, #[expect(dead_code, reason = "it is removed when it is dropped")] TempDir),
    Tcp(TcpListener),
}

/// The two directions of a connected socket.
struct Halves(Box<dyn Read + Send>, Box<dyn Write + Send>);

impl TryFrom<UnixStream> for Halves {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        Ok(Self(Box::new(stream.try_clone()?), Box::new(stream)))
    }
}

impl TryFrom<TcpStream> for Halves {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(Box::new(stream.try_clone()?), Box::new(stream)))
    }
}

struct Sockets {
    how: Raw,
    listener: Option<Listener>,
    others: usize,
    readers: Vec<BufReader<Box<dyn Read + Send>>>,
    writers: Vec<BufWriter<Box<dyn Write + Send>>>,
    /// Whose turn it is to be received from.
    turn: usize,
    messages: Messages,
    incoming: Vec<u8>,
}

impl Sockets {
    fn new(how: Raw, route: &Route, listener: Option<Listener>) -> Self {
        Self {
            how,
            listener,
            others: route.receivers,
            readers: Vec::new(),
            writers: Vec::new(),
            turn: 0,
            messages: Messages::new(route.size),
            incoming: vec![0; route.size],
        }
    }

    fn add(&mut self, halves: Halves) {
        self.readers.push(BufReader::with_capacity(self.how.buffer(), halves.0));
        self.writers.push(BufWriter::with_capacity(self.how.buffer(), halves.1));
    }
}

impl End for Sockets {
    fn meet(&mut self) -> Result {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        for _ in 0..self.others {
            self.add(match &listener {
                Listener::Ipc(listener, _) => listener.accept()?.0.try_into()?,
                Listener::Tcp(listener) => listener.accept()?.0.try_into()?,
            });
        }
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        Ok(self.writers.iter_mut().try_for_each(|writer| writer.write_all(&message))?)
    }

    fn flush(&mut self) -> Result {
        Ok(self.writers.iter_mut().try_for_each(Write::flush)?)
    }

    fn receive(&mut self) -> Result<u64> {
        let turn = self.turn;
        self.turn = (turn + 1) % self.readers.len();
        self.readers[turn].read_exact(&mut self.incoming)?;
        mark_of(&self.incoming)
    }

    fn close(self: Box<Self>) {}
}
