//! `ditask peers`.

use std::io::{self, Write};

use serde_json::json;

use crate::{
    arguments::Peers,
    fault::{Fault, Result},
    observer,
    table::{cell, table},
};

/// Lists the nodes of a cluster.
pub(crate) fn run(peers: &Peers) -> Result {
    let router = observer::attach(&peers.cluster, observer::Hears::Members)?;
    let nodes = router.peers();
    let text = match peers.cluster.json {
        true => {
            let line = |peer: &tidings::Peer| {
                let address = peer.address.as_ref().map(ToString::to_string);
                let via = peer.via.map(|via| via.0);
                json!({"node_id": peer.node_id.0, "labels": &*peer.labels, "address": address, "via": via})
                    .to_string()
                    + "\n"
            };
            nodes.iter().map(line).collect()
        }
        false => {
            let row = |peer: &tidings::Peer| {
                vec![
                    peer.node_id.to_string(),
                    cell(peer.labels.join(",")),
                    cell(peer.address.as_ref().map(ToString::to_string).unwrap_or_default()),
                    peer.via.map_or("direct".to_owned(), |via| format!("node {via}")),
                ]
            };
            table(&["NODE", "LABELS", "ADDRESS", "LINK"], &nodes.iter().map(row).collect::<Vec<_>>())
        }
    };
    router.shutdown(observer::LEAVE).wait();
    io::stdout().write_all(text.as_bytes()).map_err(|error| Fault::io("cannot write", &error))
}
