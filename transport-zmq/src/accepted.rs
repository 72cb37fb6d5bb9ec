//! The links that others have opened: they share the socket that listens.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    dialled::received,
    engine::{Engine, LinkId},
    line::Line,
    monitor::{Heard, Monitor},
    options::SocketOptions,
    packet::{self, Kind},
};

/// How many packets are taken in before other sockets have their turn.
const TURN: usize = 256;

/// When, after a connection broke, it is looked whose it was. ZeroMQ does not say, and takes a moment to know.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(2), Duration::from_millis(20), Duration::from_millis(200), Duration::from_secs(2)];

/// What ZeroMQ calls a connection.
type Identity = Vec<u8>;

/// The socket that listens, and the links on it.
pub(crate) struct Accepted {
    pub(crate) socket: zmq::Socket,
    pub(crate) monitor: Monitor,
    pub(crate) endpoint: String,
    engine: Arc<Engine>,
    ids: HashMap<Identity, LinkId>,
    links: HashMap<LinkId, (Identity, Arc<Line>)>,
    /// Takes no links in any more.
    refuses: bool,
    /// When to look who is gone.
    looks: Vec<Instant>,
}

impl Accepted {
    pub(crate) fn bind(
        context: &zmq::Context,
        options: &SocketOptions,
        endpoint: &str,
        engine: &Arc<Engine>,
    ) -> zmq::Result<Self> {
        let socket = options.listener(context, endpoint)?;
        socket.bind(endpoint)?;
        let endpoint = last_endpoint(&socket)?;
        let monitor = Monitor::of(&socket, context)?;
        Ok(Self {
            socket,
            monitor,
            endpoint,
            engine: engine.clone(),
            ids: HashMap::new(),
            links: HashMap::new(),
            refuses: false,
            looks: Vec::new(),
        })
    }

    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    pub(crate) fn send(&mut self, link: LinkId, packet: Vec<u8>) {
        let Some((identity, _)) = self.links.get(&link) else { return };
        if let Err(error) = self.send_to(identity, packet) {
            tracing::debug!(%error, "a link takes nothing");
            // It ends when what it had sent before has been taken in.
            self.looks.push(Instant::now());
        }
    }

    fn send_to(&self, identity: &[u8], packet: Vec<u8>) -> zmq::Result<()> {
        self.socket.send(identity, zmq::DONTWAIT | zmq::SNDMORE)?;
        self.socket.send(packet, zmq::DONTWAIT)
    }

    /// Takes in what has come.
    pub(crate) fn receive(&mut self) {
        self.receive_some(TURN);
    }

    fn receive_some(&mut self, most: usize) {
        for _ in 0..most {
            match received(|| self.receive_one()) {
                Ok(Some((identity, packet))) => self.arrived(identity, packet),
                Ok(None) => return,
                Err(error) => return tracing::warn!(%error, "cannot receive"),
            }
        }
    }

    /// A packet and whose it is; no packet is what has another number of parts than one.
    fn receive_one(&self) -> zmq::Result<(Identity, Option<zmq::Message>)> {
        let identity = self.socket.recv_bytes(zmq::DONTWAIT)?;
        let mut packet = None;
        let mut parts = 0;
        // The parts of a message come together or not at all.
        while self.socket.get_rcvmore()? {
            packet = Some(self.socket.recv_msg(zmq::DONTWAIT)?);
            parts += 1;
        }
        Ok((identity, packet.filter(|_| parts == 1)))
    }

