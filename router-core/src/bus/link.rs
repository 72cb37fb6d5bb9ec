use std::{
    any::Any,
    collections::VecDeque,
    io::{self, IoSlice},
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};

use super::{
    Channel, Mailbox, Tap,
    heard::{Heard, Lost, Part},
    packet::{self, Kind},
};
use crate::{Link, Readiness, Shareable, Token, Wakers};

/// Which link of a node it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The other end.
    pub(super) remote: Mailbox,
    /// Chosen by the end that opened it.
    pub(super) number: u64,
    /// That was this end.
    pub(super) opened_here: bool,
}

impl Key {
    /// The kind of packet of this end.
    pub(super) fn kind(self, opener: Kind, other: Kind) -> Kind {
        if self.opened_here { opener } else { other }
    }

    pub(super) fn close(self, from: Mailbox) -> Bytes {
        let kind = self.kind(Kind::CloseFromOpener, Kind::CloseToOpener);
        packet::head(kind, from, [self.number, 0, 0], 0).freeze()
    }
}

/// What has arrived on a link.
#[derive(Debug, Default)]
pub(super) struct Line {
    arrivals: Mutex<Arrivals>,
    /// How many packets of bytes were sent.
    sent: AtomicU64,
    /// Up to which broadcast of this end what was or is to be sent refers to.
    refers_to: AtomicU64,
}

#[derive(Debug, Default)]
struct Arrivals {
    chunks: VecDeque<Chunk>,
    /// The broadcasts of the other end, if it was said that they arrive here.
    heard: Option<Arc<Heard>>,
    /// How many packets of bytes have arrived.
    count: u64,
    /// Nothing more arrives, and nothing more is sent.
    ended: bool,
    reader: Option<Waker>,
    /// While the bus is full.
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Chunk {
    /// Up to which broadcast of the other end the bytes refer to.
    refers_to: u64,
    bytes: Bytes,
}

impl Chunk {
    /// Whether it can be read: brokers may bring what it refers to behind it.
    fn is_ready(&self, heard: Option<&Arc<Heard>>) -> bool {
        self.refers_to == 0 || heard.is_some_and(|heard| heard.has(self.refers_to))
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next bytes in. A number that is not the next one means that a packet is lost, and the link with it.
    pub(super) fn arrived(&self, number: u64, refers_to: u64, bytes: Bytes) {
        let mut arrivals = self.lock();
        if arrivals.ended {
            return;
        }
        if number != arrivals.count {
            tracing::debug!(number, expected = arrivals.count, "packets were lost on the bus");
            return end(arrivals);
        }
        arrivals.count += 1;
        arrivals.chunks.push_back(Chunk { refers_to, bytes });
        let reader = arrivals.reader.take();
        drop(arrivals);
        reader.into_iter().for_each(Waker::wake);
    }

    /// It is about to be said that the other end's broadcasts arrive here.
    pub(super) fn hears(&self) {
        let mut arrivals = self.lock();
        // They may have arrived before, and were withdrawn meanwhile.
        let before = arrivals.heard.as_ref().map_or(0, |heard| heard.reached());
        arrivals.heard = Some(Arc::new(Heard::behind(before)));
    }

    /// A part of a broadcast of the other end came. Without what is missing the link cannot go on.
    pub(super) fn broadcast_arrived(&self, part: Part) {
        let heard = self.lock().heard.clone();
        if let Some(heard) = heard
            && heard.arrived(part) == Err(Lost)
        {
            tracing::debug!("a broadcast was lost on the bus");
            self.end();
        }
    }

    /// The link will not refer to these broadcasts of the other end.
    pub(super) fn forget(&self, numbers: RangeInclusive<u64>) {
        let heard = self.lock().heard.clone();
        heard.into_iter().for_each(|heard| heard.forget(numbers.clone()));
    }

    fn redeem(&self, number: u64) -> Option<Bytes> {
        let heard = self.lock().heard.clone();
        heard?.redeem(number)
    }

    pub(super) fn end(&self) {
        end(self.lock());
    }
}

fn end(mut arrivals: MutexGuard<'_, Arrivals>) {
    arrivals.ended = true;
    let wakers = [arrivals.reader.take(), arrivals.writer.take()];
    drop(arrivals);
    wakers.into_iter().flatten().for_each(Waker::wake);
}

/// A link through the broker.
#[derive(Debug)]
pub(super) struct BusLink {
    tap: Arc<Tap>,
    key: Key,
    line: Arc<Line>,
}

impl BusLink {
    pub(super) fn new(tap: Arc<Tap>, key: Key, line: Arc<Line>) -> Self {
        Self { tap, key, line }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }
}

impl Link for BusLink {
    fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut arrivals = self.line.lock();
        let mut room = buffer.capacity() - buffer.len();
        let before = buffer.len();
        let Arrivals { chunks, heard, ended, .. } = &mut *arrivals;
        while let Some(chunk) = chunks.front_mut().filter(|chunk| room > 0 && chunk.is_ready(heard.as_ref()))
        {
            let part = chunk.bytes.len().min(room);
            buffer.extend_from_slice(&chunk.bytes[..part]);
            chunk.bytes.advance(part);
            room -= part;
            if chunk.bytes.is_empty() {
                chunks.pop_front();
            }
        }
        match buffer.len() - before {
            0 if !*ended => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.line.lock().ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let len = all.min(self.tap.packet_limit() - packet::HEADER);
        let packet = || {
            let number = self.line.sent.fetch_add(1, Relaxed);
            let kind = self.key.kind(Kind::DataFromOpener, Kind::DataToOpener);
            let numbers = [self.key.number, number, self.line.refers_to.load(Relaxed)];
            let mut packet = packet::head(kind, self.tap.mailbox(), numbers, len);
            for slice in slices {
                let left = packet::HEADER + len - packet.len();
                packet.extend_from_slice(&slice[..slice.len().min(left)]);
            }
            packet.freeze()
        };
        if !self.tap.outgoing().try_push(Channel::Mailbox(self.key.remote), packet::HEADER + len, packet) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(len)
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Wakers(self)
    }

