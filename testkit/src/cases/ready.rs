//! Promise 5: the first message is not lost.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::time::Duration;

use tidings_router_core::{DropReason, Error, ListenOptions, Topology};

use crate::{Cluster, DEADLINE, Fixture, deadline, entrances, eventually, next, node};

/// A first moment that is longer than the test.
const LONG: Duration = Duration::from_secs(60);

/// A node emits right after its `open`; a listener that was there before it hears that.
pub async fn the_first_message_after_open_is_heard(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    let mut heard = first.subscribe::<u64>("hello").unwrap();
    for id in 1..=20u32 {
        let builder = node(fixture, id).attach_to(first.addresses());
        let newcomer = deadline("node", builder.open()).await.unwrap();
        newcomer.emit("hello", &u64::from(id)).only_remote().await.unwrap();
        assert_eq!(next(&mut heard).await.payload, u64::from(id));
    }
}

/// A node emits right after its `open`; who begins to listen in the first moment hears that.
pub async fn the_first_message_is_kept_for_a_listener_that_comes_later(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).hold(LONG).open()).await.unwrap();
    let newcomer = node(fixture, 1).attach_to(first.addresses());
    let newcomer = deadline("node", newcomer.open()).await.unwrap();
    for value in 0..10u64 {
        newcomer.emit("hello", &value).only_remote().await.unwrap();
    }
    let mut heard = first.subscribe::<u64>("hel*").unwrap();
    for value in 0..10 {
        assert_eq!(next(&mut heard).await.payload, value);
    }
}

/// A message to a node that has just joined is heard, whether its listener is there already or comes in the
/// first moment.
pub async fn the_first_message_to_a_node_that_has_just_joined_is_kept(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).hold(LONG).open()).await.unwrap();
    for (id, listens_first) in [(1, true), (2, false), (3, true), (4, false)] {
        let newcomer = node(fixture, id).hold(LONG).attach_to(first.addresses());
        let newcomer = deadline("node", newcomer.open()).await.unwrap();
        let early = listens_first.then(|| newcomer.subscribe::<u32>("hello").unwrap());
        let joined = || first.peers().iter().any(|peer| peer.node_id.0 == id);
        eventually("new peer", joined).await;
        first.emit("hello", &id).only_remote().await.unwrap();
        let mut heard = early.unwrap_or_else(|| newcomer.subscribe::<u32>("hello").unwrap());
        assert_eq!(next(&mut heard).await.payload, id);
        newcomer.shutdown(DEADLINE).await;
        eventually("farewell", || first.peers().is_empty()).await;
    }
}

/// Four nodes start in different orders. Each subscribes and greets as soon as it is open: everyone who was
/// there before hears it, and after the last one has come, everybody hears everybody.
pub async fn first_messages_are_heard_in_any_start_order(fixture: &dyn Fixture) {
    let mut orders = vec![vec![0, 1, 2, 3], vec![0, 3, 1, 2], vec![0, 2, 3, 1]];
    if fixture.topology() != Topology::Star {
        orders.extend([vec![3, 2, 1, 0], vec![2, 0, 3, 1]]);
    }
    for order in orders {
        let mut nodes = Vec::new();
        let mut heard = Vec::new();
        for (place, id) in order.iter().enumerate() {
            let builder = node(fixture, *id).attach_to(entrances(fixture.topology(), &nodes));
            let newcomer = deadline("node", builder.open()).await.unwrap();
            heard.push(newcomer.subscribe::<u32>("hello").unwrap());
            newcomer.emit("hello", id).only_remote().await.unwrap();
            nodes.push(newcomer);
            for earlier in &mut heard[..place] {
                assert_eq!(next(earlier).await.payload, *id, "in the order {order:?}");
            }
        }
        for (id, router) in order.iter().zip(&nodes) {
            router.emit("hello", &(100 + id)).only_remote().await.unwrap();
        }
        for (id, subscription) in order.iter().zip(&mut heard) {
            let mut greeted: Vec<u32> = Vec::new();
            while greeted.len() < 3 {
                // A greeting of the first round may have been kept for who came later.
                let value = next(subscription).await.payload;
                greeted.extend(Some(value).filter(|value| *value >= 100));
            }
            greeted.sort_unstable();
            let others: Vec<_> = (0..4).filter(|other| other != id).map(|other| 100 + other).collect();
            assert_eq!(greeted, others, "at node {id} in the order {order:?}");
        }
    }
}

