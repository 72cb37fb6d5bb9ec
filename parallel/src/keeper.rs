//! Starts one child, and keeps it: only its keeper signals and reaps it, so a signal never hits a stranger
//! that got its process id.

use std::{
    env, fs, io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    pin::pin,
    process::{Command, ExitStatus, Stdio},
    task::Poll,
};

use rustix::process::{Pid, Signal, kill_process};
use tidings_router_core::runtime;
use tokio::{process::Child, sync::mpsc};

use crate::{
    handover::Handover,
    launcher::Event,
    output::{Pump, Sink},
};

/// The launcher's hold on one child.
#[derive(Debug)]
pub(crate) struct Keeper {
    signals: mpsc::Sender<Signal>,
    pub(crate) pumps: [Pump; 2],
}

impl Keeper {
    /// Starts a child by this command, in the calling thread: the kernel takes the end of that thread for the
    /// launcher's. [`Event::Exited`] follows when it has ended.
    pub(crate) fn start(
        mut command: Command,
        handover: &Handover,
        prefix: &str,
        life: u32,
        events: &mpsc::Sender<Event>,
    ) -> io::Result<Self> {
        let (out_reader, out_writer) = io::pipe()?;
        let (err_reader, err_writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(out_writer).stderr(err_writer);
        handover.write(&mut command);
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn()?;
        // It holds the ends that the child writes to; the pumps wait for their end.
        drop(command);
        let pumps = [
            Pump::start(out_reader, Sink::Out, prefix.to_owned(), events.clone())?,
            Pump::start(err_reader, Sink::Err, prefix.to_owned(), events.clone())?,
        ];
        let (signals, orders) = mpsc::channel(8);
        let (index, events) = (handover.index, events.clone());
        runtime::io().spawn(async move {
            let status = keep(child, orders).await;
            let _ = events.send(Event::Exited { index, life, status }).await;
        });
        Ok(Self { signals, pumps })
    }

    /// Signals the child, if it has not ended.
    pub(crate) fn signal(&self, signal: Signal) {
        // Full: it has been told often enough. Closed: it is gone.
        let _ = self.signals.try_send(signal);
    }
}

/// The command that starts this executable again.
pub(crate) fn again() -> io::Result<Command> {
    let mut arguments = env::args_os();
    let mut command = Command::new(executable()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    Ok(command)
}

/// Passes signals on to the child until it has ended.
async fn keep(mut child: Child, mut orders: mpsc::Receiver<Signal>) -> io::Result<ExitStatus> {
    loop {
        let id = child.id();
        let order = {
            let mut exit = pin!(child.wait());
            std::future::poll_fn(|cx| match (exit.as_mut().poll(cx), orders.poll_recv(cx)) {
                (Poll::Ready(status), _) => Poll::Ready(Err(status)),
                (Poll::Pending, Poll::Ready(order)) => Poll::Ready(Ok(order)),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            })
            .await
        };
        match order {
            Err(status) => return status,
            // Not reaped yet, so the number is still the child's.
            Ok(Some(signal)) => {
                if let Some(pid) = id.and_then(|id| Pid::from_raw(id as i32)) {
                    let _ = kill_process(pid, signal);
                }
            }
            // Nobody is left to give orders.
            Ok(None) => {
                child.start_kill()?;
                return child.wait().await;
            }
        }
    }
}

/// This executable. Its name, as long as it still stands for the file that runs: so the child's name is
/// right.
fn executable() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    let named = env::current_exe()?;
    let file = |path: &PathBuf| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    Ok(match (file(&running), file(&named)) {
        (Some(running_file), named_file) if named_file != Some(running_file) => running,
        _ => named,
    })
}
