//! The threads that serve the sockets of links: they read, hand on what has come, and run the handlers that it woke.
//!
//! **No hop.** A message that comes alone costs one wake-up, that of the thread which waits for the socket. The same
//! thread takes it apart, runs the [near](near) tasks that it woke, and writes what these emit.
//!
//! **No hostage.** Such a task is user code and may take as long as it likes. One that takes longer than a moment is
//! left alone with its thread: another thread takes over the sockets, and whatever else was waiting.
//!
//! **No sleep.** Where a link says so, its thread [looks](watch) again and again whether something has come, and pays a core
//! for the wake-up.

mod near;
mod relief;
mod watch;

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    fmt, io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use mio::{Events, Interest, Poll, Registry, Token, unix::SourceFd};

pub use near::spawn_near;

use crate::{Ring, runtime};
use near::Task;
use relief::Shift;
use watch::{Look, Looker, Watched};

/// How many sockets are looked at together.
const EVENTS: usize = 128;

/// How long near tasks may keep the sockets waiting: what takes longer goes on elsewhere.
const MOMENT: Duration = Duration::from_micros(100);

/// What is served when its socket is ready.
pub(crate) trait Source: fmt::Debug + Send + Sync + 'static {
    /// Its socket, as long as it has one.
    fn socket(&self) -> Option<BorrowedFd<'_>>;

    /// Its memory, if bytes come through that.
    fn ring(&self) -> Option<&dyn Ring>;

    /// Whether it is looked at again and again.
    fn is_watched(&self) -> bool {
        self.ring().is_some_and(Ring::is_watched)
    }

    /// Whether there is something to read in its memory.
    fn has_more(&self) -> bool {
        self.ring().is_some_and(Ring::has_more)
    }

    /// Before its bell is waited for. Returns whether that may be.
    fn rest(&self) -> bool {
        self.ring().is_none_or(Ring::rest)
    }

    /// Reads what there is.
    fn readable(&self, cue: Cue) -> Turn;

    /// The socket takes something again.
    fn writable(&self);
}

/// Why a source is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cue {
    /// Something was seen in its memory.
    Seen,
    /// The system says so.
    Told,
    /// The stream has an end, which is to be reached.
    Ended,
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// All is read.
    Over,
    /// There may be more, after others have had their turn.
    Again,
    /// The source has ended.
    Gone,
}

/// Where a source is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    reactor: &'static Reactor,
    token: usize,
}

impl Seat {
    /// A seat in the reactor whose turn it is. All that are `watched` sit in one, so that this costs one core.
    pub(crate) fn new(watched: bool) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (reactors, next) = (reactors(), NEXT.fetch_add(1, Relaxed));
        let reactor = &reactors[if watched { 0 } else { next % reactors.len() }];
        Self { reactor, token: next }
    }

    /// Serves a source from now on until it is gone.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub(crate) fn serve(&self, source: Arc<dyn Source>) -> io::Result<()> {
        let Some(socket) = source.socket() else { return Err(io::ErrorKind::Unsupported.into()) };
        lock(&self.reactor.sources).insert(self.token, source.clone());
        if source.is_watched() {
            self.reactor.watched.add(self.token, source.clone());
        }
        let descriptors = [Some(socket), source.ring().and_then(Ring::bell)];
        let registered = descriptors.iter().flatten().try_for_each(|descriptor| {
            let descriptor = descriptor.as_raw_fd();
            self.reactor.registry.register(&mut SourceFd(&descriptor), Token(self.token), Interest::READABLE)
        });
        if registered.is_err() {
            self.reactor.forget(self.token, &*source);
        }
        registered
    }

    /// Tells the source when its socket takes something, once.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub(crate) fn want_writable(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.reactor.listen_for(socket, self.token, Interest::READABLE | Interest::WRITABLE)
    }
}

/// Some sockets, and what is to be done about them.
struct Reactor {
    poll: Mutex<Poll>,
    registry: Registry,
    sources: Mutex<HashMap<usize, Arc<dyn Source>>>,
    /// Those whose memory is looked at.
    watched: Watched,
    /// The sources that are to be read, and why.
    ready: Mutex<VecDeque<(usize, Cue)>>,
    /// The tasks that are to be run.
    near: Mutex<VecDeque<Arc<Task>>>,
    shift: Mutex<Arc<Shift>>,
}

