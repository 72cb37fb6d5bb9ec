//! Promise 7, the first half: nothing is dropped while a link lives, and it arrives as it was.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::{collections::BTreeMap, fmt::Debug};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::load::{check, publish};
use crate::{Cluster, DEADLINE, Fixture, Numbered, Router, deadline, eventually, next};

/// One node publishes to all others as fast as it can; every message arrives once, in order.
pub async fn burst(fixture: &dyn Fixture, peers: u32, count: u64, size: usize) {
    let cluster = Cluster::of(fixture, peers + 1).await;
    let checks: Vec<_> = (1..=peers)
        .map(|id| check(cluster[id as usize].subscribe("burst").unwrap(), id, vec![0], count))
        .collect();
    cluster[0].wait_for_listeners("burst", peers as usize).timeout(DEADLINE).await.unwrap();
    deadline("end of publishing", publish(&cluster[0], "burst", 0, count, size)).await.unwrap();
    for task in checks {
        deadline("end of listening", task).await.unwrap();
    }
    assert_eq!(cluster.dropped(), 0);
}

/// 100,000 messages of 64 bytes to three peers.
pub async fn a_burst_to_three_peers_arrives_whole(fixture: &dyn Fixture) {
    burst(fixture, 3, 100_000, 64).await;
}

/// 50 messages of 1 MiB to two peers: more than all queues hold together.
pub async fn large_messages_to_two_peers_arrive_whole(fixture: &dyn Fixture) {
    burst(fixture, 2, 50, 1 << 20).await;
}

