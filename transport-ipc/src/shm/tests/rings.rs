//! The bytes of a link in rings, and what another process may do to them.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::SealFlags,
};

use super::{sealed, sockets};
use crate::shm::{
    Borrower, Rings, Wanted,
    bell::Bell,
    descriptors::{self, FIXED},
    map::Track,
    ring::{Inlet, Outlet},
};

const SIZE: usize = 512 * 1024;

/// One end of a link that lends nothing.
struct End {
    rings: Rings,
    borrower: Borrower,
    socket: OwnedFd,
}

impl End {
    fn new(socket: OwnedFd, wanted: Wanted) -> Self {
        Self { rings: Rings::new(wanted), borrower: Borrower::default(), socket }
    }

    /// Two ends that trust each other.
    fn pair(wanted: [Wanted; 2]) -> [Self; 2] {
        let (one, other) = sockets();
        let ends = [Self::new(one, wanted[0]), Self::new(other, wanted[1])];
        ends.iter().for_each(|end| end.rings.trust());
        ends
    }

    /// Two ends whose next bytes go through rings, and that have read everything.
    fn met(wanted: Wanted) -> [Self; 2] {
        let ends = Self::pair([wanted; 2]);
        for (from, to) in [(0, 1), (1, 0)] {
            ends[from].write(b"x");
            assert_eq!(ends[to].read(8).unwrap(), b"x");
        }
        assert!(ends.iter().all(|end| end.rings.carries_writes()));
        ends
    }

    /// As a link writes.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let slices = [IoSlice::new(bytes)];
        if self.rings.carries_writes() {
            return self.rings.write(&slices);
        }
        let written = match self.rings.is_due() {
            true => self.rings.hand_over(&self.socket, &slices)?,
            false => rustix::io::write(&self.socket, bytes)?,
        };
        self.rings.sent(written);
        Ok(written)
    }

    fn write(&self, bytes: &[u8]) {
        assert_eq!(self.try_write(bytes).unwrap(), bytes.len());
    }

    fn read(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(most);
        self.rings.read(&self.socket, &mut buffer, &self.borrower)?;
        Ok(buffer)
    }

    /// Whether its bell has rung since this was asked last.
    fn has_rung(&self) -> bool {
        let bell = self.rings.bell().unwrap();
        let rang = poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&Timespec::default())).unwrap() > 0;
        if rang {
            rustix::io::read(bell, &mut [0; 8]).unwrap();
        }
        rang
    }
}

fn blocks<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn what_was_in_the_socket_is_read_before_what_is_in_the_ring() {
    let [a, b] = End::pair([Wanted::Rung; 2]);
    b.write(b"b");
    a.read(8).unwrap();
    a.write(b"one ");
    // It maps the ring with the first byte, and has not read the others when the stream goes on there.
    assert_eq!(b.read(1).unwrap(), b"o");
    a.write(b"two");
    assert!(a.rings.has_changed_over());
    let mut read = Vec::new();
    while read.len() < 6 {
        read.extend(b.read(2).unwrap());
    }
    assert_eq!(read, b"ne two");
    assert!(blocks(b.read(8)));
}

#[test]
fn an_end_that_wants_no_ring_has_the_other_one_write_to_the_socket() {
    for wanted in [[Wanted::Not, Wanted::Watched], [Wanted::Watched, Wanted::Not]] {
        let [a, b] = End::pair(wanted);
        for _ in 0..3 {
            a.write(b"x");
            assert_eq!(b.read(8).unwrap(), b"x");
            b.write(b"y");
            assert_eq!(a.read(8).unwrap(), b"y");
        }
        assert!(![&a, &b].iter().any(|end| end.rings.has_changed_over()));
    }
}

#[test]
fn nothing_is_mapped_before_it_is_trusted() {
    let (one, other) = sockets();
    let [a, b] = [End::new(one, Wanted::Rung), End::new(other, Wanted::Rung)];
    a.rings.trust();
    a.write(b"x");
    b.read(8).unwrap();
    assert!(!maps_of_rings_of(&b));
    b.rings.trust();
    assert!(maps_of_rings_of(&b));
}

/// Whether it has mapped the other end's ring: what is written then goes through its own.
fn maps_of_rings_of(end: &End) -> bool {
    !end.rings.has_more() && format!("{:?}", end.rings).contains("Inlet")
}

#[test]
fn more_than_the_ring_holds_arrives_whole_and_in_order() {
    let [a, b] = End::met(Wanted::Rung);
    let sent: Vec<u8> = (0..5 * SIZE / 2).map(|index| (index % 251) as u8).collect();
    let (mut left, mut read) = (&sent[..], Vec::new());
    while read.len() < sent.len() {
        match a.try_write(&left[..left.len().min(300_000)]) {
            Ok(count) => left = &left[count..],
            Err(_) => {
                read.extend(b.read(200_000).unwrap());
                read.extend(b.read(200_000).unwrap());
                assert!(a.has_rung(), "there is room");
            }
        }
        if left.is_empty() {
            read.extend(b.read(100_000).unwrap());
        }
    }
    assert!(read == sent);
}

