use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use rustix::pipe::{PipeFlags, pipe_with};
use tidings_router_core::Token;

use super::{
    arena::{Arena, Page},
    descriptors::{self, FIXED, memory, seal},
    map::Counters,
    pool::SharedPool,
};

/// The lending half of one end of a link.
#[derive(Debug)]
pub(crate) struct Lender {
    pool: Arc<SharedPool>,
    state: Mutex<State>,
    /// There is something to hand over. Written and read by the one who writes to the link.
    is_due: AtomicBool,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing was lent yet.
    #[default]
    New,
    /// This borrower is the other end.
    Open { arena: Arc<Arena>, borrower: usize, due: Option<Due> },
    /// Nothing will ever be lent.
    Failed,
}

/// What is handed over with the next bytes, besides the segment.
#[derive(Debug)]
struct Due {
    returns: OwnedFd,
    pipe: OwnedFd,
}

impl Lender {
    pub(crate) fn new(pool: Arc<SharedPool>) -> Self {
        Self { pool, state: Mutex::default(), is_due: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.pool.is_on()
    }

    /// Lends `payload`, if it stands in the pool and the other end has said that it can read there. What it needs for
    /// that is handed over when the first payload comes; until then, and for ever where a socket is passed on by
    /// something that passes no descriptors, payloads go through the socket.
    pub(crate) fn lend(&self, payload: &Bytes) -> Option<Token> {
        let arena = self.pool.arena().filter(|arena| arena.holds(payload))?;
        let mut state = self.lock();
        if let State::New = *state {
            *state = open(arena).unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot lend on a link: its large payloads go through the socket");
                State::Failed
            });
            self.is_due.store(matches!(*state, State::Open { .. }), Relaxed);
        }
        let State::Open { borrower, .. } = &*state else { return None };
        Some(arena.lend(*borrower, payload)?.to_token())
    }

    /// Whether the next bytes have to go by [`hand_over`](Self::hand_over).
    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Relaxed)
    }

    /// Writes the start of `slices` to the socket, and hands over with it what the other end needs to borrow.
    pub(crate) fn hand_over(&self, socket: impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        let State::Open { arena, due: due @ Some(_), .. } = &mut *state else {
            return Err(io::Error::other("there is nothing to hand over"));
        };
        let written = match due {
            Some(Due { returns, pipe }) => {
                descriptors::send(socket, slices, &[arena.file(), returns.as_fd(), pipe.as_fd()])?
            }
            None => 0,
        };
        if written > 0 {
            *due = None;
            self.is_due.store(false, Relaxed);
        }
        Ok(written)
    }
}

fn open(arena: &Arc<Arena>) -> io::Result<State> {
    let len = Counters::size(arena.units());
    let returns = memory("tidings-returns", len)?;
    let counters = Counters::map(&returns, len)?;
    seal(&returns, FIXED)?;
    let (reading, pipe) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let borrower = arena.open(Page { counters, pipe: reading })?;
    Ok(State::Open { arena: arena.clone(), borrower, due: Some(Due { returns, pipe }) })
}

impl Drop for Lender {
    fn drop(&mut self) {
        // The pipe's end goes first, if nobody else has got it.
        if let State::Open { arena, borrower, due } = std::mem::take(&mut *self.lock()) {
            drop(due);
            arena.close(borrower);
        }
    }
}
