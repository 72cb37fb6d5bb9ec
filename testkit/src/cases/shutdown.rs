//! Promise 9: a router leaves in time and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tidings_router_core::{DropReason, Error, LeaveReason, NodeId, RouterBuilder};
use tokio::task::spawn_blocking;

use super::load::{check, drain, fill, publish};
use crate::{
    Cluster, DEADLINE, Fixture, Nowhere, Router, Stopwatch, deadline, eventually, meets_at_a_broker, next,
    node,
};

/// Bounds that a few messages reach, and a patience that no case outlasts.
fn small(builder: RouterBuilder) -> RouterBuilder {
    let builder = builder.queue_bytes(64 << 10).window(64 << 10).listener_bytes(64 << 20);
    builder.max_wait(Duration::from_secs(120))
}

/// What was emitted before the shutdown arrives, and the report says so.
pub async fn what_is_queued_is_flushed(fixture: &dyn Fixture) {
    const COUNT: u64 = 20_000;
    let mut cluster = Cluster::of(fixture, 2).await;
    let listening = check(cluster[0].subscribe("x").unwrap(), 0, vec![1], COUNT);
    cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let leaver = cluster.pop();
    deadline("end of publishing", publish(&leaver, "x", 1, COUNT, 100)).await.unwrap();
    let report = deadline("shutdown", leaver.shutdown(Duration::from_secs(10))).await;
    assert_eq!((report.discarded, &*report.unreachable), (0, &[][..]), "{report:?}");
    assert!(report.flushed <= COUNT, "{report:?}");
    deadline("end of listening", listening).await.unwrap();
}

/// A second shutdown is over at once and reports nothing; so is one at the same time.
pub async fn a_second_shutdown_has_nothing_to_do(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let both = async {
        let second = Duration::from_secs(1);
        tokio::join!(cluster[1].shutdown(second), cluster[1].shutdown(second))
    };
    let (one, other) = deadline("shutdown", both).await;
    assert_eq!((one.discarded, other.discarded), (0, 0));
    let again = deadline("third shutdown", cluster[1].shutdown(Duration::from_secs(1))).await;
    assert_eq!((again.flushed, again.discarded, again.unreachable), (0, 0, vec![]));
    assert!(again.took < Duration::from_millis(500), "{:?}", again.took);
}

/// Who has heard the last message shuts down along with who has emitted it: neither waits for the other in vain.
pub async fn both_ends_part_when_they_shut_down_together(fixture: &dyn Fixture) {
    for _ in 0..20 {
        let mut cluster = Cluster::of(fixture, 2).await;
        let mut heard = cluster[0].subscribe::<u64>("x").unwrap();
        cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        let [second, first] = [cluster.pop(), cluster.pop()];
        let shut_down = |router: Arc<Router>| async move { router.shutdown(Duration::from_secs(5)).await };
        second.emit("x", &1u64).await.unwrap();
        let emitter = tokio::spawn(shut_down(second));
        assert_eq!(next(&mut heard).await.payload, 1);
        let listener = tokio::spawn(shut_down(first));
        for end in [emitter, listener] {
            let report = deadline("shutdown", end).await.unwrap();
            assert_eq!((report.discarded, &*report.unreachable), (0, &[][..]), "{report:?}");
        }
    }
}

/// Threads emit while their router shuts down: what they were told is emitted has arrived or is in the report.
pub async fn every_emit_around_it_is_delivered_or_counted(fixture: &dyn Fixture) {
    for _ in 0..5 {
        let mut cluster = Cluster::of(fixture, 2).await;
        let mut heard = cluster[0].subscribe::<u64>("x").unwrap();
        cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        let leaver = cluster.pop();
        let emitting = |_| {
            let router = leaver.clone();
            let body = move || (0..).take_while(|value: &u64| router.emit("x", value).wait().is_ok()).count();
            thread::spawn(body)
        };
        let threads: Vec<_> = (0..4).map(emitting).collect();
        for _ in 0..1000 {
            next(&mut heard).await;
        }
        let reading = tokio::spawn(async move { while heard.next().await.is_some() {} });
        let report = deadline("shutdown", leaver.shutdown(Duration::from_secs(10))).await;
        let joined = spawn_blocking(|| threads.into_iter().map(|thread| thread.join().unwrap() as u64).sum());
        let emitted: u64 = deadline("end of emitting", joined).await.unwrap();
        let late = leaver.stats().dropped.by(DropReason::Shutdown);
        assert_eq!(cluster[0].stats().received, emitted - late, "{report:?}");
        assert!(report.discarded <= late, "{report:?}");
        reading.abort();
    }
}

/// With a peer that takes nothing and full queues it is back by its deadline; what was not delivered is in
/// the report, and the rest arrives.
pub async fn full_queues_do_not_hold_it_up(fixture: &dyn Fixture) {
    let mut cluster = Cluster::with(fixture, 2, small).await;
    let mut lazy = cluster[0].subscribe::<Bytes>("x").unwrap();
    cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let leaver = cluster.pop();
    let mut sent = 0;
    eventually("queue that stays full", || {
        let more = fill(&leaver, "x");
        sent += more;
        more == 0 && cluster[0].stats().received > 0
    })
    .await;
    let stopwatch = Stopwatch::start();
    let report = leaver.shutdown(Duration::from_secs(1)).await;
    stopwatch.assert_within(Duration::from_millis(1100));
    assert!(report.discarded > 0 && report.discarded <= sent, "{report:?} of {sent}");
    assert_eq!(report.unreachable, [NodeId(0)]);
    assert_eq!(leaver.stats().dropped.by(DropReason::Shutdown), report.discarded);
    let events = drain(&mut lazy, sent, || report.discarded).await;
    assert!(report.flushed <= events.len() as u64, "{report:?}");
}

