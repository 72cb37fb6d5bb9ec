use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use serde::de::DeserializeOwned;
use tidings_router_core::{
    Emit, Error, Event, ListenOptions, Payload, Router, error_chain, pattern_matches, runtime,
};
use tokio::sync::watch;

use crate::{
    ListenerId, Outcome, WaitFor, finish,
    handlers::{Handler, Progress, Served},
    labels,
    phase::Phase,
};

/// What a task is to all that have to do with it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) router: Arc<dyn Router>,
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    pub(crate) roles: Vec<String>,
    /// The task's name, and which of its namesakes on this router it is: the same on all nodes.
    pub(crate) id: String,
    finish_event: String,
    next_id: AtomicU64,
    handlers: Mutex<Vec<Handler>>,
    error: Mutex<Option<Error>>,
    phase: watch::Sender<Phase>,
    /// How many groups of branches run now.
    pub(crate) branching: AtomicUsize,
    /// Whether its namesakes to come have been told apart from it.
    noted: AtomicBool,
}

impl Core {
    fn handlers(&self) -> MutexGuard<'_, Vec<Handler>> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the first error.
    pub(crate) fn fail(&self, error: Error) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
        self.end(|phase| phase.failed = true);
    }

    /// Takes the first error out. From then on the task can be run again.
    pub(crate) fn take_error(&self) -> Option<Error> {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        let error = first.take()?;
        self.phase.send_modify(|phase| phase.failed = false);
        Some(error)
    }

    fn end(&self, end: impl FnOnce(&mut Phase)) {
        self.phase.send_modify(|phase| {
            end(phase);
            phase.ends += 1;
        });
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// A run begins.
    pub(crate) fn begin(&self) {
        self.phase.send_modify(|phase| phase.runs += 1);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.phase().is_finished()
    }

    /// Waits until the task has come so far.
    pub(crate) async fn until(&self, reached: impl Fn(&Phase) -> bool) {
        // The sender lives as long as we do.
        let _ = self.phase.subscribe().wait_for(|phase| reached(phase)).await;
    }

    /// Waits until the task has finished or failed.
    pub(crate) async fn until_over(&self) {
        let before = self.phase().ends;
        self.until(|phase| phase.is_over() || phase.ends != before).await;
    }

    /// Finishes this run, once. The others are told also by who was told: in some topologies nobody else tells them.
    pub(crate) fn finish(&self, run: u64) {
        let news = self.phase.send_if_modified(|phase| {
            let news = run > phase.finished;
            if news {
                phase.finished = run;
                phase.ends += 1;
            }
            news
        });
        if !news {
            return;
        }
        if !self.noted.swap(true, Relaxed) {
            finish::note(&*self.router, &self.name);
        }
        // A queue that is full does not take the end either, so it is sent in the background where it can wait.
        let (router, event) = (self.router.clone(), self.finish_event.clone());
        if router.emit(&event, &run).only_remote().try_now().is_err() {
            runtime::work().spawn(async move {
                if let Err(error) = router.emit(&event, &run).only_remote().await {
                    tracing::warn!(%error, "the others were not told that the task has finished");
                }
            });
        }
    }

    /// The handlers to which a message of this name goes.
    pub(crate) fn hearing(&self, event: &str, before: ListenerId) -> Vec<Arc<Progress>> {
        let handlers = self.handlers();
        let earlier = handlers.iter().filter(|handler| handler.id.0 < before.0 && handler.hears(event));
        earlier.map(|handler| handler.progress.clone()).collect()
    }

    /// All handlers.
    pub(crate) fn progress(&self) -> Vec<Arc<Progress>> {
        self.handlers().iter().map(|handler| handler.progress.clone()).collect()
    }

    pub(crate) fn next_id(&self) -> ListenerId {
        ListenerId(self.next_id.fetch_add(1, Relaxed))
    }

    /// Takes no more listeners, and stops those that there are.
    pub(crate) fn close(&self) {
        self.end(|phase| phase.closed = true);
        for handler in std::mem::take(&mut *self.handlers()) {
            handler.progress.stop();
        }
    }
}