/// Bytes of every size from none to 8 MiB come back as they went, by value and by reference.
pub async fn payloads_of_any_size_arrive_as_they_were(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let mut heard = cluster[2].subscribe::<Bytes>("blob").unwrap();
    cluster[1].wait_for_listeners("blob", 1).timeout(DEADLINE).await.unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for size in [0, 1, 8_191, 8_192, 65_536, 1 << 20, 8 << 20] {
        let blob = Bytes::from_iter(std::iter::repeat_with(|| random.u8(..)).take(size));
        deadline("emit", cluster[1].emit("blob", blob.clone())).await.unwrap();
        assert!(next(&mut heard).await.payload == blob, "{size} bytes by value");
        deadline("emit", cluster[1].emit("blob", &blob)).await.unwrap();
        assert!(next(&mut heard).await.payload == blob, "{size} bytes by reference");
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    step: u64,
    name: String,
    weights: Vec<f32>,
    parent: Option<Box<Sample>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Answer {
    Nothing,
    Number(i64),
    Pair(u8, String),
    Named { left: f64, right: Option<bool> },
}

async fn round_trip<T>(nodes: (&Router, &Router), value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + Sync + 'static,
{
    let mut heard = nodes.1.subscribe::<T>("typed").unwrap();
    nodes.0.wait_for_listeners("typed", 1).timeout(DEADLINE).await.unwrap();
    nodes.0.emit("typed", &value).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, value);
    drop(heard);
    eventually("end of interest", || nodes.0.listeners("typed") == 0).await;
}

/// Structs, tuples, options, enums, units, lists, maps and texts arrive as the values that they were.
pub async fn payloads_of_any_type_arrive_as_they_were(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let nodes = (&*cluster[0], &*cluster[1]);
    let leaf = Sample { step: u64::MAX, name: "é::*".into(), weights: vec![0.5, -1.0], parent: None };
    round_trip(nodes, Sample { parent: Some(Box::new(leaf.clone())), ..leaf }).await;
    round_trip(nodes, ("Hi".to_owned(), 3, -4i8, 'x')).await;
    round_trip(nodes, vec![Some(1u16), None]).await;
    round_trip(nodes, None::<String>).await;
    round_trip(nodes, ()).await;
    round_trip(nodes, vec![1.5f32; 100_000]).await;
    round_trip(nodes, BTreeMap::from([("a".to_owned(), vec![1u8, 2]), ("b".to_owned(), vec![])])).await;
    round_trip(nodes, String::new()).await;
    round_trip(nodes, i64::MIN).await;
    let answers = vec![
        Answer::Nothing,
        Answer::Number(-5),
        Answer::Pair(1, "two".into()),
        Answer::Named { left: f64::MAX, right: Some(true) },
    ];
    round_trip(nodes, answers).await;
}

/// Names with `::`, spaces, slashes, and 1,024 bytes of anything arrive whole.
pub async fn an_event_name_may_contain_anything_but_a_pattern(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 3).await;
    let longest = "é".repeat(512);
    for name in ["a::b", "::", "a::b::c", "with space", "x/y.z", "\u{0}", "日本", &longest] {
        let mut exact = cluster[2].subscribe::<u64>(name).unwrap();
        let mut short = cluster[2].subscribe::<u64>("a").unwrap();
        cluster[1].wait_for_listeners(name, 1).timeout(DEADLINE).await.unwrap();
        cluster[1].emit(name, &1u64).await.unwrap();
        let event = next(&mut exact).await;
        assert_eq!((&*event.name, event.payload), (name, 1));
        assert!(short.try_next().is_none());
        drop((exact, short));
        eventually("end of interest", || cluster[1].listeners(name) == 0).await;
    }
}

/// Three nodes that all send to all others lose nothing.
pub async fn nodes_that_send_to_each_other_lose_nothing(fixture: &dyn Fixture) {
    const COUNT: u64 = 10_000;
    let cluster = Cluster::with(fixture, 3, |builder| builder.queue_messages(500).window(64 << 10)).await;
    let mut tasks = Vec::new();
    for id in 0..3u32 {
        let others = (0..3).filter(|other| *other != id).collect();
        tasks.push(check(cluster[id as usize].subscribe("x").unwrap(), id, others, COUNT));
    }
    cluster.know_listeners("x", 2).await;
    let publishing: Vec<_> = (0..3).map(|id| publish(&cluster[id], "x", id as u32, COUNT, 100)).collect();
    for task in publishing {
        deadline("end of publishing", task).await.unwrap();
    }
    for task in tasks {
        deadline("end of listening", task).await.unwrap();
    }
    assert_eq!(cluster.dropped(), 0);
}

/// `sent`, `received` and `delivered` agree between the nodes and with the counters of each peer, and nothing
/// is queued at rest.
pub async fn counters_add_up(fixture: &dyn Fixture) {
    const COUNT: u64 = 1000;
    let cluster = Cluster::of(fixture, 3).await;
    let checks: Vec<_> =
        [0u32, 2].map(|id| check(cluster[id as usize].subscribe("x").unwrap(), id, vec![1], COUNT)).into();
    let mut here = cluster[1].subscribe::<Bytes>("x").unwrap();
    cluster[1].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    for number in 0..COUNT {
        let payload = Numbered { publisher: 1, number }.payload(20);
        cluster[1].emit("x", payload).await.unwrap();
        next(&mut here).await;
    }
    for task in checks {
        deadline("end of listening", task).await.unwrap();
    }
    cluster.at_rest().await;
    // A message is counted just after it was handed over.
    eventually("count of all that was delivered", || {
        cluster.iter().all(|node| node.stats().delivered == COUNT)
    })
    .await;
    let all: Vec<_> = cluster.iter().map(|node| node.stats()).collect();
    assert_eq!((all[0].received, all[2].received), (COUNT, COUNT));
    for stats in &all {
        assert_eq!(
            (stats.queued_messages, stats.queued_bytes, stats.lost, stats.dropped.total()),
            (0, 0, 0, 0)
        );
        assert_eq!(stats.sent, stats.peers.iter().map(|peer| peer.sent).sum::<u64>());
        assert_eq!(stats.received, stats.peers.iter().map(|peer| peer.received).sum::<u64>());
        assert!(stats.peers.iter().all(|peer| !peer.lagging && peer.queued_messages == 0));
    }
}
