//! A node that waits for one peer and has others already: its first moment begins when it is all there.

use std::{sync::Arc, time::Duration};

use tidings::{RouterBuilder, prelude::*};
use tidings_testkit::{DEADLINE, deadline, eventually, next, tokio};

/// How long a first moment is: long enough for what has to be done in it, also on a machine that is busy.
const MOMENT: Duration = Duration::from_secs(1);

/// Over is it when what nobody listens for is sent to nobody.
async fn moment_is_over(node: &Arc<Router>) {
    eventually("end of the first moment", || {
        let before = node.stats().sent;
        // Full is no answer.
        let emitted = node.emit("nobody", &()).only_remote().try_now();
        emitted.is_ok() && node.stats().sent == before
    })
    .await;
}

#[tokio::test]
async fn what_comes_while_a_node_still_waits_for_others_is_kept_for_it() {
    let network = Memory::network();
    let open = async |builder: RouterBuilder| {
        let builder = builder.hold(MOMENT).transport(network.clone());
        deadline("node", builder.open()).await.unwrap()
    };
    let first = open(Router::builder().node_id(0)).await;
    let gone = open(Router::builder().node_id(2)).await;
    let addresses = [first.addresses(), gone.addresses()].concat();
    gone.shutdown(DEADLINE).await;

    // It never gets through to all, and so is not there yet.
    let second = open(Router::builder().node_id(1)).await;
    let attaching = {
        let second = Arc::clone(&second);
        tokio::spawn(async move { second.attach(addresses).await })
    };
    deadline("peer", first.wait_for_peers(1)).await.unwrap();
    first.emit("hello", &7_u64).only_remote().try_now().unwrap();
    moment_is_over(&first).await;
    let mut heard = second.subscribe::<u64>("hello").unwrap();
    assert_eq!(next(&mut heard).await.payload, 7);
    assert!(!attaching.is_finished());
    attaching.abort();
}

#[tokio::test]
async fn nodes_that_have_known_each_other_for_long_hear_what_they_say_first() {
    let network = Memory::network();
    let open = async |builder: RouterBuilder| {
        let builder = builder.hold(MOMENT).transport(network.clone());
        deadline("node", builder.open()).await.unwrap()
    };
    let nodes = [open(Router::builder().node_id(0)).await, open(Router::builder().node_id(1)).await];
    deadline("link", nodes[1].attach(nodes[0].addresses())).await.unwrap();
    moment_is_over(&nodes[1]).await;
    // What both waited for is there now.
    let last = open(Router::builder().node_id(2)).await;
    for node in nodes.iter().rev() {
        deadline("link", node.attach(last.addresses())).await.unwrap();
    }
    nodes[1].emit("hello", &7_u64).only_remote().try_now().unwrap();
    let mut heard = nodes[0].subscribe::<u64>("hello").unwrap();
    assert_eq!(next(&mut heard).await.payload, 7);
}
