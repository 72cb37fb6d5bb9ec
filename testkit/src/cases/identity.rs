//! Promise 1: who a node is.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use tidings_router_core::{Error, NodeId, Secret};

use super::{FENCE, load::until_fence};
use crate::{Cluster, DEADLINE, Fixture, deadline, entrances, eventually, meets_at_a_broker, node};

/// A node says its id, cluster, labels, topology and life, and its peers see the same.
pub async fn a_node_says_who_it_is(fixture: &dyn Fixture) {
    let cluster = Cluster::each(fixture, 3, |id, builder| {
        builder.cluster("who").labels([format!("role.{id}"), "gpu".to_owned()])
    })
    .await;
    for (id, node) in (0..).zip(cluster.iter()) {
        assert_eq!(node.node_id(), NodeId(id));
        assert_eq!(node.cluster(), "who");
        assert_eq!(node.topology(), fixture.topology());
        assert_eq!(node.labels(), [format!("role.{id}"), "gpu".to_owned()]);
        let ids: Vec<_> = node.peers().iter().map(|peer| peer.node_id.0).collect();
        let others: Vec<_> = (0..3).filter(|other| *other != id).collect();
        assert_eq!(ids, others, "peers are listed by id");
        for peer in node.peers() {
            let other = &cluster[peer.node_id.0 as usize];
            assert_eq!(peer.incarnation, other.incarnation());
            assert_eq!(&*peer.labels, other.labels());
            if !meets_at_a_broker(fixture) {
                assert_eq!(peer.address, other.addresses().first().cloned());
            }
        }
    }
}

/// An address has the transport's scheme and the real port, and no two nodes have the same. On a bus there is none.
pub async fn addresses_are_what_the_node_really_listens_on(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    if meets_at_a_broker(fixture) {
        return assert_eq!(cluster[0].addresses(), []);
    }
    for node in cluster.iter() {
        assert!(!node.addresses().is_empty());
        for address in node.addresses() {
            assert_eq!(address.scheme(), fixture.transport().scheme());
            assert!(!address.target().ends_with(":0"), "{address} has no real port");
        }
    }
    assert_ne!(cluster[0].addresses(), cluster[1].addresses());
}

/// Two clusters on one network, with the same node ids and events, hear nothing of each other.
pub async fn clusters_never_hear_each_other(fixture: &dyn Fixture) {
    let red = Cluster::with(fixture, 2, |builder| builder.cluster("red")).await;
    let blue = Cluster::with(fixture, 2, |builder| builder.cluster("blue")).await;
    let mut in_red = red[1].subscribe::<u64>("*").unwrap();
    let mut in_blue = blue[1].subscribe::<u64>("*").unwrap();
    for (cluster, value) in [(&red, 1u64), (&blue, 2)] {
        cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        cluster[0].emit("x", &value).await.unwrap();
        cluster[0].emit("x", &FENCE).await.unwrap();
    }
    assert_eq!(until_fence(&mut in_red).await, [1]);
    assert_eq!(until_fence(&mut in_blue).await, [2]);
    assert!(in_red.try_next().is_none() && in_blue.try_next().is_none());
    assert_eq!((red[0].peers().len(), blue[0].peers().len()), (1, 1));
}

/// Attaching to a node of another cluster is [`Error::WrongCluster`], at once, and disturbs nobody. On a bus the two
/// never meet.
pub async fn a_node_of_another_cluster_is_refused(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 2, |builder| builder.cluster("red")).await;
    let stranger = node(fixture, 7).cluster("blue").attach_to(cluster[0].addresses());
    let opened = deadline("answer", stranger.open()).await;
    if meets_at_a_broker(fixture) {
        assert_eq!(opened.unwrap().peers(), []);
        return assert_eq!(cluster[0].peers().len(), 1);
    }
    let error = opened.unwrap_err();
    assert!(matches!(&error, Error::WrongCluster { ours, .. } if ours == "blue"), "{error:?}");
    assert_eq!(cluster[0].peers().len(), 1);
}

