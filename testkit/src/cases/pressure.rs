//! Promise 7, the second half, and promise 12: what happens when somebody does not keep up.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::{
    future::IntoFuture,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tidings_router_core::{
    Change, DropReason, LeaveReason, ListenOptions, Policy, RouterBuilder, Subscription,
    handler::{scope, scoped},
};

use super::load::{check, drain, fill, next_change, poll_once, publish};
use crate::{Checker, Cluster, DEADLINE, Fixture, Numbered, Router, deadline, eventually, next};

const KIB: usize = 1024;

/// How long a queue may be stuck in these cases.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Bounds that a few messages reach, and a patience that no case outlasts.
fn small(builder: RouterBuilder) -> RouterBuilder {
    let builder = builder.queue_bytes(64 * KIB).window(64 * KIB).listener_bytes(64 * KIB);
    builder.max_wait(Duration::from_secs(120))
}

/// Two nodes, the second of which takes little that its listeners do not read, but does not hurry them.
async fn sender_and_laggard(fixture: &dyn Fixture, policy: Policy) -> Cluster {
    Cluster::each(fixture, 2, |id, builder| match id {
        0 => small(builder).policy(policy).max_wait(MAX_WAIT),
        _ => small(builder).listener_bytes(64 << 20),
    })
    .await
}

/// A node and its listener for `x` in another node, which the first one knows of.
async fn listening(cluster: &Cluster) -> (Arc<Router>, Subscription<Bytes>) {
    let subscription = cluster[1].subscribe("x*").unwrap();
    cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    (cluster[0].clone(), subscription)
}

fn numbers(events: &[tidings_router_core::Event<Bytes>]) -> Vec<u64> {
    events.iter().map(|event| Numbered::read(&event.payload).number).collect()
}

/// An emit that finds a queue full is done when the reader has made room, not before, and nothing is lost.
pub async fn a_full_queue_makes_the_sender_wait(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 2, small).await;
    let (router, mut heard) = listening(&cluster).await;
    let mut number = 0;
    loop {
        let payload = Numbered { publisher: 0, number }.payload(KIB);
        let mut emitting = pin!(router.emit("x", payload).only_remote().into_future());
        if let Poll::Ready(emitted) = poll_once(emitting.as_mut()).await {
            emitted.unwrap();
            number += 1;
            assert!(number < 10_000, "no queue is ever full");
            continue;
        }
        let reading = async {
            for expected in 0..=number {
                assert_eq!(Numbered::read(&next(&mut heard).await.payload).number, expected);
            }
        };
        let (emitted, ()) = deadline("room", async { tokio::join!(emitting, reading) }).await;
        emitted.unwrap();
        break;
    }
    assert_eq!(cluster.dropped(), 0);
}

/// A listener that takes one message in a quarter of the sender's patience is slow, not stuck: it gets everything.
pub async fn a_slow_listener_that_keeps_taking_is_waited_for(fixture: &dyn Fixture) {
    // So long that a busy machine is not taken for a stuck listener.
    const PATIENCE: Duration = Duration::from_secs(1);
    let cluster = Cluster::with(fixture, 2, |builder| small(builder).max_wait(PATIENCE)).await;
    let (router, mut heard) = listening(&cluster).await;
    let mut changes = router.changes();
    let sending = publish(&router, "x", 0, 400, KIB);
    let start = Instant::now();
    let mut expected = 0;
    while expected < 400 {
        assert_eq!(Numbered::read(&next(&mut heard).await.payload).number, expected);
        expected += 1;
        if start.elapsed() < 2 * PATIENCE {
            // The work of a slow listener.
            tokio::time::sleep(PATIENCE / 4).await;
        }
    }
    deadline("end of sending", sending).await.unwrap();
    assert_eq!(cluster.dropped(), 0);
    let left = std::iter::from_fn(|| changes.try_next()).any(|change| matches!(change, Change::Left { .. }));
    assert!(!left, "nobody was evicted");
}

/// `try_now` on a full queue is [`Error::Full`](tidings_router_core::Error::Full), which names the queue;
/// what was taken before arrives, that does not.
pub async fn trying_now_says_full_and_loses_nothing(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 2, small).await;
    let (router, mut heard) = listening(&cluster).await;
    let taken = fill(&router, "x");
    for expected in 0..taken {
        assert_eq!(Numbered::read(&next(&mut heard).await.payload).number, expected);
    }
    let last = Numbered { publisher: 0, number: taken }.payload(KIB);
    deadline("room", router.emit("x", last)).await.unwrap();
    assert_eq!(Numbered::read(&next(&mut heard).await.payload).number, taken);
    assert_eq!(cluster.dropped(), 0);
}

