//! The signals that end a run in order.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use tidings_router_core::runtime;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast,
};

use crate::failure::signal_code;

fn ending() -> [SignalKind; 4] {
    [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()]
}

/// Who is told. `None` until the first run.
static LISTENERS: Mutex<Option<broadcast::Sender<i32>>> = Mutex::new(None);

/// The numbers of the signals that end a run, from the call on. A signal that comes when nobody listens any
/// more ends the process, as it would have before.
pub(crate) fn listen() -> broadcast::Receiver<i32> {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.get_or_insert_with(start).subscribe()
}

fn start() -> broadcast::Sender<i32> {
    let (sender, _) = broadcast::channel(16);
    let (ignored, caught) = dispositions();
    let _guard = runtime::io().enter();
    for kind in ending() {
        let number = kind.as_raw_value();
        // What is ignored was meant to be: `nohup`, or a shell's background job.
        if ignored & bit(number) != 0 {
            continue;
        }
        let mut signals = match signal(kind) {
            Ok(signals) => signals,
            Err(error) => {
                tracing::warn!(number, %error, "cannot handle a signal; it ends this process alone");
                continue;
            }
        };
        let sender = sender.clone();
        let is_ours = caught & bit(number) == 0;
        runtime::io().spawn(async move {
            while signals.recv().await.is_some() {
                // A handler of the program's own that was there before us decides by itself.
                if sender.send(number).is_err() && is_ours {
                    std::process::exit(signal_code(number).into());
                }
            }
        });
    }
    sender
}

fn bit(number: i32) -> u64 {
    1 << (number - 1)
}

/// The sets of signals that this process ignores and catches, one bit each. Empty where the system does not
/// tell.
fn dispositions() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    (set("SigIgn:"), set("SigCgt:"))
}
