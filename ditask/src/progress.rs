//! What is shown on a terminal while something takes longer than a second, and nowhere else.

use std::{
    io::{self, IsTerminal, Write},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often the time is written anew.
const TICK: Duration = Duration::from_secs(1);

/// A line on the terminal, from a second after its making on until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    line: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins to wait for `what`.
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        if !io::stderr().is_terminal() {
            return Self { line: None };
        }
        let what = what.into();
        let (end, ended) = sync_channel::<()>(1);
        let line = thread::spawn(move || {
            let begin = Instant::now();
            let mut shown = false;
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                shown = true;
                let _ = write!(io::stderr(), "\r\x1b[2K{what} ({} s)", begin.elapsed().as_secs());
            }
            if shown {
                let _ = write!(io::stderr(), "\r\x1b[2K");
            }
        });
        Self { line: Some((end, line)) }
    }

    /// Ends it, and clears the line.
    pub(crate) fn end(&mut self) {
        if let Some((end, line)) = self.line.take() {
            drop(end);
            let _ = line.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Waits for a thread that wakes up at once.
        self.end();
    }
}
