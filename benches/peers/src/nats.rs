//! NATS: a server of our own with its default limits, and the asynchronous client, whose subscriptions drop
//! what they have no room for.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tidings::BoxError;
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::{
    harness::{
        End, Listening, Messages, Result, Route, Subject, Wire, mark_of,
        tidings::{BACK, FORTH},
    },
    server::Server,
    sockets::free_port,
};

pub(crate) struct Nats;

/// Starts a server, and returns its address.
pub(crate) fn serve() -> Result<(Server, String)> {
    let port = free_port()?.to_string();
    let address = format!("127.0.0.1:{port}");
    let mut server = Server::start("nats-server", &["-a", "127.0.0.1", "-p", &port])?;
    server.ready(|| Ok(std::net::TcpStream::connect(&address)?))?;
    Ok((server, address))
}

impl Subject for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn carries(&self, route: &Route) -> bool {
        // What others do over TCP alone, it does through its server.
        matches!(route.wire, Wire::Tcp | Wire::Nats)
    }

    fn may_lose(&self) -> bool {
        true
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let (server, address) = serve()?;
        let end = Connection::open(&address, route, [FORTH, BACK], Some(server))?;
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        Ok(Box::new(Connection::open(address, route, [BACK, FORTH], None)?))
    }
}

struct Connection {
    runtime: Runtime,
    client: Client,
    subscriber: Subscriber,
    event: &'static str,
    messages: Messages,
    _server: Option<Server>,
}

impl Connection {
    fn open(address: &str, route: &Route, names: [&'static str; 2], server: Option<Server>) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (client, subscriber): (Client, Subscriber) = runtime.block_on(async {
            let client = async_nats::connect(address).await?;
            let subscriber = client.subscribe(names[1]).await?;
            // The server knows of it when it answers.
            client.flush().await?;
            Ok::<_, BoxError>((client, subscriber))
        })?;
        let messages = Messages::new(route.size);
        Ok(Self { runtime, client, subscriber, event: names[0], messages, _server: server })
    }
}

impl End for Connection {
    fn meet(&mut self) -> Result {
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        Ok(self.runtime.block_on(self.client.publish(self.event, self.messages.get(mark)))?)
    }

    fn flush(&mut self) -> Result {
        Ok(self.runtime.block_on(self.client.flush())?)
    }

    fn receive(&mut self) -> Result<u64> {
        let message = self.runtime.block_on(self.subscriber.next()).ok_or("the subscription has ended")?;
        mark_of(&message.payload)
    }

    fn receive_within(&mut self, limit: Duration) -> Result<Option<u64>> {
        let next = self.runtime.block_on(async { timeout(limit, self.subscriber.next()).await });
        let Ok(message) = next else { return Ok(None) };
        Ok(Some(mark_of(&message.ok_or("the subscription has ended")?.payload)?))
    }

    fn close(self: Box<Self>) {}
}
