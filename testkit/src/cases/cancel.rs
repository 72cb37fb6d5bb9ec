//! Futures that are dropped at any point lose nothing and leave nothing behind.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::{future::IntoFuture, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;

use super::load::{check, poll_once, publish};
use crate::{Checker, Cluster, DEADLINE, Fixture, Numbered, deadline, entrances, eventually, node};

/// How long a future lives that is dropped: often less than it needs.
fn short(random: &mut fastrand::Rng) -> Duration {
    Duration::from_micros(random.u64(0..300))
}

/// An emit that is dropped before it is done has emitted nothing: emitted again, each message arrives once.
pub async fn an_emit_that_is_dropped_has_emitted_nothing(fixture: &dyn Fixture) {
    const COUNT: u64 = 3000;
    let tweak = |builder: tidings_router_core::RouterBuilder| builder.queue_messages(16).window(4096);
    let cluster = Cluster::with(fixture, 3, tweak).await;
    let checks = [
        check(cluster[1].subscribe("x").unwrap(), 1, vec![0], COUNT),
        check(cluster[2].subscribe("x").unwrap(), 2, vec![0], COUNT),
    ];
    cluster[0].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let (mut number, mut dropped) = (0, 0);
    let publishing = async {
        while number < COUNT {
            let payload = Numbered { publisher: 0, number }.payload(200);
            let mut emitting = pin!(cluster[0].emit("x", payload).only_remote().into_future());
            let emitted = match poll_once(emitting.as_mut()).await {
                Poll::Ready(emitted) => Some(emitted),
                Poll::Pending if random.bool() => None,
                Poll::Pending => tokio::time::timeout(short(&mut random), emitting).await.ok(),
            };
            match emitted {
                Some(emitted) => {
                    emitted.unwrap();
                    number += 1;
                }
                None => {
                    dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    deadline("end of publishing", publishing).await;
    for task in checks {
        deadline("end of listening", task).await.unwrap();
    }
    assert!(dropped > 0, "no emit ever waited");
}

/// A `next` that is dropped has taken nothing: every message is heard once.
pub async fn a_next_that_is_dropped_has_taken_nothing(fixture: &dyn Fixture) {
    const COUNT: u64 = 3000;
    let cluster = Cluster::of(fixture, 3).await;
    let mut heard = cluster[2].subscribe::<Bytes>("x").unwrap();
    cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let publishing = publish(&cluster[1], "x", 1, COUNT, 50);
    let mut random = fastrand::Rng::with_seed(2);
    let mut checker = Checker::default();
    let listening = async {
        while checker.received(1, 2) < COUNT {
            if let Ok(event) = tokio::time::timeout(short(&mut random), heard.next()).await {
                checker.saw(2, Numbered::read(&event.unwrap().payload));
            }
            if random.u8(..) < 8 {
                tokio::time::sleep(short(&mut random)).await;
            }
        }
    };
    deadline("end of listening", listening).await;
    checker.assert_whole(1, 2, COUNT);
    deadline("end of publishing", publishing).await.unwrap();
}

/// Waits that are dropped do not count for anything, and later ones work.
pub async fn waits_that_are_dropped_leave_nothing_behind(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..100 {
        let peers = first.wait_for_peers(1).into_future();
        let listeners = first.wait_for_listeners("x", 1).into_future();
        let both = async { tokio::join!(peers, listeners) };
        assert!(tokio::time::timeout(short(&mut random), both).await.is_err());
    }
    let second = node(fixture, 1).attach_to(first.addresses());
    let second = deadline("node", second.open()).await.unwrap();
    let _heard = second.subscribe::<u64>("x").unwrap();
    first.wait_for_peers(1).timeout(DEADLINE).await.unwrap();
    first.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
}

/// An `open` that is dropped in the middle of a handshake, again and again, is no peer afterwards, and a last
/// one with the same id gets in.
pub async fn an_open_that_is_dropped_can_be_tried_again(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..30 {
        let builder = node(fixture, 2).attach_to(entrances(fixture.topology(), &cluster));
        drop(tokio::time::timeout(5 * short(&mut random), builder.open().into_future()).await);
    }
    eventually("end of the dropped ones", || cluster.iter().all(|node| node.peers().len() == 1)).await;
    let builder = node(fixture, 2).attach_to(entrances(fixture.topology(), &cluster));
    let last = deadline("node", builder.open()).await.unwrap();
    last.wait_for_peers(2).timeout(DEADLINE).await.unwrap();
    eventually("new peer", || cluster.iter().all(|node| node.peers().len() == 2)).await;
}