/// A second node with the id of a live one is [`Error::DuplicateNodeId`], and the first one stays.
pub async fn a_node_id_that_is_taken_is_refused(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let twin = node(fixture, 1).attach_to(cluster[0].addresses());
    let error = deadline("refusal", twin.open()).await.unwrap_err();
    assert!(matches!(error, Error::DuplicateNodeId { node_id: NodeId(1), .. }), "{error:?}");
    let peers = cluster[0].peers();
    assert_eq!(peers.iter().map(|peer| peer.incarnation).collect::<Vec<_>>(), [cluster[1].incarnation()]);
    let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
    cluster[0].emit("x", &1u64).to(1).await.unwrap();
    assert_eq!(crate::next(&mut heard).await.payload, 1);
}

/// A node with the id of the very node that it attaches to is [`Error::DuplicateNodeId`].
pub async fn the_id_of_the_node_that_is_attached_to_is_refused(fixture: &dyn Fixture) {
    let first = deadline("node", node(fixture, 0).open()).await.unwrap();
    let twin = node(fixture, 0).attach_to(first.addresses());
    let error = deadline("refusal", twin.open()).await.unwrap_err();
    assert!(matches!(error, Error::DuplicateNodeId { node_id: NodeId(0), .. }), "{error:?}");
    assert!(first.peers().is_empty());
}

/// A node that was started again is not its old self: it has a new incarnation, under which its peers know
/// it.
pub async fn a_restarted_node_replaces_its_old_self(fixture: &dyn Fixture) {
    let mut cluster = Cluster::of(fixture, 3).await;
    let old = cluster.pop();
    let before = old.incarnation();
    drop(old);
    eventually("farewell", || cluster.iter().all(|node| node.peers().len() == 1)).await;
    let again = node(fixture, 2).attach_to(entrances(fixture.topology(), &cluster));
    cluster.push(deadline("restarted node", again.open()).await.unwrap());
    assert_ne!(cluster[2].incarnation(), before);
    cluster.meet().await;
    for node in &cluster[..2] {
        let peer = node.peers().into_iter().find(|peer| peer.node_id == NodeId(2)).unwrap();
        assert_eq!(peer.incarnation, cluster[2].incarnation());
    }
    let mut heard = cluster[2].subscribe::<u64>("x").unwrap();
    cluster[1].emit("x", &5u64).to(2).await.unwrap();
    assert_eq!(crate::next(&mut heard).await.payload, 5);
}

/// A cluster with a secret works like one without.
pub async fn nodes_that_hold_the_same_secret_connect(fixture: &dyn Fixture) {
    let cluster = Cluster::with(fixture, 3, |builder| builder.secret(Secret::from_bytes([7; 32]))).await;
    let mut heard = cluster[2].subscribe::<u64>("x").unwrap();
    cluster[1].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    cluster[1].emit("x", &9u64).await.unwrap();
    assert_eq!(crate::next(&mut heard).await.payload, 9);
}

/// Neither the secret nor whoever holds it shows it in `Debug`.
pub async fn a_secret_is_never_printed(fixture: &dyn Fixture) {
    let text = b"correct horse battery staple, said nobody";
    let secret = Secret::try_from(&text[..]).unwrap();
    let builder = node(fixture, 0).secret(secret.clone());
    let mut printed = vec![format!("{secret:?}"), format!("{builder:#?}")];
    let router = deadline("node", builder.open()).await.unwrap();
    printed.push(format!("{router:#?}"));
    let numbers = format!("{:?}", &text[..4]);
    for output in printed {
        let compact: String = output.split_whitespace().collect();
        assert!(!output.contains("horse"), "{output}");
        assert!(!compact.contains(numbers.replace(' ', "").trim_matches(['[', ']'])), "{output}");
    }
}
