//! Where a node taps a bus.

mod broadcasts;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub(super) use broadcasts::AHEAD;
use broadcasts::Hearing;
pub use broadcasts::Request;

use super::{
    Channel, Mailbox, Outgoing,
    link::{BusLink, Key, Line},
    packet::{self, Kind, Packet},
};
use crate::{Link, News, Timeout};

/// The longest packet, unless the broker takes less: long enough that its cost does not matter, short enough that
/// another link's packets need not wait for it.
const PACKET: usize = 256 << 10;

/// After how long a link that has not been opened yet is asked for again.
const AGAIN: Duration = Duration::from_millis(500);

/// How often that is asked at most in one dial. Who opens a node waits for the first dial of everyone who is there, and
/// should not wait long for one that is stopped.
const TIMES: usize = 3;

/// How many links wait to be accepted; more are refused.
const BACKLOG: usize = 1024;

/// The place where one node taps a bus: what a [`Bus`](super::Bus) publishes for it, and hands over to it.
#[derive(Debug)]
pub struct Tap {
    scheme: &'static str,
    cluster: String,
    mailbox: Mailbox,
    connect_timeout: Duration,
    packet_limit: AtomicUsize,
    outgoing: Outgoing,
    state: Mutex<State>,
    /// Held while a payload is broadcast.
    publishing: Mutex<()>,
    closed: watch::Sender<bool>,
    /// How many serve it.
    serving: watch::Sender<usize>,
}

/// Whoever holds it serves a [`Tap`]: a shutdown waits until it is dropped, for as long as it may.
#[derive(Debug)]
pub struct Serving(Arc<Tap>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.send_modify(|serving| *serving -= 1);
    }
}

#[derive(Debug, Default)]
struct State {
    is_up: bool,
    /// Takes no links in any more.
    refuses: bool,
    lines: HashMap<Key, OpenLine>,
    next_number: u64,
    /// Links that are being opened.
    opening: HashMap<Key, oneshot::Sender<()>>,
    accepted: VecDeque<(Key, Arc<Line>)>,
    found: VecDeque<Mailbox>,
    foreign: u64,
    /// Who takes the last three.
    acceptor: Option<Waker>,
    /// How many payloads this node has broadcast.
    broadcasts: u64,
    /// Whose broadcasts arrive here, or will.
    hearing: HashMap<Mailbox, Hearing>,
    requests: VecDeque<Request>,
    requester: Option<Waker>,
}

/// A link, as long as this end of it is there.
#[derive(Debug, Default)]
struct OpenLine {
    line: Arc<Line>,
    ear: Ear,
    /// How many bytes of broadcasts the other end has been sent that the link has not come to yet, and how many since
    /// the last one to which it did that it will not come to.
    ahead: usize,
    unwanted: usize,
}

/// Whether the other end of a link hears the broadcasts of this node.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Ear {
    #[default]
    Unasked,
    Offered,
    Hears,
}

impl Tap {
    pub(crate) fn new(
        scheme: &'static str,
        cluster: &str,
        mailbox: Mailbox,
        connect_timeout: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            scheme,
            cluster: cluster.to_owned(),
            mailbox,
            connect_timeout,
            packet_limit: AtomicUsize::new(PACKET),
            outgoing: Outgoing::default(),
            state: Mutex::default(),
            publishing: Mutex::default(),
            closed: watch::Sender::new(false),
            serving: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The name of the cluster: only its nodes may be found, and its channels be used.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Where packets for this node are published to.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox
    }

    /// How long a first connection is tried.
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The packets to publish.
    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// The broker takes no packets beyond so many bytes. Default, and at most, 256 KiB.
    pub fn limit_packets(&self, bytes: usize) {
        self.packet_limit.store(bytes.clamp(2 * packet::HEADER, PACKET), Relaxed);
    }

    pub(super) fn packet_limit(&self) -> usize {
        self.packet_limit.load(Relaxed)
    }

