//! What cases under load share: publishers of numbered messages, and listeners that check them.

use std::{future::Future, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use tidings_router_core::{Change, Changes, Error, Event, Subscription, is_pattern};
use tokio::task::JoinHandle;

use super::FENCE;
use crate::{Checker, Numbered, Router, deadline, eventually, next};

/// Emits messages `0..count` of `size` bytes to the other nodes, from a task of its own.
pub(super) fn publish(
    router: &Arc<Router>,
    event: &'static str,
    publisher: u32,
    count: u64,
    size: usize,
) -> JoinHandle<()> {
    let router = router.clone();
    tokio::spawn(async move {
        for number in 0..count {
            let payload = Numbered { publisher, number }.payload(size);
            router.emit(event, payload).only_remote().await.expect("a message is taken");
        }
    })
}

/// Reads until `count` different messages of each publisher are there, from a task of its own.
pub(super) fn check(
    mut subscription: Subscription<Bytes>,
    listener: u32,
    publishers: Vec<u32>,
    count: u64,
) -> JoinHandle<Checker> {
    tokio::spawn(async move {
        let mut checker = Checker::default();
        let total = publishers.len() as u64 * count;
        for seen in 0..total {
            let what = format!("message {seen} of {total} at listener {listener}");
            let event = deadline(&what, subscription.next()).await.expect("the subscription goes on");
            checker.saw(listener, Numbered::read(&event.payload));
        }
        for publisher in publishers {
            checker.assert_whole(publisher, listener, count);
        }
        checker
    })
}

/// All that one publisher emitted before its [`FENCE`].
pub(super) async fn until_fence(subscription: &mut Subscription<u64>) -> Vec<u64> {
    let mut values = Vec::new();
    loop {
        match next(subscription).await.payload {
            FENCE => return values,
            value => values.push(value),
        }
    }
}

/// Subscribes in every node, and waits until every other node knows.
pub(super) async fn subscribe_all(nodes: &[Arc<Router>], event: &str) -> Vec<Subscription<u64>> {
    let subscriptions: Vec<_> =
        nodes.iter().map(|node| node.subscribe::<u64>(event).expect("a node listens")).collect();
    if !is_pattern(event) {
        for node in nodes {
            let known = node.wait_for_listeners(event, nodes.len() - 1).timeout(crate::DEADLINE);
            known.await.expect("listeners become known");
        }
    }
    subscriptions
}

/// The next change.
pub(super) async fn next_change(changes: &mut Changes) -> Change {
    deadline("change", changes.next()).await.expect("the router is open")
}

/// Polls a future once.
pub(super) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Emits numbered messages of 1 KiB from publisher 0 until the queue is full, and returns how many were
/// taken.
pub(super) fn fill(router: &Arc<Router>, event: &str) -> u64 {
    for number in 0..100_000 {
        let payload = Numbered { publisher: 0, number }.payload(1024);
        match router.emit(event, payload).only_remote().try_now() {
            Ok(()) => {}
            Err(Error::Full { .. }) => return number,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no queue is full after 100,000 messages");
}

/// Reads until nothing is missing but the `dropped` ones of `published` messages.
pub(super) async fn drain(
    subscription: &mut Subscription<Bytes>,
    published: u64,
    dropped: impl Fn() -> u64,
) -> Vec<Event<Bytes>> {
    let mut events = Vec::new();
    eventually("delivery or count of every message", || {
        events.extend(std::iter::from_fn(|| subscription.try_next()));
        events.len() as u64 + dropped() >= published
    })
    .await;
    events.extend(std::iter::from_fn(|| subscription.try_next()));
    assert_eq!(events.len() as u64 + dropped(), published, "received and counted as dropped");
    events
}
