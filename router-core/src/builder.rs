use std::{sync::Arc, time::Duration};

use crate::{
    Address, AddressText, Error, Limits, NodeId, Policy, Result, Router, Secret, Topology, Transport, Wait,
    Wire, node::Node,
};

/// Describes a router; made by `Router::builder()`, ended by [`open`](Self::open), which checks everything.
#[derive(Debug, Clone, Default)]
#[must_use = "a `RouterBuilder` does nothing until `.open()`"]
pub struct RouterBuilder {
    pub(crate) node_id: NodeId,
    pub(crate) labels: Vec<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) topology: Topology,
    pub(crate) transports: Vec<Arc<dyn Transport>>,
    pub(crate) attach_to: Vec<AddressText>,
    pub(crate) secret: Option<Secret>,
    pub(crate) insecure: bool,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    /// Nobody is to dial this node.
    pub(crate) looks_on: bool,
}

/// The name of a cluster that was not given one.
const DEFAULT_CLUSTER: &str = "tidings";

/// The longest name of a cluster, and the longest label, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// How many labels a node may have.
pub(crate) const MAX_LABELS: usize = 64;

impl RouterBuilder {
    /// The number that names this node in its cluster. Default 0.
    pub fn node_id(mut self, node_id: impl Into<NodeId>) -> Self {
        self.node_id = node_id.into();
        self
    }

    /// Looks on: the node gets a random id of those from [`NodeId::FIRST_OBSERVER`] on, and is no member to the
    /// others. Their [`peers`](Router::peers), [`changes`](Router::changes) and waits leave it out; what it listens
    /// for reaches it, and what it emits reaches them. It listens on no address. For tools that watch a cluster.
    pub fn observer(mut self) -> Self {
        self.looks_on = true;
        let above = fastrand::u32(..u32::MAX - NodeId::FIRST_OBSERVER.0);
        self.node_id(NodeId::FIRST_OBSERVER.0 + above)
    }

    /// The same, but listens: other observers find it, and hear what it emits.
    pub fn listening_observer(self) -> Self {
        Self { looks_on: false, ..self.observer() }
    }

