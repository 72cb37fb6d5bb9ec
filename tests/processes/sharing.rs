//! What a node does with memory that it shares, when it is told to.

use std::{
    fs,
    sync::{Arc, Mutex},
    thread,
};

use tidings::{Bytes, Router};
use tidings_testkit::Numbered;

/// What payloads in shared memory are called.
const EVENT: &str = "shared";

/// The length of one, in bytes.
const LEN: usize = 64 * 1024;

/// The length of the loans that show how much memory is free.
const SLOT: usize = 1 << 20;

/// Payloads that were received and are not let go of; `None` once they were.
#[derive(Debug, Clone)]
pub(crate) struct Held(Arc<Mutex<Option<Vec<Bytes>>>>);

impl Default for Held {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }
}

impl Held {
    /// Holds what comes from now on, if it stands in memory of the other process.
    pub(crate) fn begin(&self, router: &Arc<Router>) {
        let mut shared = router.subscribe::<Bytes>(EVENT).unwrap();
        let held = self.0.clone();
        thread::spawn(move || {
            while let Some(event) = shared.next_wait() {
                if is_borrowed(&event.payload)
                    && let Some(held) = &mut *held.lock().unwrap()
                {
                    held.push(event.payload);
                }
            }
        });
        println!("holding");
    }

    pub(crate) fn count(&self) {
        println!("held {}", self.0.lock().unwrap().iter().flatten().count());
    }

    /// Says how many are as they were sent.
    pub(crate) fn check(&self) {
        let held = self.0.lock().unwrap();
        let numbers: Vec<u64> = held.iter().flatten().map(|payload| Numbered::read(payload).number).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        println!("whole {}", numbers.len());
    }

    /// Lets go of them all, and holds nothing any more.
    pub(crate) fn release(&self) {
        *self.0.lock().unwrap() = None;
        println!("released");
    }
}

/// Emits one payload.
pub(crate) fn share(router: &Arc<Router>, number: u64) {
    router.wait_for_listeners(EVENT, 1).wait().unwrap();
    let mut loan = router.loan(LEN);
    assert!(loan.is_shared());
    loan.copy_from_slice(&Numbered { publisher: 0, number }.payload(LEN));
    router.emit(EVENT, loan.freeze()).wait().unwrap();
    println!("shared");
}

/// Begins to write, and never ends.
pub(crate) fn write(router: &Arc<Router>) {
    let mut loan = router.loan(SLOT);
    assert!(loan.is_shared());
    loan[..SLOT / 2].fill(7);
    println!("writing");
    std::mem::forget(loan);
}

/// Says how many large loans can be had at once.
pub(crate) fn count_slots(router: &Arc<Router>) {
    let loans = std::iter::repeat_with(|| router.loan(SLOT)).take_while(|loan| loan.is_shared());
    println!("slots {}", loans.collect::<Vec<_>>().len());
}

/// Whether it stands in memory of another process.
fn is_borrowed(payload: &[u8]) -> bool {
    let at = payload.as_ptr() as usize;
    let number = |text| usize::from_str_radix(text, 16).unwrap();
    fs::read_to_string("/proc/self/maps").unwrap().lines().any(|line| {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        (number(from)..number(to)).contains(&at) && line.contains("r--s")
    })
}
