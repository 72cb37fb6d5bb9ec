//! One link and the two tasks that serve it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    Link, Timeout,
    deliver::Inbox,
    exchange::Exchange,
    outbox::{Flush, Gather},
    protocol::{LinkEnd, LinkId},
    session::Session,
};

/// The room in front of a read, in bytes: what a socket holds at once.
const ROOM: usize = 64 * 1024;

/// Below this much room a new buffer is begun, in bytes.
const LEAST_ROOM: usize = 8 * 1024;

/// The largest room: as much as is read at once when messages come fast.
const MOST_ROOM: usize = 256 * 1024;

/// How many slices are written by one call; the operating systems take at least this many.
const SLICES: usize = 64;

/// Messages that come closer to each other than this come fast. Waking the writing task takes about as long.
const FAST: Duration = Duration::from_micros(30);

/// How many batches are written or read before others who are served by the same thread have their turn.
const TURN: usize = 8;

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
    /// When a thread other than the writing task's last wrote, in nanoseconds since `made`.
    flushed: AtomicU64,
    made: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// Frames of the handshake.
    frames: VecDeque<Bytes>,
    session: Option<Arc<Session>>,
    closing: bool,
    writer: Option<Waker>,
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
        let now = self.made.elapsed().as_nanos() as u64;
        let last = self.flushed.load(Relaxed);
        if now.saturating_sub(last) < FAST.as_nanos() as u64 {
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
        self.flushed.store(now, Relaxed);
        let gathered = session.gather(self.id, &|payload| self.link.lend(payload), &mut writing.slices, None);
        let written = gathered == Gather::Ready && self.write_some(&mut writing.slices).is_ok();
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
        Self {
            id,
            link,
            state: Mutex::default(),
            writing: Mutex::default(),
            flushed: AtomicU64::new(0),
            made: Instant::now(),
        }
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
                    std::task::ready!(self.link.poll_writable(cx))?;
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

    /// Reads until the link ends, and says why it did.
    pub(crate) async fn read(self: Arc<Self>, exchange: &Arc<Exchange>) -> LinkEnd {
        let mut buffer = BytesMut::new();
        let mut inbox = Inbox { link: self.id, session: None, carrier: Some(self.link.clone()) };
        let mut room = ROOM;
        let mut lacking = 0;
        for turn in 1.. {
            if turn % TURN == 0 {
                tokio::task::yield_now().await;
            }
            // A buffer is filled before there is a new one: a message that waits keeps alive the whole buffer that it
            // was read into, and that must not be more than a few times its size.
            if buffer.capacity() - buffer.len() < lacking.max(LEAST_ROOM) {
                buffer.reserve(room.max(lacking));
            }
            let spare = buffer.capacity() - buffer.len();
            match self.link.try_read(&mut buffer) {
                Ok(0) => return LinkEnd::Lost,
                Ok(read) if read >= spare => room = (2 * room).min(MOST_ROOM),
                Ok(read) if read < room / 4 => room = ROOM,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match std::future::poll_fn(|cx| self.link.poll_readable(cx)).await {
                        Ok(()) => continue,
                        Err(_) => return LinkEnd::Lost,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return LinkEnd::Lost,
            }
            let now = Instant::now();
            loop {
                if inbox.session.is_none() {
                    inbox.session = self.lock().session.clone();
                }
                match exchange.ingest(&inbox, &mut buffer, now) {
                    Ok(Some(lacks)) => {
                        lacking = lacks;
                        break;
                    }
                    // A frame of the handshake was taken: there may be a session now.
                    Ok(None) => {}
                    Err(end) => {
                        if let LinkEnd::Protocol(error) = &end {
                            tracing::debug!(%error, remote = self.link.remote(), "closed a link");
                        }
                        return end;
                    }
                }
            }
        }
        LinkEnd::Lost
    }
}
