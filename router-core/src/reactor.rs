//! The threads that serve the sockets of links: they read, hand on what has come, and run the handlers that it woke.
//!
//! **No hop.** A message that comes alone costs one wake-up, that of the thread which waits for the socket. The same
//! thread takes it apart, runs the [near](near) tasks that it woke, and writes what these emit.
//!
//! **No hostage.** Such a task is user code and may take as long as it likes. One that takes longer than a moment is
//! left alone with its thread: another thread takes over the sockets, and whatever else was waiting.

mod near;
mod relief;

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

use crate::runtime;
use near::Task;
use relief::Shift;

/// How many sockets are looked at together.
const EVENTS: usize = 128;

/// How long near tasks may keep the sockets waiting: what takes longer goes on elsewhere.
const MOMENT: Duration = Duration::from_micros(100);

/// What is served when its socket is ready.
pub(crate) trait Source: fmt::Debug + Send + Sync + 'static {
    /// Its socket, as long as it has one.
    fn socket(&self) -> Option<BorrowedFd<'_>>;

    /// Reads what there is. `ended`: the stream has an end, which is to be reached.
    fn readable(&self, ended: bool) -> Turn;

    /// The socket takes something again.
    fn writable(&self);
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
    /// A seat in the reactor whose turn it is.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (reactors, next) = (reactors(), NEXT.fetch_add(1, Relaxed));
        let reactor = &reactors[next % reactors.len()];
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
        let descriptor = socket.as_raw_fd();
        let registered =
            self.reactor.registry.register(&mut SourceFd(&descriptor), Token(self.token), Interest::READABLE);
        if registered.is_err() {
            lock(&self.reactor.sources).remove(&self.token);
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
    /// The sources that are to be read, and whether their streams have an end.
    ready: Mutex<VecDeque<(usize, bool)>>,
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
        while !shift.is_relieved() {
            self.run_near(shift);
            let next = lock(&self.ready).pop_front();
            if let Some((token, ended)) = next {
                self.read(token, ended);
                continue;
            }
            if shift.is_relieved() {
                break;
            }
            // An interruption shows no events.
            let _ = lock(&self.poll).poll(&mut events, None);
            for event in &events {
                if event.is_writable() {
                    self.write(event.token().0);
                }
                let ended = event.is_read_closed() || event.is_error();
                if event.is_readable() || ended {
                    lock(&self.ready).push_back((event.token().0, ended));
                }
            }
        }
    }

    fn source(&self, token: usize) -> Option<Arc<dyn Source>> {
        lock(&self.sources).get(&token).cloned()
    }

    fn read(&self, token: usize, ended: bool) {
        let Some(source) = self.source(token) else { return };
        match source.readable(ended) {
            Turn::Over => {}
            Turn::Again => lock(&self.ready).push_back((token, ended)),
            Turn::Gone => {
                lock(&self.sources).remove(&token);
                if let Some(socket) = source.socket() {
                    let _ = self.registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
                }
            }
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
