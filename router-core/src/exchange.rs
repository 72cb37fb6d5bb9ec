//! Where everything of one node meets: the state machine, the routes, the queues, the counters.
//!
//! It has no I/O and no clock either. A [`Carrier`] does what is to be done; the time is handed in.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::{
    Change, Changes, DropReason, Error, Incarnation, ListenOptions, Listener, News, NodeId, Peer, Pool,
    Result, Stats, Tap,
    changes::Watchers,
    hold::Hold,
    journal::Ledger,
    listener::{ListenerQueue, Pushed},
    protocol::{Action, Config, Machine},
    rate::RateLimit,
    room::{Bounded, Lag},
    routes::Routes,
    stats::DropCounters,
    wire::hello::PROOF_LEN,
};

/// Does what the state machine says, at once and without calling back.
pub(crate) trait Carrier: std::fmt::Debug + Send + Sync {
    /// Does it, or sees to it that it will be done.
    fn carry(&self, action: Action);
}

/// Everything of one node but its I/O.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) node_id: NodeId,
    /// How this node is configured, but for where it listens.
    pub(crate) config: Config,
    pub(crate) routes: Arc<Routes>,
    machine: Mutex<Machine>,
    carrier: OnceLock<Arc<dyn Carrier>>,
    pub(crate) watchers: Watchers,
    hold: Mutex<Hold>,
    pub(crate) holding: AtomicBool,
    /// The members that can be reached now; read without the machine's lock.
    members: ArcSwap<BTreeMap<NodeId, Peer>>,
    /// Queues that are full: somebody has to look whether they lag.
    blocked: Mutex<Vec<Arc<dyn Bounded>>>,
    /// Wakes who calls [`tick`](Self::tick) before its time.
    pub(crate) alarm: Notify,
    pub(crate) frame_limit: AtomicUsize,
    pub(crate) delivered: AtomicU64,
    /// Messages that were read from journals.
    pub(crate) journaled: AtomicU64,
    /// The memory that peers can read, if a transport has some.
    pub(crate) pool: OnceLock<Arc<dyn Pool>>,
    /// Large payloads that were given a place there, and those that found none.
    pub(crate) pooled: AtomicU64,
    pub(crate) unpooled: AtomicU64,
    /// Its places on buses, if there are some.
    pub(crate) taps: OnceLock<Vec<Arc<Tap>>>,
    pub(crate) dropped: DropCounters,
    log: RateLimit,
    closed: AtomicBool,
}

