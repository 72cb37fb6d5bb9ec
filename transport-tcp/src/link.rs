use std::{
    any::Any,
    io::{self, IoSlice, Write},
    net::Shutdown,
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::buffer::spare_capacity;
use socket2::SockRef;
use tidings_router_core::{Link, Readiness};
use tokio::net::TcpStream;

/// One end of a TCP connection. The sizes of its buffers are left to the system, which fits them to the
/// distance.
#[derive(Debug)]
pub(crate) struct TcpLink {
    stream: std::net::TcpStream,
    remote: String,
    closed: AtomicBool,
}

impl TcpLink {
    /// A link over `stream`, whose other end is called `remote`.
    pub(crate) fn new(stream: TcpStream, user_timeout: Duration, remote: String) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        break_after(&stream, user_timeout)?;
        // The router waits for it in its own way; it still does not block.
        let stream = stream.into_std()?;
        Ok(Self { stream, remote, closed: AtomicBool::new(false) })
    }

    /// After `close`, the socket would report the end of the stream, as if the other end had closed it.
    fn check_open(&self) -> io::Result<()> {
        match self.closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(io::Error::new(io::ErrorKind::NotConnected, "this end has closed the link")),
        }
    }
}

/// Has the system break the connection when what was written is not acknowledged for so long. It would
/// otherwise keep what it holds for a dead peer for a quarter of an hour, long after the heartbeat has given
/// the link up.
#[cfg(target_os = "linux")]
fn break_after(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(timeout))
}

/// Only Linux can do this; elsewhere the heartbeat notices alone.
#[cfg(not(target_os = "linux"))]
fn break_after(_stream: &TcpStream, _timeout: Duration) -> io::Result<()> {
    Ok(())
}

impl Link for TcpLink {
    fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.check_open()?;
        Ok(rustix::io::read(&self.stream, spare_capacity(buffer))?)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_open()?;
        (&self.stream).write_vectored(slices)
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Socket(self.stream.as_fd())
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            // The only failure is that the other end was faster.
            let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
        }
    }

    fn abort(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let socket = SockRef::from(&self.stream);
            // With this, dropping the socket resets the connection, whatever was not acknowledged.
            let _ = socket.set_linger(Some(Duration::ZERO));
            // Wakes who reads here, and says nothing to the other end.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }

    fn remote(&self) -> String {
        self.remote.clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidings_testkit::{
        links::{Ends, readable, run, write},
        socket_links,
    };
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Arc<TcpLink>, Arc<TcpLink>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialed = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let link = |stream| Arc::new(TcpLink::new(stream, Duration::from_secs(8), "peer".into()).unwrap());
        (link(dialed), link(accepted))
    }

    async fn ends() -> Ends {
        let (a, b) = pair().await;
        (a, b)
    }

    socket_links!(ends);

    #[test]
    fn aborting_resets_the_connection() {
        run(async {
            let (a, b) = pair().await;
            write(&*a, &[b"never read"]).await;
            a.abort();
            drop(a);
            let mut buffer = Vec::with_capacity(100);
            let error = loop {
                readable(&*b).await;
                match b.try_read(&mut buffer) {
                    Ok(read) => assert!(read > 0, "the end of the stream, as if nothing were wrong"),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        });
    }

    #[test]
    fn what_is_written_is_sent_at_once_and_given_up_in_time() {
        run(async {
            let (a, _b) = pair().await;
            assert!(a.stream.nodelay().unwrap());
            #[cfg(target_os = "linux")]
            assert_eq!(SockRef::from(&a.stream).tcp_user_timeout().unwrap(), Some(Duration::from_secs(8)));
        });
    }
}
