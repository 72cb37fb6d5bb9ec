//! What the links between two nodes do when they are cut, silent or refused, on real sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tidings::{Bytes, Change, Changes, Error, LeaveReason, NodeId, Router, RouterBuilder, Topology};
use tidings_testkit::{
    Checker, DEADLINE, Direction, Fixture, Numbered, Proxy, Setup, Stopwatch, deadline, eventually, next,
    node, tokio,
};

use crate::setups::over_sockets;

over_sockets! { Star:
    a_link_that_is_cut_a_hundred_times_at_random_bytes_loses_nothing_unseen,
    a_thousand_subscriptions_survive_two_cuts_within_100_ms,
    both_sides_notice_silence_within_the_heartbeat_bound,
    both_sides_notice_a_partition_one_way,
    a_restarted_node_replaces_an_old_self_that_is_silent,
    a_shutdown_with_a_dead_peer_is_back_by_its_deadline,
    a_shutdown_during_a_handshake_is_back_by_its_deadline,
    an_open_through_a_silent_link_gives_up_by_the_connect_timeout,
    a_leaf_may_start_before_its_hub,
    a_peer_that_does_not_come_back_is_counted,
    two_jobs_with_default_settings_do_not_hear_each_other,
}

/// The last message, whose number no other one has.
const LAST: u64 = 1 << 40;

/// A hub, a leaf that is connected to it through a proxy, and the proxy.
struct Pair {
    hub: Arc<Router>,
    leaf: Arc<Router>,
    proxy: Proxy,
}

impl Pair {
    async fn open(setup: &Setup, tweak: impl Fn(RouterBuilder) -> RouterBuilder) -> Self {
        let hub = deadline("hub", tweak(node(setup, 0)).open()).await.unwrap();
        let proxy = Proxy::new(&hub.addresses()[0], setup.directory()).await.unwrap();
        let leaf = tweak(node(setup, 1)).attach_to([proxy.address()]);
        let leaf = deadline("leaf", leaf.open()).await.unwrap();
        hub.wait_for_peers(1).timeout(DEADLINE).await.unwrap();
        Self { hub, leaf, proxy }
    }
}

/// The reason of the next leave, and when it was told.
async fn next_leave(changes: &mut Changes) -> (LeaveReason, Instant) {
    loop {
        if let Change::Left { reason, .. } = deadline("leave", changes.next()).await.unwrap() {
            return (reason, Instant::now());
        }
    }
}

/// A heartbeat that makes the tests short, and bounds of everything that waits for a dead link.
const HEARTBEAT: Duration = Duration::from_millis(400);
const DEAD_AFTER: Duration = Duration::from_secs(2);

fn quick(builder: RouterBuilder) -> RouterBuilder {
    builder.heartbeat(HEARTBEAT, DEAD_AFTER).handshake_timeout(Duration::from_millis(500))
}

/// While the leaf publishes, the link is cut behind a random number of bytes, a hundred times. Listening is
/// restored each time, nothing comes twice or late, and what is missing was reported as lost.
async fn a_link_that_is_cut_a_hundred_times_at_random_bytes_loses_nothing_unseen(setup: &Setup) {
    let pair = Pair::open(setup, quick).await;
    let mut heard = pair.hub.subscribe::<Bytes>("x").unwrap();
    pair.leaf.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let (over, received) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let publishing = {
        let (leaf, over) = (pair.leaf.clone(), over.clone());
        tokio::spawn(async move {
            // A steady load of about 1 MB/s, which the queue holds for as long as a reconnect takes.
            let mut pace = tokio::time::interval(Duration::from_millis(1));
            let mut number = 0;
            while !over.load(Relaxed) {
                pace.tick().await;
                for _ in 0..10 {
                    let payload = Numbered { publisher: 1, number }.payload(100);
                    leaf.emit("x", payload).only_remote().await.unwrap();
                    number += 1;
                }
            }
            number
        })
    };
    let listening = {
        let received = received.clone();
        tokio::spawn(async move {
            let mut checker = Checker::default();
            loop {
                let message = Numbered::read(&next(&mut heard).await.payload);
                if message.number == LAST {
                    return checker;
                }
                checker.saw(0, message);
                received.fetch_add(1, Relaxed);
            }
        })
    };
    let mut random = fastrand(17);
    for cut in 1..=100 {
        // Every third one cuts the handshake of the link that follows it.
        let bytes = if cut % 3 == 0 { random() % 600 } else { random() % 20_000 };
        pair.proxy.cut_after(bytes);
        eventually("cut", || pair.proxy.cuts() >= cut).await;
        let before = received.load(Relaxed);
        if cut % 3 != 2 {
            eventually("message after the cut", || received.load(Relaxed) > before).await;
        }
    }
    over.store(true, Relaxed);
    let published = deadline("end of publishing", publishing).await.unwrap();
    pair.leaf.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let last = Numbered { publisher: 1, number: LAST }.payload(0);
    pair.leaf.emit("x", last).only_remote().await.unwrap();
    let checker = deadline("end of listening", listening).await.unwrap();
    let tally = checker.tally(1, 0, published);
    assert_eq!((tally.duplicated, tally.reordered), (0, 0), "{tally}");
    let stats = pair.hub.stats();
    assert_eq!(tally.lost, stats.lost + stats.dropped.total(), "{tally}: {stats:?}");
    assert_eq!(tally.lost, pair.leaf.stats().dropped.total(), "{tally}");
}