/// A [`Task`](crate::Task) in the hands of a step, a handler or another thread: everything but its steps.
#[derive(Debug, Clone)]
pub struct TaskHandle {
    pub(crate) core: Arc<Core>,
}

impl TaskHandle {
    pub(crate) fn new(
        router: Arc<dyn Router>,
        name: String,
        labels: Vec<String>,
        roles: Vec<String>,
    ) -> Self {
        let id = finish::id(&*router, &name);
        let finish_event = format!("tidings.task.finish.{id}");
        let core = Arc::new(Core {
            router,
            name,
            labels,
            roles,
            id,
            finish_event: finish_event.clone(),
            next_id: AtomicU64::new(0),
            handlers: Mutex::default(),
            error: Mutex::default(),
            phase: watch::Sender::default(),
            branching: AtomicUsize::new(0),
            noted: AtomicBool::new(false),
        });
        let handle = Self { core };
        let told = Arc::downgrade(&handle.core);
        handle.on(&finish_event, move |run: Event<u64>| {
            if let Some(core) = told.upgrade() {
                core.finish(run.payload);
            }
        });
        handle
    }

    /// Emits an event to everyone who listens for it; see [`Emit`].
    pub fn emit<'a, P: Payload + Unpin>(&'a self, event: &'a str, payload: P) -> Emit<'a, P> {
        self.core.router.emit(event, payload)
    }

    /// Calls `handler` for each event of this name or pattern, from now on, until it is taken [off](Self::off).
    ///
    /// ```
    /// use tidings_task::Task;
    /// use tidings_router_core::Event;
    ///
    /// let task = Task::builder().build();
    /// let listener = task.on("greet*", |msg: Event<String>| println!("{}: {}", msg.name, msg.payload));
    /// task.emit("greeting", "Hi").wait()?;
    /// task.off(listener);
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    ///
    /// It is called for one message after the other, in their order, on the thread that has read the message if it is
    /// quick. It may block: others do not wait for it. What it emits does not wait for room,
    /// see [`Error::Full`]. When it fails or panics it is stopped, and the task's `run` ends with that error. A payload
    /// that is no `T` is skipped, counted and logged. A name that cannot be ends `run` likewise.
    pub fn on<T, F, O>(&self, event: &str, mut handler: F) -> ListenerId
    where
        T: DeserializeOwned + 'static,
        F: FnMut(Event<T>) -> O + Send + 'static,
        O: Outcome,
    {
        self.serve(event, false, move |served| {
            runtime::spawn_near(served.serve(Box::new(move |event: Event<T>| handler(event).into_result())));
        })
    }

    /// Calls an asynchronous `handler` for each event, one after the other; otherwise like [`on`](Self::on).
    pub fn on_async<T, F, Fut, O>(&self, event: &str, handler: F) -> ListenerId
    where
        T: DeserializeOwned + Send + 'static,
        F: FnMut(Event<T>) -> Fut + Send + 'static,
        Fut: Future<Output = O> + Send + 'static,
        O: Outcome + 'static,
    {
        self.serve(event, false, move |served| drop(runtime::work().spawn(served.serve_async(handler))))
    }

    /// Calls `handler` for the next event of this name or pattern, and no other one. If that one is no `T`, it is counted
    /// and logged, and `handler` is not called.
    ///
    /// ```
    /// use tidings_task::Task;
    /// use tidings_router_core::Event;
    ///
    /// let task = Task::builder().build();
    /// task.once("ready", |_: Event<()>| println!("ready"));
    /// task.emit("ready", &()).wait()?;
    /// task.emit("ready", &()).wait()?; // nobody listens any more
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    pub fn once<T, F, O>(&self, event: &str, handler: F) -> ListenerId
    where
        T: DeserializeOwned + 'static,
        F: FnOnce(Event<T>) -> O + Send + 'static,
        O: Outcome,
    {
        let mut handler = Some(handler);
        self.serve(event, true, move |served| {
            runtime::spawn_near(served.serve(Box::new(move |event: Event<T>| {
                handler.take().map_or(Ok(()), |handler| handler(event).into_result())
            })));
        })
    }

