//! zenoh between peers without a router: reliable publishers that wait when there is no room, no scouting.

use std::{io::Read, thread, time::Duration};

use zenoh::{
    Config, Session, Wait,
    bytes::ZBytes,
    handlers::FifoChannelHandler,
    pubsub::{Publisher, Subscriber},
    qos::{CongestionControl, Reliability},
    sample::Sample,
    shm::{BlockOn, GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder},
};

use crate::{
    harness::{End, Listening, MARK_BYTES, Messages, Result, Route, Subject, Wire, mark_of},
    sockets::{Directory, free_port},
};

/// How payloads travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zenoh {
    /// Over the socket.
    Sockets,
    /// In shared memory, a buffer for each message; the socket carries where it is.
    SharedMemory,
}

/// Bytes of the sender's shared memory.
const MEMORY: usize = 64 << 20;

const FORTH: &str = "forth";
const BACK: &str = "back";

impl Subject for Zenoh {
    fn name(&self) -> &'static str {
        match self {
            Self::Sockets => "zenoh",
            Self::SharedMemory => "zenoh-shm",
        }
    }

    fn carries(&self, route: &Route) -> bool {
        match self {
            Self::Sockets => route.wire.is_socket(),
            Self::SharedMemory => route.wire == Wire::Ipc,
        }
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let directory = Directory::new()?;
        let address = match route.wire {
            Wire::Ipc => format!("unixsock-stream/{}", directory.path("socket")?),
            _ => format!("tcp/127.0.0.1:{}", free_port()?),
        };
        let session = open("listen", &address, *self)?;
        let end = Peer::new(*self, session, route, [FORTH, BACK], Some(directory))?;
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        let session = open("connect", address, *self)?;
        Ok(Box::new(Peer::new(*self, session, route, [BACK, FORTH], None)?))
    }
}

fn open(direction: &str, address: &str, how: Zenoh) -> Result<Session> {
    let mut config = Config::default();
    let shared_memory = if how == Zenoh::SharedMemory { "true" } else { "false" };
    let endpoints = format!("[{address:?}]");
    for (key, value) in [
        ("mode", "\"peer\""),
        ("scouting/multicast/enabled", "false"),
        ("scouting/gossip/enabled", "false"),
        ("transport/shared_memory/enabled", shared_memory),
        // Not at the wildcard address besides.
        ("listen/endpoints", "[]"),
        (&format!("{direction}/endpoints"), &endpoints),
    ] {
        config.insert_json5(key, value)?;
    }
    zenoh::open(config).wait()
}

struct Peer {
    publisher: Publisher<'static>,
    subscriber: Subscriber<FifoChannelHandler<Sample>>,
    memory: Option<ShmProvider<PosixShmProviderBackend>>,
    messages: Messages,
    session: Session,
    _directory: Option<Directory>,
}

impl Peer {
    fn new(
        how: Zenoh,
        session: Session,
        route: &Route,
        names: [&'static str; 2],
        directory: Option<Directory>,
    ) -> Result<Self> {
        let memory = match how {
            Zenoh::SharedMemory => Some(ShmProviderBuilder::default_backend(MEMORY).wait()?),
            Zenoh::Sockets => None,
        };
        let publisher = session
            .declare_publisher(names[0])
            .congestion_control(CongestionControl::Block)
            .reliability(Reliability::Reliable)
            .wait()?;
        let subscriber = session.declare_subscriber(names[1]).wait()?;
        let messages = Messages::new(route.size);
        Ok(Self { publisher, subscriber, memory, messages, session, _directory: directory })
    }
}

impl End for Peer {
    fn meet(&mut self) -> Result {
        // The sender's end meets at least the first; all have told it when they have said their first word.
        while !self.publisher.matching_status().wait()?.matching() {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        let payload: ZBytes = match &self.memory {
            None => message.into(),
            Some(memory) => {
                let policy = memory.alloc(message.len()).with_policy::<BlockOn<GarbageCollect>>();
                let mut buffer = policy.wait()?;
                buffer.copy_from_slice(&message);
                buffer.into()
            }
        };
        self.publisher.put(payload).wait()
    }

    fn receive(&mut self) -> Result<u64> {
        let sample = self.subscriber.recv()?;
        let mut mark = [0; MARK_BYTES];
        sample.payload().reader().read_exact(&mut mark)?;
        mark_of(&mark)
    }

    fn close(self: Box<Self>) {
        if let Err(error) = self.session.close().wait() {
            eprintln!("zenoh: {error}");
        }
    }
}
