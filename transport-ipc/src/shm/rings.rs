use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
    },
};

use rustix::buffer::spare_capacity;

use super::{
    bell::Bell,
    borrower::Borrower,
    descriptors::{self, TO_BORROW, TO_LISTEN},
    ring::{Inlet, Outlet},
};

/// How many bytes may come through the socket that are no part of the stream: there is one thing to hand over with one.
const MOST_FILLERS: u64 = 1;

/// Whether an end wants rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Not,
    /// It sleeps until the bell rings.
    Rung,
    /// It looks again and again.
    Watched,
}

/// How the bytes of one end of a link change over from the socket to memory, in each direction by itself.
///
/// Each end hands over the ring that it writes, and its bell. When the other end has mapped the one and handed over
/// the other, the stream goes on in the ring. The socket stays: its end is the end of the stream, behind what stands
/// in the ring.
#[derive(Debug)]
pub(crate) struct Rings {
    /// This end looks again and again.
    watched: bool,
    /// Rung by the other end. `None`: rings are not wanted, or the operating system gives us no bell.
    bell: Option<Bell>,
    /// The own ring is to be handed over with the next bytes.
    is_due: AtomicBool,
    /// The file of that ring until it is handed over.
    due: Mutex<Option<OwnedFd>>,
    outlet: OnceLock<Outlet>,
    /// Bytes of the stream that were written to the socket. Changed by the one who writes, as is the next.
    sent: AtomicU64,
    /// What is written goes into the ring.
    changed_over: AtomicBool,
    /// Bytes of the stream that were read from the socket. Changed by the one who reads, as is the next.
    received: AtomicU64,
    /// Bytes that were read from the socket and are no part of the stream.
    fillers: AtomicU32,
    offer: Mutex<Offer>,
    /// `None` inside: it is not as it should be, so the stream stays in the socket.
    theirs: OnceLock<Option<Theirs>>,
}

/// What the other end has handed over, until it is mapped.
#[derive(Debug, Default)]
struct Offer {
    descriptors: Option<[OwnedFd; TO_LISTEN]>,
    is_trusted: bool,
}

/// What belongs to the other end.
#[derive(Debug)]
struct Theirs {
    inlet: Inlet,
    bell: Bell,
}

impl Rings {
    pub(crate) fn new(wanted: Wanted) -> Self {
        let no_bell =
            |error: &io::Error| tracing::warn!(%error, "no event descriptor: a link stays with its socket");
        let bell = || Bell::new().inspect_err(no_bell).ok();
        Self {
            watched: wanted == Wanted::Watched,
            bell: if wanted == Wanted::Not { None } else { bell() },
            is_due: AtomicBool::new(false),
            due: Mutex::default(),
            outlet: OnceLock::new(),
            sent: AtomicU64::new(0),
            changed_over: AtomicBool::new(false),
            received: AtomicU64::new(0),
            fillers: AtomicU32::new(0),
            offer: Mutex::default(),
            theirs: OnceLock::new(),
        }
    }

    /// What the other end rings.
    pub(crate) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.bell.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    fn theirs(&self) -> Option<&Theirs> {
        self.theirs.get()?.as_ref()
    }

    /// The other end is let in: only now what it hands over is mapped.
    pub(crate) fn trust(&self) {
        let mut offer = lock(&self.offer);
        offer.is_trusted = true;
        self.accept(&mut offer);
        self.is_due.store(self.bell.is_some(), Relaxed);
    }

    fn take(&self, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let mut offer = lock(&self.offer);
        let (Ok(descriptors), None, None) = (descriptors.try_into(), &offer.descriptors, self.theirs.get())
        else {
            return Err(invalid("more descriptors were handed over than there are to hand over"));
        };
        offer.descriptors = Some(descriptors);
        self.accept(&mut offer);
        Ok(())
    }

    fn accept(&self, offer: &mut Offer) {
        // Without a bell of its own this end would sleep for ever.
        if !offer.is_trusted || self.bell.is_none() {
            return;
        }
        let Some([ring, bell]) = offer.descriptors.take() else { return };
        let theirs = Inlet::map(&ring).and_then(|inlet| Ok(Theirs { inlet, bell: Bell::of(bell)? }));
        let declined = |error: &io::Error| {
            tracing::warn!(%error, "cannot map a peer's ring: what it sends comes through the socket");
        };
        if let Some(theirs) = self.theirs.get_or_init(|| theirs.inspect_err(declined).ok()) {
            theirs.inlet.cursors().accept();
        }
    }

