//! What the tests of links through sockets share: two ends, and what every such link does.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    sync::Arc,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tidings_router_core::{Acceptor, Link, Readiness};

/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(10);

/// More than any socket holds, in bytes.
const MUCH: usize = 16 << 20;

/// Both ends of a link.
pub type Ends = (Arc<dyn Link>, Arc<dyn Link>);

/// Runs a test on this thread.
///
/// # Panics
///
/// When the test does, and when it is not over within 10 s.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives us an epoll descriptor");
    let limited = async { tokio::time::timeout(LIMIT, test).await };
    runtime.block_on(limited).expect("the test ends within 10 s");
}

/// The next link.
///
/// # Errors
///
/// Those of the acceptor.
pub async fn accept(acceptor: &mut dyn Acceptor) -> io::Result<Arc<dyn Link>> {
    poll_fn(|cx| acceptor.poll_accept(cx)).await
}

/// Waits until there is something to read, or an end.
pub async fn readable(link: &dyn Link) {
    ready(link, PollFlags::IN).await;
}

/// Looks again and again, in turn with the other tasks of the test.
async fn ready(link: &dyn Link, flags: PollFlags) {
    let is_ready = || {
        let ready = poll(&mut [PollFd::from_borrowed_fd(socket(link), flags)], Some(&Timespec::default()));
        ready.expect("a socket can be polled") > 0
    };
    while !is_ready() {
        tokio::task::yield_now().await;
    }
}

fn socket(link: &dyn Link) -> BorrowedFd<'_> {
    match link.readiness() {
        Readiness::Socket(socket) | Readiness::Ring(socket, _) => socket,
        _ => unreachable!("the link has a socket"),
    }
}

/// Reads `count` bytes, or fewer if the stream ends.
///
/// # Panics
///
/// When the link breaks.
pub async fn read(link: &dyn Link, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let mut buffer = Vec::with_capacity((count - all.len()).min(65_536));
        match link.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => all.extend_from_slice(&buffer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => readable(link).await,
            Err(error) => panic!("the link broke: {error}"),
        }
    }
    all
}

/// Writes all of `slices`.
///
/// # Panics
///
/// When the link breaks.
pub async fn write(link: &dyn Link, slices: &[&[u8]]) {
    let mut slices: Vec<IoSlice<'_>> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
    let mut left = &mut slices[..];
    while left.iter().any(|slice| !slice.is_empty()) {
        match link.try_write(left) {
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready(link, PollFlags::OUT).await,
            Err(error) => panic!("the link broke: {error}"),
        }
    }
}

/// Stamps out a `#[test]` for each thing that every link through sockets does. The expression is an async function that
/// makes both [`Ends`] of one.
#[macro_export]
macro_rules! socket_links {
    ($pair:expr) => {
        $crate::__socket_links!($pair,
            two_ends_exchange_bytes
            more_than_the_sockets_hold_arrives_whole_and_in_order
            reading_fills_the_spare_room_and_no_more
            nothing_to_read_would_block
            closing_ends_the_stream_for_a_waiting_reader_of_the_other_end
            closing_wakes_and_fails_this_end
            what_was_written_arrives_before_the_end
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __socket_links {
    ($pair:expr, $($case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::links::run(async { $crate::links::$case($pair().await).await });
        }
    )*};
}

/// What one end writes, the other end reads.
pub async fn two_ends_exchange_bytes((a, b): Ends) {
    write(&*a, &[b"he", b"", b"llo"]).await;
    assert_eq!(read(&*b, 5).await, b"hello");
    write(&*b, &[b"world"]).await;
    assert_eq!(read(&*a, 5).await, b"world");
}

/// Who writes waits for who reads.
pub async fn more_than_the_sockets_hold_arrives_whole_and_in_order((a, b): Ends) {
    let sent: Vec<u8> = (0..MUCH).map(|index| (index % 251) as u8).collect();
    let slices = [&sent[..]];
    let ((), received) = tokio::join!(write(&*a, &slices), read(&*b, MUCH));
    assert!(received == sent);
}

/// A reader gets no more than it has asked for.
pub async fn reading_fills_the_spare_room_and_no_more((a, b): Ends) {
    write(&*a, &[&[7; 4096]]).await;
    let mut buffer = Vec::with_capacity(100);
    readable(&*b).await;
    assert_eq!(b.try_read(&mut buffer).expect("there is something to read"), 100);
    assert_eq!(buffer.capacity(), 100);
}

/// Reading never waits.
pub async fn nothing_to_read_would_block((_a, b): Ends) {
    let error = b.try_read(&mut Vec::with_capacity(8)).expect_err("nothing was written");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

/// The other end of a link that is closed, once or more often, reads its end.
pub async fn closing_ends_the_stream_for_a_waiting_reader_of_the_other_end((a, b): Ends) {
    let reader = tokio::spawn(async move { read(&*b, 1).await });
    tokio::task::yield_now().await;
    a.close();
    a.close();
    assert_eq!(reader.await.expect("the reader ends"), b"");
}

/// This end of a link that is closed can do nothing more.
pub async fn closing_wakes_and_fails_this_end((a, _b): Ends) {
    let reader = a.clone();
    let waiting = tokio::spawn(async move { readable(&*reader).await });
    tokio::task::yield_now().await;
    a.close();
    waiting.await.expect("the reader ends");
    let read = a.try_read(&mut Vec::new()).expect_err("it is closed");
    let written = a.try_write(&[IoSlice::new(b"x")]).expect_err("it is closed");
    assert_eq!([read, written].map(|error| error.kind()), [io::ErrorKind::NotConnected; 2]);
}

/// An end that is closed or dropped takes back nothing.
pub async fn what_was_written_arrives_before_the_end((a, b): Ends) {
    write(&*a, &[b"last"]).await;
    a.close();
    drop(a);
    assert_eq!(read(&*b, 100).await, b"last");
}