    /// Labels that others see in [`Peer::labels`](crate::Peer::labels), added to those given before. At most 64 of
    /// 255 bytes each.
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.labels.extend(labels.into_iter().map(Into::into));
        self
    }

    /// The name of the cluster; nodes of other clusters are never heard. Default `tidings`, at most 255 bytes.
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = Some(cluster.into());
        self
    }

    /// The shape of the cluster. Default [`Topology::Mesh`].
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        self
    }

    /// A way to reach other nodes. Without one the router is this process alone. Given more than once, the node
    /// stands on all of them.
    pub fn transport(self, transport: impl Transport) -> Self {
        self.shared_transport(Arc::new(transport))
    }

    /// The same, of a transport whose type the caller does not know.
    pub fn shared_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transports.push(transport);
        self
    }

    /// Addresses of peers to connect to, added to those given before. [`open`](Self::open) returns when all are
    /// connected.
    pub fn attach_to(mut self, addresses: impl IntoIterator<Item = impl ToString>) -> Self {
        self.attach_to.extend(addresses.into_iter().map(|address| AddressText::from(address.to_string())));
        self
    }

    /// What every node of the cluster must hold. Default none; needed to listen beyond this machine.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Listens beyond this machine without a secret: whoever reaches the address is let in.
    pub fn insecure_no_auth(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// What becomes of messages for peers and listeners that lag. Default [`Policy::Evict`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// All bounds at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// See [`Limits::max_frame`].
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.limits.max_frame = bytes;
        self
    }

    /// See [`Limits::queue_bytes`].
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.limits.queue_bytes = bytes;
        self
    }

    /// See [`Limits::queue_messages`].
    pub fn queue_messages(mut self, messages: usize) -> Self {
        self.limits.queue_messages = messages;
        self
    }

    /// See [`Limits::window`].
    pub fn window(mut self, bytes: usize) -> Self {
        self.limits.window = bytes;
        self
    }

    /// See [`Limits::listener_bytes`].
    pub fn listener_bytes(mut self, bytes: usize) -> Self {
        self.limits.listener_bytes = bytes;
        self
    }

    /// See [`Limits::handler_budget`].
    pub fn handler_budget(mut self, bytes: usize) -> Self {
        self.limits.handler_budget = bytes;
        self
    }

    /// See [`Limits::max_wait`].
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.limits.max_wait = wait;
        self
    }

    /// See [`Limits::hold`].
    pub fn hold(mut self, hold: Duration) -> Self {
        self.limits.hold = hold;
        self
    }

    /// See [`Limits::heartbeat`] and [`Limits::dead_after`].
    pub fn heartbeat(mut self, every: Duration, dead_after: Duration) -> Self {
        self.limits.heartbeat = every;
        self.limits.dead_after = dead_after;
        self
    }

    /// See [`Limits::handshake_timeout`].
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// See [`Limits::connect_timeout`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// See [`Limits::resume_within`].
    pub fn resume_within(mut self, timeout: Duration) -> Self {
        self.limits.resume_within = timeout;
        self
    }

    /// Checks everything, listens, connects to the peers to attach to, and returns when all of that is done.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] and [`Error::InvalidAddress`] for what cannot be; [`Error::TransportDisabled`] for an
    /// address that no transport of this router serves; [`Error::AddressInUse`], [`Error::SocketPathTooLong`],
    /// [`Error::SecretRequired`], [`Error::Listen`] when listening fails; [`Error::Unreachable`] after
    /// [`Limits::connect_timeout`]; and at once when a peer refuses: [`Error::WrongSecret`],
    /// [`Error::WrongCluster`], [`Error::WrongVersion`], [`Error::WrongTopology`], [`Error::NotTidings`],
    /// [`Error::DuplicateNodeId`], [`Error::Refused`]. [`Error::Journal`] when the server of a
    /// [journal](crate::Durable) does not work.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops listening and connecting; nothing stays behind.
    pub fn open(self) -> Wait<'static, Arc<dyn Router>> {
        let what = format!("opening of node {}", self.node_id);
        Wait::new(what, async move {
            let attach_to = self.check()?;
            // The work is done where links are served, whatever runtime, or none, the caller is in.
            let node = Arc::new(Node::open(self, attach_to).await?);
            let router: Arc<dyn Router> = node.clone();
            node.introduce(&router);
            Ok(router)
        })
    }

    pub(crate) fn cluster_name(&self) -> &str {
        self.cluster.as_deref().unwrap_or(DEFAULT_CLUSTER)
    }

    /// Checks what can be checked without I/O, and returns the addresses to attach to.
    fn check(&self) -> Result<Vec<Address>> {
        let setting = |setting: &str, reason: &str| {
            Err(Error::Setting { setting: setting.to_owned(), reason: reason.to_owned() })
        };
        if self.node_id == NodeId(u32::MAX) {
            return setting("node_id", "the highest number stands for everyone");
        }
        if self.cluster_name().is_empty() || self.cluster_name().len() > MAX_NAME {
            return setting("cluster", "a name has 1 to 255 bytes");
        }
        if self.labels.len() > MAX_LABELS || self.labels.iter().any(|label| label.len() > MAX_NAME) {
            return setting("labels", "at most 64 labels of 255 bytes each");
        }
        let limits = &self.limits;
        if limits.max_frame < 1024 || limits.max_frame > u32::MAX as usize / 2 {
            return setting("max_frame", "from 1 KiB to 2 GiB");
        }
        let bounds = [
            ("queue_bytes", limits.queue_bytes),
            ("queue_messages", limits.queue_messages),
            ("window", limits.window),
            ("listener_bytes", limits.listener_bytes),
            ("handler_budget", limits.handler_budget),
            ("max_handshakes", limits.max_handshakes),
        ];
        for (name, bound) in bounds {
            if bound == 0 {
                return setting(name, "at least 1");
            }
        }
        if limits.handshake_timeout.is_zero() {
            return setting("handshake_timeout", "above zero, or nobody can join");
        }
        if limits.heartbeat.is_zero() || limits.dead_after <= limits.heartbeat {
            return setting(
                "heartbeat",
                "above zero, and shorter than the time after which a silent link is dead",
            );
        }
        let addresses: Vec<Address> =
            self.attach_to.iter().map(|text| text.parse()).collect::<Result<_>>()?;
        addresses.iter().try_for_each(|address| check_address(&self.transports, address))?;
        if !self.topology.forwards(self.node_id) && self.topology == Topology::Star && addresses.len() > 1 {
            return setting("attach_to", "a leaf of a star attaches to node 0 alone");
        }
        Ok(addresses)
    }
}

/// Whether `address` can be attached to.
pub(crate) fn check_address(transports: &[Arc<dyn Transport>], address: &Address) -> Result<()> {
    let transport = transports.iter().find(|transport| address.is_served_by(transport.scheme()));
    match transport.map(|transport| transport.wire()) {
        Some(Wire::Links(_)) => Ok(()),
        Some(Wire::Bus(_)) => Err(Error::Setting {
            setting: "attach_to".to_owned(),
            reason: format!(
                "`{address}` is a broker, where nodes find each other: `.transport(..)` alone says which"
            ),
        }),
        None => Err(Error::TransportDisabled { address: address.to_string(), feature: address.feature() }),
    }
}
