use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use tidings_router_core::{
    BoxFuture, Bus, Capability, Channel, Mailbox, Placement, Request, Result, Tap, Transport, Wire, runtime,
};

/// How much is taken from a tap at once, in bytes.
const BATCH: usize = 256 << 10;

/// A bus within this process that loses what a test says. Clones are the same broker.
#[derive(Clone, Default)]
pub struct Broker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    taps: Mutex<HashMap<(String, Mailbox), Arc<Tap>>>,
    /// Who has subscribed the broadcasts of a node.
    listeners: Mutex<HashMap<Mailbox, HashSet<Mailbox>>>,
    /// Broadcasts come behind what was published after them.
    is_late: AtomicBool,
    /// Bytes that were published, and packets that were broadcast.
    bytes: AtomicU64,
    broadcasts: AtomicU64,
    /// One packet of so many is lost; 0: none.
    loses: AtomicU64,
    /// It restarts after so many packets; 0: never.
    restarts: AtomicU64,
    /// Packets that were taken, and those of them that were lost.
    packets: AtomicU64,
    lost: AtomicU64,
}

impl Broker {
    /// A broker that loses one packet of every `nth`, from now on.
    pub fn lose_every(&self, nth: u64) {
        self.shared.loses.store(nth, Relaxed);
    }

    /// How many packets it has lost, or how often it has restarted.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    /// After every so many packets it breaks all connections, loses what is on its way, and lets them come back.
    pub fn restart_every(&self, nth: u64) {
        self.shared.restarts.store(nth, Relaxed);
    }

    /// From now on broadcasts come after packets for mailboxes that were published behind them.
    pub fn bring_broadcasts_late(&self) {
        self.shared.is_late.store(true, Relaxed);
    }

    /// How many bytes were published.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Relaxed)
    }

    /// How many packets were broadcast.
    pub fn broadcasts(&self) -> u64 {
        self.shared.broadcasts.load(Relaxed)
    }

    /// Publishes to a mailbox what no node has written.
    pub fn publish(&self, mailbox: Mailbox, packet: &'static [u8]) {
        let taps = self.shared.lock();
        let whose = taps.iter().find(|((_, known), _)| *known == mailbox);
        whose.into_iter().for_each(|(_, tap)| tap.arrived(Bytes::from_static(packet)));
    }

    /// The mailboxes of all nodes.
    pub fn mailboxes(&self) -> Vec<Mailbox> {
        self.shared.lock().keys().map(|(_, mailbox)| *mailbox).collect()
    }
}

/// Tells a tap of everyone in its cluster.
fn announce(taps: &HashMap<(String, Mailbox), Arc<Tap>>, cluster: &str, tap: &Tap) {
    let others = taps.keys().filter(|(others, _)| others == cluster);
    others.for_each(|(_, mailbox)| tap.found(*mailbox));
}

/// Whether `number`, from 0, is the last of a round of `every`; there are none of 0.
fn is_nth(number: u64, every: u64) -> bool {
    every > 0 && number % every == every - 1
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Mailbox), Arc<Tap>>> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<Mailbox, HashSet<Mailbox>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, tap: &Arc<Tap>) {
        let mut taps = self.lock();
        announce(&taps, tap.cluster(), tap);
        taps.insert((tap.cluster().to_owned(), tap.mailbox()), tap.clone());
        tap.up();
    }

    fn restart(&self) {
        self.lost.fetch_add(1, Relaxed);
        let taps = self.lock();
        self.listeners().clear();
        taps.values().for_each(|tap| tap.down());
        for ((cluster, _), tap) in taps.iter() {
            announce(&taps, cluster, tap);
            tap.up();
        }
    }

    /// Publishes what a tap has and subscribes what it wants, until it is closed.
    async fn serve(&self, tap: &Arc<Tap>) {
        let _serving = tap.serve();
        loop {
            tokio::select! {
                biased;
                request = tap.next_request() => self.grant(tap, request),
                any = self.publish_some(tap) => match any {
                    true => tokio::task::yield_now().await,
                    false => break,
                },
            }
        }
        self.lock().remove(&(tap.cluster().to_owned(), tap.mailbox()));
        // The answers to what had arrived before.
        while self.publish_some(tap).await {}
    }

    /// Returns whether there was anything.
    async fn publish_some(&self, tap: &Tap) -> bool {
        let mut packets = tap.outgoing().next(BATCH).await;
        let any = !packets.is_empty();
        if self.is_late.load(Relaxed) {
            packets.sort_by_key(|(to, _)| matches!(to, Channel::Broadcasts(_)));
        }
        for (to, packet) in packets {
            self.bytes.fetch_add(packet.len() as u64, Relaxed);
            let number = self.packets.fetch_add(1, Relaxed);
            if is_nth(number, self.loses.load(Relaxed)) {
                self.lost.fetch_add(1, Relaxed);
                continue;
            }
            if is_nth(number, self.restarts.load(Relaxed)) {
                self.restart();
                break;
            }
            match to {
                Channel::Mailbox(mailbox) => match self.lock().get(&(tap.cluster().to_owned(), mailbox)) {
                    Some(target) => target.arrived(packet),
                    None => tap.unheard(mailbox),
                },
                Channel::Broadcasts(mailbox) => self.broadcast(tap.cluster(), mailbox, &packet),
            }
        }
        any
    }

    fn broadcast(&self, cluster: &str, from: Mailbox, packet: &Bytes) {
        self.broadcasts.fetch_add(1, Relaxed);
        let listeners = self.listeners().get(&from).cloned().unwrap_or_default();
        let taps = self.lock();
        let targets = listeners.into_iter().filter_map(|to| taps.get(&(cluster.to_owned(), to)));
        targets.for_each(|target| target.arrived(packet.clone()));
    }

    fn grant(&self, tap: &Tap, request: Request) {
        let mut listeners = self.listeners();
        match request {
            Request::Subscribe(whose) => {
                listeners.entry(whose).or_default().insert(tap.mailbox());
                drop(listeners);
                tap.subscribed(whose);
            }
            Request::Unsubscribe(whose) => {
                listeners.get_mut(&whose).map(|listeners| listeners.remove(&tap.mailbox()));
            }
        }
    }
}

impl Bus for Broker {
    fn connect(&self, tap: Arc<Tap>) -> BoxFuture<'_, Result<()>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.join(&tap);
            runtime::io().spawn(async move { shared.serve(&tap).await });
            Ok(())
        })
    }
}

impl Transport for Broker {
    fn scheme(&self) -> &'static str {
        "memory"
    }

    fn capability(&self) -> Capability {
        Capability::reliable().broker()
    }

    fn wire(&self) -> Wire {
        Wire::Bus(Arc::new(self.clone()))
    }

    fn place(&self, _placement: &Placement) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.clone()))
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}
