//! What one end of a link has received and may send.
//!
//! **No pipe of ZeroMQ ever fills.** At a high-water mark ZeroMQ drops, blocks, or holds up everyone on the socket,
//! depending on its type. So each end sends at most a window of bytes beyond what the other end has read, as it says
//! itself, and an end that is stuck stops its own link alone.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::packet::{self, HEADER, Kind, ROOM};

/// How much may be on its way in one direction of a link: as the buffers of a TCP connection over a long distance.
pub(crate) const WINDOW: u64 = 4 << 20;

/// What a packet costs beside its bytes, so that many short ones do not need more memory than a few long ones.
const OVERHEAD: u64 = 64;

/// How much is read before the other end is told: seldom enough to cost nothing, early enough that it need not stop.
const TELL_AFTER: u64 = WINDOW / 4;

/// What a packet with so many bytes counts for in the window.
pub(crate) fn cost(bytes: usize) -> u64 {
    bytes as u64 + OVERHEAD
}

/// One end of a link.
#[derive(Debug, Default)]
pub(crate) struct Line {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    /// How many packets of bytes have come, and what they and those that were read cost.
    arrived: u64,
    arrived_cost: u64,
    read_cost: u64,
    /// What the other end was told of `read_cost`.
    told: u64,
    /// How many packets of bytes were sent, what they cost, and how much of that the other end has read.
    sent: u64,
    sent_cost: u64,
    acknowledged: u64,
    /// Nothing more arrives, and nothing more is sent.
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A packet of bytes, as it came, and how much of it was read.
#[derive(Debug)]
struct Chunk {
    packet: zmq::Message,
    at: usize,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next packet of bytes in. False if the other end does not keep to the rules, and the link has to end: a
    /// number is missing, or more comes than the window allows.
    pub(crate) fn arrived(&self, number: u64, packet: zmq::Message) -> bool {
        let mut state = self.lock();
        if state.ended {
            return true;
        }
        let cost = cost(packet.len() - HEADER);
        if number != state.arrived || state.arrived_cost - state.read_cost >= WINDOW {
            return false;
        }
        state.arrived += 1;
        state.arrived_cost += cost;
        state.chunks.push_back(Chunk { packet, at: HEADER });
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        true
    }

    /// The other end has read so much. False if that cannot be.
    pub(crate) fn acknowledged(&self, cost: u64) -> bool {
        let mut state = self.lock();
        if cost < state.acknowledged || cost > state.sent_cost {
            return false;
        }
        state.acknowledged = cost;
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        true
    }

    /// Nothing more arrives, and nothing more is sent. What has arrived can still be read.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Reads to the end of `buffer`; with it comes the packet that tells the other end how much was read, when it is
    /// time for one.
    pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, Option<Vec<u8>>)> {
        let mut state = self.lock();
        let before = buffer.len();
        let mut room = buffer.capacity() - before;
        while let Some(chunk) = state.chunks.front_mut().filter(|_| room > 0) {
            let part = (chunk.packet.len() - chunk.at).min(room);
            buffer.extend_from_slice(&chunk.packet[chunk.at..chunk.at + part]);
            chunk.at += part;
            room -= part;
            if chunk.at == chunk.packet.len() {
                state.read_cost += cost(chunk_len(state.chunks.pop_front().as_ref()));
            }
        }
        let read = buffer.len() - before;
        if read == 0 && !state.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if state.ended || state.read_cost - state.told < TELL_AFTER {
            return Ok((read, None));
        }
        state.told = state.read_cost;
        Ok((read, Some(packet::head(Kind::Read, state.told, 0))))
    }

    /// Makes a packet of the start of `slices`, and says how much of them stands in it.
    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<(usize, Vec<u8>)> {
        let len = slices.iter().map(|slice| slice.len()).sum::<usize>().min(ROOM);
        let mut state = self.lock();
        if state.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if state.sent_cost - state.acknowledged >= WINDOW {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut packet = packet::head(Kind::Data, state.sent, len);
        state.sent += 1;
        state.sent_cost += cost(len);
        drop(state);
        for slice in slices {
            let left = HEADER + len - packet.len();
            packet.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        Ok((len, packet))
    }

    pub(crate) fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.ended || !state.chunks.is_empty() {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_writable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.ended || state.sent_cost - state.acknowledged < WINDOW {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn chunk_len(chunk: Option<&Chunk>) -> usize {
    chunk.map_or(0, |chunk| chunk.packet.len() - HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(line: &Line, bytes: &[u8]) -> io::Result<(usize, Vec<u8>)> {
        line.write(&[IoSlice::new(bytes)])
    }

    fn data(number: u64) -> Vec<u8> {
        let mut packet = packet::head(Kind::Data, number, 1);
        packet.push(1);
        packet
    }

    /// Sends until the window is full, and returns how much.
    fn fill(from: &Line, to: &Line) -> usize {
        let mut sent = 0;
        for number in 0.. {
            match write(from, &[7; ROOM]) {
                Ok((len, packet)) => {
                    sent += len;
                    assert!(to.arrived(number, packet.into()));
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        sent
    }

    #[test]
    fn who_is_not_read_stops_and_goes_on_when_it_is() {
        let (from, to) = (Line::default(), Line::default());
        let sent = fill(&from, &to);
        assert!(from.poll_writable(&Context::from_waker(Waker::noop())).is_pending());
        let (read, told) = to.read(&mut Vec::with_capacity(sent)).unwrap();
        assert_eq!(read, sent);
        let (kind, number) = packet::decode(&told.unwrap()).unwrap();
        assert_eq!(kind, Kind::Read);
        assert!(from.acknowledged(number));
        assert!(from.poll_writable(&Context::from_waker(Waker::noop())).is_ready());
        assert!(write(&from, b"x").is_ok());
    }

    #[test]
    fn who_sends_beyond_the_window_or_skips_a_number_breaks_the_rules() {
        let (from, to) = (Line::default(), Line::default());
        fill(&from, &to);
        let next = to.lock().arrived;
        assert!(!to.arrived(next, data(next).into()));
        let fresh = Line::default();
        assert!(!fresh.arrived(1, data(1).into()));
    }

    #[test]
    fn what_was_not_sent_cannot_have_been_read() {
        let line = Line::default();
        let (len, _) = write(&line, b"x").unwrap();
        assert!(!line.acknowledged(cost(len) + 1));
        assert!(line.acknowledged(cost(len)));
        assert!(!line.acknowledged(0));
    }

    #[test]
    fn what_had_come_is_read_before_the_end() {
        let (from, to) = (Line::default(), Line::default());
        let (_, packet) = write(&from, b"last").unwrap();
        assert!(to.arrived(0, packet.into()));
        to.end();
        let mut buffer = Vec::with_capacity(64);
        assert_eq!(to.read(&mut buffer).unwrap().0, 4);
        assert_eq!(to.read(&mut buffer).unwrap().0, 0);
    }
}
