//! Promise 2: whom an event reaches.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use tidings_router_core::{Error, NodeId, Scope};

use super::{
    FENCE,
    load::{subscribe_all, until_fence},
};
use crate::{Cluster, Fixture, next};

/// Emits one value in a scope from node 1 of three, and returns what each node's listener heard.
async fn heard_of(fixture: &dyn Fixture, scope: Scope) -> [Vec<u64>; 3] {
    let cluster = Cluster::of(fixture, 3).await;
    let mut subscriptions = subscribe_all(&cluster, "x").await;
    cluster[1].emit("x", &7u64).scope(scope).await.unwrap();
    cluster[1].emit("x", &FENCE).await.unwrap();
    let mut heard = [vec![], vec![], vec![]];
    for (values, subscription) in heard.iter_mut().zip(&mut subscriptions) {
        *values = until_fence(subscription).await;
    }
    assert!(subscriptions.iter_mut().all(|subscription| subscription.try_next().is_none()));
    heard
}

/// Without a scope an event reaches all listeners, those of this process included, each once.
pub async fn an_event_reaches_every_listener_in_every_node_once(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let mut first = subscribe_all(&cluster, "x").await;
    let mut second: Vec<_> = cluster.iter().map(|node| node.subscribe::<u64>("x").unwrap()).collect();
    cluster.know_listeners("x", 4).await;
    for (id, node) in (0u64..).zip(cluster.iter()) {
        node.emit("x", &id).await.unwrap();
        node.emit("x", &FENCE).await.unwrap();
    }
    for subscription in first.iter_mut().chain(&mut second) {
        let (mut values, mut fences) = (Vec::new(), 0);
        while fences < 3 {
            match next(subscription).await.payload {
                FENCE => fences += 1,
                value => values.push(value),
            }
        }
        values.sort_unstable();
        assert_eq!(values, [0, 1, 2]);
    }
}

/// `only_local` reaches this process's listeners and nobody else's.
pub async fn only_local_stays_in_this_process(fixture: &dyn Fixture) {
    assert_eq!(heard_of(fixture, Scope::Local).await, [vec![], vec![7], vec![]]);
}

/// `only_remote` reaches everyone's listeners but this process's.
pub async fn only_remote_skips_this_process(fixture: &dyn Fixture) {
    assert_eq!(heard_of(fixture, Scope::Remote).await, [vec![7], vec![], vec![7]]);
}

/// `to` reaches the listeners of one node.
pub async fn to_names_one_node(fixture: &dyn Fixture) {
    assert_eq!(heard_of(fixture, Scope::Node(NodeId(2))).await, [vec![], vec![], vec![7]]);
    assert_eq!(heard_of(fixture, Scope::Node(NodeId(0))).await, [vec![7], vec![], vec![]]);
}

/// `to` this node itself is like `only_local`.
pub async fn to_this_node_reaches_only_this_process(fixture: &dyn Fixture) {
    assert_eq!(heard_of(fixture, Scope::Node(NodeId(1))).await, [vec![], vec![7], vec![]]);
}

/// `to` a node that is not there is [`Error::UnknownNode`], which names the node and the event.
pub async fn to_an_unknown_node_is_an_error(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let error = cluster[0].emit("x", &1u64).to(99).await.unwrap_err();
    match &error {
        Error::UnknownNode { node_id, event } => assert_eq!((*node_id, event.as_str()), (NodeId(99), "x")),
        error => panic!("{error:?}"),
    }
    assert!(error.is_retryable(), "the node may come");
}

/// A message does not come back to who emitted it, by whatever way.
pub async fn a_message_is_never_echoed_to_its_sender(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let mut subscriptions = subscribe_all(&cluster, "x").await;
    for value in 0..100u64 {
        cluster[2].emit("x", &value).only_remote().await.unwrap();
    }
    cluster[2].emit("x", &FENCE).only_remote().await.unwrap();
    for subscription in &mut subscriptions[..2] {
        assert_eq!(until_fence(subscription).await, Vec::from_iter(0..100));
    }
    // An answer goes the way that an echo would have gone, behind it.
    cluster[0].emit("x", &FENCE).only_remote().await.unwrap();
    assert_eq!(until_fence(&mut subscriptions[2]).await, []);
    assert_eq!(cluster[2].stats().received, 1);
}

/// An event carries the name that it was emitted under, not the listener's pattern, and its source, also when
/// the hub has forwarded it.
pub async fn an_event_says_its_name_and_who_emitted_it(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let mut heard = cluster[2].subscribe::<u64>("loss.*").unwrap();
    cluster[1].wait_for_listeners("loss.train", 1).timeout(crate::DEADLINE).await.unwrap();
    cluster[1].emit("loss.train", &4u64).await.unwrap();
    let event = next(&mut heard).await;
    assert_eq!((&*event.name, event.source, event.payload), ("loss.train", NodeId(1), 4));
}
