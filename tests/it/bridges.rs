//! Nodes that stand on two transports at once.

use std::sync::Arc;

use tidings::{
    NodeId, Router, Topology,
    transport::{Ipc, Memory, Redis},
};
use tidings_testkit::{Broker, DEADLINE, PrivateDir, RedisServer, deadline, next, run};

/// Every node emits, and hears every other one once, and nothing after that.
async fn all_hear_all_once(nodes: &[Arc<Router>]) {
    let mut heard: Vec<_> = nodes.iter().map(|node| node.subscribe::<u32>("x").unwrap()).collect();
    for node in nodes {
        node.wait_for_peers(nodes.len() - 1).timeout(DEADLINE).await.unwrap();
        node.wait_for_listeners("x", nodes.len() - 1).timeout(DEADLINE).await.unwrap();
    }
    for round in 0..2 {
        for node in nodes {
            node.emit("x", &(node.node_id().0 + 100 * round)).only_remote().await.unwrap();
        }
    }
    for (node, heard) in nodes.iter().zip(&mut heard) {
        let mut values = Vec::new();
        for _ in 0..2 * (nodes.len() - 1) {
            values.push(next(heard).await.payload);
        }
        values.sort_unstable();
        let others = || nodes.iter().map(|node| node.node_id().0).filter(|id| *id != node.node_id().0);
        let expected: Vec<_> = others().chain(others().map(|id| id + 100)).collect();
        assert_eq!(values, expected, "at node {}", node.node_id());
        assert!(heard.try_next().is_none(), "a message came twice");
    }
}

/// Two machines of three workers each: sockets within a machine, a Redis server between the two.
#[test]
fn workers_of_one_machine_speak_over_sockets_and_machines_over_redis() {
    run("two machines", || async {
        let mut server = RedisServer::start();
        let machines = [PrivateDir::new(), PrivateDir::new()];
        let mut nodes: Vec<Arc<Router>> = Vec::new();
        for id in 0..6u32 {
            let here = &machines[id as usize / 3];
            let ipc = Ipc::bind(here.join(format!("{id}.sock")));
            let entrance = nodes.iter().filter(|node| node.node_id().0 / 3 == id / 3).take(1);
            let builder = Router::builder()
                .node_id(id)
                .transport(ipc)
                .transport(Redis::connect(server.url()))
                .connect_timeout(DEADLINE)
                .attach_to(entrance.flat_map(|node| node.addresses()));
            nodes.push(deadline("node", builder.open()).await.unwrap());
        }
        all_hear_all_once(&nodes).await;
        // Within a machine nothing goes through the server.
        server.kill();
        for (from, to) in [(1, 2), (2, 0), (3, 5), (4, 3)] {
            let mut heard = nodes[to].subscribe::<usize>("local").unwrap();
            nodes[from].wait_for_listeners("local", 1).timeout(DEADLINE).await.unwrap();
            nodes[from].emit("local", &from).to(NodeId(to as u32)).await.unwrap();
            assert_eq!(next(&mut heard).await.payload, from);
        }
    });
}

/// The hub of a star stands on both: who is on one hears who is on the other.
#[test]
fn a_hub_on_two_transports_passes_events_between_them_once() {
    run("hub", || async {
        let (network, broker) = (Memory::network(), Broker::default());
        let builder =
            |id: u32| Router::builder().node_id(id).topology(Topology::Star).connect_timeout(DEADLINE);
        let hub = builder(0).transport(network.clone()).transport(broker.clone());
        let mut nodes = vec![deadline("hub", hub.open()).await.unwrap()];
        for id in 1..3 {
            let leaf = builder(id).transport(network.clone()).attach_to(nodes[0].addresses());
            nodes.push(deadline("leaf", leaf.open()).await.unwrap());
        }
        for id in 3..5 {
            nodes.push(deadline("leaf", builder(id).transport(broker.clone()).open()).await.unwrap());
        }
        all_hear_all_once(&nodes).await;
        assert_eq!(
            nodes[4].peers().iter().find(|peer| peer.node_id == NodeId(1)).unwrap().via,
            Some(NodeId::HUB)
        );
        assert_eq!(nodes[4].topology(), Topology::Star);
    });
}
