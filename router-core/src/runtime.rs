//! The two runtimes of a process.
//!
//! **I/O is never blocked by user code.** Links are served by threads of their own, so that a training step that
//! computes for a minute, or a `current_thread` runtime of the user's, does not silence the heartbeat. Handlers and
//! mains run on the second runtime. Both start with the first router and last as long as the process.

use std::{future::Future, sync::OnceLock, thread::available_parallelism};

use tokio::runtime::{Builder, Handle, Runtime};

pub use crate::reactor::spawn_near;

fn start(name: &str, threads: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("the operating system gives us threads and an epoll descriptor")
}

/// How many cores there are. Slow: it reads files.
fn cores() -> usize {
    available_parallelism().map_or(2, usize::from)
}

/// How many threads read, and how many write.
pub(crate) fn io_threads() -> usize {
    (cores() / 2).clamp(1, 4)
}

/// The runtime that makes links, writes to them when they took nothing at first, and keeps the time.
pub fn io() -> &'static Handle {
    static IO: OnceLock<Runtime> = OnceLock::new();
    IO.get_or_init(|| start("tidings-io", io_threads())).handle()
}

/// The runtime that runs handlers and mains: user code.
pub fn work() -> &'static Handle {
    static WORK: OnceLock<Runtime> = OnceLock::new();
    WORK.get_or_init(|| start("tidings-work", cores().max(2))).handle()
}

/// Runs user code that may block: other tasks of the same thread go on elsewhere meanwhile.
///
/// Outside of a multi-thread runtime it just runs it.
pub fn blocking<R>(code: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(code),
        _ => code(),
    }
}

/// Runs `future` on this thread until it is done, inside or outside of a runtime.
///
/// The routers' own work goes on in their own threads, so this cannot keep it from being done.
pub fn block_on<F: Future>(future: F) -> F::Output {
    use std::{pin::pin, sync::Arc, task, thread};

    struct Unpark(thread::Thread);
    impl task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    // The future may use timers and sockets of a runtime, also where there is none.
    let _guard = Handle::try_current().is_err().then(|| work().enter());
    blocking(|| {
        let waker = Arc::new(Unpark(thread::current())).into();
        let mut context = task::Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut context) {
                task::Poll::Ready(output) => return output,
                task::Poll::Pending => thread::park(),
            }
        }
    })
}