/// However much is emitted, no more than the bounds say waits anywhere.
pub async fn what_waits_stays_within_its_bounds(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 2, small).await;
    let (router, _heard) = listening(&cluster).await;
    let mut taken = 0;
    // Full, then still full after the link has carried off what it takes.
    eventually("queue that stays full", || {
        let more = fill(&router, "x");
        taken += more;
        more == 0 && cluster[1].stats().received > 0
    })
    .await;
    let stats = router.stats();
    assert!(stats.queued_bytes <= 66 * KIB as u64, "{stats:?}");
    // The queue, the window, and a buffer of 64 KiB by which each of the two may be exceeded.
    assert!(taken <= 4 * 64, "{taken} messages of 1 KiB are on their way");
}

/// A subscription that has taken the one message that it got, and does not look again, keeps nothing from the others:
/// not even where that message was as large as all that may be on its way.
pub async fn a_reader_that_has_taken_everything_holds_up_nobody(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 2, small).await;
    let (router, mut once) = listening(&cluster).await;
    let mut other = cluster[1].subscribe::<u32>("y").unwrap();
    router.wait_for_listeners("y", 1).timeout(DEADLINE).await.unwrap();
    for number in 0..4 {
        let payload = Numbered { publisher: 0, number }.payload(256 * KIB);
        router.emit("x", payload).only_remote().await.unwrap();
        assert_eq!(Numbered::read(&next(&mut once).await.payload).number, number);
        router.emit("y", &(number as u32)).only_remote().await.unwrap();
        assert_eq!(next(&mut other).await.payload, number as u32);
    }
}

/// Of two peers one does not read. The other one gets everything, and soon.
pub async fn a_slow_listener_does_not_stall_the_others(fixture: &dyn Fixture) {
    const COUNT: u64 = 5000;
    let cluster = Cluster::each(fixture, 3, |id, builder| match id {
        // Its window is larger than its listener's queue, so that it is the listener that is found to lag.
        1 => small(builder).window(256 * KIB).max_wait(MAX_WAIT).policy(Policy::DropOldest),
        _ => small(builder),
    })
    .await;
    let mut lazy = cluster[1].subscribe::<Bytes>("x").unwrap();
    let quick = check(cluster[2].subscribe("x").unwrap(), 2, vec![0], COUNT);
    cluster[0].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    let start = Instant::now();
    deadline("end of publishing", publish(&cluster[0], "x", 0, COUNT, KIB)).await.unwrap();
    deadline("end of listening", quick).await.unwrap();
    // It was waited for once at each queue on the way, not at each message.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let events = drain(&mut lazy, COUNT, || cluster.dropped()).await;
    assert!(events.len() < COUNT as usize);
    assert_eq!(numbers(&events).last(), Some(&(COUNT - 1)));
}

/// Of two peers one takes nothing at all, so that it is the sender who finds that it lags. The other one gets
/// everything, and soon.
pub async fn a_peer_that_takes_nothing_does_not_stall_the_others(fixture: &dyn Fixture) {
    const COUNT: u64 = 5000;
    let cluster = Cluster::each(fixture, 3, |id, builder| match id {
        0 => builder.queue_bytes(64 * KIB).max_wait(3 * MAX_WAIT).policy(Policy::DropNewest),
        1 => small(builder).listener_bytes(64 << 20),
        _ => builder,
    })
    .await;
    let mut lazy = cluster[1].subscribe::<Bytes>("x").unwrap();
    let quick = check(cluster[2].subscribe("x").unwrap(), 2, vec![0], COUNT);
    cluster[0].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    let start = Instant::now();
    deadline("end of publishing", publish(&cluster[0], "x", 0, COUNT, KIB)).await.unwrap();
    deadline("end of listening", quick).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let events = numbers(&drain(&mut lazy, COUNT, || cluster.dropped()).await);
    assert_eq!(events, Vec::from_iter(0..events.len() as u64));
}

