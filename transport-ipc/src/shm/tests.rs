//! Payloads over both ends of a link, and [rings].

mod rings;

use std::{io::IoSlice, os::fd::AsFd, sync::Arc};

use bytes::Bytes;
use rustix::{
    fs::SealFlags,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::pipe,
};
use tidings_router_core::{Pool, Token};

use super::{
    Borrower, Lender, Rings, SharedPool, Wanted,
    arena::SEALS,
    descriptors::{self, FIXED, memory, seal},
    map::Counters,
    token::Place,
};
use rustix::fd::{BorrowedFd, OwnedFd};

/// A slot of the least size, and the size of the pool of the tests: four of them.
const SLOT: usize = 16 * 1024;

struct Ends {
    pool: Arc<SharedPool>,
    lender: Lender,
    borrower: Borrower,
    sockets: (OwnedFd, OwnedFd),
}

fn sockets() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

fn pool() -> Arc<SharedPool> {
    Arc::new(SharedPool::new(4 * SLOT, 1))
}

/// Reads as a link does that has no ring.
fn receive(socket: &OwnedFd, buffer: &mut Vec<u8>, borrower: &Borrower) -> std::io::Result<usize> {
    Rings::new(Wanted::Not).read(socket, buffer, borrower)
}

impl Ends {
    fn new(pool: &Arc<SharedPool>) -> Self {
        let (pool, lender) = (pool.clone(), Lender::new(pool.clone()));
        Self { pool, lender, borrower: Borrower::default(), sockets: sockets() }
    }

    /// Two ends that have handed over what they need.
    fn met(pool: &Arc<SharedPool>) -> Self {
        let ends = Self::new(pool);
        assert_eq!(ends.lender.lend(&ends.payload(7)), None, "the other end cannot read yet");
        ends.hand_over().unwrap();
        assert_eq!(ends.lender.lend(&ends.payload(7)), None, "nothing is mapped before it is trusted");
        ends.borrower.trust();
        ends
    }

    fn hand_over(&self) -> std::io::Result<usize> {
        assert!(self.lender.is_due());
        assert_eq!(self.lender.hand_over(&self.sockets.0, &[IoSlice::new(b"x")]).unwrap(), 1);
        assert!(!self.lender.is_due());
        receive(&self.sockets.1, &mut Vec::with_capacity(8), &self.borrower)
    }

    fn payload(&self, value: u8) -> Bytes {
        let mut lease = self.pool.loan(SLOT).unwrap();
        (*lease).as_mut().fill(value);
        lease.freeze()
    }

    fn lend(&self, payload: &Bytes) -> Bytes {
        self.borrower.redeem(&self.lender.lend(payload).unwrap()).unwrap()
    }

    /// How many slots can be had now.
    fn free(&self) -> usize {
        std::iter::from_fn(|| self.pool.loan(SLOT)).take(5).collect::<Vec<_>>().len()
    }
}

#[test]
fn what_is_lent_is_the_same_memory() {
    let ends = Ends::met(&pool());
    let payload = ends.payload(1);
    let lent = ends.lend(&payload.slice(100..));
    assert_eq!(lent, payload.slice(100..));
    assert_ne!(lent.as_ptr(), payload[100..].as_ptr());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let is_of = |line: &&str, at: usize| {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        (number(from)..number(to)).contains(&at)
    };
    let line = maps.lines().find(|line| is_of(line, lent.as_ptr() as usize)).unwrap();
    assert!(line.contains("r--s") && line.contains("memfd:tidings-payloads"), "{line}");
}

#[test]
fn a_slot_is_free_after_the_last_clone_at_either_end() {
    let ends = Ends::met(&pool());
    let payload = ends.payload(1);
    let lent = ends.lend(&payload);
    let part = lent.slice(5..6);
    drop(payload);
    assert_eq!(ends.free(), 3);
    drop(lent);
    assert_eq!(ends.free(), 3);
    drop(part);
    assert_eq!(ends.free(), 4);
}

#[test]
fn a_loan_that_is_dropped_is_free() {
    let ends = Ends::new(&pool());
    let loan = ends.pool.loan(3 * SLOT).unwrap();
    assert!(ends.pool.loan(2 * SLOT).is_none());
    drop(loan);
    assert_eq!(ends.free(), 4);
    assert!(ends.pool.loan(5 * SLOT).is_none());
    assert!(ends.pool.loan(usize::MAX).is_none());
}

#[test]
fn one_slot_serves_two_links_and_waits_for_both() {
    let pool = pool();
    let (one, other) = (Ends::met(&pool), Ends::met(&pool));
    let payload = one.payload(1);
    let lent = (one.lend(&payload), other.lend(&payload));
    drop((payload, lent.0));
    assert_eq!(one.free(), 3);
    drop(lent.1);
    assert_eq!(one.free(), 4);
}

#[test]
fn a_reader_keeps_its_memory_when_its_link_is_gone() {
    let Ends { pool, lender, borrower, sockets } = Ends::met(&pool());
    let mut lease = pool.loan(SLOT).unwrap();
    (*lease).as_mut().fill(9);
    let payload = lease.freeze();
    let lent = borrower.redeem(&lender.lend(&payload).unwrap()).unwrap();
    drop((payload, lender, borrower, sockets));
    let ends = Ends::new(&pool);
    assert_eq!(ends.free(), 3);
    assert!(lent.iter().all(|byte| *byte == 9));
    drop(lent);
    assert_eq!(ends.free(), 4);
}

