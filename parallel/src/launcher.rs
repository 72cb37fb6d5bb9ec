//! Starts the children, brings them together, and ends with them.

mod meeting;
mod reception;
mod stopping;

use std::{io, process::ExitStatus, sync::Arc, thread};

use stopping::Stopping;
use tidings_router_core::{Error, Result, runtime};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout_at,
};

use crate::{
    back_off::pause,
    control::FromNode,
    directory::RunDirectory,
    failure::Failure,
    handover::{Handover, SPOKEN},
    keeper::{self, Keeper},
    member::{Member, State},
    plan::{Plan, Seal, random},
    signals,
};

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
        helpers.spawn_on(reception::accept(listener, plan.processes, events.clone()), runtime::io());
        helpers.spawn_on(reception::hear_signals(signals, events.clone()), runtime::io());
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
}
