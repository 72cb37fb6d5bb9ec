use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use super::Op;
use crate::{
    Address, Distance, EmitOptions, Incarnation, Limits, ListenOptions, Listener, NodeId, Policy, Publish,
    Result, Topology,
    deliver::Inbox,
    exchange::{Carrier, Exchange},
    outbox::Gather,
    protocol::{Action, Config, DialId, LinkEnd, LinkId},
    session::Session,
};

/// Collects what is to be done, for the world to do.
#[derive(Debug, Default)]
struct Pending(Mutex<VecDeque<Action>>);

impl Carrier for Arc<Pending> {
    fn carry(&self, action: Action) {
        self.0.lock().unwrap().push_back(action);
    }
}

/// One life of a node.
#[derive(Debug)]
pub(super) struct SimNode {
    pub(super) id: NodeId,
    pub(super) exchange: Arc<Exchange>,
    pending: Arc<Pending>,
    address: Address,
    attached: Vec<DialId>,
    pub(super) alive: bool,
    pub(super) listener: Option<Listener>,
    /// Whether it has listened all its life.
    pub(super) constant: bool,
    /// What it has heard: which life of which node emitted it, and the number.
    pub(super) heard: BTreeMap<u64, Vec<u64>>,
    pub(super) emitted: u64,
}

/// One end of a link: what it has to write, and what it has read.
#[derive(Debug)]
struct End {
    node: usize,
    frames: VecDeque<Bytes>,
    session: Option<Arc<Session>>,
    closing: bool,
    /// On its way to this end.
    wire: BytesMut,
    inbox: Bytes,
    told_lost: bool,
}

#[derive(Debug)]
struct SimLink {
    ends: [End; 2],
    cut: bool,
    silent: bool,
}

/// A cluster, the bytes on their way, and the time.
#[derive(Debug)]
pub(super) struct World {
    pub(super) nodes: Vec<SimNode>,
    /// Which of the nodes are the latest lives of the ids 0 and up.
    pub(super) current: Vec<usize>,
    topology: Topology,
    links: BTreeMap<LinkId, SimLink>,
    next_link: u64,
    now: Instant,
    seed: u64,
}

/// Small bounds, so that small schedules reach them.
fn limits() -> Limits {
    Limits { queue_messages: 40, queue_bytes: 4_000, window: 3_000, ..Limits::default() }
}

impl World {
    pub(super) fn new(nodes: usize, topology: Topology, seed: u64) -> Self {
        let mut world = Self {
            nodes: Vec::new(),
            current: Vec::new(),
            topology,
            links: BTreeMap::new(),
            next_link: 1,
            now: Instant::now(),
            seed,
        };
        for id in 0..nodes {
            let node = world.start(NodeId(id as u32));
            world.current.push(node);
        }
        world
    }

    /// Starts a life of a node: it attaches to node 0, or node 0, started again, to node 1.
    fn start(&mut self, id: NodeId) -> usize {
        let index = self.nodes.len();
        let address: Address = format!("memory://0/{}", id.0).parse().unwrap();
        let config = Config {
            node_id: id,
            incarnation: Incarnation(index as u64 + 1),
            cluster: "simulated".into(),
            labels: Vec::new(),
            topology: self.topology,
            secret: Some(crate::Secret::from_bytes([7; 32])),
            policy: Policy::Evict,
            limits: limits(),
            address: Some(address.clone()),
        };
        let exchange = Exchange::new(config, self.seed ^ index as u64, || [1; 32]);
        let pending = Arc::new(Pending::default());
        exchange.carried_by(Arc::new(pending.clone()));
        let listener = exchange.listen("number", ListenOptions::default()).unwrap();
        let attach = match id.0 {
            0 if self.topology == Topology::Mesh && index > 0 => Some(1),
            0 => None,
            _ => Some(0),
        };
        let now = self.now;
        let attached = attach.map(|to: u32| format!("memory://0/{to}").parse().unwrap());
        let attached = attached.map(|to| exchange.tell(now, |machine| machine.attach(now, to)));
        self.nodes.push(SimNode {
            id,
            exchange,
            pending,
            address,
            attached: attached.into_iter().collect(),
            alive: true,
            listener: Some(listener),
            constant: true,
            heard: BTreeMap::new(),
            emitted: 0,
        });
        index
    }

    /// Another node with the id of one that is there.
    pub(super) fn impostor(&mut self, id: u32) -> usize {
        let index = self.start(NodeId(id));
        self.nodes[index].address = "memory://0/99".parse().unwrap();
        index
    }

    pub(super) fn attach_result(&self, node: usize) -> Result<bool> {
        let node = &self.nodes[node];
        node.exchange.ask(|machine| machine.is_attached(&node.attached))
    }

