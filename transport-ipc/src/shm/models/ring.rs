//! The positions of a ring, and who sleeps.

use loom::{
    cell::UnsafeCell,
    sync::{Arc, Notify},
    thread,
};

use super::super::cursors::Cursors;

/// How many bytes the ring holds.
const SIZE: u64 = 2;

/// A ring of two bytes, and the bells of both ends.
struct Shared {
    cursors: Cursors,
    bytes: [UnsafeCell<u64>; SIZE as usize],
    data: Notify,
    room: Notify,
}

impl Shared {
    fn new() -> Arc<Self> {
        let bytes = std::array::from_fn(|_| UnsafeCell::new(0));
        Arc::new(Self { cursors: Cursors::new(), bytes, data: Notify::new(), room: Notify::new() })
    }

    /// Writes a byte, its own position, and waits for room before.
    fn write(&self, tail: u64) {
        while self.cursors.writable(tail, SIZE).unwrap() == 0 {
            if self.cursors.wait(tail, SIZE).unwrap() == 0 {
                self.room.wait();
            }
        }
        // SAFETY: loom reports whoever reads at the same time.
        self.bytes[(tail % SIZE) as usize].with_mut(|byte| unsafe { *byte = tail });
        if self.cursors.wrote(tail + 1) {
            self.data.notify();
        }
    }

    /// Reads what there is behind `head`.
    fn read(&self, head: u64) -> u64 {
        let there = self.cursors.readable(head, SIZE).unwrap();
        for at in head..head + there {
            // SAFETY: loom reports whoever writes at the same time.
            let byte = self.bytes[(at % SIZE) as usize].with(|byte| unsafe { *byte });
            assert_eq!(byte, at);
        }
        if there > 0 && self.cursors.read(head + there, 0, SIZE) {
            self.room.notify();
        }
        head + there
    }
}

/// How often a thread is interrupted where it could go on: with more of it there are too many orders to try them all.
const INTERRUPTIONS: usize = 3;

fn model(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(INTERRUPTIONS);
    builder.check(model);
}

/// One writes so many bytes, the other one reads them and sleeps when there are none. Who sleeps and is not woken is a
/// deadlock, which loom reports.
fn goes_through(count: u64) {
    model(move || {
        let shared = Shared::new();
        let writer = shared.clone();
        let writing = thread::spawn(move || (0..count).for_each(|tail| writer.write(tail)));
        let mut head = 0;
        while head < count {
            head = shared.read(head);
            if head < count && shared.cursors.sleep(head) {
                shared.data.wait();
            }
        }
        writing.join().unwrap();
    });
}

#[test]
fn loom_a_reader_that_sleeps_is_rung_for_each_byte_that_it_has_not_seen() {
    goes_through(2);
}

#[test]
fn loom_a_writer_that_waits_is_rung_when_there_is_room_and_overwrites_nothing() {
    goes_through(SIZE + 1);
}

#[test]
fn loom_a_reader_that_looks_again_and_again_loses_nothing_when_it_goes_to_sleep() {
    model(|| {
        let shared = Shared::new();
        let writer = shared.clone();
        let writing = thread::spawn(move || (0..2).for_each(|tail| writer.write(tail)));
        // It looks once, rests, and looks again when it has been rung, whatever for.
        let mut head = shared.read(0);
        while head < 2 {
            if shared.cursors.sleep(head) {
                shared.data.wait();
            }
            head = shared.read(head);
        }
        writing.join().unwrap();
    });
}

#[test]
fn loom_what_went_through_the_socket_is_known_before_the_ring_is_read() {
    model(|| {
        let shared = Shared::new();
        let writer = shared.clone();
        let writing = thread::spawn(move || {
            if writer.cursors.is_accepted() {
                writer.cursors.begin(7);
                writer.write(0);
            }
        });
        shared.cursors.accept();
        if shared.cursors.readable(0, SIZE).unwrap() > 0 {
            assert_eq!(shared.cursors.start(), Some(7));
        }
        writing.join().unwrap();
    });
}
