//! Promise 3: alone, star and mesh.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::collections::BTreeMap;

use tidings_router_core::{Error, NodeId, Topology};

use super::{
    FENCE,
    load::{subscribe_all, until_fence},
};
use crate::{Cluster, DEADLINE, Fixture, deadline, meets_at_a_broker, next, node};

/// Of three nodes the last two attach to one member each. In a mesh and a star everyone reaches everyone;
/// alone, only what was attached to.
pub async fn a_node_that_attaches_to_one_member_reaches_whom_its_topology_says(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    let second = deadline("node", node(fixture, 1).attach_to(first.addresses()).open()).await.unwrap();
    let entrance = if fixture.topology() == Topology::Star { &first } else { &second };
    let third = deadline("node", node(fixture, 2).attach_to(entrance.addresses()).open()).await.unwrap();
    let reached = if fixture.topology() == Topology::Alone { vec![1] } else { vec![0, 1] };
    third.wait_for_peers(reached.len()).timeout(DEADLINE).await.unwrap();
    second.wait_for_peers(2).timeout(DEADLINE).await.unwrap();
    first.wait_for_peers(if reached.len() == 1 { 1 } else { 2 }).timeout(DEADLINE).await.unwrap();

    let mut at_first = first.subscribe::<u64>("x").unwrap();
    let mut at_second = second.subscribe::<u64>("x").unwrap();
    third.wait_for_listeners("x", reached.len()).timeout(DEADLINE).await.unwrap();
    second.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    third.emit("x", &3u64).await.unwrap();
    third.emit("x", &FENCE).await.unwrap();
    assert_eq!(until_fence(&mut at_second).await, [3]);
    if reached.len() == 1 {
        second.emit("x", &FENCE).only_remote().await.unwrap();
        assert_eq!(until_fence(&mut at_first).await, [], "nothing is forwarded alone");
    } else {
        assert_eq!(until_fence(&mut at_first).await, [3]);
    }
    let ids: Vec<_> = third.peers().iter().map(|peer| peer.node_id.0).collect();
    assert_eq!(ids, reached);
}

/// Of five nodes each hears each other one exactly once; in a star, leaves hear leaves through the hub.
pub async fn every_node_hears_every_other_one_exactly_once(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 5).await;
    let mut subscriptions = subscribe_all(&cluster, "x").await;
    for node in cluster.iter() {
        node.emit("x", &1u64).only_remote().await.unwrap();
        node.emit("x", &FENCE).only_remote().await.unwrap();
    }
    for (id, subscription) in (0u32..).zip(&mut subscriptions) {
        let mut heard = BTreeMap::new();
        let mut fences = 0;
        while fences < 4 {
            let event = next(subscription).await;
            match event.payload {
                FENCE => fences += 1,
                _ => *heard.entry(event.source.0).or_insert(0) += 1,
            }
        }
        let once: BTreeMap<_, _> = (0..5).filter(|other| *other != id).map(|other| (other, 1)).collect();
        assert_eq!(heard, once, "at node {id}");
    }
}

/// A leaf sees other leaves as reached through the hub; in the other topologies everyone has a link of its
/// own.
pub async fn a_peer_behind_the_hub_names_the_hub(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    for node in cluster.iter() {
        for peer in node.peers() {
            let leaves = node.node_id() != NodeId::HUB && peer.node_id != NodeId::HUB;
            let via = (fixture.topology() == Topology::Star && leaves).then_some(NodeId::HUB);
            assert_eq!(peer.via, via, "{peer:?} of node {}", node.node_id());
        }
    }
}

/// When two nodes dial each other at the same time one link survives, and nothing is lost or doubled.
pub async fn nodes_that_attach_to_each_other_at_once_have_one_link(fixture: &dyn Fixture) {
    let one = deadline("node", node(fixture, 0).open()).await.unwrap();
    let other = deadline("node", node(fixture, 1).open()).await.unwrap();
    let mut at_one = one.subscribe::<u64>("x").unwrap();
    let mut at_other = other.subscribe::<u64>("x").unwrap();
    let both = async { tokio::join!(one.attach(other.addresses()), other.attach(one.addresses())) };
    let (there, back) = deadline("link", both).await;
    there.unwrap();
    back.unwrap();
    for (router, value) in [(&one, 1u64), (&other, 2)] {
        router.emit("x", &value).only_remote().await.unwrap();
        router.emit("x", &FENCE).only_remote().await.unwrap();
    }
    assert_eq!(until_fence(&mut at_other).await, [1]);
    assert_eq!(until_fence(&mut at_one).await, [2]);
    assert_eq!((one.peers().len(), other.peers().len()), (1, 1));
}

/// Attaching to a peer that is there already is done at once, and messages still come once.
pub async fn attaching_twice_changes_nothing(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let mut subscriptions = subscribe_all(&cluster, "x").await;
    for _ in 0..2 {
        deadline("link", cluster[1].attach(cluster[0].addresses())).await.unwrap();
        deadline("link", cluster[0].attach(cluster[1].addresses())).await.unwrap();
    }
    for value in [5, FENCE] {
        cluster[0].emit("x", &value).only_remote().await.unwrap();
    }
    assert_eq!(until_fence(&mut subscriptions[1]).await, [5]);
    assert_eq!(cluster[0].peers().len(), 1);
}

/// In a star a leaf that attaches to a leaf is refused with the rule; in the other topologies any two may be
/// linked.
pub async fn a_star_has_the_hub_at_one_end_of_every_link(fixture: &dyn Fixture) {
    let leaf = deadline("node", node(fixture, 1).open()).await.unwrap();
    let opened = deadline("answer", node(fixture, 2).attach_to(leaf.addresses()).open()).await;
    match (fixture.topology(), opened) {
        (Topology::Star, Err(Error::WrongTopology { reason, .. })) => assert!(!reason.is_empty()),
        // At a broker nobody was told to attach to a leaf.
        (Topology::Star, Ok(opened)) if meets_at_a_broker(fixture) => assert_eq!(opened.peers(), []),
        (Topology::Star, opened) => panic!("{opened:?}"),
        (_, opened) => assert_eq!(opened.unwrap().peers().len(), 1),
    }
}

/// A node that stands alone may attach to a node of any topology, and the two hear each other. At a broker it is attached to
/// everyone, which a star has no place for.
pub async fn a_node_that_stands_alone_joins_any_topology(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    if meets_at_a_broker(fixture) && fixture.topology() == Topology::Star {
        let guest = deadline("answer", node(fixture, 9).topology(Topology::Alone).open()).await;
        return assert!(matches!(guest, Err(Error::WrongTopology { .. })), "{guest:?}");
    }
    let guest = node(fixture, 9).topology(Topology::Alone).attach_to(cluster[0].addresses());
    let guest = deadline("guest", guest.open()).await.unwrap();
    let mut at_host = cluster[0].subscribe::<u64>("x").unwrap();
    let mut at_guest = guest.subscribe::<u64>("y").unwrap();
    guest.emit("x", &1u64).to(0).await.unwrap();
    assert_eq!(next(&mut at_host).await.payload, 1);
    cluster[0].wait_for_listeners("y", 1).timeout(DEADLINE).await.unwrap();
    cluster[0].emit("y", &2u64).only_remote().await.unwrap();
    assert_eq!(next(&mut at_guest).await.payload, 2);
}