    pub(super) fn dial_each_other(&mut self) {
        for (node, to) in [(0, 1), (1, 0)] {
            let (now, to) = (self.now, format!("memory://0/{to}").parse().unwrap());
            self.nodes[node].exchange.tell(now, |machine| machine.attach(now, to));
        }
    }

    pub(super) fn apply(&mut self, op: &Op) {
        match *op {
            Op::Emit { node, count } => self.emit(self.node(node), count),
            Op::Carry { link, bytes } => {
                if let Some((id, end)) = self.pick(link) {
                    self.write(id, end);
                    self.read(id, 1 - end, bytes);
                }
            }
            Op::Cut { link, bytes } => {
                if let Some((id, end)) = self.pick(link) {
                    self.write(id, end);
                    self.read(id, 1 - end, bytes);
                    self.cut(id);
                }
            }
            Op::Restart { node } => {
                let node = node % self.current.len();
                self.kill(self.current[node]);
                let id = self.nodes[self.current[node]].id;
                self.current[node] = self.start(id);
            }
            Op::Pass { millis } => self.pass(Duration::from_millis(millis)),
            Op::Listen { node } => {
                let node = self.node(node);
                self.take(node);
                let node = &mut self.nodes[node];
                node.constant = false;
                node.listener = match node.listener.take() {
                    Some(_) => None,
                    None => Some(node.exchange.listen("number", ListenOptions::default()).unwrap()),
                };
            }
            Op::Take { node } => self.take(self.node(node)),
        }
        self.perform();
    }

    fn node(&self, node: usize) -> usize {
        self.current[node % self.current.len()]
    }

    /// One end of one link, by any number.
    fn pick(&self, link: usize) -> Option<(LinkId, usize)> {
        let count = self.links.len();
        (count > 0).then(|| (*self.links.keys().nth(link / 2 % count).unwrap(), link % 2))
    }

    fn emit(&mut self, node: usize, count: u8) {
        let node = &mut self.nodes[node];
        for _ in 0..count {
            let message = (node.exchange.config.incarnation.0, node.emitted);
            let remote = EmitOptions { scope: crate::Scope::Remote };
            match node.exchange.publish("number", &&message, &remote).unwrap() {
                Publish::Done => node.emitted += 1,
                // A user would wait; here nobody takes anything meanwhile.
                Publish::Full { .. } => return,
            }
        }
    }

    fn take(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let Some(listener) = &mut node.listener else { return };
        while let Some(envelope) = listener.try_next() {
            let (life, number): (u64, u64) = envelope.decode().unwrap();
            node.heard.entry(life).or_default().push(number);
        }
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.take(node);
        self.nodes[node].alive = false;
        let of_node = |link: &SimLink| link.ends.iter().any(|end| end.node == node);
        let links: Vec<_> = self.links.iter().filter(|(_, link)| of_node(link)).map(|(id, _)| *id).collect();
        links.into_iter().for_each(|id| self.cut(id));
    }

