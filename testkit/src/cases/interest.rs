//! Promise 4: an event goes where somebody listens, and nowhere else.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidings_router_core::{DropReason, ListenOptions, Subscription};

use super::{FENCE, load::until_fence};
use crate::{Cluster, DEADLINE, Fixture, Router, deadline, eventually, next};

/// A cluster whose first moment is over soon.
async fn settled(fixture: &dyn Fixture, count: u32) -> Cluster {
    Cluster::with(fixture, count, |builder| builder.hold(Duration::from_millis(50))).await
}

/// Emits until an emit is sent to nobody, and what was sent until then has been kept for nobody long enough.
async fn until_unsent(cluster: &Cluster, id: usize, event: &str) {
    let router = &cluster[id];
    eventually("emit that is sent to nobody", || {
        let before = router.stats().sent;
        router.emit(event, &0u64).only_remote().try_now().unwrap();
        router.stats().sent == before
    })
    .await;
    cluster.at_rest().await;
    let over = |node: &Arc<Router>| {
        let stats = node.stats();
        stats.received == stats.delivered + stats.dropped.by(DropReason::Unclaimed)
    };
    eventually("end of the first moment", || cluster.iter().all(over)).await;
}

/// `*` stands for any run of characters and `?` for any one, for listeners in other nodes too.
pub async fn patterns_match_in_other_nodes(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let names = ["ab", "abc", "abcd", "a::c", "xbc", "aéc"];
    let expected: [(&str, &[usize]); 4] =
        [("ab*", &[0, 1, 2]), ("a?c", &[1, 5]), ("*", &[0, 1, 2, 3, 4, 5]), ("*c", &[1, 3, 4, 5])];
    let mut listeners: Vec<(Subscription<u64>, &[usize])> = expected
        .iter()
        .map(|(pattern, matching)| (cluster[2].subscribe(pattern).unwrap(), *matching))
        .collect();
    let fence = "abéc";
    let mut fences = cluster[2].subscribe::<u64>(fence).unwrap();
    cluster[1].wait_for_listeners(fence, 3 + 1).timeout(DEADLINE).await.unwrap();
    for (index, name) in (0u64..).zip(names) {
        cluster[1].emit(name, &index).await.unwrap();
    }
    cluster[1].emit(fence, &FENCE).await.unwrap();
    assert_eq!(until_fence(&mut fences).await, []);
    for (subscription, matching) in &mut listeners {
        for index in *matching {
            let event = next(subscription).await;
            assert_eq!((&*event.name, event.payload), (names[*index], *index as u64), "{subscription:?}");
        }
        let rest: Vec<_> = std::iter::from_fn(|| subscription.try_next()).collect();
        assert!(rest.iter().all(|event| event.payload == FENCE), "{subscription:?} also got {rest:?}");
    }
}

/// After the first moment an event that nobody listens for is sent to nobody.
pub async fn an_event_that_nobody_listens_for_is_not_sent(fixture: &dyn Fixture) {
    let cluster = settled(fixture, 3).await;
    until_unsent(&cluster, 1, "nobody").await;
    let before = cluster[1].stats().sent;
    for value in 0..1000u64 {
        cluster[1].emit("nobody", &value).await.unwrap();
    }
    assert_eq!(cluster[1].stats().sent, before);
}

/// Dropping a subscription takes its interest back everywhere.
pub async fn unsubscribing_stops_the_sending(fixture: &dyn Fixture) {
    let cluster = settled(fixture, 3).await;
    let mut heard = cluster[2].subscribe::<u64>("x*").unwrap();
    cluster[1].wait_for_listeners("xy", 1).timeout(DEADLINE).await.unwrap();
    cluster[1].emit("xy", &1u64).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, 1);
    drop(heard);
    eventually("end of interest", || cluster.iter().all(|node| node.listeners("xy") == 0)).await;
    eventually("emit that is sent to nobody", || {
        let before = cluster[1].stats().sent;
        cluster[1].emit("xy", &1u64).try_now().unwrap();
        cluster[1].stats().sent == before
    })
    .await;
}

/// Of two other nodes only the one that listens gets anything; a hub forwards only what a leaf wants.
pub async fn an_event_goes_only_to_the_nodes_that_listen(fixture: &dyn Fixture) {
    let cluster = settled(fixture, 3).await;
    until_unsent(&cluster, 1, "x").await;
    until_unsent(&cluster, 0, "x").await;
    let mut heard = cluster[0].subscribe::<u64>("x").unwrap();
    cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let before = cluster[2].stats().received;
    for value in 0..100 {
        cluster[1].emit("x", &value).await.unwrap();
    }
    cluster[1].emit("x", &FENCE).await.unwrap();
    assert_eq!(until_fence(&mut heard).await, Vec::from_iter(0..100));
    // What went to node 2, if anything did, went before this.
    let mut last = cluster[2].subscribe::<Bytes>("last").unwrap();
    cluster[1].wait_for_listeners("last", 1).timeout(DEADLINE).await.unwrap();
    cluster[1].emit("last", &0u64).to(2).await.unwrap();
    next(&mut last).await;
    assert_eq!(cluster[2].stats().received, before + 1);
}

/// Who begins to listen hears what is emitted from then on, not what was before.
pub async fn a_listener_that_comes_later_hears_later_events(fixture: &dyn Fixture) {
    let cluster = settled(fixture, 2).await;
    until_unsent(&cluster, 0, "x").await;
    cluster[0].emit("x", &1u64).await.unwrap();
    let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
    cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    cluster[0].emit("x", &2u64).await.unwrap();
    cluster[0].emit("x", &FENCE).await.unwrap();
    assert_eq!(until_fence(&mut heard).await, [2]);
}

/// Two listeners in one node share the one message that is sent there.
pub async fn two_listeners_of_one_node_cost_one_message(fixture: &dyn Fixture) {
    let cluster = settled(fixture, 2).await;
    let mut one = cluster[1].subscribe::<u64>("x").unwrap();
    let mut other = cluster[1].subscribe::<u64>("?").unwrap();
    cluster[0].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    let before = cluster[0].stats().sent;
    cluster[0].emit("x", &FENCE).await.unwrap();
    assert_eq!(until_fence(&mut one).await, []);
    assert_eq!(until_fence(&mut other).await, []);
    assert_eq!(cluster[0].stats().sent, before + 1);
}

/// An event that matches several listeners' patterns reaches each of them once.
pub async fn listeners_that_overlap_each_hear_an_event_once(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let patterns = ["ab", "a*", "*b", "??", "*"];
    let mut all: Vec<Subscription<u64>> = Vec::new();
    for node in cluster.iter() {
        all.extend(patterns.iter().map(|pattern| node.subscribe(pattern).unwrap()));
    }
    cluster.know_listeners("ab", 2 * patterns.len()).await;
    for value in [1, 2, FENCE] {
        cluster[1].emit("ab", &value).await.unwrap();
    }
    for subscription in &mut all {
        assert_eq!(until_fence(subscription).await, [1, 2], "{subscription:?}");
        assert!(subscription.try_next().is_none());
    }
}

/// A listener for one message takes it and is no listener any more.
pub async fn a_listener_for_one_message_takes_one(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let mut once = cluster[1].listen("x", ListenOptions::once()).unwrap();
    cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    cluster[0].emit("x", &1u64).await.unwrap();
    let envelope = deadline("message", once.next()).await.unwrap();
    assert_eq!(envelope.decode::<u64>().unwrap(), 1);
    drop(once);
    eventually("end of interest", || cluster[0].listeners("x") == 0).await;
}
