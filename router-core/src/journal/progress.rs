//! How far the listeners of a node have come in a journal.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Position;
use crate::Limits;

/// How far the listeners of a node have come in a journal, and how far its reader is ahead of them.
///
/// **A turn** is the time in which there is a listener. When the last one goes, whatever it has left behind was not
/// taken: the next turn begins there again, and marks of an earlier one mean nothing any more.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Mutex<State>,
    /// How many messages and bytes may be handed out and not taken.
    bounds: (usize, usize),
    /// Wakes the reader when there is room.
    room: Notify,
    /// Wakes the reader when listeners come or go.
    listeners: Notify,
    /// Wakes the writer when there is a position to save.
    pub(super) unsaved: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: Option<Position>,
    saved: Option<Position>,
    /// What was read behind `taken`, in order.
    ahead: VecDeque<Ahead>,
    /// The number of the first of them.
    first: u64,
    messages: usize,
    bytes: usize,
    turn: u64,
    listeners: usize,
}

#[derive(Debug)]
struct Ahead {
    position: Position,
    bytes: usize,
    /// Listeners that have it and have not taken it.
    held: usize,
    /// A listener has taken it.
    was_heard: bool,
    is_taken: bool,
}

/// A message that is about to be handed out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(u64);

/// A message in the queue of one listener: dropped when that has taken it.
#[derive(Debug)]
pub(crate) struct Mark {
    progress: Arc<Progress>,
    number: Number,
    is_void: bool,
}

impl Mark {
    /// The listener has not got it.
    pub(super) fn revoke(mut self) {
        self.is_void = true;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.progress.release(self.number, !self.is_void);
    }
}

