use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};

/// How much room a payload of several packets has from the start at most, in bytes: its length is what somebody says.
const ROOM: usize = 16 << 20;

/// A part of a payload was lost: nothing that comes later can be relied on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// One packet of a broadcast.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Which payload it is of: they are numbered from 1 on.
    pub(super) number: u64,
    /// Where in the payload it begins, and how long that is, in bytes.
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) bytes: Bytes,
}

/// What has come of the broadcasts of another node, and was not redeemed yet.
#[derive(Debug, Default)]
pub(super) struct Heard {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the last payload that is whole; 0 before the first one.
    whole: u64,
    /// The one of which parts have come.
    begun: Option<(u64, BytesMut)>,
    payloads: HashMap<u64, Bytes>,
    /// Those that will come and that nobody wants.
    unwanted: HashSet<u64>,
    /// Links that wait for a payload.
    waiting: Vec<Waker>,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next part in. The first payload is the first one that begins here: who begins to listen may come
    /// in the middle of one.
    pub(super) fn arrived(&self, part: Part) -> Result<(), Lost> {
        let mut state = self.lock();
        let whole = state.take_in(part)?;
        let waiting = if whole { std::mem::take(&mut state.waiting) } else { Vec::new() };
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Whether everything up to this number has come.
    pub(super) fn has(&self, number: u64) -> bool {
        self.lock().whole >= number
    }

    /// Ready when it has.
    pub(super) fn poll_has(&self, number: u64, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.whole >= number {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The payload of this number; each only once.
    pub(super) fn redeem(&self, number: u64) -> Option<Bytes> {
        self.lock().payloads.remove(&number)
    }

    /// Nobody here gets the payload of this number, which may be still to come.
    pub(super) fn forget(&self, number: u64) {
        let mut state = self.lock();
        if state.whole < number {
            state.unwanted.insert(number);
        } else {
            state.payloads.remove(&number);
        }
    }
}

impl State {
    /// Returns whether a payload has become whole.
    fn take_in(&mut self, part: Part) -> Result<bool, Lost> {
        let Part { number, offset, length, bytes } = part;
        let end = offset.saturating_add(bytes.len() as u64);
        let is_next = number == self.whole + 1 || self.whole == 0;
        let whole = match self.begun.take() {
            None if offset > 0 && self.whole == 0 => return Ok(false),
            None if offset == 0 && is_next && end == length => bytes,
            None if offset == 0 && is_next && end < length => {
                let mut payload = BytesMut::with_capacity(ROOM.min(length.try_into().unwrap_or(ROOM)));
                payload.extend_from_slice(&bytes);
                self.begun = Some((number, payload));
                return Ok(false);
            }
            Some((begun, mut payload))
                if begun == number && payload.len() as u64 == offset && end <= length =>
            {
                payload.extend_from_slice(&bytes);
                if end < length {
                    self.begun = Some((number, payload));
                    return Ok(false);
                }
                payload.freeze()
            }
            _ => return Err(Lost),
        };
        self.whole = number;
        if !self.unwanted.contains(&number) {
            self.payloads.insert(number, whole);
        }
        self.unwanted.retain(|unwanted| *unwanted > number);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"one two three";

    fn part(number: u64, from: usize, to: usize) -> Part {
        let (offset, length) = (from as u64, WHOLE.len() as u64);
        Part { number, offset, length, bytes: Bytes::from_static(&WHOLE[from..to]) }
    }

    fn whole(number: u64) -> Part {
        part(number, 0, WHOLE.len())
    }

    #[test]
    fn a_payload_is_put_together_and_redeemed_once() {
        let heard = Heard::default();
        for (from, to) in [(0, 4), (4, 8), (8, 13)] {
            assert!(!heard.has(1));
            assert_eq!(heard.arrived(part(1, from, to)), Ok(()));
        }
        assert!(heard.has(1) && !heard.has(2));
        assert_eq!(heard.redeem(1).as_deref(), Some(WHOLE));
        assert_eq!(heard.redeem(1), None);
    }

    #[test]
    fn who_comes_in_the_middle_begins_with_the_next_payload() {
        let heard = Heard::default();
        assert_eq!(heard.arrived(part(7, 4, 13)), Ok(()));
        assert!(!heard.has(7));
        assert_eq!(heard.arrived(whole(8)), Ok(()));
        assert_eq!(heard.redeem(8).as_deref(), Some(WHOLE));
    }

    #[test]
    fn what_is_missing_is_noticed() {
        let broken: [&[Part]; 6] = [
            &[whole(1), whole(3)],
            &[whole(1), part(2, 4, 8)],
            &[part(1, 0, 4), part(1, 8, 13)],
            &[part(1, 0, 4), whole(2)],
            &[part(1, 0, 4), part(2, 4, 8)],
            &[Part { length: 3, ..whole(1) }],
        ];
        for parts in broken {
            let heard = Heard::default();
            let last = parts.iter().map(|part| heard.arrived(part.clone())).last();
            assert_eq!(last, Some(Err(Lost)), "{parts:?}");
        }
    }

    #[test]
    fn nothing_is_kept_that_nobody_wants() {
        let heard = Heard::default();
        heard.forget(2);
        for number in 1..=3 {
            assert_eq!(heard.arrived(whole(number)), Ok(()));
        }
        heard.forget(1);
        assert_eq!([1, 2].map(|number| heard.redeem(number)), [None, None]);
        assert_eq!(heard.redeem(3).as_deref(), Some(WHOLE));
    }

    #[test]
    fn a_length_that_nobody_has_takes_no_memory() {
        let heard = Heard::default();
        assert_eq!(heard.arrived(Part { length: u64::MAX, ..part(1, 0, 4) }), Ok(()));
        assert!(!heard.has(1));
    }

    #[test]
    fn who_waits_is_woken_by_the_whole_payload() {
        let heard = Heard::default();
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(heard.poll_has(1, &cx), Poll::Pending);
        assert_eq!(heard.arrived(whole(1)), Ok(()));
        assert_eq!(heard.poll_has(1, &cx), Poll::Ready(()));
    }
}
