//! Does what the state machine says: dials, writes, closes; and lets its timers run out.

use std::{
    collections::HashMap,
    io,
    os::fd::BorrowedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    lock as lock_acceptors,
    reading::Read,
    wire::{TURN, Wired},
};
use crate::{
    Acceptor, Address, Connector, Distance, Link, News, Readiness, Ring, Timeout,
    exchange::{Carrier, Exchange},
    protocol::{Action, DialId, LinkEnd, LinkId},
    reactor::{Cue, Source, Turn},
    runtime,
};

/// How long one try to connect may take before the next one.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often timers are looked at when nothing is due: never, but the sleep has to be some length.
const IDLE: Duration = Duration::from_secs(3600);

/// How long no link is accepted after an error that would come again at once: without descriptors the connection
/// stays in the queue, and trying again at once would keep a core busy.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether an error of accepting is more than that of a single connection, which is gone with it.
fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// What makes links.
#[derive(Debug)]
pub(super) struct Way {
    /// That of the addresses that it is for.
    pub(super) scheme: &'static str,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) distance: Distance,
}

/// All that an acceptor has heard besides links.
pub(super) fn news(acceptor: &mut dyn Acceptor, cx: &mut Context<'_>) -> Vec<News> {
    let next = || match acceptor.poll_news(cx) {
        Poll::Ready(news) => Some(news),
        Poll::Pending => None,
    };
    std::iter::from_fn(next).collect()
}

/// The links of a node, and the tasks that serve them.
#[derive(Debug)]
pub(crate) struct Carriers {
    /// Weak: the exchange owns its carrier.
    exchange: Weak<Exchange>,
    /// In the order of the transports, as the acceptors are.
    connectors: Vec<Way>,
    wires: Mutex<HashMap<LinkId, Arc<Wired>>>,
    next_link: AtomicU64,
    stopped: AtomicBool,
    stop: Notify,
    /// When to stop at the latest, once the router is dropped.
    stop_at: Mutex<Option<Instant>>,
}

impl Carriers {
    pub(super) fn new(exchange: &Arc<Exchange>, connectors: Vec<Way>) -> Arc<Self> {
        Arc::new(Self {
            exchange: Arc::downgrade(exchange),
            connectors,
            wires: Mutex::default(),
            next_link: AtomicU64::new(1),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
            stop_at: Mutex::default(),
        })
    }

    pub(crate) fn connectors(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.connectors.iter().map(|way| &way.connector)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LinkId, Arc<Wired>>> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to accept links and to let timers run out.
    pub(crate) fn start(self: &Arc<Self>, acceptors: &Arc<Mutex<Vec<Box<dyn Acceptor>>>>) {
        let Some(exchange) = self.exchange.upgrade() else { return };
        if !self.connectors.is_empty() {
            runtime::io().spawn(self.clone().accept(exchange.clone(), acceptors.clone()));
        }
        runtime::io().spawn(self.clone().keep_time(exchange));
    }

    /// Closes all links, at once.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.stop.notify_waiters();
        self.stop.notify_one();
        if let Some(exchange) = self.exchange.upgrade() {
            exchange.alarm.notify_one();
        }
        self.lock().drain().for_each(|(_, wire)| wire.link().close());
        self.connectors().for_each(|connector| connector.close());
    }

    /// Ready when what links had taken has left this process.
    pub(crate) async fn flushed(&self) {
        for connector in self.connectors() {
            connector.flushed().await;
        }
    }

    /// Closes all links when everyone has answered our goodbye, or at that time.
    pub(crate) fn stop_by(&self, at: Instant) {
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        self.stop.notify_waiters();
        self.stop.notify_one();
        if let Some(exchange) = self.exchange.upgrade() {
            exchange.alarm.notify_one();
        }
    }

