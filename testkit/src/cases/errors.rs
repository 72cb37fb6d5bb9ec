//! Promise 10: what fails is an error of its own, at the caller, and the nodes go on.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Serialize, Serializer};
use tidings_router_core::{
    DropReason, Error, MAX_EVENT_NAME, NodeId, Result, RouterBuilder, Secret, Topology,
};

use super::load::subscribe_all;
use crate::{
    Cluster, DEADLINE, Fixture, Nowhere, Router, deadline, eventually, meets_at_a_broker, next, node,
};

/// Asserts that the first node still reaches the last one.
async fn goes_on(cluster: &Cluster) {
    let (first, last) = (&cluster[0], &cluster[cluster.len() - 1]);
    let mut heard = last.subscribe::<u64>("goes on").unwrap();
    first.wait_for_listeners("goes on", 1).timeout(DEADLINE).await.unwrap();
    first.emit("goes on", &1u64).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, 1);
}

/// A message beyond the node's own frame limit is [`Error::FrameTooLarge`] with both sizes, and reaches
/// nobody.
pub async fn a_message_beyond_the_frame_limit_is_refused(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 2, |builder| builder.max_frame(4096)).await;
    let mut heard = subscribe_all(&cluster, "x").await;
    let error = cluster[0].emit("x", Bytes::from(vec![0; 5000])).await.unwrap_err();
    match &error {
        Error::FrameTooLarge { event, size, limit } => {
            assert!(event == "x" && *size >= 5000 && *limit == 4096, "{error:?}");
        }
        error => panic!("{error:?}"),
    }
    assert!(error.to_string().contains(".max_frame("), "{error} names the setting");
    cluster[0].emit("x", &1u64).await.unwrap();
    for subscription in &mut heard {
        assert_eq!(next(subscription).await.payload, 1);
    }
}

/// A message beyond what one of the peers takes is refused too, instead of breaking the link.
pub async fn a_message_beyond_the_limit_of_a_peer_is_refused(fixture: &dyn Fixture) {
    let cluster = Cluster::each(fixture, 2, |id, builder| match id {
        1 => builder.max_frame(4096),
        _ => builder,
    })
    .await;
    let mut heard = cluster[1].subscribe::<Bytes>("x").unwrap();
    cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let emitted = deadline("emit", cluster[0].emit("x", Bytes::from(vec![0; 5000]))).await;
    assert!(matches!(emitted, Err(Error::FrameTooLarge { limit: 4096, .. })), "{emitted:?}");
    cluster[0].emit("x", Bytes::from(vec![0; 3000])).await.unwrap();
    assert_eq!(next(&mut heard).await.payload.len(), 3000);
}

/// Empty names, names of more than 1,024 bytes and patterns cannot be emitted; the first two not listened for
/// either.
pub async fn names_that_are_none_are_refused(fixture: &dyn Fixture) {
    let router = deadline("node", node(fixture, 0).open()).await.unwrap();
    let long = "x".repeat(MAX_EVENT_NAME + 1);
    for name in ["", "a*", "a?", "*", &long] {
        let error = router.emit(name, "Hi").await.unwrap_err();
        assert!(matches!(&error, Error::InvalidEvent { event, .. } if event == name), "{error:?}");
        assert!(error.to_string().len() < 300, "{error}");
    }
    for pattern in ["", &long] {
        let error = router.subscribe::<String>(pattern).unwrap_err();
        assert!(matches!(error, Error::InvalidEvent { .. }), "{error:?}");
    }
}

/// What does not want to be serialized.
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _serializer: S) -> std::result::Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("I would rather not"))
    }
}

/// A payload that cannot be encoded is [`Error::Encode`] with the reason as its source.
pub async fn a_payload_that_cannot_be_encoded_is_refused(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let _heard = cluster[1].subscribe::<Bytes>("x").unwrap();
    cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let error = cluster[0].emit("x", &Stubborn).await.unwrap_err();
    match error {
        Error::Encode { event, source } => {
            assert_eq!(event, "x");
            assert!(source.to_string().contains("I would rather not"), "{source}");
        }
        error => panic!("{error:?}"),
    }
    goes_on(&cluster).await;
}

