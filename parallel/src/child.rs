//! A process that a launcher started: it is one of the nodes.

use std::{
    convert::Infallible,
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc::sync_channel},
    thread,
    time::Duration,
};

use tidings_router_core::{Address, Error, NodeId, Result, Router, Timeout, error_chain, runtime};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    task::JoinSet,
};

use crate::{
    control::{self, FromNode, ToNode, Welcome},
    directory::RunDirectory,
    ending::{Cause, Ending, ORPHAN},
    failure::{FAILED, Failure},
    handover::{Handover, SPOKEN},
    host::{HOSTED, ListeningOn},
    nodes,
    plan::{Plan, Seal},
    program::{self, Main},
    report, signals,
};

/// How long connecting with the other nodes may take, unless a host says otherwise.
const CONNECT: Duration = Duration::from_secs(30);

/// The same, for a process that replaces one that died: the others may be gone in the meantime.
const CONNECT_AGAIN: Duration = Duration::from_secs(5);

/// How much longer than the router one waits for what it has to say.
const ROUTER: Duration = Duration::from_secs(1);

/// How long a word to the launcher may take, which reads all the time.
const SAY: Duration = Duration::from_secs(1);

/// This process's life as a child.
#[derive(Debug)]
pub(crate) struct Child {
    handover: Handover,
    control: Mutex<UnixStream>,
    said: Mutex<Option<mpsc::Receiver<ToNode>>>,
    ending: Arc<Ending>,
}

impl Child {
    /// Starts to watch for the launcher's end, if this process is a child.
    pub(crate) fn awake() {
        let _ = Self::this();
    }

    /// This process's life as a child, if it is one.
    pub(crate) fn this() -> Option<&'static Self> {
        static THIS: OnceLock<Option<Child>> = OnceLock::new();
        THIS.get_or_init(Self::start).as_ref()
    }

    pub(crate) fn call(&self) -> u64 {
        self.handover.call
    }

    pub(crate) fn count(&self) -> usize {
        self.handover.count
    }

    fn start() -> Option<Self> {
        let handover = Handover::read()?;
        if !is_parent(handover.launcher) && UnixStream::connect(&handover.control).is_ok() {
            // The launcher lives and is not our parent: we are the child of a child, and were not meant.
            return None;
        }
        if handover.version != SPOKEN {
            complain(
                "the launcher that started this process is of another version of tidings: build both with one",
            );
            std::process::exit(FAILED.into());
        }
        let directory = handover.control.parent().and_then(|path| RunDirectory::open(path).ok());
        let ending = Arc::new(Ending::new(directory));
        // As many as are ever unread: the launcher says few words, and these are read at once but during a
        // main's start.
        let (hear, said) = mpsc::channel(16);
        let (up, is_up) = sync_channel(1);
        let watched = (handover.clone(), Arc::clone(&ending));
        let thread = thread::Builder::new().name("tidings-control".into()).spawn(move || {
            let (handover, ending) = watched;
            match connect(&handover) {
                Ok(stream) => {
                    let _ = up.send(stream.try_clone());
                    watch(&stream, &hear, &ending);
                }
                Err(error) => drop(up.send(Err(error))),
            }
        });
        let control = match thread.and_then(|_| is_up.recv().map_err(io::Error::other)?) {
            Ok(control) => control,
            Err(error) => {
                // No launcher, no child. Never go on as if started by hand: that would be a second run.
                let text =
                    "the launcher that started this process is gone; unset TIDINGS_TOKEN to run it alone";
                complain(&format!("{text}: {error}"));
                ending.exit(FAILED);
            }
        };
        let child = Self { handover, control: Mutex::new(control), said: Mutex::new(Some(said)), ending };
        child.heed_signals();
        Some(child)
    }

    /// A Ctrl-C at the terminal reaches the children as well as the launcher.
    fn heed_signals(&self) {
        let (ending, mut signals) = (Arc::clone(&self.ending), signals::listen());
        runtime::io().spawn(async move {
            loop {
                match signals.recv().await {
                    Ok(signal) => ending.begin(Cause::Signal(signal)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }

    /// Tells the launcher. When that fails it is gone, which the watch sees.
    fn say(&self, message: &FromNode) {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = control::write(&*control, message);
    }

    /// Tells the launcher how this node failed, and returns the exit code.
    fn fail(&self, name: &str, failure: &Failure) -> u8 {
        // A host says it itself, once for all.
        if self.handover.call != HOSTED {
            complain(&format!("{name} failed: {failure}"));
        }
        self.say(&FromNode::Failed { message: failure.to_string(), code: failure.code() });
        failure.code()
    }

    /// Ends the process because the program is not the one that the launcher runs.
    pub(crate) fn refuse(&self, failure: &Failure) -> ! {
        let code = self.fail("the child", failure);
        self.ending.exit(code)
    }

    /// The launcher's first word, which comes once.
    async fn welcome(&self) -> Result<(Welcome, mpsc::Receiver<ToNode>), Failure> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut said = said.ok_or_else(|| Failure::new("this call runs already", FAILED))?;
        match said.recv().await {
            Some(ToNode::Welcome(welcome)) => Ok((welcome, said)),
            Some(_) => Err(unexpected()),
            None => Err(launcher_is_gone()),
        }
    }
}

/// Says it on standard error, which may be closed: that is no reason to fail in another way.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn is_parent(launcher: i32) -> bool {
    rustix::process::getppid().is_some_and(|parent| parent.as_raw_pid() == launcher)
}

/// What the kernel does to this process when its launcher dies, as long as the calling thread lives.
fn on_launcher_death(_signal: rustix::process::Signal) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(_signal)) {
        tracing::debug!(%error, "no signal at the launcher's death");
    }
}

