use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{Mailbox, Tap, link::Key};

/// A payload for several nodes on a bus, which is published once for all of them.
///
/// That is done when the first link of one of them asks for it. Who has not asked until it is dropped will not.
#[derive(Debug)]
pub(crate) struct Broadcast {
    tap: Arc<Tap>,
    payload: Bytes,
    receivers: Arc<[Mailbox]>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    New,
    /// Every link carries the payload itself.
    Declined,
    Published(Published),
}

/// A payload that was published.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) number: u64,
    /// The links whose other ends have it, and that have not referred to it yet.
    pub(super) owed: Vec<Key>,
    /// Those to whose other ends broadcasts are offered no longer.
    pub(super) withdrawn: Vec<Key>,
}

impl Broadcast {
    pub(super) fn new(tap: Arc<Tap>, payload: Bytes, receivers: Arc<[Mailbox]>) -> Self {
        Self { tap, payload, receivers, state: Mutex::default() }
    }

    /// Its number, if it is for this bus, and the other end of the link has it. For each link once.
    pub(super) fn lend(&self, tap: &Arc<Tap>, link: Key) -> Option<u64> {
        if !Arc::ptr_eq(&self.tap, tap) || !tap.is_heard_by(link) {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::New = *state {
            *state = tap.broadcast(&self.payload, &self.receivers).map_or(State::Declined, State::Published);
        }
        let State::Published(Published { number, owed, .. }) = &mut *state else { return None };
        owed.swap_remove(owed.iter().position(|owed| *owed == link)?);
        tap.refers(link, self.payload.len());
        Some(*number)
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        if let State::Published(Published { number, owed, .. }) =
            self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
        {
            owed.iter().for_each(|link| self.tap.forgo(*link, *number, self.payload.len()));
        }
    }
}
