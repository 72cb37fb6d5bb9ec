//! What the tests of this crate share.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    sync::Arc,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tidings_router_core::{Acceptor, Link, ListenContext, NodeId, Readiness};

/// Runs a test on a runtime of its own, for at most 10 s.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), test).await.expect("the test ends within 10 s");
    });
}

pub(crate) fn context(guarded: bool) -> ListenContext {
    ListenContext::new(NodeId(0), "test", guarded)
}

pub(crate) async fn accept(acceptor: &mut dyn Acceptor) -> io::Result<Arc<dyn Link>> {
    poll_fn(|cx| acceptor.poll_accept(cx)).await
}

fn socket(link: &dyn Link) -> BorrowedFd<'_> {
    match link.readiness() {
        Readiness::Socket(socket) => socket,
        Readiness::Ring(..) | Readiness::Wakers(_) => unreachable!("a link of this transport is a socket"),
    }
}

/// Waits until there is something to read, or an end.
pub(crate) async fn readable(link: &dyn Link) {
    ready(link, PollFlags::IN).await;
}

/// Waits until there is room to write, or an end.
pub(crate) async fn writable(link: &dyn Link) {
    ready(link, PollFlags::OUT).await;
}

/// Looks again and again, in turn with the other tasks of the test.
async fn ready(link: &dyn Link, flags: PollFlags) {
    while poll(&mut [PollFd::from_borrowed_fd(socket(link), flags)], Some(&Timespec::default())).unwrap() == 0
    {
        tokio::task::yield_now().await;
    }
}

/// Reads `count` bytes, or fewer if the stream ends.
pub(crate) async fn read(link: &dyn Link, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let mut buffer = Vec::with_capacity((count - all.len()).min(65_536));
        match link.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => all.extend_from_slice(&buffer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                readable(link).await;
            }
            Err(error) => panic!("the link broke: {error}"),
        }
    }
    all
}

/// Writes all of `slices`.
pub(crate) async fn write(link: &dyn Link, slices: &[&[u8]]) {
    let mut slices: Vec<IoSlice<'_>> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
    let mut left = &mut slices[..];
    while left.iter().any(|slice| !slice.is_empty()) {
        match link.try_write(left) {
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                writable(link).await;
            }
            Err(error) => panic!("the link broke: {error}"),
        }
    }
}
