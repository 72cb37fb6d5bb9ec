//! Three nodes, of which two attach to the first: whom the last one reaches then in each topology.

use std::time::Duration;
use tidings::prelude::*;

fn main() -> Result<()> {
    // Alone: only what it attached to. Mesh: it learned of node 1 and dialled it. Star: node 0 forwards.
    for (topology, peers) in [(Alone, 1), (Mesh, 2), (Star, 2)] {
        let network = Memory::network();
        let node = |id: u32| Router::builder().node_id(id).topology(topology).transport(network.clone());
        let zero = node(0).open().wait()?;
        let one = node(1).attach_to(zero.addresses()).open().wait()?;
        let two = node(2).attach_to(zero.addresses()).open().wait()?;
        two.wait_for_peers(peers).timeout(Duration::from_secs(5)).wait()?;

        let reached = two.peers().into_iter().map(|peer| match peer.via {
            None => format!("node {} directly", peer.node_id),
            Some(hub) => format!("node {} by way of node {hub}", peer.node_id),
        });
        println!("{topology}: node 2 reaches {}", reached.collect::<Vec<_>>().join(", "));
        drop(one);
    }
    Ok(())
}
