//! Memory of a descriptor in the address space of this process. Nobody but this file knows its addresses.

#[cfg(not(miri))]
mod file;
#[cfg(miri)]
mod heap;

use std::{fmt, io, os::fd::AsFd, ptr, slice};

use rustix::mm::ProtFlags;

#[cfg(not(miri))]
use self::file::Memory;
#[cfg(miri)]
use self::heap::Memory;
use super::{counter::Counter, cursors::Cursors};

/// The whole of a memory file, shared with whoever else maps it.
pub(super) struct Mapping {
    memory: Memory,
    len: usize,
}

// SAFETY: it is the address of memory that belongs to no thread, and that dropping it alone unmaps.
unsafe impl Send for Mapping {}
// SAFETY: as above; who reads and writes what stands in it is said at `bytes` and `bytes_mut`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file that cannot become shorter: it is sealed.
    pub(super) fn writable(file: impl AsFd, len: usize) -> io::Result<Self> {
        Ok(Self { memory: Memory::new(file, len, ProtFlags::READ | ProtFlags::WRITE)?, len })
    }

    /// The same, only to read.
    pub(super) fn readable(file: impl AsFd, len: usize) -> io::Result<Self> {
        Ok(Self { memory: Memory::new(file, len, ProtFlags::READ)?, len })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where in it `bytes` begins, if all of them stand in it.
    pub(super) fn offset_of(&self, bytes: &[u8]) -> Option<usize> {
        let offset = (bytes.as_ptr() as usize).checked_sub(self.memory.start() as usize)?;
        (!bytes.is_empty() && offset + bytes.len() <= self.len).then_some(offset)
    }

    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len),
            "{offset} and {len} bytes more are beyond {}",
            self.len
        );
        // SAFETY: it was just checked that this stands in the mapping.
        unsafe { self.memory.start().add(offset) }
    }

    /// A part of it to read.
    ///
    /// # Safety
    ///
    /// Nobody, in no process, writes there as long as the result is used.
    pub(super) unsafe fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY: `at` checks that it is mapped, the caller that it does not change.
        unsafe { slice::from_raw_parts(self.at(offset, len), len) }
    }

    /// A part of it to write.
    ///
    /// # Safety
    ///
    /// It is a writable mapping, and nobody else reads or writes there as long as the result is used.
    #[expect(clippy::mut_from_ref, reason = "the caller says that nobody else uses this part")]
    pub(super) unsafe fn bytes_mut(&self, offset: usize, len: usize) -> &mut [u8] {
        // SAFETY: `at` checks that it is mapped, the caller that it is writable and his own.
        unsafe { slice::from_raw_parts_mut(self.at(offset, len), len) }
    }
}

/// Memory that two processes write to, and a beginning that both access by atomic operations: the bytes of a stream,
/// copied in by one process and out by the other.
#[derive(Debug)]
pub(super) struct Track(Mapping);

impl Track {
    /// How many bytes there are before those of the stream: a page, so that they begin on one.
    pub(super) const BEFORE: usize = 4096;

    /// Maps a file of [`BEFORE`](Self::BEFORE) and so many bytes, which cannot become shorter.
    pub(super) fn map(file: impl AsFd, size: usize) -> io::Result<Self> {
        const { assert!(size_of::<Cursors>() <= Self::BEFORE) };
        Mapping::writable(file, Self::BEFORE + size).map(Self)
    }

    pub(super) fn cursors(&self) -> &Cursors {
        // SAFETY: `at` checks that it is mapped. It is writable, a page is aligned for it, all bytes are valid for
        // it, and everybody accesses it by atomic operations alone.
        unsafe { &*self.0.at(0, size_of::<Cursors>()).cast::<Cursors>() }
    }

