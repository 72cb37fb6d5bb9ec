//! Promise 8: peers come and go.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::{collections::BTreeMap, time::Duration};

use tidings_router_core::{Change, Changes, LeaveReason, NodeId, Topology};

use super::{
    FENCE,
    load::{check, next_change, publish, subscribe_all, until_fence},
};
use crate::{Cluster, DEADLINE, Fixture, deadline, entrances, eventually, next, node};

async fn joined(changes: &mut Changes) -> u32 {
    match next_change(changes).await {
        Change::Joined(peer) => peer.node_id.0,
        change => panic!("{change:?}"),
    }
}

async fn left(changes: &mut Changes) -> (u32, LeaveReason) {
    match next_change(changes).await {
        Change::Left { peer, reason } => (peer.node_id.0, reason),
        change => panic!("{change:?}"),
    }
}

/// The current members come first, without a wait.
pub async fn changes_begins_with_the_members(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 4).await;
    for (id, node) in (0..).zip(cluster.iter()) {
        let mut changes = node.changes();
        let members = std::iter::from_fn(|| changes.try_next()).map(|change| match change {
            Change::Joined(peer) => peer.node_id.0,
            change => panic!("{change:?}"),
        });
        let mut members: Vec<_> = members.collect();
        members.sort_unstable();
        assert_eq!(members, (0..4).filter(|other| *other != id).collect::<Vec<_>>());
    }
}

/// While a cluster forms, links may be made twice and one of the two given up; nobody is told of a leave for
/// that, nor of a join twice, and no message is lost or doubled by it.
pub async fn a_cluster_that_forms_tells_of_no_leave(fixture: &dyn Fixture) {
    for _ in 0..5 {
        let cluster = Cluster::of(fixture, 4).await;
        let mut changes: Vec<_> = cluster.iter().map(|node| node.changes()).collect();
        let mut subscriptions = subscribe_all(&cluster, "x").await;
        for value in 0..50u64 {
            for node in cluster.iter() {
                node.emit("x", &value).only_remote().await.unwrap();
            }
        }
        for (id, subscription) in (0..).zip(&mut subscriptions) {
            let mut heard = BTreeMap::<u32, Vec<u64>>::new();
            for _ in 0..3 * 50 {
                let event = next(subscription).await;
                heard.entry(event.source.0).or_default().push(event.payload);
            }
            assert!(heard.values().all(|values| *values == Vec::from_iter(0..50)), "at node {id}: {heard:?}");
        }
        for (id, changes) in (0..).zip(&mut changes) {
            let told: Vec<_> = std::iter::from_fn(|| changes.try_next()).collect();
            let joins = told.iter().filter(|change| matches!(change, Change::Joined(_))).count();
            assert_eq!((joins, told.len()), (3, 3), "node {id} was told {told:?}");
        }
    }
}

/// Every node is told of who joins and of who leaves, and that it said goodbye; by the hub too.
pub async fn joins_and_leaves_are_told_with_their_reason(fixture: &dyn Fixture) {
    let mut cluster = Cluster::of(fixture, 2).await;
    let mut changes: Vec<_> = cluster.iter().map(|node| node.changes()).collect();
    assert_eq!((joined(&mut changes[0]).await, joined(&mut changes[1]).await), (1, 0));
    let newcomer = node(fixture, 2).labels(["late"]).attach_to(entrances(fixture.topology(), &cluster));
    let newcomer = deadline("newcomer", newcomer.open()).await.unwrap();
    for changes in &mut changes {
        match next_change(changes).await {
            Change::Joined(peer) => {
                assert_eq!((peer.node_id, &*peer.labels), (NodeId(2), &["late".to_owned()][..]));
                assert_eq!(peer.incarnation, newcomer.incarnation());
            }
            change => panic!("{change:?}"),
        }
    }
    cluster.push(newcomer);
    cluster.meet().await;
    let report = deadline("shutdown", cluster.pop().shutdown(Duration::from_secs(1))).await;
    assert_eq!((report.discarded, report.unreachable), (0, vec![]));
    for changes in &mut changes {
        assert_eq!(left(changes).await, (2, LeaveReason::Goodbye));
        assert_eq!(changes.try_next(), None);
    }
    assert!(cluster.iter().all(|node| node.peers().len() == 1));
}

/// A node whose last handle is dropped, without a shutdown, leaves at once, not after a silence.
pub async fn a_node_that_is_dropped_is_noticed(fixture: &dyn Fixture) {
    let mut cluster = Cluster::of(fixture, 3).await;
    let mut changes: Vec<_> = cluster[..2].iter().map(|node| node.changes()).collect();
    for changes in &mut changes {
        joined(changes).await;
        joined(changes).await;
    }
    drop(cluster.pop());
    let noticed = async {
        for changes in &mut changes {
            let (id, reason) = left(changes).await;
            assert_eq!(id, 2);
            assert!(matches!(reason, LeaveReason::Goodbye | LeaveReason::LinkLost), "{reason:?}");
        }
    };
    // Less than the 8 s after which a silent node is dead.
    tokio::time::timeout(Duration::from_secs(4), noticed).await.expect("the leave is told at once");
}

