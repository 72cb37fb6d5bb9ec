//! How long a message of a few bytes takes from one process to another and back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tidings::prelude::*;

const ROUNDS: u32 = 2_000;

fn main() -> Result<()> {
    Parallel::runner(2).run(node).wait()
}

async fn node(router: Arc<Router>) -> Result<()> {
    if router.node_id() == NodeId(0) { ping(router).await } else { answer(router).await }
}

async fn ping(router: Arc<Router>) -> Result<()> {
    let mut pongs = router.subscribe::<u32>("pong")?;
    router.wait_for_listeners("ping", 1).timeout(Duration::from_secs(10)).await?;
    let mut round_trips = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        router.emit("ping", &round).only_remote().await?;
        pongs.next().await.ok_or(Error::Closed)?;
        round_trips.push(start.elapsed());
    }
    round_trips.sort();
    println!("median round trip: {:?} of {ROUNDS}", round_trips[round_trips.len() / 2]);
    Ok(())
}

async fn answer(router: Arc<Router>) -> Result<()> {
    let mut pings = router.subscribe::<u32>("ping")?;
    while let Some(ping) = pings.next().await {
        router.emit("pong", &ping.payload).only_remote().await?;
        if ping.payload + 1 == ROUNDS {
            break;
        }
    }
    Ok(())
}