/// Connects to the launcher and says who this is.
fn connect(handover: &Handover) -> io::Result<UnixStream> {
    on_launcher_death(rustix::process::Signal::KILL);
    if !is_parent(handover.launcher) {
        return Err(io::Error::other("another process is the parent"));
    }
    let stream = UnixStream::connect(&handover.control)?;
    stream.set_write_timeout(Some(SAY))?;
    control::write(&stream, &FromNode::Hello { token: handover.token.clone() })?;
    // From here on the end of the connection tells, which leaves time for an end in order. A process that is
    // stopped does not see it: it has to be continued.
    on_launcher_death(rustix::process::Signal::CONT);
    Ok(stream)
}

/// Hears what the launcher says until it is gone. This thread needs no runtime, so that nothing in the
/// process can keep it from its end.
fn watch(stream: &UnixStream, hear: &mpsc::Sender<ToNode>, ending: &Arc<Ending>) {
    loop {
        match control::read(stream) {
            Ok(ToNode::Stop) => ending.begin(Cause::Stopped),
            // Full or closed: the node is ending or does not need it any more.
            Ok(message) => drop(hear.try_send(message)),
            Err(_) => {
                ending.begin(Cause::Orphaned);
                thread::sleep(ORPHAN);
                ending.kill();
                return;
            }
        }
    }
}

/// Lives as one of the nodes, and ends the process.
pub(crate) async fn run(child: &'static Child, plan: Arc<Plan>, main: Main) -> Result<()> {
    // Not in the caller's runtime, nor in the mains': the launcher is heeded whatever these are busy with.
    runtime::io().spawn(live(child, plan, main, Box::pin(child.welcome())));
    std::future::pending().await
}

/// The same, as the node that the launcher says. The calling thread is of no more use.
pub(crate) fn host(child: &'static Child, main: Main, listening_on: ListeningOn) -> ! {
    let (index, count) = (child.handover.index, child.handover.count);
    runtime::io().spawn(async move {
        let told = child.welcome().await.and_then(|(mut welcome, said)| {
            let hosted = welcome.hosted.take().ok_or_else(unexpected)?;
            let plan = hosted.plan(index, count, listening_on).map_err(|error| Failure::of(&error))?;
            Ok((plan, (welcome, said)))
        });
        match told {
            Ok((plan, welcome)) => live(child, Arc::new(plan), main, std::future::ready(Ok(welcome))).await,
            Err(failure) => child.refuse(&failure),
        }
    });
    loop {
        thread::park();
    }
}

async fn live(child: &'static Child, plan: Arc<Plan>, main: Main, welcome: impl Welcoming) -> Infallible {
    let name = plan.name(child.handover.index);
    let router = Arc::new(OnceLock::new());
    let flow = runtime::io().spawn(flow(child, Arc::clone(&plan), main, welcome, Arc::clone(&router)));
    child.ending.guard(flow.abort_handle(), plan.child_deadline());
    let code = match flow.await {
        Ok(Ok(())) => 0,
        Ok(Err(failure)) => child.fail(&name, &failure),
        Err(error) if error.is_panic() => child.fail(&name, &Failure::of_task(error)),
        Err(_) => child.ending.cause().map_or(FAILED, Cause::code),
    };
    if let Some(router) = router.get() {
        let limit = match (code, child.ending.cause()) {
            (0, None) => plan.deadline,
            (_, Some(Cause::Orphaned)) => ORPHAN.mul_f64(0.7),
            _ => plan.farewell(),
        };
        let report = router.shutdown(limit).await;
        if report.discarded > 0 {
            tracing::warn!(node = name, ?report, "ended with messages that nobody will receive");
        }
    }
    child.ending.limit();
    child.ending.exit(code)
}

