use std::time::Duration;

use tidings_router_core::{Error, NodeId, Result, Router, Wait};

/// Waits until all of these nodes are peers.
pub(crate) async fn wait_for(router: &dyn Router, nodes: &[NodeId], limit: Duration) -> Result<()> {
    let missing = || {
        let peers = router.peers();
        let is_there = |node: &NodeId| peers.iter().any(|peer| peer.node_id == *node);
        nodes.iter().filter(|node| !is_there(node)).map(NodeId::to_string).collect::<Vec<_>>()
    };
    let mut revision = router.revision();
    let result = Wait::new("other nodes", async {
        while !missing().is_empty() {
            if !revision.changed().await {
                return Err(Error::Closed);
            }
        }
        Ok(())
    });
    match result.timeout(limit).await {
        Err(Error::Timeout { after, .. }) => {
            Err(Error::Timeout { what: format!("connection with nodes {}", missing().join(", ")), after })
        }
        result => result,
    }
}