/// Random numbers that are the same each time.
fn fastrand(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        // Knuth's linear congruential generator (MMIX); its high bits are random enough for where to cut.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// A leaf with 1,000 listeners loses its link twice within 100 ms; afterwards the hub reaches all of them.
async fn a_thousand_subscriptions_survive_two_cuts_within_100_ms(setup: &Setup) {
    let pair = Pair::open(setup, quick).await;
    let events: Vec<String> = (0..1000).map(|number| format!("event.{number}")).collect();
    let mut heard: Vec<_> = events.iter().map(|event| pair.leaf.subscribe::<u64>(event).unwrap()).collect();
    let known = |event: &String| pair.hub.listeners(event) == 1;
    eventually("interest", || events.iter().all(known)).await;
    let links = pair.proxy.links();
    pair.proxy.cut();
    eventually("new link", || pair.proxy.links() > links).await;
    pair.proxy.cut();
    eventually("second new link", || pair.proxy.links() > links + 1).await;
    pair.hub.wait_for_peers(1).timeout(DEADLINE).await.unwrap();
    eventually("restored interest", || events.iter().all(known)).await;
    for event in &events {
        pair.hub.emit(event, &7u64).only_remote().await.unwrap();
    }
    for subscription in &mut heard {
        assert_eq!(next(subscription).await.payload, 7);
    }
}

/// Asserts that both sides tell of the leave within the bound, and that they find each other again.
async fn both_notice(pair: &Pair, bound: Duration, silence: impl FnOnce()) -> [LeaveReason; 2] {
    let (mut at_hub, mut at_leaf) = (pair.hub.changes(), pair.leaf.changes());
    let stopwatch = Stopwatch::start();
    silence();
    let (hub, leaf) = tokio::join!(next_leave(&mut at_hub), next_leave(&mut at_leaf));
    for (_, at) in [hub, leaf] {
        stopwatch.assert_was_within(at, bound);
    }
    pair.proxy.resume();
    pair.hub.wait_for_peers(1).timeout(DEADLINE).await.unwrap();
    pair.leaf.wait_for_peers(1).timeout(DEADLINE).await.unwrap();
    [hub.0, leaf.0]
}

/// All traffic of the link disappears without an error: both sides see the loss within the bound and 10 %.
async fn both_sides_notice_silence_within_the_heartbeat_bound(setup: &Setup) {
    let pair = Pair::open(setup, quick).await;
    let reasons = both_notice(&pair, DEAD_AFTER.mul_f64(1.1), || {
        pair.proxy.stall(Direction::Up);
        pair.proxy.stall(Direction::Down);
    })
    .await;
    assert_eq!(reasons, [LeaveReason::Silent; 2]);
}

/// One direction disappears: who hears nothing any more gives the link up, and the other one learns of it.
async fn both_sides_notice_a_partition_one_way(setup: &Setup) {
    let pair = Pair::open(setup, quick).await;
    for direction in [Direction::Up, Direction::Down] {
        both_notice(&pair, DEAD_AFTER.mul_f64(1.1), || pair.proxy.stall(direction)).await;
    }
}

/// The old self of a node is behind a link that says nothing; the new one is let in without waiting for its
/// death.
async fn a_restarted_node_replaces_an_old_self_that_is_silent(setup: &Setup) {
    let pair = Pair::open(setup, |builder| builder).await;
    pair.proxy.stall(Direction::Up);
    pair.proxy.stall(Direction::Down);
    let stopwatch = Stopwatch::start();
    let again = node(setup, 1).attach_to(pair.hub.addresses());
    let again = deadline("new self", again.open()).await.unwrap();
    stopwatch.assert_within(Duration::from_secs(8));
    eventually("new self", || pair.hub.peers().iter().map(|peer| peer.incarnation).eq([again.incarnation()]))
        .await;
    let mut heard = again.subscribe::<u64>("x").unwrap();
    pair.hub.emit("x", &1u64).to(1).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, 1);
}

/// `shutdown(1 s)` with a peer that answers nothing: over within 1.1 s, and the report names the peer.
async fn a_shutdown_with_a_dead_peer_is_back_by_its_deadline(setup: &Setup) {
    let pair = Pair::open(setup, |builder| builder).await;
    let _heard = pair.hub.subscribe::<u64>("x").unwrap();
    pair.leaf.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    pair.proxy.stall(Direction::Up);
    pair.proxy.stall(Direction::Down);
    for value in 0..100u64 {
        pair.leaf.emit("x", &value).only_remote().await.unwrap();
    }
    let stopwatch = Stopwatch::start();
    let report = pair.leaf.shutdown(Duration::from_secs(1)).await;
    stopwatch.assert_within(Duration::from_millis(1100));
    assert_eq!((report.flushed, report.discarded, report.unreachable), (0, 100, vec![NodeId(0)]));
}

