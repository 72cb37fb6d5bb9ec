//! What the launcher knows of one node.

use std::process::ExitStatus;

use rustix::process::Signal;
use tidings_router_core::runtime;
use tokio::{
    io::AsyncWriteExt,
    net::UnixStream,
    sync::mpsc::{self, error::TrySendError},
};

use crate::{
    back_off::BackOff,
    control::{self, ToNode},
    failure::{FAILED, Failure},
    keeper::Keeper,
    launcher::Event,
};

/// How many words may wait for a child to read them. It reads all the time; one that does not gets no more.
const UNREAD: usize = 16;

/// One node, through all its lives.
#[derive(Debug)]
pub(crate) struct Member {
    /// How many processes it has had.
    pub(crate) life: u32,
    pub(crate) state: State,
    pub(crate) token: String,
    /// How often its main may still be run again.
    pub(crate) recoveries: u32,
    pub(crate) back_off: BackOff,
    /// Where it listens.
    pub(crate) addresses: Vec<String>,
    keeper: Option<Keeper>,
    control: Option<mpsc::Sender<ToNode>>,
    /// How it says that it failed.
    failure: Option<Failure>,
    exited: Option<Result<ExitStatus, String>>,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Its process has been started.
    Started,
    /// Its router is open.
    Opened,
    /// It is connected with the others.
    Ready,
    /// Its main runs.
    Running,
    /// Its process died and will be started again.
    Waiting,
    /// It has ended for good.
    Ended,
}

impl Member {
    pub(crate) fn new(recoveries: u32) -> Self {
        Self {
            life: 0,
            state: State::Waiting,
            token: String::new(),
            recoveries,
            back_off: BackOff::default(),
            addresses: Vec::new(),
            keeper: None,
            control: None,
            failure: None,
            exited: None,
        }
    }

    /// A new life begins.
    pub(crate) fn begin(&mut self, token: String, keeper: Keeper) {
        self.state = State::Started;
        self.token = token;
        self.keeper = Some(keeper);
        (self.control, self.failure, self.exited) = (None, None, None);
    }

    /// Whether there is a process of it.
    pub(crate) fn lives(&self) -> bool {
        self.state < State::Waiting
    }

    /// Whether its process has not connected in this life.
    pub(crate) fn is_unheard(&self) -> bool {
        !self.token.is_empty()
    }

    /// Whether some of its output is being written.
    pub(crate) fn is_writing(&self) -> bool {
        self.keeper.iter().flat_map(|keeper| &keeper.pumps).any(|pump| pump.is_busy())
    }

    /// Whether it has not been connected yet in this life.
    pub(crate) fn awaits(&self, token: &str) -> bool {
        self.lives() && self.control.is_none() && !self.token.is_empty() && self.token == token
    }

    /// Its process has connected: hears it from now on, and can tell it.
    pub(crate) fn connect(&mut self, index: usize, stream: UnixStream, events: mpsc::Sender<Event>) {
        // Good once.
        self.token.clear();
        let life = self.life;
        let (mut reader, mut writer) = stream.into_split();
        let (control, mut words) = mpsc::channel::<ToNode>(UNREAD);
        self.control = Some(control);
        runtime::io().spawn(async move {
            while let Some(word) = words.recv().await {
                let Ok(frame) = control::frame(&word) else { return };
                if writer.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
        runtime::io().spawn(async move {
            while let Ok(message) = control::receive(&mut reader).await {
                if events.send(Event::Said { index, life, message }).await.is_err() {
                    return;
                }
            }
            let _ = events.send(Event::Silent { index, life }).await;
        });
    }

    /// Tells its process. One that is gone, or takes nothing, is dealt with when it has exited.
    pub(crate) fn tell(&self, word: ToNode) {
        if let Some(control) = &self.control
            && let Err(TrySendError::Full(_)) = control.try_send(word)
        {
            tracing::warn!("a child does not read what its launcher says");
        }
    }

    /// Asks its process to end in order: by word, or by signal if it cannot hear yet.
    pub(crate) fn stop(&self) {
        match &self.control {
            Some(_) => self.tell(ToNode::Stop),
            None => self.signal(Signal::TERM),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(keeper) = &self.keeper {
            keeper.signal(signal);
        }
    }

    /// It says that it failed.
    pub(crate) fn failed(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// Its connection has ended, so all that it had to say is said.
    pub(crate) fn silent(&mut self) {
        self.control = None;
    }

    pub(crate) fn exited(&mut self, status: Result<ExitStatus, String>) {
        self.exited = Some(status);
    }

    /// How this life ended, once the process has exited and all that it said has been heard.
    pub(crate) fn end(&self) -> Option<Result<(), Failure>> {
        let status = self.exited.as_ref().filter(|_| self.control.is_none())?;
        Some(match (&self.failure, status) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Ok(status)) if status.success() => Ok(()),
            (None, Ok(status)) => Err(Failure::of_process(*status)),
            (None, Err(error)) => Err(Failure::new(error.clone(), FAILED)),
        })
    }

    /// Whether it said itself that it failed: then its retries are used up.
    pub(crate) fn has_given_up(&self) -> bool {
        self.failure.is_some()
    }

    /// Takes what it says of its retries; a child cannot give itself more.
    pub(crate) fn recovering(&mut self, left: u32) {
        self.recoveries = self.recoveries.min(left);
    }
}
