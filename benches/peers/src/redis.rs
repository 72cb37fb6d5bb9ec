//! Redis: PUBLISH and SUBSCRIBE by way of a server of our own with its default limits. It drops a subscriber
//! that is too slow, which has to connect again; what it missed is lost.

use std::time::Duration;

use redis::{Client, Connection, ConnectionLike, Value};

use crate::{
    harness::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of},
    server::Server,
    sockets::{Directory, free_port},
};

pub(crate) struct Redis;

/// Bytes of commands that are sent before their replies are awaited.
const BATCH: usize = 64 << 10;

const FORTH: &str = "forth";
const BACK: &str = "back";

/// Starts a server on a port, and returns its address.
pub(crate) fn serve() -> Result<(Server, String)> {
    let port = free_port()?.to_string();
    let address = format!("redis://127.0.0.1:{port}");
    Ok((start(&["--port", &port, "--bind", "127.0.0.1"], &address)?, address))
}

/// The same on a socket file.
fn serve_on_file() -> Result<((Server, Option<Directory>), String)> {
    let directory = Directory::new()?;
    let socket = directory.path("socket")?;
    let address = format!("redis+unix://{socket}");
    let server = start(&["--port", "0", "--unixsocket", &socket], &address)?;
    Ok(((server, Some(directory)), address))
}

fn start(place: &[&str], address: &str) -> Result<Server> {
    let arguments = [place, &["--save", "", "--appendonly", "no"]].concat();
    let mut server = Server::start("redis-server", &arguments)?;
    server.ready(|| Ok(Client::open(address)?.get_connection()?))?;
    Ok(server)
}

impl Subject for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn carries(&self, route: &Route) -> bool {
        // Over either kind of socket beside the others, and beside Tidings on the same server.
        route.wire.is_socket() || route.wire == Wire::Redis
    }

    fn may_lose(&self) -> bool {
        true
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let (server, address) = match route.wire {
            Wire::Ipc => serve_on_file()?,
            _ => {
                let (server, address) = serve()?;
                ((server, None), address)
            }
        };
        let end = Channels::open(&address, route, [FORTH, BACK], Some(server))?;
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        Ok(Box::new(Channels::open(address, route, [BACK, FORTH], None)?))
    }
}

struct Channels {
    client: Client,
    publisher: Connection,
    subscriber: Connection,
    /// How long that one waits.
    limit: Option<Duration>,
    names: [&'static str; 2],
    messages: Messages,
    /// Commands that are not sent yet.
    outgoing: Vec<u8>,
    /// How many those are.
    commands: usize,
    _server: Option<(Server, Option<Directory>)>,
}

impl Channels {
    fn open(
        address: &str,
        route: &Route,
        names: [&'static str; 2],
        server: Option<(Server, Option<Directory>)>,
    ) -> Result<Self> {
        let client = Client::open(address)?;
        Ok(Self {
            publisher: client.get_connection()?,
            subscriber: subscribe(&client, names[1])?,
            limit: None,
            client,
            names,
            messages: Messages::new(route.size),
            outgoing: Vec::new(),
            commands: 0,
            _server: server,
        })
    }
}

impl Channels {
    fn take(&mut self, limit: Option<Duration>) -> Result<Option<u64>> {
        if self.limit != limit {
            self.subscriber.set_read_timeout(limit)?;
            self.limit = limit;
        }
        match self.subscriber.recv_response() {
            Ok(Value::Array(parts)) => match parts.last() {
                Some(Value::BulkString(payload)) => Ok(Some(mark_of(payload)?)),
                _ => Ok(None),
            },
            Ok(_) => Ok(None),
            Err(_) => {
                // The server has dropped it for being slow; or the time is over, and after that the library
                // takes the next message for a late response, and skips it.
                self.subscriber = subscribe(&self.client, self.names[1])?;
                self.limit = None;
                Ok(None)
            }
        }
    }
}

fn subscribe(client: &Client, name: &str) -> Result<Connection> {
    let mut connection = client.get_connection()?;
    redis::cmd("SUBSCRIBE").arg(name).exec(&mut connection)?;
    Ok(connection)
}

impl End for Channels {
    fn meet(&mut self) -> Result {
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        redis::cmd("PUBLISH").arg(self.names[0]).arg(&message[..]).write_packed_command(&mut self.outgoing);
        self.commands += 1;
        if self.outgoing.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result {
        if self.commands > 0 {
            self.publisher.req_packed_commands(&self.outgoing, 0, self.commands)?;
            self.outgoing.clear();
            self.commands = 0;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<u64> {
        loop {
            if let Some(mark) = self.take(None)? {
                return Ok(mark);
            }
        }
    }

    fn receive_within(&mut self, limit: Duration) -> Result<Option<u64>> {
        self.take(Some(limit))
    }

    fn close(self: Box<Self>) {}
}
