use std::{
    any::Any,
    io::{self, IoSlice, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use rustix::net::{Shutdown, shutdown, sockopt};
use tidings_router_core::{Link, Readiness, Ring, Shareable, Token};
use tokio::net::UnixStream;

use crate::shm::{Borrower, Lender, Rings, SharedPool, Wanted};

/// What a socket may hold, in bytes, as far as the system allows it.
///
/// A full buffer costs a wake-up of the writer each time that the reader has made room. Twice the batch that
/// a router writes at once lets one be read while the next is written; much more would only hide from the
/// router how far behind the reader is.
const BUFFER: usize = 512 * 1024;

/// One end of a connected unix socket.
#[derive(Debug)]
pub(crate) struct IpcLink {
    stream: std::os::unix::net::UnixStream,
    remote: String,
    closed: AtomicBool,
    lender: Lender,
    borrower: Borrower,
    rings: Rings,
}

impl IpcLink {
    /// A link over `stream`, if the process at the other end runs as the user `uid`. What stands in `pool` is
    /// lent to it. `rings`: how its bytes go. `name` makes the name of the other end from its process id.
    pub(crate) fn new(
        stream: UnixStream,
        uid: u32,
        pool: Arc<SharedPool>,
        rings: Wanted,
        name: impl FnOnce(Option<i32>) -> String,
    ) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        if peer.uid() != uid {
            let reason = format!("the other end belongs to user {}, not to {uid}", peer.uid());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        // A refusal costs speed alone. Linux looks only at the sender's buffer, others at the receiver's too.
        let _ = sockopt::set_socket_send_buffer_size(&stream, BUFFER);
        let _ = sockopt::set_socket_recv_buffer_size(&stream, BUFFER);
        Ok(Self {
            remote: name(peer.pid()),
            // The router waits for it in its own way; it still does not block.
            stream: stream.into_std()?,
            closed: AtomicBool::new(false),
            lender: Lender::new(pool),
            borrower: Borrower::default(),
            rings: Rings::new(rings),
        })
    }

    /// After `close`, the socket would report the end of the stream, as if the other end had closed it.
    fn check_open(&self) -> io::Result<()> {
        match self.closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(io::Error::new(io::ErrorKind::NotConnected, "this end has closed the link")),
        }
    }
}

impl Link for IpcLink {
    fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.check_open()?;
        self.rings.read(&self.stream, buffer, &self.borrower)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_open()?;
        if self.rings.carries_writes() {
            if self.lender.is_due() {
                self.rings.fill(|filler| self.lender.hand_over(&self.stream, filler))?;
            }
            return self.rings.write(slices);
        }
        // The ring goes first: an end that has all it wants takes no more descriptors.
        let written = if self.rings.is_due() {
            self.rings.hand_over(&self.stream, slices)?
        } else if self.lender.is_due() {
            self.lender.hand_over(&self.stream, slices)?
        } else {
            (&self.stream).write_vectored(slices)?
        };
        self.rings.sent(written);
        Ok(written)
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.rings.bell() {
            Some(_) => Readiness::Ring(self.stream.as_fd(), self),
            None => Readiness::Socket(self.stream.as_fd()),
        }
    }

    fn trust(&self) -> bool {
        self.borrower.trust();
        self.rings.trust();
        self.lender.is_on()
    }

    fn lend(&self, payload: &Shareable) -> Option<Token> {
        self.lender.lend(payload.bytes())
    }

    fn redeem(&self, token: &Token) -> io::Result<Bytes> {
        self.borrower.redeem(token)
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            // The only failure is that the other end was faster.
            let _ = shutdown(&self.stream, Shutdown::Both);
        }
    }

    fn remote(&self) -> String {
        self.remote.clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Ring for IpcLink {
    fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.rings.bell()
    }

    fn is_watched(&self) -> bool {
        self.rings.is_watched()
    }

    fn has_more(&self) -> bool {
        self.rings.has_more()
    }

    fn rest(&self) -> bool {
        self.rings.rest()
    }

    fn carries_writes(&self) -> bool {
        self.rings.has_changed_over()
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::geteuid;

    use tidings_testkit::{
        links::{Ends, run},
        socket_links,
    };

    use super::*;

    fn pool() -> Arc<SharedPool> {
        Arc::new(SharedPool::new(1 << 20, 1))
    }

    async fn pair() -> Ends {
        let (a, b) = UnixStream::pair().unwrap();
        let uid = geteuid().as_raw();
        let link =
            |stream| Arc::new(IpcLink::new(stream, uid, pool(), Wanted::Rung, |_| "peer".into()).unwrap());
        (link(a), link(b))
    }

    socket_links!(pair);

    #[test]
    fn another_user_is_refused() {
        run(async {
            let (a, _b) = UnixStream::pair().unwrap();
            let error =
                IpcLink::new(a, geteuid().as_raw() + 1, pool(), Wanted::Rung, |_| String::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        });
    }
}
