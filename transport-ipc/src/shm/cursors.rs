//! How far a ring was written and read, and who sleeps, in memory that two processes share.
//!
//! Whoever is about to sleep says so first and looks once more then; whoever has moved on looks afterwards whether
//! the other one sleeps. With a fence between the two steps on either side, one of them sees the other. The flags are
//! swapped and not stored, so that all changes of one have an order that both sides, and loom, agree on.

use std::{fmt, io};

#[cfg(all(test, tidings_loom))]
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(all(test, tidings_loom)))]
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use Ordering::{Acquire, Relaxed, Release, SeqCst};

/// What one process writes and the other one waits for has cache lines of its own, by twos: processors fetch them so.
#[repr(C, align(128))]
struct Apart<T>(T);

/// The state of a ring. All of it is 0 at first: nobody writes yet, and the reader sleeps.
///
/// Positions count bytes from the beginning on and never go back. The own one of either end is what it remembers, and
/// not what stands here, where the other end may write anything.
#[repr(C)]
pub(super) struct Cursors {
    /// How many bytes were written. Written by the writer.
    tail: Apart<AtomicU64>,
    /// Above 0 when the stream goes on in the ring: one more than the bytes that came through the socket before.
    start: AtomicU64,
    /// How many bytes were sent through the socket since, along with descriptors: they are no part of the stream.
    fillers: AtomicU32,
    /// How many bytes were read. Written by the reader.
    head: Apart<AtomicU64>,
    /// Above 0 when the reader can read from the ring.
    accepted: AtomicU32,
    /// 0 while the reader sleeps: who writes has to ring.
    awake: Apart<AtomicU32>,
    /// Above 0 while the writer waits for room: who reads has to ring.
    crowded: AtomicU32,
}

/// Both ends agree on where what stands; WIRE.md has it.
#[cfg(not(all(test, tidings_loom)))]
const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(Cursors, tail) == 0 && offset_of!(Cursors, start) == 128);
    assert!(offset_of!(Cursors, fillers) == 136 && offset_of!(Cursors, head) == 256);
    assert!(offset_of!(Cursors, accepted) == 384 && offset_of!(Cursors, awake) == 512);
    assert!(offset_of!(Cursors, crowded) == 640);
};

/// The other end has written what cannot be.
#[derive(Debug)]
pub(super) struct Nonsense;

impl From<Nonsense> for io::Error {
    fn from(Nonsense: Nonsense) -> Self {
        Self::new(io::ErrorKind::InvalidData, "the positions in a ring make no sense")
    }
}

impl Cursors {
    #[cfg(all(test, tidings_loom))]
    pub(super) fn new() -> Self {
        Self {
            tail: Apart(AtomicU64::new(0)),
            start: AtomicU64::new(0),
            fillers: AtomicU32::new(0),
            head: Apart(AtomicU64::new(0)),
            accepted: AtomicU32::new(0),
            awake: Apart(AtomicU32::new(0)),
            crowded: AtomicU32::new(0),
        }
    }

    /// The reader has mapped the ring.
    pub(super) fn accept(&self) {
        self.accepted.store(1, Release);
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.load(Acquire) > 0
    }

    /// The stream goes on in the ring, after so many bytes in the socket.
    pub(super) fn begin(&self, after: u64) {
        self.start.store(after.saturating_add(1), Release);
    }

    /// How many bytes in the socket come first, once the stream goes on in the ring.
    pub(super) fn start(&self) -> Option<u64> {
        self.start.load(Acquire).checked_sub(1)
    }

    /// A byte that is no part of the stream was sent through the socket.
    pub(super) fn filled(&self) {
        self.fillers.fetch_add(1, Release);
    }

    pub(super) fn fillers(&self) -> u32 {
        self.fillers.load(Acquire)
    }

    /// How many bytes can be read, by a reader who has read `head`.
    pub(super) fn readable(&self, head: u64, size: u64) -> Result<u64, Nonsense> {
        // What was written before is seen from here on.
        within(self.tail.0.load(Acquire).checked_sub(head), size)
    }

    /// How many bytes can be written, by a writer who has written `tail`.
    pub(super) fn writable(&self, tail: u64, size: u64) -> Result<u64, Nonsense> {
        // The reader has copied what is overwritten from here on.
        within(tail.checked_sub(self.head.0.load(Acquire)), size).map(|filled| size - filled)
    }

    /// The writer has written up to here. Returns whether it has to ring.
    pub(super) fn wrote(&self, tail: u64) -> bool {
        self.tail.0.store(tail, Release);
        fence(SeqCst);
        self.awake.0.load(Relaxed) == 0 && self.awake.0.swap(1, Relaxed) == 0
    }

    /// The reader has read up to here, and `left` bytes are left. Returns whether it has to ring: when a writer waits
    /// for room and there is enough to be worth it, or nothing left.
    pub(super) fn read(&self, head: u64, left: u64, size: u64) -> bool {
        self.head.0.store(head, Release);
        fence(SeqCst);
        left <= size / 2 && self.crowded.load(Relaxed) > 0 && self.crowded.swap(0, Relaxed) > 0
    }

    /// The reader is about to sleep, having read `head`. Returns whether it may: else there is more already.
    pub(super) fn sleep(&self, head: u64) -> bool {
        self.awake.0.swap(0, Relaxed);
        fence(SeqCst);
        let nothing = self.tail.0.load(Relaxed) == head;
        if !nothing {
            self.awake.0.swap(1, Relaxed);
        }
        nothing
    }

    /// The writer is about to wait for room, having written `tail`. Returns how much there is already: then it need
    /// not.
    pub(super) fn wait(&self, tail: u64, size: u64) -> Result<u64, Nonsense> {
        self.crowded.swap(1, Relaxed);
        fence(SeqCst);
        let room = self.writable(tail, size)?;
        if room > 0 {
            self.crowded.swap(0, Relaxed);
        }
        Ok(room)
    }
}

fn within(filled: Option<u64>, size: u64) -> Result<u64, Nonsense> {
    filled.filter(|filled| *filled <= size).ok_or(Nonsense)
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursors").finish_non_exhaustive()
    }
}
