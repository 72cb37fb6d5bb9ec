//! What a node costs that has nothing to do: memory above an empty program of tokio, and time on a core.

use std::{io, thread, time::Duration};

use tidings::prelude::{Ipc, Router};

use super::process::{Part, busy, resident};
use crate::harness::{Result, Row, Wire};

/// The first argument of a process that is idle.
pub(crate) const ROLE: &str = "idle";

/// How long it is watched, after it has come to rest.
const WATCHED: Duration = Duration::from_secs(5);
const REST: Duration = Duration::from_secs(1);

const NODE: &str = "node";
const EMPTY: &str = "empty";

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let (mut memory, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut parts =
            [NODE, EMPTY].into_iter().map(|kind| Part::start(&[ROLE, kind])).collect::<Result<Vec<_>>>()?;
        for part in &mut parts {
            part.line()?;
        }
        let (node, empty) = (parts[0].id(), parts[1].id());
        thread::sleep(REST);
        let before = busy(&node)?;
        thread::sleep(WATCHED);
        cpu.push((busy(&node)? - before).as_secs_f64() / WATCHED.as_secs_f64() * 100.0);
        memory.push(resident(&node)? - resident(&empty)?);
    }
    Ok(vec![
        Row::of("idle.memory", Wire::Ipc, 0, "KiB", memory),
        Row::of("idle.cpu", Wire::Ipc, 0, "% of a core", cpu),
    ])
}

/// A node with a connection to another one, or a program that has started tokio and nothing else.
pub(crate) fn part(kind: &str) -> Result {
    if kind == EMPTY {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(async { rest() });
    }
    let node = Router::builder().node_id(0).transport(Ipc::new()).open().wait()?;
    let peer =
        Router::builder().node_id(1).transport(Ipc::new()).attach_to(node.addresses()).open().wait()?;
    node.wait_for_peers(1).wait()?;
    rest()?;
    drop(peer);
    Ok(())
}

fn rest() -> Result {
    println!("ready");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
