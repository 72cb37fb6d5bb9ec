//! One link and the two tasks that serve it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    Link, Timeout,
    deliver::Inbox,
    exchange::Exchange,
    outbox::Gather,
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

/// How long a node that is turned away has to take the reason.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A link and what it is to carry.
#[derive(Debug)]
pub(crate) struct Wired {
    id: LinkId,
    link: Arc<dyn Link>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Frames of the handshake.
    frames: VecDeque<Bytes>,
    session: Option<Arc<Session>>,
    closing: bool,
    writer: Option<Waker>,
}

/// What the writing task does with what it has gathered.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Writes it, and asks for more.
    More,
    /// Writes it, and closes the link.
    Close,
    /// Nothing: the link carries nothing any more.
    Leave,
}

impl Wired {
    pub(crate) fn new(id: LinkId, link: Arc<dyn Link>) -> Self {
        Self { id, link, state: Mutex::default() }
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
    pub(crate) fn establish(&self, session: Arc<Session>) {
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
        let mut slices: VecDeque<Bytes> = VecDeque::new();
        let mut gathered = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| self.poll_gather(&mut gathered, cx)).await;
            slices.extend(gathered.drain(..).filter(|slice: &Bytes| !slice.is_empty()));
            let written = match next {
                Next::More => self.write_all(&mut slices).await,
                // Who is turned away has a moment to take the reason.
                Next::Close => {
                    let writing = Box::pin(self.write_all(&mut slices));
                    Timeout::new(LAST_WORDS, writing).await;
                    Err(io::ErrorKind::ConnectionAborted.into())
                }
                // Another link has taken over. The other end closes this one when it knows.
                Next::Leave => return,
            };
            if written.is_err() {
                self.link.close();
                return;
            }
        }
    }

    /// What to write next.
    fn poll_gather(&self, slices: &mut Vec<Bytes>, cx: &Context<'_>) -> Poll<Next> {
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
        match session.gather(self.id, slices, Some(cx)) {
            Gather::Ready => Poll::Ready(Next::More),
            Gather::Idle => Poll::Pending,
            Gather::Stop => Poll::Ready(Next::Leave),
        }
    }

    async fn write_all(&self, slices: &mut VecDeque<Bytes>) -> io::Result<()> {
        while !slices.is_empty() {
            let mut written = {
                let mut vectored = [IoSlice::new(&[]); SLICES];
                let count = slices.len().min(SLICES);
                for (vector, slice) in vectored.iter_mut().zip(slices.iter()) {
                    *vector = IoSlice::new(slice);
                }
                match self.link.try_write(&vectored[..count]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        std::future::poll_fn(|cx| self.link.poll_writable(cx)).await?;
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            };
            while let Some(first) = slices.front_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                slices.pop_front();
            }
        }
        Ok(())
    }

    /// Reads until the link ends, and says why it did.
    pub(crate) async fn read(self: Arc<Self>, exchange: &Arc<Exchange>) -> LinkEnd {
        let mut buffer = BytesMut::new();
        let mut inbox = Inbox { link: self.id, session: None };
        let mut room = ROOM;
        let mut lacking = 0;
        loop {
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
    }
}
