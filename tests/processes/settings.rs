//! What a node is told when it is started, as the words of one environment variable.

use std::{env, time::Duration};

use tidings::{Address, Policy, RouterBuilder, Secret, Topology, transport};

/// What a node that is started as a process is to be.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) id: u32,
    pub(crate) topology: Topology,
    /// An address to listen on, or [`PRIVATE`] or [`PRIVATE_BUSY`]; several of them are separated by commas.
    pub(crate) listen: String,
    pub(crate) attach_to: Vec<String>,
    /// Its place in [`POLICIES`].
    pub(crate) policy: usize,
    pub(crate) max_wait: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) dead_after: Duration,
    pub(crate) queue_bytes: usize,
    pub(crate) guarded: bool,
}

/// The policies, by number.
pub(crate) const POLICIES: [Policy; 4] =
    [Policy::Evict, Policy::DropOldest, Policy::DropNewest, Policy::Latest];

const SETTINGS: &str = "TIDINGS_TEST_SETTINGS";

/// A unix socket with a name of its own.
pub(crate) const PRIVATE: &str = "private";

/// The same, whose links are looked at again and again.
pub(crate) const PRIVATE_BUSY: &str = "private-busy";

/// Any free port of loopback.
pub(crate) const LOOPBACK: &str = "tcp://127.0.0.1:0";

/// The same, over ZeroMQ.
pub(crate) const ZMQ_LOOPBACK: &str = "zmq+tcp://127.0.0.1:0";

impl Settings {
    /// A node of a mesh with the default settings.
    pub(crate) fn new(id: u32, listen: impl Into<String>) -> Self {
        Self {
            id,
            topology: Topology::Mesh,
            listen: listen.into(),
            attach_to: Vec::new(),
            policy: 0,
            max_wait: Duration::from_secs(1),
            heartbeat: Duration::from_secs(2),
            dead_after: Duration::from_secs(8),
            queue_bytes: 8 << 20,
            guarded: false,
        }
    }

    pub(crate) fn attach_to(mut self, addresses: impl IntoIterator<Item = impl ToString>) -> Self {
        self.attach_to = addresses.into_iter().map(|address| address.to_string()).collect();
        self
    }

    /// A heartbeat that makes the tests short: dead after 800 ms.
    pub(crate) fn quick(mut self) -> Self {
        (self.heartbeat, self.dead_after) = (Duration::from_millis(200), Duration::from_millis(800));
        self
    }

    /// The variable that says all of it, and its value.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        let words = [
            self.id.to_string(),
            self.topology.to_string(),
            self.listen.clone(),
            self.policy.to_string(),
            self.max_wait.as_millis().to_string(),
            self.heartbeat.as_millis().to_string(),
            self.dead_after.as_millis().to_string(),
            self.queue_bytes.to_string(),
            self.guarded.to_string(),
            self.attach_to.join(" "),
        ];
        (SETTINGS, words.join(" "))
    }

    /// Those that this process was started with.
    pub(crate) fn of_environment() -> Self {
        let text = env::var(SETTINGS).unwrap();
        let mut words = text.split_whitespace();
        let mut word = || words.next().unwrap();
        let millis = |word: &str| Duration::from_millis(word.parse().unwrap());
        Self {
            id: word().parse().unwrap(),
            topology: word().parse().unwrap(),
            listen: word().to_owned(),
            policy: word().parse().unwrap(),
            max_wait: millis(word()),
            heartbeat: millis(word()),
            dead_after: millis(word()),
            queue_bytes: word().parse().unwrap(),
            guarded: word().parse().unwrap(),
            attach_to: words.map(str::to_owned).collect(),
        }
    }

    pub(crate) fn builder(&self) -> RouterBuilder {
        let builder = tidings::Router::builder()
            .node_id(self.id)
            .topology(self.topology)
            .policy(POLICIES[self.policy])
            .max_wait(self.max_wait)
            .queue_bytes(self.queue_bytes)
            .heartbeat(self.heartbeat, self.dead_after)
            .handshake_timeout(Duration::from_millis(500))
            .connect_timeout(Duration::from_secs(20))
            .attach_to(&self.attach_to);
        let builder = self.listen.split(',').fold(builder, |builder, listen| match listen {
            PRIVATE => builder.transport(transport::Ipc::new()),
            PRIVATE_BUSY => builder.transport(transport::Ipc::new().busy_poll(true)),
            address => {
                let address: Address = address.parse().unwrap();
                builder.shared_transport(transport::listening_on(&address).unwrap())
            }
        });
        if self.guarded { builder.secret(Secret::from_bytes([7; 32])) } else { builder }
    }
}
