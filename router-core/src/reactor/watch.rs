//! Looking again and again at links whose bytes come through memory, in the place of waiting for them.

use std::{
    hint,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Source, lock};

/// How often is looked before sockets are looked at as well, and others may have the core.
const LOOKS: u32 = 128;

/// How often in a row something may be found before sockets are looked at all the same.
const FINDS: u32 = 32;

/// How long is looked when nothing comes. Much longer than a thread takes to wake up, so that whoever sends at all
/// often does not pay for that; and much shorter than the time between two heartbeats, so that a process that does
/// nothing leaves its core to others.
const AWAKE: Duration = Duration::from_millis(50);

/// When the core was away for so long, somebody else has work for it: looking would only take it from him, and who has looked
/// much waits the longer for his turn when something comes. Others who look as well give way sooner.
const TAKEN: Duration = Duration::from_micros(100);

/// The sources of a reactor that are looked at.
#[derive(Default)]
pub(super) struct Watched {
    sources: Mutex<Vec<(usize, Arc<dyn Source>)>>,
    /// There are some.
    any: AtomicBool,
}

impl Watched {
    pub(super) fn add(&self, token: usize, source: Arc<dyn Source>) {
        lock(&self.sources).push((token, source));
        self.any.store(true, Relaxed);
    }

    pub(super) fn remove(&self, token: usize) {
        if self.any.load(Relaxed) {
            let mut sources = lock(&self.sources);
            sources.retain(|(other, _)| *other != token);
            self.any.store(!sources.is_empty(), Relaxed);
        }
    }
}

/// What a thread has found lately.
#[derive(Debug, Default)]
pub(super) struct Looker {
    finds: u32,
    /// Since when nothing has come.
    idle: Option<Instant>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Reads what was found.
    Found,
    /// Looks at the sockets, and comes back.
    Glance,
    /// Waits for the sockets.
    Wait,
}

impl Looker {
    /// Something has come through a socket.
    pub(super) fn told(&mut self) {
        self.idle = None;
    }

    /// Looks for a while, and tells of each source that has something.
    pub(super) fn look(&mut self, watched: &Watched, mut found: impl FnMut(usize)) -> Look {
        if !watched.any.load(Relaxed) {
            return Look::Wait;
        }
        let sources = lock(&watched.sources);
        for _ in 0..LOOKS {
            let mut any = false;
            for (token, _) in sources.iter().filter(|(_, source)| source.has_more()) {
                found(*token);
                any = true;
            }
            if any {
                self.idle = None;
                self.finds += 1;
                if self.finds < FINDS {
                    return Look::Found;
                }
                self.finds = 0;
                return Look::Glance;
            }
            hint::spin_loop();
        }
        drop(sources);
        self.finds = 0;
        let offered = Instant::now();
        thread::yield_now();
        let now = Instant::now();
        if now - offered < TAKEN && now - *self.idle.get_or_insert(offered) < AWAKE {
            return Look::Glance;
        }
        self.idle = None;
        // Whoever sends from now on rings.
        let all_rest = lock(&watched.sources).iter().all(|(_, source)| source.rest());
        if all_rest { Look::Wait } else { Look::Glance }
    }
}