/// A node that leaves and comes back is told as a leave and a join of a new incarnation.
pub async fn a_node_that_comes_back_joins_anew(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    let mut changes = first.changes();
    let mut lives = Vec::new();
    for _ in 0..3 {
        let builder = node(fixture, 1).attach_to(first.addresses());
        let guest = deadline("guest", builder.open()).await.unwrap();
        match next_change(&mut changes).await {
            Change::Joined(peer) => assert_eq!(peer.incarnation, guest.incarnation()),
            change => panic!("{change:?}"),
        }
        lives.push(guest.incarnation());
        deadline("shutdown", guest.shutdown(DEADLINE)).await;
        assert_eq!(left(&mut changes).await, (1, LeaveReason::Goodbye));
    }
    lives.dedup();
    assert_eq!(lives.len(), 3);
}

/// When node 0 leaves, the leaves of a star lose each other with it and say so; in the other topologies the
/// rest go on.
pub async fn leaves_learn_that_the_hub_has_left(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let mut changes: Vec<_> = cluster.iter().map(|node| node.changes()).collect();
    for changes in &mut changes {
        joined(changes).await;
        joined(changes).await;
    }
    deadline("shutdown", cluster[0].shutdown(Duration::from_secs(1))).await;
    for (id, other) in [(1usize, 2u32), (2, 1)] {
        let mut gone = vec![left(&mut changes[id]).await];
        if fixture.topology() == Topology::Star {
            gone.push(left(&mut changes[id]).await);
        }
        gone.sort_by_key(|(id, _)| *id);
        let hub = (0, LeaveReason::Goodbye);
        match fixture.topology() {
            Topology::Star => assert_eq!(gone, [hub, (other, LeaveReason::HubLeft)]),
            _ => assert_eq!(gone, [hub]),
        }
    }
    if fixture.topology() != Topology::Star {
        let mut heard = cluster[2].subscribe::<u64>("x").unwrap();
        cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        cluster[1].emit("x", &1u64).await.unwrap();
        assert_eq!(next(&mut heard).await.payload, 1);
    }
}

/// A publisher that was started again reaches all 1,000 listeners with the first messages after its `open`,
/// twice.
pub async fn a_thousand_subscriptions_are_restored_twice(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    let events: Vec<String> = (0..1000).map(|number| format!("event.{number}")).collect();
    let mut heard: Vec<_> = events.iter().map(|event| first.subscribe::<u64>(event).unwrap()).collect();
    for round in 0..3 {
        let publisher = node(fixture, 1).attach_to(first.addresses());
        let publisher = deadline("publisher", publisher.open()).await.unwrap();
        for event in &events {
            publisher.emit(event, &round).only_remote().await.unwrap();
        }
        for subscription in &mut heard {
            assert_eq!(next(subscription).await.payload, round);
        }
        publisher.wait_for_listeners("event.999", 1).timeout(DEADLINE).await.unwrap();
        deadline("shutdown", publisher.shutdown(DEADLINE)).await;
        eventually("farewell", || first.peers().is_empty()).await;
    }
}

/// While two nodes exchange messages a third one leaves, first with a goodbye and then without; they lose
/// nothing.
pub async fn a_node_that_leaves_does_not_disturb_the_others(fixture: &dyn Fixture) {
    const COUNT: u64 = 20_000;
    let mut cluster = Cluster::of(fixture, 4).await;
    let listening = check(cluster[1].subscribe("x").unwrap(), 1, vec![0], COUNT);
    let lazy = [cluster[2].subscribe::<u64>("x").unwrap(), cluster[3].subscribe::<u64>("x").unwrap()];
    cluster[0].wait_for_listeners("x", 3).timeout(DEADLINE).await.unwrap();
    let publishing = publish(&cluster[0], "x", 0, COUNT, 64);
    deadline("shutdown", cluster.pop().shutdown(Duration::from_millis(100))).await;
    drop(cluster.pop());
    deadline("end of publishing", publishing).await.unwrap();
    deadline("end of listening", listening).await.unwrap();
    drop(lazy);
    eventually("farewells", || cluster[0].peers().len() == 1).await;
}

/// Thirty nodes come and go; afterwards the one that stays has no peer, no queue, and works.
pub async fn nodes_that_come_and_go_leave_nothing_behind(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    for id in 1..=30u32 {
        let guest = node(fixture, id).attach_to(first.addresses());
        let guest = deadline("guest", guest.open()).await.unwrap();
        let _listener = guest.subscribe::<u64>("x").unwrap();
        if id % 2 == 0 {
            deadline("shutdown", guest.shutdown(Duration::from_secs(1))).await;
        }
    }
    eventually("farewells", || first.peers().is_empty()).await;
    eventually("end of interest", || first.listeners("x") == 0).await;
    let stats = first.stats();
    assert_eq!((stats.queued_messages, stats.queued_bytes), (0, 0), "{stats:?}");
    let last = node(fixture, 1).attach_to(first.addresses());
    let last = deadline("last guest", last.open()).await.unwrap();
    let mut heard = last.subscribe::<u64>("x").unwrap();
    first.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    first.emit("x", &FENCE).await.unwrap();
    assert_eq!(until_fence(&mut heard).await, []);
}
