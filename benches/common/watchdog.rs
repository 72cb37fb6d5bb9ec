//! Ends the process when nothing goes on any more, and says what it was at.

use std::{
    process::exit,
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// How long one step may take.
#[derive(Debug)]
pub(crate) struct Watchdog(SyncSender<String>);

impl Watchdog {
    /// Watches from now on. Every step has to begin within `limit` of the one before.
    pub(crate) fn start(limit: Duration) -> Self {
        let (sender, steps) = sync_channel(1);
        thread::spawn(move || {
            let mut step = String::from("start");
            loop {
                match steps.recv_timeout(limit) {
                    Ok(next) => step = next,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        eprintln!("stalled for {limit:?} at: {step}");
                        exit(3);
                    }
                }
            }
        });
        Self(sender)
    }

    pub(crate) fn begin(&self, step: impl Into<String>) {
        // The watching thread ends only together with the process.
        let _ = self.0.send(step.into());
    }
}
