//! Starts the children, brings them together, and ends with them.

use std::{collections::VecDeque, io, process::ExitStatus, sync::Arc, thread, time::Duration};

use rustix::process::Signal;
use tidings_router_core::{Error, Result, runtime};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, broadcast, mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    back_off::pause,
    control::{self, FromNode, ToNode, Welcome},
    directory::RunDirectory,
    failure::Failure,
    handover::{Handover, SPOKEN},
    host::{Hosted, Progress},
    keeper::{self, Keeper},
    member::{Member, State},
    plan::{Plan, Seal, random},
    signals,
};

/// How long a stranger on the control socket may take for its first word.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How many strangers may be on the control socket beyond the nodes of the run.
const STRANGERS: usize = 16;

/// How long the output of children that are gone is waited for when none comes: a process that a child
/// started may hold its end for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// What the launcher hears of.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody is on the control socket and says this token.
    Arrived { token: String, stream: UnixStream },
    /// A child says something.
    Said { index: usize, life: u32, message: FromNode },
    /// A child's control connection has ended.
    Silent { index: usize, life: u32 },
    /// A child's process has ended.
    Exited { index: usize, life: u32, status: io::Result<ExitStatus> },
    /// One output of one child has ended.
    Drained,
    /// The pause before a process is started again is over.
    Again { index: usize },
    /// A signal that ends the run.
    Signal(i32),
    /// The time in which a hosted program has to say who it is is over for this life.
    Late { index: usize, life: u32 },
    /// Nobody waits for the run any more.
    Abandoned,
}

/// What is said of a hosted program that ends, or goes on, without a word.
const NEVER_JOINED: &str = "it never joined the bus: its `main` has to be marked with `#[tidings::main]`, and its \
                            program built with the feature `parallel` of tidings";

/// Runs the plan in processes.
///
/// # Cancel safety
///
/// Dropping it ends the children in order, in the background.
pub(crate) async fn run(plan: Arc<Plan>, call: u64) -> Result<()> {
    let (done, result) = oneshot::channel();
    let (_still_wanted, abandoned) = oneshot::channel::<()>();
    // A thread that lasts as long as the run: its end would be the launcher's death to the kernel.
    let launcher = move || drop(done.send(runtime::io().block_on(Launcher::run(plan, call, abandoned))));
    let thread = thread::Builder::new().name("tidings-launcher".into()).spawn(launcher);
    thread.map_err(|error| Error::io("cannot start the launcher's thread", error))?;
    result.await.unwrap_or(Err(Error::Closed))
}

struct Launcher {
    plan: Arc<Plan>,
    call: u64,
    seal: Seal,
    directory: RunDirectory,
    events: mpsc::Sender<Event>,
    members: Vec<Member>,
    /// Whether the mains have begun.
    begun: bool,
    /// How many outputs of children are open.
    outputs: usize,
    stopping: Option<Stopping>,
}

/// The end of the run.
struct Stopping {
    why: Option<Error>,
    /// What is done to those who still live, and when.
    ladder: VecDeque<(Instant, Signal)>,
    interrupted: bool,
}

impl Launcher {
    async fn run(plan: Arc<Plan>, call: u64, abandoned: oneshot::Receiver<()>) -> Result<()> {
        // Before there is anything that a signal could leave behind.
        let signals = signals::listen();
        let directory = RunDirectory::create()?;
        let listener = UnixListener::bind(directory.control()).map_err(|error| {
            Error::io(format!("cannot listen on {}", directory.control().display()), error)
        })?;
        let (events, mut heard) = mpsc::channel(256);
        let mut helpers = JoinSet::new();
        helpers.spawn_on(accept(listener, plan.processes, events.clone()), runtime::io());
        helpers.spawn_on(hear_signals(signals, events.clone()), runtime::io());
        let abandon = events.clone();
        helpers.spawn_on(
            async move {
                let _ = abandoned.await;
                let _ = abandon.send(Event::Abandoned).await;
            },
            runtime::io(),
        );
        let members = (0..plan.processes).map(|_| Member::new(plan.recoveries)).collect();
        let seal = plan.seal()?;
        let mut launcher =
            Self { plan, call, seal, directory, events, members, begun: false, outputs: 0, stopping: None };
        (0..launcher.members.len()).for_each(|index| launcher.start(index));
        while !launcher.members.iter().all(|member| member.state == State::Ended) {
            match launcher.next_rung() {
                None => match heard.recv().await {
                    Some(event) => launcher.on(event),
                    None => break,
                },
                Some(at) => match timeout_at(at, heard.recv()).await {
                    Ok(Some(event)) => launcher.on(event),
                    Ok(None) => break,
                    Err(_) => launcher.climb(),
                },
            }
        }
        launcher.drain(&mut heard).await;
        // Whoever sends a signal from now on means the program.
        helpers.shutdown().await;
        launcher.stopping.and_then(|stopping| stopping.why).map_or(Ok(()), Err)
    }

