//! The listeners of a task: who is called for what, and how far each has come.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use serde::de::DeserializeOwned;
use tidings_router_core::{
    BoxError, DropReason, Envelope, Error, Event, Listener, ListenerHandle, Timeout, handler,
    pattern_matches, runtime,
};
use tokio::sync::Notify;

use crate::{Outcome, handle::Core};

/// A listener of a task, to take it [off](crate::TaskHandle::off) again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub(crate) u64);

/// One listener, as the task keeps it.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) id: ListenerId,
    pub(crate) event: String,
    pub(crate) progress: Arc<Progress>,
}

/// How far a handler has come.
#[derive(Debug)]
pub(crate) struct Progress {
    listener: ListenerHandle,
    /// Messages that it is done with.
    done: AtomicU64,
    stopped: AtomicBool,
    changed: Notify,
}

impl Progress {
    /// Stops the handler: a call that is under way is finished, no other one begins.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.listener.stop();
        self.changed.notify_waiters();
    }

    /// Whether it has been stopped, or has ended by itself.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Waits until it is done with everything that it has been handed so far, or is stopped.
    pub(crate) async fn catch_up(&self) {
        let handed = self.listener.handed();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // What it was handed may be dropped again meanwhile, if it lags.
            if self.is_stopped() || self.done.load(Acquire) >= handed.min(self.listener.handed()) {
                return;
            }
            changed.await;
        }
    }
}

impl Handler {
    /// Whether a message of this name goes to it.
    pub(crate) fn hears(&self, event: &str) -> bool {
        pattern_matches(&self.event, event)
    }
}

/// How long handlers may take for what they have been handed before they are not waited for any more: they may
/// themselves be waiting for whoever waits here.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Waits until these handlers are done with everything that they have been handed so far.
pub(crate) async fn catch_up(handlers: Vec<Arc<Progress>>) {
    // A handler that waits must not wait for itself.
    if !handler::is_inside() {
        let catching_up = async {
            for progress in &handlers {
                progress.catch_up().await;
            }
        };
        Timeout::new(CATCH_UP, Box::pin(catching_up)).await;
    }
}

/// A handler's function, for one message.
pub(crate) type Call<T> = Box<dyn FnMut(Event<T>) -> Result<(), BoxError> + Send>;

/// A handler that is served by a task of the runtime: its listener and what is noted of it.
pub(crate) struct Served {
    listener: Listener,
    pub(crate) progress: Arc<Progress>,
    core: Arc<Core>,
    once: bool,
}

impl Served {
    pub(crate) fn new(listener: Listener, core: Arc<Core>, once: bool) -> Self {
        let progress = Progress {
            listener: listener.handle(),
            done: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            changed: Notify::new(),
        };
        Self { listener, progress: Arc::new(progress), core, once }
    }

    /// Calls a function that may block for each message, in order.
    pub(crate) async fn serve<T: DeserializeOwned + 'static>(mut self, mut call: Call<T>) {
        while let Some(first) = self.listener.next().await {
            let go_on = runtime::blocking(|| {
                let mut next = Some(first);
                while let Some(envelope) = next {
                    let Some(event) = self.decode(envelope) else {
                        if self.is_over() {
                            return false;
                        }
                        next = self.listener.try_next();
                        continue;
                    };
                    let called =
                        std::panic::catch_unwind(AssertUnwindSafe(|| handler::scope(|| call(event))));
                    if !self.finished(called.map_err(panic_error).and_then(|result| result)) {
                        return false;
                    }
                    next = self.listener.try_next();
                }
                true
            });
            if !go_on {
                break;
            }
        }
        self.end();
    }

    /// Calls an asynchronous function for each message, one after the other.
    pub(crate) async fn serve_async<T, F, Fut, O>(mut self, mut call: F)
    where
        T: DeserializeOwned + 'static,
        F: FnMut(Event<T>) -> Fut,
        Fut: Future<Output = O> + Send + 'static,
        O: Outcome + 'static,
    {
        while let Some(envelope) = self.listener.next().await {
            let Some(event) = self.decode(envelope) else {
                if self.is_over() {
                    break;
                }
                continue;
            };
            let begun = std::panic::catch_unwind(AssertUnwindSafe(|| handler::scope(|| call(event))));
            let result = match begun {
                // In a task of its own, so that a panic ends that task alone.
                Ok(running) => match runtime::work().spawn(handler::scoped(running)).await {
                    Ok(outcome) => outcome.into_result(),
                    Err(error) => Err(match error.try_into_panic() {
                        Ok(panic) => panic_error(panic),
                        Err(error) => error.into(),
                    }),
                },
                Err(panic) => Err(panic_error(panic)),
            };
            if !self.finished(result) {
                break;
            }
        }
        self.end();
    }

    /// The event in an envelope; `None` when the handler is stopped or it is not of the handler's type.
    fn decode<T: DeserializeOwned + 'static>(&self, envelope: Envelope) -> Option<Event<T>> {
        if self.progress.is_stopped() {
            return None;
        }
        match envelope.into_event() {
            Ok(event) => Some(event),
            Err(error) => {
                self.listener.reject(DropReason::Decode, &error);
                self.note_done();
                None
            }
        }
    }

    /// No message comes any more. One that was cut off would go on missing them in silence.
    fn end(&self) {
        if self.progress.listener.is_evicted() {
            let event = self.listener.pattern();
            let reason = "it took nothing for longer than `max_wait`: raise `.max_wait(..)`, or choose another `.policy(..)`";
            self.core.fail(Error::failed(format!("the handler of `{event}` was evicted"), reason));
        }
        self.progress.stop();
    }

    fn note_done(&self) {
        self.progress.done.fetch_add(1, Release);
        self.progress.changed.notify_waiters();
    }

    /// Notes what came of a call. Returns whether the handler goes on.
    fn finished(&self, result: Result<(), BoxError>) -> bool {
        let failed = result.is_err();
        if let Err(source) = result {
            let event = self.listener.pattern();
            tracing::error!(event, error = %source, "a handler failed and is stopped");
            self.core.fail(Error::failed(format!("the handler of `{event}`"), source));
        }
        self.note_done();
        !failed && !self.is_over()
    }

    /// Whether it takes no further message. What it has not looked at is then counted as dropped.
    fn is_over(&self) -> bool {
        self.once || self.progress.is_stopped()
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// What a panic said, as an error.
pub(crate) fn panic_error(panic: Box<dyn std::any::Any + Send>) -> BoxError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "with something that is not text".into())).into()
}