    fn arrived(&mut self, identity: Identity, mut message: Option<zmq::Message>) {
        let known = message.as_deref().and_then(packet::decode);
        let link = self.ids.get(&identity).copied();
        let line = link.and_then(|link| self.links.get(&link)).map(|(_, line)| line.clone());
        let is_right = match (known, message.take(), line) {
            (Some((Kind::Open, _)), Some(message), None) => return self.open(identity, message),
            // It does not know yet that its link has ended.
            (Some(_), _, None) => return,
            (Some((Kind::Data, number)), Some(packet), Some(line)) => line.arrived(number, packet),
            (Some((Kind::Read, cost)), _, Some(line)) => line.acknowledged(cost),
            (Some((Kind::Probe, _)), _, _) => true,
            (Some((Kind::Close, _)), _, Some(_)) => {
                link.into_iter().for_each(|link| self.end(link));
                return;
            }
            (Some((Kind::Open | Kind::Opened, _)), ..) | (None, ..) | (_, None, _) => false,
        };
        if !is_right {
            self.engine.count_foreign(1);
            link.into_iter().for_each(|link| self.hang_up(link));
        }
    }

    fn open(&mut self, identity: Identity, mut message: zmq::Message) {
        let remote = message.gets("Peer-Address").unwrap_or("a peer without an address");
        let link = self.engine.next_link();
        let line = Arc::new(Line::default());
        let is_taken = !self.refuses && self.engine.opened(link, line.clone(), format!("zmq+tcp://{remote}"));
        let answer = if is_taken { Kind::Opened } else { Kind::Close };
        if is_taken {
            self.ids.insert(identity.clone(), link);
            self.links.insert(link, (identity.clone(), line));
        }
        if self.send_to(&identity, packet::head(answer, 0, 0)).is_err() {
            self.looks.push(Instant::now());
        }
    }

    fn end(&mut self, link: LinkId) {
        if let Some((identity, line)) = self.links.remove(&link) {
            self.ids.remove(&identity);
            line.end();
        }
    }

    /// Closes a link.
    pub(crate) fn hang_up(&mut self, link: LinkId) {
        self.send(link, packet::head(Kind::Close, 0, 0));
        self.end(link);
    }

    /// Takes no links in any more. Those that there are go on: to stop listening would end them.
    pub(crate) fn refuse(&mut self) {
        self.refuses = true;
        remove_file(&self.endpoint);
        if self.links.is_empty() {
            // An error means that nobody listens already.
            let _ = self.socket.unbind(&self.endpoint);
        }
    }

    /// Hears of the connections.
    pub(crate) fn hear(&mut self) {
        while let Some(heard) = self.monitor.next() {
            match heard {
                Heard::Connected => {}
                Heard::Mismatch => self.engine.count_foreign(1),
                Heard::Disconnected => {
                    let now = Instant::now();
                    self.looks = LOOKS.map(|after| now + after).into();
                }
            }
        }
    }

    /// When to look the next time.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.looks.iter().min().copied()
    }

    /// Ends the links whose other ends are gone, if it is time to look.
    pub(crate) fn look(&mut self, now: Instant) {
        let before = self.looks.len();
        self.looks.retain(|at| *at > now);
        if self.looks.len() == before {
            return;
        }
        // What they had sent before counts.
        self.receive_some(usize::MAX);
        let is_gone = |(link, (identity, _)): (&LinkId, &(Identity, Arc<Line>))| {
            self.send_to(identity, packet::head(Kind::Probe, 0, 0)).is_err().then_some(*link)
        };
        let gone: Vec<_> = self.links.iter().filter_map(is_gone).collect();
        gone.into_iter().for_each(|link| self.end(link));
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.monitor.stop(&self.socket);
        if !self.refuses {
            remove_file(&self.endpoint);
        }
        self.links.values().for_each(|(_, line)| line.end());
    }
}

/// Removes the file of a unix socket, which libzmq leaves behind.
pub(crate) fn remove_file(endpoint: &str) {
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        // Somebody else may have removed it, or the directory.
        let _ = std::fs::remove_file(path);
    }
}

/// Where a socket is really bound.
pub(crate) fn last_endpoint(socket: &zmq::Socket) -> zmq::Result<String> {
    socket.get_last_endpoint()?.map_err(|_| zmq::Error::EINVAL)
}