/// `on` and then `wait_for`: what comes between the two is had by both.
pub async fn a_listener_for_one_message_may_take_what_another_has_had(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).hold(LONG).open()).await.unwrap();
    let newcomer = node(fixture, 1).attach_to(first.addresses());
    let mut handler = first.subscribe::<u64>("greeting").unwrap();
    let newcomer = deadline("node", newcomer.open()).await.unwrap();
    newcomer.emit("greeting", &1u64).only_remote().await.unwrap();
    assert_eq!(next(&mut handler).await.payload, 1);
    let mut waiting = first.listen("greeting", ListenOptions::once()).unwrap();
    let envelope = deadline("greeting", waiting.next()).await.unwrap();
    assert_eq!(envelope.decode::<u64>().unwrap(), 1);
}

/// What was kept for the first moment and claimed by nobody is counted, all of it.
pub async fn what_nobody_claims_is_counted(fixture: &dyn Fixture) {
    let first = node(fixture, 0).hold(Duration::from_millis(100));
    let first = deadline("node", first.open()).await.unwrap();
    let newcomer = node(fixture, 1).attach_to(first.addresses());
    let newcomer = deadline("node", newcomer.open()).await.unwrap();
    for value in 0..100u64 {
        newcomer.emit("nobody", &value).only_remote().await.unwrap();
    }
    eventually("end of the first moment", || {
        let stats = first.stats();
        stats.dropped.by(DropReason::Unclaimed) == newcomer.stats().sent
    })
    .await;
    assert_eq!(first.stats().delivered, 0);
}

/// `wait_for_peers` is over when so many are there, and at once when they are there already.
pub async fn waiting_for_peers_ends_when_they_are_there(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    let waiting = {
        let first = first.clone();
        tokio::spawn(async move { first.wait_for_peers(2).timeout(DEADLINE).await })
    };
    let mut others = Vec::new();
    for id in 1..=2 {
        let builder = node(fixture, id).attach_to(first.addresses());
        others.push(deadline("node", builder.open()).await.unwrap());
    }
    deadline("end of waiting", waiting).await.unwrap().unwrap();
    first.wait_for_peers(2).timeout(DEADLINE).await.unwrap();
}

/// `wait_for_listeners` is over when other nodes have so many, patterns included.
pub async fn waiting_for_listeners_ends_when_they_are_there(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let waiting = {
        let node = cluster[1].clone();
        tokio::spawn(async move { node.wait_for_listeners("greeting", 3).timeout(DEADLINE).await })
    };
    let _here = cluster[1].subscribe::<u64>("greeting").unwrap();
    let _there = [
        cluster[0].subscribe::<u64>("greeting").unwrap(),
        cluster[2].subscribe::<u64>("greet*").unwrap(),
        cluster[2].subscribe::<u64>("greeting").unwrap(),
    ];
    deadline("end of waiting", waiting).await.unwrap().unwrap();
    assert_eq!(cluster[1].listeners("greeting"), 3, "those of this node do not count");
}

/// Nobody will ever listen for an empty name, and a pattern is none: waiting for that would never end.
pub async fn waiting_for_listeners_of_what_is_no_event_is_an_error(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 1).await;
    for event in ["", "a*"] {
        let error =
            deadline("answer", cluster[0].wait_for_listeners(event, 1).into_future()).await.unwrap_err();
        assert!(matches!(error, Error::InvalidEvent { .. }), "{error:?}");
    }
}

/// A wait that is not over in time is [`Error::Timeout`] and says what for.
pub async fn waiting_in_vain_is_a_timeout(fixture: &dyn Fixture) {
    let router = deadline("node", node(fixture, 0).open()).await.unwrap();
    let limit = Duration::from_millis(30);
    let error = router.wait_for_peers(3).timeout(limit).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { after, .. } if *after == limit), "{error:?}");
    assert_eq!(error.to_string(), "no 3 peers within 30ms");
    let error = router.wait_for_listeners("x", 1).timeout(limit).await.unwrap_err();
    assert_eq!(error.to_string(), "no 1 listeners of `x` within 30ms");
}
