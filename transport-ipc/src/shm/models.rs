//! What two processes share under loom, which tries every order of what they do: the ledger and the counters here,
//! and the [ring]. `cargo xtask loom` runs it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod ring;

use loom::{
    cell::UnsafeCell,
    sync::{Arc, Mutex, Notify, atomic::AtomicBool, atomic::Ordering},
    thread,
};

use super::{
    counter::Counter,
    ledger::{Ledger, Returns},
};

/// What two processes share: a slot's memory, and its returns.
struct Shared {
    memory: UnsafeCell<u32>,
    returns: Counter,
    gone: AtomicBool,
    sent: Notify,
}

struct Page(Arc<Shared>);

impl Returns for Page {
    fn count(&self, _slot: u32) -> u32 {
        self.0.returns.count()
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Acquire)
    }
}

fn start() -> (Arc<Shared>, Ledger<Page>, usize, u32) {
    let shared = Arc::new(Shared {
        memory: UnsafeCell::new(0),
        returns: Counter::new(),
        gone: AtomicBool::new(false),
        sent: Notify::new(),
    });
    let mut ledger = Ledger::new(1);
    let borrower = ledger.open(Page(shared.clone())).unwrap();
    let slot = ledger.take(1).unwrap();
    write(&shared, 1);
    ledger.lend(borrower, slot).unwrap();
    (shared, ledger, borrower, slot)
}

fn write(shared: &Shared, value: u32) {
    // SAFETY: loom reports whoever reads at the same time.
    shared.memory.with_mut(|memory| unsafe { *memory = value });
}

fn read(shared: &Shared) -> u32 {
    // SAFETY: loom reports whoever writes at the same time.
    shared.memory.with(|memory| unsafe { *memory })
}

#[test]
fn loom_a_slot_is_not_written_while_it_is_read() {
    loom::model(|| {
        let (shared, mut ledger, _, slot) = start();
        let reader = shared.clone();
        let reading = thread::spawn(move || {
            reader.sent.wait();
            assert_eq!(read(&reader), 1);
            reader.returns.give_back();
        });
        shared.sent.notify();
        ledger.release(slot);
        if ledger.take(1).is_some() {
            write(&shared, 2);
        }
        reading.join().unwrap();
    });
}

#[test]
fn loom_a_slot_is_free_for_one_when_its_owner_and_its_reader_let_go_at_once() {
    loom::model(|| {
        let (shared, ledger, _, slot) = start();
        let ledger = Arc::new(Mutex::new(ledger));
        let reader = shared.clone();
        let reading = thread::spawn(move || {
            reader.sent.wait();
            assert_eq!(read(&reader), 1);
            reader.returns.give_back();
        });
        shared.sent.notify();
        let owner = ledger.clone();
        let releasing = thread::spawn(move || owner.lock().unwrap().release(slot));
        let taken = ledger.lock().unwrap().take(1);
        if taken.is_some() {
            write(&shared, 2);
        }
        reading.join().unwrap();
        releasing.join().unwrap();
        let later = ledger.lock().unwrap().take(1);
        assert!(taken.is_some() ^ later.is_some(), "it is lost, or two have it");
    });
}

#[test]
fn loom_a_reader_whose_link_is_gone_reads_on_until_it_is_gone_too() {
    loom::model(|| {
        let (shared, mut ledger, borrower, slot) = start();
        let reader = shared.clone();
        let reading = thread::spawn(move || {
            reader.sent.wait();
            assert_eq!(read(&reader), 1);
            // As the kernel closes the pipe of a process whose memory is gone.
            reader.gone.store(true, Ordering::Release);
        });
        shared.sent.notify();
        ledger.close(borrower);
        ledger.release(slot);
        if ledger.take(1).is_some() {
            write(&shared, 2);
        }
        reading.join().unwrap();
    });
}