/// A payload that is not of the listener's type is skipped and counted; the next one is heard.
pub async fn a_payload_of_another_type_is_skipped_and_counted(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let mut heard = cluster[1].subscribe::<Vec<String>>("x").unwrap();
    cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    cluster[0].emit("x", &5u64).await.unwrap();
    cluster[0].emit("x", Bytes::from_static(b"\xc1\xff\x00")).await.unwrap();
    cluster[0].emit("x", &vec!["fits"]).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, ["fits"]);
    assert_eq!(cluster[1].stats().dropped.by(DropReason::Decode), 2);
}

async fn attach(fixture: &dyn Fixture, tweaks: [fn(RouterBuilder) -> RouterBuilder; 2]) -> Result<()> {
    let host = deadline("node", tweaks[0](node(fixture, 0)).open()).await.unwrap();
    let guest = tweaks[1](node(fixture, 1)).attach_to(host.addresses());
    let opened = deadline("answer", guest.open()).await;
    if opened.is_err() {
        assert!(host.peers().is_empty(), "who was refused is no peer");
    }
    opened.map(drop)
}

/// Another secret is [`Error::WrongSecret`], which names the setting and not the secret.
pub async fn a_node_with_another_secret_is_refused(fixture: &dyn Fixture) {
    let ours = |builder: RouterBuilder| builder.secret(Secret::from_bytes([1; 32]));
    let theirs = |builder: RouterBuilder| builder.secret(Secret::from_bytes([2; 32]));
    let error = attach(fixture, [ours, theirs]).await.unwrap_err();
    assert!(matches!(error, Error::WrongSecret { .. }), "{error:?}");
    assert!(error.to_string().contains(".secret("), "{error}");
}

/// A secret on one side only is [`Error::WrongSecret`], whichever side it is.
pub async fn a_secret_on_one_side_only_is_refused(fixture: &dyn Fixture) {
    let with = |builder: RouterBuilder| builder.secret(Secret::from_bytes([1; 32]));
    let without = |builder: RouterBuilder| builder;
    for sides in [[with as fn(_) -> _, without], [without, with]] {
        let error = attach(fixture, sides).await.unwrap_err();
        assert!(matches!(error, Error::WrongSecret { .. }), "{error:?}");
    }
}

