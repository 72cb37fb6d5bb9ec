//! What the rest of a node hands to the thread that has its sockets, and what that hands back.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use tidings_router_core::{Link, News, Router};
use tokio::sync::{oneshot, watch};

use crate::{guests::Doors, line::Line, link::ZmqLink, options::SocketOptions, sockets::Sockets};

/// How many links wait to be accepted; more are refused.
const BACKLOG: usize = 1024;

/// What the thread is asked to do.
pub(crate) enum Command {
    /// Listens, and answers with the endpoint, its port filled in.
    Listen { endpoint: String, answer: oneshot::Sender<zmq::Result<String>> },
    /// Takes guests in, and answers with where they hear and where they speak.
    Admit { endpoint: String, queue: i32, answer: oneshot::Sender<zmq::Result<Doors>> },
    /// Whom guests speak to.
    Introduce(Weak<dyn Router>),
    /// Opens a link.
    Dial { endpoint: String, link: LinkId, line: Arc<Line>, answer: oneshot::Sender<io::Result<()>> },
    /// Sends a packet of a link.
    Send { link: LinkId, packet: Vec<u8> },
    /// Closes a link; `flush` sends what was handed over before.
    HangUp { link: LinkId, flush: bool },
    /// Takes no links in any more.
    Refuse,
}

/// Which link of a node it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// The sockets of one node, which are in a thread of their own. It ends when the node has closed it.
pub(crate) struct Engine {
    commands: Mutex<Commands>,
    /// The thread has been woken, and has not yet looked what there is.
    rung: AtomicBool,
    bell: UnixStream,
    next_link: AtomicU64,
    arrivals: Mutex<Arrivals>,
    ended: watch::Sender<bool>,
}

/// Tells that the thread has ended, however it did.
struct Ended(Arc<Engine>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended.send_replace(true);
    }
}

#[derive(Default)]
struct Commands {
    queue: VecDeque<Command>,
    closed: bool,
}

/// What the acceptor takes.
#[derive(Default)]
struct Arrivals {
    links: VecDeque<Arc<dyn Link>>,
    foreign: u64,
    acceptor: Option<Waker>,
}

/// The end of the bell that the thread listens to.
#[derive(Debug)]
pub(crate) struct Bell(UnixStream);

impl Bell {
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.0
    }

    /// Takes it as heard; what is handed over from now on rings it anew.
    pub(crate) fn heard(&mut self, engine: &Engine) {
        let mut rings = [0; 64];
        while matches!(self.0.read(&mut rings), Ok(count) if count > 0) {}
        engine.rung.store(false, Ordering::SeqCst);
    }
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the operating system has no thread or no descriptor left.
    pub(crate) fn start(options: SocketOptions) -> io::Result<Arc<Self>> {
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        let engine = Arc::new(Self {
            commands: Mutex::default(),
            rung: AtomicBool::new(false),
            bell,
            next_link: AtomicU64::new(1),
            arrivals: Mutex::default(),
            ended: watch::Sender::new(false),
        });
        let sockets = Sockets::new(engine.clone(), Bell(heard), options)?;
        let ended = Ended(engine.clone());
        let serve = move || {
            let _ended = ended;
            sockets.run();
        };
        thread::Builder::new().name("tidings-zmq".to_owned()).spawn(serve)?;
        Ok(engine)
    }

    fn lock(&self) -> MutexGuard<'_, Commands> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a command to the thread. Once closed, nothing is done any more: who waits for an answer finds its sender
    /// dropped.
    pub(crate) fn command(&self, command: Command) {
        let mut commands = self.lock();
        if commands.closed {
            return;
        }
        commands.queue.push_back(command);
        drop(commands);
        self.ring();
    }

    /// Makes the thread look what there is.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // A full socket has rung often enough, and a closed one has nobody who listens.
            let _ = (&self.bell).write(&[1]);
        }
    }

    /// What was handed over; and whether nothing more comes.
    pub(crate) fn take(&self) -> (VecDeque<Command>, bool) {
        let mut commands = self.lock();
        (std::mem::take(&mut commands.queue), commands.closed)
    }

    /// The node is gone: what was handed over is done, then the thread ends.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ring();
    }

    /// Ready when the thread has ended: everything was sent, or has lingered for long enough.
    pub(crate) async fn ended(&self) {
        // An error cannot be: the sender is ours.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    pub(crate) fn next_link(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    /// Another node has opened a link. False if there are too many already.
    pub(crate) fn opened(self: &Arc<Self>, link: LinkId, line: Arc<Line>, remote: String) -> bool {
        let mut arrivals = self.arrivals();
        if arrivals.links.len() == BACKLOG {
            return false;
        }
        arrivals.links.push_back(Arc::new(ZmqLink::new(self.clone(), link, line, remote)));
        let acceptor = arrivals.acceptor.take();
        drop(arrivals);
        acceptor.into_iter().for_each(Waker::wake);
        true
    }

    /// Messages came that no node and no guest has written.
    pub(crate) fn count_foreign(&self, messages: u64) {
        let mut arrivals = self.arrivals();
        arrivals.foreign += messages;
        let acceptor = arrivals.acceptor.take();
        drop(arrivals);
        acceptor.into_iter().for_each(Waker::wake);
    }

    /// Throws away the links that nobody has accepted.
    pub(crate) fn forget_links(&self) {
        // Dropped without the lock: a link that is dropped hangs up.
        let links = std::mem::take(&mut self.arrivals().links);
        drop(links);
    }

    pub(crate) fn poll_link(&self, cx: &Context<'_>) -> Poll<Arc<dyn Link>> {
        let mut arrivals = self.arrivals();
        if let Some(link) = arrivals.links.pop_front() {
            return Poll::Ready(link);
        }
        arrivals.acceptor = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_news(&self, cx: &Context<'_>) -> Poll<News> {
        let mut arrivals = self.arrivals();
        match std::mem::take(&mut arrivals.foreign) {
            0 => {
                arrivals.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
            foreign => Poll::Ready(News::Foreign(foreign)),
        }
    }
}

/// Somebody in our thread waits for a listener of the router.
impl Wake for Engine {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