impl Exchange {
    pub(crate) fn new(config: Config, seed: u64, nonce: fn() -> [u8; PROOF_LEN]) -> Arc<Self> {
        let routes = Arc::new(Routes::new(config.node_id));
        Arc::new(Self {
            node_id: config.node_id,
            frame_limit: AtomicUsize::new(config.limits.max_frame),
            machine: Mutex::new(Machine::new(config.clone(), routes.clone(), seed, nonce)),
            config,
            routes,
            carrier: OnceLock::new(),
            watchers: Watchers::new(),
            hold: Mutex::default(),
            holding: AtomicBool::new(false),
            members: ArcSwap::default(),
            blocked: Mutex::default(),
            alarm: Notify::new(),
            delivered: AtomicU64::new(0),
            journaled: AtomicU64::new(0),
            pool: OnceLock::new(),
            pooled: AtomicU64::new(0),
            unpooled: AtomicU64::new(0),
            taps: OnceLock::new(),
            dropped: DropCounters::default(),
            log: RateLimit::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Who does what is to be done. Called once, before anything else.
    pub(crate) fn carried_by(&self, carrier: Arc<dyn Carrier>) {
        self.carrier.set(carrier).expect("an exchange has one carrier");
    }

    fn lock_machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the machine something that changes nothing.
    pub(crate) fn ask<R>(&self, question: impl FnOnce(&mut Machine) -> R) -> R {
        question(&mut self.lock_machine())
    }

    /// Tells the machine something, and has done what comes of it, in order.
    pub(crate) fn tell<R>(&self, now: Instant, input: impl FnOnce(&mut Machine) -> R) -> R {
        let result = self.tell_quietly(now, input);
        self.alarm.notify_one();
        result
    }

    fn tell_quietly<R>(&self, now: Instant, input: impl FnOnce(&mut Machine) -> R) -> R {
        let mut machine = self.lock_machine();
        let result = input(&mut machine);
        // Under the machine's lock, so that what comes of two inputs is not mixed up.
        for action in machine.take_actions() {
            match action {
                Action::Tell(change) => self.note(&machine, &change),
                Action::Hold => {
                    self.lock_hold().extend(now + self.config.limits.hold);
                    self.holding.store(true, Relaxed);
                }
                action => {
                    if let Some(carrier) = self.carrier.get() {
                        carrier.carry(action);
                    }
                }
            }
        }
        drop(machine);
        self.watchers.touch();
        result
    }

    /// Keeps what is derived from the members in step, and tells the user.
    fn note(&self, machine: &Machine, change: &Change) {
        self.frame_limit.store(machine.frame_limit(), Relaxed);
        let mut members = BTreeMap::clone(&self.members.load());
        match change {
            Change::Joined(peer) => {
                tracing::info!(node = %self.node_id, peer = %peer.node_id, "joined");
                members.insert(peer.node_id, peer.clone());
            }
            Change::Left { peer, reason } => {
                tracing::info!(node = %self.node_id, peer = %peer.node_id, ?reason, "left");
                members.remove(&peer.node_id);
            }
            Change::Lost { .. } => {}
        }
        self.members.store(Arc::new(members));
        let (Change::Joined(peer) | Change::Left { peer, .. } | Change::Lost { peer, .. }) = change;
        if !peer.node_id.is_observer() {
            self.watchers.tell(change);
        }
    }

    /// The members that can be reached now.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.members.load().values().filter(|peer| !peer.node_id.is_observer()).cloned().collect()
    }

    /// Those who look on now.
    pub(crate) fn observers(&self) -> Vec<Peer> {
        self.members.load().values().filter(|peer| peer.node_id.is_observer()).cloned().collect()
    }

    /// The members as changes, then every change.
    pub(crate) fn changes(&self) -> Changes {
        // With the machine locked, so that nobody tells of a change in between.
        self.ask(|_| self.watchers.reader(self.peers().into_iter().map(Change::Joined), self.is_closed()))
    }

    /// Whom a message for `node` is handed to: the node itself, or the hub.
    pub(crate) fn hop(&self, node: NodeId) -> Option<NodeId> {
        self.members.load().get(&node).map(|peer| peer.via.unwrap_or(node))
    }

    /// What is known of a node that has emitted something, be it a member still or not.
    fn describe(&self, node: NodeId) -> Peer {
        let member = self.members.load().get(&node).cloned();
        member.unwrap_or_else(|| Peer {
            node_id: node,
            labels: Arc::default(),
            address: None,
            incarnation: if node == self.node_id { self.config.incarnation } else { Incarnation(0) },
            via: None,
        })
    }

    pub(crate) fn lock_hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what comes from now on wait for its listeners until [`begin`](Self::begin).
    pub(crate) fn prepare(&self) {
        self.lock_hold().pause();
        self.holding.store(true, Relaxed);
    }

    /// The first moment begins now, with everybody who is there already.
    pub(crate) fn begin(&self) {
        let until = Instant::now() + self.config.limits.hold;
        self.lock_hold().resume(until);
        self.routes.open_up(until);
        self.alarm.notify_one();
    }

    /// Lets timers run out. Returns when to call again at the latest.
    pub(crate) fn tick(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let machine = self.tell_quietly(now, |machine| machine.tick(now));
        let settled = self.routes.settle(now);
        let (unclaimed, held) = {
            let mut hold = self.lock_hold();
            let expired = hold.expire(now);
            self.holding.store(hold.is_active(), Relaxed);
            expired
        };
        self.count_drop(DropReason::Unclaimed, unclaimed);
        let lag = self.check_lag(now);
        [machine, settled, held, lag].into_iter().flatten().min()
    }

    /// Has somebody look whether a full queue lags.
    pub(crate) fn watch(&self, queue: Arc<dyn Bounded>) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        if !blocked.iter().any(|known| Arc::ptr_eq(known, &queue)) {
            blocked.push(queue);
            drop(blocked);
            self.alarm.notify_one();
        }
    }

    fn check_lag(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut next: Option<Instant> = None;
        let mut over: Vec<Arc<dyn Bounded>> = Vec::new();
        for queue in blocked {
            match queue.check_lag(now, self.config.limits.max_wait) {
                Lag::Until(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Lag::Over => over.push(queue),
                Lag::Dropped(dropped) => {
                    for (source, count) in dropped {
                        self.count_drop(DropReason::Lagging, count);
                        self.report_lost(source, count);
                    }
                    over.push(queue);
                }
                Lag::Evict => {
                    queue.clone().evict(self, now);
                    over.push(queue);
                }
            }
        }
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.retain(|queue| !over.iter().any(|gone| Arc::ptr_eq(gone, queue)));
        next
    }

    /// Takes in what a transport has heard besides links.
    pub(crate) fn hear(&self, news: News) {
        match news {
            News::Member { node_id, incarnation, address } => {
                let now = Instant::now();
                self.tell(now, |machine| machine.found(now, node_id, incarnation, address));
            }
            News::Foreign(count) => self.count_drop(DropReason::Foreign, count),
        }
    }

    /// Takes a listener in.
    pub(crate) fn listen(self: &Arc<Self>, pattern: &str, options: ListenOptions) -> Result<Listener> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let policy = options.policy.unwrap_or(self.config.policy);
        let queue = {
            // With the hold locked: what comes meanwhile finds the listener, and comes after what was held for it.
            let mut hold = self.lock_hold();
            let queue = self.routes.listen(pattern, options, policy, &self.config.limits)?;
            let held = hold.claim(&queue);
            let taken: u64 = held.into_iter().map(|held| queue.push(held.into(), None).taken).sum();
            self.delivered.fetch_add(taken, Relaxed);
            queue
        };
        self.journals_for(pattern).for_each(|ledger| ledger.progress().listens());
        let listener = Listener::new(queue, self.clone());
        self.tell(Instant::now(), |machine| machine.listen(pattern, 1));
        Ok(listener)
    }

    /// Takes a listener out; `left` messages had been handed to it that it did not look at.
    pub(crate) fn unlisten(&self, queue: &Arc<ListenerQueue>, left: u64) {
        self.leave_out(queue);
        let left = left + queue.close();
        self.dropped.add(DropReason::Unsubscribed, left);
    }

    fn leave_out(&self, queue: &Arc<ListenerQueue>) {
        if self.routes.unlisten(queue) {
            self.journals_for(&queue.pattern).for_each(|ledger| ledger.progress().leaves());
            self.tell(Instant::now(), |machine| machine.listen(&queue.pattern, -1));
        }
    }

    /// The journals in which there may be something for such a listener.
    fn journals_for(&self, pattern: &str) -> impl Iterator<Item = &Arc<Ledger>> {
        self.routes.journals().iter().filter(move |ledger| ledger.durable().may_interest(pattern))
    }

    /// Cuts off a listener that lags.
    pub(crate) fn evict_listener(&self, queue: &Arc<ListenerQueue>) {
        tracing::warn!(
            pattern = &*queue.pattern,
            "a listener took nothing for longer than `max_wait` and is evicted: take its messages faster, raise \
             `max_wait`, or choose another policy"
        );
        self.leave_out(queue);
        for (source, dropped) in queue.cut_off() {
            self.dropped.add(DropReason::Evicted, dropped);
            self.report_lost(source, dropped);
        }
    }

    /// Counts what came of handing messages of `source` to a listener.
    pub(crate) fn handed(&self, queue: &Arc<ListenerQueue>, source: NodeId, pushed: Pushed) {
        self.delivered.fetch_add(pushed.taken, Relaxed);
        if pushed.dropped > 0 {
            self.count_drop(DropReason::Lagging, pushed.dropped);
            self.report_lost(source, pushed.dropped);
        }
        if pushed.full {
            self.watch(queue.clone());
        }
    }

    /// Tells the user that messages of `source` are lost for listeners here.
    pub(crate) fn report_lost(&self, source: NodeId, count: u64) {
        if count > 0 {
            self.watchers.tell(&Change::Lost { peer: self.describe(source), count });
        }
    }

    /// Counts messages that are dropped here, and logs it.
    pub(crate) fn count_drop(&self, reason: DropReason, count: u64) {
        if count > 0 {
            self.dropped.add(reason, count);
            self.log.log(count, |count| tracing::warn!(count, ?reason, "messages were dropped"));
        }
    }

    /// Counts a message that is of no use to its listener.
    pub(crate) fn reject(&self, reason: DropReason, error: &Error) {
        self.dropped.add(reason, 1);
        self.log.log(1, |count| tracing::warn!(count, ?reason, %error, "messages were dropped"));
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.ask(|machine| machine.stats());
        for ledger in self.routes.journals() {
            stats.journaled += ledger.entries.confirmed();
            stats.unjournaled += ledger.entries.waiting();
        }
        stats.received += self.journaled.load(Relaxed);
        stats.delivered = self.delivered.load(Relaxed);
        stats.pooled = self.pooled.load(Relaxed);
        stats.unpooled = self.unpooled.load(Relaxed);
        stats.dropped.add(self.dropped.read());
        stats
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Takes nothing more from the user. Returns whether it did before.
    pub(crate) fn stop_taking(&self) -> bool {
        !self.closed.swap(true, Relaxed)
    }

    /// Ends every stream.
    pub(crate) fn end(&self) {
        self.members.store(Arc::default());
        self.watchers.end();
        self.routes.listeners().iter().for_each(|listener| listener.end());
    }
}
