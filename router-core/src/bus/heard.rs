use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};

use super::tap::AHEAD;

/// How many bytes of payloads wait to be redeemed at most: those that the link has not come to, and those that stand in
/// its window.
const LIMIT: usize = 128 << 20;

/// A part of a payload was lost, or is none that an honest node sends: nothing that comes later can be relied on.
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

/// What has come of the broadcasts of a link's other end, and was not redeemed yet.
#[derive(Debug, Default)]
pub(super) struct Heard {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the last payload that is whole; 0 before the first one.
    whole: u64,
    /// Up to which one all had come before.
    before: u64,
    /// The one of which parts have come.
    begun: Option<(u64, BytesMut)>,
    payloads: BTreeMap<u64, Bytes>,
    /// Their length.
    bytes: usize,
    /// Those that will come in vain.
    unwanted: Vec<RangeInclusive<u64>>,
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

    /// What comes behind the payload of this number, up to which all that a link refers to has come.
    pub(super) fn behind(before: u64) -> Self {
        Self { state: Mutex::new(State { before, ..State::default() }) }
    }

    /// Up to which number everything has come.
    pub(super) fn reached(&self) -> u64 {
        self.lock().reached()
    }

    /// Whether everything up to this number has.
    pub(super) fn has(&self, number: u64) -> bool {
        self.reached() >= number
    }

    /// Ready when it has.
    pub(super) fn poll_has(&self, number: u64, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.reached() >= number {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The payload of this number; each only once.
    pub(super) fn redeem(&self, number: u64) -> Option<Bytes> {
        let mut state = self.lock();
        let payload = state.payloads.remove(&number)?;
        state.bytes -= payload.len();
        Some(payload)
    }

    /// Nobody redeems these, some of which may be still to come.
    pub(super) fn forget(&self, numbers: RangeInclusive<u64>) {
        let mut state = self.lock();
        state.payloads.retain(|number, _| !numbers.contains(number));
        state.bytes = state.payloads.values().map(Bytes::len).sum();
        if *numbers.end() > state.whole {
            state.unwanted.push(numbers);
        }
    }
}

impl State {
    fn reached(&self) -> u64 {
        self.whole.max(self.before)
    }

    /// Returns whether a payload has become whole.
    fn take_in(&mut self, part: Part) -> Result<bool, Lost> {
        let Part { number, offset, length, bytes } = part;
        let end = offset.saturating_add(bytes.len() as u64);
        let is_next = self.whole == 0 || self.whole.checked_add(1) == Some(number);
        if length > AHEAD as u64 || self.bytes > LIMIT {
            return Err(Lost);
        }
        let whole = match self.begun.take() {
            None if offset > 0 && self.whole == 0 => return Ok(false),
            None if offset == 0 && is_next && end == length => bytes,
            None if offset == 0 && is_next && end < length => {
                let mut payload = BytesMut::with_capacity(length as usize);
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
        if !self.unwanted.iter().any(|unwanted| unwanted.contains(&number)) {
            self.bytes += whole.len();
            self.payloads.insert(number, whole);
        }
        self.unwanted.retain(|unwanted| *unwanted.end() > number);
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
        heard.forget(3..=4);
        for number in 1..=5 {
            assert_eq!(heard.arrived(whole(number)), Ok(()));
        }
        heard.forget(1..=1);
        assert_eq!([1, 3, 4].map(|number| heard.redeem(number)), [None, None, None]);
        assert_eq!([2, 5].map(|number| heard.redeem(number).unwrap()), [WHOLE, WHOLE]);
        assert_eq!(heard.lock().bytes, 0);
    }

    #[test]
    fn what_no_honest_node_sends_ends_the_link() {
        for foreign in [
            Part { length: u64::MAX, ..part(1, 0, 4) },
            Part { offset: u64::MAX, ..part(1, 0, 4) },
            Part { number: u64::MAX, ..whole(1) },
        ] {
            let heard = Heard::default();
            heard.arrived(whole(u64::MAX - 2)).unwrap();
            assert_eq!(heard.arrived(foreign.clone()), Err(Lost), "{foreign:?}");
        }
        let heard = Heard::default();
        let bytes = Bytes::from(vec![0; AHEAD]);
        let large = |number| Part { number, offset: 0, length: AHEAD as u64, bytes: bytes.clone() };
        let taken = (1..).map_while(|number| heard.arrived(large(number)).ok()).count();
        assert_eq!(taken, LIMIT / AHEAD + 1, "nobody redeems them");
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