    /// Ready when the node is gone. Then nothing more should arrive; when what has arrived is handed over, and what is
    /// outgoing is published, the connection ends.
    pub async fn closed(&self) {
        // An error means that the sender is gone, which is this very tap.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// From now on somebody serves it, until what this returns is dropped: then all that was outgoing has left.
    #[must_use = "who drops it has ended serving"]
    pub fn serve(self: &Arc<Self>) -> Serving {
        self.serving.send_modify(|serving| *serving += 1);
        Serving(self.clone())
    }

    /// Ready when nobody serves it any more.
    pub(crate) async fn served(&self) {
        // An error means that the sender is gone, which is this very tap.
        let _ = self.serving.subscribe().wait_for(|serving| *serving == 0).await;
    }

    /// The node is gone.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
        self.outgoing.close();
    }

    /// Somebody is there, or has come. Itself, or who is known, does not count.
    pub fn found(&self, mailbox: Mailbox) {
        if mailbox != self.mailbox {
            self.notify(|state| state.found.push_back(mailbox));
        }
    }

    /// What is published to the mailbox arrives, and whoever is there has been found.
    pub fn up(&self) {
        self.lock().is_up = true;
    }

    /// The connection is broken, and with it all links.
    pub fn down(&self) {
        let mut state = self.lock();
        state.is_up = false;
        state.opening.clear();
        state.hearing.clear();
        state.requests.clear();
        let lines: Vec<_> = state.lines.values().map(|open| open.line.clone()).collect();
        drop(state);
        // The other ends have to know, when we are back.
        self.outgoing.retain(packet::closes);
        lines.iter().for_each(|line| line.end());
    }

    /// Nobody has subscribed this mailbox: the node is gone, or has not connected again yet.
    pub fn unheard(&self, mailbox: Mailbox) {
        let mut state = self.lock();
        state.opening.retain(|key, _| key.remote != mailbox);
        let to_it = state.lines.iter().filter(|(key, _)| key.remote == mailbox);
        let lines: Vec<_> = to_it.map(|(_, open)| open.line.clone()).collect();
        drop(state);
        lines.iter().for_each(|line| line.end());
    }

    /// A packet was published to the mailbox, or to the broadcasts of a node that were subscribed.
    pub fn arrived(self: &Arc<Self>, packet: Bytes) {
        let Some(packet) = Packet::decode(packet) else {
            return self.notify(|state| state.foreign += 1);
        };
        let Packet { kind, from: remote, link: number, .. } = packet;
        let key = Key { remote, number, opened_here: kind.is_to_opener() };
        match kind {
            Kind::Open => self.open(key),
            Kind::Opened => {
                let opening = self.lock().opening.remove(&key);
                if let Some(opening) = opening {
                    // Who dialled may have given up meanwhile; then it has closed the link.
                    let _ = opening.send(());
                }
            }
            Kind::DataFromOpener | Kind::DataToOpener => {
                let line = self.lock().line(key);
                match line {
                    Some(line) => line.arrived(packet.number, packet.extra, packet.bytes),
                    // The other end does not know yet that this one is closed, or has lost what told it so.
                    None => self.outgoing.push(Channel::Mailbox(remote), key.close(self.mailbox)),
                }
            }
            Kind::CloseFromOpener | Kind::CloseToOpener => {
                let mut state = self.lock();
                state.opening.remove(&key);
                let line = state.line(key);
                drop(state);
                line.into_iter().for_each(|line| line.end());
            }
            Kind::OfferFromOpener | Kind::OfferToOpener => self.offered(key),
            Kind::HearsFromOpener | Kind::HearsToOpener => self.heard_by(key),
            Kind::ForgetFromOpener | Kind::ForgetToOpener => {
                let line = self.lock().line(key);
                line.into_iter().for_each(|line| line.forget(packet.number..=packet.extra));
            }
            Kind::WithdrawFromOpener | Kind::WithdrawToOpener => self.stop_hearing(self.lock(), key),
            Kind::Broadcast => self.broadcast_arrived(packet),
        }
    }

