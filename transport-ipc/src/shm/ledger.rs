//! Who has which slot of a pool.
//!
//! It has no memory, no descriptor and no lock: loom runs it as it is.

use std::collections::BTreeMap;

/// How many borrowers there may be, those that are gone and have not given back everything among them.
const MOST_BORROWERS: usize = 1024;

/// What a borrower has given back.
pub(super) trait Returns {
    /// How often it has given this slot back, modulo 2³².
    fn count(&self, slot: u32) -> u32;

    /// Whether it has said that it can read what is lent.
    fn is_ready(&self) -> bool;

    /// Whether it will never read anything again.
    fn is_gone(&self) -> bool;
}

/// One to whom slots are lent: the other end of a link.
#[derive(Debug)]
struct Borrower<R> {
    /// How often each slot was lent to it, modulo 2³².
    lent: Vec<u32>,
    returns: R,
    /// Its link is there, so it may get more.
    is_linked: bool,
}

impl<R: Returns> Borrower<R> {
    fn has_returned(&self, slot: u32) -> bool {
        self.lent.get(slot as usize).is_none_or(|lent| *lent == self.returns.count(slot))
    }

    fn has_returned_all(&self) -> bool {
        (0..).zip(&self.lent).all(|(slot, lent)| *lent == self.returns.count(slot))
    }
}

/// The slots of a pool. Each consists of units, and is called by the number of its first one.
#[derive(Debug)]
pub(super) struct Ledger<R> {
    units: u32,
    /// Runs of units that nobody has: where they begin, and how many. No two touch.
    free: BTreeMap<u32, u32>,
    /// The slots, and how many units they have.
    slots: BTreeMap<u32, u32>,
    /// Slots that nobody here holds, and that were lent.
    awaited: Vec<u32>,
    borrowers: Vec<Option<Borrower<R>>>,
}

impl<R: Returns> Ledger<R> {
    pub(super) fn new(units: u32) -> Self {
        let free = BTreeMap::from([(0, units)]);
        Self { units, free, slots: BTreeMap::new(), awaited: Vec::new(), borrowers: Vec::new() }
    }

    /// A slot of so many units, which the caller alone has. The first that fits: memory that was used a moment ago is
    /// still in the processor's caches.
    pub(super) fn take(&mut self, units: u32) -> Option<u32> {
        self.reclaim();
        let (&start, &len) = self.free.iter().find(|(_, len)| **len >= units)?;
        self.free.remove(&start);
        if len > units {
            self.free.insert(start + units, len - units);
        }
        self.slots.insert(start, units);
        Some(start)
    }

    /// Nobody here holds the slot any more.
    pub(super) fn release(&mut self, slot: u32) {
        if self.is_returned(slot) {
            self.free(slot);
        } else {
            self.awaited.push(slot);
        }
    }

    /// Takes a borrower in. `None` when there are too many.
    pub(super) fn open(&mut self, returns: R) -> Option<usize> {
        self.reclaim();
        let borrower = Borrower { lent: vec![0; self.units as usize], returns, is_linked: true };
        match self.borrowers.iter().position(Option::is_none) {
            Some(vacant) => {
                self.borrowers[vacant] = Some(borrower);
                Some(vacant)
            }
            None if self.borrowers.len() < MOST_BORROWERS => {
                self.borrowers.push(Some(borrower));
                Some(self.borrowers.len() - 1)
            }
            None => None,
        }
    }

    /// Lends the slot that this unit belongs to, and says which it is, if the borrower is ready. Somebody here holds
    /// the slot.
    pub(super) fn lend(&mut self, borrower: usize, unit: u32) -> Option<u32> {
        let (&slot, &units) = self.slots.range(..=unit).next_back()?;
        if unit - slot >= units {
            return None;
        }
        let borrower = self.borrowers.get_mut(borrower)?.as_mut()?;
        if !borrower.returns.is_ready() {
            return None;
        }
        let lent = &mut borrower.lent[slot as usize];
        *lent = lent.wrapping_add(1);
        Some(slot)
    }

    /// The link to a borrower is gone. What it holds it may go on reading.
    pub(super) fn close(&mut self, borrower: usize) {
        if let Some(Some(borrower)) = self.borrowers.get_mut(borrower) {
            borrower.is_linked = false;
        }
        self.reclaim();
    }

    /// Looks what was given back.
    fn reclaim(&mut self) {
        for place in &mut self.borrowers {
            let is_over = |it: &Borrower<R>| !it.is_linked && (it.has_returned_all() || it.returns.is_gone());
            if place.as_ref().is_some_and(is_over) {
                *place = None;
            }
        }
        for slot in std::mem::take(&mut self.awaited) {
            self.release(slot);
        }
    }

    fn is_returned(&self, slot: u32) -> bool {
        self.borrowers.iter().flatten().all(|borrower| borrower.has_returned(slot))
    }

