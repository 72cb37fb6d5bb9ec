//! What comes twice.

use std::collections::{BTreeSet, HashMap};

use crate::{Incarnation, NodeId};

/// How many messages below the highest one of an emitter may still come for the first time: as many as are sent before
/// the first of them is confirmed.
const REACH: u64 = super::writer::BATCH as u64;

/// How many emitters are kept in mind; there are as many as nodes were started.
const EMITTERS: usize = 4096;

/// Which messages were read, by who has written them.
///
/// **When in doubt it is new.** A writer sends again what was not confirmed, with the numbers that it had: from the first
/// of these on, in order. So what comes twice has the number of one that was seen, and what a server refused comes behind
/// later ones, with a number that was not.
#[derive(Debug, Default)]
pub(super) struct Seen {
    emitters: HashMap<(NodeId, Incarnation), Numbers>,
    /// How often somebody was looked at.
    clock: u64,
}

#[derive(Debug)]
struct Numbers {
    highest: u64,
    /// Those below it, within reach, that have not come.
    missing: BTreeSet<u64>,
    used: u64,
}

impl Seen {
    /// Whether it comes for the first time.
    pub(super) fn is_new(&mut self, emitter: (NodeId, Incarnation), number: u64) -> bool {
        self.clock += 1;
        if self.emitters.len() >= EMITTERS && !self.emitters.contains_key(&emitter) {
            self.forget();
        }
        let missing = BTreeSet::new();
        let numbers = self.emitters.entry(emitter).or_insert(Numbers { highest: 0, missing, used: 0 });
        numbers.used = self.clock;
        if number <= numbers.highest {
            return numbers.missing.remove(&number);
        }
        let lowest = number.saturating_sub(REACH);
        numbers.missing = numbers.missing.split_off(&lowest);
        numbers.missing.extend((numbers.highest + 1).max(lowest)..number);
        numbers.highest = number;
        true
    }

    /// Forgets the half of the emitters that was used least recently.
    fn forget(&mut self) {
        let mut used: Vec<u64> = self.emitters.values().map(|numbers| numbers.used).collect();
        used.sort_unstable();
        let middle = used[used.len() / 2];
        self.emitters.retain(|_, numbers| numbers.used > middle);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMITTER: (NodeId, Incarnation) = (NodeId(1), Incarnation(7));

    fn new_ones(seen: &mut Seen, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
        numbers.into_iter().filter(|number| seen.is_new(EMITTER, *number)).collect()
    }

    proptest! {
        /// Two connections send from the first that is not confirmed on; the server takes some of each in turns.
        #[test]
        fn what_is_sent_again_is_heard_once_and_in_order(
            turns in prop::collection::vec(any::<bool>(), 40), before in 1u64..5,
        ) {
            let mut seen = Seen::default();
            new_ones(&mut seen, 1..before);
            let (mut old, mut new) = (before..before + 8, before..before + 20);
            let mut written: Vec<u64> = turns.iter().filter_map(|turn| if *turn { old.next() } else { new.next() }).collect();
            written.extend(new);
            prop_assert_eq!(new_ones(&mut seen, written), (before..before + 20).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_a_server_refused_is_heard_when_it_comes() {
        let mut seen = Seen::default();
        assert_eq!(new_ones(&mut seen, [1, 2, 4, 5, 3, 4, 5, 6]), [1, 2, 4, 5, 3, 6]);
    }

    #[test]
    fn lives_and_nodes_are_told_apart_and_the_oldest_are_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.is_new(EMITTER, 1) && seen.is_new((NodeId(1), Incarnation(8)), 1));
        for node in 0..2 * EMITTERS as u32 {
            assert!(seen.is_new((NodeId(node), Incarnation(9)), 1));
        }
        assert!(seen.emitters.len() <= EMITTERS);
        assert!(!seen.is_new((NodeId(2 * EMITTERS as u32 - 1), Incarnation(9)), 1));
    }
}
