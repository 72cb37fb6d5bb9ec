//! `ditask top`.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tidings::{
    Router, Subscription,
    parallel::{NodeReport, REPORT},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    arguments::Top,
    fault::{Fault, Result},
    finish::Signals,
    observer,
    table::{cell, table},
};

/// How long the first reports of all nodes are waited for: they come twice a second, and programs that were not
/// started by ditask send none.
const FIRST: Duration = Duration::from_secs(3);

/// What is known of one node.
#[derive(Debug, Clone)]
struct Known {
    last: NodeReport,
    before: Option<NodeReport>,
}

/// Watches the nodes of a cluster.
pub(crate) fn run(top: &Top) -> Result {
    let router = observer::attach(&top.cluster, observer::Hears::Members)?;
    let reports = router.subscribe::<NodeReport>(REPORT)?;
    let failed = |error: io::Error| Fault::io("cannot watch", &error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(watch(top, &router, reports));
    router.shutdown(observer::LEAVE).wait();
    result
}

async fn watch(top: &Top, router: &Arc<Router>, mut reports: Subscription<NodeReport>) -> Result {
    let failed = |error: io::Error| Fault::io("cannot watch", &error);
    let mut signals = Signals::new().map_err(failed)?;
    let is_live = io::stdout().is_terminal() && !top.cluster.json;
    let mut left = top.count.or(if is_live { None } else { Some(1) });
    let mut known = BTreeMap::new();
    let mut first = true;
    while left != Some(0) {
        let until = Instant::now() + if first { FIRST } else { top.interval };
        loop {
            // Two reports of each make a rate.
            let complete = |known: &BTreeMap<u32, Known>| {
                let has_rate = |id: u32| known.get(&id).is_some_and(|node: &Known| node.before.is_some());
                router.peers().iter().all(|peer| has_rate(peer.node_id.0))
            };
            if first && complete(&known) {
                break;
            }
            let next = tokio::select! {
                next = timeout_at(until, reports.next()) => next,
                _ = signals.next() => return Ok(()),
            };
            match next {
                Ok(Some(event)) => {
                    let before = known.remove(&event.payload.node_id).map(|node| node.last);
                    known.insert(event.payload.node_id, Known { last: event.payload, before });
                }
                Ok(None) => return Err(Fault::new("the cluster is gone")),
                Err(_) => break,
            }
        }
        first = false;
        let text = if top.cluster.json { lines(router, &known) } else { screen(router, &known, is_live) };
        let mut out = io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            // Nobody reads any more.
            return Ok(());
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}

impl Known {
    /// Messages in a second, of a counter.
    fn rate(&self, counter: impl Fn(&NodeReport) -> u64) -> Option<f64> {
        let before = self.before.as_ref()?;
        let seconds = self.last.up_ms.checked_sub(before.up_ms).filter(|ms| *ms > 0)? as f64 / 1000.0;
        Some(counter(&self.last).saturating_sub(counter(before)) as f64 / seconds)
    }
}

fn screen(router: &Router, known: &BTreeMap<u32, Known>, is_live: bool) -> String {
    let peers = router.peers();
    let row = |peer: &tidings::Peer| {
        let node = known.get(&peer.node_id.0);
        let show = |value: &dyn Fn(&Known) -> String| node.map_or("-".to_owned(), value);
        vec![
            peer.node_id.to_string(),
            cell(peer.labels.join(",")),
            show(&|node| format!("{} s", node.last.up_ms / 1000)),
            show(&|node| links(&node.last)),
            show(&|node| node.rate(|report| report.sent).map_or("-".to_owned(), |rate| format!("{rate:.0}"))),
            show(&|node| {
                node.rate(|report| report.received).map_or("-".to_owned(), |rate| format!("{rate:.0}"))
            }),
            show(&|node| node.last.queued_messages.to_string()),
            show(&|node| drops(&node.last)),
        ]
    };
    let titles = ["NODE", "LABELS", "UP", "LINKS", "SENT/S", "RECEIVED/S", "QUEUED", "DROPPED"];
    let body = table(&titles, &peers.iter().map(row).collect::<Vec<_>>());
    let silent = peers.iter().any(|peer| !known.contains_key(&peer.node_id.0));
    let note = if silent {
        "`-`: a program that neither ditask nor Parallel started tells nothing of itself\n"
    } else {
        ""
    };
    match is_live {
        true => format!("\x1b[H\x1b[2J{} nodes of cluster {}\n\n{body}{note}", peers.len(), router.cluster()),
        false => format!("{body}{note}"),
    }
}

/// The other ends of a node's links, with what is the matter with them.
fn links(report: &NodeReport) -> String {
    let link = |link: &tidings::parallel::LinkReport| match link.lagging {
        true => format!("{}(lagging)", link.node_id),
        false => link.node_id.to_string(),
    };
    cell(report.links.iter().map(link).collect::<Vec<_>>().join(","))
}

fn drops(report: &NodeReport) -> String {
    let reasons = report.dropped.iter().map(|(reason, count)| format!("{count} {reason}"));
    let lost = Some(format!("{} lost on their way", report.lost)).filter(|_| report.lost > 0);
    let all: Vec<String> = reasons.chain(lost).collect();
    if all.is_empty() { "0".to_owned() } else { all.join(", ") }
}

fn lines(router: &Router, known: &BTreeMap<u32, Known>) -> String {
    let line = |peer: &tidings::Peer| {
        let node = known.get(&peer.node_id.0);
        let value = json!({
            "node_id": peer.node_id.0,
            "labels": &*peer.labels,
            "sent_per_second": node.and_then(|node| node.rate(|report| report.sent)),
            "received_per_second": node.and_then(|node| node.rate(|report| report.received)),
            "report": node.map(|node| &node.last),
        });
        value.to_string() + "\n"
    };
    router.peers().iter().map(line).collect()
}