#[test]
fn what_was_lent_and_never_read_is_free_when_the_link_is_gone() {
    let pool = pool();
    let ends = Ends::met(&pool);
    let payload = ends.payload(1);
    ends.lender.lend(&payload).unwrap();
    drop(payload);
    assert_eq!(ends.free(), 3);
    drop(ends);
    assert_eq!(Ends::new(&pool).free(), 4);
}

#[test]
fn what_nobody_has_taken_over_is_free_when_the_link_is_gone() {
    let pool = pool();
    let ends = Ends::new(&pool);
    assert_eq!(ends.lender.lend(&ends.payload(1)), None);
    drop(ends);
    assert_eq!(Ends::new(&pool).free(), 4);
}

#[test]
fn memory_outlives_the_pool_while_it_is_read() {
    let ends = Ends::met(&pool());
    let lent = ends.lend(&ends.payload(3));
    drop(ends);
    assert!(lent.iter().all(|byte| *byte == 3));
}

#[test]
fn what_does_not_stand_in_the_pool_is_not_lent() {
    let ends = Ends::met(&pool());
    assert_eq!(ends.lender.lend(&Bytes::from(vec![0; SLOT])), None);
    assert_eq!(ends.lender.lend(&Bytes::new()), None);
    let others = Ends::met(&pool());
    assert_eq!(ends.lender.lend(&others.payload(1)), None);
    assert_eq!(ends.lender.lend(&others.lend(&others.payload(1))), None, "read-only memory of somebody else");
}

#[test]
fn a_token_that_stands_for_nothing_is_an_error() {
    let ends = Ends::new(&pool());
    assert!(
        ends.borrower.redeem(&Place { slot: 0, offset: 0, len: 1 }.to_token()).is_err(),
        "nothing was handed over"
    );
    let ends = Ends::met(&pool());
    let all = 4 * SLOT as u64;
    let places = [
        (0, 0, 0),
        (0, 0, all + 1),
        (0, all, 1),
        (0, 1, all),
        (0, u64::MAX, 2),
        (0, 2, u64::MAX),
        (4, 0, 1),
        (u32::MAX, 0, 1),
    ];
    for (slot, offset, len) in places {
        let place = Place { slot, offset, len };
        assert!(ends.borrower.redeem(&place.to_token()).is_err(), "{place:?}");
    }
    assert!(ends.borrower.redeem(&Token([0xFF; Token::LEN])).is_err());
    assert_eq!(
        ends.borrower.redeem(&Place { slot: 3, offset: 0, len: all }.to_token()).unwrap().len(),
        4 * SLOT
    );
}

/// Whether a borrower reads from memory of these descriptors.
fn is_taken(descriptors: [BorrowedFd<'_>; 3]) -> bool {
    let (ours, theirs) = sockets();
    assert_eq!(descriptors::send(&ours, &[IoSlice::new(b"x")], &descriptors).unwrap(), 1);
    let borrower = Borrower::default();
    borrower.trust();
    assert_eq!(receive(&theirs, &mut Vec::with_capacity(8), &borrower).unwrap(), 1);
    borrower.redeem(&Place { slot: 0, offset: 0, len: 1 }.to_token()).is_ok()
}

fn sealed(len: usize, seals: SealFlags) -> OwnedFd {
    let file = memory("test", len).unwrap();
    seal(&file, seals).unwrap();
    file
}

#[test]
fn memory_that_is_not_sealed_is_refused() {
    let (segment, returns) = (sealed(SLOT, SEALS), sealed(Counters::size(1), FIXED));
    let (_, pipe) = pipe().unwrap();
    assert!(is_taken([segment.as_fd(), returns.as_fd(), pipe.as_fd()]));
    let writable = sealed(SLOT, FIXED);
    assert!(!is_taken([writable.as_fd(), returns.as_fd(), pipe.as_fd()]));
    let shrinking = sealed(SLOT, SealFlags::FUTURE_WRITE | SealFlags::GROW);
    assert!(!is_taken([shrinking.as_fd(), returns.as_fd(), pipe.as_fd()]));
    let unsealed = memory("test", Counters::size(1)).unwrap();
    assert!(!is_taken([segment.as_fd(), unsealed.as_fd(), pipe.as_fd()]));
    let empty = sealed(0, SEALS);
    assert!(!is_taken([empty.as_fd(), returns.as_fd(), pipe.as_fd()]));
    assert!(!is_taken([pipe.as_fd(), returns.as_fd(), pipe.as_fd()]), "no file at all");
}

#[test]
fn what_is_handed_over_again_is_thrown_away() {
    let ends = Ends::met(&pool());
    let (_, pipe) = pipe().unwrap();
    let descriptors = [pipe.as_fd(), pipe.as_fd(), pipe.as_fd()];
    assert_eq!(descriptors::send(&ends.sockets.0, &[IoSlice::new(b"x")], &descriptors).unwrap(), 1);
    assert_eq!(receive(&ends.sockets.1, &mut Vec::with_capacity(8), &ends.borrower).unwrap(), 1);
}

#[test]
fn what_comes_behind_descriptors_is_read_along() {
    let ends = Ends::new(&pool());
    ends.lender.lend(&ends.payload(1));
    assert_eq!(ends.lender.hand_over(&ends.sockets.0, &[IoSlice::new(b"x")]).unwrap(), 1);
    rustix::io::write(&ends.sockets.0, b"yz").unwrap();
    let mut buffer = Vec::with_capacity(16);
    assert_eq!(receive(&ends.sockets.1, &mut buffer, &ends.borrower).unwrap(), 3);
    assert_eq!(buffer, b"xyz");
}
