//! Waiting without sleeping, as long as there is something to wait for.

use std::{
    hint, thread,
    time::{Duration, Instant},
};

use crate::harness::Result;

/// How often it looks before it lets others have the core.
const SPINS: u32 = 200;

/// When nothing has come for so long, this is the pause between two rounds, and a core that is kept busy
/// would be taken from whoever is measured now.
const IDLE_AFTER: Duration = Duration::from_millis(20);

/// How long it sleeps then before it looks again.
const NAP: Duration = Duration::from_millis(1);

/// Looks until there is something.
pub(crate) fn until<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    for _ in 0..SPINS {
        if let Some(found) = look()? {
            return Ok(found);
        }
        hint::spin_loop();
    }
    let begin = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begin.elapsed() < IDLE_AFTER { thread::yield_now() } else { thread::sleep(NAP) }
    }
}
