use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use rustix::{fs::SealFlags, io::Errno};
use tidings_router_core::Lease;

use super::{
    descriptors::{FIXED, memory, seal},
    ledger::{Ledger, Returns},
    map::{Counters, Mapping},
    token::Place,
};

/// The least that a slot has, in bytes.
const UNIT: usize = 16 * 1024;

/// How many units an arena has at most: each costs four bytes for every link.
const MOST_UNITS: usize = 4096;

/// The seals of a segment: nobody but its maker writes to it, and nobody shortens it.
pub(super) const SEALS: SealFlags = FIXED.union(SealFlags::FUTURE_WRITE);

/// The segment of a pool, and who has what of it.
#[derive(Debug)]
pub(super) struct Arena {
    segment: Mapping,
    file: OwnedFd,
    /// The bytes of a unit.
    unit: usize,
    units: u32,
    ledger: Mutex<Ledger<Page>>,
}

/// What the other end of a link has given back.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) counters: Counters,
    /// The reading end of a pipe whose other end is held by whoever maps the segment.
    pub(super) pipe: OwnedFd,
}

impl Returns for Page {
    fn count(&self, slot: u32) -> u32 {
        self.counters.of_slot(slot).map_or(0, |counter| counter.count())
    }

    fn is_ready(&self) -> bool {
        self.counters.ready().count() > 0
    }

    fn is_gone(&self) -> bool {
        // A byte in the pipe would be none of ours, and says that somebody is there.
        matches!(rustix::io::read(&self.pipe, &mut [0; 1]), Ok(0))
    }
}

impl Arena {
    /// An arena of about so many bytes, of which none are used yet.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let unit = bytes.div_ceil(MOST_UNITS).next_power_of_two().max(UNIT);
        let units = (bytes / unit).max(1);
        let file = memory("tidings-payloads", units * unit)?;
        let segment = Mapping::writable(&file, units * unit)?;
        seal(&file, SEALS)?;
        let units = units as u32;
        Ok(Self { segment, file, unit, units, ledger: Mutex::new(Ledger::new(units)) })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger<Page>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// How many slots there are at most.
    pub(super) fn units(&self) -> u32 {
        self.units
    }

    pub(super) fn holds(&self, payload: &[u8]) -> bool {
        self.segment.offset_of(payload).is_some()
    }

    /// A slot for so many bytes, or nothing when none is free.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Option<Slot> {
        let units = u32::try_from(len.div_ceil(self.unit).max(1)).ok()?;
        let slot = self.ledger().take(units)?;
        Some(Slot { arena: self.clone(), slot, len })
    }

    /// Takes in one to whom slots are lent.
    pub(super) fn open(&self, page: Page) -> io::Result<usize> {
        self.ledger().open(page).ok_or_else(|| Errno::USERS.into())
    }

    /// Lends `payload`, which is alive, to a borrower, if it stands here.
    pub(super) fn lend(&self, borrower: usize, payload: &[u8]) -> Option<Place> {
        let offset = self.segment.offset_of(payload)?;
        let slot = self.ledger().lend(borrower, u32::try_from(offset / self.unit).ok()?)?;
        Some(Place { slot, offset: offset as u64, len: payload.len() as u64 })
    }

    pub(super) fn close(&self, borrower: usize) {
        self.ledger().close(borrower);
    }
}

/// A slot in the hands of its one owner here: first to be written, and when it is frozen, to be read.
#[derive(Debug)]
pub(super) struct Slot {
    arena: Arc<Arena>,
    slot: u32,
    len: usize,
}

impl Slot {
    fn offset(&self) -> usize {
        self.slot as usize * self.arena.unit
    }
}

impl AsRef<[u8]> for Slot {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the ledger has given the slot to this owner alone, and gives it to nobody else before it is dropped.
        // Its one way to write borrows it mutably. No other process may write there: the segment is sealed.
        unsafe { self.arena.segment.bytes(self.offset(), self.len) }
    }
}

impl AsMut<[u8]> for Slot {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above. Nobody in another process reads it either: what was lent of this slot before was given
        // back, or the ledger would not have given it out, and it is lent only once it is frozen, when nothing can
        // borrow it mutably any more.
        unsafe { self.arena.segment.bytes_mut(self.offset(), self.len) }
    }
}

impl Lease for Slot {
    fn freeze(self: Box<Self>) -> Bytes {
        Bytes::from_owner(*self)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.arena.ledger().release(self.slot);
    }
}
