//! Two processes: node 1 greets, node 0 prints the greeting.
//!
//! `--transport` says over what, if the feature of that name is on: `ipc`, `tcp`, or `redis`, optionally with `--url` of a
//! server, without which a private one is started.

mod support;

use std::{sync::Arc, time::Duration};
use tidings::{BoxError, prelude::*};

fn main() -> Result<(), BoxError> {
    // Lives as long as it is needed: in a node's process `run` does not return.
    let (_server, transport) = support::transport()?;
    let runner = Parallel::runner(2);
    let runner = match transport {
        Some(transport) => runner.shared_transport(transport),
        None => runner,
    };
    Ok(runner.run(node).wait()?)
}

async fn node(router: Arc<Router>) -> Result<()> {
    let task = Task::builder().router(router.clone()).build();
    if router.node_id() == NodeId(0) {
        task.on("greeting", |msg: Event<String>| println!("Get msg: {}", msg.payload));
        task.wait_for::<String>("greeting").timeout(Duration::from_secs(10)).await?;
    } else {
        task.emit("greeting", "Hi").await?;
    }
    Ok(())
}