    /// Copies `bytes` to this place of the stream's memory.
    ///
    /// # Panics
    ///
    /// When they do not fit there.
    pub(super) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        let to = self.0.at(Self::BEFORE + offset, bytes.len());
        // SAFETY: `at` checks that it is mapped; it is writable. Nothing of this process refers to it, so that nobody
        // here is surprised by what another process does to it meanwhile: that spoils the bytes, and they are its own
        // stream.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies so many bytes of this place to the end of `buffer`, which has room for them.
    ///
    /// # Panics
    ///
    /// When there are not so many, or there is no room.
    pub(super) fn copy_out(&self, offset: usize, len: usize, buffer: &mut Vec<u8>) {
        let from = self.0.at(Self::BEFORE + offset, len);
        let filled = buffer.len();
        let room = &mut buffer.spare_capacity_mut()[..len];
        // SAFETY: `at` checks that it is mapped, and there is room. As above, nothing refers to the memory: it is
        // copied once, and only the copy is looked at.
        unsafe { ptr::copy_nonoverlapping(from, room.as_mut_ptr().cast::<u8>(), len) };
        // SAFETY: they were just written.
        unsafe { buffer.set_len(filled + len) };
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} bytes)", self.len)
    }
}

/// A page of counters that two processes share: one for each slot, and one that says that the borrower is ready.
#[derive(Debug)]
pub(super) struct Counters(Mapping);

impl Counters {
    /// How many bytes those for so many slots take.
    pub(super) fn size(slots: u32) -> usize {
        (slots as usize + 1) * size_of::<Counter>()
    }

    /// Maps as many as stand in a file of this length, which cannot become shorter.
    pub(super) fn map(file: impl AsFd, len: usize) -> io::Result<Self> {
        Mapping::writable(file, len).map(Self)
    }

    /// How often the borrower has given this slot back; `None` when there is no such slot.
    pub(super) fn of_slot(&self, slot: u32) -> Option<&Counter> {
        (Self::size(slot) < self.0.len()).then(|| self.at(Self::size(slot)))
    }

    /// Above 0 when the borrower can read what is lent.
    pub(super) fn ready(&self) -> &Counter {
        self.at(0)
    }

    fn at(&self, offset: usize) -> &Counter {
        // SAFETY: `at` checks that it is mapped. It is writable, pages are aligned for it and so are multiples of its
        // size, all bytes are valid for it, and everybody accesses it by atomic operations alone.
        unsafe { &*self.0.at(offset, size_of::<Counter>()).cast::<Counter>() }
    }
}

// Miri knows no files of memory.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::shm::descriptors::memory;

    #[test]
    fn two_mappings_of_a_file_are_the_same_memory() {
        let file = memory("test", 4096).unwrap();
        let (ours, theirs) =
            (Mapping::writable(&file, 4096).unwrap(), Mapping::readable(&file, 4096).unwrap());
        // SAFETY: nobody reads it yet.
        unsafe { ours.bytes_mut(4090, 6).copy_from_slice(b"shared") };
        // SAFETY: nobody writes it any more.
        let seen = unsafe { theirs.bytes(4090, 6) };
        assert_eq!(seen, b"shared");
        assert_eq!(theirs.offset_of(&seen[2..4]), Some(4092));
        assert_eq!(ours.offset_of(seen), None);
        assert_eq!(theirs.offset_of(&seen[..0]), None);
    }

    #[test]
    #[should_panic(expected = "beyond")]
    fn nothing_beyond_its_end_is_handed_out() {
        let mapping = Mapping::writable(memory("test", 4096).unwrap(), 4096).unwrap();
        // SAFETY: it panics first.
        unsafe { mapping.bytes(4000, 97) };
    }

    #[test]
    fn counters_are_shared_and_bounded() {
        let len = Counters::size(3);
        let file = memory("test", len).unwrap();
        let (ours, theirs) = (Counters::map(&file, len).unwrap(), Counters::map(&file, len).unwrap());
        ours.of_slot(2).unwrap().give_back();
        assert_eq!(theirs.of_slot(2).unwrap().count(), 1);
        assert_eq!(theirs.ready().count(), 0);
        assert!(theirs.of_slot(3).is_none());
        assert!(theirs.of_slot(u32::MAX).is_none());
    }
}
