use std::{
    any::Any,
    io::{self, IoSlice},
    sync::Arc,
    task::{Context, Poll},
};

use tidings_router_core::{Link, Readiness, Wakers};

use crate::{
    engine::{Command, Engine, LinkId},
    line::Line,
};

/// One end of a link; its socket is with the engine.
#[derive(Debug)]
pub(crate) struct ZmqLink {
    engine: Arc<Engine>,
    id: LinkId,
    line: Arc<Line>,
    remote: String,
}

impl ZmqLink {
    pub(crate) fn new(engine: Arc<Engine>, id: LinkId, line: Arc<Line>, remote: String) -> Self {
        Self { engine, id, line, remote }
    }

    fn end(&self, flush: bool) {
        self.line.end();
        self.engine.command(Command::HangUp { link: self.id, flush });
    }

    fn send(&self, packet: Vec<u8>) {
        self.engine.command(Command::Send { link: self.id, packet });
    }
}

impl Link for ZmqLink {
    fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let (read, told) = self.line.read(buffer)?;
        told.into_iter().for_each(|packet| self.send(packet));
        Ok(read)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Ok(0);
        }
        let (written, packet) = self.line.write(slices)?;
        self.send(packet);
        Ok(written)
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Wakers(self)
    }

    fn close(&self) {
        self.end(true);
    }

    fn abort(&self) {
        self.end(false);
    }

    fn remote(&self) -> String {
        self.remote.clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Wakers for ZmqLink {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.line.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.line.poll_writable(cx)
    }
}

impl Drop for ZmqLink {
    fn drop(&mut self) {
        self.end(true);
    }
}
