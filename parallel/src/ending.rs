use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidings_router_core::runtime;
use tokio::task::AbortHandle;

use crate::{
    back_off::pause,
    directory::RunDirectory,
    failure::{FAILED, signal_code},
};

/// How long an end in order may take when the launcher is gone: a second after its death no child lives.
pub(crate) const ORPHAN: Duration = Duration::from_millis(500);

/// How much longer an orphan may take to find out whether it is the last one.
const LAST: Duration = Duration::from_millis(200);

/// Why a child ends before its main does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The launcher said so.
    Stopped,
    /// The launcher is gone.
    Orphaned,
    /// A signal.
    Signal(i32),
}

impl Cause {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Orphaned => FAILED,
            Self::Signal(signal) => signal_code(signal),
        }
    }
}

/// The end of a child: in order as long as there is time, then hard.
#[derive(Debug)]
pub(crate) struct Ending {
    directory: Option<RunDirectory>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cause: Option<Cause>,
    flow: Option<AbortHandle>,
    deadline: Duration,
}

impl Ending {
    pub(crate) fn new(directory: Option<RunDirectory>) -> Self {
        let deadline = Duration::from_secs(1);
        Self { directory, state: Mutex::new(State { cause: None, flow: None, deadline }) }
    }

    /// Where the nodes' own files are.
    pub(crate) fn nodes(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(RunDirectory::nodes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it ends, once it does.
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.lock().cause
    }

    /// How long what is left to do may take.
    fn deadline(&self) -> Duration {
        let state = self.lock();
        if state.cause == Some(Cause::Orphaned) { state.deadline.min(ORPHAN) } else { state.deadline }
    }

    /// What is to be cancelled when the end comes, and how long what follows it may take.
    pub(crate) fn guard(&self, flow: AbortHandle, deadline: Duration) {
        let mut state = self.lock();
        state.deadline = deadline;
        if state.cause.is_some() {
            flow.abort();
        }
        state.flow = Some(flow);
    }

    /// Begins the end. Who has nothing running yet ends at once.
    pub(crate) fn begin(self: &Arc<Self>, cause: Cause) {
        let idle = {
            let mut state = self.lock();
            // What the launcher's end asks for is stricter than what came before.
            if state.cause.is_none() || cause == Cause::Orphaned {
                state.cause = Some(cause);
            }
            state.flow.as_ref().inspect(|flow| flow.abort()).is_none()
        };
        if idle {
            self.exit(cause.code());
        }
        self.limit();
    }

    /// Ends the process by the deadline, whatever user code, or what a library does at exit, is busy with.
    pub(crate) fn limit(self: &Arc<Self>) {
        let (this, deadline) = (Arc::clone(self), self.deadline());
        runtime::io().spawn(async move {
            pause(deadline).await;
            this.kill();
        });
    }

    /// Ends the process in order.
    pub(crate) fn exit(&self, code: u8) -> ! {
        self.leave();
        std::process::exit(code.into())
    }

    /// Ends the process now: nothing that runs at exit can hold it up.
    pub(crate) fn kill(&self) {
        self.leave();
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }

    fn leave(&self) {
        match &self.directory {
            // Somebody has to clear up after the launcher.
            Some(directory) if self.cause() == Some(Cause::Orphaned) => directory.leave_within(LAST),
            Some(directory) => directory.leave(),
            None => {}
        }
    }
}
