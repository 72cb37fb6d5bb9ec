//! What nodes tell those who look on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidings_router_core::{DropReason, Drops, Router};
use tokio::time::Instant;

use crate::back_off::pause;

/// The event of a [`NodeReport`].
pub const REPORT: &str = "tidings.report";

/// How far apart the reports of a node are, as long as somebody looks on.
const EVERY: Duration = Duration::from_millis(500);

/// What a node of a run tells observers of itself, twice a second, as long as there are any. Counters are those
/// since its router was opened.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct NodeReport {
    /// Its id.
    pub node_id: u32,
    /// Its labels.
    pub labels: Vec<String>,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// The shape of its cluster.
    pub topology: String,
    /// The process that it lives in, on its machine.
    pub process: u32,
    /// How long its main has run, in milliseconds.
    pub up_ms: u64,
    /// Messages handed to links.
    pub sent: u64,
    /// Messages that arrived from other nodes.
    pub received: u64,
    /// Messages handed to listeners.
    pub delivered: u64,
    /// Messages lost here, by reason; only reasons that there were.
    pub dropped: BTreeMap<String, u64>,
    /// Messages that others lost on their way here.
    pub lost: u64,
    /// Bytes that wait for peers.
    pub queued_bytes: u64,
    /// Messages that wait for peers.
    pub queued_messages: u64,
    /// Its links.
    pub links: Vec<LinkReport>,
}

/// One link of a node, as it sees it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct LinkReport {
    /// The other end.
    pub node_id: u32,
    /// Messages handed to it.
    pub sent: u64,
    /// Messages that arrived from it.
    pub received: u64,
    /// Messages that wait for it.
    pub queued_messages: u64,
    /// Whether it lags.
    pub lagging: bool,
}

impl NodeReport {
    fn of(router: &dyn Router, since: Instant) -> Self {
        let stats = router.stats();
        let peers = stats.peers.iter().filter(|peer| !peer.node_id.is_observer());
        Self {
            node_id: router.node_id().0,
            labels: router.labels().to_vec(),
            addresses: router.addresses().iter().map(ToString::to_string).collect(),
            topology: router.topology().to_string(),
            process: std::process::id(),
            up_ms: since.elapsed().as_millis() as u64,
            sent: stats.sent,
            received: stats.received,
            delivered: stats.delivered,
            dropped: by_reason(stats.dropped),
            lost: stats.lost,
            queued_bytes: stats.queued_bytes,
            queued_messages: stats.queued_messages,
            links: peers
                .map(|peer| LinkReport {
                    node_id: peer.node_id.0,
                    sent: peer.sent,
                    received: peer.received,
                    queued_messages: peer.queued_messages,
                    lagging: peer.lagging,
                })
                .collect(),
        }
    }
}

fn by_reason(drops: Drops) -> BTreeMap<String, u64> {
    let reasons =
        DropReason::ALL.into_iter().map(|reason| (format!("{reason:?}").to_lowercase(), drops.by(reason)));
    reasons.filter(|(_, count)| *count > 0).collect()
}

/// Tells whoever looks on how the node does, until the router is shut down. It costs nothing while nobody does.
pub(crate) async fn tell_observers(router: Arc<dyn Router>) {
    let since = Instant::now();
    let mut revision = router.revision();
    loop {
        if router.observers().is_empty() {
            if !revision.changed().await {
                return;
            }
            continue;
        }
        // Behind the pause: who only looks in is gone by then, and who stays has said what it listens for.
        pause(EVERY).await;
        let report = NodeReport::of(&*router, since);
        for observer in router.observers() {
            // One that takes nothing misses a report.
            let _ = router.emit(REPORT, &report).to(observer.node_id).try_now();
        }
    }
}
