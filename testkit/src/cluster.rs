use std::{ops::Deref, sync::Arc};

use tidings_router_core::{Address, RouterBuilder, Stats, Topology};

use crate::{DEADLINE, Fixture, deadline, eventually};

/// A router, as users of the facade name it.
pub type Router = dyn tidings_router_core::Router;

/// The builder of a node with this id, on the fixture's network and in its topology.
pub fn node(fixture: &dyn Fixture, id: u32) -> RouterBuilder {
    <Router>::builder()
        .node_id(id)
        .cluster(fixture.cluster())
        .topology(fixture.topology())
        .shared_transport(fixture.transport())
        .connect_timeout(DEADLINE)
}

/// Whether nodes meet at a broker, and have no addresses of their own.
pub fn meets_at_a_broker(fixture: &dyn Fixture) -> bool {
    fixture.transport().capability().broker
}

/// The addresses to which a node that starts after `started` attaches, so that it is connected with all of
/// them when its `open` returns: the hub's in a star, else everyone's.
pub fn entrances(topology: Topology, started: &[Arc<Router>]) -> Vec<Address> {
    let hub_only = topology == Topology::Star;
    let entrances = started.iter().filter(|node| !hub_only || node.node_id().0 == 0);
    entrances.flat_map(|node| node.addresses()).collect()
}

/// Nodes 0, 1, 2, .. that are all connected with each other, directly or through the hub.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Arc<Router>>,
}

impl Cluster {
    /// Opens `count` nodes with default settings.
    pub async fn of(fixture: &dyn Fixture, count: u32) -> Self {
        Self::with(fixture, count, |builder| builder).await
    }

    /// Opens `count` nodes with the settings that `tweak` makes.
    pub async fn with(
        fixture: &dyn Fixture,
        count: u32,
        tweak: impl Fn(RouterBuilder) -> RouterBuilder,
    ) -> Self {
        Self::each(fixture, count, |_, builder| tweak(builder)).await
    }

    /// Opens `count` nodes with the settings that `tweak` makes for each id.
    pub async fn each(
        fixture: &dyn Fixture,
        count: u32,
        tweak: impl Fn(u32, RouterBuilder) -> RouterBuilder,
    ) -> Self {
        Self::started(fixture, 0..count, tweak).await
    }

    /// Opens the nodes of these ids in this order. A star's hub comes first.
    pub async fn started(
        fixture: &dyn Fixture,
        ids: impl IntoIterator<Item = u32>,
        tweak: impl Fn(u32, RouterBuilder) -> RouterBuilder,
    ) -> Self {
        let mut nodes: Vec<Arc<Router>> = Vec::new();
        for id in ids {
            let builder = tweak(id, node(fixture, id)).attach_to(entrances(fixture.topology(), &nodes));
            nodes.push(deadline("opened node", builder.open()).await.expect("a node opens"));
        }
        nodes.sort_by_key(|node| node.node_id());
        let cluster = Self { nodes };
        cluster.meet().await;
        cluster
    }

    /// Waits until every node sees every other one.
    pub async fn meet(&self) {
        for node in &self.nodes {
            let others = self.nodes.len() - 1;
            node.wait_for_peers(others).timeout(DEADLINE).await.expect("all nodes meet");
        }
    }

    /// Waits until every node knows of `count` listeners for `event` in other nodes.
    pub async fn know_listeners(&self, event: &str, count: usize) {
        for node in &self.nodes {
            let known = node.wait_for_listeners(event, count).timeout(DEADLINE);
            known.await.expect("listeners become known");
        }
    }

    /// Takes the node with the highest id out, to be shut down or dropped.
    pub fn pop(&mut self) -> Arc<Router> {
        self.nodes.pop().expect("a cluster has nodes")
    }

    /// Takes another node in.
    pub fn push(&mut self, node: Arc<Router>) {
        self.nodes.push(node);
    }

    /// Waits until every message that was sent has arrived. For clusters that lose nothing.
    pub async fn at_rest(&self) {
        let all = |count: fn(&Stats) -> u64| self.nodes.iter().map(|node| count(&node.stats())).sum::<u64>();
        let rests = || all(|stats| stats.sent) == all(|stats| stats.received);
        eventually("arrival of all that was sent", rests).await;
    }

    /// Messages dropped anywhere, for any reason.
    pub fn dropped(&self) -> u64 {
        self.nodes.iter().map(|node| node.stats().dropped.total()).sum()
    }
}

impl Deref for Cluster {
    type Target = [Arc<Router>];

    fn deref(&self) -> &[Arc<Router>] {
        &self.nodes
    }
}
