//! Two processes: node 1 greets, node 0 prints the greeting.

use std::{sync::Arc, time::Duration};
use tidings::prelude::*;

fn main() -> Result<()> {
    Parallel::runner(2).run(node).wait()
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