/// The launcher's first word, still to come or here already.
trait Welcoming: Future<Output = Result<(Welcome, mpsc::Receiver<ToNode>), Failure>> + Send + 'static {}

impl<F: Future<Output = Result<(Welcome, mpsc::Receiver<ToNode>), Failure>> + Send + 'static> Welcoming
    for F
{
}

/// From the first word of the launcher to the end of the main.
async fn flow(
    child: &'static Child,
    plan: Arc<Plan>,
    main: Main,
    welcome: impl Welcoming,
    slot: Arc<OnceLock<Arc<dyn Router>>>,
) -> Result<(), Failure> {
    let index = child.handover.index;
    let (welcome, mut said) = welcome.await?;
    let mut next = async || said.recv().await.ok_or_else(launcher_is_gone);
    let seal = Seal { cluster: welcome.cluster, secret: welcome.secret };
    let directory = child.ending.nodes().ok_or_else(|| Failure::new("the run directory is gone", FAILED))?;
    let failed = |error: Error| Failure::of(&error);
    let builder = plan.placed_router(index, &seal, &directory).map_err(failed)?;
    let router = builder.open().await.map_err(failed)?;
    let _ = slot.set(Arc::clone(&router));
    let addresses = router.addresses().iter().map(Address::to_string).collect();
    child.say(&FromNode::Opened { addresses });

    let ToNode::Attach { addresses, expect } = next().await? else { return Err(unexpected()) };
    let expect: Vec<NodeId> = expect.into_iter().map(NodeId).collect();
    let limit = plan.within.unwrap_or(CONNECT);
    // The router gives up by itself, and says whom it did not reach; it is to be the faster one.
    let limit = if welcome.again { CONNECT_AGAIN.min(limit) } else { limit + ROUTER };
    match connect_nodes(&router, &plan, index, addresses, &expect, limit).await {
        Err(error) if welcome.again => {
            let (node, error) = (router.node_id(), error_chain(&error));
            tracing::warn!(%node, error, "begins again without all others");
        }
        result => result.map_err(failed)?,
    }
    child.say(&FromNode::Ready);
    let ToNode::Go = next().await? else { return Err(unexpected()) };

    let mut attaching = JoinSet::new();
    attaching.spawn_on(report::tell_observers(Arc::clone(&router)), runtime::io());
    attaching.spawn_on(attach_later(Arc::clone(&router), said), runtime::io());
    let recovering = |left| child.say(&FromNode::Recovering { left });
    program::run(&main, &router, welcome.recoveries, recovering).await.map_err(Failure::of_main)
}

fn launcher_is_gone() -> Failure {
    Failure::new("the launcher is gone", FAILED)
}

fn unexpected() -> Failure {
    Failure::new("the launcher said something unexpected: both ends must be the same executable", FAILED)
}

/// Connects with the other nodes of the run and with those that the user named.
async fn connect_nodes(
    router: &Arc<dyn Router>,
    plan: &Plan,
    index: usize,
    addresses: Vec<String>,
    expect: &[NodeId],
    limit: Duration,
) -> Result<()> {
    let mut attach_to: Vec<Address> = addresses.iter().map(|text| text.parse()).collect::<Result<_>>()?;
    attach_to.extend(plan.attach_to(index)?);
    if !attach_to.is_empty() {
        let what = "connection with the addresses to attach to";
        let timeout = || Error::Timeout { what: what.to_owned(), after: limit };
        Timeout::new(limit, router.attach(attach_to)).await.unwrap_or_else(|| Err(timeout()))?;
    }
    nodes::wait_for(&**router, expect, limit).await
}

/// Connects to nodes that have been started again and listen elsewhere.
async fn attach_later(router: Arc<dyn Router>, mut said: mpsc::Receiver<ToNode>) {
    while let Some(message) = said.recv().await {
        let ToNode::Attach { addresses, .. } = message else { continue };
        let addresses: Vec<Address> = addresses.iter().filter_map(|text| text.parse().ok()).collect();
        if let Err(error) = router.attach(addresses).await {
            let (node, error) = (router.node_id(), error_chain(&error));
            tracing::warn!(%node, error, "cannot connect to a restarted node");
        }
    }
}
