//! The other end of a measurement.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{self, Child, ChildStdin, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
};

use tidings::{
    Address, Change, Envelope, Router, Transport,
    transport::{Ipc, Tcp, Zmq, listening_on},
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

/// The other end, in a process of its own where that is possible.
#[derive(Debug)]
pub(super) enum Other {
    /// Its input stays open: the end of that is the end of this process.
    Process(Child, #[expect(dead_code, reason = "it works by being open")] Option<ChildStdin>),
    Thread(Option<JoinHandle<()>>),
}

impl Other {
    /// Starts this program again. It is told by its input where to meet, which may hold a password.
    pub(super) fn start(address: &str, cluster: &str) -> Result<Self> {
        let failed = |error: io::Error| Fault::io("cannot start the other end of the measurement", &error);
        let program = env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        let mut child = command.args(["bench", "--echo"]).stdin(Stdio::piped()).spawn().map_err(failed)?;
        let mut input = child.stdin.take();
        let told = input.as_mut().map_or(Ok(()), |input| writeln!(input, "{cluster}\n{address}"));
        let other = Self::Process(child, input);
        told.map_err(failed)?;
        Ok(other)
    }

    /// A thread of this process.
    pub(super) fn here(network: Arc<dyn Transport>, address: &str, cluster: &str) -> Result<Self> {
        let builder = Router::builder().node_id(1).cluster(cluster).shared_transport(network);
        let router = builder.attach_to([address]).open().wait()?;
        Ok(Self::Thread(Some(thread::spawn(move || answer(&router)))))
    }

    /// Waits for its end, which [`STOP`] brings about, as does the end of this process.
    pub(super) fn end(mut self) {
        match &mut self {
            Self::Process(child, _) => drop(child.wait()),
            Self::Thread(thread) => drop(thread.take().map(JoinHandle::join)),
        }
    }
}

/// A measurement that failed leaves nobody behind.
impl Drop for Other {
    fn drop(&mut self) {
        if let Self::Process(child, _) = self {
            // Errors mean that it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Is the other end of a measurement, as a process.
pub(super) fn run() -> Result {
    let mut lines = BufReader::new(io::stdin()).lines().map_while(io::Result::ok);
    // Who has started it may be gone already.
    let (Some(cluster), Some(address)) = (lines.next(), lines.next()) else { return Ok(()) };
    let address: Address = address.parse()?;
    thread::spawn(move || {
        lines.for_each(drop);
        process::exit(0);
    });
    let builder = Router::builder().node_id(1).cluster(cluster);
    let builder = match address.scheme() {
        "ipc" => builder.transport(Ipc::new()).attach_to([&address]),
        "tcp" => builder.transport(Tcp::bind("127.0.0.1:0")).attach_to([&address]),
        "zmq+tcp" => builder.transport(Zmq::bind("tcp://127.0.0.1:0")).attach_to([&address]),
        _ => builder.shared_transport(listening_on(&address)?),
    };
    answer(&builder.open().wait()?);
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