    fn lend(&self, payload: &Shareable) -> Option<Token> {
        let number = payload.broadcasts().find_map(|broadcast| broadcast.lend(&self.tap, self.key))?;
        self.line.refers_to.fetch_max(number, Relaxed);
        let mut token = Token([0; Token::LEN]);
        token.0[..8].copy_from_slice(&number.to_le_bytes());
        Some(token)
    }

    fn redeem(&self, token: &Token) -> io::Result<Bytes> {
        let [number, ..] = *token.0.as_chunks().0 else { unreachable!("a token has room for a number") };
        let payload = self.line.redeem(u64::from_le_bytes(number));
        payload.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no such broadcast has come"))
    }

    fn close(&self) {
        self.line.end();
        self.tap.hang_up(self.key);
    }

    fn remote(&self) -> String {
        self.key.remote.address(self.tap.scheme()).to_string()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Wakers for BusLink {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut arrivals = self.line.lock();
        let poll = match (arrivals.chunks.front(), &arrivals.heard) {
            _ if arrivals.ended => Poll::Ready(()),
            (Some(chunk), Some(heard)) => heard.poll_has(chunk.refers_to, cx),
            (Some(chunk), None) if chunk.refers_to == 0 => Poll::Ready(()),
            (Some(_) | None, _) => Poll::Pending,
        };
        if poll.is_pending() {
            arrivals.reader = Some(cx.waker().clone());
        }
        poll
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut arrivals = self.line.lock();
        if arrivals.ended {
            return Poll::Ready(());
        }
        arrivals.writer = Some(cx.waker().clone());
        drop(arrivals);
        self.tap.outgoing().poll_room(cx)
    }
}

impl Drop for BusLink {
    fn drop(&mut self) {
        self.close();
    }
}
