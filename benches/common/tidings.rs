//! Tidings through its public API: `emit` on one side, `subscribe` on the other.

use std::{sync::Arc, time::Duration};

use tidings::{
    BoxError, Bytes, RouterBuilder, Subscription,
    prelude::{Ipc, Memory, Router, Tcp, Zmq},
};

use super::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of, tidings_handler::Handlers};

/// How long the two ends may take to find each other.
pub(crate) const MEET_WITHIN: Duration = Duration::from_secs(20);

/// What the sender emits.
pub(crate) const FORTH: &str = "forth";
/// What a receiver answers.
pub(crate) const BACK: &str = "back";

/// Eight numbers that MessagePack needs 65 bytes for, as the typed row sends them.
type Numbers = [u64; 8];

/// From this size on there is a row for loans; the default from which on a payload is shared, in bytes.
const LOANED: usize = 32 * 1024;

/// Tidings with raw payloads, for 64 bytes also with a typed one, for large ones also with loans, and over ZeroMQ.
pub(crate) fn subjects() -> Vec<Arc<dyn Subject>> {
    let subject = |way| Arc::new(Tidings { way, network: Memory::network() }) as Arc<dyn Subject>;
    let handlers = |how: Handlers| Arc::new(how) as Arc<dyn Subject>;
    vec![
        subject(Way::Raw),
        handlers(Handlers::Woken),
        handlers(Handlers::BusyPoll),
        subject(Way::Typed),
        subject(Way::Loan),
        subject(Way::Zmq),
    ]
}

/// What is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `Bytes` that were made before.
    Raw,
    /// A value.
    Typed,
    /// Memory of the router, into which each message is copied: what is sent has to come from somewhere.
    Loan,
    /// `Bytes` that were made before, over ZeroMQ.
    Zmq,
}

struct Tidings {
    way: Way,
    network: Memory,
}

/// A router on sockets.
pub(crate) fn builder(wire: Wire) -> RouterBuilder {
    match wire {
        Wire::Tcp => Router::builder().transport(Tcp::bind("127.0.0.1:0")),
        Wire::Memory | Wire::Ipc | Wire::Redis | Wire::Nats => Router::builder().transport(Ipc::new()),
    }
}

impl Tidings {
    fn builder(&self, wire: Wire) -> RouterBuilder {
        match wire {
            _ if self.way == Way::Zmq => Router::builder().transport(Zmq::bind("tcp://127.0.0.1:0")),
            Wire::Memory => Router::builder().transport(self.network.clone()),
            Wire::Ipc | Wire::Tcp | Wire::Redis | Wire::Nats => builder(wire),
        }
    }
}

/// One end: a router that emits the first event and listens for the second one.
pub(crate) fn end(way: Way, builder: RouterBuilder, route: &Route, names: [&'static str; 2]) -> Result<Node> {
    let router = builder.open().wait()?;
    let inbox = match way {
        Way::Raw | Way::Zmq => Inbox::Raw(router.subscribe(names[1])?, Messages::new(route.size)),
        Way::Typed => Inbox::Typed(router.subscribe(names[1])?),
        Way::Loan => Inbox::Loan(router.subscribe(names[1])?, Messages::new(route.size)),
    };
    Ok(Node { router, event: names[0], others: route.receivers, inbox })
}

impl Subject for Tidings {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Raw => "tidings",
            Way::Typed => "tidings-typed",
            Way::Loan => "tidings-loan",
            Way::Zmq => "tidings-zmq",
        }
    }

    fn carries(&self, route: &Route) -> bool {
        match self.way {
            // Over a server it is a subject of its own, which starts one.
            _ if matches!(route.wire, Wire::Redis | Wire::Nats) => false,
            Way::Raw => true,
            Way::Typed => route.size == size_of::<Numbers>(),
            Way::Loan => route.wire == Wire::Ipc && route.size >= LOANED,
            Way::Zmq => route.wire == Wire::Tcp,
        }
    }

    fn must_deliver(&self) -> bool {
        true
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let node = end(self.way, self.builder(route.wire).node_id(0), route, [FORTH, BACK])?;
        let address = node.router.addresses().first().ok_or("the router listens nowhere")?.to_string();
        Ok((Box::new(node), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, index: usize) -> Result<Box<dyn End>> {
        let id = u32::try_from(index + 1)?;
        let builder = self.builder(route.wire).node_id(id).attach_to([address]);
        let sender_alone = Route { receivers: 1, ..*route };
        Ok(Box::new(end(self.way, builder, &sender_alone, [BACK, FORTH])?))
    }
}

/// One end of a route.
pub(crate) struct Node {
    router: Arc<Router>,
    event: &'static str,
    others: usize,
    inbox: Inbox,
}

enum Inbox {
    Raw(Subscription<Bytes>, Messages),
    Typed(Subscription<Numbers>),
    Loan(Subscription<Bytes>, Messages),
}

impl End for Node {
    fn meet(&mut self) -> Result {
        Ok(self.router.wait_for_listeners(self.event, self.others).timeout(MEET_WITHIN).wait()?)
    }

    fn send(&mut self, mark: u64) -> Result {
        match &self.inbox {
            Inbox::Raw(_, messages) => self.router.emit(self.event, messages.get(mark)).wait()?,
            Inbox::Typed(_) => {
                let mut numbers: Numbers = [u64::MAX; 8];
                numbers[0] = mark;
                self.router.emit(self.event, &numbers).wait()?;
            }
            Inbox::Loan(_, messages) => {
                let message = messages.get(mark);
                let mut loan = self.router.loan(message.len());
                loan.copy_from_slice(&message);
                self.router.emit(self.event, loan.freeze()).wait()?;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<u64> {
        let ended = || BoxError::from("the subscription has ended");
        match &mut self.inbox {
            Inbox::Raw(events, _) | Inbox::Loan(events, _) => {
                let event = events.try_next().or_else(|| events.next_wait()).ok_or_else(ended)?;
                mark_of(&event.payload)
            }
            Inbox::Typed(events) => {
                let event = events.try_next().or_else(|| events.next_wait()).ok_or_else(ended)?;
                Ok(event.payload[0])
            }
        }
    }

    fn close(self: Box<Self>) {
        self.router.shutdown(Duration::from_secs(1)).wait();
    }
}
