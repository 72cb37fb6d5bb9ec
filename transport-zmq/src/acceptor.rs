use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
};

use tidings_router_core::{Acceptor, Address, Link, News};

use crate::engine::{Command, Engine};

/// Takes in the links that others open.
#[derive(Debug)]
pub(crate) struct ZmqAcceptor {
    engine: Arc<Engine>,
    address: Address,
}

impl ZmqAcceptor {
    pub(crate) fn new(engine: Arc<Engine>, address: Address) -> Self {
        Self { engine, address }
    }
}

impl Acceptor for ZmqAcceptor {
    fn addresses(&self) -> Vec<Address> {
        vec![self.address.clone()]
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>> {
        self.engine.poll_link(cx).map(Ok)
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        self.engine.poll_news(cx)
    }
}

impl Drop for ZmqAcceptor {
    fn drop(&mut self) {
        self.engine.command(Command::Refuse);
    }
}