#[test]
fn who_sleeps_is_rung_once_and_who_looks_is_not() {
    let [a, b] = End::met(Wanted::Rung);
    b.has_rung();
    assert!(blocks(b.read(8)));
    a.write(b"x");
    assert!(b.has_rung());
    a.write(b"y");
    assert!(!b.has_rung(), "it was rung and has not slept since");
    assert_eq!(b.read(8).unwrap(), b"xy");
    let [a, b] = End::met(Wanted::Watched);
    a.write(b"x");
    b.has_rung();
    assert_eq!(b.read(8).unwrap(), b"x");
    a.write(b"y");
    assert!(!b.has_rung() && b.rings.has_more());
    assert!(!b.rings.rest(), "there is more");
    assert_eq!(b.read(8).unwrap(), b"y");
    assert!(b.rings.rest());
    a.write(b"z");
    assert!(b.has_rung());
}

#[test]
fn the_end_of_the_stream_comes_after_what_is_in_the_ring() {
    let [a, b] = End::met(Wanted::Rung);
    a.write(b"last");
    drop(a);
    assert_eq!(b.read(2).unwrap(), b"la");
    assert_eq!(b.read(8).unwrap(), b"st");
    assert_eq!(b.read(8).unwrap(), b"");
}

#[test]
fn a_byte_with_descriptors_is_no_part_of_the_stream_and_a_second_one_ends_it() {
    let [a, b] = End::met(Wanted::Watched);
    a.write(b"x");
    a.rings.fill(|filler| descriptors::send(&a.socket, filler, &[])).unwrap();
    a.write(b"y");
    assert!(b.rings.has_more());
    assert_eq!(b.read(8).unwrap(), b"xy");
    assert!(!b.rings.has_more());
    rustix::io::write(&a.socket, b"z").unwrap();
    assert_eq!(b.read(8).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// A ring of which this test plays the other process.
fn hostile() -> (Outlet, Inlet, Track) {
    let (outlet, file) = Outlet::new().unwrap();
    (outlet, Inlet::map(&file).unwrap(), Track::map(&file, SIZE).unwrap())
}

#[test]
fn positions_that_cannot_be_are_errors_at_both_ends() {
    for tail in [SIZE as u64 + 1, u64::MAX, 1 << 63] {
        let (_outlet, inlet, theirs) = hostile();
        theirs.cursors().wrote(tail);
        let mut buffer = Vec::with_capacity(2 * SIZE);
        assert_eq!(inlet.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(inlet.has_more(), "so that it is read, and its link ended");
    }
    // A writer that has written 10 bytes, of which so many were read.
    for head in [11, u64::MAX, 1 << 63, 10u64.wrapping_sub(SIZE as u64 + 1)] {
        let (outlet, _inlet, theirs) = hostile();
        outlet.write(&[IoSlice::new(&[0; 10])]).unwrap();
        theirs.cursors().read(head, 0, SIZE as u64);
        let error = outlet.write(&[IoSlice::new(&vec![0; SIZE])]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_reader_whose_writer_goes_back_has_an_error() {
    let (outlet, inlet, theirs) = hostile();
    outlet.write(&[IoSlice::new(&[0; 100])]).unwrap();
    assert_eq!(inlet.read(&mut Vec::with_capacity(200)).unwrap().0, 100);
    theirs.cursors().wrote(99);
    assert!(inlet.read(&mut Vec::with_capacity(200)).is_err());
}

/// Whether the ring of this file is mapped.
fn is_taken(ring: &OwnedFd, bell: &OwnedFd) -> bool {
    let (ours, theirs) = sockets();
    let end = End::new(theirs, Wanted::Rung);
    end.rings.trust();
    descriptors::send(&ours, &[IoSlice::new(b"x")], &[ring.as_fd(), bell.as_fd()]).unwrap();
    assert_eq!(end.read(8).unwrap(), b"x");
    format!("{:?}", end.rings).contains("Inlet")
}

#[test]
fn a_ring_that_is_not_sealed_or_of_another_size_is_refused() {
    let whole = Track::BEFORE + SIZE;
    let bell = sealed(8, FIXED);
    assert!(is_taken(&sealed(whole, FIXED), &bell));
    assert!(!is_taken(&sealed(whole, SealFlags::GROW), &bell));
    assert!(!is_taken(&sealed(whole - 1, FIXED), &bell));
    assert!(!is_taken(&sealed(whole + 4096, FIXED), &bell));
    assert!(!is_taken(&sealed(4, FIXED), &bell));
}

#[test]
fn other_descriptors_than_there_are_to_hand_over_end_the_link() {
    let bell = sealed(8, FIXED);
    for count in [1, 2, 3] {
        let [a, b] = End::met(Wanted::Rung);
        let descriptors = vec![bell.as_fd(); count];
        descriptors::send(&a.socket, &[IoSlice::new(b"x")], &descriptors).unwrap();
        assert!(b.read(8).is_err() || count == 3, "{count}");
    }
}

#[test]
fn a_bell_that_is_full_still_rings() {
    let bell = Bell::new().unwrap();
    rustix::io::write(&bell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    bell.ring();
    let mut count = [0; 8];
    rustix::io::read(&bell, &mut count).unwrap();
    assert_eq!(u64::from_ne_bytes(count), 1);
}
