//! iceoryx2: a publisher that loans its samples and waits for a subscriber that has no room, in two ways of
//! knowing that there is one.

use std::time::Duration;

use iceoryx2::{
    node::{Node, NodeBuilder},
    port::{
        backpressure_strategy::BackpressureStrategy, listener::Listener, notifier::Notifier,
        publisher::Publisher, subscriber::Subscriber,
    },
    prelude::{LogLevel, set_log_level},
    service::ipc::Service,
};

use tidings::BoxError;

use crate::{
    harness::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of},
    poll,
    sockets::free_port,
};

/// How a receiver knows that there is a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iceoryx2 {
    /// It sleeps until it is woken up, for each sample.
    Event,
    /// It looks again and again.
    Poll,
}

/// Bytes of all samples that a subscriber has room for, about.
const CAPACITY: usize = 4 << 20;

/// A wake-up that is missed does not stop the bench for longer.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

const FORTH: &str = "forth";
const BACK: &str = "back";

impl Subject for Iceoryx2 {
    fn name(&self) -> &'static str {
        match self {
            Self::Event => "iceoryx2-event",
            Self::Poll => "iceoryx2-poll",
        }
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire == Wire::Ipc
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        // Services have names for the whole machine: a port that is free makes one that nobody else has now.
        let address = format!("tidings-peers/{}/{}", std::process::id(), free_port()?);
        let end = Ports::open(*self, route, &address, [FORTH, BACK])?;
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        Ok(Box::new(Ports::open(*self, route, address, [BACK, FORTH])?))
    }
}

struct Ports {
    how: Iceoryx2,
    publisher: Publisher<Service, [u8], ()>,
    subscriber: Subscriber<Service, [u8], ()>,
    notifier: Notifier<Service>,
    listener: Listener<Service>,
    messages: Messages,
    _node: Node<Service>,
}

impl Ports {
    fn open(how: Iceoryx2, route: &Route, address: &str, names: [&str; 2]) -> Result<Self> {
        // Not that there is no configuration file.
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().create::<Service>()?;
        let samples = |name: &str| {
            let service = node.service_builder(&format!("{address}/{name}").as_str().try_into()?);
            let room = (CAPACITY / route.size).clamp(8, 1024);
            Ok::<_, BoxError>(
                service
                    .publish_subscribe::<[u8]>()
                    .enable_safe_overflow(false)
                    .history_size(0)
                    .subscriber_max_buffer_size(room)
                    .max_publishers(MAX_ENDS)
                    .max_subscribers(MAX_ENDS)
                    .max_nodes(MAX_ENDS)
                    .open_or_create()?,
            )
        };
        let events = |name: &str| {
            let service = node.service_builder(&format!("{address}/{name}/wake").as_str().try_into()?);
            let service = service.event().max_notifiers(MAX_ENDS).max_listeners(MAX_ENDS);
            Ok::<_, BoxError>(service.max_nodes(MAX_ENDS).open_or_create()?)
        };
        let publisher = samples(names[0])?
            .publisher_builder()
            .initial_max_slice_len(route.size)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        Ok(Self {
            how,
            publisher,
            subscriber: samples(names[1])?.subscriber_builder().create()?,
            notifier: events(names[0])?.notifier_builder().create()?,
            listener: events(names[1])?.listener_builder().create()?,
            messages: Messages::new(route.size),
            _node: node,
        })
    }

    fn take(&self) -> Result<Option<u64>> {
        self.subscriber.receive()?.map(|sample| mark_of(sample.payload())).transpose()
    }
}

/// The sender and the most receivers of a bench.
const MAX_ENDS: usize = 32;

impl End for Ports {
    fn meet(&mut self) -> Result {
        // The receivers' first message tells the sender that they are there; they find it there.
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        let sample = self.publisher.loan_slice_uninit(message.len())?;
        sample.write_from_slice(&message).send()?;
        if self.how == Iceoryx2::Event {
            self.notifier.notify()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<u64> {
        if self.how == Iceoryx2::Poll {
            return poll::until(|| self.take());
        }
        loop {
            if let Some(mark) = self.take()? {
                return Ok(mark);
            }
            self.listener.timed_wait(|_| {}, LOOK_AGAIN)?;
        }
    }

    fn close(self: Box<Self>) {}
}
