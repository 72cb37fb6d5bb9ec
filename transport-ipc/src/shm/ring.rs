//! The two ends of a ring: bytes of a stream in memory that both processes have mapped.

use std::{
    io::{self, IoSlice},
    os::fd::OwnedFd,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use super::{
    cursors::Cursors,
    descriptors::{FIXED, memory, seal, sealed_len},
    map::Track,
};

/// How many bytes a ring holds; a power of two.
///
/// As with a socket, room for two batches: one is read while the next is written. More would not stay in the caches.
pub(super) const SIZE: usize = 512 * 1024;

const FILE: usize = Track::BEFORE + SIZE;

/// The end that writes.
#[derive(Debug)]
pub(super) struct Outlet {
    track: Track,
    /// How many bytes were written. Changed by the one who writes, as is the next.
    tail: AtomicU64,
    /// How many bytes there was room for behind them when that was looked at last: looking takes the memory of it
    /// away from the processor that reads.
    room: AtomicU64,
}

impl Outlet {
    /// A ring, and the file to hand over.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let file = memory("tidings-ring", FILE)?;
        let track = Track::map(&file, SIZE)?;
        seal(&file, FIXED)?;
        Ok((Self::over(track), file))
    }

    pub(super) fn over(track: Track) -> Self {
        Self { track, tail: AtomicU64::new(0), room: AtomicU64::new(SIZE as u64) }
    }

    pub(super) fn cursors(&self) -> &Cursors {
        self.track.cursors()
    }

    /// Writes the start of `slices`, and returns how much of it, and whether to ring. `WouldBlock` when there is no
    /// room: who reads rings when there is.
    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<(usize, bool)> {
        let tail = self.tail.load(Acquire);
        let mut room = self.room.load(Relaxed) as usize;
        if room < slices.iter().map(|slice| slice.len()).sum() {
            room = self.cursors().writable(tail, SIZE as u64)? as usize;
        }
        if room == 0 {
            room = self.cursors().wait(tail, SIZE as u64)? as usize;
        }
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut at = tail;
        for slice in slices {
            let (now, later) = slice.split_at(slice.len().min(room));
            for part in around(at, now.len()) {
                let begun = (part.start - at) as usize;
                self.track.copy_in(place(part.start), &now[begun..][..(part.end - part.start) as usize]);
            }
            at += now.len() as u64;
            room -= now.len();
            if !later.is_empty() {
                break;
            }
        }
        self.tail.store(at, Release);
        self.room.store(room as u64, Relaxed);
        Ok(((at - tail) as usize, self.cursors().wrote(at)))
    }
}

/// The end that reads.
#[derive(Debug)]
pub(super) struct Inlet {
    track: Track,
    /// How many bytes were read. Changed by the one who reads.
    head: AtomicU64,
}

impl Inlet {
    /// Reads from a ring that another process has handed over.
    pub(super) fn map(file: &OwnedFd) -> io::Result<Self> {
        if sealed_len(file, FIXED, FILE)? != FILE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a ring of another size"));
        }
        Ok(Self::over(Track::map(file, SIZE)?))
    }

    pub(super) fn over(track: Track) -> Self {
        Self { track, head: AtomicU64::new(0) }
    }

    pub(super) fn cursors(&self) -> &Cursors {
        self.track.cursors()
    }

    /// Whether there is something to read, or what cannot be.
    pub(super) fn has_more(&self) -> bool {
        !matches!(self.cursors().readable(self.head.load(Acquire), SIZE as u64), Ok(0))
    }

    /// Reads what there is to the end of `buffer`, at most its spare room. Returns how much, and whether to ring.
    pub(super) fn read(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, bool)> {
        let head = self.head.load(Acquire);
        let there = self.cursors().readable(head, SIZE as u64)?;
        let count = there.min((buffer.capacity() - buffer.len()) as u64);
        if count == 0 {
            return Ok((0, false));
        }
        for part in around(head, count as usize) {
            self.track.copy_out(place(part.start), (part.end - part.start) as usize, buffer);
        }
        let now = head + count;
        self.head.store(now, Release);
        Ok((count as usize, self.cursors().read(now, there - count, SIZE as u64)))
    }

    /// Before who reads waits for the bell. Returns whether that may be; else there is more already.
    pub(super) fn sleep(&self) -> bool {
        self.cursors().sleep(self.head.load(Acquire))
    }
}

/// Where in the memory of the stream a position is.
fn place(position: u64) -> usize {
    position as usize % SIZE
}

/// So many bytes from a position on, cut where the memory ends and begins anew.
fn around(from: u64, len: usize) -> impl Iterator<Item = std::ops::Range<u64>> {
    let first = len.min(SIZE - place(from)) as u64;
    let (middle, end) = (from + first, from + len as u64);
    [from..middle, middle..end].into_iter().filter(|part| !part.is_empty())
}