/// `shutdown(1 s)` while somebody's handshake does not come to an end: over within 1.1 s.
async fn a_shutdown_during_a_handshake_is_back_by_its_deadline(setup: &Setup) {
    let pair = Pair::open(setup, |builder| builder).await;
    pair.proxy.stall(Direction::Down);
    let links = pair.proxy.links();
    let opening = {
        let builder = node(setup, 2).attach_to([pair.proxy.address()]);
        tokio::spawn(async move { builder.open().await })
    };
    eventually("half a handshake", || pair.proxy.links() > links).await;
    let stopwatch = Stopwatch::start();
    pair.hub.shutdown(Duration::from_secs(1)).await;
    stopwatch.assert_within(Duration::from_millis(1100));
    opening.abort();
}

/// An `open` whose handshake is answered by nobody is [`Error::Unreachable`] after its connect timeout.
async fn an_open_through_a_silent_link_gives_up_by_the_connect_timeout(setup: &Setup) {
    let pair = Pair::open(setup, |builder| builder).await;
    pair.proxy.stall(Direction::Up);
    let limit = Duration::from_millis(400);
    let stopwatch = Stopwatch::start();
    let builder = node(setup, 2).connect_timeout(limit).attach_to([pair.proxy.address()]);
    let error = deadline("end of the attempt", builder.open()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    stopwatch.assert_within(limit + Duration::from_secs(1));
}

/// A leaf is told to attach to an address where nobody listens yet; its `open` is done when the hub has come.
async fn a_leaf_may_start_before_its_hub(setup: &Setup) {
    let pair = Pair::open(setup, |builder| builder).await;
    pair.proxy.refuse(true);
    let opening = {
        let builder = node(setup, 2).attach_to([pair.proxy.address()]);
        tokio::spawn(async move { builder.open().await })
    };
    // It has tried, and was turned away, at least once when the link of the first leaf is refused too.
    pair.proxy.cut();
    eventually("end of the link", || pair.hub.peers().is_empty()).await;
    assert!(!opening.is_finished());
    pair.proxy.refuse(false);
    let late = deadline("late leaf", opening).await.unwrap().unwrap();
    late.wait_for_peers(2).timeout(DEADLINE).await.unwrap();
}

/// What was queued for a peer that does not come back within `resume_within` is dropped and counted, all of
/// it.
async fn a_peer_that_does_not_come_back_is_counted(setup: &Setup) {
    let tweak = |builder| quick(builder).resume_within(Duration::from_secs(1));
    let pair = Pair::open(setup, tweak).await;
    let mut heard = pair.leaf.subscribe::<u64>("x").unwrap();
    pair.hub.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    pair.proxy.refuse(true);
    pair.proxy.cut();
    // Before that, a message may still get through and be counted as lost all the same: nobody has confirmed
    // it.
    eventually("loss of the link", || pair.hub.peers().is_empty()).await;
    for value in 0..1000u64 {
        pair.hub.emit("x", &value).only_remote().await.unwrap();
    }
    let balanced = |received: u64| {
        let stats = pair.hub.stats();
        stats.queued_messages == 0 && stats.sent == received + stats.dropped.total()
    };
    eventually("count of what is lost", || balanced(0)).await;
    assert_eq!(pair.hub.stats().dropped.total(), 1000);
    pair.proxy.refuse(false);
    pair.hub.wait_for_peers(1).timeout(DEADLINE).await.unwrap();
    pair.hub.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    pair.hub.emit("x", &LAST).only_remote().await.unwrap();
    assert_eq!(next(&mut heard).await.payload, LAST);
    assert!(balanced(1), "{:?}", pair.hub.stats());
}

/// Two jobs on one machine, with the same settings but for their cluster's name, and no address in common.
async fn two_jobs_with_default_settings_do_not_hear_each_other(setup: &Setup) {
    let job = |cluster: &'static str| async move {
        let first = deadline("node", node(setup, 0).cluster(cluster).open()).await.unwrap();
        let second = node(setup, 1).cluster(cluster).attach_to(first.addresses());
        (first, deadline("node", second.open()).await.unwrap())
    };
    let (one, other) = (job("one").await, job("other").await);
    let mut heard = other.1.subscribe::<u64>("*").unwrap();
    one.1.emit("finish", &1u64).await.unwrap();
    other.0.wait_for_listeners("finish", 1).timeout(DEADLINE).await.unwrap();
    other.0.emit("finish", &2u64).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, 2);
    assert!(heard.try_next().is_none());
    assert_eq!(one.0.topology(), Topology::Star);
}