    /// Starts a process for this node.
    fn start(&mut self, index: usize) {
        if self.stopping.is_some() {
            self.members[index].state = State::Ended;
            return;
        }
        if let Err(error) = self.try_start(index) {
            self.members[index].state = State::Ended;
            let what = format!("cannot start {}", self.plan.name(index));
            self.stop(Some(Error::io(what, error)));
        }
    }

    fn try_start(&mut self, index: usize) -> io::Result<()> {
        let token: [u8; 16] = random().map_err(io::Error::other)?;
        let token = format!("{:032x}", u128::from_le_bytes(token));
        let handover = Handover {
            index,
            count: self.plan.processes,
            call: self.call,
            control: self.directory.control(),
            token: token.clone(),
            launcher: std::process::id() as i32,
            version: SPOKEN,
        };
        let command = match &self.plan.host {
            Some(host) => host.command(),
            None => keeper::again()?,
        };
        let prefix = if self.plan.prefix { format!("[{}] ", self.plan.name(index)) } else { String::new() };
        let member = &mut self.members[index];
        member.life += 1;
        let keeper = Keeper::start(command, &handover, &prefix, member.life, &self.events)?;
        self.outputs += keeper.pumps.len();
        member.begin(token, keeper);
        if let Some(host) = &self.plan.host {
            let (life, within, events) = (member.life, host.within, self.events.clone());
            runtime::io().spawn(async move {
                pause(within).await;
                let _ = events.send(Event::Late { index, life }).await;
            });
        }
        Ok(())
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Arrived { token, stream } => self.arrived(&token, stream),
            Event::Said { index, life, message } if self.members[index].life == life => {
                self.said(index, message)
            }
            Event::Silent { index, life } if self.members[index].life == life => {
                self.members[index].silent();
                self.check_end(index);
            }
            Event::Exited { index, life, status } if self.members[index].life == life => {
                self.members[index].exited(status.map_err(|error| error.to_string()));
                self.check_end(index);
            }
            // Of an earlier life.
            Event::Said { .. } | Event::Silent { .. } | Event::Exited { .. } => {}
            Event::Drained => self.outputs = self.outputs.saturating_sub(1),
            Event::Again { index } => self.start(index),
            Event::Late { index, life } => self.late(index, life),
            Event::Signal(signal) => self.interrupted(signal),
            Event::Abandoned => self.stop(None),
        }
    }

    /// A program that lives and says nothing would keep the others waiting for ever.
    fn late(&mut self, index: usize, life: u32) {
        let member = &self.members[index];
        if member.life != life || member.state != State::Started || !member.is_unheard() {
            return;
        }
        let within = self.plan.host.as_ref().map(|host| host.within).unwrap_or_default();
        let failure = Failure::new(format!("{NEVER_JOINED} (waited {within:?})"), crate::failure::FAILED);
        self.stop(Some(Error::failed(self.plan.name(index), failure)));
    }

    fn arrived(&mut self, token: &str, stream: UnixStream) {
        let Some(index) = self.members.iter().position(|member| member.awaits(token)) else { return };
        let member = &mut self.members[index];
        member.connect(index, stream, self.events.clone());
        member.tell(ToNode::Welcome(Welcome {
            cluster: self.seal.cluster.clone(),
            secret: self.seal.secret,
            recoveries: member.recoveries,
            again: self.begun,
            hosted: self
                .plan
                .host
                .as_ref()
                .and_then(|host| Hosted::of(&self.plan, host, index))
                .map(Box::new),
        }));
        if self.stopping.is_some() {
            member.stop();
        }
    }

    fn said(&mut self, index: usize, message: FromNode) {
        let member = &mut self.members[index];
        match message {
            FromNode::Opened { addresses } if member.state == State::Started => {
                let moved = member.addresses != addresses;
                member.addresses = addresses;
                member.state = State::Opened;
                match self.begun {
                    true => self.attach_again(index, moved),
                    false if self.all_are(State::Opened) => {
                        let addresses = self.members.iter().map(|member| member.addresses.clone());
                        self.progress(Progress::Listening(addresses.collect()));
                        (0..self.members.len()).for_each(|index| self.attach(index, self.plan.dials(index)));
                    }
                    false => {}
                }
            }
            FromNode::Ready if member.state == State::Opened => {
                member.state = State::Ready;
                if !self.begun && self.all_are(State::Ready) {
                    self.begun = true;
                    self.progress(Progress::Begun);
                }
                if self.begun {
                    self.release();
                }
            }
            FromNode::Recovering { left } => member.recovering(left),
            FromNode::Failed { message, code } => {
                let failure = Failure::new(message, code);
                member.failed(failure.clone());
                self.stop(Some(Error::failed(self.plan.name(index), failure)));
            }
            FromNode::Hello { .. } | FromNode::Opened { .. } | FromNode::Ready => {}
        }
    }

    /// Tells who hosts this run how far it is.
    fn progress(&self, progress: Progress) {
        if let Some(told) = self.plan.host.as_ref().and_then(|host| host.progress.as_ref()) {
            told(progress);
        }
    }

    fn all_are(&self, state: State) -> bool {
        self.members.iter().all(|member| member.state == state)
    }

    /// Lets the mains of those begin that are ready.
    fn release(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.state == State::Ready) {
            member.state = State::Running;
            member.tell(ToNode::Go);
        }
    }

    /// Tells a node whom to dial, and whom to wait for.
    fn attach(&self, index: usize, dials: Vec<usize>) {
        let is_there = |other: &usize| (State::Opened..=State::Running).contains(&self.members[*other].state);
        let dialled = dials.into_iter().filter(is_there);
        let addresses = dialled.flat_map(|other| self.members[other].addresses.first().cloned()).collect();
        let seen = self.plan.sees(index).into_iter().filter(is_there);
        let expect = seen.map(|other| self.plan.node_id(other).0).collect();
        self.members[index].tell(ToNode::Attach { addresses, expect });
    }

    /// Brings a node that was started again together with those that live.
    fn attach_again(&self, index: usize, moved: bool) {
        let dials = self.plan.dials_again(index);
        if moved {
            // Those that it does not dial itself know only where it was.
            let others = (0..self.members.len()).filter(|other| *other != index && !dials.contains(other));
            let others = others.filter(|other| self.plan.dials_again(*other).contains(&index));
            for other in others.filter(|other| self.members[*other].state == State::Running) {
                let addresses = self.members[index].addresses.first().cloned().into_iter().collect();
                self.members[other].tell(ToNode::Attach { addresses, expect: Vec::new() });
            }
        }
        self.attach(index, dials);
    }

    /// Decides what follows when a process has ended and has no more to say.
    fn check_end(&mut self, index: usize) {
        let Some(end) = self.members[index].end() else { return };
        let member = &mut self.members[index];
        let was_running = member.state == State::Running;
        member.state = State::Ended;
        let failure = match end {
            _ if self.stopping.is_some() => return,
            Ok(()) if was_running => return,
            Ok(()) => {
                let text = match &self.plan.host {
                    Some(_) => NEVER_JOINED.to_owned(),
                    None => format!(
                        "its process ended before its main began: it did not get to `run` call {}",
                        self.call
                    ),
                };
                Failure::new(text, crate::failure::FAILED)
            }
            Err(failure) => failure,
        };
        if was_running && !member.has_given_up() && member.recoveries > 0 {
            member.recoveries -= 1;
            member.state = State::Waiting;
            let (wait, events) = (member.back_off.next(), self.events.clone());
            let (node, left) = (self.plan.node_id(index), member.recoveries);
            tracing::warn!(%node, %failure, left, ?wait, "a process died and is started again");
            runtime::io().spawn(async move {
                pause(wait).await;
                let _ = events.send(Event::Again { index }).await;
            });
            return;
        }
        self.stop(Some(Error::failed(self.plan.name(index), failure)));
    }

    fn interrupted(&mut self, signal: i32) {
        let failure = Failure::interrupted(signal);
        let code = failure.code();
        let error = Error::failed("the run", failure);
        self.stop(None);
        let Some(stopping) = &mut self.stopping else { return };
        if stopping.interrupted {
            // Somebody is impatient.
            stopping.ladder = VecDeque::from([(Instant::now(), Signal::KILL)]);
        }
        stopping.interrupted = true;
        // A terminal's signal reaches the children as well, and one of them may have been faster to say so.
        if stopping.why.as_ref().is_none_or(|why| crate::exit_code(why) == code) {
            stopping.why = Some(error);
        }
    }

    /// Begins the end of the run, unless it has begun.
    fn stop(&mut self, why: Option<Error>) {
        if self.stopping.is_some() {
            return;
        }
        let (now, deadline) = (Instant::now(), self.plan.deadline);
        let ladder = [(now + deadline - self.plan.step(), Signal::TERM), (now + deadline, Signal::KILL)];
        self.stopping = Some(Stopping { why, ladder: ladder.into(), interrupted: false });
        for member in &mut self.members {
            match member.state {
                State::Waiting => member.state = State::Ended,
                State::Ended => {}
                _ => member.stop(),
            }
        }
    }

    fn next_rung(&self) -> Option<Instant> {
        self.stopping.as_ref()?.ladder.front().map(|(at, _)| *at)
    }

    /// Does the next thing to those who still live.
    fn climb(&mut self) {
        let Some((_, signal)) = self.stopping.as_mut().and_then(|stopping| stopping.ladder.pop_front())
        else {
            return;
        };
        self.members.iter().filter(|member| member.lives()).for_each(|member| member.signal(signal));
    }

    /// Waits until what the children wrote has been passed on.
    async fn drain(&mut self, heard: &mut mpsc::Receiver<Event>) {
        while self.outputs > 0 {
            match timeout(DRAIN, heard.recv()).await {
                Ok(Some(Event::Drained)) => self.outputs -= 1,
                Ok(Some(Event::Signal(_) | Event::Abandoned) | None) => return,
                Ok(Some(_)) => {}
                // Slow readers of ours are waited for.
                Err(_) if self.members.iter().any(Member::is_writing) => {}
                Err(_) => return,
            }
        }
    }
}

/// Lets strangers say their first word.
async fn accept(listener: UnixListener, nodes: usize, events: mpsc::Sender<Event>) {
    let places = Arc::new(Semaphore::new(nodes + STRANGERS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let mut stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, as a rule: these come back with time.
                tracing::warn!(%error, "the control socket");
                pause(Duration::from_millis(50)).await;
                continue;
            }
        };
        let events = events.clone();
        runtime::io().spawn(async move {
            let _place = place;
            if let Ok(Ok(FromNode::Hello { token })) = timeout(HANDSHAKE, control::receive(&mut stream)).await
            {
                let _ = events.send(Event::Arrived { token, stream }).await;
            }
        });
    }
}

async fn hear_signals(mut signals: broadcast::Receiver<i32>, events: mpsc::Sender<Event>) {
    loop {
        match signals.recv().await {
            Ok(signal) if events.send(Event::Signal(signal)).await.is_ok() => {}
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Ok(_) | Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
