//! One link: who writes to it, and what it takes to read from it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};

use super::reading::{Read, Reading};
use crate::{
    Link, Readiness, Timeout, Wakers,
    exchange::Exchange,
    outbox::{Flush, Gather},
    pace,
    protocol::{LinkEnd, LinkId},
    reactor::Seat,
    session::Session,
};

/// How many slices are written by one call; the operating systems take at least this many.
const SLICES: usize = 64;

/// How many batches are written or read before others who are served by the same thread have their turn.
pub(super) const TURN: usize = 8;

/// How long a node that is turned away has to take the reason.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A link and what it is to carry.
#[derive(Debug)]
pub(crate) struct Wired {
    id: LinkId,
    link: Arc<dyn Link>,
    state: Mutex<State>,
    /// Held by the one thread that writes.
    writing: Mutex<Writing>,
    reading: Mutex<Reading>,
    /// Where it is served, if it has a socket.
    seat: Option<Seat>,
    blocked: Mutex<Blocked>,
}

#[derive(Debug, Default)]
struct State {
    /// Frames of the handshake.
    frames: VecDeque<Bytes>,
    session: Option<Arc<Session>>,
    closing: bool,
    writer: Option<Waker>,
}

/// The writing task, while the socket takes nothing.
#[derive(Debug, Default)]
struct Blocked {
    waker: Option<Waker>,
    /// It takes something again.
    over: bool,
}

/// How far writing has come.
#[derive(Debug, Default)]
struct Writing {
    slices: VecDeque<Bytes>,
    /// Nothing follows the slices: then the link is closed.
    last: bool,
}

impl Flush for Wired {
    /// Writes what is queued, on the thread that has queued it: nobody has to wake up for a message that comes alone.
    ///
    /// When they come fast it leaves them to the writing task, which writes many at once.
    fn flush(&self) -> bool {
        let awake = self.writes_to_who_is_awake();
        if !pace::is_slow(if awake { pace::FAST_TO_MEMORY } else { pace::FAST }) {
            return false;
        }
        let Ok(mut writing) = self.writing.try_lock() else { return false };
        let session = {
            let state = self.lock();
            if state.closing || !state.frames.is_empty() {
                return false;
            }
            state.session.clone()
        };
        let Some(session) = session.filter(|_| writing.slices.is_empty()) else { return false };
        let gathered = session.gather(self.id, &|payload| self.link.lend(payload), &mut writing.slices, None);
        let written = gathered == Gather::Ready && self.write_some(&mut writing.slices).is_ok();
        if !awake {
            pace::wrote();
        }
        // What others have queued meanwhile is left to the writing task.
        written && writing.slices.is_empty() && session.outbox.is_drained()
    }
}

/// What the writing task does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Writes, and asks for more.
    More,
    /// Writes its last words, and closes the link.
    Close,
    /// Nothing: the link carries nothing any more.
    Leave,
}