    /// Another node opens a link.
    fn open(&self, key: Key) {
        let mut state = self.lock();
        if state.refuses || state.accepted.len() == BACKLOG {
            drop(state);
            return self.outgoing.push(Channel::Mailbox(key.remote), key.close(self.mailbox));
        }
        // What is open already is opened again when our answer was lost.
        if let Entry::Vacant(place) = state.lines.entry(key) {
            let line = place.insert(OpenLine::default()).line.clone();
            state.accepted.push_back((key, line));
        }
        let acceptor = state.acceptor.take();
        drop(state);
        self.say(key, Kind::Opened);
        acceptor.into_iter().for_each(Waker::wake);
    }

    /// Takes no links in any more.
    pub(super) fn refuse(&self) {
        let mut state = self.lock();
        state.refuses = true;
        let waiting = std::mem::take(&mut state.accepted);
        drop(state);
        waiting.into_iter().for_each(|(key, _)| self.hang_up(key));
    }

    fn notify(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let acceptor = state.acceptor.take();
        drop(state);
        acceptor.into_iter().for_each(Waker::wake);
    }

    /// The next link that another node has opened.
    pub(super) fn poll_link(self: &Arc<Self>, cx: &Context<'_>) -> Poll<Arc<dyn Link>> {
        let mut state = self.lock();
        let Some((key, line)) = state.accepted.pop_front() else {
            state.acceptor = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(Arc::new(BusLink::new(self.clone(), key, line)))
    }

    /// What else has come.
    pub(super) fn poll_news(&self, cx: &Context<'_>) -> Poll<News> {
        let mut state = self.lock();
        if let Some(Mailbox { node_id, incarnation }) = state.found.pop_front() {
            let address = Mailbox { node_id, incarnation }.address(self.scheme);
            return Poll::Ready(News::Member { node_id, incarnation, address });
        }
        match std::mem::take(&mut state.foreign) {
            0 => {
                state.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
            foreign => Poll::Ready(News::Foreign(foreign)),
        }
    }

    /// Opens a link to `remote`.
    pub(super) async fn dial(self: &Arc<Self>, remote: Mailbox) -> io::Result<Arc<dyn Link>> {
        // Closes itself if nobody waits for it any more.
        let (link, mut opened) = self.begin(remote)?;
        for _ in 0..TIMES {
            self.say(link.key(), Kind::Open);
            match Timeout::new(AGAIN, &mut opened).await {
                Some(Ok(())) => return Ok(link),
                Some(Err(_)) => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody is there"));
                }
                // The broker may have lost it.
                None => {}
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
    }

    fn begin(self: &Arc<Self>, remote: Mailbox) -> io::Result<(Arc<BusLink>, oneshot::Receiver<()>)> {
        let mut state = self.lock();
        if !state.is_up {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the broker cannot be reached"));
        }
        let key = Key { remote, number: state.next_number, opened_here: true };
        state.next_number += 1;
        let (answer, opened) = oneshot::channel();
        state.opening.insert(key, answer);
        let line = state.lines.entry(key).or_default().line.clone();
        drop(state);
        Ok((Arc::new(BusLink::new(self.clone(), key, line)), opened))
    }

    /// This end of a link is closed.
    pub(super) fn hang_up(&self, key: Key) {
        let mut state = self.lock();
        state.opening.remove(&key);
        if state.lines.remove(&key).is_some() {
            self.stop_hearing(state, key);
            self.outgoing.push(Channel::Mailbox(key.remote), key.close(self.mailbox));
        }
    }

    /// Publishes a packet of a link that says nothing but its kind.
    fn say(&self, link: Key, kind: Kind) {
        let packet = packet::head(kind, self.mailbox, [link.number, 0, 0], 0);
        self.outgoing.push(Channel::Mailbox(link.remote), packet.freeze());
    }
}

impl State {
    fn line(&self, key: Key) -> Option<Arc<Line>> {
        self.lines.get(&key).map(|open| open.line.clone())
    }
}
