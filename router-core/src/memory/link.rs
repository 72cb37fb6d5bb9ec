use std::{
    any::Any,
    fmt,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;

use super::Fault;
use crate::{Link, Readiness, Wakers};

/// How many bytes are on their way in one direction at most, as in a socket's buffer.
const CAPACITY: usize = 256 * 1024;

/// Both directions of a link, and its faults.
pub(super) struct Ends {
    state: Mutex<Both>,
}

#[derive(Default)]
struct Both {
    /// From the dialling end, and from the accepting one.
    pipes: [Pipe; 2],
    cut: bool,
    /// How many bytes may still pass before it breaks.
    left: Option<u64>,
}

#[derive(Default)]
struct Pipe {
    buffer: BytesMut,
    reader: Option<Waker>,
    writer: Option<Waker>,
    silent: bool,
}

/// Makes a link: its both ends together, the dialling one, the accepting one.
pub(super) fn connect(address: String, fault: Fault) -> (Arc<Ends>, Arc<dyn Link>, Arc<dyn Link>) {
    let mut both = Both::default();
    match fault {
        Fault::CutAfter(bytes) => both.left = Some(bytes),
        Fault::Silence => both.pipes.iter_mut().for_each(|pipe| pipe.silent = true),
        Fault::None | Fault::Refuse => {}
    }
    let ends = Arc::new(Ends { state: Mutex::new(both) });
    let here = Arc::new(End { ends: ends.clone(), outgoing: 0, remote: address.clone() });
    let there = Arc::new(End { ends: ends.clone(), outgoing: 1, remote: format!("who dialled {address}") });
    (ends, here, there)
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, Both> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.lock().cut
    }

    fn cut(&self) {
        let mut both = self.lock();
        both.cut = true;
        wake(both);
    }
}

/// Wakes everyone who waits for either pipe.
fn wake(mut both: MutexGuard<'_, Both>) {
    let wakers = both.pipes.iter_mut().flat_map(|pipe| [pipe.reader.take(), pipe.writer.take()]);
    let wakers: Vec<Waker> = wakers.flatten().collect();
    drop(both);
    wakers.into_iter().for_each(Waker::wake);
}

struct End {
    ends: Arc<Ends>,
    /// Which of the pipes this end writes to.
    outgoing: usize,
    remote: String,
}

impl Link for End {
    fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut both = self.ends.lock();
        let cut = both.cut;
        let pipe = &mut both.pipes[1 - self.outgoing];
        if pipe.buffer.is_empty() {
            return if cut { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let room = buffer.capacity() - buffer.len();
        let read = pipe.buffer.split_to(pipe.buffer.len().min(room.max(64)));
        let writer = pipe.writer.take();
        drop(both);
        buffer.extend_from_slice(&read);
        if let Some(writer) = writer {
            writer.wake();
        }
        Ok(read.len())
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut both = self.ends.lock();
        if both.cut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let left = both.left.unwrap_or(u64::MAX);
        let pipe = &mut both.pipes[self.outgoing];
        let room = (CAPACITY - pipe.buffer.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut written = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(room - written)];
            if !pipe.silent {
                pipe.buffer.extend_from_slice(part);
            }
            written += part.len();
        }
        let reader = pipe.reader.take();
        if let Some(left) = &mut both.left {
            *left -= written as u64;
            if *left == 0 {
                both.cut = true;
                wake(both);
                return if written == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(written) };
            }
        }
        drop(both);
        if let Some(reader) = reader {
            reader.wake();
        }
        if written == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Wakers(self)
    }

    fn close(&self) {
        self.ends.cut();
    }

    fn remote(&self) -> String {
        self.remote.clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Wakers for End {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut both = self.ends.lock();
        let cut = both.cut;
        let pipe = &mut both.pipes[1 - self.outgoing];
        if cut || !pipe.buffer.is_empty() {
            return Poll::Ready(());
        }
        pipe.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut both = self.ends.lock();
        let cut = both.cut;
        let pipe = &mut both.pipes[self.outgoing];
        if cut || pipe.buffer.len() < CAPACITY {
            return Poll::Ready(());
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.ends.cut();
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory link to {}", self.remote)
    }
}

/// A link of a [`Memory`](super::Memory) network, in the hands of a test.
#[derive(Clone)]
pub struct MemoryLink {
    ends: Arc<Ends>,
}

impl MemoryLink {
    pub(super) fn new(ends: Arc<Ends>) -> Self {
        Self { ends }
    }

    /// Breaks it, now.
    pub fn cut(&self) {
        self.ends.cut();
    }

    /// Breaks it when so many more bytes have passed, in both directions together.
    pub fn cut_after(&self, bytes: u64) {
        self.ends.lock().left = Some(bytes);
    }

    /// From now on nothing that the dialling end (`false`: the accepting one) writes arrives, without an error.
    pub fn silence(&self, from_dialling: bool) {
        let pipe = usize::from(!from_dialling);
        self.ends.lock().pipes[pipe].silent = true;
    }
}

impl fmt::Debug for MemoryLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLink").finish_non_exhaustive()
    }
}
