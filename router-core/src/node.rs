//! The one implementation of [`Router`]: an exchange with its I/O.

mod carry;
mod reading;
mod spare;
mod wire;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use crate::{
    Acceptor, Address, BoxFuture, Changes, Connector, DropReason, EmitOptions, Error, Incarnation,
    ListenContext, ListenOptions, Listener, Loan, News, NodeId, Payload, Peer, Publish, Report, Result,
    Revision, Router, RouterBuilder, Stats, Timeout, Topology, Transport, Wire,
    builder::check_address,
    bus::{BusConnector, Mailbox, Tap},
    exchange::Exchange,
    journal::Ledger,
    node::carry::{Carriers, Way, news},
    protocol::{Config, Machine},
    runtime,
};

/// How long a router that is dropped without a shutdown goes on sending what was queued.
const LINGER: Duration = Duration::from_secs(1);

/// Which part of a shutdown's time is kept for asking those who have not answered how far they have come: a quarter.
const SOUNDING: u32 = 4;

/// A node of a cluster.
pub(crate) struct Node {
    exchange: Arc<Exchange>,
    carriers: Arc<Carriers>,
    transports: Vec<Arc<dyn Transport>>,
    topology: Topology,
    /// Taken out to stop listening.
    acceptors: Arc<Mutex<Vec<Box<dyn Acceptor>>>>,
    addresses: Vec<Address>,
}

fn random_u64() -> u64 {
    getrandom::u64().expect("the operating system gives us random numbers")
}

fn nonce() -> [u8; 32] {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).expect("the operating system gives us random numbers");
    nonce
}

impl Node {
    pub(crate) async fn open(builder: RouterBuilder, attach_to: Vec<Address>) -> Result<Self> {
        let has_bus = builder.transports.iter().any(|transport| transport.capability().broker);
        // Who is at a broker is attached to everyone there.
        let topology = match builder.topology {
            Topology::Alone if has_bus => Topology::Mesh,
            topology => topology,
        };
        let config = Config {
            node_id: builder.node_id,
            incarnation: Incarnation(random_u64()),
            cluster: builder.cluster_name().to_owned(),
            labels: builder.labels,
            topology,
            secret: builder.secret,
            policy: builder.policy,
            limits: builder.limits,
            address: None,
        };
        let context = ListenContext {
            node_id: config.node_id,
            cluster: config.cluster.clone(),
            guarded: config.secret.is_some() || builder.insecure,
            insecure: builder.insecure,
        };
        let timeout = config.limits.connect_timeout;
        let mailbox = Mailbox { node_id: config.node_id, incarnation: config.incarnation };
        let mut taps = Vec::new();
        let connector = |transport: &Arc<dyn Transport>, taps: &mut Vec<_>| -> Arc<dyn Connector> {
            match transport.wire() {
                Wire::Links(connector) => connector,
                Wire::Bus(bus) => {
                    let tap = Tap::new(transport.scheme(), &config.cluster, mailbox, timeout);
                    taps.push(tap.clone());
                    Arc::new(BusConnector::new(bus, tap))
                }
            }
        };
        let way = |transport: &Arc<dyn Transport>| Way {
            scheme: transport.scheme(),
            connector: connector(transport, &mut taps),
            distance: transport.capability().distance(),
        };
        let connectors = builder.transports.iter().map(way).collect();
        // Who looks on is dialled by nobody, but on a bus it has to be there to hear.
        let is_link = |transport: &Arc<dyn Transport>| matches!(transport.wire(), Wire::Links(_));
        let silent: Vec<bool> =
            builder.transports.iter().map(|transport| builder.looks_on && is_link(transport)).collect();
        let exchange = Exchange::new(config, random_u64(), nonce);
        if !taps.is_empty() {
            let _ = exchange.taps.set(taps);
        }
        let carriers = Carriers::new(&exchange, connectors);
        exchange.carried_by(Arc::new(carriers.clone()));
        let acceptors = Arc::new(Mutex::new(Vec::new()));
        let mut node = Self {
            exchange,
            carriers,
            transports: builder.transports,
            topology: builder.topology,
            acceptors,
            addresses: Vec::new(),
        };
        node.open_journals().await?;
        let mut reached_at = Vec::new();
        for (connector, silent) in
            node.carriers.connectors().cloned().collect::<Vec<_>>().into_iter().zip(silent)
        {
            if let Some(pool) = connector.pool() {
                // Of two transports that share memory the first one's serves.
                let _ = node.exchange.pool.set(pool);
            }
            if silent {
                continue;
            }
            let context = context.clone();
            let listening = runtime::io().spawn(async move { connector.listen(&context).await });
            let acceptor = listening.await.map_err(|error| Error::failed("listening", error))??;
            node.addresses.extend(acceptor.addresses());
            reached_at.extend(acceptor.reached_at());
            lock(&node.acceptors).push(acceptor);
        }
        node.exchange.ask(|machine| machine.listens_on(reached_at.into_iter().next()));
        let found = node.heard();
        node.carriers.start(&node.acceptors);
        node.attach_all(attach_to, timeout).await?;
        if has_bus {
            // After those that are attached to, and whom those have told of: they may be nearer.
            found.into_iter().for_each(|news| node.exchange.hear(news));
            node.meet_all(timeout).await?;
        }
        Ok(node)
    }

