//! Promise 6: first in, first out per publisher and listener.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use bytes::Bytes;

use super::load::{check, publish};
use crate::{Cluster, DEADLINE, Fixture, Numbered, deadline};

/// Three nodes publish at the same time, three listeners each hear each publisher in order.
pub async fn publishers_at_the_same_time_are_each_heard_in_order(fixture: &dyn Fixture) {
    const COUNT: u64 = 3000;
    let cluster = Cluster::of(fixture, 3).await;
    let mut checks = Vec::new();
    for id in 0..3u32 {
        let publishers = (0..3).filter(|publisher| *publisher != id).collect();
        let subscription = cluster[id as usize].subscribe("x").unwrap();
        checks.push(check(subscription, id, publishers, COUNT));
    }
    cluster.know_listeners("x", 2).await;
    let publishing: Vec<_> = (0..3).map(|id| publish(&cluster[id], "x", id as u32, COUNT, 40)).collect();
    for task in publishing {
        deadline("end of publishing", task).await.unwrap();
    }
    for task in checks {
        deadline("end of listening", task).await.unwrap();
    }
}

/// Several tasks of one node publish at the same time; what each of them emits stays in order, here and
/// elsewhere.
pub async fn tasks_of_one_node_are_each_heard_in_order(fixture: &dyn Fixture) {
    const COUNT: u64 = 2000;
    let cluster = Cluster::of(fixture, 3).await;
    let tasks: Vec<u32> = (10..14).collect();
    let checks: Vec<_> = (0..3)
        .map(|id| check(cluster[id as usize].subscribe("x").unwrap(), id, tasks.clone(), COUNT))
        .collect();
    cluster[1].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    let publishing: Vec<_> = tasks
        .iter()
        .map(|publisher| {
            let (router, publisher) = (cluster[1].clone(), *publisher);
            tokio::spawn(async move {
                for number in 0..COUNT {
                    router.emit("x", Numbered { publisher, number }.payload(64)).await.unwrap();
                }
            })
        })
        .collect();
    for task in publishing {
        deadline("end of publishing", task).await.unwrap();
    }
    for task in checks {
        deadline("end of listening", task).await.unwrap();
    }
}

/// Messages of very different sizes do not overtake each other.
pub async fn small_and_large_messages_keep_their_order(fixture: &dyn Fixture) {
    const COUNT: u64 = 300;
    let sizes = [0, 100, 9_000, 64, 200_000, 12, 12, 70_000, 8_192, 65_536];
    let cluster = Cluster::of(fixture, 3).await;
    let checks = [
        check(cluster[0].subscribe("x").unwrap(), 0, vec![1], COUNT),
        check(cluster[2].subscribe("x").unwrap(), 2, vec![1], COUNT),
    ];
    cluster[1].wait_for_listeners("x", 2).timeout(DEADLINE).await.unwrap();
    for number in 0..COUNT {
        let payload = Numbered { publisher: 1, number }.payload(sizes[number as usize % sizes.len()]);
        if number % 2 == 0 {
            cluster[1].emit("x", payload).await.unwrap();
        } else {
            cluster[1].emit("x", &payload).await.unwrap();
        }
    }
    for task in checks {
        deadline("end of listening", task).await.unwrap();
    }
}

/// One listener with a pattern hears one publisher's events of different names in the order of their
/// emission.
pub async fn events_of_different_names_keep_their_order(fixture: &dyn Fixture) {
    const COUNT: u64 = 2000;
    let cluster = Cluster::of(fixture, 3).await;
    let pattern = cluster[2].subscribe::<Bytes>("x.*").unwrap();
    let listening = check(pattern, 2, vec![1], COUNT);
    cluster[1].wait_for_listeners("x.0", 1).timeout(DEADLINE).await.unwrap();
    for number in 0..COUNT {
        let event = format!("x.{}", number % 7);
        cluster[1].emit(&event, Numbered { publisher: 1, number }.payload(30)).await.unwrap();
    }
    deadline("end of listening", listening).await.unwrap();
}