    fn free(&mut self, slot: u32) {
        let Some(mut units) = self.slots.remove(&slot) else { return };
        let mut start = slot;
        if let Some((&before, &len)) = self.free.range(..slot).next_back()
            && before + len == slot
        {
            (start, units) = (before, len + units);
        }
        if let Some(behind) = self.free.remove(&(start + units)) {
            units += behind;
        }
        self.free.insert(start, units);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Page {
        counts: Rc<[Cell<u32>; 8]>,
        late: Rc<Cell<bool>>,
        gone: Rc<Cell<bool>>,
    }

    impl Page {
        fn give_back(&self, slot: u32) {
            let count = &self.counts[slot as usize];
            count.set(count.get().wrapping_add(1));
        }
    }

    impl Returns for Page {
        fn count(&self, slot: u32) -> u32 {
            self.counts[slot as usize].get()
        }

        fn is_ready(&self) -> bool {
            !self.late.get()
        }

        fn is_gone(&self) -> bool {
            self.gone.get()
        }
    }

    fn ledger() -> (Ledger<Page>, Page, usize) {
        let (mut ledger, page) = (Ledger::new(8), Page::default());
        let borrower = ledger.open(page.clone()).unwrap();
        (ledger, page, borrower)
    }

    #[test]
    fn the_first_slot_that_fits_is_taken_and_neighbours_join_when_they_are_free() {
        let (mut ledger, ..) = ledger();
        assert_eq!([3, 1, 4].map(|units| ledger.take(units)), [Some(0), Some(3), Some(4)]);
        assert_eq!(ledger.take(1), None);
        ledger.release(0);
        ledger.release(4);
        assert_eq!(ledger.take(2), Some(0));
        ledger.release(3);
        assert_eq!(ledger.take(6), Some(2));
        ledger.release(2);
        ledger.release(0);
        assert_eq!(ledger.take(8), Some(0));
    }

    #[test]
    fn a_slot_that_was_lent_is_free_when_it_was_given_back_as_often() {
        let (mut ledger, page, borrower) = ledger();
        let slot = ledger.take(8).unwrap();
        assert_eq!(ledger.lend(borrower, 0), Some(slot));
        assert_eq!(ledger.lend(borrower, 7), Some(slot));
        ledger.release(slot);
        page.give_back(slot);
        assert_eq!(ledger.take(1), None);
        page.give_back(slot);
        assert_eq!(ledger.take(8), Some(slot));
    }

    #[test]
    fn a_slot_that_is_held_here_is_not_free_though_all_was_given_back() {
        let (mut ledger, page, borrower) = ledger();
        let slot = ledger.take(8).unwrap();
        ledger.lend(borrower, slot);
        page.give_back(slot);
        assert_eq!(ledger.take(1), None);
        ledger.release(slot);
        assert_eq!(ledger.take(8), Some(slot));
    }

    #[test]
    fn every_borrower_has_to_give_back() {
        let (mut ledger, page, first) = ledger();
        let other = Page::default();
        let second = ledger.open(other.clone()).unwrap();
        let slot = ledger.take(8).unwrap();
        ledger.lend(first, slot);
        ledger.lend(second, slot);
        ledger.release(slot);
        page.give_back(slot);
        page.give_back(slot);
        other.give_back(slot);
        assert_eq!(ledger.take(1), None, "the first one has given back too often");
    }

    #[test]
    fn a_borrower_whose_link_is_gone_may_go_on_reading() {
        let (mut ledger, page, borrower) = ledger();
        let slot = ledger.take(8).unwrap();
        ledger.lend(borrower, slot);
        ledger.release(slot);
        ledger.close(borrower);
        assert_eq!(ledger.take(1), None);
        assert_ne!(ledger.open(Page::default()), Some(borrower), "its page is still looked at");
        page.give_back(slot);
        assert_eq!(ledger.take(8), Some(slot));
    }

    #[test]
    fn a_borrower_that_is_gone_gives_back_everything() {
        let (mut ledger, page, borrower) = ledger();
        let slot = ledger.take(8).unwrap();
        ledger.lend(borrower, slot);
        ledger.release(slot);
        page.gone.set(true);
        assert_eq!(ledger.take(1), None, "its link may still bring what was written to it");
        ledger.close(borrower);
        assert_eq!(ledger.take(8), Some(slot));
        assert_eq!(ledger.open(Page::default()), Some(borrower));
    }

    #[test]
    fn counts_go_beyond_their_highest_number() {
        let (mut ledger, page, borrower) = ledger();
        page.counts[0].set(u32::MAX);
        ledger.borrowers[borrower].as_mut().unwrap().lent[0] = u32::MAX;
        let slot = ledger.take(8).unwrap();
        ledger.lend(borrower, slot);
        ledger.release(slot);
        assert_eq!(ledger.take(1), None);
        page.give_back(slot);
        assert_eq!(ledger.take(8), Some(slot));
    }

    #[test]
    fn a_unit_of_no_slot_cannot_be_lent() {
        let (mut ledger, _, borrower) = ledger();
        assert_eq!(ledger.lend(borrower, 0), None);
        ledger.take(2).unwrap();
        assert_eq!(ledger.lend(borrower, 2), None);
        assert_eq!(ledger.lend(borrower + 1, 0), None);
    }

    #[test]
    fn nothing_is_lent_to_a_borrower_that_is_not_ready() {
        let (mut ledger, page, borrower) = ledger();
        page.late.set(true);
        let slot = ledger.take(8).unwrap();
        assert_eq!(ledger.lend(borrower, slot), None);
        page.late.set(false);
        assert_eq!(ledger.lend(borrower, slot), Some(slot));
    }

    #[test]
    fn borrowers_are_bounded() {
        let mut ledger = Ledger::new(1);
        for _ in 0..MOST_BORROWERS {
            assert!(ledger.open(Page::default()).is_some());
        }
        assert_eq!(ledger.open(Page::default()), None);
        ledger.close(7);
        assert_eq!(ledger.open(Page::default()), Some(7));
    }
}