    fn stop_at(&self) -> Option<Instant> {
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes links in until the acceptors are taken away.
    async fn accept(self: Arc<Self>, exchange: Arc<Exchange>, acceptors: Arc<Mutex<Vec<Box<dyn Acceptor>>>>) {
        loop {
            let accepted = std::future::poll_fn(|cx| {
                let mut acceptors = lock_acceptors(&acceptors);
                for acceptor in acceptors.iter_mut() {
                    news(&mut **acceptor, cx).into_iter().for_each(|news| exchange.hear(news));
                }
                let ways = acceptors.iter_mut().zip(&self.connectors);
                let mut ready =
                    ways.map(|(acceptor, way)| acceptor.poll_accept(cx).map_ok(|link| (link, way.distance)));
                ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
            });
            let accepted = tokio::select! {
                accepted = accepted => accepted,
                () = self.stop.notified() => return,
            };
            match accepted {
                Ok((link, distance)) => {
                    let now = Instant::now();
                    let (remote, wire) = (link.remote(), self.wire(link, distance));
                    exchange.tell(now, |machine| machine.accepted(now, wire.id(), remote));
                    self.serve(&exchange, wire);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a link");
                    if is_lasting(&error) {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    async fn keep_time(self: Arc<Self>, exchange: Arc<Exchange>) {
        while !self.stopped.load(Relaxed) {
            let now = Instant::now();
            let next = exchange.tick(now);
            if let Some(at) = self.stop_at()
                && (at <= now || exchange.ask(|machine| machine.has_parted()))
            {
                return self.stop();
            }
            let until = next.into_iter().chain(self.stop_at()).min().unwrap_or(now + IDLE);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = exchange.alarm.notified() => {}
            }
        }
    }

    /// A new link.
    fn wire(&self, link: Arc<dyn Link>, distance: Distance) -> Arc<Wired> {
        let id = LinkId { number: self.next_link.fetch_add(1, Relaxed), distance };
        let wire = Arc::new(Wired::new(id, link));
        self.lock().insert(wire.id(), wire.clone());
        if self.stopped.load(Relaxed) {
            wire.link().close();
        }
        wire
    }

    /// Starts to read from and to write to a link that the machine knows of.
    fn serve(self: &Arc<Self>, exchange: &Arc<Exchange>, wire: Arc<Wired>) {
        let served = Served { wire: wire.clone(), carriers: self.clone(), exchange: exchange.clone() };
        if let Some(seat) = wire.seat() {
            let served = Arc::new(served);
            if let Err(error) = seat.serve(served.clone()) {
                tracing::warn!(%error, "cannot serve a link");
                return served.end(&LinkEnd::Lost);
            }
        } else {
            runtime::io().spawn(async move { served.read().await });
        }
        runtime::io().spawn(wire.write());
    }

    async fn dial(self: Arc<Self>, id: DialId, address: Address) {
        let way = self.connectors.iter().find(|way| address.is_served_by(way.scheme));
        let dialled = match way {
            Some(way) => {
                let dialling = Box::pin(async { way.connector.dial(&address).await });
                let dialled = Timeout::new(DIAL_TIMEOUT, dialling).await;
                dialled
                    .unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
                    .map(|link| (link, way.distance))
            }
            // A member told of it that stands on a transport that this node does not have.
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        let Some(exchange) = self.exchange.upgrade() else { return };
        let now = Instant::now();
        match dialled {
            Ok((link, distance)) => {
                let (remote, wire) = (link.remote(), self.wire(link, distance));
                exchange.tell(now, |machine| machine.dialled(now, id, Ok((wire.id(), remote))));
                self.serve(&exchange, wire);
            }
            Err(error) => exchange.tell(now, |machine| machine.dialled(now, id, Err(error))),
        }
    }
}

/// A link, and whom what comes from it goes to.
#[derive(Debug)]
struct Served {
    wire: Arc<Wired>,
    carriers: Arc<Carriers>,
    exchange: Arc<Exchange>,
}

impl Served {
    async fn read(self) {
        if let Readiness::Wakers(wakers) = self.wire.link().readiness() {
            let end = self.wire.read(wakers, &self.exchange).await;
            self.end(&end);
        }
    }

    fn end(&self, end: &LinkEnd) {
        self.carriers.lock().remove(&self.wire.id());
        self.wire.link().close();
        // The writing task may wait for something to write, or for room, and nothing else would wake it.
        self.wire.close();
        self.wire.unblock();
        let now = Instant::now();
        self.exchange.tell(now, |machine| machine.lost(now, self.wire.id(), end));
    }
}

impl Source for Served {
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self.wire.link().readiness() {
            Readiness::Socket(socket) | Readiness::Ring(socket, _) => Some(socket),
            Readiness::Wakers(_) => None,
        }
    }

    fn ring(&self) -> Option<&dyn Ring> {
        match self.wire.link().readiness() {
            Readiness::Ring(_, ring) => Some(ring),
            Readiness::Socket(_) | Readiness::Wakers(_) => None,
        }
    }

    fn readable(&self, cue: Cue) -> Turn {
        if cue == Cue::Told && self.ring().is_some_and(Ring::carries_writes) {
            // The bell may have rung for who writes.
            self.wire.unblock();
        }
        for _ in 0..TURN {
            // What panics here (a waker, say, which is somebody else's) ends one link, and not the thread of all others.
            let read = catch_unwind(AssertUnwindSafe(|| self.wire.read_some(&self.exchange)));
            match read.unwrap_or(Err(LinkEnd::Lost)) {
                Ok(Read::Nothing) => return Turn::Over,
                // A stream is empty after a read that was not filled, until it says otherwise.
                Ok(Read::All) if cue != Cue::Ended => return Turn::Over,
                Ok(Read::All | Read::Part) => {}
                Err(end) => {
                    self.end(&end);
                    return Turn::Gone;
                }
            }
        }
        Turn::Again
    }

    fn writable(&self) {
        self.wire.unblock();
    }
}

impl Carrier for Arc<Carriers> {
    fn carry(&self, action: Action) {
        match action {
            Action::Dial(id, address) => {
                if !self.stopped.load(Relaxed) {
                    runtime::io().spawn(self.clone().dial(id, address));
                }
            }
            Action::Send(link, frame) => {
                if let Some(wire) = self.lock().get(&link) {
                    wire.send(frame);
                }
            }
            Action::Establish(link, session) => {
                if let Some(wire) = self.lock().get(&link) {
                    wire.establish(session);
                }
            }
            Action::Close(link) => {
                if let Some(wire) = self.lock().get(&link) {
                    wire.close();
                }
            }
            Action::Abort(link) => {
                if let Some(wire) = self.lock().get(&link) {
                    wire.abort();
                }
            }
            // The exchange deals with these itself.
            Action::Hold | Action::Tell(_) => {}
        }
    }
}
