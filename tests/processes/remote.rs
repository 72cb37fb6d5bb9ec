//! The test's end of a process that it has started: commands go in, lines come out.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Which program this executable is to be.
pub(crate) const PROGRAM: &str = "TIDINGS_TEST_PROGRAM";

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How many lines may wait to be read.
const LINES: usize = 4096;

/// The processes that have not been waited for.
static LIVING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Kills what a case that failed has left running.
pub(crate) fn end_all() {
    for pid in std::mem::take(&mut *LIVING.lock().unwrap()) {
        signal(pid, "KILL");
    }
}

/// Sends a signal to a process that this test has started.
pub(crate) fn signal(pid: u32, signal: &str) -> bool {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{signal} {pid} 2>&-")).status();
    status.is_ok_and(|status| status.success())
}

/// A process and all that it says.
#[derive(Debug)]
pub(crate) struct Remote {
    name: String,
    process: Child,
    stdin: ChildStdin,
    lines: Receiver<(Instant, String)>,
    /// Lines that nobody has asked for yet.
    kept: Vec<(Instant, String)>,
}

/// Passes the lines of `from` on, each with the time at which it came.
fn pass_on(from: impl Read + Send + 'static, prefix: &'static str, to: SyncSender<(Instant, String)>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send((Instant::now(), format!("{prefix}{line}"))).is_err() {
                return;
            }
        }
    });
}

impl Remote {
    /// Starts it by `command`, as `program`. The name is for the messages of failures.
    pub(crate) fn start(mut command: Command, program: &str, name: &str) -> Self {
        // Who panics would spend a second on finding the names of its functions, in which it looks alive.
        command.env(PROGRAM, program).env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        LIVING.lock().unwrap().insert(process.id());
        let (send, lines) = sync_channel(LINES);
        pass_on(process.stdout.take().unwrap(), "", send.clone());
        pass_on(process.stderr.take().unwrap(), "stderr: ", send);
        let stdin = process.stdin.take().unwrap();
        Self { name: name.to_owned(), process, stdin, lines, kept: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(signal(self.pid(), name), "{} is gone", self.name);
    }

    /// Gives it a command.
    pub(crate) fn tell(&mut self, command: &str) {
        // In one piece: who ends at the first byte must not be told another one.
        let line = format!("{command}\n");
        let told = self.stdin.write_all(line.as_bytes());
        told.unwrap_or_else(|error| panic!("{} {command}: {error}", self.name));
    }

    /// Gives it a command, and waits for the line that begins so. Returns the numbers in the rest of it.
    pub(crate) fn ask(&mut self, command: &str, beginning: &str) -> Vec<u64> {
        self.tell(command);
        let (_, rest) = self.line(beginning);
        rest.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }

    /// Takes the first line that begins so, and returns when it came and the rest of it.
    pub(crate) fn line(&mut self, beginning: &str) -> (Instant, String) {
        self.line_within(beginning, PATIENCE)
    }

    /// The same, waiting at most for so long.
    pub(crate) fn line_within(&mut self, beginning: &str, limit: Duration) -> (Instant, String) {
        let until = Instant::now() + limit;
        loop {
            if let Some(found) = self.take(beginning) {
                return found;
            }
            if let Err(error) = self.read_until(until) {
                panic!("{}: no line `{beginning}` within {limit:?} ({error}): {}", self.name, self.said());
            }
        }
    }

    /// The line that begins so, if it is there by now.
    pub(crate) fn now(&mut self, beginning: &str) -> Option<(Instant, String)> {
        self.kept.extend(self.lines.try_iter());
        self.take(beginning)
    }

    /// Lets time pass, in which a figure is measured.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            match self.read_until(until) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return,
                Err(error) => panic!("{}: {error}: {}", self.name, self.said()),
            }
        }
    }

    /// What it has said and nobody has asked for.
    fn said(&self) -> String {
        self.kept.iter().map(|(_, line)| format!("\n  {line}")).collect()
    }

    fn take(&mut self, beginning: &str) -> Option<(Instant, String)> {
        let place = self.kept.iter().position(|(_, line)| line.starts_with(beginning))?;
        let (at, line) = self.kept.remove(place);
        Some((at, line[beginning.len()..].trim().to_owned()))
    }

    fn read_until(&mut self, until: Instant) -> Result<(), RecvTimeoutError> {
        let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))?;
        self.kept.push(line);
        Ok(())
    }

    /// Waits for its end. Returns its exit code, as a shell shows it.
    pub(crate) fn end(&mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        // Its pipes end with it, and with all who have inherited them.
        while match self.read_until(until) {
            Ok(()) => true,
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => panic!("{} does not end: {}", self.name, self.said()),
        } {}
        let status = self.process.wait().unwrap();
        LIVING.lock().unwrap().remove(&self.pid());
        status.code().or(status.signal().map(|signal| 128 + signal)).unwrap()
    }

    /// Has it end in order, and asserts that it does.
    pub(crate) fn shut_down(&mut self) {
        self.tell("shutdown");
        let code = self.end();
        assert_eq!(code, 0, "{}: {}", self.name, self.said());
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if LIVING.lock().unwrap().remove(&self.process.id()) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
