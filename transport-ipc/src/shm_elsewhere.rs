//! Where there are no sealed memory files nothing is lent, and so nothing is borrowed.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::Bytes;
use rustix::{
    buffer::spare_capacity,
    fd::{AsFd, BorrowedFd},
};
use tidings_router_core::{Lease, Pool, Token};

/// A pool without memory.
#[derive(Debug)]
pub(crate) struct SharedPool {
    bytes: usize,
    threshold: usize,
}

impl SharedPool {
    pub(crate) fn new(bytes: usize, threshold: usize) -> Self {
        Self { bytes, threshold }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_on(&self) -> bool {
        false
    }
}

impl Pool for SharedPool {
    fn threshold(&self) -> usize {
        self.threshold
    }

    fn loan(&self, _len: usize) -> Option<Box<dyn Lease>> {
        None
    }

    fn holds(&self, _payload: &[u8]) -> bool {
        false
    }
}

/// Lends nothing.
#[derive(Debug)]
pub(crate) struct Lender;

impl Lender {
    pub(crate) fn new(_pool: Arc<SharedPool>) -> Self {
        Self
    }

    pub(crate) fn is_on(&self) -> bool {
        false
    }

    pub(crate) fn lend(&self, _payload: &Bytes) -> Option<Token> {
        None
    }

    pub(crate) fn is_due(&self) -> bool {
        false
    }

    pub(crate) fn hand_over(&self, _socket: impl AsFd, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Borrows nothing.
#[derive(Debug, Default)]
pub(crate) struct Borrower;

impl Borrower {
    pub(crate) fn trust(&self) {}

    pub(crate) fn redeem(&self, _token: &Token) -> io::Result<Bytes> {
        Err(io::Error::new(io::ErrorKind::InvalidData, "nothing is lent on this operating system"))
    }
}

/// Whether an end wants rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Not,
    Rung,
    Watched,
}

/// Everything goes through the socket.
#[derive(Debug)]
pub(crate) struct Rings;

impl Rings {
    pub(crate) fn new(_wanted: Wanted) -> Self {
        Self
    }

    pub(crate) fn bell(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    pub(crate) fn is_watched(&self) -> bool {
        false
    }

    pub(crate) fn trust(&self) {}

    pub(crate) fn is_due(&self) -> bool {
        false
    }

    pub(crate) fn hand_over(&self, _socket: impl AsFd, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn sent(&self, _count: usize) {}

    pub(crate) fn carries_writes(&self) -> bool {
        false
    }

    pub(crate) fn has_changed_over(&self) -> bool {
        false
    }

    pub(crate) fn write(&self, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn fill(&self, _send: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn has_more(&self) -> bool {
        false
    }

    pub(crate) fn rest(&self) -> bool {
        true
    }

    pub(crate) fn read(
        &self,
        socket: impl AsFd,
        buffer: &mut Vec<u8>,
        _borrower: &Borrower,
    ) -> io::Result<usize> {
        Ok(rustix::io::read(socket, spare_capacity(buffer))?)
    }
}
