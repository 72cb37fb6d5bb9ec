//! Tidings through a server of another system.

use tidings::{
    RouterBuilder,
    prelude::Router,
    transport::{Nats, Redis},
};

use crate::{
    harness::{
        End, Listening, Result, Route, Subject, Wire,
        tidings::{BACK, FORTH, Node, Way, end},
    },
    nats, redis,
    server::Server,
};

/// Whose server.
pub(crate) enum Brokered {
    Redis,
    Nats,
}

/// A node, and at the sender's end the server.
struct Served {
    node: Box<Node>,
    _server: Option<Server>,
}

impl Brokered {
    fn wire(&self) -> Wire {
        match self {
            Self::Redis => Wire::Redis,
            Self::Nats => Wire::Nats,
        }
    }

    fn serve(&self) -> Result<(Server, String)> {
        match self {
            Self::Redis => redis::serve(),
            Self::Nats => nats::serve(),
        }
    }

    fn builder(&self, address: &str) -> RouterBuilder {
        match self {
            Self::Redis => Router::builder().transport(Redis::connect(address)),
            Self::Nats => Router::builder().transport(Nats::connect(address)),
        }
    }

    fn open(&self, id: u32, address: &str, route: &Route, names: [&'static str; 2]) -> Result<Box<Node>> {
        Ok(Box::new(end(Way::Raw, self.builder(address).node_id(id), route, names)?))
    }
}

impl Subject for Brokered {
    fn name(&self) -> &'static str {
        "tidings"
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire == self.wire()
    }

    fn must_deliver(&self) -> bool {
        true
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let (server, address) = self.serve()?;
        let node = self.open(0, &address, route, [FORTH, BACK])?;
        Ok((Box::new(Served { node, _server: Some(server) }), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, index: usize) -> Result<Box<dyn End>> {
        let sender_alone = Route { receivers: 1, ..*route };
        let node = self.open(u32::try_from(index + 1)?, address, &sender_alone, [BACK, FORTH])?;
        Ok(Box::new(Served { node, _server: None }))
    }
}

impl End for Served {
    fn meet(&mut self) -> Result {
        self.node.meet()
    }

    fn send(&mut self, mark: u64) -> Result {
        self.node.send(mark)
    }

    fn receive(&mut self) -> Result<u64> {
        self.node.receive()
    }

    fn close(self: Box<Self>) {
        self.node.close();
    }
}
