//! What is read from a link, and handed on as whole frames.

use std::{io, sync::Arc, time::Instant};

use bytes::Bytes;

use super::spare::Spare;
use crate::{
    Link,
    deliver::Inbox,
    exchange::Exchange,
    protocol::{LinkEnd, LinkId},
    session::Session,
};

/// The room in front of a read, in bytes: what a socket holds at once.
const ROOM: usize = 64 * 1024;

/// The largest room: as much as is read at once when messages come fast.
const MOST_ROOM: usize = 256 * 1024;

/// Below this much room a new buffer is begun, in bytes. Behind a frame that is larger than [`ROOM`] there is no more than
/// that: such a frame is read into a buffer of its own, and what is read of the next one has to be copied there.
const LEAST_ROOM: usize = 8 * 1024;

/// Up to this many bytes are copied out of the buffer, which then serves on. Beyond that the messages are slices of the
/// buffer itself.
const COPIED: usize = 4 * 1024;

/// The end of a link that is read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The start of a frame, and room.
    data: Vec<u8>,
    /// How many bytes the first frame has, as far as that is known.
    needed: usize,
    room: usize,
    inbox: Inbox,
    spare: Arc<Spare>,
}

/// What one read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing: there was nothing to read.
    Nothing,
    /// All there was.
    All,
    /// As much as there was room for.
    Part,
}

impl Reading {
    pub(super) fn new(link: LinkId, carrier: Arc<dyn Link>) -> Self {
        let inbox = Inbox { link, session: None, carrier: Some(carrier) };
        Self { data: Vec::new(), needed: 0, room: ROOM, inbox, spare: Arc::default() }
    }

    /// Reads once, and hands on the frames that are whole. `session` tells what the link carries by now.
    pub(super) fn read(
        &mut self,
        link: &dyn Link,
        exchange: &Arc<Exchange>,
        session: impl Fn() -> Option<Arc<Session>>,
    ) -> Result<Read, LinkEnd> {
        let lacking = self.needed.saturating_sub(self.data.len());
        if self.data.capacity() - self.data.len() < if lacking > 0 { lacking } else { LEAST_ROOM } {
            self.begin_buffer(lacking);
        }
        let spare = self.data.capacity() - self.data.len();
        let read = match link.try_read(&mut self.data) {
            Ok(0) => return Err(LinkEnd::Lost),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Read::Nothing),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Read::Part),
            Err(_) => return Err(LinkEnd::Lost),
        };
        if lacking > ROOM {
            self.room = LEAST_ROOM;
        } else if read >= spare {
            self.room = (2 * self.room).min(MOST_ROOM);
        } else if read < self.room / 4 {
            self.room = ROOM;
        }
        if self.data.len() >= self.needed {
            self.hand_on(exchange, session)?;
        }
        Ok(if read >= spare { Read::Part } else { Read::All })
    }

    /// Room for what the first frame lacks, behind what there is of it.
    fn begin_buffer(&mut self, lacking: usize) {
        let mut data = self.buffer(self.data.len(), lacking);
        data.extend_from_slice(&self.data);
        self.data = data;
    }

    /// A buffer for so many bytes, with room behind them.
    fn buffer(&self, filled: usize, lacking: usize) -> Vec<u8> {
        let room = if lacking > ROOM { lacking } else { self.room.max(lacking) };
        self.spare.take(filled + room)
    }

    fn hand_on(
        &mut self,
        exchange: &Arc<Exchange>,
        session: impl Fn() -> Option<Arc<Session>>,
    ) -> Result<(), LinkEnd> {
        let copied = self.data.len() <= COPIED;
        let mut block = match copied {
            true => Bytes::copy_from_slice(&self.data),
            false => self.spare.lend(std::mem::take(&mut self.data)),
        };
        let now = Instant::now();
        let lacking = loop {
            if self.inbox.session.is_none() {
                self.inbox.session = session();
            }
            // After a frame of the handshake there may be a session.
            if let Some(lacking) = exchange.ingest(&self.inbox, &mut block, now)? {
                break lacking;
            }
        };
        self.needed = if lacking > 0 { block.len() + lacking } else { 0 };
        self.data.clear();
        if !block.is_empty() {
            if !copied {
                self.data = self.buffer(block.len(), lacking);
            }
            self.data.extend_from_slice(&block);
        }
        Ok(())
    }
}