/// A star and a mesh do not mix: [`Error::WrongTopology`] with both. At a broker, who stands alone is
/// attached to everyone, as in a mesh.
pub async fn topologies_that_do_not_go_together_are_refused(fixture: &dyn Fixture) {
    for other in [Topology::Mesh, Topology::Star, Topology::Alone] {
        let host = deadline("node", node(fixture, 0).open()).await.unwrap();
        let guest = node(fixture, 1).topology(other).attach_to(host.addresses());
        // Written down here again, so that the rule of the code under test is not its own judge.
        let ours = fixture.topology();
        let fit = match meets_at_a_broker(fixture) {
            true => (ours == Topology::Star) == (other == Topology::Star),
            false => ours == other || ours == Topology::Alone || other == Topology::Alone,
        };
        match deadline("answer", guest.open()).await {
            Ok(_) => assert!(fit, "{other}"),
            Err(Error::WrongTopology { ours: guests, theirs, .. }) => {
                assert!(!fit, "{other}");
                assert_eq!((guests == Topology::Star, theirs), (other == Topology::Star, ours));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// An address where nobody listens is [`Error::Unreachable`] after the connect timeout, which it names, and
/// with the reason of the last try. On a bus there is nobody to attach to: [`Error::Setting`].
pub async fn an_address_where_nobody_listens_is_unreachable(fixture: &dyn Fixture) {
    if meets_at_a_broker(fixture) {
        return broker_is_no_peer(fixture).await;
    }
    let nowhere = Nowhere::new(fixture).await;
    let limit = Duration::from_millis(300);
    let start = Instant::now();
    let lonely = node(fixture, 1).connect_timeout(limit).attach_to([nowhere.address()]);
    let error = deadline("end of the attempts", lonely.open()).await.unwrap_err();
    let took = start.elapsed();
    match error {
        Error::Unreachable { address, after, source } => {
            assert_eq!((address, after), (nowhere.address(), limit));
            assert!(source.is_some());
        }
        error => panic!("{error:?}"),
    }
    assert!(took >= limit && took < limit + Duration::from_secs(1), "{took:?}");
}

async fn broker_is_no_peer(fixture: &dyn Fixture) {
    let address = format!("{}://alice:hunter2@127.0.0.1:1", fixture.transport().scheme());
    let error = deadline("answer", node(fixture, 1).attach_to([address]).open()).await.unwrap_err();
    assert!(matches!(&error, Error::Setting { setting, .. } if setting == "attach_to"), "{error:?}");
    assert_says_nothing_secret(&error);
}

fn assert_says_nothing_secret(error: &Error) {
    let said = format!("{error} {error:?}");
    assert!(!said.contains("hunter2") && !said.contains("alice"), "{said}");
}

/// Text that is no address is [`Error::InvalidAddress`] with the reason.
pub async fn an_address_without_a_scheme_is_none(fixture: &dyn Fixture) {
    for text in ["nonsense", "smoke://signal", "tcp://host", "tcp://host:99999", "ipc://", ""] {
        let opened = deadline("answer", node(fixture, 0).attach_to([text]).open()).await;
        match opened.unwrap_err() {
            Error::InvalidAddress { input, reason } => assert!(input == text && !reason.is_empty()),
            error => panic!("{text}: {error:?}"),
        }
    }
}

/// An address that no transport of this router serves is [`Error::TransportDisabled`] with the cargo feature, and without
/// the password that stands in it.
pub async fn an_address_of_a_transport_that_is_not_there_names_the_feature(fixture: &dyn Fixture) {
    let absent = [
        ("redis://alice:hunter2@127.0.0.1:6379", "redis"),
        ("nats://alice:hunter2@127.0.0.1:1", "nats"),
        ("zmq+tcp://127.0.0.1:1", "zmq"),
    ];
    let absent = absent.into_iter().filter(|(_, feature)| !fixture.transport().scheme().starts_with(feature));
    for (address, feature) in absent.clone() {
        let opened = deadline("answer", node(fixture, 0).attach_to([address]).open()).await;
        let error = opened.unwrap_err();
        assert!(
            matches!(error, Error::TransportDisabled { feature: named, .. } if named == feature),
            "{error:?}"
        );
        assert_says_nothing_secret(&error);
    }
    let router = deadline("node", node(fixture, 0).open()).await.unwrap();
    for (address, feature) in absent {
        let attached = deadline("answer", router.attach(vec![address.parse().unwrap()])).await;
        let error = attached.unwrap_err();
        assert!(
            matches!(error, Error::TransportDisabled { feature: named, .. } if named == feature),
            "{error:?}"
        );
        assert_says_nothing_secret(&error);
    }
}

/// A node that attaches to itself is told so instead of hearing itself. On a bus it has no address to do so.
pub async fn attaching_to_oneself_is_refused(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    if !meets_at_a_broker(fixture) {
        let attached = deadline("answer", cluster[0].attach(cluster[0].addresses())).await;
        let refused = matches!(attached, Err(Error::DuplicateNodeId { .. } | Error::Refused { .. }));
        assert!(refused, "{attached:?}");
    }
    let ids: Vec<_> = cluster[0].peers().iter().map(|peer| peer.node_id).collect();
    assert_eq!(ids, [NodeId(1)]);
    goes_on(&cluster).await;
}

/// A setting that cannot be is [`Error::Setting`] with its name, before anything is opened.
pub async fn settings_that_cannot_be_are_refused(fixture: &dyn Fixture) {
    type Tweak = fn(RouterBuilder) -> RouterBuilder;
    let wrong: [(&str, Tweak); 10] = [
        ("node_id", |builder| builder.node_id(u32::MAX)),
        ("cluster", |builder| builder.cluster("")),
        ("cluster", |builder| builder.cluster("x".repeat(256))),
        ("labels", |builder| builder.labels(["x".repeat(256)])),
        ("labels", |builder| builder.labels(vec!["x"; 65])),
        ("max_frame", |builder| builder.max_frame(10)),
        ("queue_bytes", |builder| builder.queue_bytes(0)),
        ("queue_messages", |builder| builder.queue_messages(0)),
        ("window", |builder| builder.window(0)),
        ("heartbeat", |builder| builder.heartbeat(Duration::from_secs(2), Duration::from_secs(1))),
    ];
    for (name, tweak) in wrong {
        let opened = deadline("answer", tweak(node(fixture, 0)).open()).await;
        assert!(
            matches!(&opened, Err(Error::Setting { setting, .. }) if setting == name),
            "{name}: {opened:?}"
        );
    }
    let router: Result<std::sync::Arc<Router>> = deadline("node", node(fixture, 0).open()).await;
    let router = router.unwrap();
    eventually("node that is alone", || router.peers().is_empty()).await;
}
