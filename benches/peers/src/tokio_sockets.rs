//! Tokio's sockets with `LengthDelimitedCodec`: what one writes by hand without a library for messages.

use std::io;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use tidings::BoxError;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    runtime::{Builder, Runtime},
};
use tokio_util::codec::{Decoder, Encoder, Framed, LengthDelimitedCodec};

use crate::{
    harness::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of},
    sockets::Directory,
};

/// How messages become system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tokio {
    /// Each is flushed on its own.
    Framed,
    /// They are gathered until there are [`BATCH`] bytes, and the reader takes as many.
    Batched,
}

/// Bytes that are written or read at once.
const BATCH: usize = 64 << 10;

/// No message is longer.
const MAX_FRAME: usize = 16 << 20;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Listener {
    Ipc(UnixListener, #[expect(dead_code, reason = "it is removed when it is dropped")] Directory),
    Tcp(TcpListener),
}

impl Subject for Tokio {
    fn name(&self) -> &'static str {
        match self {
            Self::Framed => "tokio-framed",
            Self::Batched => "tokio-batched",
        }
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire.is_socket()
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (listener, address) = runtime.block_on(async {
            if route.wire == Wire::Ipc {
                let directory = Directory::new()?;
                let path = directory.path("socket")?;
                return Ok::<_, BoxError>((Listener::Ipc(UnixListener::bind(&path)?, directory), path));
            }
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?.to_string();
            Ok((Listener::Tcp(listener), address))
        })?;
        let end = Sockets::new(*self, runtime, Some(listener), route);
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let stream: Box<dyn Stream> = runtime.block_on(async {
            Ok::<_, BoxError>(match route.wire {
                Wire::Ipc => Box::new(UnixStream::connect(address).await?) as Box<dyn Stream>,
                _ => Box::new(without_delay(TcpStream::connect(address).await?)?),
            })
        })?;
        let mut end = Sockets::new(*self, runtime, None, route);
        end.add(stream);
        Ok(Box::new(end))
    }
}

fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection and what is gathered for it.
struct Connection {
    framed: Framed<Box<dyn Stream>, LengthDelimitedCodec>,
    codec: LengthDelimitedCodec,
    outgoing: BytesMut,
    incoming: BytesMut,
}

struct Sockets {
    how: Tokio,
    runtime: Runtime,
    listener: Option<Listener>,
    others: usize,
    connections: Vec<Connection>,
    /// Whose turn it is to be received from.
    turn: usize,
    messages: Messages,
}

impl Sockets {
    fn new(how: Tokio, runtime: Runtime, listener: Option<Listener>, route: &Route) -> Self {
        let messages = Messages::new(route.size);
        Self { how, runtime, listener, others: route.receivers, connections: Vec::new(), turn: 0, messages }
    }

    fn add(&mut self, stream: Box<dyn Stream>) {
        let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec();
        self.connections.push(Connection {
            framed: Framed::new(stream, codec.clone()),
            codec,
            outgoing: BytesMut::with_capacity(BATCH),
            incoming: BytesMut::with_capacity(BATCH),
        });
    }
}

impl Connection {
    async fn write(&mut self) -> Result {
        self.framed.get_mut().write_all(&self.outgoing).await?;
        self.outgoing.clear();
        Ok(())
    }
}

impl End for Sockets {
    fn meet(&mut self) -> Result {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        for _ in 0..self.others {
            let stream: Box<dyn Stream> = self.runtime.block_on(async {
                Ok::<_, BoxError>(match &listener {
                    Listener::Ipc(listener, _) => Box::new(listener.accept().await?.0) as Box<dyn Stream>,
                    Listener::Tcp(listener) => Box::new(without_delay(listener.accept().await?.0)?),
                })
            })?;
            self.add(stream);
        }
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        for connection in &mut self.connections {
            if self.how == Tokio::Framed {
                self.runtime.block_on(connection.framed.send(message.clone()))?;
                continue;
            }
            connection.codec.encode(message.clone(), &mut connection.outgoing)?;
            if connection.outgoing.len() >= BATCH {
                self.runtime.block_on(connection.write())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result {
        for connection in &mut self.connections {
            if !connection.outgoing.is_empty() {
                self.runtime.block_on(connection.write())?;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<u64> {
        let turn = self.turn;
        self.turn = (turn + 1) % self.connections.len();
        let connection = &mut self.connections[turn];
        let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
        if self.how == Tokio::Framed {
            let message = self.runtime.block_on(connection.framed.next()).ok_or_else(closed)??;
            return mark_of(&message);
        }
        loop {
            if let Some(message) = connection.codec.decode(&mut connection.incoming)? {
                return mark_of(&message);
            }
            connection.incoming.reserve(BATCH);
            let stream = connection.framed.get_mut();
            if self.runtime.block_on(stream.read_buf(&mut connection.incoming))? == 0 {
                return Err(closed().into());
            }
        }
    }

    fn close(self: Box<Self>) {}
}