/// Handlers in two nodes answer each message of the other's; with far more messages under way than their
/// queues hold, both go on and nothing is lost.
pub async fn handlers_that_answer_every_message_do_not_lock_up(fixture: &dyn Fixture) {
    const BALLS: u64 = 1000;
    let cluster = Cluster::with(fixture, 2, |builder| small(builder).queue_messages(100)).await;
    let over = Arc::new(AtomicU64::new(0));
    for router in cluster.iter() {
        let (router, over) = (router.clone(), over.clone());
        let mut balls = router.subscribe::<u32>("ball").unwrap();
        tokio::spawn(scoped(async move {
            while let Some(ball) = balls.next().await {
                match ball.payload {
                    0 => drop(over.fetch_add(1, Relaxed)),
                    hits => router.emit("ball", &(hits - 1)).only_remote().await.unwrap(),
                }
            }
        }));
    }
    cluster.know_listeners("ball", 1).await;
    let serving: Vec<_> = cluster
        .iter()
        .map(|router| {
            let router = router.clone();
            tokio::spawn(async move {
                for _ in 0..BALLS {
                    router.emit("ball", &20u32).only_remote().await.unwrap();
                }
            })
        })
        .collect();
    for task in serving {
        deadline("end of serving", task).await.unwrap();
    }
    eventually("end of the game", || over.load(Relaxed) == 2 * BALLS).await;
    assert_eq!(cluster.dropped(), 0);
}

/// A handler may queue more than others, up to its budget; beyond that it is told, and what was taken
/// arrives.
pub async fn a_handler_beyond_its_budget_is_told(fixture: &dyn Fixture) {
    let cluster = Cluster::each(fixture, 2, |id, builder| match id {
        0 => small(builder).handler_budget(512 * KIB),
        _ => small(builder).listener_bytes(64 << 20),
    })
    .await;
    let (router, mut heard) = listening(&cluster).await;
    let taken = scope(|| fill(&router, "x"));
    // More than the queue and the window hold, no more than they and the budget.
    assert!((300..800).contains(&taken), "{taken} messages of 1 KiB were taken");
    for expected in 0..taken {
        assert_eq!(Numbered::read(&next(&mut heard).await.payload).number, expected);
    }
    assert_eq!(cluster.dropped(), 0);
}

/// Publishes to a peer that does not read, then reads: what arrived, where everything else is counted as
/// dropped and was reported to the receiver as lost.
async fn lag(fixture: &dyn Fixture, policy: Policy, count: u64) -> Vec<tidings_router_core::Event<Bytes>> {
    let cluster = sender_and_laggard(fixture, policy).await;
    let (router, mut heard) = listening(&cluster).await;
    let mut changes = cluster[1].changes();
    for number in 0..count {
        let event = format!("x{}", number % 3);
        let payload = Numbered { publisher: 0, number }.payload(KIB);
        deadline("emit", router.emit(&event, payload).only_remote()).await.unwrap();
    }
    let events = drain(&mut heard, count, || cluster.dropped()).await;
    let dropped = router.stats().dropped;
    assert!(dropped.total() > 0 && dropped.total() == dropped.by(DropReason::Lagging), "{dropped:?}");
    eventually("report of the loss", || cluster[1].stats().lost == dropped.total()).await;
    let lost = |change| if let Change::Lost { count, .. } = change { count } else { 0 };
    let told: u64 = std::iter::from_fn(|| changes.try_next()).map(lost).sum();
    assert_eq!(told, dropped.total(), "in `changes()`");
    assert!(numbers(&events).is_sorted_by(|one, other| one < other));
    // It lags until its queue is empty, and not longer.
    eventually("end of the lag", || !router.stats().peers[0].lagging).await;
    events
}

/// [`Policy::DropOldest`]: the newest messages arrive, and what was on the link already.
pub async fn drop_oldest_keeps_the_newest(fixture: &dyn Fixture) {
    let events = numbers(&lag(fixture, Policy::DropOldest, 2000).await);
    assert_eq!(events[..32], Vec::from_iter(0..32));
    assert_eq!(events[events.len() - 32..], Vec::from_iter(2000 - 32..2000));
}

/// [`Policy::DropNewest`]: the oldest messages arrive, without a hole.
pub async fn drop_newest_keeps_the_oldest(fixture: &dyn Fixture) {
    let events = numbers(&lag(fixture, Policy::DropNewest, 2000).await);
    assert_eq!(events, Vec::from_iter(0..events.len() as u64));
}

/// [`Policy::Latest`]: of each event at least the newest message arrives.
pub async fn latest_keeps_the_newest_of_each_event(fixture: &dyn Fixture) {
    let events = lag(fixture, Policy::Latest, 2000).await;
    for number in [1997, 1998, 1999] {
        assert!(numbers(&events).contains(&number), "{number} is the newest of its event");
    }
    assert!(events.len() < 400, "{} messages are more than the newest and those on their way", events.len());
}

