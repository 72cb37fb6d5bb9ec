use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Bus, Mailbox, Tap};
use crate::{Acceptor, Address, BoxFuture, Connector, Link, ListenContext, News, Result};

/// Makes the links of one node on a bus.
#[derive(Debug)]
pub(crate) struct BusConnector {
    bus: Arc<dyn Bus>,
    tap: Arc<Tap>,
}

impl BusConnector {
    pub(crate) fn new(bus: Arc<dyn Bus>, tap: Arc<Tap>) -> Self {
        Self { bus, tap }
    }
}

impl Connector for BusConnector {
    fn listen<'a>(&'a self, _context: &'a ListenContext) -> BoxFuture<'a, Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            self.bus.connect(self.tap.clone()).await?;
            Ok(Box::new(BusAcceptor { tap: self.tap.clone() }) as Box<dyn Acceptor>)
        })
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Arc<dyn Link>>> {
        Box::pin(async move {
            let nowhere =
                || io::Error::new(io::ErrorKind::InvalidInput, "not the address of a node on a bus");
            self.tap.dial(Mailbox::of(address).ok_or_else(nowhere)?).await
        })
    }

    fn close(&self) {
        self.tap.close();
    }

    fn flushed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tap.served())
    }
}

impl Drop for BusConnector {
    fn drop(&mut self) {
        self.tap.close();
    }
}

/// Takes in the links that other nodes open, and hears of other nodes.
#[derive(Debug)]
struct BusAcceptor {
    tap: Arc<Tap>,
}

impl Drop for BusAcceptor {
    fn drop(&mut self) {
        self.tap.refuse();
    }
}

impl Acceptor for BusAcceptor {
    /// None: who wants to reach this node connects to the broker.
    fn addresses(&self) -> Vec<Address> {
        Vec::new()
    }

    fn reached_at(&self) -> Vec<Address> {
        vec![self.tap.mailbox().address(self.tap.scheme())]
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>> {
        self.tap.poll_link(cx).map(Ok)
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        self.tap.poll_news(cx)
    }
}