thread_local! {
    /// The reactor that this thread serves, and its shift there.
    static SERVED: RefCell<Option<(&'static Reactor, Arc<Shift>)>> = const { RefCell::new(None) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reactors() -> &'static [Reactor] {
    static REACTORS: OnceLock<Vec<Reactor>> = OnceLock::new();
    static STARTED: OnceLock<()> = OnceLock::new();
    let new = |_| Reactor::new().expect("the operating system gives us an epoll descriptor");
    let reactors = REACTORS.get_or_init(|| (0..runtime::io_threads()).map(new).collect());
    STARTED.get_or_init(|| {
        // Handlers run there too; it is there before the first of them.
        runtime::work();
        for reactor in reactors {
            reactor.begin_shift().expect("the operating system gives us threads");
        }
        runtime::io().spawn(relief::watch(reactors));
    });
    reactors
}

impl Reactor {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        Ok(Self {
            registry: poll.registry().try_clone()?,
            poll: Mutex::new(poll),
            sources: Mutex::default(),
            watched: Watched::default(),
            ready: Mutex::default(),
            near: Mutex::default(),
            shift: Mutex::default(),
        })
    }

    fn listen_for(&self, socket: BorrowedFd<'_>, token: usize, interest: Interest) -> io::Result<()> {
        self.registry.reregister(&mut SourceFd(&socket.as_raw_fd()), Token(token), interest)
    }

    /// Has a new thread serve this reactor, and no other one.
    fn begin_shift(&'static self) -> io::Result<()> {
        let shift = Arc::new(Shift::default());
        let begun = shift.clone();
        thread::Builder::new().name("tidings-read".into()).spawn(move || self.serve(&begun))?;
        let relieved = std::mem::replace(&mut *lock(&self.shift), shift);
        // Who takes over may wait for sockets by now, and looks at no task that is there already.
        let mut near = lock(&self.near);
        relieved.relieve();
        let tasks = std::mem::take(&mut *near);
        drop(near);
        tasks.iter().for_each(|task| task.go_elsewhere());
        Ok(())
    }

    /// Serves until another thread has taken over.
    fn serve(&'static self, shift: &Arc<Shift>) {
        SERVED.set(Some((self, shift.clone())));
        // Handlers may use timers and sockets of a runtime.
        let _guard = runtime::work().enter();
        let mut events = Events::with_capacity(EVENTS);
        let mut looker = Looker::default();
        while !shift.is_relieved() {
            self.run_near(shift);
            let next = lock(&self.ready).pop_front();
            if let Some((token, cue)) = next {
                self.read(token, cue);
                continue;
            }
            if shift.is_relieved() {
                break;
            }
            let wait = match looker.look(&self.watched, |token| self.make_ready(token, Cue::Seen)) {
                Look::Found => continue,
                Look::Glance => Some(Duration::ZERO),
                Look::Wait => None,
            };
            // An interruption shows no events.
            let _ = lock(&self.poll).poll(&mut events, wait);
            for event in &events {
                looker.told();
                if event.is_writable() {
                    self.write(event.token().0);
                }
                let ended = event.is_read_closed() || event.is_error();
                if event.is_readable() || ended {
                    self.make_ready(event.token().0, if ended { Cue::Ended } else { Cue::Told });
                }
            }
        }
    }

    fn make_ready(&self, token: usize, cue: Cue) {
        lock(&self.ready).push_back((token, cue));
    }

    fn source(&self, token: usize) -> Option<Arc<dyn Source>> {
        lock(&self.sources).get(&token).cloned()
    }

    fn read(&self, token: usize, cue: Cue) {
        let Some(source) = self.source(token) else { return };
        match source.readable(cue) {
            Turn::Over => {}
            Turn::Again => self.make_ready(token, cue),
            Turn::Gone => self.forget(token, &*source),
        }
    }

    fn forget(&self, token: usize, source: &dyn Source) {
        lock(&self.sources).remove(&token);
        self.watched.remove(token);
        // The other end has the bell too: that it is closed here is not the end of it.
        for descriptor in [source.socket(), source.ring().and_then(Ring::bell)].into_iter().flatten() {
            let _ = self.registry.deregister(&mut SourceFd(&descriptor.as_raw_fd()));
        }
    }

    fn write(&self, token: usize) {
        let Some(source) = self.source(token) else { return };
        if let Some(socket) = source.socket() {
            let _ = self.listen_for(socket, token, Interest::READABLE);
        }
        source.writable();
    }

    /// Runs the tasks that were woken, and those that these wake. When it takes too long, the rest goes elsewhere.
    fn run_near(&self, shift: &Shift) {
        let mut spent = Duration::ZERO;
        loop {
            let Some(task) = lock(&self.near).pop_front() else { return };
            if spent > MOMENT {
                task.go_elsewhere();
                continue;
            }
            spent += shift.user_code(|| task.run());
            if shift.is_relieved() {
                return;
            }
        }
    }
}

/// Has `task` run next on this thread, if it serves a reactor and `claim` says so. A thread that was relieved serves none:
/// nobody would look at the task before its handler lets it go.
fn run_next(task: &Arc<Task>, claim: impl FnOnce() -> bool) -> bool {
    let pushed = SERVED.try_with(|served| {
        let served = served.borrow();
        let Some((reactor, shift)) = &*served else { return false };
        let mut near = lock(&reactor.near);
        let taken = !shift.is_relieved() && claim();
        if taken {
            near.push_back(task.clone());
        }
        taken
    });
    pushed.unwrap_or(false)
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").finish_non_exhaustive()
    }
}