/// A listener with [`Policy::Evict`] that does not read finds the end of its stream; its node stays, and
/// another listener of that node hears everything.
pub async fn a_listener_that_is_evicted_finds_the_end(fixture: &dyn Fixture) {
    const COUNT: u64 = 3000;
    let cluster = Cluster::each(fixture, 2, |id, builder| match id {
        // The sender is patient: it is the listener that is evicted, not its node.
        0 => small(builder),
        _ => small(builder).window(1 << 20).max_wait(MAX_WAIT),
    })
    .await;
    let mut lazy = cluster[1].subscribe::<Bytes>("x").unwrap();
    let diligent = check(cluster[1].subscribe("*").unwrap(), 1, vec![0], COUNT);
    cluster[0].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    deadline("end of publishing", publish(&cluster[0], "x", 0, COUNT, KIB)).await.unwrap();
    deadline("end of listening", diligent).await.unwrap();
    let mut checker = Checker::default();
    while let Some(event) = deadline("end of the stream", lazy.next()).await {
        checker.saw(1, Numbered::read(&event.payload));
    }
    checker.assert_in_order();
    assert!(checker.received(0, 1) < COUNT);
    assert!(cluster[1].stats().dropped.by(DropReason::Evicted) > 0);
    assert_eq!((cluster[0].peers().len(), cluster[1].peers().len()), (1, 1));
    eventually("end of its interest", || cluster[0].listeners("x") <= 1).await;
}

/// A listener of the emitting process that does not read is waited for, then treated by its own policy, and
/// every message that it did not get is counted.
pub async fn a_listener_that_lags_here_is_treated_by_its_policy(fixture: &dyn Fixture) {
    const COUNT: u64 = 1000;
    for policy in [Policy::DropOldest, Policy::DropNewest, Policy::Latest] {
        let builder = small(crate::node(fixture, 0)).max_wait(MAX_WAIT);
        let router = deadline("node", builder.open()).await.unwrap();
        let mut options = ListenOptions::default();
        options.policy = Some(policy);
        let mut lazy = Subscription::<Bytes>::new(router.listen("x", options).unwrap());
        for number in 0..COUNT {
            let payload = Numbered { publisher: 0, number }.payload(KIB);
            deadline("emit", router.emit("x", payload)).await.unwrap();
        }
        let events = numbers(&drain(&mut lazy, COUNT, || router.stats().dropped.total()).await);
        assert_eq!(router.stats().dropped.by(DropReason::Lagging), COUNT - events.len() as u64);
        assert!(events.is_sorted_by(|one, other| one < other));
        match policy {
            Policy::DropNewest => assert_eq!(events, Vec::from_iter(0..events.len() as u64)),
            _ => assert_eq!(events.last(), Some(&(COUNT - 1)), "{policy:?}"),
        }
        assert!(events.len() <= 66, "{} messages of 1 KiB were kept: {policy:?}", events.len());
    }
}

/// A peer with [`Policy::Evict`] that does not take anything is cut off, which is told as a leave; it comes
/// back by itself, its listeners are restored, and every message is received or counted.
pub async fn a_peer_that_lags_and_is_evicted_comes_back(fixture: &dyn Fixture) {
    let cluster = sender_and_laggard(fixture, Policy::Evict).await;
    let (router, mut heard) = listening(&cluster).await;
    let mut changes = router.changes();
    assert!(matches!(next_change(&mut changes).await, Change::Joined(_)));
    let mut number = 0;
    let reason = loop {
        let payload = Numbered { publisher: 0, number }.payload(KIB);
        deadline("emit", router.emit("x", payload).only_remote()).await.unwrap();
        number += 1;
        match changes.try_next() {
            Some(Change::Left { reason, .. }) => break reason,
            Some(change) => panic!("{change:?}"),
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(reason, LeaveReason::Lagging);
    let reading = tokio::spawn(async move {
        let mut checker = Checker::default();
        loop {
            let message = Numbered::read(&next(&mut heard).await.payload);
            if message.publisher == 9 {
                return checker;
            }
            checker.saw(1, message);
        }
    });
    assert!(matches!(next_change(&mut changes).await, Change::Joined(_)));
    router.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    router.emit("x", Numbered { publisher: 9, number: 0 }.payload(0)).only_remote().await.unwrap();
    let checker = deadline("end of listening", reading).await.unwrap();
    checker.assert_in_order();
    let stats = router.stats();
    assert!(stats.dropped.by(DropReason::Evicted) > 0, "{stats:?}");
    assert_eq!(stats.sent, checker.received(0, 1) + 1 + stats.dropped.total(), "{stats:?}");
}