    fn cut(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.cut = true;
        }
        for end in 0..2 {
            self.tell_lost(id, end);
        }
        self.links.remove(&id);
        self.perform();
    }

    fn tell_lost(&mut self, id: LinkId, end: usize) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        if std::mem::replace(&mut link.ends[end].told_lost, true) {
            return;
        }
        let node = &self.nodes[link.ends[end].node];
        if node.alive {
            node.exchange.tell(now, |machine| machine.lost(now, id, &LinkEnd::Lost));
        }
    }

    /// An end puts everything that it has to say on the wire.
    fn write(&mut self, id: LinkId, from: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut slices: VecDeque<Bytes> = link.ends[from].frames.drain(..).collect();
        if let Some(session) = &link.ends[from].session {
            let mut gathered = VecDeque::new();
            while session.gather(id, &|_| None, &mut gathered, None) == Gather::Ready {
                slices.append(&mut gathered);
            }
        }
        for slice in slices.iter().filter(|_| !link.silent) {
            link.ends[1 - from].wire.extend_from_slice(slice);
        }
    }

    /// An end reads at most so many of the bytes on the wire.
    fn read(&mut self, id: LinkId, end: usize, bytes: usize) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        let end_state = &mut link.ends[end];
        let arrived = end_state.wire.split_to(bytes.min(end_state.wire.len()));
        end_state.inbox = [&end_state.inbox[..], &arrived[..]].concat().into();
        loop {
            let Some(link) = self.links.get_mut(&id) else { return };
            let end_state = &mut link.ends[end];
            let node = &self.nodes[end_state.node];
            if !node.alive || end_state.told_lost {
                return;
            }
            let inbox = Inbox { link: id, session: end_state.session.clone(), carrier: None };
            match node.exchange.ingest(&inbox, &mut end_state.inbox, now) {
                Ok(Some(_)) => return self.perform(),
                Ok(None) => self.perform(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// Does what the machines have said.
    fn perform(&mut self) {
        loop {
            let mut idle = true;
            for index in 0..self.nodes.len() {
                let action = self.nodes[index].pending.0.lock().unwrap().pop_front();
                if let Some(action) = action {
                    idle = false;
                    if self.nodes[index].alive {
                        self.act(index, action);
                    }
                }
            }
            if idle {
                return;
            }
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        let end_of = |world: &Self, id: &LinkId| {
            world.links.get(id).and_then(|link| link.ends.iter().position(|end| end.node == node))
        };
        match action {
            Action::Dial(dial, address) => self.dial(node, dial, &address),
            Action::Send(id, frame) => {
                if let Some(end) = end_of(self, &id) {
                    self.links.get_mut(&id).unwrap().ends[end].frames.push_back(frame);
                }
            }
            Action::Establish(id, session) => {
                if let Some(end) = end_of(self, &id) {
                    self.links.get_mut(&id).unwrap().ends[end].session = Some(session);
                }
            }
            Action::Close(id) | Action::Abort(id) => {
                if let Some(end) = end_of(self, &id) {
                    self.write(id, end);
                    self.links.get_mut(&id).unwrap().ends[end].closing = true;
                }
            }
            Action::Hold | Action::Tell(_) => {}
        }
    }

    fn dial(&mut self, node: usize, dial: DialId, address: &Address) {
        let now = self.now;
        let there = self.nodes.iter().position(|there| there.alive && there.address == *address);
        let Some(there) = there else {
            let refused = std::io::ErrorKind::ConnectionRefused.into();
            return self.nodes[node].exchange.tell(now, |machine| machine.dialled(now, dial, Err(refused)));
        };
        let id = LinkId { number: self.next_link, distance: Distance::Machine };
        self.next_link += 1;
        let end = |node| End {
            node,
            frames: VecDeque::new(),
            session: None,
            closing: false,
            wire: BytesMut::new(),
            inbox: Bytes::new(),
            told_lost: false,
        };
        self.links.insert(id, SimLink { ends: [end(node), end(there)], cut: false, silent: false });
        let remote = address.to_string();
        self.nodes[there].exchange.tell(now, |machine| machine.accepted(now, id, remote.clone()));
        self.nodes[node].exchange.tell(now, |machine| machine.dialled(now, dial, Ok((id, remote))));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for node in self.nodes.iter().filter(|node| node.alive) {
            node.exchange.tick(self.now);
        }
        self.perform();
    }

    /// Everything that is on its way arrives, in pieces; links that an end has closed are gone.
    pub(super) fn carry_all(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let links: Vec<LinkId> = self.links.keys().copied().collect();
            for id in links {
                for end in 0..2 {
                    self.write(id, end);
                    self.read(id, 1 - end, 1500);
                }
                if self
                    .links
                    .get(&id)
                    .is_some_and(|link| link.ends.iter().any(|end| end.closing && end.wire.is_empty()))
                {
                    let drained = self.links[&id].ends.iter().all(|end| end.wire.is_empty());
                    if drained {
                        self.cut(id);
                    }
                }
            }
            for node in 0..self.nodes.len() {
                self.take(node);
            }
        }
    }

    /// Time passes without faults until nothing happens any more.
    pub(super) fn settle(&mut self) {
        for _ in 0..150 {
            self.carry_all(4);
            self.pass(Duration::from_millis(100));
        }
        self.carry_all(40);
    }

    /// Silences all links, and returns how long it takes until everyone has noticed.
    pub(super) fn silence_until_noticed(&mut self) -> Duration {
        // What is said every heartbeat has just been said.
        self.pass(limits().heartbeat);
        self.carry_all(4);
        let start = self.now;
        self.links.values_mut().for_each(|link| link.silent = true);
        while self.nodes.iter().any(|node| !node.exchange.peers().is_empty()) {
            self.pass(Duration::from_millis(50));
            let links: Vec<LinkId> = self.links.keys().copied().collect();
            links.into_iter().for_each(|id| (0..2).for_each(|end| self.write(id, end)));
        }
        self.now - start
    }

    pub(super) fn links_between(&self, one: usize, other: usize) -> usize {
        let between = |link: &&SimLink| {
            let nodes = [link.ends[0].node, link.ends[1].node];
            nodes.contains(&one) && nodes.contains(&other)
        };
        self.links.values().filter(between).count()
    }
}
