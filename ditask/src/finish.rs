//! An end in order: what was begun is ended, and what was made is removed, whatever signal comes.

use std::{
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::Command,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::fault::{Fault, Result};

/// Runs a command of which what it prints on standard output is kept; the rest is shown. A signal that ends this
/// process ends the command and all that it started first.
///
/// # Errors
///
/// When it cannot be started, and when a signal came.
pub(crate) fn output(mut command: std::process::Command) -> Result<(ExitStatus, Vec<u8>)> {
    use std::os::unix::process::CommandExt;
    let name = Path::new(command.get_program()).display().to_string();
    // In a group of its own, so that what it started can be signalled along with it.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let failed = |error: io::Error| Fault::io(format!("cannot run `{name}`"), &error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(failed)?;
        let mut child =
            Command::from(command).kill_on_drop(true).spawn().map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Fault::new(format!(
                    "there is no `{name}` here: install it, or start an executable that is built already"
                )),
                _ => failed(error),
            })?;
        let group = child.id().and_then(|id| Pid::from_raw(id as i32));
        let mut printed = Vec::new();
        let running = async {
            if let Some(out) = &mut child.stdout {
                out.read_to_end(&mut printed).await?;
            }
            child.wait().await
        };
        let ended = tokio::select! {
            status = running => Ok(status.map_err(failed)?),
            number = signals.next() => Err(number),
        };
        match ended {
            Ok(status) => Ok((status, printed)),
            Err(number) => {
                if let Some(group) = group {
                    let _ = kill_process_group(group, Signal::TERM);
                }
                let _ = child.wait().await;
                Err(interrupted(number, &name))
            }
        }
    })
}

/// Does `work`, called `name`, on a thread of its own. A signal that ends this process leaves it there, and who called
/// removes what the work is done with.
///
/// # Errors
///
/// Those of the work, and when a signal came.
pub(crate) fn interruptible<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let failed = |error: io::Error| Fault::io(format!("cannot begin `{name}`"), &error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(failed)?;
        let (done, result) = oneshot::channel();
        // An error means that nobody waits any more.
        let work = move || drop(done.send(work()));
        thread::Builder::new().name(name.to_owned()).spawn(work).map_err(failed)?;
        tokio::select! {
            result = result => result.unwrap_or_else(|_| Err(Fault::new(format!("`{name}` has panicked")))),
            number = signals.next() => Err(interrupted(number, name)),
        }
    })
}

fn interrupted(signal: i32, name: &str) -> Fault {
    Fault::with_code(format!("interrupted by signal {signal} while `{name}` ran"), 128 + signal as u8)
}

/// The signals that end a process.
pub(crate) struct Signals([tokio::signal::unix::Signal; 4]);

impl Signals {
    /// Takes them from now on. Needs a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::quit())?,
        ]))
    }

    /// The number of the next one.
    pub(crate) async fn next(&mut self) -> i32 {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hangup.recv() => SignalKind::hangup(),
            _ = quit.recv() => SignalKind::quit(),
        }
        .as_raw_value()
    }
}
