//! Memory for Miri, which knows no files of memory: two mappings of one allocation. `cargo xtask miri` runs what is
//! tested here, with two threads in the place of two processes.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    io,
    os::fd::AsFd,
    ptr::NonNull,
    sync::Arc,
};

use rustix::mm::ProtFlags;

/// As the memory of a file is: on a page of its own, and all 0 at first.
struct Heap {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it is the address of memory that belongs to no thread, and that `Drop` alone frees.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: it was allocated so.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// The same memory in the hands of two.
pub(super) struct Memory(Arc<Heap>);

impl Memory {
    pub(super) fn new(_file: impl AsFd, _len: usize, _protection: ProtFlags) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn twice(len: usize) -> [Self; 2] {
        let layout = Layout::from_size_align(len, 4096).expect("a page is a power of two");
        // SAFETY: `len` is above 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) });
        let heap = Arc::new(Heap { start: start.unwrap_or_else(|| handle_alloc_error(layout)), layout });
        [Self(heap.clone()), Self(heap)]
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.0.start.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, IoSlice},
        sync::mpsc::channel,
        thread,
    };

    use super::{
        super::{Counters, Mapping, Track},
        Memory,
    };
    use crate::shm::{
        ledger::{Ledger, Returns},
        ring::{Inlet, Outlet, SIZE},
    };

    fn mapped(len: usize) -> [Mapping; 2] {
        Memory::twice(len).map(|memory| Mapping { memory, len })
    }

    #[test]
    fn bytes_pass_through_a_ring_from_thread_to_thread() {
        let [written, read] = mapped(Track::BEFORE + SIZE).map(Track);
        let (outlet, inlet) = (Outlet::over(written), Inlet::over(read));
        // Around its end, and now and then it is full.
        let chunks: Vec<Vec<u8>> = (0..20).map(|number| vec![number; SIZE / 7]).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                for chunk in &chunks {
                    let mut left = &chunk[..];
                    while !left.is_empty() {
                        match outlet.write(&[IoSlice::new(left)]) {
                            Ok((count, _)) => left = &left[count..],
                            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
            let mut all = Vec::with_capacity(20 * (SIZE / 7));
            while all.len() < all.capacity() {
                if inlet.read(&mut all).expect("the positions make sense").0 == 0 {
                    thread::yield_now();
                }
            }
            assert!(all == chunks.concat());
        });
    }

    struct Given(Counters);

    impl Returns for Given {
        fn count(&self, slot: u32) -> u32 {
            self.0.of_slot(slot).map_or(0, |counter| counter.count())
        }

        fn is_ready(&self) -> bool {
            true
        }

        fn is_gone(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_slot_is_written_anew_after_the_other_thread_has_read_it() {
        const UNIT: usize = 64;
        let [writable, readable] = mapped(2 * UNIT);
        let [ours, theirs] = mapped(Counters::size(2)).map(Counters);
        let (lend, lent) = channel::<(u32, u8)>();
        let mut ledger = Ledger::new(2);
        let borrower = ledger.open(Given(ours)).expect("there is room for one");
        thread::scope(|scope| {
            scope.spawn(move || {
                for (slot, value) in lent {
                    // SAFETY: it is not written before it was given back.
                    let bytes = unsafe { readable.bytes(slot as usize * UNIT, UNIT) };
                    assert!(bytes.iter().all(|byte| *byte == value));
                    theirs.of_slot(slot).expect("there is such a slot").give_back();
                }
            });
            for value in 0..50 {
                let slot = loop {
                    match ledger.take(1) {
                        Some(slot) => break slot,
                        None => thread::yield_now(),
                    }
                };
                // SAFETY: the ledger says that nobody has it.
                unsafe { writable.bytes_mut(slot as usize * UNIT, UNIT) }.fill(value);
                assert_eq!(ledger.lend(borrower, slot), Some(slot));
                ledger.release(slot);
                lend.send((slot, value)).expect("it is read");
            }
            drop(lend);
        });
    }
}
