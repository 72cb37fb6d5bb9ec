//! A ring of slots in a file that two processes map: one writes, one reads, and nobody else touches it.
//!
//! The one module here with `unsafe`.
#![allow(unsafe_code)]

use std::{
    fs::{File, OpenOptions},
    path::Path,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use memmap2::MmapMut;

use crate::harness::Result;

/// Where the number of slots written so far is.
const WRITTEN: usize = 0;
/// Where the number of slots read so far is, in a cache line of its own, also for the prefetcher.
const READ: usize = 128;
/// Where the slots begin.
const SLOTS: usize = 256;
/// A slot begins at a multiple of it.
const CACHE_LINE: usize = 64;
/// Bytes of all slots, about.
const CAPACITY: usize = 4 << 20;

/// One end's view of a ring. An end either writes or reads.
pub(crate) struct Ring {
    map: MmapMut,
    size: usize,
    stride: usize,
    slots: u64,
    /// What this end has written or read.
    position: u64,
    /// What the other one had read or written when it was last looked.
    other: u64,
}

impl Ring {
    /// Opens the ring in `path` for messages of `size` bytes, and makes it if it is not there.
    pub(crate) fn open(path: &Path, size: usize) -> Result<Self> {
        let stride = size.next_multiple_of(CACHE_LINE);
        let slots = (CAPACITY / stride).max(8).next_power_of_two();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len((SLOTS + slots * stride) as u64)?;
        Ok(Self { map: map(&file)?, size, stride, slots: slots as u64, position: 0, other: 0 })
    }

    /// Writes a message, unless the ring is full.
    pub(crate) fn write(&mut self, message: &[u8]) -> bool {
        if self.position - self.other == self.slots {
            self.other = self.counter(READ).load(Ordering::Acquire);
            if self.position - self.other == self.slots {
                return false;
            }
        }
        let slot = self.slot();
        let length = message.len().min(self.size);
        // SAFETY: the slot lies within the map, is `stride >= size` bytes long, and the reader is done with
        // it: it has counted it as read, which was acquired above. `message` is memory of this process only.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr(), slot, length) };
        self.position += 1;
        self.counter(WRITTEN).store(self.position, Ordering::Release);
        true
    }

    /// Hands the next message to `take` in place, unless there is none.
    pub(crate) fn read<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Option<T> {
        if self.position == self.other {
            self.other = self.counter(WRITTEN).load(Ordering::Acquire);
            if self.position == self.other {
                return None;
            }
        }
        // SAFETY: the slot lies within the map, and the writer does not touch it before it is counted as
        // read, below; that it was written has been acquired above.
        let taken = take(unsafe { std::slice::from_raw_parts(self.slot(), self.size) });
        self.position += 1;
        self.counter(READ).store(self.position, Ordering::Release);
        Some(taken)
    }

    fn slot(&self) -> *mut u8 {
        // The map is only ever written through this pointer and the counters.
        let offset = SLOTS + (self.position % self.slots) as usize * self.stride;
        // SAFETY: the map has `SLOTS + slots * stride` bytes.
        unsafe { self.map.as_ptr().cast_mut().add(offset) }
    }

    fn counter(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: a map begins at a page, so that both offsets are aligned, and both lie within it; whoever
        // touches these eight bytes does so by this function.
        unsafe { AtomicU64::from_ptr(self.map.as_ptr().cast_mut().add(offset).cast()) }
    }
}

fn map(file: &File) -> Result<MmapMut> {
    // SAFETY: nobody but the two ends knows the file, neither of them shortens it, and they go by the
    // counters.
    Ok(unsafe { MmapMut::map_mut(file)? })
}