/// Whatever is asked of a router that is shut down is [`Error::Closed`].
pub async fn a_closed_router_refuses(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let router = &cluster[1];
    deadline("shutdown", router.shutdown(Duration::from_secs(1))).await;
    let attached = deadline("answer", router.attach(cluster[0].addresses())).await;
    let answers = [
        ("emit", router.emit("x", "Hi").await.unwrap_err()),
        ("emit to itself", router.emit("x", "Hi").only_local().await.unwrap_err()),
        ("emit to one", router.emit("x", "Hi").to(0).await.unwrap_err()),
        ("emit now", router.emit("x", "Hi").try_now().unwrap_err()),
        ("subscribe", router.subscribe::<String>("x").unwrap_err()),
        ("attach", attached.unwrap_err()),
        ("wait for peers", router.wait_for_peers(5).timeout(DEADLINE).await.unwrap_err()),
    ];
    for (call, error) in answers {
        assert!(matches!(error, Error::Closed), "{call}: {error:?}");
    }
    assert!(router.peers().is_empty());
    assert_eq!(router.node_id(), NodeId(1));
}

/// At a shutdown subscriptions give what they hold and then end; so do changes and waits.
pub async fn streams_end(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
    let mut changes = cluster[1].changes();
    cluster[1].emit("x", &1u64).only_local().await.unwrap();
    let waiting = {
        let node = cluster[1].clone();
        tokio::spawn(async move { node.wait_for_peers(9).await })
    };
    // The wait has begun when somebody else can be heard to have gone by.
    tokio::task::yield_now().await;
    deadline("shutdown", cluster[1].shutdown(Duration::from_secs(1))).await;
    assert_eq!(next(&mut heard).await.payload, 1);
    assert!(deadline("end of the stream", heard.next()).await.is_none());
    deadline("end of the changes", async { while changes.next().await.is_some() {} }).await;
    let waited = deadline("end of the wait", waiting).await.unwrap();
    assert!(matches!(waited, Err(Error::Closed)), "{waited:?}");
}

/// An emit that waits for room when its router is shut down is [`Error::Closed`].
pub async fn senders_that_wait_are_told(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 2, small).await;
    let _lazy = cluster[0].subscribe::<Bytes>("x").unwrap();
    cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let waiting = {
        let node = cluster[1].clone();
        tokio::spawn(async move {
            loop {
                if let Err(error) = node.emit("x", &vec![0u64; 100]).await {
                    return error;
                }
            }
        })
    };
    eventually("full queue", || cluster[1].emit("x", &vec![0u64; 100]).try_now().is_err()).await;
    deadline("shutdown", cluster[1].shutdown(Duration::from_millis(100))).await;
    let error = deadline("end of the wait", waiting).await.unwrap();
    assert!(matches!(error, Error::Closed), "{error:?}");
}

/// A router that is dropped on a thread without a runtime, with full queues, blocks nobody and panics
/// nowhere; its peers notice, and what listens to it ends.
pub async fn dropping_a_router_outside_a_runtime_is_enough(fixture: &dyn Fixture) {
    let mut cluster = Cluster::with(fixture, 2, small).await;
    let _lazy = cluster[0].subscribe::<Bytes>("x").unwrap();
    cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let mut changes = cluster[0].changes();
    let dropped = cluster.pop();
    let mut orphan = dropped.subscribe::<Bytes>("y").unwrap();
    fill(&dropped, "x");
    let body = move || {
        let start = Instant::now();
        drop(dropped);
        start.elapsed()
    };
    let took = deadline("drop", spawn_blocking(|| thread::spawn(body).join())).await.unwrap().unwrap();
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert!(deadline("end of the stream", orphan.next()).await.is_none());
    let left = async {
        loop {
            if let Some(tidings_router_core::Change::Left { reason, .. }) = changes.next().await {
                return reason;
            }
        }
    };
    let reason = deadline("leave", left).await;
    assert!(matches!(reason, LeaveReason::Goodbye | LeaveReason::LinkLost), "{reason:?}");
}

/// An `open` that is dropped while it tries to reach its peers listens no more: its address is free at once.
pub async fn an_open_that_is_dropped_leaves_nothing_behind(fixture: &dyn Fixture) {
    if meets_at_a_broker(fixture) {
        return an_open_on_a_bus_that_is_dropped_leaves_nothing_behind(fixture).await;
    }
    let nowhere = Nowhere::new(fixture).await;
    let transport = fixture.transport();
    let builder = || {
        let builder = crate::Router::builder().node_id(1).topology(fixture.topology());
        builder.shared_transport(transport.clone())
    };
    for _ in 0..3 {
        let opening = builder().attach_to([nowhere.address()]).open().timeout(Duration::from_millis(30));
        let error = deadline("end of the attempt", opening).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    }
    deadline("node", builder().open()).await.unwrap();
}

/// There is nobody to reach in vain, so it is not known how far an `open` has come when it is dropped.
async fn an_open_on_a_bus_that_is_dropped_leaves_nothing_behind(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    for _ in 0..10 {
        let _ = node(fixture, 1).open().timeout(Duration::from_millis(1)).await;
    }
    eventually("farewells", || first.peers().is_empty()).await;
    deadline("node", node(fixture, 1).open()).await.unwrap();
}