impl Wired {
    pub(crate) fn new(id: LinkId, link: Arc<dyn Link>) -> Self {
        let seat = match link.readiness() {
            Readiness::Socket(_) => Some(Seat::new(false)),
            Readiness::Ring(_, ring) => Some(Seat::new(ring.is_watched())),
            Readiness::Wakers(_) => None,
        };
        Self {
            id,
            reading: Mutex::new(Reading::new(id, link.clone())),
            link,
            seat,
            blocked: Mutex::default(),
            state: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> LinkId {
        self.id
    }

    /// Where it is served, if it has a socket.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.seat
    }

    pub(crate) fn link(&self) -> &dyn Link {
        &*self.link
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, update: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        update(&mut state);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Has a frame of the handshake written.
    pub(crate) fn send(&self, frame: Bytes) {
        self.update(|state| state.frames.push_back(frame));
    }

    /// Has the link carry a session.
    pub(crate) fn establish(self: &Arc<Self>, session: Arc<Session>) {
        let flush: Arc<dyn Flush> = self.clone();
        session.outbox.flushed_by(&flush, self.link.trust());
        self.update(|state| state.session = Some(session));
    }

    /// Has the link closed: one that carries a session at once, another one when its frames are written.
    pub(crate) fn close(&self) {
        let carries = self.lock().session.is_some();
        if carries {
            self.link.close();
        }
        self.update(|state| state.closing = true);
    }

    /// Has the link closed at once, whatever it still has to write.
    pub(crate) fn abort(&self) {
        self.link.abort();
        self.update(|state| state.closing = true);
    }

    /// Writes until the link is closed.
    pub(crate) async fn write(self: Arc<Self>) {
        let mut end = std::future::poll_fn(|cx| self.poll_write(cx)).await;
        if let Ok(Next::Close) = end {
            // Who is turned away has a moment to take the reason.
            let writing = Box::pin(std::future::poll_fn(|cx| self.poll_write(cx)));
            end = Timeout::new(LAST_WORDS, writing).await.unwrap_or(Ok(Next::Close));
        }
        // A link that another one has taken over from is closed by the other end when it knows.
        if !matches!(end, Ok(Next::Leave)) {
            self.link.close();
        }
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all there is, and waits for more. Ready when there are only last words, and when they are written.
    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<Next>> {
        for _ in 0..TURN {
            let mut writing = self.writing();
            if writing.slices.is_empty() {
                if writing.last {
                    return Poll::Ready(Ok(Next::Close));
                }
                match std::task::ready!(self.poll_gather(&mut writing.slices, cx)) {
                    Next::More => {}
                    Next::Close => {
                        writing.last = true;
                        return Poll::Ready(Ok(Next::Close));
                    }
                    Next::Leave => return Poll::Ready(Ok(Next::Leave)),
                }
            }
            match self.write_some(&mut writing.slices) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::task::ready!(self.poll_writable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // Others who are served by this thread have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What to write next.
    fn poll_gather(&self, slices: &mut VecDeque<Bytes>, cx: &Context<'_>) -> Poll<Next> {
        let mut state = self.lock();
        state.writer = Some(cx.waker().clone());
        if !state.frames.is_empty() {
            slices.extend(state.frames.drain(..));
            return Poll::Ready(if state.closing { Next::Close } else { Next::More });
        }
        if state.closing {
            return Poll::Ready(Next::Close);
        }
        let Some(session) = state.session.clone() else { return Poll::Pending };
        drop(state);
        match session.gather(self.id, &|payload| self.link.lend(payload), slices, Some(cx)) {
            Gather::Ready => Poll::Ready(Next::More),
            Gather::Idle => Poll::Pending,
            Gather::Stop => Poll::Ready(Next::Leave),
        }
    }

    /// Writes what the link takes at once of the slices, by one call.
    fn write_some(&self, slices: &mut VecDeque<Bytes>) -> io::Result<()> {
        let mut vectored = [IoSlice::new(&[]); SLICES];
        let count = slices.len().min(SLICES);
        for (vector, slice) in vectored.iter_mut().zip(slices.iter()) {
            *vector = IoSlice::new(slice);
        }
        let mut written = match self.link.try_write(&vectored[..count]) {
            Ok(0) if count > 0 => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            written => written?,
        };
        while let Some(first) = slices.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            slices.pop_front();
        }
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self.link.readiness(), self.seat) {
            (Readiness::Wakers(wakers), _) => wakers.poll_writable(cx).map(Ok),
            (Readiness::Socket(socket) | Readiness::Ring(socket, _), Some(seat)) => {
                let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
                if std::mem::take(&mut blocked.over) {
                    return Poll::Ready(Ok(()));
                }
                blocked.waker = Some(cx.waker().clone());
                drop(blocked);
                if !self.writes_to_memory() {
                    seat.want_writable(socket)?;
                }
                Poll::Pending
            }
            (Readiness::Socket(_) | Readiness::Ring(..), None) => {
                Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
            }
        }
    }

    /// What is written goes through memory: then the bell tells when there is room.
    fn writes_to_memory(&self) -> bool {
        matches!(self.link.readiness(), Readiness::Ring(_, ring) if ring.carries_writes())
    }

    /// The same, and most likely nobody has to be woken: this end looks again and again, so the other one does so too.
    fn writes_to_who_is_awake(&self) -> bool {
        matches!(self.link.readiness(), Readiness::Ring(_, ring) if ring.carries_writes() && ring.is_watched())
    }

    /// The link takes something again.
    pub(crate) fn unblock(&self) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.over = true;
        let waker = blocked.waker.take();
        drop(blocked);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Reads once, and hands on what has come. Fails when the link has ended.
    pub(crate) fn read_some(&self, exchange: &Arc<Exchange>) -> Result<Read, LinkEnd> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let read = reading.read(&*self.link, exchange, || self.lock().session.clone());
        if let Err(LinkEnd::Protocol(error)) = &read {
            tracing::debug!(%error, remote = self.link.remote(), "closed a link");
        }
        read
    }

    /// Reads from a link that wakes who waits, until it ends, and says why it did.
    pub(crate) async fn read(&self, wakers: &dyn Wakers, exchange: &Arc<Exchange>) -> LinkEnd {
        for turn in 1.. {
            if turn % TURN == 0 {
                tokio::task::yield_now().await;
            }
            match self.read_some(exchange) {
                Ok(Read::Nothing) => std::future::poll_fn(|cx| wakers.poll_readable(cx)).await,
                Ok(Read::All | Read::Part) => {}
                Err(end) => return end,
            }
        }
        LinkEnd::Lost
    }
}
