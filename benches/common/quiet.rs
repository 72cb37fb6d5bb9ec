//! The pause between two rounds.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// How long the machine is watched. Who looks for messages instead of sleeping ceases to within that time.
const WATCHED: Duration = Duration::from_millis(60);

/// How much of that the cores may be busy, all together, in ticks of 10 ms.
const BUSY: u64 = 1;

/// When somebody still works after so long, it goes on all the same.
const AT_MOST: Duration = Duration::from_secs(2);

/// Waits until the machine has nothing to do: who was flooded in the last round may still work on what came, and would
/// take a core from whoever comes next.
pub(crate) fn wait() {
    let begin = Instant::now();
    loop {
        let before = busy();
        thread::sleep(WATCHED);
        if busy() - before <= BUSY || begin.elapsed() > AT_MOST {
            return;
        }
    }
}

/// For how many ticks the cores have been busy so far, all together; always 0 where the system does not tell.
fn busy() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // Behind `cpu`: user, nice, system, idle, waiting, interrupts, ..
    let times: Vec<u64> =
        stat.split_whitespace().skip(1).map_while(|time| time.parse().ok()).take(7).collect();
    times.iter().enumerate().filter(|(index, _)| ![3, 4].contains(index)).map(|(_, time)| time).sum()
}