    fn serve(&self, event: &str, once: bool, serve: impl FnOnce(Served)) -> ListenerId {
        let id = self.core.next_id();
        let options = if once { ListenOptions::once() } else { ListenOptions::default() };
        let listener = match self.core.router.listen(event, options) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(event, %error, "cannot listen");
                self.core.fail(error);
                return id;
            }
        };
        let served = Served::new(listener, self.core.clone(), once);
        let progress = served.progress.clone();
        let mut handlers = self.core.handlers();
        // Those that have ended by themselves are not kept for ever.
        handlers.retain(|handler| !handler.progress.is_stopped());
        handlers.push(Handler { id, event: event.to_owned(), progress: progress.clone() });
        drop(handlers);
        serve(served);
        if self.core.phase().closed {
            progress.stop();
        }
        id
    }

    /// Stops a listener. A call that is under way is finished, no other one begins. Stopping one that is not there does
    /// nothing.
    pub fn off(&self, id: ListenerId) {
        self.stop(|handler| handler.id == id);
    }

    /// Stops every listener of this task whose event matches the pattern.
    pub fn off_all(&self, pattern: &str) {
        // Not the one that hears of the task's end.
        let finish = &self.core.finish_event;
        self.stop(|handler| handler.event != *finish && pattern_matches(pattern, &handler.event));
    }

    fn stop(&self, which: impl Fn(&Handler) -> bool) {
        let stopped: Vec<Handler> = self.core.handlers().extract_if(.., |handler| which(handler)).collect();
        stopped.iter().for_each(|handler| handler.progress.stop());
    }

    /// Waits for the next event of this name or pattern; listens from this call on, not from the first poll.
    ///
    /// Before it returns, handlers of this task that listened earlier have finished the message too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings_task::Task;
    ///
    /// let task = Task::builder().build();
    /// let answer = task.wait_for::<u64>("answer").timeout(Duration::from_secs(1));
    /// task.emit("answer", &42u64).wait()?;
    /// assert_eq!(answer.wait()?.payload, 42);
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], [`Error::Decode`], [`Error::Finished`] when the task finishes meanwhile, and in a step also when a listener has failed,
    /// [`Error::InvalidEvent`], [`Error::Closed`].
    pub fn wait_for<T: DeserializeOwned + 'static>(&self, event: &str) -> WaitFor<T> {
        WaitFor::new(self.core.clone(), event)
    }

    /// Ends the task's run on every node, each after its current step: the one that is under way, or else the first one to
    /// come. A run that is over is not ended again, and the next one is a run of its own: every node runs equally often.
    ///
    /// ```
    /// use tidings_task::{Context, Task};
    ///
    /// let mut task = Task::builder().build();
    /// task.step(|ctx: &mut Context<()>| if ctx.total_step == 2 { ctx.task().finish() });
    /// task.run(1000).wait()?;
    /// assert_eq!(task.context().total_step, 3);
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    pub fn finish(&self) {
        self.core.finish(self.core.phase().run());
    }

    /// The first error of a listener or a branch that [`Task::run`](crate::Task::run) has not returned yet, with what
    /// caused it.
    pub fn error(&self) -> Option<String> {
        let first = self.core.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.as_ref().map(|error| error_chain(error))
    }

    /// Whether the run that is under way, or was last, has finished, here or on another node.
    pub fn is_finished(&self) -> bool {
        self.core.is_finished()
    }

    /// The router under the task; a local one when none was given.
    pub fn router(&self) -> Arc<dyn Router> {
        self.core.router.clone()
    }

    /// The labels: the given ones, the router's, `node.N`, and `standalone` or `distributed`.
    pub fn labels(&self) -> &[String] {
        &self.core.labels
    }

    /// Whether any label matches any of the patterns.
    pub fn match_labels(&self, patterns: impl IntoIterator<Item = impl AsRef<str>>) -> bool {
        labels::matches(&self.core.labels, patterns)
    }

    /// Whether the task has this role; one without any roles has them all.
    pub fn has_role(&self, role: &str) -> bool {
        self.core.roles.is_empty() || self.core.roles.iter().any(|known| known == role)
    }
}
