//! How start-up and memory grow with the number of nodes of one process.

use std::time::{Duration, Instant};

use tidings::{
    Topology,
    prelude::{Memory, Mesh, Router, Star},
};

use super::process::{Part, resident};
use crate::harness::{Result, Row, Wire};

/// The first argument of the process that holds them.
pub(crate) const ROLE: &str = "nodes";

const COUNTS: [usize; 6] = [2, 4, 8, 16, 32, 64];

/// How long they may take to find each other.
const MEET_WITHIN: Duration = Duration::from_secs(25);

const SHAPES: [(&str, Topology, [&str; 2]); 2] = [
    ("star", Star, ["nodes.star.start", "nodes.star.memory"]),
    ("mesh", Mesh, ["nodes.mesh.start", "nodes.mesh.memory"]),
];

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (shape, _, benches) in SHAPES {
        for count in COUNTS {
            let (mut start, mut memory) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let line = Part::start(&[ROLE, shape, &count.to_string()])?.line()?;
                let (took, bytes) = line.split_once(' ').ok_or("not two figures")?;
                start.push(took.parse()?);
                memory.push(bytes.parse()?);
            }
            rows.push(Row::of(benches[0], Wire::Memory, count, "ms", start));
            rows.push(Row::of(benches[1], Wire::Memory, count, "KiB", memory));
        }
    }
    Ok(rows)
}

/// Opens `count` nodes, and says how long it took until all knew all, and what memory it took.
pub(crate) fn part(shape: &str, count: &str) -> Result {
    let (_, topology, _) = SHAPES.into_iter().find(|(name, ..)| *name == shape).ok_or("no such shape")?;
    let count: u32 = count.parse()?;
    let before = resident("self")?;
    let begin = Instant::now();
    let network = Memory::network();
    let node = |id| Router::builder().node_id(id).topology(topology).transport(network.clone());
    let first = node(0).open().wait()?;
    let mut nodes = vec![first];
    for id in 1..count {
        let node = node(id).attach_to(nodes[0].addresses()).open().wait()?;
        nodes.push(node);
    }
    for node in &nodes {
        node.wait_for_peers(nodes.len() - 1).timeout(MEET_WITHIN).wait()?;
    }
    let took = begin.elapsed();
    println!("{:.3} {:.0}", took.as_secs_f64() * 1e3, resident("self")? - before);
    Ok(())
}