    /// Whether the next bytes have to go by [`hand_over`](Self::hand_over).
    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Relaxed)
    }

    /// Writes the start of `slices` to the socket, and hands over with it what the other end needs to read from the
    /// ring.
    pub(crate) fn hand_over(&self, socket: impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut due = lock(&self.due);
        if self.outlet.get().is_none() {
            match Outlet::new() {
                Ok((outlet, file)) => {
                    let _ = self.outlet.set(outlet);
                    *due = Some(file);
                }
                Err(error) => {
                    tracing::warn!(%error, "no memory for a ring: what is sent goes through the socket")
                }
            }
        }
        let descriptors = due.as_ref().zip(self.bell()).map(|(file, bell)| [file.as_fd(), bell]);
        let written = descriptors::send(socket, slices, descriptors.as_ref().map_or(&[], |all| &all[..]))?;
        if written > 0 {
            *due = None;
            self.is_due.store(false, Relaxed);
        }
        Ok(written)
    }

    /// So many bytes of the stream were written to the socket.
    pub(crate) fn sent(&self, count: usize) {
        self.sent.store(self.sent.load(Relaxed) + count as u64, Relaxed);
    }

    /// Whether what is written goes into the ring, from now on or already.
    pub(crate) fn carries_writes(&self) -> bool {
        if self.changed_over.load(Acquire) {
            return true;
        }
        let Some(outlet) = self.outlet.get() else { return false };
        let ready = self.theirs().is_some() && outlet.cursors().is_accepted();
        if ready {
            outlet.cursors().begin(self.sent.load(Relaxed));
            self.changed_over.store(true, Relaxed);
        }
        ready
    }

    /// Whether who found no room waits for the bell.
    pub(crate) fn has_changed_over(&self) -> bool {
        self.changed_over.load(Acquire)
    }

    /// Writes the start of `slices` into the ring.
    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let (Some(outlet), Some(theirs)) = (self.outlet.get(), self.theirs()) else {
            return Err(io::Error::other("there is no ring"));
        };
        let (written, ring) = outlet.write(slices)?;
        if ring {
            theirs.bell.ring();
        }
        Ok(written)
    }

    /// Sends a byte through the socket that is no part of the stream, by `send`, when something is to go along.
    pub(crate) fn fill(&self, send: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<()> {
        match send(&[IoSlice::new(&[0])]) {
            Ok(_) => {
                if let Some(outlet) = self.outlet.get() {
                    outlet.cursors().filled();
                }
                Ok(())
            }
            // The next write tries again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a read would find something, as far as memory tells.
    pub(crate) fn has_more(&self) -> bool {
        self.theirs().is_some_and(|theirs| {
            theirs.inlet.has_more() || theirs.inlet.cursors().fillers() != self.fillers.load(Relaxed)
        })
    }

    /// Before who looked again and again waits. Returns whether he may; else there is more already.
    pub(crate) fn rest(&self) -> bool {
        self.theirs().is_none_or(|theirs| theirs.inlet.sleep())
    }

    /// Reads what there is to the end of `buffer`, at most its spare room, of which there is some.
    pub(crate) fn read(
        &self,
        socket: impl AsFd,
        buffer: &mut Vec<u8>,
        borrower: &Borrower,
    ) -> io::Result<usize> {
        let begun = buffer.len();
        let first = if self.reads_ring() { None } else { Some(self.receive(&socket, buffer, borrower)) };
        // The stream may have gone over to the ring right behind what was read.
        let theirs = match (self.theirs(), first) {
            (Some(theirs), _) if self.reads_ring() => theirs,
            (_, Some(received)) => return received,
            (_, None) => return Err(io::ErrorKind::WouldBlock.into()),
        };
        self.read_ring(theirs, buffer)?;
        let fillers = theirs.inlet.cursors().fillers();
        if u64::from(fillers) > MOST_FILLERS {
            return Err(invalid("more bytes than there may be went past a ring"));
        }
        if fillers != self.fillers.load(Relaxed) || buffer.len() == begun {
            // The end of the stream is behind what was written before it.
            let end = self.receive(&socket, buffer, borrower);
            if end.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
                return end;
            }
            self.read_ring(theirs, buffer)?;
            if buffer.len() == begun {
                return end.and_then(
                    |count| if count == 0 { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) },
                );
            }
        }
        Ok(buffer.len() - begun)
    }

    /// Reads what there is, and says that it sleeps unless the buffer is full, or it looks again by itself.
    fn read_ring(&self, theirs: &Theirs, buffer: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let (_, ring) = theirs.inlet.read(buffer)?;
            if ring {
                theirs.bell.ring();
            }
            if self.watched || buffer.len() == buffer.capacity() || theirs.inlet.sleep() {
                return Ok(());
            }
        }
    }

    /// Whether all is read that was sent before the stream went over to the ring.
    fn reads_ring(&self) -> bool {
        let start = self.theirs().and_then(|theirs| theirs.inlet.cursors().start());
        start.is_some_and(|start| start <= self.received.load(Relaxed))
    }

    /// Reads from the socket, and takes what is handed over with it. Returns how much was read, be it of the stream
    /// or not.
    fn receive(&self, socket: impl AsFd, buffer: &mut Vec<u8>, borrower: &Borrower) -> io::Result<usize> {
        let complete = borrower.is_over() && (self.theirs.get().is_some() || self.bell.is_none());
        let read = if complete {
            // Nothing more is handed over, and what is all the same is closed by the system.
            rustix::io::read(socket, spare_capacity(buffer))?
        } else {
            descriptors::receive(socket, buffer, |descriptors| match descriptors.len() {
                TO_BORROW => borrower.take(descriptors),
                TO_LISTEN => self.take(descriptors),
                _ => Err(invalid("other descriptors were handed over than there are to hand over")),
            })?
        };
        let received = self.received.load(Relaxed) + read as u64;
        let start = self.theirs().and_then(|theirs| theirs.inlet.cursors().start());
        let beyond = start.map_or(0, |start| received.saturating_sub(start));
        if beyond > 0 {
            let fillers = beyond.saturating_add(self.fillers.load(Relaxed).into());
            if fillers > MOST_FILLERS || beyond > read as u64 {
                return Err(invalid("bytes came through a socket whose stream goes on in a ring"));
            }
            self.fillers.store(fillers as u32, Relaxed);
            buffer.truncate(buffer.len() - beyond as usize);
        }
        self.received.store(received - beyond, Relaxed);
        Ok(read)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