    /// Has the events that survive a restart written and read.
    async fn open_journals(&self) -> Result<()> {
        let mut opened = Vec::new();
        for journal in self.transports.iter().filter_map(|transport| transport.journal()) {
            let config = self.exchange.config.clone();
            let opening = runtime::io().spawn(async move { Ledger::open(journal, &config).await });
            opened.push(opening.await.map_err(|error| Error::failed("opening a journal", error))??);
        }
        if opened.is_empty() {
            return Ok(());
        }
        self.exchange.routes.journal(opened.iter().map(|(ledger, _)| ledger.clone()).collect());
        opened.into_iter().for_each(|(ledger, link)| ledger.start(link, &self.exchange));
        Ok(())
    }

    /// Has the journals written as far as that goes until then. Returns how many messages were, and how many were not.
    async fn settle_journals(&self, deadline: Instant) -> (u64, u64) {
        let ledgers = self.exchange.routes.journals();
        let pending: u64 = ledgers.iter().map(|ledger| ledger.entries.waiting()).sum();
        // All at once: each of them has all the time there is.
        ledgers.iter().for_each(|ledger| ledger.close_by(deadline));
        let mut left = 0;
        for ledger in ledgers {
            left += ledger.settled().await;
        }
        (pending.saturating_sub(left), left)
    }

    /// Tells the transports whom those speak to who are no nodes.
    pub(crate) fn introduce(&self, router: &Arc<dyn Router>) {
        self.carriers.connectors().for_each(|connector| connector.opened(Arc::downgrade(router)));
    }

    /// Connects to everyone who was found on a bus; who does not answer is not waited for beyond the first try.
    async fn meet_all(&self, timeout: Duration) -> Result<()> {
        let mut revision = self.exchange.watchers.revision();
        let meeting = async {
            while !self.exchange.ask(|machine| machine.has_met())? {
                if !revision.changed().await {
                    return Err(Error::Closed);
                }
            }
            Ok(())
        };
        Timeout::new(timeout, Box::pin(meeting)).await.unwrap_or(Ok(()))
    }

    /// What the acceptors have heard while they began to listen.
    fn heard(&self) -> Vec<News> {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut acceptors = lock(&self.acceptors);
        acceptors.iter_mut().flat_map(|acceptor| news(&mut **acceptor, cx)).collect()
    }

    async fn attach_all(&self, addresses: Vec<Address>, timeout: Duration) -> Result<()> {
        for address in &addresses {
            check_address(&self.transports, address)?;
        }
        if self.exchange.is_closed() {
            return Err(Error::Closed);
        }
        if addresses.is_empty() {
            return Ok(());
        }
        // A node that listens for nothing yet has not begun. Some whom it connects with may be there long before the
        // last one is: what they say to it meanwhile, and what it says to them at once, is not lost.
        let _opening = self.exchange.routes.listeners().is_empty().then(|| Opening::new(&self.exchange));
        let mut revision = self.exchange.watchers.revision();
        let now = Instant::now();
        let dials = self.exchange.tell(now, |machine| {
            addresses.into_iter().map(|address| machine.attach(now, address)).collect::<Vec<_>>()
        });
        // Who gives up, also by dropping the future, leaves no dial behind.
        let abandoned = Abandon { exchange: &self.exchange, dials: &dials };
        let attaching = async {
            while !self.exchange.ask(|machine| machine.is_attached(&dials))? {
                if !revision.changed().await {
                    return Err(Error::Closed);
                }
            }
            Ok(())
        };
        let attached = Timeout::new(timeout, Box::pin(attaching)).await;
        let result = attached.unwrap_or_else(|| {
            // Those that are connected may still be waiting for members that cannot be reached.
            self.exchange.ask(|machine| machine.unattached(&dials)).map_or(Ok(()), |(address, source)| {
                Err(Error::Unreachable { address, after: timeout, source: source.map(Into::into) })
            })
        });
        if result.is_ok() {
            std::mem::forget(abandoned);
        }
        result
    }

    fn stop_listening(&self) {
        let acceptors = std::mem::take(&mut *lock(&self.acceptors));
        drop(acceptors);
    }

    /// Waits until the machine says so, or for so long.
    async fn until(&self, limit: Duration, reached: impl Fn(&Machine) -> bool) {
        let mut revision = self.exchange.watchers.revision();
        let waiting =
            async { while !self.exchange.ask(|machine| reached(machine)) && revision.changed().await {} };
        Timeout::new(limit, Box::pin(waiting)).await;
    }

