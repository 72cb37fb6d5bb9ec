//! The other end of a measurement.

use std::{
    env, io,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
};

use tidings::{
    Address, Change, Envelope, Router,
    transport::{Memory, Tcp, listening_as},
};

use crate::{
    fault::{Fault, Result},
    observer::LEAVE,
};

/// A message that is sent back.
pub(super) const PING: &str = "bench.ping";
/// One that is counted.
pub(super) const STREAM: &str = "bench.stream";
/// Asks how many were counted since the last time.
pub(super) const TAKEN: &str = "bench.taken";
/// The measurement is over.
pub(super) const STOP: &str = "bench.stop";

/// The variable that names the cluster of a measurement.
const CLUSTER: &str = "DITASK_BENCH";

/// The other end, in a process of its own where that is possible.
#[derive(Debug)]
pub(super) enum Other {
    Process(Child),
    Thread(JoinHandle<()>),
}

impl Other {
    /// Starts this program again.
    pub(super) fn start(address: &str, cluster: &str) -> Result<Self> {
        let failed = |error: io::Error| Fault::io("cannot start the other end of the measurement", &error);
        let program = env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["bench", "--echo", address]).env(CLUSTER, cluster).stdin(Stdio::null());
        Ok(Self::Process(command.spawn().map_err(failed)?))
    }

    /// A thread of this process.
    pub(super) fn here(network: Memory, address: &str, cluster: &str) -> Result<Self> {
        let router = Router::builder()
            .node_id(1)
            .cluster(cluster)
            .transport(network)
            .attach_to([address])
            .open()
            .wait()?;
        Ok(Self::Thread(thread::spawn(move || answer(&router))))
    }

    /// Waits for its end, which [`STOP`] brings about, as does the end of this process.
    pub(super) fn end(self) {
        match self {
            Self::Process(mut child) => drop(child.wait()),
            Self::Thread(thread) => drop(thread.join()),
        }
    }
}

/// Is the other end of a measurement, as a process.
pub(super) fn run(address: &str) -> Result {
    let parsed: Address = address.parse()?;
    let transport = match parsed.scheme() {
        "tcp" => Arc::new(Tcp::bind("127.0.0.1:0")),
        _ => listening_as("ipc", None)?,
    };
    let cluster = env::var(CLUSTER).unwrap_or_default();
    let builder = Router::builder().node_id(1).cluster(cluster).shared_transport(transport);
    answer(&builder.attach_to([address]).open().wait()?);
    Ok(())
}

/// Answers until it is told to stop, or the other one is gone.
fn answer(router: &Arc<Router>) {
    let Ok(mut all) = router.listen("bench.*", Default::default()) else { return };
    let mut changes = router.changes();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        let mut counted = 0_u64;
        loop {
            let envelope = tokio::select! {
                biased;
                envelope = all.next() => envelope,
                change = changes.next() => match change {
                    Some(Change::Left { .. }) | None => return,
                    Some(_) => continue,
                },
            };
            let is =
                |event: &str| envelope.as_ref().is_some_and(|envelope: &Envelope| envelope.event() == event);
            let answered = match &envelope {
                Some(envelope) if is(PING) => router.emit(PING, envelope.payload()).only_remote().await,
                Some(_) if is(STREAM) => {
                    counted += 1;
                    Ok(())
                }
                Some(_) if is(TAKEN) => {
                    let answered = router.emit(TAKEN, &counted).only_remote().await;
                    counted = 0;
                    answered
                }
                _ => return,
            };
            if answered.is_err() {
                return;
            }
        }
    });
    router.shutdown(LEAVE).wait();
}
