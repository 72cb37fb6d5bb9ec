use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use tidings_router_core::Token;

use super::{
    arena::SEALS,
    descriptors::{FIXED, TO_BORROW, sealed_len},
    map::{Counters, Mapping},
    token::Place,
};

/// The largest segment that is mapped, in bytes; an address space has room for many of them.
const LARGEST_SEGMENT: usize = 1 << 40;

/// The largest page of returns.
const LARGEST_RETURNS: usize = 1 << 24;

/// The borrowing half of one end of a link.
#[derive(Debug, Default)]
pub(crate) struct Borrower {
    offer: Mutex<Offer>,
    /// `None` inside: it cannot be mapped, so nothing is lent.
    memory: OnceLock<Option<Arc<Borrowed>>>,
}

/// What the other end has handed over, until it is mapped.
#[derive(Debug, Default)]
struct Offer {
    descriptors: Vec<OwnedFd>,
    is_trusted: bool,
}

/// Memory of the other end. The fields are dropped in this order: who waits for the pipe to be closed takes it that nobody
/// reads any more.
#[derive(Debug)]
struct Borrowed {
    segment: Mapping,
    returns: Counters,
    _pipe: OwnedFd,
}

impl Borrower {
    /// Whether it has got what it needs, or what was handed over for that was of no use.
    pub(super) fn is_over(&self) -> bool {
        self.memory.get().is_some()
    }

    /// Takes what was handed over, of which there are [`TO_BORROW`].
    pub(super) fn take(&self, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let mut offer = self.lock();
        if !offer.descriptors.is_empty() || self.is_over() {
            return Err(invalid("more descriptors were handed over than there are to hand over"));
        }
        offer.descriptors = descriptors;
        self.accept(&mut offer);
        Ok(())
    }

    /// The other end is let in: only now what it hands over is mapped.
    pub(crate) fn trust(&self) {
        let mut offer = self.lock();
        offer.is_trusted = true;
        self.accept(&mut offer);
    }

    fn lock(&self) -> MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Maps what was handed over, if that is all of it, and says that payloads may be lent. What cannot be mapped, or
    /// is not as it should be, is left: then payloads come through the socket.
    fn accept(&self, offer: &mut Offer) {
        if !offer.is_trusted || offer.descriptors.len() < TO_BORROW {
            return;
        }
        let memory = map(std::mem::take(&mut offer.descriptors)).map(Arc::new);
        let memory = self.memory.get_or_init(|| {
            let declined = |error: &io::Error| {
                tracing::warn!(%error, "cannot map a peer's memory: its large payloads come through the socket");
            };
            memory.inspect_err(declined).ok()
        });
        if let Some(memory) = memory {
            memory.returns.ready().give_back();
        }
    }

    /// The payload that the other end has lent.
    pub(crate) fn redeem(&self, token: &Token) -> io::Result<Bytes> {
        let place = Place::of_token(token).ok_or_else(|| invalid("a token that is none"))?;
        let Some(Some(from)) = self.memory.get() else {
            return Err(invalid("nothing was handed over that could be lent"));
        };
        let segment = from.segment.len();
        let (Ok(offset), Ok(len)) = (usize::try_from(place.offset), usize::try_from(place.len)) else {
            return Err(invalid("a payload beyond all memory"));
        };
        if len == 0 || offset > segment || len > segment - offset {
            return Err(invalid("a payload beyond the segment"));
        }
        if from.returns.of_slot(place.slot).is_none() {
            return Err(invalid("a slot that there is not"));
        }
        Ok(Bytes::from_owner(Payload { from: from.clone(), slot: place.slot, offset, len }))
    }
}

fn map(descriptors: Vec<OwnedFd>) -> io::Result<Borrowed> {
    let Ok([segment, returns, pipe]) = <[OwnedFd; TO_BORROW]>::try_from(descriptors) else {
        return Err(invalid("not as many descriptors as there are to hand over"));
    };
    let len = sealed_len(&segment, SEALS, LARGEST_SEGMENT)?;
    let segment = Mapping::readable(&segment, len)?;
    let len = sealed_len(&returns, FIXED, LARGEST_RETURNS)?;
    let returns = Counters::map(&returns, len)?;
    Ok(Borrowed { segment, returns, _pipe: pipe })
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A payload in memory of the other end, until its last reader is done.
struct Payload {
    from: Arc<Borrowed>,
    slot: u32,
    offset: usize,
    len: usize,
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the other end writes nothing there before it was given back, which `Drop` does. It is a process of
        // the same user that was let in; we have to rely on it, as on whoever may attach a debugger to us. Nobody else
        // can write: that is sealed.
        unsafe { self.from.segment.bytes(self.offset, self.len) }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        if let Some(counter) = self.from.returns.of_slot(self.slot) {
            counter.give_back();
        }
    }
}