    async fn close_by(&self, deadline: Duration) -> Report {
        let started = Instant::now();
        if !self.exchange.stop_taking() {
            return Report::default();
        }
        let sessions: Vec<_> = self.exchange.ask(|machine| machine.sessions().cloned().collect());
        let pending: Vec<u64> = sessions.iter().map(|session| session.outbox.seal()).collect();
        self.stop_listening();
        self.exchange.tell(started, |machine| machine.goodbye());
        let sounding = deadline / SOUNDING;
        let goodbye = self.until(deadline - sounding, Machine::has_parted);
        let ((flushed, discarded), ()) = tokio::join!(self.settle_journals(started + deadline), goodbye);
        if !self.exchange.ask(|machine| machine.without_farewell().is_empty()) {
            // Those who live tell how far they have come, so that the report is exact.
            sessions.iter().for_each(|session| session.outbox.freeze());
            self.exchange.tell(Instant::now(), |machine| machine.sound_out());
            self.until(deadline.saturating_sub(started.elapsed()), |machine| !machine.is_sounding()).await;
        }
        let unreachable = self.exchange.ask(|machine| machine.without_farewell());
        let mut report = Report { unreachable, flushed, discarded, ..Report::default() };
        for (session, pending) in sessions.iter().zip(pending) {
            let left = session.outbox.close(DropReason::Shutdown).min(pending);
            report.discarded += left + session.outbox.late();
            report.flushed += pending - left;
        }
        self.carriers.stop();
        self.exchange.end();
        let leaving = Box::pin(self.carriers.flushed());
        Timeout::new(deadline.saturating_sub(started.elapsed()), leaving).await;
        report.took = started.elapsed();
        report
    }
}

fn lock(acceptors: &Mutex<Vec<Box<dyn Acceptor>>>) -> MutexGuard<'_, Vec<Box<dyn Acceptor>>> {
    acceptors.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives up dials when it is dropped.
struct Abandon<'a> {
    exchange: &'a Exchange,
    dials: &'a [crate::protocol::DialId],
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.exchange.ask(|machine| machine.abandon(self.dials));
    }
}

/// A node that connects for the first time; its first moment begins when this is dropped.
struct Opening<'a>(&'a Exchange);

impl<'a> Opening<'a> {
    fn new(exchange: &'a Exchange) -> Self {
        exchange.prepare();
        Self(exchange)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.begin();
    }
}

impl Router for Node {
    fn node_id(&self) -> NodeId {
        self.exchange.node_id
    }

    fn incarnation(&self) -> Incarnation {
        self.exchange.config.incarnation
    }

    fn cluster(&self) -> &str {
        &self.exchange.config.cluster
    }

    fn labels(&self) -> &[String] {
        &self.exchange.config.labels
    }

    fn topology(&self) -> Topology {
        self.topology
    }

    fn addresses(&self) -> Vec<Address> {
        self.addresses.clone()
    }

    fn peers(&self) -> Vec<Peer> {
        self.exchange.peers()
    }

    fn observers(&self) -> Vec<Peer> {
        self.exchange.observers()
    }

    fn listeners(&self, event: &str) -> usize {
        self.exchange.routes.remote_listeners(event)
    }

    fn stats(&self) -> Stats {
        self.exchange.stats()
    }

    fn changes(&self) -> Changes {
        self.exchange.changes()
    }

    fn revision(&self) -> Revision {
        self.exchange.watchers.revision()
    }

    fn publish(&self, event: &str, payload: &dyn Payload, options: &EmitOptions) -> Result<Publish> {
        self.exchange.publish(event, payload, options)
    }

    fn loan(&self, len: usize) -> Loan {
        self.exchange.lease(len).map_or_else(|| Loan::own(len), Loan::shared)
    }

    fn listen(&self, pattern: &str, options: ListenOptions) -> Result<Listener> {
        self.exchange.listen(pattern, options)
    }

    fn attach(&self, addresses: Vec<Address>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.attach_all(addresses, self.exchange.config.limits.connect_timeout))
    }

    fn close(&self, deadline: Duration) -> BoxFuture<'_, Report> {
        Box::pin(self.close_by(deadline))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop_listening();
        if self.exchange.stop_taking() {
            // The tasks that serve the links say goodbye and end by themselves.
            self.exchange.tell(Instant::now(), |machine| machine.goodbye());
            self.exchange
                .routes
                .journals()
                .iter()
                .for_each(|ledger| ledger.close_by(Instant::now() + LINGER));
            self.carriers.stop_by(Instant::now() + LINGER);
            self.exchange.end();
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("node_id", &self.exchange.node_id)
            .field("cluster", &self.exchange.config.cluster)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}
