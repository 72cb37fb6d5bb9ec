//! What this node hears for its guests.

use std::{
    collections::BTreeMap,
    task::{Context, Poll},
};

use tidings_router_core::{Envelope, ListenOptions, Listener, Result, Router};

use crate::interest::{Change, Interest};

/// How many messages of one listener are taken before the next one has its turn.
const TURN: usize = 256;

/// The listeners of a node for its guests.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    interest: Interest,
    listeners: BTreeMap<String, Ear>,
}

/// A listener, and what came when it took the place of others, which had it too.
#[derive(Debug)]
struct Ear {
    listener: Listener,
    twice: Vec<Envelope>,
}

/// Whether two of our listeners were handed the same message. Both hold its bytes, so no other message can stand at the
/// same place; without any bytes there is no telling.
fn is_same(one: &Envelope, other: &Envelope) -> bool {
    let (one_bytes, other_bytes) = (one.payload(), other.payload());
    !one_bytes.is_empty()
        && one_bytes.as_ptr() == other_bytes.as_ptr()
        && one_bytes.len() == other_bytes.len()
        && one.event() == other.event()
}

impl Hearing {
    /// How many beginnings of names guests are subscribed to.
    pub(crate) fn len(&self) -> usize {
        self.interest.len()
    }

    /// The first guest has subscribed. What had come before by listeners that are over goes to `hand_on`.
    ///
    /// # Errors
    ///
    /// Those of [`Router::listen`].
    pub(crate) fn subscribe(
        &mut self,
        start: &str,
        router: &dyn Router,
        hand_on: &mut impl FnMut(Envelope),
    ) -> Result<()> {
        let Change::Listen { instead_of } = self.interest.subscribe(start) else { return Ok(()) };
        let mut covered: Vec<Ear> =
            instead_of.iter().filter_map(|start| self.listeners.remove(start)).collect();
        // First what is there, so that what is in both queues is as little as can be.
        covered.iter_mut().for_each(|ear| ear.take_all(hand_on));
        let listener = router.listen(&format!("{start}*"), ListenOptions::default())?;
        let mut twice = Vec::new();
        for ear in &mut covered {
            ear.take_all(&mut |envelope: Envelope| {
                twice.push(envelope.clone());
                hand_on(envelope);
            });
        }
        self.listeners.insert(start.to_owned(), Ear { listener, twice });
        Ok(())
    }

    /// The last guest has unsubscribed.
    pub(crate) fn unsubscribe(&mut self, start: &str) {
        for over in self.interest.unsubscribe(start) {
            self.listeners.remove(&over);
        }
    }

    /// Hands on what has come. True if there may be more; else `cx` is woken when there is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, hand_on: &mut impl FnMut(Envelope)) -> bool {
        let mut is_more = false;
        for ear in self.listeners.values_mut() {
            is_more |= ear.poll(cx, hand_on);
        }
        is_more
    }
}

impl Ear {
    fn take_all(&mut self, hand_on: &mut impl FnMut(Envelope)) {
        while let Some(envelope) = self.listener.try_next() {
            self.pass(envelope, hand_on);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, hand_on: &mut impl FnMut(Envelope)) -> bool {
        for _ in 0..TURN {
            match self.listener.poll_next(cx) {
                Poll::Ready(Some(envelope)) => self.pass(envelope, hand_on),
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    fn pass(&mut self, envelope: Envelope, hand_on: &mut impl FnMut(Envelope)) {
        match self.twice.iter().position(|other| is_same(other, &envelope)) {
            Some(at) => drop(self.twice.swap_remove(at)),
            None => hand_on(envelope),
        }
    }
}