/// Which turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Progress {
    /// A node that begins behind `start`.
    pub(super) fn new(start: Option<Position>, limits: &Limits) -> Arc<Self> {
        let state = State { taken: start.clone(), saved: start, ..State::default() };
        Arc::new(Self {
            state: Mutex::new(state),
            bounds: (limits.queue_messages / 2, limits.listener_bytes / 2),
            room: Notify::new(),
            listeners: Notify::new(),
            unsaved: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where everything was taken.
    pub(crate) fn position(&self) -> Option<Position> {
        self.lock().taken.clone()
    }

    /// The position, if it was not saved.
    pub(super) fn unsaved(&self) -> Option<Position> {
        let state = self.lock();
        state.taken.clone().filter(|taken| state.saved.as_ref() != Some(taken))
    }

    pub(super) fn saved(&self, position: Position) {
        self.lock().saved = Some(position);
    }

    /// A listener has come.
    pub(crate) fn listens(&self) {
        self.lock().listeners += 1;
        self.listeners.notify_one();
    }

    /// A listener has gone. Called before what is in its queue is dropped.
    pub(crate) fn leaves(&self) {
        let mut state = self.lock();
        state.listeners = state.listeners.saturating_sub(1);
        if state.listeners == 0 {
            state.turn += 1;
            state.first += state.ahead.len() as u64;
            state.ahead.clear();
            (state.messages, state.bytes) = (0, 0);
        }
        drop(state);
        self.listeners.notify_one();
        self.room.notify_one();
    }

    /// Waits until there is a listener. Returns which turn it is, and behind which position it begins.
    pub(super) async fn turn(&self) -> (Turn, Option<Position>) {
        loop {
            {
                let state = self.lock();
                if state.listeners > 0 {
                    return (Turn(state.turn), state.taken.clone());
                }
            }
            self.listeners.notified().await;
        }
    }

    pub(super) fn is(&self, turn: Turn) -> bool {
        self.lock().turn == turn.0
    }

    /// Waits until listeners come or go.
    pub(super) async fn change(&self) {
        self.listeners.notified().await;
    }

    /// Waits until the turn is over.
    pub(super) async fn end(&self, turn: Turn) {
        while self.is(turn) {
            self.change().await;
        }
    }

    /// Waits until another message may be handed out, or the turn is over.
    pub(super) async fn room(&self, turn: Turn) {
        while !self.has_room(turn) {
            self.room.notified().await;
        }
    }

    fn has_room(&self, turn: Turn) -> bool {
        let state = self.lock();
        let is_within = state.messages < self.bounds.0 && state.bytes < self.bounds.1;
        state.turn != turn.0 || state.messages == 0 || is_within
    }

    /// A message of so many bytes is about to be handed out; `None` when the turn is over.
    pub(super) fn hand(&self, turn: Turn, position: Position, bytes: usize) -> Option<Number> {
        let mut state = self.lock();
        if state.turn != turn.0 {
            return None;
        }
        let number = state.first + state.ahead.len() as u64;
        state.ahead.push_back(Ahead { position, bytes, held: 0, was_heard: false, is_taken: false });
        state.messages += 1;
        state.bytes += bytes;
        Some(Number(number))
    }

    /// Marks of a message, one for each of so many listeners, all before the first of them has it.
    pub(super) fn marks(
        self: &Arc<Self>,
        number: Number,
        count: usize,
    ) -> impl Iterator<Item = Mark> + use<> {
        if let Some(ahead) = self.lock().ahead_at(number) {
            ahead.held = count;
        }
        let progress = self.clone();
        (0..count).map(move |_| Mark { progress: progress.clone(), number, is_void: false })
    }

    /// Nobody wants the message.
    pub(super) fn give_up(&self, number: Number) {
        self.take(self.lock(), number);
    }

    /// What stands in front of this position is for nobody here. Returns whether the turn goes on.
    pub(super) fn pass(&self, turn: Turn, position: Position) -> bool {
        let mut state = self.lock();
        if state.turn != turn.0 {
            return false;
        }
        match state.ahead.back_mut() {
            Some(last) if last.is_taken => last.position = position,
            Some(_) => {
                let (held, was_heard) = (0, true);
                state.ahead.push_back(Ahead { position, bytes: 0, held, was_heard, is_taken: true });
            }
            None => {
                state.taken = Some(position);
                self.unsaved.notify_one();
            }
        }
        true
    }

    fn release(&self, number: Number, was_heard: bool) {
        let mut state = self.lock();
        let Some(ahead) = state.ahead_at(number) else { return };
        ahead.held -= 1;
        ahead.was_heard |= was_heard;
        if ahead.held == 0 && ahead.was_heard {
            self.take(state, number);
        }
    }

    fn take(&self, mut state: MutexGuard<'_, State>, number: Number) {
        let Some(ahead) = state.ahead_at(number) else { return };
        ahead.is_taken = true;
        let bytes = ahead.bytes;
        state.messages -= 1;
        state.bytes -= bytes;
        let before = state.first;
        while state.ahead.front().is_some_and(|ahead| ahead.is_taken) {
            state.taken = state.ahead.pop_front().map(|ahead| ahead.position);
            state.first += 1;
        }
        let has_moved = state.first != before;
        drop(state);
        if has_moved {
            self.unsaved.notify_one();
        }
        self.room.notify_one();
    }
}

impl State {
    /// A message of this turn that was not taken when the others in front of it were.
    fn ahead_at(&mut self, number: Number) -> Option<&mut Ahead> {
        self.ahead.get_mut(number.0.checked_sub(self.first)? as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(number: usize) -> Position {
        number.to_string().parse().expect("a number is a position")
    }

    fn new() -> (Arc<Progress>, Turn) {
        let progress = Progress::new(None, &Limits::default());
        progress.listens();
        (progress, Turn(0))
    }

    /// A message in the queue of one listener.
    fn hand(progress: &Arc<Progress>, number: usize, bytes: usize) -> Mark {
        let number = progress.hand(Turn(0), at(number), bytes).expect("the turn goes on");
        progress.marks(number, 1).next().expect("one mark")
    }

    proptest! {
        #[test]
        fn the_position_is_behind_the_last_of_those_that_were_all_taken(order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle()) {
            let (progress, _) = new();
            let mut marks: Vec<_> = (0..20).map(|number| Some(hand(&progress, number, 10))).collect();
            let mut taken = [false; 20];
            for number in order {
                marks[number] = None;
                taken[number] = true;
                let whole = taken.iter().take_while(|taken| **taken).count();
                prop_assert_eq!(progress.position(), whole.checked_sub(1).map(at));
            }
        }
    }

    #[test]
    fn what_the_last_listener_leaves_behind_is_not_taken() {
        let (progress, turn) = new();
        drop(hand(&progress, 1, 10));
        let left = hand(&progress, 2, 10);
        progress.leaves();
        drop(left);
        assert_eq!(progress.position(), Some(at(1)));
        assert!(
            !progress.is(turn) && progress.hand(turn, at(3), 10).is_none() && !progress.pass(turn, at(3))
        );
    }

    #[test]
    fn what_is_passed_over_counts_as_taken_behind_what_was_taken() {
        let (progress, turn) = new();
        assert!(progress.pass(turn, at(1)));
        assert_eq!(progress.unsaved(), Some(at(1)));
        let mark = hand(&progress, 2, 10);
        assert!(progress.pass(turn, at(3)) && progress.pass(turn, at(4)));
        assert_eq!(progress.position(), Some(at(1)));
        drop(mark);
        assert_eq!(progress.position(), Some(at(4)));
        progress.saved(at(4));
        assert_eq!(progress.unsaved(), None);
    }

    #[test]
    fn it_is_taken_when_all_have_taken_it_who_have_got_it() {
        let (progress, turn) = new();
        let number = progress.hand(turn, at(1), 10).unwrap();
        let mut marks = progress.marks(number, 3);
        let [one, two, three] = std::array::from_fn(|_| marks.next().unwrap());
        drop(one);
        two.revoke();
        assert_eq!(progress.position(), None);
        drop(three);
        assert_eq!(progress.position(), Some(at(1)));
        let number = progress.hand(turn, at(2), 10).unwrap();
        progress.marks(number, 1).for_each(Mark::revoke);
        assert_eq!(progress.position(), Some(at(1)));
        progress.give_up(number);
        assert_eq!(progress.position(), Some(at(2)));
    }

    #[test]
    fn no_more_is_handed_out_than_half_of_what_a_listener_holds() {
        let limits = Limits { listener_bytes: 100, ..Limits::default() };
        let progress = Progress::new(None, &limits);
        progress.listens();
        let turn = Turn(0);
        let first = hand(&progress, 1, 70);
        assert!(!progress.has_room(turn));
        drop(first);
        assert!(progress.has_room(turn));
    }
}
